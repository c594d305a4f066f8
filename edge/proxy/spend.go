package proxy

import (
	"context"
	"errors"
	"time"

	"tollgate/edge/admit"
	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// spend is the money of a request, from what is held for it to what it is charged.
type spend struct {
	held    Hold // nil if nothing was held
	money   admit.Hold
	settled bool        // it has ended
	amount  money.Nanos // held; the meter knows how much more
	meter   meter
	draws   []contract.Draw

	attempt uint32
	intent  spool.Intent
	ticket  spool.Ticket
	pending bool       // ticket is to be settled
	end     settlement // how the attempt would be recorded if the exchange ended now
	last    spool.Settlement
	charged money.Nanos
	units   int64 // used by all attempts
}

// settlement is the end of an attempt.
type settlement struct {
	status  int
	outcome eventv1.SpendOutcome
	cost    money.Nanos
	metered bool // the cost is what the meter says
}

var errPanicked = errors.New("paying for the body failed by a bug")

// hold sets aside what the request may cost, in every account that it draws on.
func (c *call) hold(ctx context.Context) error {
	e, s := c.endpoint, &c.spend
	if e.Free {
		return nil
	}
	s.amount = e.Price
	if e.Usage != nil {
		s.meter.usage, s.meter.spool, s.meter.keep = e.Usage, c.g.d.Spool, keepsCost(e.Abandoned)
		s.amount = s.meter.reserve(c.x.Length)
	}
	held, err := c.g.d.Budgets.Hold(ctx, &s.money, c.accounts(), s.amount)
	if err != nil {
		return err
	}
	s.held = held // first: whatever happens from here on, it is given back
	s.meter.hold, s.meter.amount = held, s.amount
	s.draws = held.Draws()
	return nil
}

// reserved is what is held by now.
func (c *call) reserved() money.Nanos {
	if c.spend.meter.usage != nil {
		return c.spend.meter.held()
	}
	return c.spend.amount
}

// intend records that an attempt is about to be made.
func (c *call) intend() error {
	s := &c.spend
	s.attempt++
	s.intent = spool.Intent{
		Request: c.id, Attempt: s.attempt, At: time.Now(),
		KeyID: c.key.ID, EndpointID: c.endpoint.ID, Team: c.key.Team, Customer: c.labels.customer, Tags: c.labels.tags,
		PriceVersion: c.endpoint.PriceVersion, Amount: c.reserved(), Draws: s.draws, Abandoned: c.endpoint.Abandoned,
	}
	ticket, err := c.g.d.Spool.Intent(&s.intent)
	if err != nil {
		c.g.spoolFailed.Store(time.Now().UnixNano())
		if c.endpoint.Free { // it owes nothing: only its record will be missing
			s.units++
			return nil
		}
		return err
	}
	c.g.spoolFailed.Store(0)
	s.ticket, s.pending = ticket, true
	s.end = settlement{outcome: eventv1.SpendOutcome_SPEND_OUTCOME_UNREACHABLE}
	if s.meter.usage != nil {
		s.meter.begin(ticket)
	}
	return nil
}

// payForBody is called by the engine's goroutine, where nobody else would survive a bug.
func (c *call) payForBody(ctx context.Context, n int) (err error) {
	defer func() {
		if v := recover(); v != nil {
			c.logPanic(ctx, v)
			err = errPanicked
		}
	}()
	return c.spend.meter.pay(ctx, n)
}

// charge finds out what an answer of status 2xx costs as far as its headers tell. With an error nothing
// of it may go on.
func (c *call) charge(ctx context.Context, a *Answer) error {
	s := &c.spend
	if s.meter.usage != nil {
		s.end.metered = true
		return s.meter.answered(ctx, c.x.Method, a)
	}
	s.end.cost = s.amount
	if s.amount > 0 && keepsCost(c.endpoint.Abandoned) {
		// Without it the request would be free if the edge died now, which is what the policy says then.
		_ = c.g.d.Spool.Partial(s.ticket, s.amount, s.amount)
	}
	return nil
}

// chargeUnanswered charges for a request that was sent whole and whose answer nobody waits for.
func (c *call) chargeUnanswered() {
	if c.spend.meter.usage != nil {
		c.spend.end.metered = true
		return
	}
	c.spend.end.cost = c.spend.amount
}

// cost is what the request is charged as things stand, if that is known.
func (c *call) cost() (money.Nanos, bool) {
	switch s := &c.spend; {
	case !s.pending:
		return s.charged, true
	case s.end.metered:
		return s.meter.known(c.body.complete(c.x.Length))
	default:
		return s.end.cost, true
	}
}

// settleAttempt ends the intent that is open. It may be called again.
func (c *call) settleAttempt() {
	s := &c.spend
	if !s.pending {
		return
	}
	s.pending = false
	s.charged = c.reserved() // if this fails by a bug: the intent stays open, and may cost as much in the end
	units, unpriced := int64(1), false
	if s.meter.usage != nil {
		var cost money.Nanos
		if cost, units, unpriced = s.meter.end(); s.end.metered {
			s.end.cost = cost
		} else {
			units, unpriced = 0, false
		}
	}
	s.units += units
	s.last = spool.Settlement{
		At: time.Now(), Status: s.end.status, Outcome: s.end.outcome,
		Cost: s.end.cost, Duration: time.Since(c.began), Units: units, Unpriced: unpriced,
	}
	c.g.d.Spool.Settle(s.ticket, &s.last)
	s.charged = s.end.cost
	if c.counters == nil {
		return
	}
	c.counters.Settled(int64(s.charged), int64(s.charged-c.reserved()))
	if s.end.outcome == eventv1.SpendOutcome_SPEND_OUTCOME_CUT {
		c.counters.Cut()
	}
	if unpriced {
		c.counters.Unpriced()
	}
}

// settle ends the intent, gives back what was held and not charged, and tells the limits what was used,
// each of them also if one before it fails by a bug. It may be called again.
func (c *call) settle() {
	defer c.settlePass()
	defer c.settleHold()
	c.settleAttempt()
}

func (c *call) settleHold() {
	if s := &c.spend; s.held != nil && !s.settled {
		s.settled = true
		s.held.Settle(s.charged)
	}
}
