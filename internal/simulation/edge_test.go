package simulation_test

import (
	"math/rand/v2"
	"slices"
	"time"

	"tollgate/edge/admit"
	"tollgate/edge/limit"
	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

// repeat is how often an edge tells of its spools when there is nothing else to say.
const repeat = 20 * time.Second

// edge is a machine with a disk, and the process that runs there now.
type edge struct {
	w     *world
	name  string
	disk  *spool.Memory
	skew  time.Duration
	began time.Duration // skew when this life began
	n     uint64        // lives so far
	incs  []int64       // whose spools are on the disk
	// What the spools on the disk were spent on, whether or not it is booked.
	spent map[contract.Window]money.Nanos

	// Of this life.
	inc      int64
	spool    *spool.Spool
	pub      *spool.Publisher
	book     *admit.Book
	accounts map[int64]*admit.Account
	flight   []*flight
	waiting  []*waiting
	ended    bool                       // it was given up, and has heard so
	asking   map[uint32]*admit.Exchange // the request under way, by partition
	spoke    map[uint32]time.Time       // when the last one went out
	history  map[uint32]int64           // of the database, by partition, as far as marks tell
	drew     map[contract.Window]bool   // on which this life has counted itself

	limits    *limit.Set
	every     []*limit.Limit
	buying    map[uint32]*limit.Exchange // the request for tokens under way, by partition
	confirmed time.Time                  // when the ledger last answered about limits
}

// flight is a request at the vendor.
type flight struct {
	hold    admit.Hold
	ticket  spool.Ticket
	draws   []contract.Draw
	held    money.Nanos
	metered money.Nanos
	policy  eventv1.AbandonedPolicy
	request int

	pass    limit.Pass
	limited bool      // it has passed the limits
	passed  time.Time // when
	excused bool      // its edge was out of the ledger's hearing while it ran
}

// waiting is a request that waits for money.
type waiting struct {
	f      *flight
	draw   []*admit.Account
	amount money.Nanos
	limits *limit.Wanted // until it has passed the limits
	wanted *admit.Wanted
	since  time.Time
}

func newEdge(w *world, name string) *edge {
	e := &edge{w: w, name: name, disk: spool.NewMemory(), spent: map[contract.Window]money.Nanos{}, skew: time.Duration(w.rng.IntN(4000)-2000) * time.Millisecond}
	e.boot()
	return e
}

// now is the clock on its wall, which somebody may set.
func (e *edge) now() time.Time { return e.w.now.Add(e.skew) }

// steady is the time that passes for the process, whatever the clock is set to: that between two of its
// readings is measured so.
func (e *edge) steady() time.Time { return e.w.now.Add(e.began) }

// boot starts the process: it finds what the last one has left.
func (e *edge) boot() {
	e.n++
	e.began = e.skew
	var err error
	e.spool, err = spool.Open(spool.Options{
		Dir: e.name, Edge: e.name, Storage: e.disk, SegmentBytes: 32 << 10, MaxBytes: 8 << 20, Now: e.steady, Random: e.w.rng.Int64,
	})
	if err != nil {
		e.w.fail("%s starts: %w", e.name, err)
		return
	}
	e.pub = spool.NewPublisher(e.spool, nil, nil)
	last := e.inc
	e.inc = e.spool.Inc()
	e.incs = append(e.incs, e.inc)
	if last >= e.inc {
		e.w.fail("%s is incarnation %d after %d", e.name, e.inc, last)
	}
	cfg := admit.DefaultConfig()
	cfg.Now, cfg.Join = e.now, e.spool.Join
	cfg.Jitter = rand.NewPCG(e.n, uint64(len(e.name)))
	e.book = admit.NewBook(cfg, nil, nil)
	e.accounts = map[int64]*admit.Account{}
	for _, a := range e.w.accounts {
		e.accounts[a.id] = a.compiled()
	}
	e.flight, e.waiting, e.ended = nil, nil, false
	e.bootLimits()
	e.spoke, e.history = map[uint32]time.Time{}, map[uint32]int64{}
	e.asking, e.drew = map[uint32]*admit.Exchange{}, map[contract.Window]bool{}
}

// arrive is a request of a caller: it draws on up to eight accounts.
func (e *edge) arrive() {
	w := e.w
	n := 1 + w.rng.IntN(min(8, len(w.accounts)))
	var draw []*admit.Account
	for _, i := range w.rng.Perm(len(w.accounts))[:n] {
		draw = append(draw, e.accounts[int64(i+1)])
	}
	var every []*limit.Limit
	if w.shape.unsteady || w.coin(3) {
		every = e.every
	}
	e.request(draw, money.Nanos(1+w.rng.IntN(12)), every)
}

// request begins a request; it may have to wait for its money.
func (e *edge) request(draw []*admit.Account, amount money.Nanos, every []*limit.Limit) *waiting {
	e.w.count["requests"]++
	f := &flight{request: e.w.count["requests"], policy: eventv1.AbandonedPolicy_ABANDONED_POLICY_RESERVED}
	if e.w.coin(4) {
		f.policy = eventv1.AbandonedPolicy(1 + e.w.rng.IntN(3))
	}
	q := &waiting{f: f, draw: draw, amount: amount, since: e.steady()}
	if len(every) > 0 {
		q.limits = e.limits.Begin(&f.pass, every, 1)
	} else {
		q.wanted = e.book.Begin(&f.hold, draw, amount)
	}
	e.waiting = append(e.waiting, q)
	e.try(q)
	return q
}

// retry has a request that waits look again.
func (e *edge) retry() {
	if len(e.waiting) > 0 {
		e.try(e.waiting[e.w.rng.IntN(len(e.waiting))])
	}
}

// try says whether a request has come to an end of its waiting.
func (e *edge) try(q *waiting) (passed, refused bool) {
	if q.limits != nil {
		done, err := q.limits.Try()
		if !done && e.steady().Sub(q.since) < time.Second {
			return false, false
		}
		q.limits.End()
		q.limits = nil
		if !done || err != nil {
			q.f.pass.Release()
			e.leave(q)
			e.w.count["refused by a limit"]++
			return false, true
		}
		q.f.limited, q.f.passed, q.since = true, e.w.now, e.steady()
		q.wanted = e.book.Begin(&q.f.hold, q.draw, q.amount)
	}
	done, err := q.wanted.Try()
	patience := 5 * time.Second
	if !done && e.steady().Sub(q.since) < patience {
		return false, false
	}
	q.wanted.End()
	e.leave(q)
	if !done || err != nil {
		q.f.pass.Release()
		e.w.count["refused"]++
		if e.w.is(partialReserveKept) && len(q.draw) > 1 {
			part := e.book.Begin(new(admit.Hold), q.draw[:1], q.amount)
			_, _ = part.Try()
			part.End()
		}
		return false, true
	}
	e.admit(q.f)
	return true, false
}

func (e *edge) leave(q *waiting) {
	e.waiting = slices.DeleteFunc(e.waiting, func(o *waiting) bool { return o == q })
}

// admit records the intent and calls the vendor: the money is gone from here on.
func (e *edge) admit(f *flight) {
	w := e.w
	f.held = f.hold.Amount()
	f.draws = f.hold.Draws(nil)
	if !w.is(noIntents) && e.intent(f) != nil {
		f.hold.Release()
		f.pass.Release()
		w.count["refused by the spool"]++
		return
	}
	for _, d := range f.draws {
		if !e.drew[d.Window] {
			e.drew[d.Window] = true
			w.of(d.Window).lives++
		}
	}
	e.spend(f, f.held)
	e.flight = append(e.flight, f)
	if f.limited {
		w.pass(f.passed)
		w.count["admitted under limits"]++
	}
	w.count["admitted"]++
}

func (e *edge) intent(f *flight) (err error) {
	i := spool.Intent{
		Request: id.Bytes{byte(f.request >> 16), byte(f.request >> 8), byte(f.request)}, Attempt: 1, At: e.now(),
		KeyID: "key_1", EndpointID: "ep_1", Amount: f.held, Draws: f.draws, Abandoned: f.policy,
	}
	if e.w.is(refundInDoubt) {
		i.Abandoned = eventv1.AbandonedPolicy_ABANDONED_POLICY_NOTHING
	}
	f.ticket, err = e.spool.Intent(&i)
	return err
}

// spend moves what a request has cost.
func (e *edge) spend(f *flight, by money.Nanos) {
	for _, d := range f.draws {
		e.w.of(d.Window).spent += by
		e.spent[d.Window] += by
	}
}

// progress is something that happens to a request at the vendor: it costs more than was held, or it
// ends.
func (e *edge) progress() {
	if len(e.flight) == 0 {
		return
	}
	f := e.flight[e.w.rng.IntN(len(e.flight))]
	switch e.w.rng.IntN(5) {
	case 0:
		e.meter(f)
	case 1:
		e.settle(f, 0) // it failed
	case 2:
		e.settle(f, money.Nanos(e.w.rng.Int64N(int64(f.held)+1)))
	case 3:
		if e.w.shape.overruns {
			e.settle(f, f.held+money.Nanos(e.w.rng.IntN(6)))
			return
		}
		e.settle(f, f.held)
	default:
		e.settle(f, f.held)
	}
}

// meter records what a stream has cost so far, after holding more if that is not enough.
func (e *edge) meter(f *flight) {
	f.metered = min(f.held, f.metered+money.Nanos(e.w.rng.IntN(5)))
	if e.w.coin(3) {
		more := money.Nanos(1 + e.w.rng.IntN(6))
		extend := f.hold.BeginExtend(more)
		done, err := extend.Try()
		extend.End()
		if done && err == nil {
			f.held += more
			e.spend(f, more)
			e.w.count["extended"]++
		}
	}
	if e.w.is(noIntents) {
		return
	}
	// Without the record the stream would be cut: it costs what was recorded before.
	if err := e.spool.Partial(f.ticket, f.held, f.metered); err != nil {
		e.w.fail("%s: partial: %w", e.name, err)
	}
}

// settle ends a request at what it cost.
func (e *edge) settle(f *flight, cost money.Nanos) {
	if e.w.is(noIntents) && e.intent(f) != nil {
		e.w.fail("%s has no room for an intent", e.name)
	}
	outcome := eventv1.SpendOutcome_SPEND_OUTCOME_OK
	e.spool.Settle(f.ticket, &spool.Settlement{At: e.now(), Status: 200, Outcome: outcome, Cost: cost})
	f.hold.Settle(cost)
	f.pass.Settle(1)
	f.pass.Release()
	e.flight = slices.DeleteFunc(e.flight, func(o *flight) bool { return o == f })
	e.spend(f, cost-f.held)
	for _, d := range f.draws {
		e.w.of(d.Window).over += max(0, cost-f.held)
	}
	e.w.count["settled"]++
}

// ask sends the lease lines of a partition that are due.
func (e *edge) ask() {
	parts := e.book.Parts()
	if len(parts) == 0 {
		return
	}
	e.askPart(parts[e.w.rng.IntN(len(parts))])
}

func (e *edge) askPart(part uint32) bool {
	if e.asking[part] != nil {
		return false
	}
	req := &eventv1.LeaseRequest{Inc: e.inc, Edge: e.name, Part: part, EdgeUnixMs: e.now().UnixMilli(), Spools: e.spool.States(part)}
	x, _ := e.book.Next(part)
	switch quiet := e.steady().Sub(e.spoke[part]) > repeat; {
	case x != nil:
		e.asking[part] = x
		req.Lines = x.Lines()
	case !quiet || len(req.GetSpools()) == 0:
		return false
	}
	e.spoke[part] = e.steady()
	e.checkLines(part, req.GetLines())
	e.w.send(packet{kind: question, edge: e, inc: e.inc, part: part, data: encode(req), request: x})
	e.w.count["lease requests"]++
	return true
}

// checkLines: what an edge says it has seen was granted, and what it returned is not counted twice.
func (e *edge) checkLines(part uint32, lines []*eventv1.LeaseLine) {
	p := e.w.parts[part]
	for _, l := range lines {
		win := contract.WindowOf(l.GetWindow())
		row := p.book.Leases[win][e.inc]
		if l.GetGrantedSeen() > int64(row.Granted+e.w.of(win).lost) {
			e.w.fail("%v: %s has seen %d granted of %d", win, e.name, l.GetGrantedSeen(), row.Granted)
		}
		if l.GetReturned() < int64(row.Returned) && e.w.plant == none && !p.book.Incs[e.inc].State.Ended() {
			e.w.fail("%v: %s has returned %d, and the ledger has %d", win, e.name, l.GetReturned(), row.Returned)
		}
	}
}

// unanswered is a request whose question or answer was lost.
func (e *edge) unanswered(p packet) {
	if e.inc == p.inc && e.asking[p.part] == p.request && p.request != nil {
		delete(e.asking, p.part)
		p.request.Failed()
	}
}

func (e *edge) answered(p packet) {
	reply := decode(p.data, &eventv1.LeaseReply{})
	if p.inc != e.inc || reply.GetInc() != e.inc {
		if e.w.is(sameIncarnation) {
			e.book.Apply(reply.GetLines())
		}
		return
	}
	e.mark(reply.GetMarks())
	if p.request == nil || e.asking[p.part] != p.request {
		e.book.Apply(reply.GetLines()) // late, or once more
		return
	}
	delete(e.asking, p.part)
	if reply.GetError() != "" {
		e.endedAt()
		p.request.Failed()
		return
	}
	p.request.Done(reply.GetLines())
}

// mark hands on how far spools are booked. One of a newer history has the partition told of everything.
func (e *edge) mark(marks []*eventv1.Mark) {
	for _, m := range marks {
		e.pub.Mark(m)
		part := m.GetPart()
		if e.history[part] > 0 && m.GetEpoch() > e.history[part] {
			e.book.Resync(part)
			e.w.count["told everything again"]++
		}
		e.history[part] = max(e.history[part], m.GetEpoch())
	}
}

func (e *edge) controlled(p packet) {
	m := decode(p.data, &eventv1.EdgeControl{})
	e.mark(m.GetMarks())
	if m.GetInc() != e.inc {
		return
	}
	e.book.Apply(m.GetGrants())
	var recalls []contract.Window
	for _, win := range m.GetRecalls() {
		recalls = append(recalls, contract.WindowOf(win))
	}
	e.book.Recall(recalls)
	e.limits.Recall(m.GetPermitRecalls())
}

// publish puts the next batch of a spool into its stream. The acknowledgement may be lost.
func (e *edge) publish() bool {
	s := e.pub.Next(e.steady())
	if s == nil {
		return false
	}
	p := e.w.parts[partOf(s.Subject)]
	p.stream = append(p.stream, stored{s.Subject, slices.Clone(s.Data)})
	if e.w.fault(6) {
		s.Failed()
		return true
	}
	s.Published()
	if e.w.is(freedOnPublish) {
		e.freeUpTo(p, p.stream[len(p.stream)-1].data)
	}
	return true
}

// tidy is the spool's own doing in time.
func (e *edge) tidy() { e.pub.Tidy() }

func (e *edge) sweep() {
	e.book.Sweep()
	e.limits.Sweep()
	if e.w.is(reclaimedOnTimeout) && e.w.coin(20) {
		for _, p := range e.w.parts {
			p.close(e.inc)
		}
	}
}

// kill ends the process. Its disk stays, and what was in flight is charged by its policy.
func (e *edge) kill() {
	for _, f := range e.flight {
		charged := f.held
		switch f.policy {
		case eventv1.AbandonedPolicy_ABANDONED_POLICY_METERED:
			charged = f.metered
		case eventv1.AbandonedPolicy_ABANDONED_POLICY_NOTHING:
			charged = 0
		default:
		}
		e.spend(f, charged-f.held)
	}
	if e.w.is(closedBeforeDrained) {
		for _, p := range e.w.parts {
			p.close(e.inc)
		}
	}
	e.boot()
	e.w.count["killed"]++
}
