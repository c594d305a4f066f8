package escrow_test

import (
	"slices"

	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
)

// edge is as much of an edge as the protocol can see: what it holds, the requests in flight, and the
// log on its disk that outlives it.
type edge struct {
	name   string
	inc    int64
	leases map[contract.Window]*held
	flight []request
	need   map[contract.Window]money.Nanos // of the request that waits
	denied map[contract.Window]refusal
	log    *spool
	old    []*spool
}

// refusal is what an edge remembers of being told exhausted: requests that lack as much need not ask.
type refusal struct {
	version int64
	need    money.Nanos
}

func (e *edge) refused(w contract.Window) bool {
	no, ok := e.denied[w]
	return ok && e.need[w] >= no.need
}

// held is what an edge has of an account-window; ov is what it spent beyond what requests had held.
type held struct{ g, r, c, h, ov money.Nanos }

func (l *held) avail() money.Nanos { return l.g - l.r - l.c - l.h }

type request struct {
	price   money.Nanos
	windows []contract.Window
}

// spool is the log of one incarnation.
type spool struct {
	inc    int64
	edge   string
	events []escrow.Event
	marked uint64 // booked, as far as the edge knows
	sent   uint64
	freed  uint64 // dropped from the disk
}

func (e *edge) lease(w contract.Window) *held {
	l := e.leases[w]
	if l == nil {
		l = &held{}
		e.leases[w] = l
	}
	return l
}

func (e *edge) boot(inc int64) {
	e.inc = inc
	e.leases, e.flight = map[contract.Window]*held{}, nil
	e.need, e.denied = map[contract.Window]money.Nanos{}, map[contract.Window]refusal{}
	e.log = &spool{inc: inc, edge: e.name}
}

// admit takes every draw or none. A draw that falls short is what the edge asks for next.
func (s *sim) admit(e *edge, r request) bool {
	short := false
	for _, w := range r.windows {
		if a := e.lease(w).avail(); a < r.price {
			e.need[w] = r.price - a
			short = true
		}
	}
	if short {
		return false
	}
	for _, w := range r.windows {
		e.lease(w).h += r.price
		s.spend(w, e.inc, r.price)
		delete(e.need, w)
	}
	e.flight = append(e.flight, r)
	s.count["admitted"]++
	return true
}

// settle ends a request, charged or not.
func (s *sim) settle(e *edge, i int, charged bool) {
	r := e.flight[i]
	e.flight = slices.Delete(e.flight, i, i+1)
	var ev escrow.Event
	cost := r.price
	if s.overruns && s.faults && s.rng.IntN(4) == 0 { // it cost more than was held for it
		cost += money.Nanos(1 + s.rng.IntN(int(r.price)))
		s.count["overrun"]++
	}
	for _, w := range r.windows {
		l := e.lease(w)
		l.h -= r.price
		if charged {
			l.c += cost
			l.ov += cost - r.price
			s.spend(w, e.inc, cost-r.price)
			s.exceed(w, e.inc, cost-r.price)
			ev.Draws = append(ev.Draws, escrow.Draw{Window: w, Nanos: cost})
		} else {
			s.spend(w, e.inc, -r.price)
		}
	}
	e.log.events = append(e.log.events, ev)
	if !charged { // what came back may be what another edge waits for
		for _, w := range r.windows {
			s.giveBack(e, w)
		}
	}
}

// giveBack lowers what the edge holds before it says so.
func (s *sim) giveBack(e *edge, w contract.Window) {
	l := e.lease(w)
	x := l.avail()
	if x <= 0 {
		return
	}
	ask := escrow.Ask{Seen: l.g, Returned: l.r + x, Used: l.c + l.h, Consumed: l.c}
	if !s.is(returnBeforeLowering) || s.rng.IntN(2) == 0 {
		l.r += x
	}
	s.send(packet{kind: toLedger, line: escrow.Line{Window: w, Inc: e.inc, Edge: e.name, Ask: ask, Grantable: true}})
	s.count["returned"]++
}

// ask sends a lease line. With nothing needed it is the periodic one.
func (s *sim) ask(e *edge, w contract.Window, need money.Nanos) {
	l := e.lease(w)
	ask := escrow.Ask{Seen: l.g, Returned: l.r, Used: l.c + l.h, Consumed: l.c, Need: need}
	if need > 0 && s.rng.IntN(2) == 0 {
		ask.Want = 16 * need
	}
	if s.least {
		ask.Least = need // one request waits, and part of it helps nobody
	}
	s.send(packet{kind: toLedger, line: escrow.Line{
		Window: w, Inc: e.inc, Edge: e.name, Ask: ask, Grantable: true, Active: 1 + s.rng.IntN(len(s.edges)),
	}})
}

func (s *sim) onAnswer(e *edge, a escrow.Answer, base, need money.Nanos) {
	if a.Inc != e.inc {
		return
	}
	l := e.lease(a.Window)
	if s.is(deltaGrants) {
		l.g += a.Granted - base
	} else {
		l.g = max(l.g, a.Granted)
	}
	if a.State == escrow.Exhausted {
		e.denied[a.Window] = refusal{a.Version, max(1, base+need-a.Granted)}
	} else if no, ok := e.denied[a.Window]; ok && a.Version > no.version {
		delete(e.denied, a.Window)
	}
}

// kill ends the process. Its log is on disk: what was in flight is charged in full, and after that
// the log is closed.
func (s *sim) kill(e *edge) {
	for _, r := range e.flight {
		var ev escrow.Event
		for _, w := range r.windows {
			if !s.is(inDoubtRefunded) {
				ev.Draws = append(ev.Draws, escrow.Draw{Window: w, Nanos: r.price})
			}
		}
		e.log.events = append(e.log.events, ev)
	}
	if s.is(sameIncarnation) {
		log := e.log
		e.boot(e.inc)
		e.log = log
		return
	}
	e.log.events = append(e.log.events, escrow.Event{Close: true})
	e.log.sent = e.log.marked
	if s.losses && s.rng.IntN(3) == 0 { // and its machine is gone, perhaps for ever
		s.away = append(s.away, away{e, e.log})
	} else {
		e.old = append(e.old, e.log)
	}
	if s.is(closedBeforeDrained) {
		s.seize(e.inc)
	}
	s.incs++
	e.boot(s.incs)
	s.count["killed"]++
}

// publish puts the next batch into the stream, perhaps twice.
func (s *sim) publish(p *spool) {
	first := max(p.sent, p.freed) + 1
	if first > uint64(len(p.events)) {
		return
	}
	last := min(uint64(len(p.events)), first+uint64(s.rng.IntN(5)))
	b := escrow.Batch{Inc: p.inc, Edge: p.edge, First: first, Events: slices.Clone(p.events[first-1 : last])}
	s.stream = append(s.stream, b)
	if s.faults && s.rng.IntN(6) == 0 {
		s.stream = append(s.stream, b)
	}
	p.sent = last
	if s.is(freedOnPublish) {
		p.freed = last
	}
}

func (s *sim) onMark(e *edge, inc int64, hwm uint64, gap bool) {
	for _, p := range e.spools() {
		if p.inc != inc {
			continue
		}
		p.marked = max(p.marked, hwm)
		if gap || p.sent < p.marked {
			p.sent = p.marked
		}
	}
}

func (e *edge) spools() []*spool { return append([]*spool{e.log}, e.old...) }
