package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/meter"
	"tollgate/internal/money"
)

type priceService struct{ store *store.Store }

// TestPrice runs the code that edges charge by on an exchange that was recorded or made up.
func (s *priceService) TestPrice(ctx context.Context, req *controlv1.TestPriceRequest) (*controlv1.TestPriceResponse, error) {
	var price registry.Price
	var methods []string
	if ref := req.GetEndpoint(); ref != "" {
		e, err := s.store.Endpoint(ctx, ref)
		if err != nil {
			return nil, err
		}
		if e.Models != nil {
			return nil, fault.New(fault.FailedPrecondition, "Endpoint %s serves models, and has no price of its own.", e.Name).
				WithHint("Try the price of a deployment of one of its models: send it as price.")
		}
		price, methods = e.Price, e.Methods
	} else {
		p := problems("")
		price = priceOf(req.GetPrice(), p)
		price.Check(p)
		if err := p.Err("the price"); err != nil {
			return nil, err
		}
	}
	x := newExchange(req.GetSample())
	t := &trial{exchange: x, out: &controlv1.TestPriceResponse{Notes: x.notes}}
	if err := s.run(ctx, t, &price, methods); err != nil {
		return nil, err
	}
	return t.out, nil
}

// run charges the exchange by the price.
func (s *priceService) run(ctx context.Context, t *trial, price *registry.Price, methods []string) error {
	var plan *meter.Plan
	var err error
	switch {
	case price.Free:
		t.total(0)
		t.note("Requests cost nothing.")
		return nil
	case price.Usage != nil:
		return t.usage(price.Usage)
	case price.Metered != nil:
		plan, err = s.compile(ctx, price.Metered.Message)
	case price.Reported != nil:
		r := price.Reported
		plan, err = meter.Reported(r.Header, r.Ceiling, r.Fallback, ofMethods(r.Charge, methods))
	default:
		plan, err = meter.Fixed(price.PerRequest, ofMethods(price.Charge, methods))
	}
	if err != nil {
		return fmt.Errorf("compile price: %w", err)
	}
	if r := &t.request; price.Metered == nil && !price.ChargesMethod(r.Method, methods, r.WebSocket) {
		t.total(0)
		t.note("Requests of the method %s are not charged.", r.Method)
		return nil
	}
	t.plan(plan)
	return nil
}

// ofMethods is a charge with the methods written out that the endpoint names, which are charged if the charge
// names none.
func ofMethods(c *registry.Charge, endpoint []string) *controlv1.Charge {
	m := proto.CloneOf(chargeTo(c))
	if len(m.GetMethods()) > 0 || len(endpoint) == 0 {
		return m
	}
	if m == nil {
		m = &controlv1.Charge{}
	}
	m.Methods = endpoint
	return m
}

func (s *priceService) compile(ctx context.Context, m *controlv1.Metered) (*meter.Plan, error) {
	var failed error
	plan, err := meter.Compile(m, func(list string) []*controlv1.ModelPrice {
		rows, err := s.store.BookList(ctx, list)
		failed = errors.Join(failed, err)
		return rows
	})
	if failed != nil {
		return nil, failed
	}
	return plan, err
}

// trial is the charging of one exchange for show.
type trial struct {
	*exchange
	out *controlv1.TestPriceResponse
}

func (t *trial) note(text string, args ...any) {
	t.out.Notes = append(t.out.Notes, fmt.Sprintf(text, args...))
}

func (t *trial) total(n money.Nanos) { t.out.Total = contract.MoneyToProto(n) }

// plan takes the exchange through a plan as an edge does.
func (t *trial) plan(p *meter.Plan) {
	m := p.Match(&t.request)
	switch {
	case m == nil && p.Unmatched == meter.Unpriced:
		t.bill(p.Unread())
		t.note("No meter reads the request: it is charged the fallback.")
		return
	case m == nil:
		t.total(0)
		if p.Unmatched == meter.Free {
			t.note("No meter reads the request: it is free.")
		} else {
			t.note("No meter reads the request: it is refused, with status 403 and the code not_priced.")
		}
		return
	case m.Free:
		t.total(0)
		t.out.Meter = m.Name
		t.note("What the meter %s reads is free.", m.Name)
		return
	}
	hold := m.Hold(&t.request, func(string, string) (money.Nanos, bool) { return 0, false })
	t.out.Hold, t.out.HoldReason, t.out.Model = contract.MoneyToProto(hold.Amount), hold.Reason, hold.Model
	for _, e := range hold.Edits {
		t.note("The request is sent with %s set to %s.", e.Path, e.Value)
	}
	reading := m.Start(&t.request, hold.Edits)
	reading.Sent(t.sent)
	reading.Answered(t.status, t.answer.Get)
	reading.Received(t.received)
	b := reading.End(meter.End{Whole: t.whole, Held: hold.Amount, Trailer: func(string) string { return "" }})
	t.bill(b)
	t.job(b, hold.Amount)
}

// bill shows how a bill comes about.
func (t *trial) bill(b *meter.Bill) {
	t.out.Charged, t.out.Meter, t.out.Unpriced = b.Charged, b.Meter, b.Unpriced
	if b.Model != "" {
		t.out.Model = b.Model
	}
	t.total(b.Cost)
	counters, lines := b.Detail()
	for _, c := range counters {
		t.out.Counters = append(t.out.Counters, &controlv1.TestedCounter{Name: c.Name, Value: c.Value, Source: c.Source})
		if strings.Contains(c.Source, "seconds") && strings.Contains(c.Source, "measure") {
			t.note("The counter %s is the time that a request takes; a sample takes none.", c.Name)
		}
	}
	for _, l := range lines {
		t.out.Lines = append(t.out.Lines, &controlv1.TestedLine{Unit: l.Unit, Quantity: l.Quantity, Price: l.Price, Per: l.Per, Amount: l.Amount})
	}
	if b.Variant != "" {
		t.note("Prices are those of the variant %s.", b.Variant)
	}
}

// job shows what the exchange says of a job, and what that means for what is charged.
func (t *trial) job(b *meter.Bill, held money.Nanos) {
	if b.Job == nil {
		return
	}
	t.out.Job = b.Job.ID
	switch {
	case b.Job.State == meter.Failed:
		t.out.JobState = "failed"
		t.total(0)
		t.note("The job has failed: what was charged when it began is given back.")
	case b.Job.State == meter.Done && b.Job.AsBegun:
		t.out.JobState = "charged"
		t.note("The job is done: it costs what was charged when it began.")
	case b.Job.State == meter.Done:
		t.out.JobState = "charged"
		t.note("The job is done: this is what it costs, charged once.")
	case b.Job.Begins:
		t.out.JobState = "submitted"
		t.total(held)
		t.note("A job begins: what is held is charged, and corrected when it is known how the job ended.")
	default:
		t.out.JobState = "pending"
		t.total(0)
		t.note("The job goes on: asking after it costs nothing.")
	}
}
