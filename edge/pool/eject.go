package pool

import (
	"time"

	"tollgate/edge/routing"
)

// judge counts what an attempt says about a target among the others of its endpoint.
func (p *Pools) judge(v *view, s *seat, o *routing.Outlier, failed bool) {
	if !failed {
		if s.inARow.Load() != 0 {
			s.inARow.Store(0)
		}
		return
	}
	if wait := v.memory.failed(p.now(), s.target, o); wait > 0 {
		p.log.Warn("target ejected", "endpoint", v.e.Name, "target", s.spec.Name, "for", wait)
	}
}

// failed counts a failure and says for how long the target is ejected for it, which is 0 mostly.
func (m *memory) failed(now time.Duration, t *target, o *routing.Outlier) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	until := time.Duration(t.ejected.Load())
	if until > now {
		return 0 // of an attempt that was under way, or made because all were out
	}
	// While it is out it can neither fail nor do well, so that only the time after it counts.
	if quiet := now - max(until, t.lastFailed); t.times > 0 {
		t.times = max(t.times-int(quiet/o.EjectFor), 0)
	}
	t.lastFailed = now
	if t.inARow.Add(1) < int64(o.Failures) || !m.mayEject(now, t, o) {
		return 0
	}
	t.inARow.Store(0)
	t.times++
	wait := o.EjectFor * time.Duration(t.times)
	t.ejected.Store(int64(now + wait))
	return wait
}

// mayEject says whether one more target may be out. It needs mu.
func (m *memory) mayEject(now time.Duration, t *target, o *routing.Outlier) bool {
	var here bool
	for _, s := range m.current {
		here = here || s.target == t
	}
	return here && m.out(now) < m.mostOut(o)
}

// out is how many are. It needs mu.
func (m *memory) out(now time.Duration) (n int) {
	for _, s := range m.current {
		if time.Duration(s.ejected.Load()) > now {
			n++
		}
	}
	return n
}

// mostOut is never all, and of two or more at least one. It needs mu.
func (m *memory) mostOut(o *routing.Outlier) int {
	n := len(m.current)
	return min(max(n*o.MaxPercent/100, 1), n-1)
}

// readmit ends ejections until no more are out than may be, those first that would end first: a new
// configuration may have fewer targets. It needs mu.
func (m *memory) readmit(now time.Duration, o *routing.Outlier) {
	for most := m.mostOut(o); m.out(now) > most; {
		var soonest *target
		for _, s := range m.current {
			until := s.ejected.Load()
			if time.Duration(until) > now && (soonest == nil || until < soonest.ejected.Load()) {
				soonest = s.target
			}
		}
		soonest.ejected.Store(0)
	}
}
