package registry

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"tollgate/internal/money"
)

// MaxRates is how many rates a usage price can have.
const MaxRates = 8

// Price is what a request costs: nothing, the same for each, or what it uses.
type Price struct {
	Free       bool        `json:"free"`
	PerRequest money.Nanos `json:"per_request_nanos"` // of a price that is the same for each
	Usage      *Usage      `json:"usage,omitempty"`
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
	if p.Free != o.Free || p.PerRequest != o.PerRequest || (p.Usage == nil) != (o.Usage == nil) {
		return false
	}
	if p.Usage == nil {
		return true
	}
	a, b := *p.Usage, *o.Usage
	same := slices.Equal(a.Rates, b.Rates)
	return same && a.PerRequest == b.PerRequest && a.Hold == b.Hold && a.Ceiling == b.Ceiling && a.Fallback == b.Fallback
}

func (p *Price) check(problems *Problems) {
	if p.Usage != nil {
		p.Usage.check(problems)
		return
	}
	checkPrice(problems, "price.fixed.per_request", "price", p.PerRequest)
}

func checkPrice(p *Problems, field, what string, n money.Nanos) {
	if n < 0 && !p.Has(field) {
		p.Add(field, Range, "The %s %s is negative: use 0 or more.", what, n.Dollars())
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
