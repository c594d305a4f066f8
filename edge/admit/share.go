package admit

import (
	"runtime"
	"sync"
	"weak"
)

// sharing keeps labels that keys of several shards have: a team's keys are spread over all of them. What no key has any
// more is not kept. The zero value is ready.
type sharing struct {
	mu sync.Mutex
	of map[labelsKey]weak.Pointer[Labels]
}

// labels returns the labels that key stands for, with the rules where there are none yet.
func (s *sharing) labels(key labelsKey, tags []string, r *rules) *Labels {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.of[key].Value(); l != nil {
		return l
	}
	l := &Labels{Team: key.team, Customer: key.customer, Tags: tags, access: key.access, rules: r}
	w := weak.Make(l)
	if s.of == nil {
		s.of = map[labelsKey]weak.Pointer[Labels]{}
	}
	s.of[key] = w
	runtime.AddCleanup(l, s.forget, forgotten{key, w})
	return l
}

// forgotten is labels that no key has any more.
type forgotten struct {
	key labelsKey
	was weak.Pointer[Labels]
}

func (s *sharing) forget(f forgotten) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[f.key] == f.was { // others may have come in their place
		delete(s.of, f.key)
	}
}
