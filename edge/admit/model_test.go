package admit

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// machine is several edges, a ledger and everything that can happen between them, one step at a
// time: messages are lost, repeated and delivered in any order, edges die, limits change.
type machine struct {
	pick   func(n int) int
	ledger *ledger
	edges  []*edgeModel
	bound  map[int64]int64 // what each account may have spent at most, by the promise
	toLed  []message
	toEdge []message
	mutant bool
	late   []func()
	incs   int64
}

type edgeModel struct {
	inc      int64
	book     *Book
	accounts []*Account
	waiting  []*waiter
	holds    []*Hold
	dead     bool
}

type message struct {
	edge     *edgeModel
	line     *line
	sent     *eventv1.LeaseLine
	grant    *eventv1.GrantLine // nil on the way to the ledger
	isRecall bool               // only sent.Window counts
}

const modelAccounts = 3

var errOverspent = errors.New("overspent")

func newMachine(pick func(int) int, mutant bool) *machine {
	m := &machine{pick: pick, mutant: mutant, bound: map[int64]int64{}}
	limits := map[int64]int64{}
	for id := range int64(modelAccounts) {
		limits[id+1] = int64(20 + pick(60))
		m.bound[id+1] = limits[id+1]
	}
	m.ledger = newLedger(limits)
	m.ledger.recall = func(inc int64, w contract.Window) {
		for _, e := range m.edges {
			if e.inc == inc {
				m.toEdge = append(m.toEdge, message{edge: e, sent: &eventv1.LeaseLine{Window: w.ToProto()}, isRecall: true})
			}
		}
	}
	for range 3 {
		m.edges = append(m.edges, m.newEdge())
	}
	return m
}

func (m *machine) newEdge() *edgeModel {
	m.incs++
	e := &edgeModel{inc: m.incs}
	e.book = NewBook(Config{Now: func() time.Time { return time.Unix(1_800_000_000, 0) }}, nil, slog.New(slog.DiscardHandler))
	if m.mutant {
		e.book.lower = func(l *line) int64 {
			n := l.avail.Load()
			m.late = append(m.late, func() { l.avail.Add(-min(n, l.avail.Load())) })
			return n
		}
	}
	for id := range int64(modelAccounts) {
		e.accounts = append(e.accounts, accountOf(id+1))
	}
	return e
}

// step does one thing and says what it was.
func (m *machine) step() string {
	e := m.edges[m.pick(len(m.edges))]
	switch m.pick(12) {
	case 0, 1, 2: // a request comes
		h := &Hold{amount: int64(1 + m.pick(15))}
		h.lines = h.few[:0]
		mask := 1 + m.pick(1<<modelAccounts-1)
		for i, a := range e.accounts {
			if mask>>i&1 == 1 {
				h.add(e.book.find(a, e.book.cfg.Now()))
			}
		}
		if h.take() {
			e.holds = append(e.holds, h)
			return fmt.Sprintf("edge %d holds %d in %v", e.inc, h.amount, h.Windows())
		}
		w := &waiter{h, make(chan struct{}, 1)}
		for _, l := range h.lines {
			l.join(w)
			e.book.sender(0).hurry(l)
		}
		e.waiting = append(e.waiting, w)
		return fmt.Sprintf("edge %d waits for %d in %v", e.inc, h.amount, h.Windows())
	case 3: // a waiting request tries again, and perhaps gives up
		if len(e.waiting) == 0 {
			return ""
		}
		i := m.pick(len(e.waiting))
		w := e.waiting[i]
		ok := w.take()
		if ok {
			e.holds = append(e.holds, w.Hold)
		} else if m.pick(2) == 0 {
			return ""
		}
		for _, l := range w.lines {
			l.leave(w)
		}
		e.waiting = append(e.waiting[:i], e.waiting[i+1:]...)
		return fmt.Sprintf("edge %d waited for %d: %v", e.inc, w.amount, ok)
	case 4, 5: // a request ends
		if len(e.holds) == 0 {
			return ""
		}
		i := m.pick(len(e.holds))
		actual := [3]int64{0, e.holds[i].amount, e.holds[i].amount / 2}[m.pick(3)]
		e.holds[i].Settle(moneyOf(actual))
		e.holds = append(e.holds[:i], e.holds[i+1:]...)
		return fmt.Sprintf("edge %d settles %d", e.inc, actual)
	case 6: // an edge tells the ledger
		s := e.book.sender(0)
		batch, _ := s.next()
		for _, l := range batch {
			if r := l.request(m.pick(8) == 0); r != nil {
				m.toLed = append(m.toLed, message{edge: e, line: l, sent: r})
			}
		}
		return fmt.Sprintf("edge %d sends", e.inc)
	case 7: // the ledger hears
		if len(m.toLed) == 0 {
			return ""
		}
		msg := m.deliver(&m.toLed)
		g := m.ledger.answer(msg.edge.inc, proto.CloneOf(msg.sent))
		m.toEdge = append(m.toEdge, message{msg.edge, msg.line, msg.sent, g, false})
		return fmt.Sprintf("ledger hears %d: %v and answers %v", msg.edge.inc, msg.sent, g)
	case 8: // an edge hears
		if len(m.toEdge) == 0 {
			return ""
		}
		msg := m.deliver(&m.toEdge)
		switch {
		case msg.edge.dead:
		case msg.isRecall:
			msg.edge.book.Recall([]contract.Window{contract.WindowOf(msg.sent.GetWindow())})
		case m.pick(4) == 0: // it came too late to be an answer
			msg.edge.book.Apply([]*eventv1.GrantLine{msg.grant})
		default:
			if _, after, again := msg.line.answered(msg.sent, msg.grant); again {
				msg.edge.book.sender(0).put(msg.line, after, false)
			}
		}
		return fmt.Sprintf("edge %d hears %v", msg.edge.inc, msg.grant)
	case 9: // time passes: idle money goes back, and everything is told again
		for range ticksIdle + 2 {
			e.book.tick.Add(1)
		}
		e.book.sweep()
		return fmt.Sprintf("edge %d sweeps", e.inc)
	case 10: // events are booked, up to somewhere
		for _, l := range e.book.lines {
			m.ledger.book(l.window, e.inc, l.consumed.Load())
		}
		if !m.mutant && m.pick(3) == 0 {
			return m.changeLimit()
		}
		return fmt.Sprintf("events of %d booked", e.inc)
	default:
		if len(m.late) > 0 { // what the mutant has put off
			m.late[0]()
			m.late = m.late[1:]
		}
		if m.pick(10) == 0 {
			return m.crash(e)
		}
		return ""
	}
}

// deliver takes a message out of the bag, or copies it, or loses it along with taking another.
func (m *machine) deliver(bag *[]message) message {
	i := m.pick(len(*bag))
	msg := (*bag)[i]
	if m.pick(3) > 0 {
		*bag = append((*bag)[:i], (*bag)[i+1:]...)
	}
	if len(*bag) > 0 && m.pick(5) == 0 {
		j := m.pick(len(*bag))
		*bag = append((*bag)[:j], (*bag)[j+1:]...)
	}
	return msg
}

// crash kills an edge. Its spool charges what was in flight at the held amount, and when the ledger
// has booked all of it the rest of the lease is free.
func (m *machine) crash(e *edgeModel) string {
	e.dead = true
	for _, l := range e.book.lines {
		m.ledger.book(l.window, e.inc, l.used())
	}
	m.ledger.close(e.inc)
	for i := range m.edges {
		if m.edges[i] == e {
			m.edges[i] = m.newEdge()
		}
	}
	return fmt.Sprintf("edge %d dies", e.inc)
}

func (m *machine) changeLimit() string {
	id := int64(1 + m.pick(modelAccounts))
	m.ledger.limits[id] = int64(10 + m.pick(90))
	m.ledger.version++
	alloc := int64(0)
	for w := range m.ledger.leases {
		if w.Account == id {
			alloc += m.ledger.alloc(w)
		}
	}
	// What was handed out under the old limit may still be spent.
	m.bound[id] = max(m.ledger.limits[id], alloc)
	for _, e := range m.edges {
		if m.pick(2) == 0 {
			e.book.Invalidate([]int64{id})
		}
	}
	return fmt.Sprintf("limit of %d is now %d", id, m.ledger.limits[id])
}

// check is the promise: what vendors have done or are doing is within the limit, and every total on
// an edge is covered by the ledger's.
func (m *machine) check() error {
	spent := map[int64]int64{}
	for w, leases := range m.ledger.leases {
		for inc, le := range leases {
			if m.ledger.closed[inc] {
				spent[w.Account] += le.consumed
			}
		}
	}
	for _, e := range m.edges {
		for _, l := range e.book.lines {
			le := m.ledger.of(l.window, e.inc)
			avail, used := l.avail.Load(), l.used()
			holds := int64(0)
			for _, h := range e.holds {
				for _, o := range h.lines {
					if o == l {
						holds += h.amount
					}
				}
			}
			spent[l.window.Account] += l.consumed.Load() + holds
			switch {
			case m.mutant: // only the overspending itself is of interest
			case avail < 0:
				return fmt.Errorf("edge %d: %d available of %v", e.inc, avail, l.window)
			case used != l.consumed.Load()+holds:
				return fmt.Errorf("edge %d: used %d is not consumed %d + held %d", e.inc, used, l.consumed.Load(), holds)
			case l.granted > le.granted:
				return fmt.Errorf("edge %d: granted %d, the ledger knows of %d", e.inc, l.granted, le.granted)
			case l.returned < le.returned:
				return fmt.Errorf("edge %d: returned %d, the ledger knows of %d", e.inc, l.returned, le.returned)
			}
		}
	}
	for id, sum := range spent {
		if sum > m.bound[id] {
			return fmt.Errorf("account %d: %d spent of %d: %w", id, sum, m.bound[id], errOverspent)
		}
	}
	return nil
}

// quiesce ends all requests and lets every message through, then has one edge after the other spend
// all that is left of each budget.
func (m *machine) quiesce() error {
	m.toEdge, m.toLed = nil, nil
	for _, e := range m.edges {
		for _, h := range e.holds {
			h.Release()
		}
		for _, w := range e.waiting {
			for _, l := range w.lines {
				l.leave(w)
			}
		}
		e.holds, e.waiting = nil, nil
	}
	settle := func() {
		for _, e := range m.edges {
			e.book.tick.Add(1000)
			e.book.sweep()
			m.exchange(e, true)
		}
	}
	for range 3 {
		settle()
	}
	for _, e := range m.edges {
		for _, a := range e.accounts {
			l := e.book.find(a, e.book.cfg.Now())
			left := m.ledger.limits[a.id]
			for _, le := range m.ledger.leases[l.window] {
				left -= le.consumed
			}
			if left <= 0 {
				continue
			}
			h := &Hold{amount: left}
			h.lines = append(h.few[:0], l)
			w := &waiter{h, make(chan struct{}, 1)}
			l.join(w)
			for i := 0; !h.take(); i++ {
				if i == 5 {
					return fmt.Errorf("edge %d cannot get the %d left of account %d: %+v", e.inc, left, a.id, m.ledger.leases[l.window])
				}
				e.book.sender(0).hurry(l)
				m.exchange(e, false)
			}
			l.leave(w)
			h.Release()
			settle()
			settle()
		}
	}
	return m.check()
}

func (m *machine) exchange(e *edgeModel, tell bool) {
	for _, l := range e.book.lines {
		if r := l.request(tell); r != nil {
			l.answered(r, m.ledger.answer(e.inc, r))
		}
	}
}

// Guarantee: whatever is lost, repeated, reordered or killed, the edges together never spend more
// than the limit; and when all is quiet again, any edge can spend all that is left.
func TestNeverOverspent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") }, false)
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			what := m.step()
			if err := m.check(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		if err := m.quiesce(); err != nil {
			t.Fatal(err)
		}
	})
}

// Guarantee: the same by plain dice, which reach deeper than rapid's choices do; and the test notices
// a book that tells the ledger of a return before it has put the money out of reach.
func TestNeverOverspentLongRuns(t *testing.T) {
	t.Parallel()
	run := func(seed uint64, mutant bool) error {
		r := rand.New(rand.NewPCG(seed, 1))
		m := newMachine(r.IntN, mutant)
		for range 3000 {
			what := m.step()
			if err := m.check(); err != nil {
				return fmt.Errorf("seed %d: %s: %w", seed, what, err)
			}
		}
		return m.quiesce()
	}
	for seed := range uint64(8) {
		if err := run(seed, false); err != nil {
			t.Fatal(err)
		}
	}
	for seed := range uint64(200) {
		if err := run(seed, true); errors.Is(err, errOverspent) {
			t.Logf("negative control: %v", err)
			return
		}
	}
	t.Error("a book that raises before it lowers was not caught")
}
