package limits_test

import (
	"fmt"
	"testing"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/ledger/limits"
)

// check looks at what runs at once: never more than the limit, but for requests of edges that were cut
// off for longer than a session, and began before it was over.
func (w *world) check() {
	for i, l := range w.limits {
		if l.GetKind() != eventv1.LimitKind_LIMIT_KIND_CONCURRENT {
			continue
		}
		n := int64(0)
		for _, e := range w.edges {
			end := e.confirmed + limits.SessionTTL + limits.SessionTTL/100 // clocks run apart
			for _, r := range e.runs {
				if r.outlived = r.outlived || w.now > end && r.began <= end; !r.outlived {
					n++
				}
			}
		}
		if n > w.limits[i].GetAmount() {
			w.fail("%d requests run, of %d", n, w.limits[i].GetAmount())
		}
	}
}

// bound looks at every span of time: in none did more pass than the burst and what flows in during it
// and a chunk's life, and what leaders vended who had been replaced.
func (w *world) bound() error {
	if w.err != nil {
		return w.err
	}
	for _, l := range w.limits {
		if l.GetKind() == eventv1.LimitKind_LIMIT_KIND_CONCURRENT {
			continue
		}
		if over := w.excess(l); over > 0 {
			return fmt.Errorf("limit %d: %d more passed than %d a minute and %d at once allow", l.GetId(), over, l.GetAmount(), l.GetBurst())
		}
	}
	return nil
}

// excess is by how much the worst span is above its bound. What passes fills a vessel, and the rate
// empties it: it never holds more than the bound of a moment if and only if no span is above its own.
func (w *world) excess(l *eventv1.Limit) int64 {
	const minute = int64(time.Minute)
	ttl := limits.ChunkTTL + limits.ChunkTTL/100 // clocks run apart
	most := (l.GetBurst()+1)*minute + l.GetAmount()*int64(ttl+time.Duration(w.over)*overlap)
	level, last, worst := int64(0), time.Duration(0), int64(0)
	for _, p := range w.passed[l.GetId()] {
		level = max(0, level-int64(p.at-last)*l.GetAmount()) + p.n*minute
		last = p.at
		worst = max(worst, level-most)
	}
	return (worst + minute - 1) / minute
}

func rate(id int64, kind eventv1.LimitKind, amount, burst int64) *eventv1.Limit {
	return &eventv1.Limit{Id: id, Kind: kind, Amount: amount, Burst: burst, Fallback: eventv1.LimitFallback_LIMIT_FALLBACK_CLOSED}
}

const (
	requests   = eventv1.LimitKind_LIMIT_KIND_REQUESTS
	units      = eventv1.LimitKind_LIMIT_KIND_UNITS
	concurrent = eventv1.LimitKind_LIMIT_KIND_CONCURRENT
)

// roaming is so many requests a second, half of them at one edge, which is another one every so often.
func roaming(perSecond int64, every time.Duration) func(w *world) []int {
	return func(w *world) []int {
		hot := int(w.now/every) % len(w.edges)
		var out []int
		for range w.arrivals(perSecond) {
			if w.rng.IntN(2) == 0 {
				out = append(out, hot)
			} else {
				out = append(out, w.rng.IntN(len(w.edges)))
			}
		}
		return out
	}
}

// arrivals is how many requests come in a tick.
func (w *world) arrivals(perSecond int64) int {
	ticks := int64(time.Second / tick)
	n := perSecond / ticks
	if w.rng.Int64N(ticks) < perSecond%ticks {
		n++
	}
	return int(w.rng.Int64N(2*n + 1))
}

// bursts warms all edges up, leaves them idle while buckets fill, and has them all burst at once.
func bursts(perSecond int64) func(w *world) []int {
	return func(w *world) []int {
		n := 0
		switch phase := w.now % (6 * time.Second); {
		case phase < 2*time.Second:
			n = w.arrivals(perSecond)
		case phase >= 5*time.Second:
			n = w.arrivals(20 * perSecond)
		}
		out := make([]int, n)
		for i := range out {
			out[i] = w.rng.IntN(len(w.edges))
		}
		return out
	}
}

// seeds is how many worlds there are. The race detector has nothing to find in one goroutine, and takes ten times as long.
func seeds(n uint64) uint64 {
	if raceEnabled {
		return max(n/10, 1)
	}
	return n
}

// Guarantee: however many edges share a limit, whatever is lost, repeated, late or overtaken, whoever
// leads, and however their clocks run: in no span of time does more pass than the limit's bound.
func TestNeverMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	for seed := range seeds(40) {
		w := newWorld(seed, anyWorld(seed))
		if err := w.run(20 * time.Second); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := w.bound(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if len(w.passed) == 0 {
			t.Fatalf("seed %d: nothing passed", seed)
		}
	}
}

// anyWorld is a world in which everything may go wrong.
func anyWorld(seed uint64) config {
	rng := newWorld(seed, config{}).rng
	perSecond := 1 + rng.Int64N(300)
	c := config{
		edges: 1 + rng.IntN(12), timeout: time.Duration(1+rng.IntN(500)) * time.Millisecond,
		late: time.Duration(rng.IntN(300)) * time.Millisecond, lossy: rng.IntN(3) > 0,
		runs: time.Duration(1+rng.IntN(3000)) * time.Millisecond, estimates: rng.IntN(2) == 0,
	}
	if rng.IntN(2) == 0 {
		c.failover = time.Duration(2+rng.IntN(8)) * time.Second
	}
	if rng.IntN(2) == 0 {
		c.cut = 15 * time.Second
	}
	c.limits = []*eventv1.Limit{
		rate(1, requests, perSecond*60, 1+rng.Int64N(2*perSecond)),
		rate(2, units, perSecond*600, 20+rng.Int64N(20*perSecond)),
		rate(3, concurrent, 1+rng.Int64N(40), 0),
	}
	c.limits = c.limits[rng.IntN(3):]
	if rng.IntN(3) == 0 {
		c.limits = c.limits[:1]
	}
	c.load = roaming(perSecond*(1+rng.Int64N(4)), time.Duration(1+rng.IntN(7))*time.Second)
	if rng.IntN(2) == 0 {
		c.load = bursts(perSecond)
	}
	return c
}
