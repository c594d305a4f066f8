//go:build !race

// The race detector has nothing to find in one goroutine, and takes ten times as long; the tests run without it as well.

package limits_test

import (
	"testing"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// worldFor is a kind of world in which a bug has its chance. Without the bug, nothing is wrong there.
func worldFor(b bug) config {
	c := config{
		edges: 8, timeout: 100 * time.Millisecond, late: 100 * time.Millisecond, lossy: true,
		limits: []*eventv1.Limit{rate(1, requests, 6000, 20)}, load: roaming(2000, time.Second),
	}
	switch b {
	case chunksLive:
		// Each edge in turn is busy and left with what goes back, until all are busy at once.
		c.edges, c.lossy, c.late, c.limits[0] = 20, false, 0, rate(2, units, 180_000, 500)
		c.runs, c.estimates, c.load = 400*time.Millisecond, true, hoarding(250, 500*time.Millisecond)
	case fromArrival:
		// Edges ask one after the other, and hear all at once.
		c.edges, c.gate, c.timeout, c.lossy, c.late = 20, 2900*time.Millisecond, 5*time.Second, false, 0
		c.load = staggered(c.gate, 14)
	case fullAfterStart:
		c.failover, c.limits[0].Burst = 2*time.Second, 1000
	case refundsLive:
		c.limits = []*eventv1.Limit{rate(2, units, 60_000, 200)}
		c.runs, c.estimates = 5*time.Second, true
	case oldLeaders:
		c.failover = 4 * time.Second
	case noSession, freedAtOnce, noLearning, sessionsEndEarly, overtaken:
		c.limits[0], c.runs, c.load = rate(3, concurrent, 20, 0), time.Second, roaming(200, 3*time.Second)
	case none:
	}
	switch b {
	case noSession, sessionsEndEarly:
		c.edges, c.cut, c.lossy, c.late = 5, 25*time.Second, false, 0
	case noLearning:
		c.failover = 5 * time.Second
	case overtaken:
		c.timeout, c.late = 30*time.Millisecond, 2*time.Second
	case none, chunksLive, fromArrival, fullAfterStart, refundsLive, oldLeaders, freedAtOnce:
	}
	c.bug = b
	return c
}

// hoarding has one edge after the other be busy for a while, then all at once.
func hoarding(perSecond int64, each time.Duration) func(w *world) []int {
	return func(w *world) []int {
		turn := int(w.now/each) % (len(w.edges) + 2)
		out := make([]int, w.arrivals(perSecond))
		if turn >= len(w.edges) {
			out = make([]int, w.arrivals(20*perSecond))
		}
		for i := range out {
			if out[i] = turn; turn >= len(w.edges) {
				out[i] = w.rng.IntN(len(w.edges))
			}
		}
		return out
	}
}

// staggered has one edge after the other want so many at once, and all of them whenever gate opens.
func staggered(gate time.Duration, many int) func(w *world) []int {
	return func(w *world) []int {
		phase := w.now % gate
		var out []int
		for i := range w.edges {
			if phase < 10*tick || phase/tick == gate/tick*time.Duration(i)/time.Duration(len(w.edges)) {
				for range many {
					out = append(out, i)
				}
			}
		}
		return out
	}
}

// Guarantee: a safeguard that is missing is noticed in every run, and nothing is noticed where none is.
func TestBrokenSafeguardsAreNoticed(t *testing.T) {
	t.Parallel()
	for _, b := range []bug{chunksLive, fromArrival, fullAfterStart, refundsLive, oldLeaders, noSession, freedAtOnce, noLearning, sessionsEndEarly, overtaken} {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			for seed := range seeds(6) {
				c, long := worldFor(b), 15*time.Second
				if c.cut > 0 {
					long = 45 * time.Second // longer than several sessions
				}
				w := newWorld(seed, c)
				if err := w.run(long); err == nil && w.bound() == nil {
					t.Errorf("seed %d: not noticed", seed)
				}
				c.bug = none
				w = newWorld(seed, c)
				if err := w.run(long); err != nil {
					t.Errorf("seed %d without the bug: %v", seed, err)
				} else if err := w.bound(); err != nil {
					t.Errorf("seed %d without the bug: %v", seed, err)
				}
			}
		})
	}
}
