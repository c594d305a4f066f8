package load

import (
	"bufio"
	"errors"
	"time"
)

// schedule has the times at which requests of one connection are due: those of all connections together are spread
// evenly over each interval.
type schedule struct {
	first    time.Duration // after the start
	interval time.Duration
}

func newSchedule(rate, connections, number int) schedule {
	interval := time.Duration(connections) * time.Second / time.Duration(rate)
	return schedule{first: interval * time.Duration(number) / time.Duration(connections), interval: interval}
}

// due is when the request of a number is, after the start.
func (s schedule) due(n int64) time.Duration { return s.first + time.Duration(n)*s.interval }

// punctual sends requests when they are due, whether or not it was in time for those before.
type punctual struct {
	*caller
	schedule
}

func newPunctual(j Job, number int) (prepared, tally, error) {
	if j.Rate < 1 || j.CA != "" {
		return nil, tally{}, errors.New("an open loop needs a rate, and plain text")
	}
	c, err := dialBlocking(j.Address)
	if err != nil {
		return nil, tally{}, err
	}
	one := &punctual{
		caller:   &caller{c: c, in: bufio.NewReaderSize(c, readSize), request: request(j), expect: j.Expect},
		schedule: newSchedule(j.Rate, j.Connections, number),
	}
	if err := one.once(); err != nil {
		return nil, tally{}, errors.Join(err, c.Close())
	}
	return one, tally{sent: 1}, nil
}

// start sends all that is due before the time is over, in the end perhaps late. It gives up when that has become too
// late, and says so.
func (one *punctual) start(began, until time.Time) tally {
	release := precise()
	defer release()
	t := tally{late: NewHistogram()}
	span := until.Sub(began)
	for n := int64(0); ; n++ {
		due := one.due(n)
		if due >= span {
			return t
		}
		if wait := due - time.Since(began); wait > 0 {
			sleep(wait)
		} else if -wait > tooLate {
			t.behind = true
			return t
		}
		t.sent++
		if t.err = one.exchange(); t.err != nil {
			return t
		}
		t.done++
		record(t.late, time.Since(began)-due)
	}
}

// tooLate is how late a request can be before the rate is given up.
const tooLate = 5 * time.Second
