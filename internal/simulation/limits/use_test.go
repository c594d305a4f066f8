//go:build !race

// The race detector has nothing to find in one goroutine, and takes ten times as long; the tests run without it as well.

package limits_test

import (
	"testing"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Guarantee: a limit can be used up: where twice as much is wanted, at least 97 % of it passes, though
// half of the load is at one edge of many, which is another one all the time; and where half of it is
// wanted, nearly everything passes.
func TestLimitCanBeUsedUp(t *testing.T) {
	t.Parallel()
	shapes := []struct {
		edges            int
		perSecond, burst int64
	}{{1, 10, 10}, {10, 1, 10}, {10, 100, 100}, {100, 10, 10}, {100, 100, 100}, {100, 1000, 1000}}
	if raceEnabled {
		shapes = shapes[:3] // for the reason of seeds
	}
	for _, c := range shapes {
		// Bursts are wanted too: while nobody asks, a full bucket stays as full as it is.
		const warm, long = 5 * time.Second, 20 * time.Second
		run := func(load int64) (passed, offered int64) {
			w := newWorld(1, config{
				edges: c.edges, timeout: 500 * time.Millisecond, load: roaming(load, 7*time.Second),
				limits: []*eventv1.Limit{rate(1, requests, c.perSecond*60, c.burst)},
			})
			if err := w.run(warm); err != nil {
				t.Fatal(err)
			}
			before, came := len(w.passed[1]), w.offered
			if err := w.run(long); err != nil {
				t.Fatal(err)
			}
			if err := w.bound(); err != nil {
				t.Error(err)
			}
			return int64(len(w.passed[1]) - before), int64(w.offered - came)
		}
		full := c.perSecond * int64(long/time.Second)
		passed, _ := run(2 * c.perSecond)
		t.Logf("%d edges, %d/s: %d of %d passed where twice as much was wanted", c.edges, c.perSecond, passed, full)
		if passed*100 < 97*full {
			t.Errorf("only %d of %d", passed, full)
		}
		some, offered := run(max(1, c.perSecond/2))
		t.Logf("%d edges, %d/s: %d of %d passed where half was wanted", c.edges, c.perSecond, some, offered)
		if c.perSecond > 1 && some*100 < 97*offered { // one a second comes to all of a limit of one
			t.Errorf("only %d of %d", some, offered)
		}
	}
}
