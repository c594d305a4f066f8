package usage

import (
	"cmp"
	"fmt"
	"slices"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/meter"
	"tollgate/internal/money"
)

// Repricing says what unpriced records cost.
type Repricing interface {
	// Cost is what a record costs, or why that is not known even now. An error says that nothing should be priced so.
	Cost(w Whole) (cost money.Nanos, why string, err error)
}

// Whole is an unpriced record together with all that it corrects.
type Whole struct {
	Record Record
	Cost   money.Nanos // all that was charged so far
	Units  int64
	Counts string // what was counted last
}

// Price is what unpriced records are said to cost.
type Price struct {
	PerRequest      money.Nanos
	PerMillionUnits money.Nanos
}

// Cost is what the units of a record cost, rounded up once to a whole nano-dollar.
func (p Price) Cost(w Whole) (money.Nanos, string, error) {
	cost, err := money.Rated{}.PlusNanos(p.PerRequest).Plus(w.Units, p.PerMillionUnits).Nanos()
	if err != nil {
		return 0, "", fault.New(fault.InvalidArgument, "At this price, a request of %d units costs more than an amount can be.", w.Units)
	}
	return cost, "", nil
}

// Meters are the prices of endpoints, and of deployments of models, by which records cost what their meters counted. Both go by
// one kind of name: the id of an endpoint has no slash in it, the name of a deployment has.
type Meters struct {
	plans  map[string]*meter.Plan
	whyNot map[string]string
}

// NewMeters knows no price.
func NewMeters() *Meters {
	return &Meters{plans: map[string]*meter.Plan{}, whyNot: map[string]string{}}
}

// Add adds the price of an endpoint or of a deployment.
func (m *Meters) Add(of string, price *controlv1.Metered, book meter.Book) error {
	plan, err := meter.Compile(price, book)
	if err != nil {
		return fault.New(fault.InvalidArgument, "This ledger cannot read the price of %s: %v.", of, err)
	}
	m.plans[of] = plan
	return nil
}

// AddNone notes why records of an endpoint or of a deployment cannot be priced.
func (m *Meters) AddNone(of, why string) { m.whyNot[of] = why }

// Cost is what a record's counts come to.
func (m *Meters) Cost(w Whole) (money.Nanos, string, error) {
	e := w.Record.Event
	plan := m.plans[cmp.Or(e.GetDeployment(), e.GetEndpointId())]
	if plan == nil {
		return 0, cmp.Or(m.whyNot[e.GetDeployment()], m.whyNot[e.GetEndpointId()], "the price of its endpoint is not known"), nil
	}
	rec := meter.Recorded{Meter: e.GetMeter(), Model: e.GetModel(), Counts: w.Counts}
	corrects := w.Record.Corrects != nil
	switch state := e.GetJob().GetState(); {
	case e.GetOutcome() == eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED:
		return 0, "its edge died while it was answered", nil
	case e.GetJob().GetId() == "":
	case state == eventv1.SpendJobState_SPEND_JOB_STATE_DONE:
		rec.Job = corrects
	case corrects:
		return 0, "nobody has told how its job ended", nil
	default:
		return 0, "its job has not ended", nil
	}
	cost, why := plan.Reprice(rec)
	if len(why) > 0 {
		return 0, why[0], nil
	}
	return cost, "", nil
}

// Repriced is what pricing records led to.
type Repriced struct {
	Corrected  int64
	Difference money.Nanos // by how much they cost more now; negative if less
	Freed      []int64     // accounts of which something became free
	// Unpriced are those that stay so, and Reasons why, the commonest first.
	Unpriced int64
	Reasons  []Reason
}

// Reason is why records of an endpoint stay unpriced.
type Reason struct {
	EndpointID string
	Why        string
	Requests   int64
}

// mostReasons is how many different ones are told apart. There may be as many as there are names of models.
const mostReasons = 50

// otherReasons stands for those beyond.
const otherReasons = "other reasons"

// Plus adds what was done later.
func (r Repriced) Plus(o Repriced) (Repriced, error) {
	sum, err := r.Difference.Add(o.Difference)
	if err != nil {
		return r, fmt.Errorf("add what was priced: %w", err)
	}
	r.Difference, r.Corrected, r.Freed = sum, r.Corrected+o.Corrected, append(r.Freed, o.Freed...)
	for _, one := range o.Reasons {
		r.stays(one.EndpointID, one.Why, one.Requests)
	}
	return r, nil
}

// Stays notes a record that stays unpriced.
func (r *Repriced) Stays(endpoint, why string) { r.stays(endpoint, why, 1) }

func (r *Repriced) stays(endpoint, why string, n int64) {
	r.Unpriced += n
	same := func(o Reason) bool { return o.EndpointID == endpoint && o.Why == why }
	i := slices.IndexFunc(r.Reasons, same)
	if i < 0 && len(r.Reasons) >= mostReasons {
		endpoint, why = "", otherReasons
		i = slices.IndexFunc(r.Reasons, same)
	}
	if i < 0 {
		r.Reasons = append(r.Reasons, Reason{endpoint, why, 0})
		i = len(r.Reasons) - 1
	}
	r.Reasons[i].Requests += n
}

// Sort brings what was found together in order.
func (r *Repriced) Sort() {
	slices.Sort(r.Freed)
	r.Freed = slices.Compact(r.Freed)
	slices.SortStableFunc(r.Reasons, func(a, b Reason) int { return cmp.Compare(b.Requests, a.Requests) })
}
