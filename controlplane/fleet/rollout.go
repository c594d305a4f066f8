package fleet

import (
	"slices"
	"time"

	"tollgate/internal/contract"
)

// rollouts is how many revisions are remembered, per edge and of the publishing.
const rollouts = 512

// steps are the moments at which something was first at a revision, oldest first. Revisions grow but for a restored database, which
// begins a new epoch and with it everything anew.
type steps struct {
	list []step
	// known says whether the first step is one: of what was there before anybody listened, nobody knows when it came.
	known bool
}

type step struct {
	version contract.Version
	at      time.Time
}

// reach takes in that a version is served at a moment.
func (s *steps) reach(v contract.Version, at time.Time, fresh bool) {
	if n := len(s.list); n > 0 {
		last := s.list[n-1].version
		if !v.Newer(last) {
			return
		}
		if v.Epoch != last.Epoch {
			s.list, s.known = nil, true
		}
	} else {
		s.known = fresh
	}
	if len(s.list) == rollouts {
		s.list, s.known = slices.Delete(s.list, 0, 1), false
	}
	s.list = append(s.list, step{v, at})
}

// when is the moment at which a revision was first there, and whether that is known.
func (s *steps) when(revision int64) (time.Time, bool) {
	for i, one := range s.list {
		if one.version.Revision >= revision {
			return one.at, i > 0 || s.known
		}
	}
	return time.Time{}, false
}

// has says whether a revision itself is one of the steps.
func (s *steps) has(revision int64) bool {
	return slices.ContainsFunc(s.list, func(one step) bool { return one.version.Revision == revision })
}

// Reached is when an edge was first heard to serve a revision or a newer one; zero if it was before anybody listened, or is still to
// come.
func (f *Fleet) Reached(edge string, revision int64) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.steps[edge]; s != nil {
		if at, known := s.when(revision); known {
			return at
		}
	}
	return time.Time{}
}

// Published takes in that a version was published at a moment.
func (f *Fleet) Published(v contract.Version, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.published.reach(v, at, false)
	f.announce()
}

// PublishTime is when a revision was published; zero if that is not known.
func (f *Fleet) PublishTime(revision int64) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, known := f.published.when(revision); known || f.published.has(revision) {
		return at
	}
	return time.Time{}
}

// Changed is closed at the next heartbeat of any edge, or when a revision is published.
func (f *Fleet) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.changed
}

// announce wakes who waits for a heartbeat. It needs mu.
func (f *Fleet) announce() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}
