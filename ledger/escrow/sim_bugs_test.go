package escrow_test

import (
	"slices"

	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
)

// bug is a mistake planted into the simulation.
type bug uint8

const (
	none bug = iota
	// At the ledger.
	noLimit
	limitAgainstSpent
	returnAsDelta
	noMark
	gapSkipped
	markApart
	grantToClosed
	closedBeforeDrained
	reclaimedOnTimeout
	toldBeforeCommit
	editTakesBack
	neverRecalled
	neverToldAgain
	freedUntold
	daysApart
	// At the edge.
	deltaGrants
	inDoubtRefunded
	returnBeforeLowering
	sameIncarnation
	freedOnPublish
	bugs
)

func (b bug) String() string {
	return [...]string{
		"none", "grant without limit", "limit against spent", "return as delta", "no mark", "gap skipped",
		"mark in another transaction", "grant to closed", "closed before drained", "reclaimed on timeout",
		"told before commit", "edit takes back", "never recalled", "never told again", "freed untold", "days apart",
		"grants as delta", "in doubt refunded", "return before lowering", "same incarnation", "log freed on publish",
	}[b]
}

// lease is Book.Lease, or that with the mistake.
func (s *sim) lease(lines []escrow.Line) escrow.Outcome {
	undo := func() {}
	switch s.bug {
	case noLimit:
		limits := map[contract.Window]money.Nanos{}
		for w, a := range s.book.Accounts {
			limits[w] = a.Limit
			a.Limit = 1 << 40
			s.book.Accounts[w] = a
		}
		undo = func() {
			for w, limit := range limits {
				a := s.book.Accounts[w]
				a.Limit = limit
				s.book.Accounts[w] = a
			}
		}
	case limitAgainstSpent:
		less := map[contract.Window]money.Nanos{}
		for w, a := range s.book.Accounts {
			less[w] = a.Alloc - s.book.Spent(w)
			a.Alloc -= less[w]
			s.book.Accounts[w] = a
		}
		undo = func() {
			for w, x := range less {
				a := s.book.Accounts[w]
				a.Alloc += x
				s.book.Accounts[w] = a
			}
		}
	case daysApart: // the days of a rolling period do not count together
		days := map[contract.Window]uint32{}
		for w, a := range s.book.Accounts {
			days[w], a.Days, a.Prior = a.Days, 0, 0
			s.book.Accounts[w] = a
		}
		undo = func() {
			for w, n := range days {
				a := s.book.Accounts[w]
				a.Days = n
				s.book.Accounts[w] = a
			}
		}
	case returnAsDelta:
		for i := range lines {
			q := &lines[i]
			l := s.book.Leases[q.Window][q.Inc]
			q.Ask.Returned = min(q.Ask.Seen, l.Returned+q.Ask.Returned)
		}
	case grantToClosed:
		for _, q := range lines {
			if inc := s.book.Incs[q.Inc]; inc.State.Ended() {
				inc.State = escrow.Live
				s.book.Incs[q.Inc] = inc
				undo = func() {
					inc.State = escrow.Closed
					s.book.Incs[q.Inc] = inc
				}
			}
		}
	default:
	}
	out := s.book.Lease(lines, s.mem)
	undo()
	for _, a := range out.Answers {
		switch a.State {
		case escrow.Pending:
			s.count["pending"]++
		case escrow.Exhausted:
			s.count["exhausted"]++
		default:
		}
	}
	return out
}

// apply is Book.Apply, or that with the mistake.
func (s *sim) apply(b escrow.Batch) escrow.Booked {
	inc := s.book.Incs[b.Inc]
	hwm := inc.HWM
	if s.is(noMark) && b.First <= hwm || s.is(gapSkipped) && b.First > hwm+1 {
		inc.HWM = b.First - 1
		s.book.Incs[b.Inc] = inc
	}
	out := s.book.Apply(b)
	if s.is(markApart) && s.faults && s.rng.IntN(15) == 0 { // killed between the two transactions
		inc = s.book.Incs[b.Inc]
		inc.HWM = hwm
		s.book.Incs[b.Inc] = inc
	}
	return out
}

// seize takes back at the ledger what an incarnation has not settled.
func (s *sim) seize(inc int64) {
	for w, leases := range s.book.Leases {
		l, ok := leases[inc]
		if !ok {
			continue
		}
		a := s.book.Accounts[w]
		a.Alloc -= l.Unspent()
		l.Returned = l.Granted - l.Consumed
		leases[inc] = l
		s.book.Accounts[w] = a
	}
}

// quiesce ends the faults and lets everything settle. Then what is booked must be what was spent, and
// one edge must be able to spend all that is left.
func (s *sim) quiesce() {
	s.faults = false
	for _, e := range s.edges {
		for len(e.flight) > 0 {
			s.settle(e, 0, true)
		}
	}
	for range len(s.away) { // some machines are never found
		if s.rng.IntN(2) == 0 {
			s.find(s.rng.IntN(len(s.away)))
		}
	}
	s.drain()
	for _, e := range s.edges { // the periodic lines: who missed a grant learns of it
		for _, w := range s.windows {
			s.ask(e, w, 0)
		}
	}
	s.drain()
	for _, w := range s.windows {
		if got, want := s.book.Spent(w), s.spent[w]-s.missing(w); got != want {
			s.fail("%v: %d booked, %d spent", w, got, want)
		}
	}
	for _, e := range s.edges { // what came late says nothing about now
		clear(e.denied)
		clear(e.need)
		for _, w := range s.windows { // what lies idle of days that are over goes back unasked
			if !slices.ContainsFunc(s.accounts, func(p *account) bool { return p.now == w }) {
				s.giveBack(e, w)
			}
		}
	}
	s.drain()
	for _, e := range s.edges {
		clear(e.denied)
	}
	for _, p := range s.accounts {
		i := s.rng.IntN(len(s.edges))
		s.spendRest(s.edges[i], s.edges[(i+1)%len(s.edges)], p.now)
	}
}

func (s *sim) drain() {
	for range 200 {
		for len(s.net) > 0 {
			s.deliver(0)
		}
		idle := true
		for _, e := range s.edges {
			for _, p := range e.spools() {
				if p.sent = p.marked; p.marked < uint64(len(p.events)) {
					idle = false
				}
				s.publish(p)
			}
		}
		for s.at < len(s.stream) {
			s.consume()
		}
		s.check()
		if s.err != nil || idle && len(s.net) == 0 {
			return
		}
	}
	s.fail("did not come to rest")
}

// spendRest lets one edge spend what is left of a budget. The others hold some of it idle, and one of
// them in a request that fails in the end. A budget that an edge was told is exhausted stays so for it
// until it hears otherwise.
func (s *sim) spendRest(e, other *edge, w contract.Window) {
	for range 5 {
		if len(other.flight) == 0 && !s.admit(other, s.priced(w)) {
			s.ask(other, w, other.need[w])
			s.deliverAll()
		}
	}
	for stuck := 0; s.err == nil; {
		left := s.left(w)
		denied := e.refused(w)
		switch {
		case len(other.flight) > 0 && denied:
			s.count["freed at the end"]++
			s.settle(other, 0, false)
			s.deliverAll()
		case left <= 0 && len(other.flight) == 0:
			return
		case s.admit(e, s.priced(w)):
			// Half of the requests fail, and what they held comes back.
			s.settle(e, len(e.flight)-1, s.rng.IntN(2) == 0)
			s.count["spent at the end"]++
			stuck = 0
		default:
			if stuck++; stuck > 60 {
				s.fail("%d of %v cannot be spent by %s: denied %v, %+v, %+v", left, w, e.name, e.denied, s.book.Accounts[w], s.book.Leases[w])
			}
			if !denied {
				s.ask(e, w, e.need[w])
			}
			s.deliverAll()
		}
	}
}

// priced is a request that what is left of a budget covers.
func (s *sim) priced(w contract.Window) request {
	left := s.left(w)
	return request{price: max(1, min(left, 1+money.Nanos(s.rng.IntN(12)))), windows: []contract.Window{w}}
}

func (s *sim) deliverAll() {
	for len(s.net) > 0 {
		s.deliver(0)
	}
	s.check()
}
