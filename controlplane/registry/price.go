package registry

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
	"google.golang.org/protobuf/proto"

	"tollgate/internal/meter"
	"tollgate/internal/money"
)

// Bounds of prices.
const (
	// MaxRates is how many rates a usage price can have.
	MaxRates = 8

	// MaxPrice is the most that one request can be said to cost. More is a slip of the pen, and would use up
	// a budget at once.
	MaxPrice = 1_000_000 * money.Dollar
)

// DefaultCostHeader is where targets say their cost if nothing else is said. Edges of Tollgate say it there.
const DefaultCostHeader = "x-tollgate-cost"

// Price is what a request costs: nothing, the same for each, what it uses, what meters read, or what the
// target says. At most one of Free, Usage, Metered and Reported is set.
type Price struct {
	Free       bool        `json:"free"`
	PerRequest money.Nanos `json:"per_request_nanos"` // of a price that is the same for each
	Charge     *Charge     `json:"charge,omitempty"`  // of such a price; nil for the default
	Usage      *Usage      `json:"usage,omitempty"`
	Metered    *Metered    `json:"metered,omitempty"`
	Reported   *Reported   `json:"reported,omitempty"`
}

// Reported is the cost that a target says in a header of its answer.
type Reported struct {
	Header   string      `json:"header"`
	Ceiling  money.Nanos `json:"ceiling_nanos"`  // that a request costs at most, and that is held
	Fallback money.Nanos `json:"fallback_nanos"` // where it says none
	Charge   *Charge     `json:"charge,omitempty"`
}

// Usage makes the cost of what a request uses.
type Usage struct {
	PerRequest money.Nanos `json:"per_request_nanos"`
	Rates      []Rate      `json:"rates"`
	Hold       money.Nanos `json:"hold_nanos"`     // beside PerRequest and the bytes of the body
	Ceiling    bool        `json:"ceiling"`        // the answer is cut off before it costs more than is held
	Fallback   money.Nanos `json:"fallback_nanos"` // in place of a count that was not told
}

// Rate is the price of one kind of unit.
type Rate struct {
	Unit       Unit        `json:"unit"`
	Header     string      `json:"header,omitempty"`
	PerMillion money.Nanos `json:"per_million_nanos"`
}

// Unit is what a rate counts. The numbers are those of both protobuf enumerations.
type Unit uint8

// The units.
const (
	UnitRequestBytes Unit = iota + 1
	UnitResponseBytes
	UnitResponseEvents
	UnitResponseHeader
)

// Abandoned says what a request is charged that was in flight when its edge died. The numbers are
// those of both protobuf enumerations.
type Abandoned uint8

// The policies.
const (
	AbandonedReserved Abandoned = iota + 1
	AbandonedMetered
	AbandonedNothing
)

// Equal says whether both make the same cost of everything.
func (p *Price) Equal(o *Price) bool {
	return p.Free == o.Free && p.PerRequest == o.PerRequest && same(p.Charge, o.Charge) &&
		same(p.Usage, o.Usage) && same(p.Metered, o.Metered) && same(p.Reported, o.Reported)
}

// Equal says whether both make the same cost of everything.
func (u Usage) Equal(o Usage) bool {
	return slices.Equal(u.Rates, o.Rates) && u.PerRequest == o.PerRequest && u.Hold == o.Hold && u.Ceiling == o.Ceiling && u.Fallback == o.Fallback
}

// Equal says whether both take the same for the cost.
func (r Reported) Equal(o Reported) bool {
	return strings.EqualFold(r.Header, o.Header) && r.Ceiling == o.Ceiling && r.Fallback == o.Fallback && same(r.Charge, o.Charge)
}

// normalize fills in what was left out. It works on copies: what is behind a price may be that of a request.
func (p *Price) normalize() {
	if p.Charge != nil && proto.Size(p.Charge.Message) == 0 {
		p.Charge = nil
	}
	if p.Reported == nil {
		return
	}
	r := *p.Reported
	r.Header = strings.ToLower(either(r.Header, DefaultCostHeader))
	if r.Charge != nil && proto.Size(r.Charge.Message) == 0 {
		r.Charge = nil
	}
	p.Reported = &r
}

// Check adds everything that is wrong with a price that is nobody's yet.
func (p *Price) Check(problems *Problems) {
	p.normalize()
	p.check(problems, nil)
}

// Fixed is what every request costs, if that is the same for all.
func (p *Price) Fixed() (cost money.Nanos, ok bool) {
	return p.PerRequest, !p.Free && p.Usage == nil && p.Metered == nil && p.Reported == nil
}

// meterCodes are the codes of mistakes in prices by meters.
var meterCodes = map[meter.Mistake]string{
	meter.AnyMistake: Malformed, meter.BadPath: MeterPath, meter.Negative: PriceNegative, meter.TooPrecise: PricePrecision,
}

func (p *Price) check(problems *Problems, methods []string) {
	switch {
	case p.Usage != nil:
		p.Usage.check(problems)
	case p.Metered != nil:
		for _, problem := range meter.Check(p.Metered.Message) {
			problems.Add("price.metered."+problem.Field, meterCodes[problem.Mistake], "%s: %s.", problem.Field, problem.Reason)
		}
	case p.Reported != nil:
		p.Reported.check(problems, methods)
	case !p.Free:
		checkAmount(problems, "price.fixed.per_request", "price", p.PerRequest)
		if p.Charge != nil {
			p.Charge.check(problems, "price.fixed.charge.", methods)
		}
	}
}

// check adds everything that is wrong with a price that the target says. The ceiling is all that stands between
// a budget and a target that is wrong, so there is none without it.
func (r *Reported) check(p *Problems, methods []string) {
	const field = "price.reported."
	if len(r.Header) > maxHeaderName || !httpguts.ValidHeaderFieldName(r.Header) {
		p.Add(field+"header", Malformed, "%q is not a header name.", clip(r.Header))
	}
	checkAmount(p, field+"ceiling", "ceiling", r.Ceiling)
	checkAmount(p, field+"fallback", "fallback", r.Fallback)
	switch {
	case r.Ceiling == 0 && !p.Has(field+"ceiling"):
		p.Add(field+"ceiling", Required, "Say what a request costs at most, whatever the target says: more than 0.")
	case r.Fallback > r.Ceiling && !p.Has(field+"fallback") && !p.Has(field+"ceiling"):
		p.Add(field+"fallback", Range, "The fallback %s is more than the ceiling %s, which no request exceeds.", r.Fallback.Dollars(), r.Ceiling.Dollars())
	}
	if r.Charge != nil {
		r.Charge.check(p, field+"charge.", methods)
	}
}

// checkAmount is checkPrice for what one request can cost.
func checkAmount(p *Problems, field, what string, n money.Nanos) {
	checkPrice(p, field, what, n)
	if n > MaxPrice && !p.Has(field) {
		p.Add(field, Range, "The %s %s is more than %s, which no request costs.", what, n.Dollars(), MaxPrice.Dollars())
	}
}

func checkPrice(p *Problems, field, what string, n money.Nanos) {
	if n < 0 && !p.Has(field) {
		p.Add(field, PriceNegative, "The %s %s is negative: use 0 or more.", what, n.Dollars())
	}
}

// check adds everything that is wrong with a price by usage. What it costs at most has to be known
// where that is promised, and what could never matter is refused, because somebody counts on it.
func (u *Usage) check(p *Problems) {
	const field = "price.usage."
	checkPrice(p, field+"per_request", "price", u.PerRequest)
	checkPrice(p, field+"hold", "hold", u.Hold)
	checkPrice(p, field+"fallback", "fallback", u.Fallback)
	if _, err := u.PerRequest.Add(u.Hold); err != nil {
		p.Add(field+"hold", Range, "The hold %s is too large together with the price of %s.", u.Hold.Dollars(), u.PerRequest.Dollars())
	}
	if n := len(u.Rates); n < 1 || n > MaxRates {
		p.Add(field+"rates", Range, "There are %d rates: use 1 to %d, or a fixed price.", n, MaxRates)
	}
	told, grows := false, false
	for i, r := range u.Rates {
		r.check(p, fmt.Sprintf("%srates[%d].", field, i))
		if slices.ContainsFunc(u.Rates[:i], r.same) {
			p.Add(fmt.Sprintf("%srates[%d]", field, i), Duplicate, "The same is counted by a rate before: give it one price.")
		}
		told = told || r.Unit == UnitResponseHeader
		grows = grows || (r.Unit == UnitResponseBytes || r.Unit == UnitResponseEvents) && r.PerMillion > 0
	}
	switch {
	case u.Ceiling && told:
		p.Add(field+"bound", Forbidden, "A ceiling cannot be kept where the target tells a count in a header: it is known only when all of it is used. "+
			"Use the bound estimate with a hold that such a request does not exceed, or rates on bytes and events.")
	case u.Ceiling && grows && u.Hold == 0:
		p.Add(field+"hold", Range, "With a ceiling the hold is all that an answer may cost, so nothing of any answer would pass: use more than 0.")
	}
	if u.Fallback > 0 && !told && !p.Has(field+"rates") {
		p.Add(field+"fallback", Forbidden, "No rate is counted by a response header, so every count is known and a fallback is never charged: leave it out.")
	}
}

func (r *Rate) check(p *Problems, field string) {
	checkPrice(p, field+"per_million", "rate", r.PerMillion)
	switch header := r.Unit == UnitResponseHeader; {
	case r.Unit < UnitRequestBytes || r.Unit > UnitResponseHeader:
		p.Add(field+"unit", Required, "Say what the rate counts: request bytes, response bytes, response events or a response header.")
	case header && r.Header == "":
		p.Add(field+"header", Required, "Name the response header that holds the count.")
	case header && (len(r.Header) > 128 || !httpguts.ValidHeaderFieldName(r.Header)):
		p.Add(field+"header", Malformed, "%q is not a header name.", clip(r.Header))
	case !header && r.Header != "":
		p.Add(field+"header", Forbidden, "Only rates on a response header name one: leave %s out, or count that header.", clip(r.Header))
	}
}

// same says whether two rates count the same.
func (r *Rate) same(o Rate) bool { return r.Unit == o.Unit && strings.EqualFold(r.Header, o.Header) }
