package routing_test

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"tollgate/edge/routing"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// chargeOf is the rule of an endpoint with a fixed price.
func chargeOf(t rapid.TB, rule *controlv1.Charge, methods ...string) *routing.Charge {
	t.Helper()
	e := ep("/x")
	e.PriceNanos, e.Charge, e.Methods = 5, rule, methods
	table, err := routing.Compile(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{e}}, contract.Version{}, routing.Lookups{})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Endpoints()[0].Err; err != nil {
		t.Fatal(err)
	}
	return &table.Endpoints()[0].Charge
}

// Guarantee: an answer is charged exactly if its status is one that the rule names, alone, by its class or as any; without a
// rule if it is 2xx.
func TestChargedStatuses(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one := rapid.OneOf(
			rapid.Just("any"),
			rapid.Map(rapid.IntRange(1, 5), func(n int) string { return strconv.Itoa(n) + "xx" }),
			rapid.Map(rapid.IntRange(100, 599), strconv.Itoa),
		)
		statuses := rapid.SliceOfNDistinct(one, 0, 4, rapid.ID[string]).Draw(t, "statuses")
		c := chargeOf(t, &controlv1.Charge{Statuses: statuses})
		if len(statuses) == 0 {
			statuses = []string{"2xx"}
		}
		for status := range 1000 {
			text := strconv.Itoa(status)
			want := slices.Contains(statuses, "any") || slices.Contains(statuses, text) || len(text) == 3 && slices.Contains(statuses, text[:1]+"xx")
			if c.Status(status) != want {
				t.Fatalf("status %d charged by %q: %v", status, statuses, !want)
			}
		}
	})
}

// Guarantee: requests that only look are free where an endpoint answers every method and says nothing else; a WebSocket is
// charged whatever its method.
func TestChargedMethods(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rule    []string
		methods []string
		charged []string
	}{
		"every method":  {nil, nil, []string{"POST", "DELETE", "PURGE"}},
		"named methods": {nil, []string{"GET", "POST"}, []string{"GET", "HEAD", "OPTIONS", "POST", "DELETE", "PURGE"}}, // which answers no others
		"a rule":        {[]string{"GET"}, []string{"GET", "POST"}, []string{"GET"}},
	} {
		c := chargeOf(t, &controlv1.Charge{Methods: tc.rule}, tc.methods...)
		for _, m := range []string{"GET", "HEAD", "OPTIONS", "POST", "DELETE", "PURGE"} {
			if got := c.Request(m, false); got != slices.Contains(tc.charged, m) {
				t.Errorf("%s: %s is charged: %v", name, m, got)
			}
			if !c.Request(m, true) {
				t.Errorf("%s: a WebSocket by %s is not charged", name, m)
			}
		}
	}
}

// Guarantee: an endpoint whose price this version cannot read is refused and never free, and the others work.
func TestPriceOfANewerVersion(t *testing.T) {
	t.Parallel()
	newer, good := ep("/newer"), ep("/good")
	newer.PriceNanos, newer.Charge = 5, &controlv1.Charge{Statuses: []string{"6xx"}}
	good.PriceNanos = 5
	table, err := routing.Compile(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{newer, good}}, contract.Version{}, routing.Lookups{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range table.Endpoints() {
		refused := e.Err != nil && fault.From(e.Err).Code == fault.NotPriced
		if refused != (e.Path == "/newer") {
			t.Errorf("%s: %v", e.Path, e.Err)
		}
	}
}
