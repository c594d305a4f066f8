package routing

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/meter"
	"tollgate/internal/money"
)

// price reads what an endpoint costs.
func (e *Endpoint) price(from *eventv1.RouteEndpoint, book meter.Book) (err error) {
	e.Price, e.Free, e.PriceVersion = money.Nanos(from.GetPriceNanos()), from.GetFree(), from.GetPriceVersion()
	e.PriceText = e.Price.String()
	e.Abandoned = from.GetAbandoned()
	if e.Abandoned == eventv1.AbandonedPolicy_ABANDONED_POLICY_UNSPECIFIED {
		e.Abandoned = eventv1.AbandonedPolicy_ABANDONED_POLICY_RESERVED
	}
	if e.Price < 0 {
		return fmt.Errorf("its price %s is negative", e.Price.Dollars())
	}
	prices := 0
	for _, is := range []bool{e.Free, e.Price > 0, from.GetUsage() != nil, from.GetMetered() != nil, from.GetReported() != nil} {
		if is {
			prices++
		}
	}
	if prices > 1 {
		return errors.New("it has two prices")
	}
	e.Charge = answered2xx
	if usage := from.GetUsage(); usage != nil {
		e.Usage, err = newUsage(usage)
		return err
	}
	if err := e.plan(from, book); err != nil {
		// It may be a price of a newer version. Whatever it is, it must not be had for nothing.
		e.Plan = nil
		e.Err = fault.New(fault.NotPriced, "This edge cannot read the price of endpoint %s: %v.", e.Name, err).
			WithHint("Ask your gateway admin to upgrade the edge, or to correct the price.")
	}
	return nil
}

// plan reads a price that is made of more than one number, and which answers are charged.
func (e *Endpoint) plan(from *eventv1.RouteEndpoint, book meter.Book) (err error) {
	charge := from.GetCharge()
	if m := from.GetMetered(); m != nil { // whose meters say it themselves
		e.Plan, err = meter.Compile(m, book)
		return err
	}
	if e.Charge, err = newCharge(charge, e.Methods); err != nil {
		return err
	}
	if charge = proto.CloneOf(charge); charge == nil {
		charge = &controlv1.Charge{}
	}
	if len(charge.GetMethods()) == 0 {
		charge.Methods = e.Methods // which are charged, because they are named
	}
	switch r := from.GetReported(); {
	case r != nil:
		e.Plan, err = meter.Reported(r.GetHeader(), money.Nanos(r.GetCeilingNanos()), money.Nanos(r.GetFallbackNanos()), charge)
	case !e.Free && len(charge.GetOnlyIf())+len(charge.GetUnless()) > 0:
		e.Plan, err = meter.Fixed(e.Price, charge)
	}
	return err
}

// bookOf finds the lists that a snapshot came with.
func bookOf(s *eventv1.RouteSnapshot) meter.Book {
	lists := make(map[string][]*controlv1.ModelPrice, len(s.GetBook()))
	for _, list := range s.GetBook() {
		lists[list.GetName()] = list.GetRows()
	}
	return func(list string) []*controlv1.ModelPrice { return lists[list] }
}
