package rpc_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/fleet"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	eventv1 "tollgate/gen/tollgate/event/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
)

func (b *bundle) attention(as string) *controlv1.ListAttentionResponse {
	b.t.Helper()
	return ask[*controlv1.ListAttentionResponse](b, as, "OverviewService", "ListAttention", &controlv1.ListAttentionRequest{})
}

func attentionLines(res *controlv1.ListAttentionResponse) (all []string) {
	for _, i := range res.GetItems() {
		all = append(all, fmt.Sprintf("%s %s %s", i.GetKind(), i.GetObjectName(), i.GetVerb()))
	}
	return all
}

// Guarantee: what needs somebody is one list, the worst first, of what its reader may see; people of a team see what is their team's.
func TestAttention(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed() // the endpoint bria with a price, a key and a budget on it
	team := w.newTeam()
	who := w.person(controlv1.Role_ROLE_MEMBER)
	w.member(who, team, controlv1.TeamRole_TEAM_ROLE_MEMBER)
	ours := w.budget(&controlv1.Budget{Name: "ours", Scope: &controlv1.Budget_Team{Team: team}, Amount: usd(10, 0), Period: controlv1.Period_PERIOD_TOTAL, WarnPercents: []uint32{80}})
	ocr := plain("ocr")
	ocr.Price = fixed(usd(0, 0))
	must[*controlv1.CreateEndpointResponse](t)(w.endpoints.CreateEndpoint(t.Context(), &controlv1.CreateEndpointRequest{Endpoint: ocr}))
	must[*controlv1.CreateKeyResponse](t)(w.keys.CreateKey(t.Context(), &controlv1.CreateKeyRequest{Name: "short", Team: team, ExpireTime: timestamppb.New(time.Now().Add(48 * time.Hour))}))
	endpoint := must[*controlv1.GetEndpointResponse](t)(w.endpoints.GetEndpoint(t.Context(), &controlv1.GetEndpointRequest{Endpoint: "bria"})).GetEndpoint()
	w.ledger.states.States = []*ledgerv1.AccountState{{
		Account: ours.GetAccountId(), LimitNanos: 10e9, SpentNanos: 10e9, Warnings: []*ledgerv1.AccountWarning{{Percent: 80, UnixMs: time.Now().UnixMilli()}},
	}}
	w.ledger.usage = &ledgerv1.QueryUsageResponse{Rows: []*ledgerv1.UsageRow{{EndpointId: endpoint.GetId(), Unpriced: 12}, {EndpointId: "ep_gone", Unpriced: 3}}}
	w.nodes = []fleet.Node{
		{Heartbeat: &eventv1.Heartbeat{Edge: "lon-2"}, Status: fleet.Silent, LastSeen: time.Now().Add(-time.Minute)},
		{Heartbeat: &eventv1.Heartbeat{Edge: "lon-1"}, Status: fleet.Live, LastSeen: time.Now()},
	}
	got := w.attention(token)
	want := []string{
		"ATTENTION_KIND_BUDGET_EXHAUSTED ours Raise", "ATTENTION_KIND_EDGE_SILENT lon-2 View", "ATTENTION_KIND_KEY_EXPIRING short Renew",
		"ATTENTION_KIND_NO_PRICE ocr Price", "ATTENTION_KIND_UNPRICED bria Price",
	}
	lines := attentionLines(got)
	if first := got.GetItems()[0]; first.GetObjectName() != "ours" || first.GetSeverity() != controlv1.AttentionSeverity_ATTENTION_SEVERITY_CRITICAL || first.GetSince() == nil {
		t.Errorf("first %v", first)
	}
	if last := got.GetItems()[len(lines)-1]; last.GetKind() != controlv1.AttentionKind_ATTENTION_KIND_NO_PRICE {
		t.Errorf("last %v", last)
	}
	if slices.Sort(lines); !slices.Equal(lines, want) || len(got.GetCounts()) != len(want) {
		t.Errorf("got  %q\nwant %q\ncounts %v", lines, want, got.GetCounts())
	}
	own := attentionLines(w.attention(who.secret))
	if slices.Sort(own); !slices.Equal(own, []string{want[0], want[2]}) {
		t.Errorf("of their team: %q", own)
	}
	// The ledger goes away: what was known stays, and that it is away is a line.
	w.ledger.err = connect.NewError(connect.CodeUnavailable, nil)
	must[*controlv1.UpdateBudgetResponse](t)(w.budgets.UpdateBudget(t.Context(), &controlv1.UpdateBudgetRequest{Budget: "ours", Amount: usd(11, 0)})) // makes the list be looked up
	lines = attentionLines(w.attention(token))
	if !slices.Contains(lines, "ATTENTION_KIND_LEDGER_AWAY  View") || !slices.Contains(lines, want[0]) {
		t.Errorf("without the ledger: %q", lines)
	}
	over := ask[*controlv1.GetOverviewResponse](w.bundle, token, "OverviewService", "GetOverview", &controlv1.GetOverviewRequest{})
	if over.GetMoneyMissing() == "" || over.GetFleet().GetLive() != 1 || over.GetFleet().GetSilent() != 1 {
		t.Errorf("without the ledger: %v", over)
	}
}

// Guarantee: the overview adds up the month and the last day, hour by hour, beside the day before, and shows the budget on everything.
func TestOverview(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.budget(&controlv1.Budget{Name: "all", Scope: &controlv1.Budget_Everything{Everything: true}, Amount: usd(6000, 0), Period: controlv1.Period_PERIOD_MONTH})
	w.ledger.states.States = []*ledgerv1.AccountState{{Account: all.GetAccountId(), LimitNanos: 6000e9, SpentNanos: 4182.36e9}}
	hour := func(ago int) string {
		return time.Now().UTC().Add(-time.Duration(ago) * time.Hour).Format("2006-01-02T15")
	}
	w.ledger.usage = &ledgerv1.QueryUsageResponse{Rows: []*ledgerv1.UsageRow{
		{Hour: hour(0), Requests: 100, Failed: 1, CostNanos: 1e9}, {Hour: hour(23), Requests: 50, CostNanos: 24_000}, {Hour: hour(24), Requests: 70, Failed: 7}, {Hour: hour(60), Requests: 1000},
	}}
	w.ledger.total = nil
	w.nodes = []fleet.Node{
		{Heartbeat: &eventv1.Heartbeat{Edge: "a", Requests_10S: 300, OverheadP50Us: 500, OverheadP99Us: 2000}, Status: fleet.Live, LastSeen: time.Now()},
		{Heartbeat: &eventv1.Heartbeat{Edge: "b", Requests_10S: 100, OverheadP50Us: 900, OverheadP99Us: 2100}, Status: fleet.Live, LastSeen: time.Now()},
		{Heartbeat: &eventv1.Heartbeat{Edge: "c", OverheadP99Us: 9000}, Status: fleet.Live, LastSeen: time.Now()},
	}
	got := ask[*controlv1.GetOverviewResponse](w.bundle, token, "OverviewService", "GetOverview", &controlv1.GetOverviewRequest{})
	d := got.GetDay()
	if d.GetRequests() != 150 || d.GetErrors() != 1 || d.GetRequestsBefore() != 70 || d.GetErrorsBefore() != 7 ||
		d.GetHours()[23].GetRequests() != 100 || d.GetHours()[0].GetRequests() != 50 || d.GetSpent().GetUnits() != 1 || d.GetSpent().GetNanos() != 24_000 {
		t.Errorf("day %v", d)
	}
	if m := got.GetMonth(); m.GetBudget().GetName() != "all" || m.GetState().GetSpent().GetUnits() != 4182 {
		t.Errorf("month %v", m)
	}
	if f := got.GetFleet(); f.GetOverheadP50Us() != 600 || f.GetOverheadP99Us() != 2100 || f.GetRequestRate() != 40 {
		t.Errorf("fleet %v", f)
	}
}

// Guarantee: a step is done as soon as it is done, by whatever means, and each person decides by themselves whether to see the steps.
func TestFirstSteps(t *testing.T) {
	t.Parallel()
	b := setup(t)
	steps := func(as string) (done []bool, dismissed bool) {
		t.Helper()
		res := ask[*controlv1.GetFirstStepsResponse](b, as, "OverviewService", "GetFirstSteps", &controlv1.GetFirstStepsRequest{})
		for _, s := range res.GetSteps() {
			done = append(done, s.GetDone())
		}
		return done, res.GetDismissed()
	}
	if done, dismissed := steps(token); !slices.Equal(done, []bool{false, false, false, false}) || dismissed {
		t.Errorf("%v %v", done, dismissed)
	}
	b.seed()
	b.nodes = []fleet.Node{{Heartbeat: &eventv1.Heartbeat{Edge: "a", Requests: 1}, Status: fleet.Live, LastSeen: time.Now()}}
	w := &world{bundle: b}
	ann, ben := w.person(controlv1.Role_ROLE_ADMIN), w.person(controlv1.Role_ROLE_VIEWER)
	dismiss := func(yes bool) {
		t.Helper()
		ask[*controlv1.DismissFirstStepsResponse](b, ann.secret, "OverviewService", "DismissFirstSteps", &controlv1.DismissFirstStepsRequest{Dismissed: yes})
	}
	dismiss(true)
	dismiss(true)
	if done, dismissed := steps(ann.secret); !slices.Equal(done, []bool{true, true, true, true}) || !dismissed {
		t.Errorf("%v %v", done, dismissed)
	}
	if _, dismissed := steps(ben.secret); dismissed {
		t.Error("what one person dismisses is gone for another")
	}
	dismiss(false)
	if _, dismissed := steps(ann.secret); dismissed {
		t.Error("they do not come back")
	}
}

// Guarantee: what a file manages and somebody changed by other means is a line, until it is as the file says.
func TestAttentionDrift(t *testing.T) {
	t.Parallel()
	b := setup(t)
	apply := func() {
		t.Helper()
		b.apply(&controlv1.ConfigInput{Owner: "tollgate.yaml", Files: []*controlv1.ConfigFile{{Name: "tollgate.yaml", Text: []byte("version: 1\nteams:\n  - { name: search, description: Finds. }\n")}}})
	}
	apply()
	if lines := attentionLines(b.attention(token)); len(lines) != 0 {
		t.Fatalf("%q", lines)
	}
	forced := controlv1connect.NewTeamServiceClient(b.http, b.url, connect.WithInterceptors(withToken{}, withHeader{"x-tollgate-override", "managed"}))
	must[*controlv1.UpdateTeamResponse](t)(forced.UpdateTeam(t.Context(), &controlv1.UpdateTeamRequest{Team: "search", Description: "Looks.", UpdateMask: mask("description")}))
	if lines := attentionLines(b.attention(token)); !slices.Equal(lines, []string{"ATTENTION_KIND_DRIFT search View"}) {
		t.Errorf("%q", lines)
	}
	apply()
	if lines := attentionLines(b.attention(token)); len(lines) != 0 {
		t.Errorf("as the file says again: %q", lines)
	}
}
