package simulation_test

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/edge/admit"
	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
)

// check is what holds after every step, whatever has happened.
func (w *world) check() {
	for _, p := range w.parts {
		if err := p.book.Check(); err != nil {
			w.fail("partition %d: %w", p.n, err)
		}
	}
	for win, t := range w.truth {
		a := w.account(win.Account)
		limit := t.bound + t.over + t.lost
		switch {
		case a.days > 0:
			continue // see checkSpans
		case a.soft && a.overdraft == 0:
			continue
		case a.soft:
			limit += money.Nanos(t.lives) * a.overdraft
		}
		if t.spent > limit {
			w.fail("overspent %v: %d of %d (bound %d, overruns %d, lost grants %d)", win, t.spent, limit, t.bound, t.over, t.lost)
		}
	}
	w.checkSpans()
	w.checkLimits()
}

// checkSpans: what days of a rolling account that count together have cost is within its limit.
func (w *world) checkSpans() {
	for _, a := range w.accounts {
		if a.days == 0 || a.soft {
			continue
		}
		p := w.parts[a.part]
		for win, t := range w.truth {
			if win.Account != a.id {
				continue
			}
			day := p.book.Accounts[win].Day
			var spent, slack money.Nanos
			bound := t.bound
			for other, o := range w.truth {
				if d := p.book.Accounts[other].Day; other.Account == a.id && other.Gen == win.Gen && d <= day && d > day-int64(a.days) {
					spent += o.spent
					slack += o.over + o.lost
					bound = max(bound, o.bound)
				}
			}
			if spent > bound+slack {
				w.fail("overspent the %d days to %v: %d of %d", a.days, win, spent, bound+slack)
			}
		}
	}
}

// edgeOf is the edge that has the spool of an incarnation.
func (w *world) edgeOf(inc int64) *edge {
	for _, e := range w.edges {
		if slices.Contains(e.incs, inc) {
			return e
		}
	}
	return nil
}

func partOf(subject string) int {
	n, err := strconv.Atoi(strings.Split(subject, ".")[3])
	if err != nil {
		panic(err)
	}
	return n
}

// pump lets everything happen that is under way, for some rounds of a little time each.
func (w *world) pump(rounds int) {
	for range rounds {
		w.now = w.now.Add(100 * time.Millisecond)
		w.deliverAll()
		for _, p := range w.parts {
			p.recall(nil)
		}
		for _, e := range w.edges {
			e.buy()
			for _, part := range e.book.Parts() {
				e.askPart(part)
			}
		}
		w.deliverAll()
		for _, e := range w.edges {
			for _, q := range slices.Clone(e.waiting) {
				e.try(q)
			}
			for e.publish() {
			}
			e.tidy()
			e.sweep()
		}
		for _, p := range w.parts {
			for p.consume() {
			}
		}
		w.deliverAll()
		w.check()
		if w.err != nil {
			return
		}
	}
}

// quiesce ends the faults and lets everything come to rest. Then what is booked has to be what was
// spent, and one edge has to be able to spend all that is left of each budget.
func (w *world) quiesce() {
	w.faults = false
	for _, e := range w.edges {
		e.settleAll()
		e.skew = 0
	}
	w.restartEnded()
	// Long enough for the slowest of the timers that repeat what was lost.
	for range 8 {
		w.pump(20)
		w.now = w.now.Add(15 * time.Second)
	}
	w.pump(20)
	if w.err != nil {
		return
	}
	w.checkBooked()
	for _, a := range w.accounts {
		if !a.soft && w.err == nil {
			w.spendRest(a)
		}
	}
	w.spendLimits()
	w.pump(40)
	w.checkBooked()
}

// settleAll ends the requests of an edge: those that wait unserved, and those at the vendor in full.
func (e *edge) settleAll() {
	for _, q := range e.waiting {
		if q.limits != nil {
			q.limits.End()
		} else {
			q.wanted.End()
		}
		q.f.pass.Release()
	}
	e.waiting = nil
	for len(e.flight) > 0 {
		e.settle(e.flight[0], e.flight[0].held)
	}
}

// checkBooked: the books have what was spent, but for what was only on machines that are lost.
func (w *world) checkBooked() {
	for win, t := range w.truth {
		booked := w.parts[w.account(win.Account).part].book.Spent(win)
		if booked > t.spent || booked < t.spent-t.gone {
			w.fail("%v: %d booked of %d spent, %d of that on lost machines", win, booked, t.spent, t.gone)
		}
	}
}

// left is what can still be spent of an account now.
func (w *world) left(a *account) money.Nanos {
	p := w.parts[a.part]
	acc, ok := p.book.Accounts[a.window(w.now)]
	if !ok {
		// Nobody has asked for this window yet; of a rolling period, others may have taken a share.
		p.grantable(a.window(w.now))
		acc = p.book.Accounts[a.window(w.now)]
	}
	used := money.Nanos(0)
	win := a.window(w.now)
	for inc, l := range p.book.Leases[win] {
		if w.live(inc) {
			used += l.Consumed
		} else {
			used += l.Alloc()
		}
	}
	return acc.Limit - acc.Prior - used
}

// live says whether an incarnation is one that runs, or has ended and given back everything.
func (w *world) live(inc int64) bool {
	return inc == escrow.Corrections || w.edgeOf(inc) != nil
}

// spendRest lets one edge spend what is left of a budget, to its last request. Another one holds some
// of it idle, and some in a request that fails in the end.
func (w *world) spendRest(a *account) {
	e, other := w.edges[0], w.edges[len(w.edges)-1]
	if w.coin(2) {
		e, other = other, e
	}
	for _, x := range w.edges { // all have heard of the last change
		x.accounts[a.id] = a.compiled()
		x.skew = 0
	}
	defer e.settleAll() // what is left when the window has ended meanwhile
	defer other.settleAll()
	win := a.window(w.now)
	if w.left(a) > 0 {
		other.request([]*admit.Account{other.accounts[a.id]}, 1+money.Nanos(w.rng.Int64N(int64(w.left(a)))), nil)
		w.pump(3)
	}
	for stuck := 0; w.err == nil && a.window(w.now) == win; stuck++ {
		left := w.left(a)
		if left <= 0 && len(other.flight) == 0 {
			w.count["budgets spent whole"]++
			w.raiseHelps(e, a)
			return
		}
		if len(other.flight) > 0 && (left <= 0 || stuck > 20) {
			other.settle(other.flight[0], 0)
			w.pump(1)
			continue
		}
		q := e.request([]*admit.Account{e.accounts[a.id]}, max(1, min(left, 1+money.Nanos(w.rng.IntN(40)))), nil)
		for range 30 {
			if len(e.flight) > 0 || !slices.Contains(e.waiting, q) {
				break
			}
			w.pump(1)
		}
		if len(e.flight) > 0 {
			e.settle(e.flight[0], []money.Nanos{0, e.flight[0].held, e.flight[0].held}[w.rng.IntN(3)])
			w.count["spent at the end"]++
			stuck = 0
		}
		if stuck > 200 {
			w.fail("%d of %v cannot be spent by %s: %+v, %+v", left, win, e.name, w.parts[a.part].book.Accounts[win], w.parts[a.part].book.Leases[win])
		}
	}
}

// raiseHelps: who was refused because a budget is used up passes soon after it was raised.
func (w *world) raiseHelps(e *edge, a *account) {
	price := money.Nanos(1)
	if left := w.left(a); left > 0 {
		price += left
	}
	q := e.request([]*admit.Account{e.accounts[a.id]}, price, nil)
	for range 20 {
		if !slices.Contains(e.waiting, q) {
			break
		}
		w.pump(1)
	}
	if len(e.flight) > 0 || slices.Contains(e.waiting, q) {
		e.settleAll() // the window is another one by now, or nobody says that the budget is used up
		return
	}
	a.version++
	a.limit += max(0, -w.left(a)) + price + 10
	w.tellEdges(a)
	w.parts[a.part].apply(a)
	w.deliverAll()
	win := a.window(w.now)
	q = e.request([]*admit.Account{e.accounts[a.id]}, price, nil)
	for range 20 {
		if !slices.Contains(e.waiting, q) {
			break
		}
		w.pump(1)
	}
	if len(e.flight) == 0 && a.window(w.now) == win {
		w.fail("%s is refused %d of %v two seconds after it was raised: %+v", e.name, price, win, w.parts[a.part].book.Accounts[win])
		return
	}
	e.settleAll()
	w.count["raises helped"]++
}

// destroy takes the machine with its disk. Another one of the same name takes its place.
func (e *edge) destroy() {
	for win, spent := range e.spent {
		p := e.w.parts[e.w.account(win.Account).part]
		for _, inc := range e.incs {
			// Nobody could send again what a database loses afterwards.
			if !e.w.shape.losses {
				spent -= p.book.Leases[win][inc].Consumed
			}
		}
		e.w.of(win).gone += spent // some of it may be in the stream
	}
	for _, p := range e.w.parts {
		for _, inc := range e.incs {
			p.book.MarkLost(inc)
		}
	}
	clear(e.spent)
	e.incs, e.inc = nil, 0
	e.disk = spool.NewMemory()
	e.boot()
	e.w.count["machines lost"]++
}

// freeUpTo tells a spool that what it has just published is booked.
func (e *edge) freeUpTo(p *partition, data []byte) {
	b := decode(data, &eventv1.SpendBatch{})
	e.pub.Mark(&eventv1.Mark{Inc: b.GetInc(), Part: p.n, Hwm: b.GetFirstSeq() + uint64(len(b.GetEvents())) - 1, Epoch: p.history})
}
