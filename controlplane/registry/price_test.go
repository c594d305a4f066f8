package registry_test

import (
	"math"
	"slices"
	"testing"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/money"
)

func usagePrice() registry.Usage {
	return registry.Usage{
		PerRequest: 1, Hold: money.Dollar,
		Rates: []registry.Rate{{Unit: registry.UnitResponseBytes, PerMillion: money.Dollar}, {Unit: registry.UnitRequestBytes, PerMillion: 1}},
	}
}

// Guarantee: each rule of usage prices finds what it is for, under the right field, and nothing else is
// found.
func TestUsagePriceRules(t *testing.T) {
	t.Parallel()
	told := registry.Rate{Unit: registry.UnitResponseHeader, Header: "x-tokens", PerMillion: 1}
	check := func(u *registry.Usage, p *registry.Problems) {
		e := good()
		e.Price = registry.Price{Usage: u}
		e.Normalize()
		e.Check(p, known)
	}
	const at = "price.usage."
	checkRules(t, usagePrice, check, []rule[registry.Usage]{
		{"good", func(*registry.Usage) {}, nil},
		{"told", func(u *registry.Usage) { u.Rates[1], u.Fallback = told, 5 }, nil},
		{"ceiling", func(u *registry.Usage) { u.Ceiling = true }, nil},
		{"nothing held", func(u *registry.Usage) { u.Hold = 0 }, nil},
		{"no rates", func(u *registry.Usage) { u.Rates = nil }, []string{at + "rates:out_of_range"}},
		{"too many rates", func(u *registry.Usage) {
			u.Rates = nil
			for i := range 9 {
				u.Rates = append(u.Rates, registry.Rate{Unit: registry.UnitResponseHeader, Header: string(rune('a' + i))})
			}
		}, []string{at + "rates:out_of_range"}},
		{
			"negative", func(u *registry.Usage) { u.PerRequest, u.Hold, u.Rates[0].PerMillion = -1, -1, -1 },
			[]string{at + "per_request:price_negative", at + "hold:price_negative", at + "rates[0].per_million:price_negative"},
		},
		{"hold that does not fit", func(u *registry.Usage) { u.Hold = math.MaxInt64 }, []string{at + "hold:out_of_range"}},
		{"no unit", func(u *registry.Usage) { u.Rates[0].Unit = 0 }, []string{at + "rates[0].unit:required"}},
		{"unknown unit", func(u *registry.Usage) { u.Rates[0].Unit = 5 }, []string{at + "rates[0].unit:required"}},
		{"header of bytes", func(u *registry.Usage) { u.Rates[0].Header = "x" }, []string{at + "rates[0].header:forbidden"}},
		{"no header", func(u *registry.Usage) { u.Rates[0] = registry.Rate{Unit: registry.UnitResponseHeader} }, []string{at + "rates[0].header:required"}},
		{"no header name", func(u *registry.Usage) { u.Rates[0] = told; u.Rates[0].Header = "a b" }, []string{at + "rates[0].header:invalid"}},
		{"the same twice", func(u *registry.Usage) { u.Rates[1] = u.Rates[0] }, []string{at + "rates[1]:duplicate"}},
		{"the same header twice", func(u *registry.Usage) {
			u.Rates = []registry.Rate{told, told}
			u.Rates[1].Header = "X-Tokens"
		}, []string{at + "rates[1]:duplicate"}},
		{"two headers", func(u *registry.Usage) {
			u.Rates = []registry.Rate{told, told}
			u.Rates[1].Header = "x-images"
		}, nil},
		{"ceiling on what is told", func(u *registry.Usage) { u.Ceiling, u.Rates[1] = true, told }, []string{at + "bound:forbidden"}},
		{"ceiling of nothing", func(u *registry.Usage) { u.Ceiling, u.Hold = true, 0 }, []string{at + "hold:out_of_range"}},
		{"ceiling of request bytes", func(u *registry.Usage) { u.Ceiling, u.Hold, u.Rates = true, 0, u.Rates[1:] }, nil},
		{"fallback for nothing", func(u *registry.Usage) { u.Fallback = 1 }, []string{at + "fallback:forbidden"}},
	})
	e := good()
	e.Abandoned = 4
	if _, got := violations(t, e, known); !slices.Equal(got, []string{"endpoint.abandoned:invalid"}) {
		t.Errorf("abandoned: %v", got)
	}
}

// Guarantee: prices are equal if nothing can cost differently under them.
func TestPriceEqual(t *testing.T) {
	t.Parallel()
	with := func(edit func(*registry.Usage)) registry.Price {
		u := usagePrice()
		edit(&u)
		return registry.Price{Usage: &u}
	}
	same := func(*registry.Usage) {}
	other := metered()
	other.Message.Meters[0].Prices[0].Rates[0].Price = "2.51"
	all := []registry.Price{
		{Free: true},
		{},
		{PerRequest: 1},
		with(same),
		with(func(u *registry.Usage) { u.PerRequest++ }), with(func(u *registry.Usage) { u.Hold++ }), with(func(u *registry.Usage) { u.Fallback++ }),
		with(func(u *registry.Usage) { u.Ceiling = true }), with(func(u *registry.Usage) { u.Rates = u.Rates[1:] }),
		with(func(u *registry.Usage) { u.Rates[0].PerMillion++ }), with(func(u *registry.Usage) { u.Rates[0].Header = "x" }),
		{PerRequest: 1, Charge: &registry.Charge{Message: &controlv1.Charge{Statuses: []string{"any"}}}},
		{PerRequest: 1, Charge: &registry.Charge{Message: &controlv1.Charge{Statuses: []string{"404"}}}},
		{Metered: metered()},
		{Metered: other},
		{Reported: &registry.Reported{Header: "a", Ceiling: 1}},
		{Reported: &registry.Reported{Header: "b", Ceiling: 1}},
		{Reported: &registry.Reported{Header: "a", Ceiling: 2}},
		{Reported: &registry.Reported{Header: "a", Ceiling: 1, Fallback: 1}},
		{Reported: &registry.Reported{Header: "a", Ceiling: 1, Charge: &registry.Charge{Message: &controlv1.Charge{Statuses: []string{"any"}}}}},
	}
	for i := range all {
		for j := range all {
			if all[i].Equal(&all[j]) != (i == j) {
				t.Errorf("%d and %d: %v", i, j, all[i].Equal(&all[j]))
			}
		}
	}
	if a, b := (registry.Price{Metered: metered()}), (registry.Price{Metered: metered()}); !a.Equal(&b) {
		t.Error("the same meters differ")
	}
	if a, b := with(same), with(same); !a.Equal(&b) {
		t.Error("the same price differs")
	}
}
