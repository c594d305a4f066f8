package pool

import (
	"sync"
	"sync/atomic"
	"time"
)

// memory is what is known of an endpoint, whatever its configuration becomes.
type memory struct {
	targets     map[targetKey]*target  // guarded by mu of Pools
	credentials map[string]*credential // by name; guarded by mu of Pools
	budget      budget

	mu      sync.Mutex // guards current and what targets know of their ejections
	current []seat     // the targets of the configuration in use
}

// targetKey tells targets of an endpoint apart: by name, and those of the same name, which differ in the
// query of their URL, by their order.
type targetKey struct {
	name string
	twin int
}

// target is what is known of one.
type target struct {
	inFlight, attempts, failures, retries atomic.Int64

	unhealthy atomic.Bool
	inARow    atomic.Int64 // failures without anything else in between
	ejected   atomic.Int64 // until when, on the clock of Pools; 0 for not

	// Guarded by mu of memory.
	times      int           // it was ejected in a row
	lastFailed time.Duration // on the clock of Pools
}

// credential is what is known of one.
type credential struct {
	inFlight atomic.Int64
	paused   atomic.Int64 // until when, on the clock of Pools; 0 for not
	strikes  atomic.Int64 // pauses in a row for which the vendor has named no time
	refused  atomic.Int64 // answers 401 and 403
	unwanted atomic.Bool  // the last answer was one of them
}

func (m *memory) target(k targetKey) *target {
	if m.targets[k] == nil {
		m.targets[k] = &target{}
	}
	return m.targets[k]
}

func (m *memory) credential(name string) *credential {
	if m.credentials[name] == nil {
		m.credentials[name] = &credential{}
	}
	return m.credentials[name]
}

// follow makes it the memory of the configuration in use and forgets what is not in that any more. It
// needs mu of Pools.
func (m *memory) follow(now time.Duration, v *view) {
	targets := map[*target]bool{}
	for _, s := range v.targets {
		targets[s.target] = true
		if v.e.Health == nil {
			s.unhealthy.Store(false) // nobody would find out that it is well again
		}
		if v.e.Outlier == nil {
			s.ejected.Store(0)
		}
	}
	for k, t := range m.targets {
		if !targets[t] {
			delete(m.targets, k)
		}
	}
	names := map[string]bool{}
	for _, c := range v.e.Credentials {
		names[c.Name] = true
	}
	for name := range m.credentials {
		if !names[name] {
			delete(m.credentials, name)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current = v.targets
	if o := v.e.Outlier; o != nil {
		m.readmit(now, o)
	}
}

// isCurrent says whether the view is that of the configuration in use.
func (m *memory) isCurrent(v *view) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.current) > 0 && len(v.targets) > 0 && &m.current[0] == &v.targets[0]
}

// passed says whether a time that is 0 for never has come.
func passed(at *atomic.Int64, p *Pools) bool {
	until := at.Load()
	return until == 0 || until <= int64(p.now())
}
