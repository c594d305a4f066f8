package proxy

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/edge/admit"
	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	metering "tollgate/internal/meter"
	"tollgate/internal/money"
)

// spend is the money of a request, from what is held for it to what it is charged.
type spend struct {
	pot   pot
	money admit.Hold

	charged money.Nanos // for all attempts that have ended
	units   int64       // used by them

	attempt uint32 // number of attempts
	settled bool   // it has ended
	metered bool   // what one of them has used was counted
}

// settlement is the end of an attempt.
type settlement struct {
	status  int
	outcome eventv1.SpendOutcome
	cost    money.Nanos
	metered bool // the cost is what the meter says

	unpriced bool // what it costs is not known, and something is charged in place of that
}

var errPanicked = errors.New("paying for the body failed by a bug")

// pot is what is held for a request. An attempt is given a part of it, which covers that attempt alone: two
// that run at the same time may both be charged if the edge dies.
type pot struct {
	held Hold // nil if nothing is held

	mu    sync.Mutex   // keeps held from being extended twice at a time
	total atomic.Int64 // nano-dollars
	free  atomic.Int64 // of them, given to no attempt that runs
}

// take takes from what is free, and says how much is missing for that.
func (p *pot) take(more money.Nanos) (short money.Nanos) {
	for {
		free := p.free.Load()
		if short = more - money.Nanos(free); short > 0 {
			return short
		}
		if p.free.CompareAndSwap(free, free-int64(more)) {
			return 0
		}
	}
}

var errPotFull = errors.New("more than there can be")

// Extend gives an attempt more, and holds what is missing for that.
func (p *pot) Extend(ctx context.Context, more money.Nanos) error {
	if p.take(more) == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	short := p.take(more)
	if short == 0 {
		return nil // another attempt has ended meanwhile
	}
	if short > money.Max-p.sum() {
		return fault.New(fault.BudgetExhausted, "No budget has as much as that costs.").WithCause(errPotFull)
	}
	if err := p.held.Extend(ctx, short); err != nil {
		return err
	}
	p.total.Add(int64(short))
	p.free.Add(int64(short) - int64(more))
	return nil
}

// Remaining is what the tightest budget has left beside what is held.
func (p *pot) Remaining() (money.Nanos, bool) { return p.held.Remaining() }

// sum is what is held for all attempts.
func (p *pot) sum() money.Nanos { return money.Nanos(p.total.Load()) }

// back takes back what an attempt was given, for the next one.
func (p *pot) back(amount money.Nanos) { p.free.Add(int64(amount)) }

// hold sets aside what the request may cost, in every account that it draws on.
func (c *call) hold(ctx context.Context) error {
	s := &c.spend
	if c.ask != nil {
		c.ask.hold()
	} else {
		c.terms.hold(c.x.Length, &c.g.costs)
	}
	if c.free {
		return nil
	}
	held, err := c.g.d.Budgets.Hold(ctx, &s.money, c.accounts(), c.amount)
	if err != nil {
		return err
	}
	s.pot.held = held // first: whatever happens from here on, it is given back
	s.pot.total.Store(int64(c.amount))
	s.pot.free.Store(int64(c.amount))
	return nil
}

// cover gives an attempt what it needs at first. Only one beside another has to find more than is held.
func (t *try) cover(ctx context.Context) error {
	s := &t.c.spend
	if s.pot.held == nil || t.terms.amount == 0 {
		return nil
	}
	if err := s.pot.Extend(ctx, t.terms.amount); err != nil {
		return err
	}
	t.amount = t.terms.amount
	return nil
}

// given is what covers the attempt by now.
func (t *try) given() money.Nanos {
	if t.meter.counts() {
		return t.meter.held()
	}
	return t.amount
}

// intents and settlements are memory for what the spool is told. It keeps none of it, and a request whose answer lasts has no need of
// either.
var (
	intents     = sync.Pool{New: func() any { return new(spool.Intent) }}
	settlements = sync.Pool{New: func() any { return new(spool.Settlement) }}
)

// intend records that the attempt is about to be made.
func (t *try) intend(ctx context.Context) error {
	c := t.c
	s, e := &c.spend, t.by
	if err := t.cover(ctx); err != nil {
		return err
	}
	s.attempt++
	t.number = s.attempt
	intent := intents.Get().(*spool.Intent) //nolint:forcetypeassert // the pool holds nothing else
	draws := intent.Draws[:0]
	if s.pot.held != nil {
		draws = s.pot.held.Draws(draws)
	}
	*intent = spool.Intent{
		Request: c.id, Attempt: t.number, At: c.began.Add(c.elapsed()),
		KeyID: c.key.ID, EndpointID: c.endpoint.ID, Team: c.key.Team, Customer: c.labels.customer, Tags: c.labels.tags,
		PriceVersion: e.PriceVersion, Amount: t.amount, Draws: draws, Abandoned: c.endpoint.Abandoned,
		Model: t.model(),
	}
	if t.hop != nil {
		t.hop.name(intent)
	}
	ticket, err := c.g.d.Spool.Intent(intent)
	*intent = spool.Intent{Draws: draws}
	intents.Put(intent)
	if err != nil {
		s.pot.back(t.amount)
		c.g.spoolFailed.Store(time.Now().UnixNano())
		if t.free { // it owes nothing: only its record will be missing
			s.units++
			return nil
		}
		return err
	}
	c.g.spoolFailed.Store(0)
	t.ticket, t.pending = ticket, true
	t.end = settlement{outcome: eventv1.SpendOutcome_SPEND_OUTCOME_UNREACHABLE}
	switch {
	case t.metered():
		if t.told == nil {
			t.told = &metering.Reading{}
		}
		t.told.Begin(t.plan.meter, &t.plan.request, t.edits)
		t.meter.begin(t, ticket, t.told)
	case e.Usage != nil && !t.free: // of what is free nothing is to be held, and so nothing is counted
		t.meter.begin(t, ticket, nil)
	}
	return nil
}

// payForBody is called by the engine's goroutine, where nobody else would survive a bug.
func (t *try) payForBody(ctx context.Context, p []byte) (err error) {
	defer func() {
		if v := recover(); v != nil {
			t.c.logPanic(ctx, v)
			err = errPanicked
		}
	}()
	return t.meter.pay(ctx, p)
}

// charged says whether an answer costs anything, as far as that is known. One that a meter reads does: the meter
// knows better.
func (t *try) charged(a *Answer) bool {
	status := a.Status
	if a.Conn != nil {
		status = http.StatusOK
	}
	switch {
	case t.free:
		return false
	case t.metered():
		return true
	default:
		return t.by.Charge.Status(status)
	}
}

// charge finds out what an answer that is charged costs as far as its headers tell. With an error nothing
// of it may go on.
func (t *try) charge(ctx context.Context, a *Answer) error {
	if t.meter.counts() {
		t.end.metered = true
		return t.meter.answered(ctx, t.request.Method, a)
	}
	t.end.cost, t.end.unpriced = t.flat()
	if t.amount > 0 && keepsCost(t.c.endpoint.Abandoned) {
		// Without it the request would be free if the edge died now, which is what the policy says then.
		_ = t.c.g.d.Spool.Partial(t.ticket, t.amount, t.amount)
	}
	return nil
}

// chargeUnanswered charges for a request that was sent whole and whose answer nobody waits for.
func (t *try) chargeUnanswered() {
	if t.meter.counts() {
		t.end.metered = true
		t.meter.unanswered()
		return
	}
	t.end.cost, t.end.unpriced = t.flat()
}

// flat is what a request costs that nothing is counted of, and whether that only stands in for what is not known.
func (t *try) flat() (cost money.Nanos, unpriced bool) {
	if p := t.plan; p != nil && p.meter == nil {
		return p.unread, true
	}
	return t.amount, false
}

// cost is what the request is charged as things stand, if that is known.
func (c *call) cost() (money.Nanos, bool) {
	t := c.now
	switch {
	case t == nil || !t.pending:
		return c.spend.charged, true
	case t.end.metered:
		cost, known := t.meter.known(t.complete())
		return c.spend.charged + cost, known
	default:
		return c.spend.charged + t.end.cost, true
	}
}

// settle ends the intent of an attempt. It may be called again.
func (t *try) settle() {
	if !t.pending {
		return
	}
	t.pending = false
	c := t.c
	s, given := &c.spend, t.given()
	before := s.charged
	s.charged += given                             // if this fails by a bug: the intent stays open, and may cost as much in the end
	t.last = settlements.Get().(*spool.Settlement) //nolint:forcetypeassert // the pool holds nothing else
	*t.last = spool.Settlement{Units: 1}
	if t.hop != nil && c.ask.op == opCount {
		t.last.Units = 0 // no tokens are used by counting them
	}
	switch {
	case t.meter.reading != nil:
		t.last.Units = 0
		t.read(given)
	case t.meter.usage != nil:
		cost, units, unpriced := t.meter.end()
		if t.last.Units = 0; t.end.metered {
			t.end.cost, t.end.unpriced, t.last.Units, s.metered = cost, unpriced, units, true
		}
	case t.plan != nil && t.plan.meter != nil:
		t.last.Meter = t.plan.meter.Name
	}
	s.units += t.last.Units
	took := c.over
	if took == 0 {
		took = c.elapsed()
	}
	t.last.At, t.last.Status, t.last.Outcome, t.last.Duration = c.began.Add(took), t.end.status, t.end.outcome, took
	t.last.Cost, t.last.Unpriced = t.end.cost, t.end.unpriced
	c.g.d.Spool.Settle(t.ticket, t.last)
	*t.last = spool.Settlement{}
	settlements.Put(t.last)
	t.last = nil
	s.charged = before + t.end.cost
	s.pot.back(given)
	counters := c.counters
	if counters == nil {
		return
	}
	counters.Settled(int64(t.end.cost), int64(t.end.cost-given))
	if t.end.outcome == eventv1.SpendOutcome_SPEND_OUTCOME_CUT {
		counters.Cut()
	}
	if t.end.unpriced {
		counters.Unpriced()
	}
}

// settleAll settles an attempt and those before it, each also if another one fails by a bug.
func (t *try) settleAll() {
	if t.before != nil {
		defer t.before.settleAll()
	}
	t.settle()
}

// settle ends the intents, gives back what was held and not charged, and tells the limits what was used,
// each of them also if one before it fails by a bug. It may be called again.
func (c *call) settle() {
	defer c.settlePass()
	defer c.settleHold()
	if c.newest != nil {
		c.newest.settleAll()
	}
}

func (c *call) settleHold() {
	if s := &c.spend; s.pot.held != nil && !s.settled {
		s.settled = true
		s.pot.held.Settle(s.charged)
	}
}
