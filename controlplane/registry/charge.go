package registry

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter"
)

// Charge says which answers are charged a price that is fixed or that the target says. It is the very message
// that edges get, so that nothing is lost between what was configured and what is charged.
type Charge struct{ Message *controlv1.Charge }

// Metered is a price by meters, as edges get it.
type Metered struct{ Message *controlv1.Metered }

// MarshalJSON writes what is stored.
func (c Charge) MarshalJSON() ([]byte, error) { return protojson.Marshal(c.Message) }

// UnmarshalJSON reads what is stored, also by a newer version.
func (c *Charge) UnmarshalJSON(raw []byte) error { return stored(raw, &c.Message, &controlv1.Charge{}) }

// Equal says whether both charge the same answers.
func (c Charge) Equal(o Charge) bool { return proto.Equal(c.Message, o.Message) }

// MarshalJSON writes what is stored.
func (m Metered) MarshalJSON() ([]byte, error) { return protojson.Marshal(m.Message) }

// UnmarshalJSON reads what is stored, also by a newer version.
func (m *Metered) UnmarshalJSON(raw []byte) error {
	return stored(raw, &m.Message, &controlv1.Metered{})
}

// Equal says whether both count the same at the same prices.
func (m Metered) Equal(o Metered) bool { return proto.Equal(m.Message, o.Message) }

func stored[M proto.Message](raw []byte, to *M, made M) error {
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	*to = made
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(raw, made)
}

// same compares what may be missing.
func same[T interface{ Equal(o T) bool }](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return (*a).Equal(*b)
}

// statusForm is a status, a class of them, or all.
var statusForm = regexp.MustCompile(`^([1-5](xx|[0-9][0-9])|any)$`)

const (
	maxCharged    = 16
	maxConditions = 8
)

// check adds what is wrong with a charge under a field that ends in a point. methods are the endpoint's; what
// could never come is refused, because somebody counts on it.
func (c *Charge) check(p *Problems, field string, methods []string) {
	m := c.Message
	if n := len(m.GetStatuses()); n > maxCharged {
		p.Add(field+"statuses", Range, "There are %d statuses: at most %d are allowed, and 4xx stands for a hundred of them.", n, maxCharged)
	}
	for i, s := range m.GetStatuses() {
		at := fmt.Sprintf("%sstatuses[%d]", field, i)
		switch {
		case !statusForm.MatchString(s):
			p.Add(at, Malformed, "%q is no status: write 2xx, 404 or any.", clip(s))
		case slices.Contains(m.GetStatuses()[:i], s):
			p.Add(at, Duplicate, "The status %s is listed twice.", s)
		case s == "any" && len(m.GetStatuses()) > 1:
			p.Add(at, Duplicate, "Any stands for every status: leave the others out.")
		}
	}
	checkMethods(p, field+"methods", m.GetMethods())
	if len(methods) > 0 && !p.Has(field+"methods") {
		for _, method := range m.GetMethods() {
			if !slices.Contains(methods, method) {
				p.Add(field+"methods", Forbidden, "The endpoint does not answer %s, so that it is never charged: leave it out, or add it to the endpoint's methods.", method)
			}
		}
	}
	c.checkConditions(p, field)
}

// checkConditions lets a meter judge what is looked at in answers: a meter is what edges make of it.
func (c *Charge) checkConditions(p *Problems, field string) {
	conditions := &controlv1.Charge{OnlyIf: c.Message.GetOnlyIf(), Unless: c.Message.GetUnless()}
	only, unless := len(conditions.GetOnlyIf()), len(conditions.GetUnless())
	switch {
	case only > maxConditions:
		p.Add(field+"only_if", Range, "There are %d conditions: at most %d are allowed.", only, maxConditions)
		return
	case unless > maxConditions:
		p.Add(field+"unless", Range, "There are %d conditions: at most %d are allowed.", unless, maxConditions)
		return
	case only+unless == 0:
		return
	}
	const at = "meters[0].charge."
	for _, problem := range meter.Check(&controlv1.Metered{
		Meters:    []*controlv1.Meter{{Name: "fixed", Base: "1", Charge: conditions}},
		Unmatched: "refuse", Fallback: "0",
	}) {
		if below, ok := strings.CutPrefix(problem.Field, at); ok {
			p.Add(field+below, Malformed, "%s: %s.", below, problem.Reason)
		}
	}
}

// charge says which answers are charged, of a price that is for all requests alike, and whether it is one.
func (p *Price) charge() (charge *controlv1.Charge, priced bool) {
	of := p.Charge
	switch {
	case p.Reported != nil:
		of = p.Reported.Charge
	case p.Free || p.Usage != nil || p.Metered != nil || p.PerRequest == 0:
		return nil, false
	}
	if of == nil {
		return nil, true
	}
	return of.Message, true
}

// ChargesMethod says whether requests of a method are charged, of a price that is for all requests alike.
// endpoint are the methods that the endpoint names. A WebSocket is always charged.
func (p *Price) ChargesMethod(method string, endpoint []string, webSocket bool) bool {
	charge, _ := p.charge()
	switch {
	case webSocket:
		return true
	case len(charge.GetMethods()) > 0:
		return slices.Contains(charge.GetMethods(), method)
	case len(endpoint) > 0:
		return slices.Contains(endpoint, method)
	default:
		return !meter.Asks(method)
	}
}
