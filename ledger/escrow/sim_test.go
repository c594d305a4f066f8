package escrow_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
)

// sim is a world of edges and one ledger in which one seed decides everything that happens: which
// message arrives, twice, late or never, who is killed, which commit fails.
type sim struct {
	rng      *rand.Rand
	bug      bug
	faults   bool
	edits    bool
	overruns bool // requests may cost more than was held for them
	losses   bool // machines may vanish with their logs
	least    bool // a part of what is needed helps nobody
	edges    []*edge
	away     []away
	accounts []*account
	windows  []contract.Window // all that there ever were
	net      []packet
	stream   []escrow.Batch
	at       int // position in the stream
	incs     int64
	book     *escrow.Book
	mem      *escrow.Memory
	spent    map[contract.Window]money.Nanos           // truly: settled, or could be
	by       map[contract.Window]map[int64]money.Nanos // by which incarnation
	over     map[contract.Window]map[int64]money.Nanos // of that, what no grant covered when it was spent
	spans    []*span
	count    map[string]int
	err      error
}

// account is one budget. Of a rolling one days count together, and it has a window for each.
type account struct {
	number int64
	days   uint32
	day    int64
	now    contract.Window
}

// away is a log on a machine that is gone.
type away struct {
	edge *edge
	log  *spool
}

type packetKind uint8

const (
	toLedger packetKind = iota
	answer
	recall
	mark
	changed
)

type packet struct {
	kind packetKind
	edge *edge
	line escrow.Line
	ans  escrow.Answer
	base money.Nanos
	need money.Nanos
	win  contract.Window
	inc  int64
	hwm  uint64
	gap  bool
	acc  int64
}

func newSim(seed uint64, b bug) *sim {
	s := &sim{
		rng: rand.New(rand.NewPCG(seed, 7)), bug: b, faults: true,
		book: escrow.NewBook(), mem: escrow.NewMemory(),
		spent: map[contract.Window]money.Nanos{}, by: map[contract.Window]map[int64]money.Nanos{},
		over: map[contract.Window]map[int64]money.Nanos{}, count: map[string]int{},
	}
	s.edits, s.overruns, s.losses, s.least = s.rng.IntN(2) == 0, s.rng.IntN(3) == 0, s.rng.IntN(3) == 0, s.rng.IntN(2) == 0
	for i := range 1 + s.rng.IntN(3) {
		p := &account{number: int64(i + 1), day: 20_000}
		if s.rng.IntN(3) == 0 {
			p.days = uint32(2 + s.rng.IntN(2))
		}
		s.open(p, money.Nanos(30+s.rng.IntN(300)*(1+9*s.rng.IntN(2))))
		s.accounts = append(s.accounts, p)
	}
	for i := range 2 + s.rng.IntN(4) {
		s.incs++
		e := &edge{name: fmt.Sprintf("edge-%d", i)}
		e.boot(s.incs)
		s.edges = append(s.edges, e)
	}
	return s
}

func (s *sim) is(b bug) bool { return s.bug == b }

func (s *sim) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format, args...)
	}
}

func (s *sim) send(p packet) { s.net = append(s.net, p) }

func (s *sim) request() request {
	r := request{price: money.Nanos(1 + s.rng.IntN(12))}
	for _, i := range s.rng.Perm(len(s.accounts))[:1+s.rng.IntN(len(s.accounts))] {
		r.windows = append(r.windows, s.accounts[i].now)
	}
	return r
}

// deliver hands over one message. With faults one in ten is lost and one in twenty stays for again.
func (s *sim) deliver(i int) {
	p := s.net[i]
	x := 20
	if s.faults {
		x = s.rng.IntN(20)
	}
	if x != 0 {
		s.net = slices.Delete(s.net, i, i+1)
	}
	if x == 1 || x == 2 {
		s.count["lost"]++
		return
	}
	switch p.kind {
	case toLedger:
		lines := []escrow.Line{p.line}
		for len(lines) < 3 && s.rng.IntN(2) == 0 { // some share a transaction
			j := slices.IndexFunc(s.net, func(q packet) bool { return q.kind == toLedger })
			if j < 0 || x == 0 {
				break
			}
			lines = append(lines, s.net[j].line)
			s.net = slices.Delete(s.net, j, j+1)
		}
		s.decide(lines)
	case answer:
		s.onAnswer(p.edge, p.ans, p.base, p.need)
	case recall:
		if p.inc == p.edge.inc {
			s.giveBack(p.edge, p.win)
		}
	case mark:
		s.onMark(p.edge, p.inc, p.hwm, p.gap)
	case changed:
		maps.DeleteFunc(p.edge.denied, func(w contract.Window, _ refusal) bool { return w.Account == p.acc })
	}
}

func (s *sim) edgeOf(inc int64) *edge {
	name := s.book.Incs[inc].Edge
	for _, e := range s.edges {
		if e.name == name || e.inc == inc {
			return e
		}
	}
	return nil
}

// decide is the ledger's transaction on lease lines.
func (s *sim) decide(lines []escrow.Line) {
	for _, q := range lines {
		if _, ok := s.book.Incs[q.Inc]; !ok {
			s.book.Incs[q.Inc] = escrow.Incarnation{Edge: q.Edge}
		}
	}
	before := s.book.Clone()
	out := s.lease(lines)
	if s.faults && s.rng.IntN(15) == 0 { // the commit fails, so nobody is told
		s.book = before
		if !s.is(toldBeforeCommit) {
			return
		}
	} else if s.bug == none {
		if err := s.book.CheckGrants(before, out); err != nil {
			s.fail("grant: %w", err)
		}
	}
	s.mem.Told(out)
	for i, a := range out.Answers {
		if e := s.edgeOf(a.Inc); e != nil && (lines[i].Ask.Need > 0 || !s.is(neverToldAgain)) {
			s.send(packet{kind: answer, edge: e, ans: a, base: lines[i].Ask.Seen, need: lines[i].Ask.Need})
		}
	}
	for _, r := range out.Recalls {
		s.mem.Recalled(r)
		if e := s.edgeOf(r.Inc); e != nil && !s.is(neverRecalled) {
			s.send(packet{kind: recall, edge: e, inc: r.Inc, win: r.Window})
		}
	}
	s.tell(out.Freed)
}

func (s *sim) tell(accounts []int64) {
	if s.is(freedUntold) {
		return
	}
	for _, acc := range accounts {
		for _, e := range s.edges {
			s.send(packet{kind: changed, edge: e, acc: acc})
		}
	}
}

// consume is the ledger's transaction on one batch of the stream.
func (s *sim) consume() {
	if s.at >= len(s.stream) {
		return
	}
	b := s.stream[s.at]
	before := s.book.Clone()
	out := s.apply(b)
	if s.faults && s.rng.IntN(12) == 0 { // the commit fails
		s.book = before
		return
	}
	if s.bug == none {
		if err := s.book.CheckBooked(before, b, out); err != nil {
			s.fail("booked: %w", err)
		}
	}
	s.at++
	if e := s.edgeOf(b.Inc); e != nil {
		s.send(packet{kind: mark, edge: e, inc: b.Inc, hwm: s.book.Incs[b.Inc].HWM, gap: out.Verdict == escrow.Gap})
	}
	s.tell(out.Freed)
	s.checkPrefix(b.Inc)
}

// checkPrefix: what is booked of an incarnation is exactly the events up to its mark.
func (s *sim) checkPrefix(inc int64) {
	e := s.edgeOf(inc)
	if e == nil {
		return
	}
	for _, p := range e.spools() {
		if p.inc != inc {
			continue
		}
		sums := map[contract.Window]money.Nanos{}
		for _, ev := range p.events[:min(s.book.Incs[inc].HWM, uint64(len(p.events)))] {
			for _, d := range ev.Draws {
				sums[d.Window] += d.Nanos
			}
		}
		for _, w := range s.windows {
			if got := s.book.Leases[w][inc].Consumed; got != sums[w] {
				s.fail("I4: %v: %d booked of incarnation %d, and its first %d events add up to %d", w, got, inc, s.book.Incs[inc].HWM, sums[w])
			}
		}
	}
}

func (s *sim) edit() {
	p := s.accounts[s.rng.IntN(len(s.accounts))]
	w := p.now
	a := s.book.Accounts[w]
	limit := money.Nanos(20 + s.rng.IntN(500))
	if s.is(editTakesBack) && limit < a.Limit {
		for _, e := range s.edges {
			s.seize(e.inc)
		}
	}
	for _, n := range s.spansOf(w) {
		switch {
		case limit >= a.Limit:
			n.bound = max(n.bound, limit)
		case p.days == 0:
			n.bound = max(limit, s.book.Accounts[w].Alloc)
		}
	}
	s.book.SetLimit(w, limit, a.Version+1, false)
	s.tell([]int64{w.Account})
	s.count["edited"]++
}

// check is what holds after every step, whatever happened.
func (s *sim) check() {
	if err := s.book.Check(); err != nil {
		s.fail("book: %w", err)
	}
	s.checkSpans()
	for _, e := range s.edges {
		for w, l := range e.leases {
			row := s.book.Leases[w][e.inc]
			if l.g > row.Granted {
				s.fail("I2: %v: %s has seen %d granted of %d", w, e.name, l.g, row.Granted)
			}
			if l.r < row.Returned {
				s.fail("I3: %v: %s has returned %d, and the ledger has %d", w, e.name, l.r, row.Returned)
			}
			if l.avail()+l.ov < 0 {
				s.fail("I1: %v: %s has spent more than it holds: %+v", w, e.name, *l)
			}
		}
	}
}

func (s *sim) step() {
	e := s.edges[s.rng.IntN(len(s.edges))]
	switch x := s.rng.IntN(100); {
	case x < 30:
		s.admit(e, s.request())
	case x < 45:
		if n := len(e.flight); n > 0 {
			s.settle(e, s.rng.IntN(n), s.rng.IntN(4) > 0)
		}
	case x < 57:
		for _, w := range s.windows {
			if need := e.need[w]; need > 0 {
				if !e.refused(w) {
					s.ask(e, w, need)
				}
			}
		}
	case x < 77:
		if n := len(s.net); n > 0 {
			s.deliver(s.rng.IntN(n))
		}
	case x < 85:
		ps := e.spools()
		s.publish(ps[s.rng.IntN(len(ps))])
	case x < 93:
		s.consume()
	case x < 95: // nothing heard for a while: from the mark on, again
		for _, p := range e.spools() {
			p.sent = p.marked
		}
	case x < 97:
		s.giveBack(e, s.windows[s.rng.IntN(len(s.windows))])
	case x < 98:
		if n := len(s.away); n > 0 && s.rng.IntN(2) == 0 {
			s.miss(s.rng.IntN(n))
		} else if s.rng.IntN(2) == 0 {
			s.kill(e)
		} else if s.is(reclaimedOnTimeout) {
			s.seize(e.inc)
		}
	case x < 99:
		if s.edits && s.rng.IntN(3) == 0 {
			s.edit()
		}
		if s.rng.IntN(3) == 0 {
			s.midnight()
		}
		if s.overruns && s.rng.IntN(4) == 0 {
			s.correct(s.windows[s.rng.IntN(len(s.windows))])
		}
		if s.rng.IntN(4) == 0 { // another ledger takes over and remembers nothing
			s.mem = escrow.NewMemory()
		}
	default: // the stream loses its newest messages, or all that it has
		if n := len(s.stream); n > 0 && s.rng.IntN(3) == 0 {
			s.stream = s.stream[:n-1-s.rng.IntN(min(5, n))]
			if s.rng.IntN(8) == 0 {
				s.stream = nil
			}
			if s.at > len(s.stream) {
				s.at = 0
			}
		}
	}
	s.check()
}

func run(seed uint64, b bug, steps int) (*sim, error) {
	s := newSim(seed, b)
	for range 50 + s.rng.IntN(steps) {
		s.step()
		if s.err != nil {
			return s, s.err
		}
	}
	s.quiesce()
	return s, s.err
}

// Guarantee: no budget is overspent, no spend is lost or counted twice, and no money is stranded,
// whatever the network, the stream, the database and kill -9 do.
func TestProtocol(t *testing.T) {
	t.Parallel()
	total := map[string]int{}
	for seed := range uint64(100) {
		s, err := run(seed, none, 3000)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for k, n := range s.count {
			total[k] += n
		}
	}
	t.Logf("happened: %v", total)
	for _, k := range []string{
		"admitted", "returned", "killed", "lost", "edited", "pending", "exhausted", "spent at the end", "freed at the end",
		"overrun", "midnight", "corrected", "marked lost", "released", "found",
	} {
		if total[k] == 0 {
			t.Errorf("%q never happened, so nothing is known about it", k)
		}
	}
}

// Guarantee: the simulation can fail: each mistake that a change could make is found.
func TestProtocolNoticesBugs(t *testing.T) {
	t.Parallel()
	for b := none + 1; b < bugs; b++ {
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(150) {
				if _, err := run(seed, b, 3000); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Error("survived")
		})
	}
}
