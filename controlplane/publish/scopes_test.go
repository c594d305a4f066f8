package publish_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
	"tollgate/internal/period"
)

func (b *bundle) team(name string) registry.Team {
	b.t.Helper()
	team, err := b.store.CreateTeam(b.t.Context(), "test", registry.Team{Name: name}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return team
}

func (b *bundle) limit(name string, scope registry.Scope, of string, kind registry.LimitKind) registry.Limit {
	b.t.Helper()
	l, err := b.store.CreateLimit(b.t.Context(), "test", access.Scope{Everywhere: true}, registry.Limit{
		Name: name, Scoped: registry.Scoped{Scope: scope, ScopeName: of}, Kind: kind, Amount: 600, Fallback: registry.FallbackClosed,
	}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

// charge gives a key its team, customer and tags.
func (b *bundle) charge(key string, who registry.Charged) {
	b.t.Helper()
	if _, err := b.store.UpdateKey(b.t.Context(), "test", store.Anywhere, key, "", func(k *registry.Key) { k.Charged = who }, nil); err != nil {
		b.t.Fatal(err)
	}
}

// current waits until all that was committed is published.
func (b *bundle) current() {
	b.t.Helper()
	st, err := b.store.State(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	b.published(st.Current)
}

// subjectsOf is what an edge knows of a key: the subjects of its accounts and limits, in their order.
func (b *bundle) subjectsOf(hash [32]byte) (accounts, limits []string) {
	b.t.Helper()
	shard, _ := read(b, keysOf(hash), &eventv1.KeyShard{})
	for _, k := range shard.GetKeys() {
		if string(k.GetSha256()) == string(hash[:]) {
			for _, a := range k.GetAccounts() {
				accounts = append(accounts, a.GetSubject())
			}
			for _, l := range k.GetLimits() {
				limits = append(limits, l.GetSubject())
			}
		}
	}
	return accounts, limits
}

// Guarantee: with each key come the accounts and limits of the key, its team, its customer and its
// tags, and no others; with the routes come those of endpoints, customers, tags and of everything. What
// changes for a team reaches all of its keys.
func TestScopes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	b.secret()
	b.endpoint("bria")
	b.team("search")
	_, first := b.key("first")
	_, second := b.key("second")
	_, third := b.key("third")
	b.charge("first", registry.Charged{Team: "search", Customer: "acme", Tags: []string{"prod", "beta"}})
	b.charge("second", registry.Charged{Team: "search"})
	scopes := []registry.Scoped{
		{Scope: registry.ScopeEverything},
		{Scope: registry.ScopeTag, ScopeName: "prod"},
		{Scope: registry.ScopeTag, ScopeName: "other"},
		{Scope: registry.ScopeCustomer, ScopeName: "acme"},
		{Scope: registry.ScopeTeam, ScopeName: "search"},
		{Scope: registry.ScopeKey, ScopeName: "first"},
		{Scope: registry.ScopeEndpoint, ScopeName: "bria"},
	}
	for _, s := range scopes {
		name := string(s.Scope) + "-" + s.ScopeName + "x"
		b.budget(name, s.Scope, s.ScopeName)
		b.limit(name, s.Scope, s.ScopeName, registry.LimitRequests)
	}
	b.current()
	expect := func(hash [32]byte, want ...string) {
		t.Helper()
		accounts, limits := b.subjectsOf(hash)
		if diff := cmp.Diff(want, accounts); diff != "" {
			t.Errorf("accounts (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, limits); diff != "" {
			t.Errorf("limits (-want +got):\n%s", diff)
		}
	}
	expect(first, "tag prod", "customer acme", "team search", "key first")
	expect(second, "team search")
	expect(third)
	routes, _ := read(b, "routes", &eventv1.RouteSnapshot{})
	var accounts, limits []string
	for _, a := range routes.GetAccounts() {
		accounts = append(accounts, a.GetSubject())
	}
	for _, l := range routes.GetLimits() {
		limits = append(limits, l.GetSubject())
	}
	want := []string{"everything", "tag prod", "tag other", "customer acme", "endpoint bria"}
	if !cmp.Equal(want, accounts) || !cmp.Equal(want, limits) {
		t.Errorf("routes have accounts of %v and limits of %v", accounts, limits)
	}
	shard, _ := read(b, keysOf(first), &eventv1.KeyShard{})
	if k := shard.GetKeys()[0]; k.GetTeam() != "search" || k.GetCustomer() != "acme" || !cmp.Equal(k.GetTags(), []string{"beta", "prod"}) {
		t.Errorf("key %v", k)
	}

	teamBudget := "team-searchx"
	if _, err := b.store.UpdateBudget(t.Context(), "test", access.Scope{Everywhere: true}, teamBudget, registry.BudgetPatch{Amount: new(7 * money.Dollar)}, "", nil); err != nil {
		t.Fatal(err)
	}
	b.charge("third", registry.Charged{Team: "search"})
	b.charge("second", registry.Charged{})
	b.current()
	for _, hash := range [][32]byte{first, third} {
		shard, _ := read(b, keysOf(hash), &eventv1.KeyShard{})
		found := false
		for _, a := range shard.GetKeys()[0].GetAccounts() {
			found = found || a.GetBudgetName() == teamBudget && a.GetLimitNanos() == 7e9
		}
		if !found {
			t.Errorf("a key without its team's new amount: %v", shard)
		}
	}
	expect(second)
	expect(third, "team search")
	if err := b.store.DeleteBudget(t.Context(), "test", access.Scope{Everywhere: true}, teamBudget, ""); err != nil {
		t.Fatal(err)
	}
	b.current()
	if accounts, _ := b.subjectsOf(third); len(accounts) != 0 {
		t.Errorf("a deleted budget stays with the key: %v", accounts)
	}
}

// Guarantee: a message has every field of what was stored, for the ledger as for the edges.
func TestEveryFieldIsPublished(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	g, err := b.store.CreateBudget(t.Context(), "test", access.Scope{Everywhere: true}, registry.Budget{
		Name: "g", Scoped: registry.Scoped{Scope: registry.ScopeCustomer, ScopeName: "acme"}, Amount: 10 * money.Dollar,
		Period: period.Rolling, Days: 30, Zone: "Europe/Berlin", Soft: true, Overdraft: 3, Warn: []uint32{100, 80},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.ResetBudget(t.Context(), "test", access.Scope{Everywhere: true}, "g", ""); err != nil {
		t.Fatal(err)
	}
	g, err = b.store.RaiseBudget(t.Context(), "test", access.Scope{Everywhere: true}, g.ID, 5, registry.End{At: until}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	l := b.limit("l", registry.ScopeTag, "beta", registry.LimitUnits)
	e, err := b.store.CreateEndpoint(t.Context(), "test", registry.Endpoint{
		Name: "e", Path: "/e", Targets: []registry.Target{{URL: "https://x.example.com"}}, Abandoned: registry.AbandonedMetered,
		Price: registry.Price{Usage: &registry.Usage{
			PerRequest: 1, Hold: 2, Fallback: 3, Rates: []registry.Rate{{Unit: registry.UnitResponseHeader, Header: "x-tokens", PerMillion: 4}},
		}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ceiling, err := b.store.CreateEndpoint(t.Context(), "test", registry.Endpoint{
		Name: "f", Path: "/f", Targets: []registry.Target{{URL: "https://x.example.com"}},
		Price: registry.Price{Usage: &registry.Usage{Hold: 2, Ceiling: true, Rates: []registry.Rate{{Unit: registry.UnitResponseEvents, PerMillion: 4}}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.current()
	account := &eventv1.Account{
		Id: g.AccountID, Gen: 1, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_ROLLING, TimeZone: "Europe/Berlin", LimitNanos: 10e9,
		Version: g.Revision, BudgetId: g.ID, BudgetName: "g", Subject: "customer acme", Scope: eventv1.AccountScope_ACCOUNT_SCOPE_CUSTOMER,
		ScopeName: "acme", Days: 30, Soft: true, OverdraftNanos: 3, WarnPercents: []uint32{80, 100}, RaiseNanos: 5, RaiseUntilUnix: until.Unix(),
	}
	limit := &eventv1.Limit{
		Id: l.Number, Kind: eventv1.LimitKind_LIMIT_KIND_UNITS, Amount: 600, Burst: 10, Fallback: eventv1.LimitFallback_LIMIT_FALLBACK_CLOSED,
		Version: l.Revision, Name: "l", Subject: "tag beta", Scope: eventv1.AccountScope_ACCOUNT_SCOPE_TAG, ScopeName: "beta",
	}
	// Both are the first of their kind, and have the same number for all that.
	ledger, _ := read(b, accountsOf(1), &eventv1.AccountShard{})
	shard := &eventv1.AccountShard{Shard: 1, Accounts: []*eventv1.Account{account}, Limits: []*eventv1.Limit{limit}}
	if diff := cmp.Diff(shard, ledger, protocmp.Transform()); diff != "" {
		t.Errorf("the ledger's shard (-want +got):\n%s", diff)
	}
	routes, _ := read(b, "routes", &eventv1.RouteSnapshot{})
	want := &eventv1.RouteSnapshot{
		Accounts: []*eventv1.Account{account}, Limits: []*eventv1.Limit{limit},
		Endpoints: []*eventv1.RouteEndpoint{
			{
				Id: e.ID, Name: "e", Path: "/e", Targets: []string{"https://x.example.com"}, RouteTargets: []*eventv1.RouteTarget{{Url: "https://x.example.com"}}, Forward: eventv1.ForwardMode_FORWARD_MODE_SAFE_LIST,
				PriceVersion: e.Revision, TimeoutMs: 600_000, Abandoned: eventv1.AbandonedPolicy_ABANDONED_POLICY_METERED,
				Usage: &eventv1.UsagePrice{BaseNanos: 1, HoldNanos: 2, FallbackNanos: 3, Rates: []*eventv1.UsageRate{
					{Unit: eventv1.UsageUnit_USAGE_UNIT_RESPONSE_HEADER, Header: "x-tokens", NanosPerMillion: 4},
				}},
			},
			{
				Id: ceiling.ID, Name: "f", Path: "/f", Targets: []string{"https://x.example.com"}, RouteTargets: []*eventv1.RouteTarget{{Url: "https://x.example.com"}}, Forward: eventv1.ForwardMode_FORWARD_MODE_SAFE_LIST,
				PriceVersion: ceiling.Revision, TimeoutMs: 600_000, Abandoned: eventv1.AbandonedPolicy_ABANDONED_POLICY_RESERVED,
				Usage: &eventv1.UsagePrice{HoldNanos: 2, Ceiling: true, Rates: []*eventv1.UsageRate{
					{Unit: eventv1.UsageUnit_USAGE_UNIT_RESPONSE_EVENTS, NanosPerMillion: 4},
				}},
			},
		},
	}
	if diff := cmp.Diff(want, routes, protocmp.Transform()); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}

	// What is gone leaves its shard, also one that nothing else is in.
	if err := b.store.DeleteBudget(t.Context(), "test", access.Scope{Everywhere: true}, "g", ""); err != nil {
		t.Fatal(err)
	}
	if err := b.store.DeleteLimit(t.Context(), "test", access.Scope{Everywhere: true}, "l", ""); err != nil {
		t.Fatal(err)
	}
	b.current()
	if ledger, _ := read(b, accountsOf(1), &eventv1.AccountShard{}); len(ledger.GetLimits())+len(ledger.GetAccounts()) != 0 {
		t.Errorf("what was deleted stays: %v", ledger)
	}
}
