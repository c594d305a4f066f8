package rpc_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// subjects is what has to be published of a change, in the order in which dirty lists it.
func subjects(all ...string) []string {
	all = append(all, "head")
	slices.Sort(all)
	return slices.Compact(all)
}

// shardOf is the shard of a key by its name.
func (b *bundle) shardOf(name string) string {
	b.t.Helper()
	var hash []byte
	if err := b.pool.QueryRow(b.t.Context(), `SELECT sha256 FROM control.key WHERE name = $1`, name).Scan(&hash); err != nil {
		b.t.Fatal(err)
	}
	return keyShard(hash)
}

// limitShard is the ledger's shard of a limit by its name.
func (b *bundle) limitShard(name string) string {
	b.t.Helper()
	var number int64
	if err := b.pool.QueryRow(b.t.Context(), `SELECT number FROM control.traffic_limit WHERE name = $1`, name).Scan(&number); err != nil {
		b.t.Fatal(err)
	}
	return accountShard(number)
}

func (b *bundle) team(name string) *controlv1.Team {
	b.t.Helper()
	return must[*controlv1.CreateTeamResponse](b.t)(b.teams.CreateTeam(b.t.Context(), &controlv1.CreateTeamRequest{Name: name})).GetTeam()
}

func (b *bundle) key(req *controlv1.CreateKeyRequest) *controlv1.Key {
	b.t.Helper()
	return must[*controlv1.CreateKeyResponse](b.t)(b.keys.CreateKey(b.t.Context(), req)).GetKey()
}

func (b *bundle) budget(m *controlv1.Budget) *controlv1.Budget {
	b.t.Helper()
	if m.GetAmount() == nil {
		m.Amount = usd(10, 0)
	}
	if m.GetPeriod() == 0 {
		m.Period = controlv1.Period_PERIOD_DAY
	}
	return must[*controlv1.CreateBudgetResponse](b.t)(b.budgets.CreateBudget(b.t.Context(), &controlv1.CreateBudgetRequest{Budget: m})).GetBudget()
}

// Guarantee: a key belongs to the team that it was given, by name or id, until it is given another;
// each change publishes the key and nothing else; a team lives as long as anything but revoked keys
// refers to it.
func TestTeamsAndKeys(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	search := b.team("search")
	if got := b.dirty(); !slices.Equal(got, subjects()) || !strings.HasPrefix(search.GetId(), "team_") || search.GetRevision() != 1 {
		t.Errorf("%v: dirty %v", search, got)
	}
	for _, ref := range []string{"search", search.GetId()} {
		got := must[*controlv1.GetTeamResponse](t)(b.teams.GetTeam(ctx, &controlv1.GetTeamRequest{Team: ref})).GetTeam()
		if diff := cmp.Diff(search, got, protocmp.Transform()); diff != "" {
			t.Errorf("read by %s (-want +got):\n%s", ref, diff)
		}
	}
	ads := b.team("ads")
	k := b.key(&controlv1.CreateKeyRequest{Name: "web", Team: search.GetId(), Customer: "acme", Tags: []string{"prod", "beta"}})
	if k.GetTeam() != "search" || k.GetCustomer() != "acme" || !slices.Equal(k.GetTags(), []string{"beta", "prod"}) {
		t.Errorf("created %v", k)
	}
	b.dirty()
	u := must[*controlv1.UpdateKeyResponse](t)(b.keys.UpdateKey(ctx, &controlv1.UpdateKeyRequest{Key: "web", Team: "ads", Tags: []string{"x"}})).GetKey()
	want := proto.CloneOf(k)
	want.Team, want.Customer, want.Tags, want.Revision, want.Etag = "ads", "", []string{"x"}, u.GetRevision(), u.GetEtag()
	if diff := cmp.Diff(want, u, protocmp.Transform()); diff != "" || u.GetRevision() <= k.GetRevision() {
		t.Errorf("updated (-want +got):\n%s", diff)
	}
	if got, want := b.dirty(), subjects(b.shardOf("web")); !slices.Equal(got, want) {
		t.Errorf("updated: dirty %v, want %v", got, want)
	}
	got := must[*controlv1.GetKeyResponse](t)(b.keys.GetKey(ctx, &controlv1.GetKeyRequest{Key: "web"})).GetKey()
	if diff := cmp.Diff(u, got, protocmp.Transform()); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}

	refused := func(why string) {
		t.Helper()
		before := b.dump()
		_, err := b.teams.DeleteTeam(ctx, &controlv1.DeleteTeamRequest{Team: "ads"})
		if connect.CodeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), why) || b.dump() != before {
			t.Errorf("want %s: %v", why, err)
		}
	}
	refused("web")
	must[*controlv1.RevokeKeyResponse](t)(b.keys.RevokeKey(ctx, &controlv1.RevokeKeyRequest{Key: "web"}))
	b.budget(&controlv1.Budget{Name: "ads-day", Scope: &controlv1.Budget_Team{Team: "ads"}})
	refused("budgets: ads-day")
	must[*controlv1.DeleteBudgetResponse](t)(b.budgets.DeleteBudget(ctx, &controlv1.DeleteBudgetRequest{Budget: "ads-day"}))
	b.dirty()
	must[*controlv1.DeleteTeamResponse](t)(b.teams.DeleteTeam(ctx, &controlv1.DeleteTeamRequest{Team: ads.GetId()}))
	if got, want := b.dirty(), subjects(b.shardOf("web")); !slices.Equal(got, want) {
		t.Errorf("deleted: dirty %v, want %v", got, want)
	}
	all := must[*controlv1.ListTeamsResponse](t)(b.teams.ListTeams(ctx, &controlv1.ListTeamsRequest{})).GetTeams()
	if len(all) != 1 || all[0].GetName() != "search" {
		t.Errorf("teams %v", all)
	}
}

// Guarantee: a budget or a limit reaches the ledger's shard and exactly what tells edges of it: the
// keys that it applies to and, for what a request can say of itself, the routes.
func TestWhatScopesTouch(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.seed()
	b.team("search")
	b.key(&controlv1.CreateKeyRequest{Name: "k1", Team: "search", Customer: "acme"})
	b.key(&controlv1.CreateKeyRequest{Name: "k2", Team: "search", Tags: []string{"beta", "prod"}})
	b.key(&controlv1.CreateKeyRequest{Name: "k3", Customer: "acme", Tags: []string{"prod"}})
	k1, k2, k3 := b.shardOf("k1"), b.shardOf("k2"), b.shardOf("k3")
	cases := []struct {
		name   string
		budget *controlv1.Budget
		limit  *controlv1.Limit
		want   []string
	}{
		{"key", &controlv1.Budget{Scope: &controlv1.Budget_Key{Key: "k1"}}, &controlv1.Limit{Scope: &controlv1.Limit_Key{Key: "k1"}}, []string{k1}},
		{"team", &controlv1.Budget{Scope: &controlv1.Budget_Team{Team: "search"}}, &controlv1.Limit{Scope: &controlv1.Limit_Team{Team: "search"}}, []string{k1, k2}},
		{"customer", &controlv1.Budget{Scope: &controlv1.Budget_Customer{Customer: "acme"}}, &controlv1.Limit{Scope: &controlv1.Limit_Customer{Customer: "acme"}}, []string{k1, k3, "routes"}},
		{"new-customer", &controlv1.Budget{Scope: &controlv1.Budget_Customer{Customer: "new"}}, &controlv1.Limit{Scope: &controlv1.Limit_Customer{Customer: "new"}}, []string{"routes"}},
		{"tag", &controlv1.Budget{Scope: &controlv1.Budget_Tag{Tag: "prod"}}, &controlv1.Limit{Scope: &controlv1.Limit_Tag{Tag: "prod"}}, []string{k2, k3, "routes"}},
		{"endpoint", &controlv1.Budget{Scope: &controlv1.Budget_Endpoint{Endpoint: "bria"}}, &controlv1.Limit{Scope: &controlv1.Limit_Endpoint{Endpoint: "bria"}}, []string{"routes"}},
		{"everything", &controlv1.Budget{Scope: &controlv1.Budget_Everything{Everything: true}}, &controlv1.Limit{Scope: &controlv1.Limit_Everything{Everything: true}}, []string{"routes"}},
	}
	for _, c := range cases {
		b.dirty()
		expect := func(action, shard string) {
			t.Helper()
			if got, want := b.dirty(), subjects(append(slices.Clone(c.want), shard)...); !slices.Equal(got, want) {
				t.Errorf("%s %s: dirty %v, want %v", c.name, action, got, want)
			}
		}
		c.budget.Name = c.name
		g := b.budget(c.budget)
		account := accountShard(g.GetAccountId())
		expect("budget created", account)
		must[*controlv1.UpdateBudgetResponse](t)(b.budgets.UpdateBudget(ctx, &controlv1.UpdateBudgetRequest{Budget: c.name, Amount: usd(1, 0)}))
		expect("budget updated", account)
		must[*controlv1.RaiseBudgetResponse](t)(b.budgets.RaiseBudget(ctx, &controlv1.RaiseBudgetRequest{Budget: c.name, By: usd(1, 0), End: &controlv1.RaiseBudgetRequest_UntilReset{UntilReset: true}}))
		expect("budget raised", account)
		must[*controlv1.ResetBudgetResponse](t)(b.budgets.ResetBudget(ctx, &controlv1.ResetBudgetRequest{Budget: c.name}))
		expect("budget reset", account)
		must[*controlv1.DeleteBudgetResponse](t)(b.budgets.DeleteBudget(ctx, &controlv1.DeleteBudgetRequest{Budget: c.name}))
		expect("budget deleted", account)

		c.limit.Name, c.limit.Kind, c.limit.Amount = c.name, controlv1.LimitKind_LIMIT_KIND_REQUESTS, 60
		must[*controlv1.CreateLimitResponse](t)(b.limits.CreateLimit(ctx, &controlv1.CreateLimitRequest{Limit: c.limit}))
		number := b.limitShard(c.name)
		expect("limit created", number)
		must[*controlv1.UpdateLimitResponse](t)(b.limits.UpdateLimit(ctx, &controlv1.UpdateLimitRequest{Limit: c.name, Amount: new(int64(5))}))
		expect("limit updated", number)
		must[*controlv1.DeleteLimitResponse](t)(b.limits.DeleteLimit(ctx, &controlv1.DeleteLimitRequest{Limit: c.name}))
		expect("limit deleted", number)
	}
}

// Guarantee: a limit is stored as it was sent, with what was left out filled in; a change leaves what
// it does not name; limits of one scope differ in kind.
func TestLimits(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	e, _, _ := b.seed()
	m := &controlv1.Limit{Name: "bria-rate", Scope: &controlv1.Limit_Endpoint{Endpoint: e.GetId()}, Kind: controlv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: 600}
	l := must[*controlv1.CreateLimitResponse](t)(b.limits.CreateLimit(ctx, &controlv1.CreateLimitRequest{Limit: m})).GetLimit()
	want := proto.CloneOf(m)
	want.Scope, want.Fallback = &controlv1.Limit_Endpoint{Endpoint: "bria"}, controlv1.LimitFallback_LIMIT_FALLBACK_SHARE
	want.Id, want.Etag, want.Revision, want.CreateTime, want.UpdateTime = l.GetId(), l.GetEtag(), 5, l.GetCreateTime(), l.GetCreateTime()
	if diff := cmp.Diff(want, l, protocmp.Transform()); diff != "" || !strings.HasPrefix(l.GetId(), "lim_") || l.GetEtag() == "" {
		t.Errorf("created %v (-want +got):\n%s", l, diff)
	}
	u := must[*controlv1.UpdateLimitResponse](t)(b.limits.UpdateLimit(ctx, &controlv1.UpdateLimitRequest{
		Limit: l.GetId(), Burst: new(int64(20)), Fallback: controlv1.LimitFallback_LIMIT_FALLBACK_CLOSED, Etag: l.GetEtag(),
	})).GetLimit()
	want.Burst, want.Fallback = 20, controlv1.LimitFallback_LIMIT_FALLBACK_CLOSED
	want.Etag, want.Revision, want.UpdateTime = u.GetEtag(), 6, u.GetUpdateTime()
	if diff := cmp.Diff(want, u, protocmp.Transform()); diff != "" || u.GetEtag() == l.GetEtag() {
		t.Errorf("updated (-want +got):\n%s", diff)
	}
	got := must[*controlv1.GetLimitResponse](t)(b.limits.GetLimit(ctx, &controlv1.GetLimitRequest{Limit: "bria-rate"})).GetLimit()
	if diff := cmp.Diff(u, got, protocmp.Transform()); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	m.Name, m.Kind = "bria-parallel", controlv1.LimitKind_LIMIT_KIND_CONCURRENT
	must[*controlv1.CreateLimitResponse](t)(b.limits.CreateLimit(ctx, &controlv1.CreateLimitRequest{Limit: m}))
	all := must[*controlv1.ListLimitsResponse](t)(b.limits.ListLimits(ctx, &controlv1.ListLimitsRequest{})).GetLimits()
	if len(all) != 2 || all[0].GetName() != "bria-parallel" || all[1].GetName() != "bria-rate" {
		t.Errorf("limits %v", all)
	}
	_, err := b.endpoints.DeleteEndpoint(ctx, &controlv1.DeleteEndpointRequest{Endpoint: "bria"})
	if connect.CodeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "limits: bria-parallel, bria-rate") {
		t.Errorf("deleting the endpoint: %v", err)
	}
	b.dirty()
	e.Name, e.Etag = "bria-2", ""
	must[*controlv1.UpdateEndpointResponse](t)(b.endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{Endpoint: e}))
	if got, want := b.dirty(), subjects("routes", b.limitShard("bria-parallel"), b.limitShard("bria-rate")); !slices.Equal(got, want) {
		t.Errorf("renamed: dirty %v, want %v", got, want)
	}
}

// Guarantee: all that a budget can be is stored as it was sent; budgets of one scope differ in period
// or in the days that they roll over; a change leaves what it does not name.
func TestBudgetSettings(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	m := &controlv1.Budget{
		Name: "acme-30", Scope: &controlv1.Budget_Customer{Customer: "Acme@eu"}, Amount: usd(10, 0), Period: controlv1.Period_PERIOD_ROLLING, RollingDays: 30,
		TimeZone: "Europe/Berlin", Enforcement: controlv1.Enforcement_ENFORCEMENT_SOFT, Overdraft: usd(2, 0), WarnPercents: []uint32{100, 80},
	}
	g := b.budget(proto.CloneOf(m))
	want := proto.CloneOf(m)
	want.WarnPercents = []uint32{80, 100}
	want.Id, want.AccountId, want.Etag, want.Revision, want.CreateTime, want.UpdateTime = g.GetId(), g.GetAccountId(), g.GetEtag(), 1, g.GetCreateTime(), g.GetCreateTime()
	if diff := cmp.Diff(want, g, protocmp.Transform()); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	m.Name, m.RollingDays = "acme-7", 7
	b.budget(m)
	b.budget(&controlv1.Budget{Name: "tag", Scope: &controlv1.Budget_Tag{Tag: "Acme@eu"}})

	change := func(req *controlv1.UpdateBudgetRequest) *controlv1.Budget {
		t.Helper()
		req.Budget = "acme-30"
		u := must[*controlv1.UpdateBudgetResponse](t)(b.budgets.UpdateBudget(ctx, req)).GetBudget()
		want.Etag, want.Revision, want.UpdateTime = u.GetEtag(), u.GetRevision(), u.GetUpdateTime()
		if diff := cmp.Diff(want, u, protocmp.Transform()); diff != "" {
			t.Errorf("%v (-want +got):\n%s", req, diff)
		}
		got := must[*controlv1.GetBudgetResponse](t)(b.budgets.GetBudget(ctx, &controlv1.GetBudgetRequest{Budget: "acme-30"})).GetBudget()
		if diff := cmp.Diff(u, got, protocmp.Transform()); diff != "" {
			t.Errorf("read after %v (-want +got):\n%s", req, diff)
		}
		return u
	}
	want.Amount = usd(11, 0)
	u := change(&controlv1.UpdateBudgetRequest{Amount: usd(11, 0), Etag: g.GetEtag()})
	want.Overdraft = nil
	change(&controlv1.UpdateBudgetRequest{Overdraft: &controlv1.UpdateBudgetRequest_Overdraft{}, Etag: u.GetEtag()})
	want.Overdraft, want.WarnPercents = usd(3, 0), nil
	change(&controlv1.UpdateBudgetRequest{
		Overdraft: &controlv1.UpdateBudgetRequest_Overdraft{Amount: usd(3, 0)}, WarnPercents: &controlv1.UpdateBudgetRequest_WarnPercents{},
	})
	want.Overdraft, want.Enforcement = nil, controlv1.Enforcement_ENFORCEMENT_HARD
	change(&controlv1.UpdateBudgetRequest{Enforcement: controlv1.Enforcement_ENFORCEMENT_HARD})
	change(&controlv1.UpdateBudgetRequest{})
}

// Guarantee: a raise is shown while it counts, replaces the one before, ends where it is told to, and
// is not there any more when it is over; a reset begins the next generation of windows and leaves the
// raise.
func TestRaiseAndReset(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	_, _, g := b.seed()
	raise := func(req *controlv1.RaiseBudgetRequest) *controlv1.Budget {
		t.Helper()
		req.Budget = "ci-month"
		return must[*controlv1.RaiseBudgetResponse](t)(b.budgets.RaiseBudget(ctx, req)).GetBudget()
	}
	until := timestamppb.New(time.Now().Add(time.Hour).Truncate(time.Second))
	r := raise(&controlv1.RaiseBudgetRequest{By: usd(5, 0), End: &controlv1.RaiseBudgetRequest_Until{Until: until}, Etag: g.GetEtag()})
	want := proto.CloneOf(g)
	want.Raise = &controlv1.BudgetRaise{By: usd(5, 0), Until: until}
	want.Etag, want.Revision, want.UpdateTime = r.GetEtag(), 5, r.GetUpdateTime()
	if diff := cmp.Diff(want, r, protocmp.Transform()); diff != "" || r.GetEtag() == g.GetEtag() {
		t.Errorf("raised (-want +got):\n%s", diff)
	}
	r = raise(&controlv1.RaiseBudgetRequest{By: usd(6, 0), End: &controlv1.RaiseBudgetRequest_UntilReset{UntilReset: true}})
	if end := r.GetRaise().GetUntil().AsTime(); r.GetRaise().GetBy().GetUnits() != 6 || !end.After(time.Now()) || end.After(time.Now().AddDate(0, 1, 1)) {
		t.Errorf("raised until the end of the month: %v", r)
	}
	gen := func() (n int) {
		if err := b.pool.QueryRow(ctx, `SELECT gen FROM control.budget`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := must[*controlv1.ResetBudgetResponse](t)(b.budgets.ResetBudget(ctx, &controlv1.ResetBudgetRequest{Budget: g.GetId(), Etag: r.GetEtag()})).GetBudget()
	if gen() != 1 || n.GetEtag() == r.GetEtag() || !proto.Equal(n.GetRaise(), r.GetRaise()) || n.GetAccountId() != g.GetAccountId() {
		t.Errorf("reset: generation %d of %v", gen(), n)
	}
	if r := raise(&controlv1.RaiseBudgetRequest{By: usd(0, 0)}); r.GetRaise() != nil {
		t.Errorf("ended: %v", r)
	}
	if _, err := b.pool.Exec(ctx, `UPDATE control.budget SET raise_nanos = 1, raise_until = '2020-01-01Z'`); err != nil {
		t.Fatal(err)
	}
	if got := must[*controlv1.GetBudgetResponse](t)(b.budgets.GetBudget(ctx, &controlv1.GetBudgetRequest{Budget: "ci-month"})).GetBudget(); got.GetRaise() != nil {
		t.Errorf("over: %v", got)
	}
	must[*controlv1.UpdateBudgetResponse](t)(b.budgets.UpdateBudget(ctx, &controlv1.UpdateBudgetRequest{Budget: "ci-month", Amount: usd(1, 0)}))
	var left int
	if err := b.pool.QueryRow(ctx, `SELECT count(*) FROM control.budget WHERE raise_nanos <> 0`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d raises that are over are kept, %v", left, err)
	}
}

// Guarantee: a usage price is stored as it was sent, and its version moves with any change of it and
// with nothing else.
func TestUsagePrice(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	m := bria()
	m.Headers, m.Price, m.Abandoned = nil, byUsage(), controlv1.Abandoned_ABANDONED_METERED
	e := must[*controlv1.CreateEndpointResponse](t)(b.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: m})).GetEndpoint()
	if diff := cmp.Diff(byUsage(), e.GetPrice(), protocmp.Transform()); diff != "" || e.GetAbandoned() != controlv1.Abandoned_ABANDONED_METERED {
		t.Errorf("created %v (-want +got):\n%s", e, diff)
	}
	update := func(edit func(*controlv1.Endpoint)) (version int64) {
		t.Helper()
		edit(e)
		e.Etag = ""
		u := must[*controlv1.UpdateEndpointResponse](t)(b.endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{Endpoint: e})).GetEndpoint()
		got := must[*controlv1.GetEndpointResponse](t)(b.endpoints.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: "bria"})).GetEndpoint()
		if diff := cmp.Diff(e.GetPrice(), got.GetPrice(), protocmp.Transform()); diff != "" || u.GetRevision() != got.GetRevision() {
			t.Errorf("price (-want +got):\n%s", diff)
		}
		if err := b.pool.QueryRow(ctx, `SELECT price_version FROM control.endpoint`).Scan(&version); err != nil {
			t.Fatal(err)
		}
		return version
	}
	if v := update(func(m *controlv1.Endpoint) { m.Abandoned = controlv1.Abandoned_ABANDONED_NOTHING }); v != 1 {
		t.Errorf("version %d without a change of price", v)
	}
	if v := update(func(m *controlv1.Endpoint) { m.Price.GetUsage().Rates[1].PerMillion = usd(0, 8) }); v != 3 {
		t.Errorf("version %d after a change of a rate", v)
	}
	if v := update(func(m *controlv1.Endpoint) {
		m.Price.GetUsage().Rates, m.Price.GetUsage().Fallback, m.Price.GetUsage().Bound = m.GetPrice().GetUsage().GetRates()[1:], nil, controlv1.Price_BOUND_CEILING
	}); v != 4 {
		t.Errorf("version %d after a change of the bound", v)
	}
	if v := update(func(m *controlv1.Endpoint) { m.Price = fixed(usd(1, 0)) }); v != 5 {
		t.Errorf("version %d after a change of kind", v)
	}
}
