// Package limits_test runs the limits of edges and the limits of ledgers against one another, in a
// world in which one seed decides everything that happens: which message is lost, late, repeated or
// overtaken, whose clock runs fast, which leader is replaced by another and notices late. It shows
// that what edges let pass stays within the bounds that limits promise, and that a world in which one
// safeguard is broken is noticed.
package limits_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"tollgate/edge/limit"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/ledger/limits"
)

// bug is a safeguard that is broken on purpose.
type bug string

const (
	none             bug = "none"
	chunksLive       bug = "chunks do not end"
	fromArrival      bug = "a chunk's life begins when it arrives"
	fullAfterStart   bug = "the bucket of a new leader is full"
	refundsLive      bug = "what goes back into a chunk outlives it"
	oldLeaders       bug = "a leader that was replaced goes on, and edges believe it"
	noSession        bug = "permits need not be confirmed"
	freedAtOnce      bug = "permits are free for others while requests run with them"
	noLearning       bug = "a new leader gives permits before it knows what is held"
	sessionsEndEarly bug = "the ledger frees permits before edges stop using them"
	overtaken        bug = "a line that was overtaken counts"
)

const (
	tick    = time.Millisecond
	overlap = time.Second // for how long a leader may not know that it was replaced
)

// config is a kind of world.
type config struct {
	bug       bug
	edges     int
	limits    []*eventv1.Limit
	timeout   time.Duration // of a request to the ledger
	late      time.Duration // how late a message may be
	lossy     bool          // messages are lost and repeated
	gate      time.Duration // answers arrive together when it opens
	failover  time.Duration // how often, at most
	cut       time.Duration // for how long edges are cut off, now and then
	runs      time.Duration // how long requests run, at most
	estimates bool          // requests settle for another number of units than they came with
	// load is how many requests come in a tick, and where.
	load func(w *world) []int
}

type world struct {
	config
	rng     *rand.Rand
	now     time.Duration
	edges   []*edge
	leaders []*leader // the newest last
	net     []packet
	passed  map[int64][]passage // by limit
	offered int
	over    int // leaders that were replaced
	next    time.Duration
	err     error
}

// passage is a request that passed, and what it took.
type passage struct {
	at time.Duration
	n  int64
}

type leader struct {
	book  *limits.Book
	epoch int64
	ends  time.Duration // when it notices that it was replaced; 0 while it was not
}

type edge struct {
	w         *world
	n         int
	inc       int64
	set       *limit.Set
	limits    []*limit.Limit
	skew      time.Duration // of its clock
	drift     int64         // in parts per million
	wants     []*request
	runs      []*request
	x         *limit.Exchange
	sent      time.Duration
	confirmed time.Duration // when the last request that was answered was sent
	cut       time.Duration // until then nothing reaches it
	epoch     int64
	refunds   int64 // units that a broken edge takes back too late
}

type request struct {
	pass     limit.Pass
	want     *limit.Wanted
	ends     time.Duration
	units    int64
	at       []int // where its passages are written
	began    time.Duration
	outlived bool // it ran on while its edge was cut off for too long
}

type packet struct {
	at      time.Duration
	sent    time.Duration
	edge    *edge
	x       *limit.Exchange
	reply   *eventv1.LeaseReply
	recalls []int64
}

func newWorld(seed uint64, c config) *world {
	w := &world{config: c, rng: rand.New(rand.NewPCG(seed, 11)), passed: map[int64][]passage{}}
	for i := range c.edges {
		e := &edge{w: w, n: i, inc: int64(i + 1), skew: time.Duration(w.rng.Int64N(int64(time.Hour))), drift: w.rng.Int64N(10_001) - 5000}
		e.set = limit.New(limit.Config{Wait: 25 * time.Millisecond, Now: e.clock}, nil, nil)
		for _, l := range c.limits {
			read, err := limit.NewLimit(l)
			if err != nil {
				panic(err)
			}
			e.limits = append(e.limits, read)
		}
		w.edges = append(w.edges, e)
	}
	w.lead()
	w.next = c.failover
	return w
}

var epoch = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// clock is the edge's own.
func (e *edge) clock() time.Time {
	return epoch.Add(e.skew + e.w.now + time.Duration(int64(e.w.now)/1_000_000*e.drift))
}

func (w *world) is(b bug) bool { return w.bug == b }

func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("after %v: "+format, append([]any{w.now}, args...)...)
	}
}

// ledgerTime is the clock of leaders.
func (w *world) ledgerTime() time.Time {
	if w.is(sessionsEndEarly) {
		return epoch.Add(3 * w.now)
	}
	return epoch.Add(w.now)
}

// lead begins a leader. The one before goes on until it notices.
func (w *world) lead() {
	l := &leader{epoch: int64(len(w.leaders) + 1)}
	learn := limits.SessionEnd
	if len(w.leaders) == 0 || w.is(noLearning) {
		learn = 0
	}
	l.book = limits.New(w.ledgerTime(), learn)
	if w.is(fullAfterStart) {
		l.book.Set(nil)
	}
	l.book.Set(w.limits)
	if n := len(w.leaders); n > 0 {
		w.over++
		w.leaders[n-1].ends = w.now + time.Duration(w.rng.Int64N(int64(overlap)))
		if w.is(oldLeaders) {
			w.leaders[n-1].ends = time.Hour
		}
	}
	w.leaders = append(w.leaders, l)
}

// run lets time pass.
func (w *world) run(d time.Duration) error {
	for end := w.now + d; w.now < end && w.err == nil; {
		w.now += tick
		if w.failover > 0 && w.now >= w.next {
			w.next = w.now + w.failover/2 + time.Duration(w.rng.Int64N(int64(w.failover)))
			w.lead()
		}
		w.deliver()
		for _, n := range w.load(w) {
			w.edges[n].arrive()
		}
		for _, e := range w.edges {
			e.step()
		}
		w.check()
	}
	return w.err
}

// delay is how long a message is under way.
func (w *world) delay() time.Duration {
	d := time.Duration(w.rng.Int64N(int64(2 * time.Millisecond)))
	if w.config.late > 0 && w.rng.IntN(10) == 0 {
		d += time.Duration(w.rng.Int64N(int64(w.config.late)))
	}
	return d
}
