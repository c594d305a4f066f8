package proxy

import (
	"sync"
	"sync/atomic"

	"tollgate/internal/money"
)

// costs is what requests cost, by what they were read by and asked for. Of almost all of them it knows a bound,
// which is held for the next one where nothing else bounds it.
type costs struct {
	byKey sync.Map // of costKey to *spread
	kept  atomic.Int64
}

// costKey is whose requests are alike.
type costKey struct{ endpoint, meter, model string }

// mostSpreads is how many are kept. Who names models at will must not fill the memory of the edge.
const mostSpreads = 16 << 10

// spread counts costs in steps, each of which reaches the 1.4-fold of the one before: from a micro-dollar to more than
// two thousand dollars. What is long ago counts less and less.
type spread struct {
	mu    sync.Mutex // guards what follows
	steps [64]uint32
	total uint32
}

const (
	firstStep  = 1 << 10 // what the first step reaches, in nano-dollars
	eachCounts = 16      // of one request, so that it can count less later
	halvedAt   = 8192 * eachCounts
	leastKnown = 200 * eachCounts // fewer say nothing of one in a thousand
)

// stepsReach is the largest cost of each step. Two of them double it.
var stepsReach = func() (r [64]money.Nanos) {
	r[0], r[1] = firstStep, 1449 // a root of 2 more, rounded up
	for i := 2; i < len(r); i++ {
		r[i] = 2 * r[i-2]
	}
	return r
}()

// likely is what at least 999 of a thousand requests cost at most; false if too few are known, or they cost more
// than can be counted.
func (l *costs) likely(key costKey) (money.Nanos, bool) {
	stored, ok := l.byKey.Load(key)
	if !ok {
		return 0, false
	}
	s := stored.(*spread) //nolint:forcetypeassert // nothing else is stored
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total < leastKnown {
		return 0, false
	}
	above, most := uint32(0), s.total/1000
	for i := len(s.steps) - 1; i >= 0; i-- {
		if above += s.steps[i]; above > most {
			return stepsReach[i], i < len(s.steps)-1
		}
	}
	return 0, false
}

// learn takes in what a request has cost.
func (l *costs) learn(key costKey, cost money.Nanos) {
	stored, ok := l.byKey.Load(key)
	if !ok {
		if l.kept.Add(1) > mostSpreads {
			l.kept.Add(-1)
			return
		}
		if stored, ok = l.byKey.LoadOrStore(key, &spread{}); ok {
			l.kept.Add(-1)
		}
	}
	s := stored.(*spread) //nolint:forcetypeassert // nothing else is stored
	step := 0
	for step < len(stepsReach)-1 && cost > stepsReach[step] {
		step++
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps[step] += eachCounts
	if s.total += eachCounts; s.total < halvedAt {
		return
	}
	s.total = 0
	for i := range s.steps {
		s.steps[i] /= 2
		s.total += s.steps[i]
	}
}

// forget drops endpoints that keep refuses.
func (l *costs) forget(keep func(endpointID string) bool) {
	l.byKey.Range(func(key, _ any) bool {
		if !keep(key.(costKey).endpoint) { //nolint:forcetypeassert // nothing else is stored
			if _, there := l.byKey.LoadAndDelete(key); there {
				l.kept.Add(-1)
			}
		}
		return true
	})
}
