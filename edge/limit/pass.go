package limit

import eventv1 "tollgate/gen/tollgate/event/v1"

// Pass is what a request has taken of its limits. The zero value has taken nothing. Whoever has one
// defers Release; a Settle before it says that the request was sent. It is not for use by several
// goroutines at once, and not to be copied.
type Pass struct {
	holds []hold // in order of limit
	few   [8]hold
	state uint8
}

const (
	settled = 1 << iota
	released
)

// hold is what was taken of one limit.
type hold struct {
	limit *Limit
	line  *line
	chunk *chunk // where the tokens are from
	n     int64
	taken taken
}

// taken says what of a limit was taken.
type taken uint8

const (
	nothing taken = iota
	tokens        // of a chunk
	permit        // counted by its line
	share         // tokens of the share that an edge has without the ledger
	freely        // tokens of a limit that is open without the ledger
)

// reset makes p a pass of these limits that has taken nothing yet, each limit once.
func (p *Pass) reset(limits []*Limit, units int64) {
	p.holds = p.few[:0]
	p.state = 0
	for _, l := range limits {
		n := int64(1)
		if l.kind == eventv1.LimitKind_LIMIT_KIND_UNITS {
			n = max(0, units)
		}
		at := len(p.holds)
		for at > 0 && p.holds[at-1].limit.id > l.id {
			at--
		}
		if at > 0 && p.holds[at-1].limit.id == l.id {
			continue
		}
		p.holds = append(p.holds, hold{})
		copy(p.holds[at+1:], p.holds[at:])
		p.holds[at] = hold{limit: l, n: n}
	}
}

// take takes what each limit asks for, or nothing.
func (p *Pass) take(now int64) bool {
	for i := range p.holds {
		if h := &p.holds[i]; !h.line.take(h, now) {
			p.undo(i)
			return false
		}
	}
	return true
}

// undo gives back what was taken of the first n limits.
func (p *Pass) undo(n int) {
	for i := range n {
		h := &p.holds[i]
		h.line.put(h)
	}
}

// Settle says that the request was sent and how many units it came to. What was taken beyond goes
// back, for as long as it lives; what was used beyond is paid out of what the ledger gives next.
func (p *Pass) Settle(units int64) {
	if len(p.holds) == 0 || p.state != 0 {
		return
	}
	p.state |= settled
	units = max(0, units)
	for i := range p.holds {
		h := &p.holds[i]
		if h.limit.kind != eventv1.LimitKind_LIMIT_KIND_UNITS || h.taken == freely {
			continue
		}
		switch more := units - h.n; {
		case more > 0:
			h.line.owe(more, h.limit)
		case more < 0 && h.taken == tokens:
			h.chunk.left.Add(-more)
			h.line.wake()
		}
	}
}

// Release ends the pass and frees its permits. Without a Settle before, the request counts as never
// sent, and what it took goes back.
func (p *Pass) Release() {
	if len(p.holds) == 0 || p.state&released != 0 {
		return
	}
	before := p.state
	p.state |= released
	for i := range p.holds {
		if h := &p.holds[i]; before == 0 || h.taken == permit {
			h.line.put(h)
		}
	}
}
