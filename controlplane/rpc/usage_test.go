package rpc_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/fleet"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
)

var (
	weekFrom = time.Date(2026, 11, 15, 7, 0, 0, 0, time.UTC)
	weekTo   = time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)
)

// Guarantee: a question about hours is asked for the full hours that its times are in, with what filters name resolved, and is
// refused where the ledger would leave a part of it out.
func TestUsageOfHours(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	e, k, _ := b.seed()
	var asked *ledgerv1.QueryUsageRequest
	older := false
	ledger.answer = func(req *ledgerv1.QueryUsageRequest) *ledgerv1.QueryUsageResponse {
		asked = req
		if older {
			return &ledgerv1.QueryUsageResponse{}
		}
		return &ledgerv1.QueryUsageResponse{
			FromUnix: req.GetFromUnix(), ToUnix: req.GetToUnix(),
			Rows: []*ledgerv1.UsageRow{{StatusClass: 0, Requests: 2, Errors: 2}, {Other: true, Requests: 5, Errors: 1, CostNanos: 7e9}},
		}
	}
	req := &controlv1.QueryUsageRequest{
		FromTime: timestamppb.New(weekFrom.Add(59 * time.Minute)), ToTime: timestamppb.New(weekTo.Add(-59 * time.Minute)), TimeZone: "Europe/Berlin", TopN: 8,
		GroupBy: []controlv1.UsageDimension{controlv1.UsageDimension_USAGE_DIMENSION_STATUS_CLASS},
		Filters: []*controlv1.UsageFilter{
			{Of: controlv1.UsageDimension_USAGE_DIMENSION_KEY, Values: []string{"ci-bot", ""}},
			{Of: controlv1.UsageDimension_USAGE_DIMENSION_ENDPOINT, Values: []string{"bria"}, Not: true},
			{Of: controlv1.UsageDimension_USAGE_DIMENSION_TEAM, Values: []string{b.team("search").GetId()}},
			{Of: controlv1.UsageDimension_USAGE_DIMENSION_STATUS, Values: []string{"4xx", "0"}},
		},
	}
	got := must[*controlv1.QueryUsageResponse](t)(b.usage.QueryUsage(t.Context(), req))
	want := &ledgerv1.QueryUsageRequest{
		FromDay: "2026-11-15", ToDay: "2026-11-22", FromUnix: weekFrom.Unix(), ToUnix: weekTo.Unix(), TimeZone: "Europe/Berlin", TopN: 8,
		GroupBy: []ledgerv1.UsageDimension{ledgerv1.UsageDimension_USAGE_DIMENSION_STATUS_CLASS},
		Filters: []*ledgerv1.UsageFilter{
			{Of: ledgerv1.UsageDimension_USAGE_DIMENSION_KEY, Values: []string{k.GetId(), ""}},
			{Of: ledgerv1.UsageDimension_USAGE_DIMENSION_ENDPOINT, Values: []string{e.GetId()}, Not: true},
			{Of: ledgerv1.UsageDimension_USAGE_DIMENSION_TEAM, Values: []string{"search"}},
			{Of: ledgerv1.UsageDimension_USAGE_DIMENSION_STATUS, Values: []string{"4xx", "0"}},
		},
	}
	if d := cmp.Diff(want, asked, protocmp.Transform()); d != "" {
		t.Errorf("asked (-want +got):\n%s", d)
	}
	rows := got.GetRows()
	if len(rows) != 2 || rows[0].GetStatusClass() != "0xx" || rows[0].GetErrors() != 2 || rows[1].GetStatusClass() != "" || !rows[1].GetOther() || got.GetTotal().GetErrors() != 3 ||
		!got.GetFromTime().AsTime().Equal(weekFrom) || !got.GetToTime().AsTime().Equal(weekTo) || got.GetTotal().GetRequests() != 7 {
		t.Errorf("%v", got)
	}
	older = true
	for name, one := range map[string]*controlv1.QueryUsageRequest{
		"hours": {FromTime: timestamppb.New(weekFrom)}, "a zone": {TimeZone: "Europe/Berlin"}, "filters": {Filters: req.GetFilters()}, "compare": {Compare: true},
	} {
		if _, err := b.usage.QueryUsage(t.Context(), one); connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("%s, of an older ledger: %v", name, err)
		}
	}
	if _, err := b.usage.QueryUsage(t.Context(), &controlv1.QueryUsageRequest{TimeZone: "UTC"}); err != nil {
		t.Errorf("days of an older ledger: %v", err)
	}
}

// Guarantee: usage by edge is told as the ledger adds it up, beside the time before where there still are records of it; what stands in the
// way of the ledger is told, and one that is too old to know edges is not taken for broken.
func TestUsageByEdge(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	var refused error
	asked := 0
	ledger.refuse = func() error {
		if asked++; asked > 1 {
			return refused
		}
		return nil
	}
	ledger.usage = &ledgerv1.QueryUsageResponse{FromUnix: weekFrom.Unix(), ToUnix: weekTo.Unix(), Rows: []*ledgerv1.UsageRow{
		{Edge: "lon-1", Requests: 3, CostNanos: 4e9}, {Edge: "fra-1", Requests: 1, CostNanos: 1e9},
	}}
	req := &controlv1.QueryUsageRequest{Compare: true, GroupBy: []controlv1.UsageDimension{controlv1.UsageDimension_USAGE_DIMENSION_EDGE}}
	for _, c := range []struct {
		refused error
		before  bool
	}{{nil, true}, {connect.NewError(connect.CodeFailedPrecondition, errors.New("records reach back to yesterday")), false}} {
		asked, refused = 0, c.refused
		got := must[*controlv1.QueryUsageResponse](t)(b.usage.QueryUsage(t.Context(), req))
		rows := got.GetRows()
		if len(rows) != 2 || rows[0].GetEdge() != "lon-1" || rows[1].GetEdge() != "fra-1" || (rows[0].GetPreviousCost() != nil) != c.before || asked != 2 {
			t.Errorf("%v: %v", c.refused, got)
		}
		if c.before && (rows[0].GetPreviousRequests() != 3 || rows[1].GetPreviousRequests() != 1) {
			t.Errorf("before: %v", rows)
		}
	}
	for code, want := range map[connect.Code]connect.Code{
		connect.CodeFailedPrecondition: connect.CodeFailedPrecondition, connect.CodeInvalidArgument: connect.CodeUnavailable,
	} {
		asked, refused = 1, connect.NewError(code, errors.New("records reach back to yesterday"))
		_, err := b.usage.QueryUsage(t.Context(), req)
		if connect.CodeOf(err) != want || code == want && !strings.Contains(err.Error(), "reach back to yesterday") {
			t.Errorf("%v: %v", code, err)
		}
	}
}

// Guarantee: rows by day come with their groups, and these with what the same groups used in the time before, which is as many days;
// what is in no row of its own now is with all others, and every request is in the total.
func TestUsageCompared(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	var asked []*ledgerv1.QueryUsageRequest
	ledger.answer = func(req *ledgerv1.QueryUsageRequest) *ledgerv1.QueryUsageResponse {
		asked = append(asked, proto.CloneOf(req))
		from, err := time.Parse(time.DateOnly, req.GetFromDay())
		if err != nil {
			t.Error(err)
		}
		res := &ledgerv1.QueryUsageResponse{FromUnix: from.Unix(), ToUnix: from.AddDate(0, 0, 2).Unix()}
		if len(asked) == 1 {
			res.Rows = []*ledgerv1.UsageRow{
				{Team: "a", Day: "2026-11-15", Requests: 3, CostNanos: 4e9},
				{Team: "b", Day: "2026-11-15", Requests: 1, CostNanos: 3e9},
				{Team: "b", Day: "2026-11-16", Requests: 1, Errors: 1, CostNanos: 2e9},
				{Other: true, Day: "2026-11-16", Requests: 9, CostNanos: 6e9},
			}
		} else {
			res.Rows = []*ledgerv1.UsageRow{
				{Team: "c", Requests: 4, CostNanos: 9e9}, {Team: "b", Requests: 2, Errors: 2, CostNanos: 5e9}, {Team: "d", Requests: 1, CostNanos: 1},
			}
		}
		return res
	}
	got := must[*controlv1.QueryUsageResponse](t)(b.usage.QueryUsage(t.Context(), &controlv1.QueryUsageRequest{
		FromDay: "2026-11-15", ToDay: "2026-11-16", Compare: true, TopN: 2,
		GroupBy: []controlv1.UsageDimension{controlv1.UsageDimension_USAGE_DIMENSION_DAY, controlv1.UsageDimension_USAGE_DIMENSION_TEAM},
	}))
	groups := []*controlv1.UsageRow{
		{Team: "b", Requests: 2, Errors: 1, Cost: usd(5, 0), PreviousRequests: 2, PreviousErrors: 2, PreviousCost: usd(5, 0)},
		{Team: "a", Requests: 3, Cost: usd(4, 0), PreviousCost: usd(0, 0)},
		{Other: true, Requests: 9, Cost: usd(6, 0), PreviousRequests: 5, PreviousCost: usd(9, 1)},
	}
	if d := cmp.Diff(groups, got.GetGroups(), protocmp.Transform()); d != "" {
		t.Errorf("groups (-want +got):\n%s", d)
	}
	total := &controlv1.UsageRow{Requests: 14, Errors: 1, Cost: usd(15, 0), PreviousRequests: 7, PreviousErrors: 2, PreviousCost: usd(14, 1)}
	if d := cmp.Diff(total, got.GetTotal(), protocmp.Transform()); d != "" || len(got.GetRows()) != 4 || got.GetRows()[0].GetPreviousCost() != nil {
		t.Errorf("total (-want +got):\n%s", d)
	}
	before := &ledgerv1.QueryUsageRequest{FromDay: "2026-11-13", ToDay: "2026-11-14", GroupBy: []ledgerv1.UsageDimension{ledgerv1.UsageDimension_USAGE_DIMENSION_TEAM}}
	if d := cmp.Diff(before, asked[1], protocmp.Transform()); d != "" || !got.GetPreviousFromTime().AsTime().Equal(time.Date(2026, 11, 13, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("asked (-want +got):\n%s", d)
	}
}

// Guarantee: usage is complete up to when the edge was heard that is furthest behind, without what it has not told yet; one that has
// stopped in good order holds nothing up.
func TestUsageIsCompleteTo(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ledger.usage = &ledgerv1.QueryUsageResponse{AsOfUnixMs: at.UnixMilli()}
	node := func(name string, seen time.Time, beat *eventv1.Heartbeat) fleet.Node {
		beat.Edge = name
		return fleet.Node{Heartbeat: beat, LastSeen: seen}
	}
	for _, c := range []struct {
		name  string
		nodes []fleet.Node
		want  time.Time
		edge  string
	}{
		{"no edge", nil, time.Time{}, ""},
		{"one that is heard", []fleet.Node{node("a", at.Add(-time.Second), &eventv1.Heartbeat{})}, at.Add(-time.Second), "a"},
		{"one heard since", []fleet.Node{node("a", at.Add(time.Second), &eventv1.Heartbeat{})}, at, "a"},
		{"one that lags", []fleet.Node{
			node("a", at.Add(-time.Second), &eventv1.Heartbeat{}), node("b", at.Add(-time.Second), &eventv1.Heartbeat{SpoolEvents: 3, SpoolAgeMs: 5000}),
		}, at.Add(-6 * time.Second), "b"},
		{"one that has stopped", []fleet.Node{
			node("a", at.Add(-time.Second), &eventv1.Heartbeat{}), node("b", at.Add(-time.Hour), &eventv1.Heartbeat{Draining: true}),
		}, at.Add(-time.Second), "a"},
		{"one that was lost", []fleet.Node{
			node("a", at.Add(-time.Second), &eventv1.Heartbeat{}), node("b", at.Add(-time.Hour), &eventv1.Heartbeat{Draining: true, SpoolEvents: 1}),
		}, at.Add(-time.Hour), "b"},
	} {
		b.nodes = c.nodes
		got := must[*controlv1.QueryUsageResponse](t)(b.usage.QueryUsage(t.Context(), &controlv1.QueryUsageRequest{}))
		if got.GetSlowestEdge() != c.edge || c.want.IsZero() != (got.GetCompleteTo() == nil) || !c.want.IsZero() && !got.GetCompleteTo().AsTime().Equal(c.want) {
			t.Errorf("%s: %v of %q", c.name, got.GetCompleteTo().AsTime(), got.GetSlowestEdge())
		}
	}
}

// Guarantee: whoever may see the money of some teams may ask for those by a filter, and for no other; latency is told of their teams only.
func TestFiltersEndAtOwnTeams(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	b.team("search")
	b.team("sales")
	ledger.usage = &ledgerv1.QueryUsageResponse{FromUnix: 3600, ToUnix: 7200}
	own := b.as(b.token(&controlv1.Token{Name: "own", Team: "search", Permissions: []controlv1.Permission{controlv1.Permission_PERMISSION_MONEY_READ}}))
	teams := func(not bool, names ...string) []*controlv1.UsageFilter {
		return []*controlv1.UsageFilter{{Of: controlv1.UsageDimension_USAGE_DIMENSION_TEAM, Values: names, Not: not}}
	}
	for _, c := range []struct {
		filters []*controlv1.UsageFilter
		code    connect.Code
		team    string
	}{
		{nil, 0, "search"},
		{teams(false, "search"), 0, ""},
		{teams(false, "sales"), connect.CodePermissionDenied, ""},
		{teams(false, "search", "sales"), connect.CodePermissionDenied, ""},
		{teams(false, ""), connect.CodePermissionDenied, ""},
		{teams(true, "search"), 0, "search"},
		{append(teams(true, "x"), teams(false, "sales")...), connect.CodePermissionDenied, ""},
	} {
		_, err := own.usage.QueryUsage(t.Context(), &controlv1.QueryUsageRequest{Filters: c.filters})
		if c.code != 0 && connect.CodeOf(err) != c.code || c.code == 0 && (err != nil || ledger.asked.GetTeam() != c.team) {
			t.Errorf("%v: %v, asked %v", c.filters, err, ledger.asked)
		}
		_, err = own.usage.QueryLatency(t.Context(), &controlv1.QueryLatencyRequest{Bucket: controlv1.LatencyBucket_LATENCY_BUCKET_HOUR, Filters: c.filters})
		if c.code != 0 && connect.CodeOf(err) != c.code || c.code == 0 && err != nil {
			t.Errorf("latency of %v: %v", c.filters, err)
		}
		named := false
		for _, f := range ledger.latency.GetFilters() {
			named = named || f.GetOf() == ledgerv1.UsageDimension_USAGE_DIMENSION_TEAM && !f.GetNot() && len(f.GetValues()) == 1 && f.GetValues()[0] == "search"
		}
		if c.code == 0 && !named {
			t.Errorf("latency of %v: asked %v", c.filters, ledger.latency)
		}
	}
}

// Guarantee: records are searched with filters, cost and time, which a ledger that does not know them is not believed.
func TestRequestsByFilters(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	e, _, _ := b.seed()
	whole := true
	var asked *ledgerv1.RequestFilter
	ledger.list = func(_ context.Context, req *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
		asked = req.GetFilter()
		return &ledgerv1.ListRequestsResponse{WholeFilter: whole}, nil
	}
	req := &controlv1.ListRequestsRequest{Filter: &controlv1.RequestFilter{
		Filters: []*controlv1.UsageFilter{
			{Of: controlv1.UsageDimension_USAGE_DIMENSION_ENDPOINT, Values: []string{"bria"}}, {Of: controlv1.UsageDimension_USAGE_DIMENSION_EDGE, Values: []string{"lon-1"}, Not: true},
		},
		MinCost: usd(0, 5), MinTime: durationpb.New(3 * time.Microsecond),
	}}
	if _, err := b.usage.ListRequests(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	want := []*ledgerv1.UsageFilter{
		{Of: ledgerv1.UsageDimension_USAGE_DIMENSION_ENDPOINT, Values: []string{e.GetId()}}, {Of: ledgerv1.UsageDimension_USAGE_DIMENSION_EDGE, Values: []string{"lon-1"}, Not: true},
	}
	if d := cmp.Diff(want, asked.GetFilters(), protocmp.Transform()); d != "" || asked.GetMinCostNanos() != 5 || asked.GetMinDurationUs() != 3 {
		t.Error(d, asked)
	}
	whole = false
	if _, err := b.usage.ListRequests(t.Context(), req); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("of an older ledger: %v", err)
	}
	if _, err := b.usage.ListRequests(t.Context(), &controlv1.ListRequestsRequest{}); err != nil {
		t.Errorf("without filters, of an older ledger: %v", err)
	}
}

// Guarantee: a file of usage is the question that the page asked: its name tells its days and its groups, its head the zone, the hours
// and the filters, and its rows add up to the total to the last digit.
func TestUsageFile(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	var asked *ledgerv1.QueryUsageRequest
	ledger.answer = func(req *ledgerv1.QueryUsageRequest) *ledgerv1.QueryUsageResponse {
		asked = req
		return &ledgerv1.QueryUsageResponse{AsOfUnixMs: weekTo.UnixMilli(), FromUnix: weekFrom.Unix(), ToUnix: weekTo.Unix(), Rows: []*ledgerv1.UsageRow{
			{Team: "search", Requests: 2, Errors: 1, CostNanos: 1_204_360_000_001}, {Team: "ops", Requests: 1, CostNanos: 999_999_999}, {Other: true, Requests: 4, CostNanos: 9},
		}}
	}
	path := "/export/usage.csv?from=2026-11-15T07:00:00Z&to=2026-11-22T07:00:00Z&group_by=team&time_zone=Europe/Berlin&top_n=2" +
		"&filter=status%3D4xx,5xx&filter=team!%3D%22a,b%22,c&filter=customer%3D"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := b.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if name := res.Header.Get("Content-Disposition"); name != `attachment; filename="tollgate-usage_2026-11-15_2026-11-22_by-team.csv"` {
		t.Errorf("it is named %q", name)
	}
	status, text := b.download(path, token)
	for _, want := range []string{
		"# time zone: Europe/Berlin\r\n", "# hours: 2026-11-15T07:00:00Z to 2026-11-22T07:00:00Z\r\n", "# as of: 2026-11-22T07:00:00.000Z\r\n", "filter=status=4xx,5xx",
		"# total: 7 requests, 1205.360000009 USD\r\n", ",1204.360000001,false,1,", ",0.999999999,false,0,", ",0.000000009,true,0,",
	} {
		if status != 200 || !strings.Contains(text, want) {
			t.Errorf("without %q: %d\n%s", want, status, text)
		}
	}
	filters := []*ledgerv1.UsageFilter{
		{Of: ledgerv1.UsageDimension_USAGE_DIMENSION_STATUS, Values: []string{"4xx", "5xx"}},
		{Of: ledgerv1.UsageDimension_USAGE_DIMENSION_TEAM, Values: []string{"a,b", "c"}, Not: true},
		{Of: ledgerv1.UsageDimension_USAGE_DIMENSION_CUSTOMER, Values: []string{""}},
	}
	if d := cmp.Diff(filters, asked.GetFilters(), protocmp.Transform()); d != "" || asked.GetFromUnix() != weekFrom.Unix() || asked.GetTopN() != 2 {
		t.Errorf("asked %v: %s", asked, d)
	}
	for path, want := range map[string]string{
		"/export/usage.csv?filter=colour%3Dred": "filter", "/export/usage.csv?filter=team": "filter", "/export/usage.csv?filter=day%3D2026-11-01": "filter",
		"/export/usage.csv?filter=team%3D%22a": "filter", "/export/usage.csv?time_zone=Mars": "time_zone", "/export/requests.csv?min_cost=much": "min_cost",
		"/export/requests.csv?min_time=long": "min_time", "/export/usage.csv?filter=status%3Dfine": "filters[0].values[0]",
	} {
		if status, text := b.download(path, token); status != 400 || !strings.Contains(text, want+": ") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}
