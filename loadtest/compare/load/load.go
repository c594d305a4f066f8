// Package load sends requests as a comparison needs them and says how they went. It works on plain connections, one
// goroutine for each, and parses no more of an answer than it checks: its status, the length of its body, the number of
// its events. It is no client for anything else.
//
// Two ways to send are not the same. A closed loop sends the next request when the answer before has come: it finds
// out what a proxy takes when it is busy. An open loop has times at which requests are due, and counts how late an
// answer is from then on, whether or not the request could be sent in time. A proxy that stops for a while is late
// with all that was due meanwhile, as it is for its callers.
package load

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Kinds of load.
const (
	Closed  = "closed"  // requests in a closed loop; also whole streams
	Open    = "open"    // requests at times at which they are due
	Socket  = "socket"  // messages over a WebSocket, each when the one before has come back
	Silent  = "silent"  // streams that are open and say nothing
	Streams = "streams" // requests in a closed loop over HTTP/2, several at a time on a connection
)

// Job is what one process of load does.
type Job struct {
	Kind        string
	Address     string
	Path        string
	Key         string // of the caller; every proxy is sent one
	CA          string // certificates in PEM by which the proxy is known; empty for plain text
	Connections int
	AtOnce      int // requests at a time on a connection of HTTP/2
	Rate        int // requests a second of an open loop, over all connections
	For         time.Duration
	Body        int // bytes of a request's body
	Expect      int // bytes of an answer's body
}

// Result is how it went.
type Result struct {
	Sent     int64  // requests in all, those before the start and those that failed included
	Done     int64  // what was measured: answers that were right, or messages
	Messages int64  // of WebSockets, in all
	Left     int64  // of those sent: streams that were left open
	Behind   bool   // an open loop was given up, because what was due came ever later
	Wrong    int64  // answers that were not right, or never came
	Error    string // the first of these
	Took     time.Duration
	Late     *hdrhistogram.Snapshot // nanoseconds of each answer
}

// Longest latency that is told from longer ones, in nanoseconds, and how many figures of each are kept.
const (
	longest = int64(time.Minute)
	figures = 3
)

// NewHistogram keeps latencies of up to a minute.
func NewHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, figures) }

// prepared is a connection over which one request was sent already, which is not measured.
type prepared interface {
	start(began, until time.Time) tally
	close()
}

// tally is what one connection has done.
type tally struct {
	sent, done, messages, left int64
	behind                     bool
	late                       *hdrhistogram.Histogram
	err                        error
}

// Run does a job: it gets ready, says so, waits until it may begin, and returns how it went.
func Run(j Job, ready func() error, begin func() error) (Result, error) {
	if j.Connections < 1 {
		return Result{}, fmt.Errorf("%d connections are too few", j.Connections)
	}
	list, tallies, err := prepare(j)
	defer func() {
		for _, p := range list {
			p.close()
		}
	}()
	if err != nil {
		return Result{}, err
	}
	if err := errors.Join(ready(), begin()); err != nil {
		return Result{}, err
	}
	began := time.Now()
	var running sync.WaitGroup
	for i, p := range list {
		running.Go(func() {
			t := p.start(began, began.Add(j.For))
			t.sent += tallies[i].sent
			t.messages += tallies[i].messages
			tallies[i] = t
		})
	}
	running.Wait()
	return sum(tallies, time.Since(began)), nil
}

func sum(tallies []tally, took time.Duration) Result {
	r := Result{Took: took}
	all := NewHistogram()
	for _, t := range tallies {
		r.Sent += t.sent
		r.Done += t.done
		r.Messages += t.messages
		r.Left += t.left
		r.Behind = r.Behind || t.behind
		if t.err != nil {
			r.Wrong++
			if r.Error == "" {
				r.Error = t.err.Error()
			}
		}
		if t.late != nil {
			all.Merge(t.late)
		}
	}
	r.Late = all.Export()
	return r
}

// openers are how many connections are opened at a time.
const openers = 64

// prepare opens all connections and has each of them do what it does first.
func prepare(j Job) ([]prepared, []tally, error) {
	var (
		mu      sync.Mutex
		list    []prepared
		tallies []tally
		errs    []error
		running sync.WaitGroup
	)
	numbers := make(chan int)
	for range min(openers, j.Connections) {
		running.Go(func() {
			for i := range numbers {
				p, t, err := prepareOne(j, i)
				mu.Lock()
				if err != nil {
					errs = append(errs, err)
				} else {
					list, tallies = append(list, p), append(tallies, t)
				}
				mu.Unlock()
			}
		})
	}
	for i := range j.Connections {
		numbers <- i
	}
	close(numbers)
	running.Wait()
	if len(errs) > 0 {
		return list, nil, fmt.Errorf("%d of %d connections: %w", len(errs), j.Connections, errs[0])
	}
	return list, tallies, nil
}

func prepareOne(j Job, number int) (prepared, tally, error) {
	switch j.Kind {
	case Closed:
		return newCaller(j)
	case Open:
		return newPunctual(j, number)
	case Socket:
		return newSocket(j)
	case Silent:
		return newListener(j)
	case Streams:
		return newMultiplexed(j)
	default:
		return nil, tally{}, fmt.Errorf("there is no load %q", j.Kind)
	}
}
