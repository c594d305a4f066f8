package escrow_test

import (
	"slices"

	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
)

// span is windows that share a limit: one, or so many days of a rolling period.
type span struct {
	windows []contract.Window
	days    int
	bound   money.Nanos // the limit, or what was allocated when it was lowered
	over    money.Nanos // by what the bound may have been exceeded: see checkSpans
}

// open makes an account's current window exist, and the span that begins with it.
func (s *sim) open(p *account, limit money.Nanos) {
	p.now = contract.Window{Account: p.number, Gen: 1}
	if p.days == 0 {
		s.book.Open(p.now, limit, 1)
	} else {
		p.now.Start = p.day * 86400
		s.book.OpenDay(p.now, limit, 1, p.days, p.day)
		for _, n := range s.spans {
			if n.windows[0].Account == p.number && len(n.windows) < n.days {
				n.windows = append(n.windows, p.now)
			}
		}
	}
	s.windows = append(s.windows, p.now)
	s.spans = append(s.spans, &span{windows: []contract.Window{p.now}, days: int(p.days), bound: limit})
}

// midnight begins a new day. Requests in flight settle into the day that they began in.
func (s *sim) midnight() {
	for _, p := range s.accounts {
		if p.days > 0 && p.day < 20_010 {
			p.day++
			s.open(p, s.book.Accounts[p.now].Limit)
			s.count["midnight"]++
		}
	}
}

func (s *sim) spansOf(w contract.Window) []*span {
	return slices.DeleteFunc(slices.Clone(s.spans), func(n *span) bool { return !slices.Contains(n.windows, w) })
}

// spend notes what is truly spent, or could be.
func (s *sim) spend(w contract.Window, inc int64, nanos money.Nanos) {
	s.spent[w] += nanos
	if s.by[w] == nil {
		s.by[w] = map[int64]money.Nanos{}
	}
	s.by[w][inc] += nanos
}

// exceed notes what no grant covered.
func (s *sim) exceed(w contract.Window, inc int64, nanos money.Nanos) {
	if s.over[w] == nil {
		s.over[w] = map[int64]money.Nanos{}
	}
	s.over[w][inc] += nanos
	for _, n := range s.spansOf(w) {
		n.over += nanos
	}
}

// checkSpans: nothing is overspent but by what cost more than was held for it since the last time that
// what was allocated was within the limit, and what had done so before and was not known then.
func (s *sim) checkSpans() {
	for _, n := range s.spans {
		var spent, alloc, unknown money.Nanos
		for _, w := range n.windows {
			spent += s.spent[w]
			alloc += s.book.Accounts[w].Alloc
			for inc, x := range s.by[w] {
				unknown += min(s.over[w][inc], max(0, x-s.book.Leases[w][inc].Alloc()))
			}
		}
		if alloc <= n.bound {
			n.over = unknown
		}
		if spent > n.bound+n.over {
			s.fail("overspent %v: %d of %d and %d", n.windows, spent, n.bound, n.over)
		}
	}
}

// correct books that something had cost more or less.
func (s *sim) correct(w contract.Window) {
	nanos := money.Nanos(s.rng.IntN(20)) - min(10, s.book.Spent(w))
	before := s.book.Accounts[w].Alloc
	freed := s.book.Correct(w, nanos)
	s.spend(w, escrow.Corrections, nanos)
	if nanos > 0 {
		s.exceed(w, escrow.Corrections, nanos)
	}
	if got := s.book.Accounts[w].Alloc - before; got != nanos {
		s.fail("a correction by %d allocated %d", nanos, got)
	}
	if freed {
		s.tell([]int64{w.Account})
	}
	s.count["corrected"]++
}

// miss is what people do about a machine that is gone: mark it, release what it held, or find it.
func (s *sim) miss(i int) {
	inc := s.away[i].log.inc
	switch s.rng.IntN(3) {
	case 0:
		if s.book.MarkLost(inc) {
			s.count["marked lost"]++
		}
	case 1:
		held := map[contract.Window]money.Nanos{}
		for _, w := range s.windows {
			held[w] = s.book.Leases[w][inc].Unspent()
		}
		nanos, freed, ok := s.book.Release(inc)
		for _, w := range s.windows {
			if ok {
				s.exceed(w, inc, held[w])
				nanos -= held[w]
			}
		}
		if ok {
			s.tell(freed)
			s.count["released"]++
		}
		if nanos != 0 {
			s.fail("released %d more than was held", nanos)
		}
	default:
		s.find(i)
	}
}

func (s *sim) find(i int) {
	a := s.away[i]
	s.away = slices.Delete(s.away, i, i+1)
	a.edge.old = append(a.edge.old, a.log)
	s.count["found"]++
}

// missing is what was spent and is on machines that are gone.
func (s *sim) missing(w contract.Window) (sum money.Nanos) {
	for _, a := range s.away {
		for _, ev := range a.log.events[min(s.book.Incs[a.log.inc].HWM, uint64(len(a.log.events))):] {
			for _, d := range ev.Draws {
				if d.Window == w {
					sum += d.Nanos
				}
			}
		}
	}
	return sum
}

// left is what can be spent of a window yet: all but what others have taken, what was spent, and what
// is held by those who cannot give back.
func (s *sim) left(w contract.Window) money.Nanos {
	left := s.book.Free(w)
	for _, e := range s.edges {
		left += s.book.Leases[w][e.inc].Alloc() - s.by[w][e.inc]
	}
	return left
}
