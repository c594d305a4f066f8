package proxy

import (
	"tollgate/edge/routing"
	"tollgate/internal/fault"
	metering "tollgate/internal/meter"
	"tollgate/internal/money"
)

// terms are what an attempt is charged by: the price of the endpoint, or that of the deployment which it goes to.
type terms struct {
	by     *routing.Endpoint // whose price it is
	plan   *planned          // nil for a price that is a number, or by usage
	free   bool              // it costs nothing, whatever it is answered
	amount money.Nanos       // what an attempt is given at first
}

// find finds the meter that reads a request, if there is one.
func (t *terms) find(p *planned) error {
	e, r := t.by, &p.request
	switch p.meter = e.Plan.Match(r); {
	case !e.Plan.Agreed(p.meter, r):
		return fault.New(fault.PathInvalid, "Some targets would read the path %s as another one, which has another price at endpoint %s.", shortPath(r.Path), e.Name).
			WithHint("Send the path as the API documents it: without dot segments, doubled slashes, or escapes that it does not need.")
	case p.meter != nil:
		t.free = p.meter.Free
	case e.Plan.Unmatched == metering.Free:
		t.free = true
		return nil
	case e.Plan.Unmatched == metering.Unpriced:
		p.unread = min(max(e.Plan.Unread().Cost, 0), mostCost)
	default:
		return fault.New(fault.NotPriced, "Endpoint %s has no price for %s %s.", e.Name, known(r.Method), shortPath(r.Path))
	}
	t.plan = p
	return nil
}

// metered says whether a meter reads the exchange.
func (t *terms) metered() bool { return t.plan != nil && t.plan.meter != nil && !t.free }

// hold finds out what is to be held for a request whose body has as many bytes if that is known.
func (t *terms) hold(length int64, known *costs) {
	switch e := t.by; {
	case t.free:
		t.amount = 0
	case t.plan != nil:
		t.amount = t.planHold(known)
	case e.Usage != nil:
		t.amount = reserve(e.Usage, length)
	default:
		t.amount = e.Price
	}
}

// planHold is what is to be held for a request whose price is more than a number.
func (t *terms) planHold(known *costs) money.Nanos {
	p := t.plan
	if p.meter == nil {
		return max(p.unread, 1) // a budget with nothing left admits nothing
	}
	p.hold = p.meter.Hold(&p.request, func(meter, model string) (money.Nanos, bool) {
		return known.likely(costKey{t.by.ID, meter, model})
	})
	return min(max(p.hold.Amount, 0), 100*mostCost)
}

// model is what the request asks for, as it is recorded.
func (t *terms) model() string {
	if t.plan == nil {
		return ""
	}
	return clip(t.plan.hold.Model, longestName)
}

// release gives up the body. It may be called again.
func (t *terms) release() {
	if t.plan == nil {
		return
	}
	t.plan.request.Forget()
	if k := t.plan.edits.body; k != nil {
		k.release()
	}
}
