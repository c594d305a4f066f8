package rpc_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/fleet"
	"tollgate/controlplane/rpc"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/gen/tollgate/ledger/v1/ledgerv1connect"
	"tollgate/internal/testenv"
)

func mustPool(t *testing.T, cfg *pgxpool.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(t.Context()), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// books is a ledger that answers what it was given.
type books struct {
	states *ledgerv1.ListAccountStatesResponse
	usage  *ledgerv1.QueryUsageResponse
	total  *ledgerv1.QueryUsageResponse // what is answered to a question without groups, if set
	asked  *ledgerv1.QueryUsageRequest
	recent []*ledgerv1.RecentUsage
	scopes []*ledgerv1.RecentScope
	err    error
	kept   *ledgerv1.GetRetentionResponse

	latency *ledgerv1.QueryLatencyRequest
	answer  func(*ledgerv1.QueryUsageRequest) *ledgerv1.QueryUsageResponse // in place of usage and total, if set
	refuse  func() error                                                   // asked before usage is told, if set

	list    func(context.Context, *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error)
	reprice func(*ledgerv1.RepriceRequestsRequest) (*ledgerv1.RepriceRequestsResponse, error)
	meters  func(*ledgerv1.RepriceByMetersRequest) (*ledgerv1.RepriceRequestsResponse, error)
}

func (b *books) ListRecentUsage(_ context.Context, req *ledgerv1.ListRecentUsageRequest) (*ledgerv1.ListRecentUsageResponse, error) {
	b.scopes = req.GetScopes()
	if b.recent == nil {
		return nil, connect.NewError(connect.CodeUnimplemented, errors.New("older"))
	}
	return &ledgerv1.ListRecentUsageResponse{Usage: b.recent}, nil
}

func (b *books) GetRetention(context.Context, *ledgerv1.GetRetentionRequest) (*ledgerv1.GetRetentionResponse, error) {
	return b.kept, b.err
}

func (b *books) RepriceByMeters(_ context.Context, req *ledgerv1.RepriceByMetersRequest) (*ledgerv1.RepriceByMetersResponse, error) {
	done, err := b.meters(req)
	return &ledgerv1.RepriceByMetersResponse{Done: done}, err
}

func (b *books) ListAccountStates(context.Context, *ledgerv1.ListAccountStatesRequest) (*ledgerv1.ListAccountStatesResponse, error) {
	return b.states, b.err
}

func (b *books) QueryUsage(_ context.Context, req *ledgerv1.QueryUsageRequest) (*ledgerv1.QueryUsageResponse, error) {
	if b.refuse != nil {
		if err := b.refuse(); err != nil {
			return nil, err
		}
	}
	if b.answer != nil {
		return b.answer(req), b.err
	}
	if b.total != nil && len(req.GetGroupBy()) == 0 {
		if b.asked == nil || b.asked.GetTag() != req.GetTag() || b.asked.GetFromDay() != req.GetFromDay() {
			return nil, connect.NewError(connect.CodeInternal, nil)
		}
		return b.total, b.err
	}
	b.asked = proto.CloneOf(req)
	return b.usage, b.err
}

func (b *books) QueryLatency(_ context.Context, req *ledgerv1.QueryLatencyRequest) (*ledgerv1.QueryLatencyResponse, error) {
	b.latency = req
	l := &ledgerv1.Latency{StartUnixMs: req.GetFromUnixMs(), Attempts: 4, P50Us: 1, P95Us: 2, P99Us: 3}
	return &ledgerv1.QueryLatencyResponse{Buckets: []*ledgerv1.Latency{l}, Total: l, SampledPerMyriad: 4901, AsOfUnixMs: req.GetToUnixMs()}, b.err
}

func (b *books) ListRequests(ctx context.Context, req *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
	return b.list(ctx, req)
}

func (b *books) RepriceRequests(_ context.Context, req *ledgerv1.RepriceRequestsRequest) (*ledgerv1.RepriceRequestsResponse, error) {
	return b.reprice(req)
}

const ledgerToken = "tgl_test"

func withLedger(t *testing.T, token string, options ...connect.ClientOption) (*bundle, *books) {
	t.Helper()
	ledger := &books{}
	mux := http.NewServeMux()
	mux.Handle(ledgerv1connect.NewAccountServiceHandler(ledger))
	mux.Handle(ledgerv1connect.NewUsageServiceHandler(ledger))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+ledgerToken {
			_ = connect.NewErrorWriter().Write(w, r, connect.NewError(connect.CodeUnauthenticated, nil))
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return setupWith(t, testenv.Postgres(t, migrate), rpc.NewLedger(server.Client(), server.URL, token), options...), ledger
}

// Guarantee: a budget's state is the ledger's; where the ledger has none for the current period,
// nothing was spent.
func TestBudgetState(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	ctx := t.Context()
	_, _, g := b.seed()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	start, end := time.Date(2026, 10, 31, 23, 0, 0, 0, time.UTC), time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC) // Berlin's month
	get := func() *controlv1.BudgetState {
		return must[*controlv1.GetBudgetStateResponse](t)(b.budgets.GetBudgetState(ctx, &controlv1.GetBudgetStateRequest{Budget: "ci-month"})).GetState()
	}
	zero := &controlv1.BudgetState{
		BudgetId: g.GetId(), Limit: usd(100, 0), Spent: usd(0, 0), Held: usd(0, 0), Remaining: usd(100, 0), Overrun: usd(0, 0),
		PeriodStart: timestamppb.New(start), PeriodEnd: timestamppb.New(end), AsOf: timestamppb.New(at), Status: controlv1.BudgetStatus_BUDGET_STATUS_OK,
	}
	ledger.states = &ledgerv1.ListAccountStatesResponse{AsOfUnixMs: at.UnixMilli()}
	if diff := cmp.Diff(zero, get(), protocmp.Transform()); diff != "" {
		t.Errorf("nothing known (-want +got):\n%s", diff)
	}
	old := &ledgerv1.AccountState{Account: g.GetAccountId(), Start: 1, End: start.Unix(), LimitNanos: 100e9, SpentNanos: 99e9}
	ledger.states = &ledgerv1.ListAccountStatesResponse{AsOfUnixMs: at.UnixMilli(), States: []*ledgerv1.AccountState{old}}
	if diff := cmp.Diff(zero, get(), protocmp.Transform()); diff != "" {
		t.Errorf("last month's (-want +got):\n%s", diff)
	}
	ledger.states.States = []*ledgerv1.AccountState{{
		Account: g.GetAccountId(), Start: start.Unix(), End: end.Unix(), LimitNanos: 10e9, SpentNanos: 12e9 + 1, HeldNanos: 5e8,
	}}
	want := proto.CloneOf(zero)
	want.Limit, want.Spent, want.Held, want.Remaining = usd(10, 0), usd(12, 1), usd(0, 5e8), usd(-2, -1)
	want.Status = controlv1.BudgetStatus_BUDGET_STATUS_EXHAUSTED
	if diff := cmp.Diff(want, get(), protocmp.Transform()); diff != "" {
		t.Errorf("spent (-want +got):\n%s", diff)
	}
	ledger.states.States[0].OverrunNanos = 1
	ledger.states.States[0].Warnings = []*ledgerv1.AccountWarning{{Percent: 80, UnixMs: at.UnixMilli(), SpentNanos: 8e9}, {Percent: 100, UnixMs: at.UnixMilli(), SpentNanos: 12e9}}
	want.Overrun = usd(0, 1)
	want.Warnings = []*controlv1.BudgetWarning{{Percent: 80, Time: timestamppb.New(at), Spent: usd(8, 0)}, {Percent: 100, Time: timestamppb.New(at), Spent: usd(12, 0)}}
	if diff := cmp.Diff(want, get(), protocmp.Transform()); diff != "" {
		t.Errorf("overrun and warnings (-want +got):\n%s", diff)
	}
	must[*controlv1.ResetBudgetResponse](t)(b.budgets.ResetBudget(ctx, &controlv1.ResetBudgetRequest{Budget: "ci-month"}))
	must[*controlv1.RaiseBudgetResponse](t)(b.budgets.RaiseBudget(ctx, &controlv1.RaiseBudgetRequest{
		Budget: "ci-month", By: usd(5, 0), End: &controlv1.RaiseBudgetRequest_Until{Until: timestamppb.New(time.Now().AddDate(10, 0, 0))},
	}))
	zero.Limit, zero.Remaining = usd(105, 0), usd(105, 0)
	if diff := cmp.Diff(zero, get(), protocmp.Transform()); diff != "" {
		t.Errorf("reset and raised, which the ledger has not heard of (-want +got):\n%s", diff)
	}
	if _, err := b.budgets.GetBudgetState(ctx, &controlv1.GetBudgetStateRequest{Budget: "nope"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("unknown: %v", err)
	}
}

// Guarantee: a rolling budget's period is all of the days that count, whatever window the ledger has.
func TestRollingBudgetState(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	g := b.budget(&controlv1.Budget{Name: "week", Scope: &controlv1.Budget_Everything{Everything: true}, Period: controlv1.Period_PERIOD_ROLLING, RollingDays: 7, TimeZone: "Europe/Berlin"})
	start, end := time.Date(2026, 11, 21, 23, 0, 0, 0, time.UTC), time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC)
	for name, states := range map[string][]*ledgerv1.AccountState{
		"known":   {{Account: g.GetAccountId(), Start: start.Unix(), End: end.Unix(), LimitNanos: 10e9}},
		"unknown": nil,
	} {
		ledger.states = &ledgerv1.ListAccountStatesResponse{AsOfUnixMs: start.Add(time.Hour).UnixMilli(), States: states}
		got := must[*controlv1.GetBudgetStateResponse](t)(b.budgets.GetBudgetState(t.Context(), &controlv1.GetBudgetStateRequest{Budget: "week"})).GetState()
		if !got.GetPeriodStart().AsTime().Equal(start.AddDate(0, 0, -6)) || !got.GetPeriodEnd().AsTime().Equal(end) || got.GetLimit().GetUnits() != 10 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Guarantee: usage carries names next to ids, and "public" for requests without a key; its total has every request once, also where rows overlap,
// and what is not said is filled in.
func TestUsage(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	ctx := t.Context()
	e, k, _ := b.seed()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ledger.usage = &ledgerv1.QueryUsageResponse{AsOfUnixMs: at.UnixMilli(), Rows: []*ledgerv1.UsageRow{
		{KeyId: k.GetId(), EndpointId: e.GetId(), Requests: 3, Failed: 1, CostNanos: 24e9},
		{KeyId: "key_gone", EndpointId: e.GetId(), Requests: 2, Abandoned: 1, CostNanos: 12e9, Units: 4, Unpriced: 1},
		{Team: "search", Customer: "acme", Tag: "beta", Model: "m-1", Status: 404, Day: "2026-11-01", Hour: "2026-11-01T13", Requests: 1, Units: 6, Unpriced: 1},
	}}
	got := must[*controlv1.QueryUsageResponse](t)(b.usage.QueryUsage(ctx, &controlv1.QueryUsageRequest{
		GroupBy: []controlv1.UsageDimension{controlv1.UsageDimension_USAGE_DIMENSION_KEY, controlv1.UsageDimension_USAGE_DIMENSION_ENDPOINT},
		Key:     "ci-bot", Endpoint: "bria", FromDay: "2026-11-01", Team: b.team("search").GetId(), Customer: "acme", Tag: "beta", Model: "m-1",
	}))
	want := &controlv1.QueryUsageResponse{
		Rows: []*controlv1.UsageRow{
			{KeyId: k.GetId(), KeyName: "ci-bot", EndpointId: e.GetId(), EndpointName: "bria", Requests: 3, Failed: 1, Cost: usd(24, 0)},
			{KeyId: "key_gone", EndpointId: e.GetId(), EndpointName: "bria", Requests: 2, Abandoned: 1, Cost: usd(12, 0), Units: 4, Unpriced: 1},
			{KeyName: "public", Team: "search", Customer: "acme", Tag: "beta", Model: "m-1", Status: 404, Day: "2026-11-01", Hour: "2026-11-01T13", Requests: 1, Cost: usd(0, 0), Units: 6, Unpriced: 1},
		},
		Total: &controlv1.UsageRow{Requests: 6, Failed: 1, Abandoned: 1, Cost: usd(36, 0), Units: 10, Unpriced: 2},
		AsOf:  timestamppb.New(at),
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
	if ledger.asked.GetKeyId() != k.GetId() || ledger.asked.GetEndpointId() != e.GetId() || ledger.asked.GetFromDay() != "2026-11-01" ||
		ledger.asked.GetToDay() < "2026-11-01" || len(ledger.asked.GetGroupBy()) != 2 {
		t.Errorf("asked %v", ledger.asked)
	}
	if a := ledger.asked; a.GetTeam() != "search" || a.GetCustomer() != "acme" || a.GetTag() != "beta" || a.GetModel() != "m-1" {
		t.Errorf("asked %v", a)
	}
	// Two requests, one with two tags and one with none.
	ledger.usage = &ledgerv1.QueryUsageResponse{Rows: []*ledgerv1.UsageRow{{Tag: "a", Requests: 1, CostNanos: 3e9}, {Tag: "b", Requests: 1, CostNanos: 3e9}}}
	ledger.total = &ledgerv1.QueryUsageResponse{Rows: []*ledgerv1.UsageRow{{Requests: 2, Failed: 1, Units: 5, CostNanos: 7e9}}}
	got = must[*controlv1.QueryUsageResponse](t)(b.usage.QueryUsage(ctx, &controlv1.QueryUsageRequest{GroupBy: []controlv1.UsageDimension{controlv1.UsageDimension_USAGE_DIMENSION_TAG}}))
	if diff := cmp.Diff(&controlv1.UsageRow{Requests: 2, Failed: 1, Units: 5, Cost: usd(7, 0)}, got.GetTotal(), protocmp.Transform()); diff != "" || len(got.GetRows()) != 2 {
		t.Errorf("by tag: %v (-want +got of the total):\n%s", got, diff)
	}
	for name, req := range map[string]*controlv1.QueryUsageRequest{
		"no day": {FromDay: "2026-02-30"}, "backwards": {FromDay: "2026-11-02", ToDay: "2026-11-01"}, "form": {ToDay: "today"},
		"twice": {GroupBy: []controlv1.UsageDimension{1, 1}}, "unset": {GroupBy: []controlv1.UsageDimension{0}},
	} {
		if _, err := b.usage.QueryUsage(ctx, req); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.usage.QueryUsage(ctx, &controlv1.QueryUsageRequest{Key: "nope"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("unknown key: %v", err)
	}
}

// Guarantee: a ledger that is not there, away, or refuses this control plane is unavailable; a broken
// one is an internal error whose text stays here.
func TestLedgerFailures(t *testing.T) {
	t.Parallel()
	ask := func(b *bundle) failure {
		b.seed()
		_, err := b.budgets.GetBudgetState(t.Context(), &controlv1.GetBudgetStateRequest{Budget: "ci-month"})
		return failureOf(err)
	}
	unavailable := failure{Code: connect.CodeUnavailable, Reason: "unavailable"}
	if got := ask(setup(t)); !cmp.Equal(got, unavailable) {
		t.Errorf("none: %v", got)
	}
	wrong, _ := withLedger(t, "tgl_other")
	if got := ask(wrong); !cmp.Equal(got, unavailable) {
		t.Errorf("wrong token: %v", got)
	}
	away := setupWith(t, testenv.Postgres(t, migrate), rpc.NewLedger(http.DefaultClient, "http://127.0.0.1:1", ledgerToken))
	if got := ask(away); !cmp.Equal(got, unavailable) {
		t.Errorf("away: %v", got)
	}
	broken, ledger := withLedger(t, ledgerToken)
	ledger.err = connect.NewError(connect.CodeInternal, context.Canceled)
	if got := ask(broken); got.Code != connect.CodeInternal || got.Reason != "internal_error" {
		t.Errorf("broken: %v", got)
	}
}

// Guarantee: the fleet is told as the edges described themselves.
func TestListNodes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.seed()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	b.nodes = []fleet.Node{{Status: fleet.Behind, LastSeen: at, Skew: 18 * time.Millisecond, Heartbeat: &eventv1.Heartbeat{
		Edge: "lon-1", Inc: 3, Epoch: 1, Revision: 2, Version: "v1", StartUnixMs: at.UnixMilli(), SpoolEvents: 4, SpoolAgeMs: 5,
		Breakers: []*eventv1.BreakerState{{Target: "https://x", State: "open"}}, MissingEnv: []string{"X"}, Address: ":4000",
		Region: "eu", Advertised: "http://lon-1:4000", Draining: true, Requests: 11, Errors: 12, Requests_10S: 25, OverheadP50Us: 13, OverheadP99Us: 14,
		UnresolvedSecrets: map[string]string{"bria": "Vault has no such field."}, SpoolPercent: 15, MemoryBytes: 16, SeenLost: 17,
		InFlight: 6, Targets: []*eventv1.TargetState{
			{Endpoint: "bria", Target: "https://x", State: "ejected", UntilUnixMs: at.UnixMilli(), Attempts: 7, Failures: 8, Retries: 9, InFlight: 10},
			{Endpoint: "bria", Target: "https://y", State: "ok"},
		},
	}}}
	got := must[*controlv1.ListNodesResponse](t)(b.system.ListNodes(t.Context(), &controlv1.ListNodesRequest{}))
	want := &controlv1.ListNodesResponse{Revision: 4, Nodes: []*controlv1.Node{{
		Id: "lon-1", Incarnation: 3, Status: controlv1.NodeStatus_NODE_STATUS_BEHIND, Revision: 2, Epoch: 1, Version: "v1",
		StartTime: timestamppb.New(at), LastSeenTime: timestamppb.New(at), SpoolEvents: 4, SpoolAgeMs: 5,
		Breakers: []*controlv1.NodeBreaker{{Target: "https://x", State: "open"}}, MissingEnv: []string{"X"}, Address: ":4000",
		Region: "eu", Advertised: "http://lon-1:4000", Draining: true, Requests: 11, Errors: 12, RequestRate: 2.5, OverheadP50Us: 13, OverheadP99Us: 14,
		UnresolvedSecrets: []*controlv1.UnresolvedSecret{{Secret: "bria", Error: "Vault has no such field."}},
		SpoolPercent:      15, MemoryBytes: 16, SeenLost: 17, ClockSkewMs: 18,
		InFlight: 6, Targets: []*controlv1.NodeTarget{
			{Endpoint: "bria", Target: "https://x", State: "ejected", RetryTime: timestamppb.New(at), Attempts: 7, Failures: 8, Retries: 9, InFlight: 10},
			{Endpoint: "bria", Target: "https://y", State: "ok"},
		},
	}}}
	if missing := unset(got.GetNodes()); len(missing) > 0 {
		t.Errorf("nodes do not have %v", missing)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}
