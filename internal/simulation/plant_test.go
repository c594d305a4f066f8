package simulation_test

import (
	"fmt"
	"maps"
	"slices"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
)

// plant is a mistake planted into a world, always outside the product's code: in what goes in or comes
// out of it, or in the database between two of its transactions.
type plant uint8

const (
	none plant = iota
	// Between edges and ledger.
	deltaGrants
	deltaReturns
	returnBeforeLowering
	returnWithoutSeen
	neverToldAgain
	neverRecalled
	editUntold
	freedUntold
	sameIncarnation
	marksNeverGoBack
	// At the ledger.
	noLimit
	limitAgainstSpent
	staleLeader
	recallStorm
	tokensForEver
	permitsUnlearned
	toldBeforeCommit
	grantToClosed
	closedBeforeDrained
	reclaimedOnTimeout
	editTakesBack
	overrunForgotten
	deniesAll
	noMark
	gapSkipped
	markApart
	dedupByWindow
	positionTrusted
	windowOfNow
	// At the edge.
	noIntents
	refundInDoubt
	freedOnPublish
	partialReserveKept
	plants
)

func (p plant) String() string {
	names := [...]string{
		"none",
		"grants as delta", "returns as delta", "return told before avail is lowered", "return without what was seen",
		"lost grant never told again", "never recalled", "edit untold", "freed money untold", "same incarnation after restart", "marks never go back",
		"no limit", "limit against what is spent", "replaced leader grants from memory", "recalls not paced", "tokens live for ever", "permits given before edges have told theirs",
		"told before the commit", "grant to a closed incarnation",
		"closed before its spool is drained", "lease reclaimed on timeout", "edit takes leases back", "overrun not made a grant", "denies everything",
		"no mark", "gap skipped", "mark in another transaction", "only recent repetitions noticed", "position trusted after a wipe", "settled into the window of now",
		"no intents", "in doubt refunded", "spool freed when published", "part of a reserve kept",
	}
	if int(p) < len(names) {
		return names[p]
	}
	return fmt.Sprintf("plant(%d)", uint8(p))
}

// adapt makes a world in which a mistake has a chance to show.
func (p plant) adapt(s *shape) {
	switch p {
	case marksNeverGoBack, returnWithoutSeen:
		s.losses = true
	case editTakesBack, editUntold:
		s.edits = true
	case tokensForEver, permitsUnlearned:
		s.limits, s.quick, s.unsteady = true, true, p == permitsUnlearned
	case overrunForgotten:
		s.overruns = true
	default:
	}
}

// before spoils what a request says.
func (w *world) before(p *partition, lines []escrow.Line) {
	for i := range lines {
		q := &lines[i]
		switch w.plant {
		case deltaReturns:
			q.Ask.Returned = min(q.Ask.Seen, p.book.Leases[q.Window][q.Inc].Returned+q.Ask.Returned)
		case returnBeforeLowering:
			if unspent := q.Ask.Seen - q.Ask.Returned - q.Ask.Used; unspent > 0 && w.coin(4) {
				q.Ask.Returned += unspent
			}
		case returnWithoutSeen:
			if l := p.book.Leases[q.Window][q.Inc]; q.Ask.Seen > l.Granted {
				q.Ask.Seen = l.Granted
			}
		case grantToClosed:
			if inc, ok := p.book.Incs[q.Inc]; ok && inc.State.Ended() {
				inc.State = escrow.Live
				p.book.Incs[q.Inc] = inc
			}
		default:
		}
	}
}

// after spoils what a ledger answers.
func (w *world) after(p *partition, q packet, r *eventv1.LeaseReply) {
	var req eventv1.LeaseRequest
	decode(q.data, &req)
	switch w.plant {
	case deltaGrants:
		for i, g := range r.GetLines() {
			g.GrantedTotal += g.GetGrantedTotal() - req.GetLines()[i].GetGrantedSeen()
		}
	case neverToldAgain:
		for i, g := range r.GetLines() {
			if req.GetLines()[i].GetNeed() == 0 && req.GetLines()[i].GetWant() == 0 {
				g.GrantedTotal = min(g.GetGrantedTotal(), req.GetLines()[i].GetGrantedSeen())
			}
		}
	default:
	}
	_ = p
}

// lease is Book.Lease, or that with the mistake.
func (p *partition) lease(lines []escrow.Line) escrow.Outcome {
	w := p.w
	type undo = map[contract.Window]escrow.Account
	change := func(f func(contract.Window, escrow.Account) escrow.Account) undo {
		old := undo{}
		for win, a := range p.book.Accounts {
			old[win] = a
			p.book.Accounts[win] = f(win, a)
		}
		return old
	}
	switch w.plant {
	case noLimit:
		old := change(func(_ contract.Window, a escrow.Account) escrow.Account { a.Limit = 1 << 40; return a })
		defer func() {
			for win, was := range old {
				a := p.book.Accounts[win]
				a.Limit = was.Limit
				p.book.Accounts[win] = a
			}
		}()
	case limitAgainstSpent:
		less := map[contract.Window]money.Nanos{}
		change(func(win contract.Window, a escrow.Account) escrow.Account {
			less[win] = a.Alloc - p.book.Spent(win)
			a.Alloc -= less[win]
			return a
		})
		defer func() {
			for win, x := range less {
				a := p.book.Accounts[win]
				a.Alloc += x
				p.book.Accounts[win] = a
			}
		}()
	case staleLeader:
		if p.stale == nil || w.coin(400) {
			p.stale = p.book.Clone()
		}
		if w.coin(6) { // the one that was replaced answers, and what it writes is added to what is there
			return p.leaseStale(lines)
		}
	case deniesAll:
		change(func(_ contract.Window, a escrow.Account) escrow.Account { a.Closed = true; return a })
		defer change(func(_ contract.Window, a escrow.Account) escrow.Account { a.Closed = false; return a })
	default:
	}
	return p.book.Lease(lines, p.mem)
}

// leaseStale decides on what was true once.
func (p *partition) leaseStale(lines []escrow.Line) escrow.Outcome {
	for win, a := range p.stale.Accounts {
		if now, ok := p.book.Accounts[win]; ok {
			now.Alloc, a.Alloc = a.Alloc, now.Alloc
			p.book.Accounts[win], p.stale.Accounts[win] = now, a
		}
	}
	before := map[contract.Window]money.Nanos{}
	for win, a := range p.book.Accounts {
		before[win] = a.Alloc
	}
	out := p.book.Lease(lines, p.mem)
	for win, a := range p.book.Accounts {
		if old, ok := p.stale.Accounts[win]; ok {
			a.Alloc += old.Alloc - before[win]
			p.book.Accounts[win] = a
		}
	}
	p.stale = nil
	return out
}

// book1 is Book.Apply, or that with the mistake.
func (p *partition) book1(b escrow.Batch) escrow.Booked {
	w := p.w
	inc, ok := p.book.Incs[b.Inc]
	if !ok {
		inc.Edge = b.Edge
	}
	hwm := inc.HWM
	repeated := b.First <= hwm
	switch {
	case w.is(noMark) && repeated, w.is(gapSkipped) && b.First > hwm+1,
		w.is(dedupByWindow) && repeated && !slices.Contains(p.recent, fmt.Sprint(b.Inc, b.First)):
		inc.HWM = b.First - 1
		p.book.Incs[b.Inc] = inc
	}
	if w.is(dedupByWindow) {
		p.recent = append(p.recent, fmt.Sprint(b.Inc, b.First))
		p.recent = p.recent[max(0, len(p.recent)-8):]
	}
	if w.is(windowOfNow) {
		for i := range b.Events {
			for k := range b.Events[i].Draws {
				d := &b.Events[i].Draws[k]
				if a, ok := p.accounts[d.Window.Account]; ok {
					if now := a.window(w.now); p.book.Accounts[now].Limit > 0 {
						d.Window = now
					}
				}
			}
		}
	}
	over := maps.Clone(p.book.Accounts)
	out := p.book.Apply(b)
	if w.is(overrunForgotten) {
		for win, a := range p.book.Accounts {
			if forced := a.Overrun - over[win].Overrun; forced > 0 {
				a.Alloc -= forced
				p.book.Accounts[win] = a
			}
		}
	}
	if w.is(markApart) && w.fault(15) { // killed between two transactions
		inc = p.book.Incs[b.Inc]
		inc.HWM = hwm
		p.book.Incs[b.Inc] = inc
	}
	return out
}

// seize takes back at the ledger what edges have not settled.
func (p *partition) seize(win contract.Window) {
	for inc := range p.book.Leases[win] {
		p.seizeOf(win, inc)
	}
}

func (p *partition) seizeOf(win contract.Window, inc int64) {
	l, ok := p.book.Leases[win][inc]
	if !ok {
		return
	}
	a := p.book.Accounts[win]
	a.Alloc -= l.Unspent()
	l.Returned = l.Granted - l.Consumed
	p.book.Leases[win][inc] = l
	p.book.Accounts[win] = a
}

// close takes back what an incarnation holds.
func (p *partition) close(inc int64) {
	for win := range p.book.Leases {
		p.seizeOf(win, inc)
	}
}
