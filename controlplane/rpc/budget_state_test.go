package rpc_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
)

// Guarantee: a list of budgets comes with how each stands, how fast it is spent and when it runs out, from two questions to the ledger
// that are about what each applies to; without the ledger the list is there all the same, and says why nothing else is.
func TestBudgetsWithStates(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	ctx := t.Context()
	_, key, _ := b.seed()
	for name, m := range map[string]*controlv1.Budget{
		"a-all":      {Scope: &controlv1.Budget_Everything{Everything: true}},
		"b-customer": {Scope: &controlv1.Budget_Customer{Customer: "acme"}},
		"c-tag":      {Scope: &controlv1.Budget_Tag{Tag: "red"}},
	} {
		m.Name, m.TimeZone, m.Period, m.Amount = name, "UTC", controlv1.Period_PERIOD_DAY, usd(10, 0)
		b.budget(m)
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ago := func(hours int) int64 { return now.Add(-time.Duration(hours) * time.Hour).Unix() }
	ledger.states = &ledgerv1.ListAccountStatesResponse{AsOfUnixMs: now.UnixMilli()}
	ledger.recent = []*ledgerv1.RecentUsage{
		{DayCostNanos: 12e9, DayUnix: ago(12), WeekCostNanos: 12e9, WeekUnix: ago(12), Requests: 5, FirstUnix: ago(12)},
		{},
		{DayCostNanos: 24e8, DayUnix: ago(24), WeekCostNanos: 24e8, WeekUnix: ago(24), Requests: 5, FirstUnix: ago(24)},
		{},
	}
	list := func() *controlv1.ListBudgetsResponse {
		t.Helper()
		return must[*controlv1.ListBudgetsResponse](t)(b.budgets.ListBudgets(ctx, &controlv1.ListBudgetsRequest{WithStates: true}))
	}
	got := list()
	if len(got.GetBudgets()) != 4 || len(got.GetStates()) != 4 || got.GetStatesMissing() != "" {
		t.Fatalf("%v", got)
	}
	for i, s := range got.GetStates() {
		if s.GetBudgetId() != got.GetBudgets()[i].GetId() {
			t.Errorf("state %d is of another budget", i)
		}
	}
	all, tag := got.GetStates()[0], got.GetStates()[2]
	at := timestamppb.New(now.Add(10 * time.Hour))
	if all.GetStatus() != controlv1.BudgetStatus_BUDGET_STATUS_AT_RISK || !cmp.Equal(all.GetRunsOutAfter(), at, protocmp.Transform()) || all.GetPace().GetUnits() != 1 {
		t.Errorf("%v", all)
	}
	if tag.GetStatus() != controlv1.BudgetStatus_BUDGET_STATUS_OK || tag.GetRunsOutAfter() != nil || tag.GetProjected().GetUnits() != 1 || tag.GetProjected().GetNanos() != 2e8 {
		t.Errorf("%v", tag)
	}
	midnight := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC).Unix()
	month := time.Date(2026, 10, 31, 23, 0, 0, 0, time.UTC).Unix() // Berlin's
	want := []*ledgerv1.RecentScope{
		{Of: &ledgerv1.RecentScope_Everything{Everything: true}, SinceUnix: midnight},
		{Of: &ledgerv1.RecentScope_Customer{Customer: "acme"}, SinceUnix: midnight},
		{Of: &ledgerv1.RecentScope_Tag{Tag: "red"}, SinceUnix: midnight},
		{Of: &ledgerv1.RecentScope_KeyId{KeyId: key.GetId()}, SinceUnix: month},
	}
	if diff := cmp.Diff(want, ledger.scopes, protocmp.Transform()); diff != "" {
		t.Errorf("asked of (-want +got):\n%s", diff)
	}
	b, _ = withLedger(t, "wrong")
	b.seed()
	if got := list(); len(got.GetBudgets()) != 1 || len(got.GetStates()) != 0 || got.GetStatesMissing() == "" {
		t.Errorf("%v", got)
	}
}

// Guarantee: budgets and limits are filtered by what they are and by what they apply to, in the order that is asked for.
func TestFiltersOfBudgetsAndLimits(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.seed()
	team := b.team("search")
	b.budget(&controlv1.Budget{Name: "search-day", Scope: &controlv1.Budget_Team{Team: "search"}, Enforcement: controlv1.Enforcement_ENFORCEMENT_SOFT})
	b.budget(&controlv1.Budget{Name: "acme-day", Scope: &controlv1.Budget_Customer{Customer: "acme"}})
	b.budget(&controlv1.Budget{Name: "bria-week", Scope: &controlv1.Budget_Endpoint{Endpoint: "bria"}, Period: controlv1.Period_PERIOD_WEEK})
	b.budget(&controlv1.Budget{Name: "all", Scope: &controlv1.Budget_Everything{Everything: true}})
	for filter, want := range map[string][]string{
		"": {"acme-day", "all", "bria-week", "ci-month", "search-day"}, "day": {"acme-day", "search-day"}, "scope:everything,key": {"all", "ci-month"},
		"key:ci-bot": {"ci-month"}, "team:search": {"search-day"}, "team:" + team.GetId(): {"search-day"}, "customer:acme": {"acme-day"}, "endpoint:bria": {"bria-week"},
		"period:week,month": {"bria-week", "ci-month"}, "enforcement:soft": {"search-day"}, "-customer:acme -scope:team": {"all", "bria-week", "ci-month"},
		"managed:yes": nil, "tag:red": nil,
	} {
		res, err := b.budgets.ListBudgets(ctx, &controlv1.ListBudgetsRequest{Filter: filter})
		var got []string
		for _, g := range res.GetBudgets() {
			got = append(got, g.GetName())
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", filter, err, diff)
		}
	}
	first := must[*controlv1.ListBudgetsResponse](t)(b.budgets.ListBudgets(ctx, &controlv1.ListBudgetsRequest{PageSize: 2, OrderBy: "-name"}))
	if n := first.GetBudgets(); len(n) != 2 || n[0].GetName() != "search-day" || first.GetNextPageToken() == "" {
		t.Errorf("%v", first)
	}
	for name, m := range map[string]*controlv1.Limit{
		"all":  {Kind: controlv1.LimitKind_LIMIT_KIND_UNITS, Scope: &controlv1.Limit_Everything{Everything: true}},
		"acme": {Kind: controlv1.LimitKind_LIMIT_KIND_CONCURRENT, Scope: &controlv1.Limit_Customer{Customer: "acme"}},
	} {
		m.Name, m.Amount = name, 7
		must[*controlv1.CreateLimitResponse](t)(b.limits.CreateLimit(ctx, &controlv1.CreateLimitRequest{Limit: m}))
	}
	for filter, want := range map[string]string{"kind:units": "all", "customer:acme": "acme", "-scope:customer": "all"} {
		if res, err := b.limits.ListLimits(ctx, &controlv1.ListLimitsRequest{Filter: filter}); err != nil || len(res.GetLimits()) != 1 || res.GetLimits()[0].GetName() != want {
			t.Errorf("%q: %v, %v", filter, res, err)
		}
	}
	if _, err := b.limits.ListLimits(ctx, &controlv1.ListLimitsRequest{Filter: "colour:red"}); !cmp.Equal(failureOf(err).Violations, []string{"filter:filter_field"}) {
		t.Errorf("%v", failureOf(err))
	}
}
