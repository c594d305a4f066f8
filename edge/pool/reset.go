package pool

// Reset forgets what is held against targets, and says of how many things it was: breakers that were not closed, targets that
// were ejected or unhealthy, and credentials that had to wait. An endpoint is named by name or id, and a target by its base URL; an
// empty name stands for all. Credentials are an endpoint's, so that they are left alone where a target is named. Checks of health go
// on, and say again what they find.
func (p *Pools) Reset(endpoint, target string) (changed int) {
	for _, v := range *p.current.Load() {
		if endpoint != "" && endpoint != v.e.Name && endpoint != v.e.ID {
			continue
		}
		for i := range v.targets {
			if s := &v.targets[i]; target == "" || target == s.spec.Name {
				changed += p.pardon(v.memory, s)
			}
		}
		if target != "" {
			continue
		}
		for _, c := range v.credentials {
			if !passed(&c.paused, p) {
				changed++
			}
			c.paused.Store(0)
			c.strikes.Store(0)
		}
	}
	return changed
}

// pardon forgets what is held against one target.
func (p *Pools) pardon(m *memory, s *seat) (changed int) {
	if s.breaker.Reset() {
		changed++
	}
	if s.unhealthy.Swap(false) {
		changed++
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !passed(&s.ejected, p) {
		changed++
	}
	s.ejected.Store(0)
	s.inARow.Store(0)
	s.times = 0
	return changed
}
