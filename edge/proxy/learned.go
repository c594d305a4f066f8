package proxy

import (
	"sync"
	"sync/atomic"
)

// learned is what the requests of each endpoint use on average, in units. It is what the next one is
// taken for until it is known, so that a limit of units holds requests back before they use them.
type learned struct {
	byEndpoint sync.Map // of id to *atomic.Int64
}

// weight is how many requests the average follows.
const weight = 8

// guess is at least 1.
func (l *learned) guess(endpointID string) int64 {
	if average, ok := l.byEndpoint.Load(endpointID); ok {
		return average.(*atomic.Int64).Load() //nolint:forcetypeassert // nothing else is stored
	}
	return 1
}

// learn takes in what a request has used.
func (l *learned) learn(endpointID string, units int64) {
	units = max(units, 1)
	stored, ok := l.byEndpoint.Load(endpointID)
	if !ok {
		first := new(atomic.Int64)
		first.Store(units)
		if stored, ok = l.byEndpoint.LoadOrStore(endpointID, first); !ok {
			return
		}
	}
	average := stored.(*atomic.Int64) //nolint:forcetypeassert // nothing else is stored
	for {
		old := average.Load()
		step := (units - old) / weight
		switch {
		case step != 0:
		case units > old:
			step = 1
		case units < old:
			step = -1
		}
		if average.CompareAndSwap(old, old+step) {
			return
		}
	}
}

// forget drops endpoints that keep refuses.
func (l *learned) forget(keep func(endpointID string) bool) {
	l.byEndpoint.Range(func(id, _ any) bool {
		if !keep(id.(string)) { //nolint:forcetypeassert // nothing else is stored
			l.byEndpoint.Delete(id)
		}
		return true
	})
}
