package escrow

import (
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/recent"
)

// maxRecalls is how often an incarnation is asked to give back before it counts as out of reach. It
// bounds how long others wait for one that was killed.
const maxRecalls = 5

// Memory is what a leader remembers of lines, recalls and refusals: it tells money that lies idle from
// money that requests in flight hold, and what has to become free before edges that were refused should
// hear of it. It never decides what is granted, so that losing it costs a few messages. A nil Memory
// remembers nothing.
type Memory struct {
	seen *recent.Map[seat, hint]
	// refused is the smallest amount that would have helped whoever was refused since edges last heard
	// that something is free; nobody for none. Of a window that is not in it nothing is known.
	refused *recent.Map[contract.Window, money.Nanos]
}

// seat is one incarnation at one account-window.
type seat struct {
	window contract.Window
	inc    int64
}

// nobody waits for so much.
const nobody = money.Max

type hint struct {
	used    money.Nanos
	recalls int // sent since the last line
}

// mostHints keeps the memory from growing with every window there ever was: those that edges contend for
// are asked for all the time, and stay.
const mostHints = 50_000

// NewMemory makes an empty memory.
func NewMemory() *Memory {
	return &Memory{seen: recent.New[seat, hint](mostHints), refused: recent.New[contract.Window, money.Nanos](mostHints)}
}

func (m *Memory) observe(q Line) {
	if m != nil {
		m.seen.Put(seat{q.Window, q.Inc}, hint{used: q.Ask.Used})
	}
}

// Recalled notes that a recall was sent.
func (m *Memory) Recalled(r Recall) {
	if m != nil {
		h, _ := m.seen.Get(seat{r.Window, r.Inc})
		h.recalls++
		m.seen.Put(seat{r.Window, r.Inc}, h)
	}
}

// returnable says whether waiting for an incarnation to give something back is worth it.
func (m *Memory) returnable(w contract.Window, inc int64, l Lease) bool {
	if m == nil {
		return l.Unspent() > 0
	}
	h, _ := m.seen.Get(seat{w, inc})
	return h.recalls < maxRecalls && l.Granted-l.Returned-max(l.Consumed, h.used) > 0
}

// refuse notes that somebody was refused for whom so much would have done. While it is not known who else
// was refused, before this memory began, anything that becomes free is told.
func (m *Memory) refuse(w contract.Window, lacking money.Nanos) {
	if m == nil {
		return
	}
	if before, known := m.refused.Get(w); known {
		m.refused.Put(w, min(before, lacking))
	}
}

// helps says whether so much that is free now helps whoever was refused. When that is not known it may.
func (m *Memory) helps(w contract.Window, free money.Nanos) bool {
	if free <= 0 || m == nil {
		return free > 0
	}
	lacking, known := m.refused.Get(w)
	return !known || lacking != nobody && free >= lacking
}

// Told notes that edges hear of what an outcome freed.
func (m *Memory) Told(out Outcome) {
	if m == nil {
		return
	}
	for _, w := range out.freed {
		m.refused.Put(w, nobody)
	}
}
