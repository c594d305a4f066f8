package simulation_test

import (
	"fmt"
	"math/rand/v2"
	"time"
	_ "time/tzdata" // the zones of budgets, wherever this runs

	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// world is edges, ledgers and what is between them, at one instant.
type world struct {
	rng    *rand.Rand
	plant  plant
	shape  shape
	now    time.Time
	steady time.Time // until when no long time passes unseen
	faults bool

	edges    []*edge
	parts    []*partition
	accounts []*account
	limits   []*limited
	net      []packet
	truth    map[contract.Window]*truth
	count    map[string]int // what has happened, so that a run that shows nothing is noticed
	err      error
}

// shape is what a seed makes of a world before anything happens in it.
type shape struct {
	parts    uint32
	edits    bool // limits are changed, windows reset
	overruns bool // requests may cost more than what was held
	losses   bool // the database may fail over and lose its last commits
	machines bool // edges may be lost with their disks
	limits   bool // requests are limited in number, too
	unsteady bool // leaders are replaced all the time
	quick    bool // the clock goes in milliseconds, not in seconds
}

// truth is what was really spent of an account-window, whatever anybody knows of it.
type truth struct {
	spent money.Nanos // settled, or could be
	over  money.Nanos // of that, beyond what was held
	bound money.Nanos // what may be spent, given the limits there were
	lost  money.Nanos // grants that a database lost: edges have them nevertheless
	gone  money.Nanos // of spent, what can never be booked: its machine is lost
	lives int         // incarnations that drew on it, each of which has its own overdraft
}

func newWorld(seed uint64, p plant) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 11)), plant: p, faults: true,
		// Shortly before clocks change in Europe, and before midnight in some zones.
		now:   time.Date(2026, 3, 28, 21, 58, 0, 0, time.UTC),
		truth: map[contract.Window]*truth{}, count: map[string]int{},
	}
	w.shape = shape{
		parts: []uint32{1, 1, 4}[w.rng.IntN(3)],
		edits: w.coin(2), overruns: w.coin(3), losses: w.coin(4), machines: w.coin(4), limits: w.coin(3), quick: w.coin(2),
	}
	w.shape.quick = w.shape.quick || w.shape.limits // tokens live for a second
	p.adapt(&w.shape)
	w.limits = newLimits(w)
	for n := range w.shape.parts {
		w.parts = append(w.parts, newPartition(w, n))
	}
	for i := range 2 + w.rng.IntN(9) {
		w.accounts = append(w.accounts, newAccount(w, int64(i+1)))
	}
	for _, a := range w.accounts {
		w.parts[a.part].apply(a)
	}
	for i := range 2 + w.rng.IntN(4) {
		w.edges = append(w.edges, newEdge(w, fmt.Sprintf("edge-%d", i)))
	}
	return w
}

func (w *world) is(p plant) bool { return w.plant == p }

// coin is true one time in n.
func (w *world) coin(n int) bool { return w.rng.IntN(n) == 0 }

// fault is coin while there are faults.
func (w *world) fault(n int) bool { return w.faults && w.coin(n) }

func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

func (w *world) of(win contract.Window) *truth {
	t := w.truth[win]
	if t == nil {
		t = &truth{}
		if a := w.account(win.Account); a != nil {
			t.bound = a.limit
		}
		w.truth[win] = t
	}
	return t
}

func (w *world) account(id int64) *account {
	if id < 1 || int(id) > len(w.accounts) {
		return nil
	}
	return w.accounts[id-1]
}

// tick lets time pass: a little, or now and then so much that windows end.
func (w *world) tick() {
	unit := time.Second
	if w.shape.quick {
		unit = 10 * time.Millisecond
	}
	w.now = w.now.Add(time.Duration(w.rng.Int64N(int64(unit))))
	if w.coin(1500) && w.now.After(w.steady) {
		w.now = w.now.Add(time.Duration(w.rng.Int64N(int64(30 * time.Hour))))
		w.count["time has jumped"]++
	}
}

// step is one thing that happens.
func (w *world) step() {
	w.tick()
	e := w.edges[w.rng.IntN(len(w.edges))]
	switch x := w.rng.IntN(100); {
	case x < 24:
		e.arrive()
	case x < 30:
		e.retry()
	case x < 44:
		e.progress()
	case x < 56:
		e.ask()
		e.buy()
	case x < 76:
		w.deliver()
	case x < 84:
		e.publish()
	case x < 92:
		w.parts[w.rng.IntN(len(w.parts))].consume()
	case x < 95:
		e.tidy()
	case x < 96:
		w.trouble(e)
	case x < 97:
		w.edit()
	default:
		e.sweep()
	}
	w.check()
}

// trouble is what happens to machines, streams and databases.
func (w *world) trouble(e *edge) {
	if !w.faults {
		return
	}
	p := w.parts[w.rng.IntN(len(w.parts))]
	if w.shape.unsteady && w.coin(2) {
		p.failover()
		return
	}
	switch w.rng.IntN(10) {
	case 0, 1:
		e.kill()
	case 2:
		if w.shape.machines {
			e.destroy()
		}
	case 3:
		p.loseStream()
	case 4, 5:
		p.failover()
	case 6:
		if w.shape.losses {
			p.loseCommits()
		}
	case 7:
		p.remember()
	case 8:
		e.setClock()
	case 9:
		if w.shape.machines && w.coin(3) {
			e.giveUp()
		}
	}
}

// run lets a world live for a while and come to rest.
func run(seed uint64, p plant, steps int) (*world, error) {
	w := newWorld(seed, p)
	for range steps {
		w.step()
		if w.err != nil {
			return w, w.err
		}
	}
	w.quiesce()
	return w, w.err
}
