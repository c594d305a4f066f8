package store

import (
	"sync/atomic"
	"time"
)

const (
	// patience is how long a lease may have to wait for a booking, about.
	patience = 10 * time.Millisecond
	// leasing is for how long after a lease others are expected.
	leasing = time.Second
	// firstPace is a guess of how many events are booked within patience, until some were. It is never
	// thought to be less than leastPace.
	firstPace, leastPace = 500, 100
)

// pace is how much is booked in one transaction: all that there is costs the least for each event, but while
// leases are asked for, they must not wait for it.
type pace struct {
	leased atomic.Int64 // when a lease was asked for, in Unix nanoseconds
	events atomic.Int64 // are booked within patience; 0 for not known
}

// leases notes that a lease is asked for.
func (p *pace) leases(now time.Time) { p.leased.Store(now.UnixNano()) }

// most is how many events the next transaction may book, or 0 for all.
func (p *pace) most(now time.Time) int {
	if now.UnixNano()-p.leased.Load() > int64(leasing) {
		return 0
	}
	if n := p.events.Load(); n > 0 {
		return int(n)
	}
	return firstPace
}

// booked takes in how long a transaction took.
func (p *pace) booked(events int, took time.Duration) {
	if events < leastPace || took <= 0 {
		return
	}
	before := int64(p.most(time.Unix(0, p.leased.Load())))
	within := int64(events) * int64(patience) / int64(took)
	p.events.Store(max(leastPace, (3*before+within)/4))
}

// cut takes batches with so many events from the beginning of a list, or all for 0. A batch may be cut in
// two: its events follow one another.
func cut(list []Batch, most int) (head, rest []Batch) {
	if most == 0 {
		return list, nil
	}
	for i, b := range list {
		if n := len(b.Events); n <= most {
			most -= n
			continue
		}
		if most == 0 {
			return list[:i:i], list[i:]
		}
		first, second := b, b
		first.Events, first.Records = b.Events[:most], b.Records[:most]
		second.First, second.Events, second.Records = b.First+uint64(most), b.Events[most:], b.Records[most:]
		return append(list[:i:i], first), append([]Batch{second}, list[i+1:]...)
	}
	return list, nil
}
