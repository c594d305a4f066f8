package meter

// moment is when values that are in no frame are known.
type moment uint8

const (
	early    moment = iota // before the request is sent
	answered               // when the answer begins
	ended                  // when all is over
	moments
)

// staged are the sources that are known at one moment.
type staged struct {
	counters          []single
	texts, conditions []int
}

// single is an alternative of a counter.
type single struct{ counter, alternative int }

func (s *staged) empty() bool { return len(s.counters)+len(s.texts)+len(s.conditions) == 0 }

// moment says when a source is known; false if it is in frames, which come one by one.
func (s *source) moment() (moment, bool) {
	switch {
	case s.early():
		return early, true
	case s.place == inHeader:
		return answered, true
	case s.place == inTrailer, s.place == measure:
		return ended, true
	default:
		return 0, false
	}
}

// stage notes when the sources of a meter are known, so that nobody has to look for them at every moment.
func (m *Meter) stage() {
	m.stages = [moments]staged{}
	m.silent = !m.measures
	for i := range m.counters {
		c := &m.counters[i]
		m.silent = m.silent && c.fallback == nil
		for j := range c.sources {
			m.silent = m.silent && c.sources[j].grouped
		}
	}
	var base sum
	if m.base != nil {
		base.add(*m.base, dollar)
	}
	first, ok := base.nanos()
	m.silent = m.silent && ok
	m.first = m.clamp(first)
	for i := range m.counters {
		for j := range m.counters[i].sources {
			if a := &m.counters[i].sources[j]; !a.grouped {
				if at, ok := a.single.moment(); ok {
					now := &m.stages[at]
					now.counters = append(now.counters, single{i, j})
				}
			}
		}
	}
	for i := range m.texts {
		if at, ok := m.texts[i].moment(); ok {
			now := &m.stages[at]
			now.texts = append(now.texts, i)
		}
	}
	for i := range m.conditions {
		if at, ok := m.conditions[i].source.moment(); ok {
			now := &m.stages[at]
			now.conditions = append(now.conditions, i)
		}
	}
}
