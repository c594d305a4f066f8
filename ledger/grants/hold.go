package grants

import (
	"time"
)

// holdFor is how long new money is kept back at most after a database was restored.
const holdFor = 10 * time.Second

// Hold keeps new money back at the beginning of a term on a database that was restored or that stands in
// for one that failed. Grants that it does not know of are allocated as soon as the edges that have them
// speak; granting before could give the same money twice. It is used by one goroutine. A nil Hold holds
// nothing.
type Hold struct {
	history int64
	until   time.Time
	silent  map[int64]bool // live incarnations that have not told all that they hold
	// on says that the history is new, as the leader knew or as an edge showed that remembers an older one.
	on bool
}

// NewHold makes a Hold for a term that begins now on a database of this history, with these incarnations
// that live. Restored says that the history began with this term; if it began shortly before, edges show
// it.
func NewHold(now time.Time, history int64, live []int64, restored bool) *Hold {
	h := &Hold{history: history, until: now.Add(holdFor), silent: map[int64]bool{}, on: restored}
	for _, inc := range live {
		h.silent[inc] = true
	}
	return h
}

// heard takes note of a request. An edge that knows the history, as its own spool shows, has told all of its
// leases before.
func (h *Hold) heard(now time.Time, r request) {
	if h == nil || now.After(h.until) {
		return
	}
	for _, s := range r.spools {
		if s.GetInc() == r.inc && s.GetHistory() >= h.history {
			delete(h.silent, r.inc)
		}
		h.on = h.on || s.GetHistory() > 0 && s.GetHistory() < h.history
	}
}

func (h *Hold) holds(now time.Time) bool {
	return h != nil && h.on && len(h.silent) > 0 && now.Before(h.until)
}
