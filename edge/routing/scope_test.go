package routing_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/edge/admit"
	"tollgate/edge/limit"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

func accountOf(id int64, scope eventv1.AccountScope, name, endpoint string) *eventv1.Account {
	a := account(id, endpoint)
	a.Scope, a.ScopeName = scope, name
	return a
}

func limitOf(id int64, scope eventv1.AccountScope, name, endpoint string) *eventv1.Limit {
	return &eventv1.Limit{
		Id: id, Kind: eventv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: 60, Burst: 1, Scope: scope, ScopeName: name, EndpointId: endpoint,
	}
}

func numbers(accounts []*admit.Account, limits []*limit.Limit) (out []int64) {
	for _, a := range accounts {
		out = append(out, a.ID())
	}
	for _, l := range limits {
		out = append(out, l.ID())
	}
	return out
}

const (
	scopeKey        = eventv1.AccountScope_ACCOUNT_SCOPE_KEY
	scopeTeam       = eventv1.AccountScope_ACCOUNT_SCOPE_TEAM
	scopeCustomer   = eventv1.AccountScope_ACCOUNT_SCOPE_CUSTOMER
	scopeTag        = eventv1.AccountScope_ACCOUNT_SCOPE_TAG
	scopeEndpoint   = eventv1.AccountScope_ACCOUNT_SCOPE_ENDPOINT
	scopeEverything = eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING
)

// Guarantee: each account and limit bounds what its scope says and nothing else; one without a scope, as
// earlier releases wrote them, bounds its endpoint or everything; a free endpoint has limits and no
// accounts.
func TestScopes(t *testing.T) {
	t.Parallel()
	free := ep("/free")
	free.Free = true
	table, err := routing.Compile(&eventv1.RouteSnapshot{
		Endpoints: []*eventv1.RouteEndpoint{ep("/x"), ep("/y"), free},
		Accounts: []*eventv1.Account{
			accountOf(9, scopeEverything, "", ""), account(8, ""), accountOf(3, scopeEndpoint, "", "id /x"), account(2, "id /x"),
			accountOf(7, scopeCustomer, "acme", ""), accountOf(4, scopeCustomer, "acme", ""), accountOf(6, scopeTag, "acme", ""),
			accountOf(10, scopeEndpoint, "", "id /free"),
		},
		Limits: []*eventv1.Limit{
			limitOf(1, scopeEverything, "", ""), limitOf(2, scopeEndpoint, "", "id /free"), limitOf(3, scopeCustomer, "other", ""),
			limitOf(4, scopeTag, "blue", ""), limitOf(5, 0, "", "id /x"), limitOf(6, 0, "", ""),
		},
	}, v1, routing.Lookups{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]int64{"/x": {2, 3, 8, 9, 1, 5, 6}, "/y": {8, 9, 1, 6}, "/free": {1, 2, 6}} {
		e, _, err := table.Match("GET", path)
		if err != nil {
			t.Fatal(err)
		}
		if got := numbers(e.Accounts, e.Limits); !slices.Equal(got, want) {
			t.Errorf("%s has %v, not %v", path, got, want)
		}
	}
	for name, want := range map[string][]int64{"acme": {4, 7}, "other": {3}, "blue": nil, "nobody": nil} {
		if b := table.Customer(name); (b == nil) != (want == nil) || b != nil && !slices.Equal(numbers(b.Accounts, b.Limits), want) {
			t.Errorf("customer %s has %v, not %v", name, b, want)
		}
	}
	for name, want := range map[string][]int64{"acme": {6}, "blue": {4}, "other": nil} {
		if b := table.Tag(name); (b == nil) != (want == nil) || b != nil && !slices.Equal(numbers(b.Accounts, b.Limits), want) {
			t.Errorf("tag %s has %v, not %v", name, b, want)
		}
	}
}

// Guarantee: a snapshot with a bound that this edge would not keep is refused whole.
func TestScopesThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*eventv1.RouteSnapshot{
		"account of a key":           {Accounts: []*eventv1.Account{accountOf(1, scopeKey, "", "")}},
		"account of a team":          {Accounts: []*eventv1.Account{accountOf(1, scopeTeam, "a", "")}},
		"account of a later scope":   {Accounts: []*eventv1.Account{accountOf(1, 99, "a", "")}},
		"account of no endpoint":     {Accounts: []*eventv1.Account{accountOf(1, scopeEndpoint, "a", "")}},
		"account of no customer":     {Accounts: []*eventv1.Account{accountOf(1, scopeCustomer, "", "")}},
		"account of no tag":          {Accounts: []*eventv1.Account{accountOf(1, scopeTag, "", "")}},
		"account in two scopes":      {Accounts: []*eventv1.Account{accountOf(1, scopeTag, "a", ""), accountOf(1, scopeCustomer, "a", "")}},
		"limit of a key":             {Limits: []*eventv1.Limit{limitOf(1, scopeKey, "", "")}},
		"limit of no tag":            {Limits: []*eventv1.Limit{limitOf(1, scopeTag, "", "")}},
		"limit twice":                {Limits: []*eventv1.Limit{limitOf(1, scopeTag, "a", ""), limitOf(1, scopeTag, "a", "")}},
		"limit without a number":     {Limits: []*eventv1.Limit{limitOf(0, scopeTag, "a", "")}},
		"limit of an unknown nature": {Limits: []*eventv1.Limit{{Id: 1, Kind: 99}}},
	} {
		if _, err := routing.Compile(s, v1, routing.Lookups{}); err == nil {
			t.Errorf("%s is compiled", name)
		}
	}
}

func usageEndpoint(price *eventv1.UsagePrice) *eventv1.RouteEndpoint {
	e := ep("/x")
	e.Usage = price
	return e
}

func rate(unit eventv1.UsageUnit, header string, perMillion int64) *eventv1.UsageRate {
	return &eventv1.UsageRate{Unit: unit, Header: header, NanosPerMillion: perMillion}
}

const (
	requestBytes   = eventv1.UsageUnit_USAGE_UNIT_REQUEST_BYTES
	responseBytes  = eventv1.UsageUnit_USAGE_UNIT_RESPONSE_BYTES
	responseEvents = eventv1.UsageUnit_USAGE_UNIT_RESPONSE_EVENTS
	responseHeader = eventv1.UsageUnit_USAGE_UNIT_RESPONSE_HEADER
)

// Guarantee: every part of a usage price arrives, and rates of the same unit add up.
func TestUsagePrice(t *testing.T) {
	t.Parallel()
	from := usageEndpoint(&eventv1.UsagePrice{
		BaseNanos: 1, HoldNanos: 2, FallbackNanos: 3, Ceiling: true,
		Rates: []*eventv1.UsageRate{
			rate(requestBytes, "", 4), rate(responseBytes, "", 5), rate(responseBytes, "", 6), rate(responseEvents, "", 0),
			rate(responseHeader, "X-Tokens", 7), rate(responseHeader, "x-tokens", 8),
		},
	})
	from.Abandoned = eventv1.AbandonedPolicy_ABANDONED_POLICY_METERED
	e, _, err := compile(t, from).Match("GET", "/x")
	if err != nil {
		t.Fatal(err)
	}
	want := &routing.Usage{
		Base: 1, Hold: 2, Fallback: 3, Ceiling: true, RequestBytes: routing.Rate{PerMillion: 4, Counted: true},
		ResponseBytes: routing.Rate{PerMillion: 11, Counted: true}, ResponseEvents: routing.Rate{Counted: true},
		Headers: []routing.HeaderRate{{Name: "X-Tokens", PerMillion: 7}, {Name: "x-tokens", PerMillion: 8}},
	}
	if d := cmp.Diff(want, e.Usage); d != "" {
		t.Error(d)
	}
	if e.Abandoned != eventv1.AbandonedPolicy_ABANDONED_POLICY_METERED || e.Price != 0 || e.Free {
		t.Errorf("endpoint %+v", e)
	}
}

// Guarantee: a price that cannot be charged is refused.
func TestUsagePricesThatAreRefused(t *testing.T) {
	t.Parallel()
	two, free := usageEndpoint(&eventv1.UsagePrice{}), usageEndpoint(&eventv1.UsagePrice{})
	two.PriceNanos, free.Free = 1, true
	for name, e := range map[string]*eventv1.RouteEndpoint{
		"two prices": two, "free and not": free,
		"negative base":     usageEndpoint(&eventv1.UsagePrice{BaseNanos: -1}),
		"negative hold":     usageEndpoint(&eventv1.UsagePrice{HoldNanos: -1}),
		"negative fallback": usageEndpoint(&eventv1.UsagePrice{FallbackNanos: -1}),
		"huge hold":         usageEndpoint(&eventv1.UsagePrice{HoldNanos: math.MaxInt64}),
		"negative rate":     usageEndpoint(&eventv1.UsagePrice{Rates: []*eventv1.UsageRate{rate(requestBytes, "", -1)}}),
		"no unit":           usageEndpoint(&eventv1.UsagePrice{Rates: []*eventv1.UsageRate{rate(0, "", 1)}}),
		"later unit":        usageEndpoint(&eventv1.UsagePrice{Rates: []*eventv1.UsageRate{rate(99, "", 1)}}),
		"no header":         usageEndpoint(&eventv1.UsagePrice{Rates: []*eventv1.UsageRate{rate(responseHeader, "", 1)}}),
		"huge rates": usageEndpoint(&eventv1.UsagePrice{Rates: []*eventv1.UsageRate{
			rate(requestBytes, "", math.MaxInt64), rate(requestBytes, "", 1),
		}}),
	} {
		if _, err := routing.Compile(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{e}}, v1, routing.Lookups{}); err == nil {
			t.Errorf("%s is compiled", name)
		}
	}
}
