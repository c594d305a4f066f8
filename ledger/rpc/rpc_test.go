package rpc_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/gen/tollgate/ledger/v1/ledgerv1connect"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/ledger/rpc"
	"tollgate/ledger/store"
	"tollgate/ledger/usage"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

const token = "ledger-token"

// books answer what they were given, and remember what they were asked.
type books struct {
	query   usage.Query
	listing usage.Listing
	latency usage.LatencyQuery
	filter  usage.Filter
	price   usage.Repricing
	dry     bool
	ids     []int64

	rows     []usage.Row
	page     usage.Page
	repriced usage.Repriced
	states   []store.AccountState
	err      error
}

func (b *books) RecentUsage(_ context.Context, scopes []usage.Scope, week, _ time.Time) ([]usage.Recent, error) {
	out := make([]usage.Recent, len(scopes))
	for i, s := range scopes {
		out[i] = usage.Recent{Day: money.Nanos(s.By), Week: money.Nanos(len(s.Value)), Requests: int64(i), First: week}
	}
	return out, nil
}

func (b *books) Usage(_ context.Context, q usage.Query) ([]usage.Row, error) {
	b.query = q
	return b.rows, b.err
}

func (b *books) Requests(_ context.Context, l usage.Listing) (usage.Page, error) {
	b.listing = l
	return b.page, b.err
}

func (b *books) Latency(_ context.Context, q usage.LatencyQuery) (usage.Latencies, error) {
	b.latency = q
	return usage.Latencies{
		Buckets: []usage.Latency{{Start: q.From, Attempts: 3, P50: 1, P95: 2, P99: 3}}, Total: usage.Latency{Attempts: 3, P50: 4, P95: 5, P99: 6}, Share: 2500,
	}, b.err
}

func (b *books) Reprice(_ context.Context, f usage.Filter, p usage.Repricing, dry bool) (usage.Repriced, error) {
	b.filter, b.price, b.dry = f, p, dry
	return b.repriced, b.err
}

func (b *books) AccountStates(_ context.Context, ids []int64, _ time.Time) ([]store.AccountState, error) {
	b.ids = ids
	return b.states, b.err
}

var kept = rpc.Kept{
	Retention: store.Retention{Requests: time.Minute, Hours: time.Hour, Leases: 24 * time.Hour, Anomalies: 2 * time.Hour, Incarnations: 3 * time.Hour}, Records: true,
}

func serve(t *testing.T, b *books, secret string) (ledgerv1connect.AccountServiceClient, ledgerv1connect.UsageServiceClient) {
	t.Helper()
	server := httptest.NewServer(rpc.NewHandler(b, kept, token, func(context.Context) error { return nil }, testenv.Logger(t)))
	t.Cleanup(server.Close)
	transport := server.Client().Transport
	client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		r.Header.Set("Authorization", "Bearer "+secret)
		return transport.RoundTrip(r)
	})}
	return ledgerv1connect.NewAccountServiceClient(client, server.URL), ledgerv1connect.NewUsageServiceClient(client, server.URL)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Guarantee: nobody is let in without the token.
func TestToken(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"", "wrong", token + "x"} {
		accounts, sums := serve(t, &books{}, secret)
		_, err := accounts.ListAccountStates(t.Context(), &ledgerv1.ListAccountStatesRequest{Accounts: []int64{1}})
		if connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("%q: %v", secret, err)
		}
		_, err = sums.RepriceRequests(t.Context(), &ledgerv1.RepriceRequestsRequest{Filter: &ledgerv1.RequestFilter{}})
		if connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("%q: %v", secret, err)
		}
	}
}

// Guarantee: a question arrives with all its dimensions and filters, and every sum is in the answer.
func TestQueryUsage(t *testing.T) {
	t.Parallel()
	b := &books{rows: []usage.Row{{
		Bucket: usage.Bucket{Day: "2026-11-01", Hour: "2026-11-01T13", Edge: "lon-1", Series: usage.Series{
			KeyID: "k", EndpointID: "e", Team: "t", Customer: "c", Model: "m", Tag: "x", Status: 200,
		}},
		Counts: usage.Counts{Requests: 1, Failed: 2, Abandoned: 3, Unpriced: 4, Units: 5, Cost: 6}, StatusClass: 2, Errors: 7, Other: true,
	}}}
	_, client := serve(t, b, token)
	req := &ledgerv1.QueryUsageRequest{
		TimeZone: "Europe/Berlin", TopN: 8, Filters: []*ledgerv1.UsageFilter{{Of: ledgerv1.UsageDimension_USAGE_DIMENSION_STATUS, Values: []string{"4xx"}, Not: true}},

		FromDay: "2026-11-01", ToDay: "2026-11-30", KeyId: "k", EndpointId: "e", Team: "t", Customer: "c", Tag: "x", Model: "m",
	}
	for number := range ledgerv1.UsageDimension_name {
		if number != 0 {
			req.GroupBy = append(req.GroupBy, ledgerv1.UsageDimension(number))
		}
	}
	res, err := client.QueryUsage(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	want := &ledgerv1.UsageRow{
		Day: "2026-11-01", Hour: "2026-11-01T13", KeyId: "k", EndpointId: "e", Team: "t", Customer: "c", Model: "m", Tag: "x", Status: 200,
		Requests: 1, Failed: 2, Abandoned: 3, Unpriced: 4, Units: 5, CostNanos: 6, StatusClass: 2, Errors: 7, Other: true, Edge: "lon-1",
	}
	if d := cmp.Diff([]*ledgerv1.UsageRow{want}, res.GetRows(), protocmp.Transform()); d != "" || res.GetAsOfUnixMs() == 0 {
		t.Error(d)
	}
	from, to := time.Date(2026, 10, 31, 23, 0, 0, 0, time.UTC), time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC) // Berlin's days
	if res.GetFromUnix() != from.Unix() || res.GetToUnix() != to.Unix() {
		t.Errorf("it says %d to %d", res.GetFromUnix(), res.GetToUnix())
	}
	asked := b.query
	asked.GroupBy = nil
	if d := cmp.Diff(usage.Query{
		From: "2026-11-01", To: "2026-11-30", KeyID: "k", EndpointID: "e", Team: "t", Customer: "c", Tag: "x", Model: "m", Zone: "Europe/Berlin", Top: 8,
		Where: []usage.Match{{Of: usage.ByStatus, Values: []string{"4xx"}, Not: true}},
	}, asked); d != "" {
		t.Error(d)
	}
	for d := usage.ByKey; d <= usage.ByEdge; d++ {
		if !b.query.By(d) {
			t.Errorf("dimension %d is missing", d)
		}
	}
	if res, err = client.QueryUsage(t.Context(), &ledgerv1.QueryUsageRequest{FromDay: "2026-11-01", ToDay: "2026-11-01", FromUnix: from.Unix(), ToUnix: to.Unix()}); err != nil ||
		!b.query.Begin.Equal(from) || !b.query.End.Equal(to) || res.GetFromUnix() != from.Unix() || res.GetToUnix() != to.Unix() {
		t.Errorf("%+v, %v", b.query, err)
	}
	for name, bad := range map[string]*ledgerv1.QueryUsageRequest{
		"no days":      {},
		"backwards":    {FromDay: "2026-11-02", ToDay: "2026-11-01"},
		"no dimension": {FromDay: "2026-11-01", ToDay: "2026-11-01", GroupBy: []ledgerv1.UsageDimension{0}},
		"no text":      {FromDay: "2026-11-01", ToDay: "2026-11-01", Team: "a\x00b"},
		"no zone":      {FromDay: "2026-11-01", ToDay: "2026-11-01", TimeZone: "Mars/Base"},
		"half an hour": {FromDay: "2026-11-01", ToDay: "2026-11-01", FromUnix: 1800, ToUnix: 7200},
		"no hours":     {FromDay: "2026-11-01", ToDay: "2026-11-01", FromUnix: 7200, ToUnix: 7200},
		"many years":   {FromDay: "2026-11-01", ToDay: "2026-11-01", FromUnix: 3600, ToUnix: 3600 * 1e6},
		"by edge":      {FromDay: "2026-09-01", ToDay: "2026-11-01", GroupBy: []ledgerv1.UsageDimension{ledgerv1.UsageDimension_USAGE_DIMENSION_EDGE}},
		"of edges":     {FromDay: "2026-09-01", ToDay: "2026-11-01", Filters: filters(ledgerv1.UsageDimension_USAGE_DIMENSION_EDGE, false, "e")},
		"two tags":     {FromDay: "2026-11-01", ToDay: "2026-11-01", Filters: filters(ledgerv1.UsageDimension_USAGE_DIMENSION_TAG, false, "a", "b")},
		"not a tag":    {FromDay: "2026-11-01", ToDay: "2026-11-01", Filters: filters(ledgerv1.UsageDimension_USAGE_DIMENSION_TAG, true, "a")},
		"no status":    {FromDay: "2026-11-01", ToDay: "2026-11-01", Filters: filters(ledgerv1.UsageDimension_USAGE_DIMENSION_STATUS, false, "fine")},
		"no values":    {FromDay: "2026-11-01", ToDay: "2026-11-01", Filters: filters(ledgerv1.UsageDimension_USAGE_DIMENSION_KEY, false)},
		"of days":      {FromDay: "2026-11-01", ToDay: "2026-11-01", Filters: filters(ledgerv1.UsageDimension_USAGE_DIMENSION_DAY, false, "2026-11-01")},
	} {
		if _, err := client.QueryUsage(t.Context(), bad); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Guarantee: whoever asks is told for how long this ledger keeps what; what it keeps for ever is 0.
func TestGetRetention(t *testing.T) {
	t.Parallel()
	_, client := serve(t, &books{}, token)
	got, err := client.GetRetention(t.Context(), &ledgerv1.GetRetentionRequest{})
	want := &ledgerv1.GetRetentionResponse{
		RequestsSeconds: 60, HoursSeconds: 3600, LeasesSeconds: 86_400, AnomaliesSeconds: 7200, IncarnationsSeconds: 10_800, KeepRecords: true,
	}
	if d := cmp.Diff(want, got, protocmp.Transform()); err != nil || d != "" {
		t.Error(err, d)
	}
}

func filters(of ledgerv1.UsageDimension, not bool, values ...string) []*ledgerv1.UsageFilter {
	return []*ledgerv1.UsageFilter{{Of: of, Values: values, Not: not}}
}

// Guarantee: a question about latency arrives as it was asked, with its answer, and one that cannot be answered is refused.
func TestQueryLatency(t *testing.T) {
	t.Parallel()
	b := &books{}
	_, client := serve(t, b, token)
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	ask := func(change func(*ledgerv1.QueryLatencyRequest)) *ledgerv1.QueryLatencyRequest {
		req := &ledgerv1.QueryLatencyRequest{
			FromUnixMs: from.UnixMilli(), ToUnixMs: from.Add(time.Hour).UnixMilli(), Bucket: ledgerv1.LatencyBucket_LATENCY_BUCKET_MINUTE, TimeZone: "Europe/Berlin",
			Filters: filters(ledgerv1.UsageDimension_USAGE_DIMENSION_EDGE, false, "lon-1"),
		}
		change(req)
		return req
	}
	res, err := client.QueryLatency(t.Context(), ask(func(*ledgerv1.QueryLatencyRequest) {}))
	want := &ledgerv1.QueryLatencyResponse{
		Buckets: []*ledgerv1.Latency{{StartUnixMs: from.UnixMilli(), Attempts: 3, P50Us: 1, P95Us: 2, P99Us: 3}},
		Total:   &ledgerv1.Latency{Attempts: 3, P50Us: 4, P95Us: 5, P99Us: 6}, SampledPerMyriad: 2500, AsOfUnixMs: res.GetAsOfUnixMs(),
	}
	if d := cmp.Diff(want, res, protocmp.Transform()); err != nil || d != "" || res.GetAsOfUnixMs() == 0 {
		t.Error(err, d)
	}
	if d := cmp.Diff(usage.LatencyQuery{
		From: from, To: from.Add(time.Hour), Bucket: usage.PerMinute, Zone: "Europe/Berlin", Where: []usage.Match{{Of: usage.ByEdge, Values: []string{"lon-1"}}},
	}, b.latency); d != "" {
		t.Error(d)
	}
	for name, change := range map[string]func(*ledgerv1.QueryLatencyRequest){
		"no time":         func(r *ledgerv1.QueryLatencyRequest) { r.ToUnixMs = r.GetFromUnixMs() },
		"no beginning":    func(r *ledgerv1.QueryLatencyRequest) { r.FromUnixMs = 0 },
		"two months":      func(r *ledgerv1.QueryLatencyRequest) { r.ToUnixMs = from.AddDate(0, 2, 0).UnixMilli(); r.Bucket = 3 },
		"minutes of days": func(r *ledgerv1.QueryLatencyRequest) { r.ToUnixMs = from.AddDate(0, 0, 2).UnixMilli() },
		"no bucket":       func(r *ledgerv1.QueryLatencyRequest) { r.Bucket = 0 },
		"no zone":         func(r *ledgerv1.QueryLatencyRequest) { r.TimeZone = "Mars/Base" },
		"no values": func(r *ledgerv1.QueryLatencyRequest) {
			r.Filters = filters(ledgerv1.UsageDimension_USAGE_DIMENSION_KEY, false)
		},
	} {
		if _, err := client.QueryLatency(t.Context(), ask(change)); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Guarantee: a page arrives with its records whole, and its token leads on.
func TestListRequests(t *testing.T) {
	t.Parallel()
	event := &eventv1.SpendEvent{RequestId: make([]byte, 16), UnixMs: 1793534400000, CostNanos: -3, Tags: []string{"x"}}
	end := usage.Cursor{Ended: time.UnixMilli(1793534400000).UTC(), Position: usage.Position{Part: 1, Inc: 7, Seq: 9}}
	b := &books{page: usage.Page{More: true, Next: end, Records: []usage.Record{
		{Position: end.Position, Event: event, Edge: "edge", Corrects: &usage.Position{Part: 1, Inc: 6, Seq: 5}},
	}}}
	_, client := serve(t, b, token)
	req := &ledgerv1.ListRequestsRequest{PageSize: 10, OldestFirst: true, Filter: &ledgerv1.RequestFilter{
		FromUnixMs: 5, ToUnixMs: 1793534500000, KeyId: "k", EndpointId: "e", Team: "t", Customer: "c", Tag: "x", Model: "m", RequestId: make([]byte, 16),
		Status: proto.Uint32(0), Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_CUT, Unpriced: true,
		Filters: filters(ledgerv1.UsageDimension_USAGE_DIMENSION_TAG, true, "y", ""), MinCostNanos: 3, MinDurationUs: 4,
	}}
	res, err := client.ListRequests(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	want := &ledgerv1.RequestRecord{Position: "1.7.9", Corrects: "1.6.5", Edge: "edge", Event: event}
	if d := cmp.Diff([]*ledgerv1.RequestRecord{want}, res.GetRequests(), protocmp.Transform()); d != "" || !res.GetWholeFilter() {
		t.Error(d)
	}
	status := uint32(0)
	asked := usage.Listing{Limit: 10, OldestFirst: true, Filter: usage.Filter{
		From: time.UnixMilli(5).UTC(), To: time.UnixMilli(1793534500000).UTC(), KeyID: "k", EndpointID: "e", Team: "t", Customer: "c", Tag: "x", Model: "m",
		RequestID: make([]byte, 16), Status: &status, Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_CUT, Unpriced: true,
		Where: []usage.Match{{Of: usage.ByTag, Values: []string{"y", ""}, Not: true}}, MinCost: 3, MinDuration: 4 * time.Microsecond,
	}}
	if d := cmp.Diff(asked, b.listing); d != "" {
		t.Error(d)
	}
	b.page.More = false
	req.PageToken = res.GetNextPageToken()
	if res, err = client.ListRequests(t.Context(), req); err != nil || res.GetNextPageToken() != "" || b.listing.After != end {
		t.Errorf("second page: %v, after %+v", err, b.listing.After)
	}
	for name, bad := range map[string]*ledgerv1.ListRequestsRequest{
		"no filter":       {PageSize: 1},
		"no size":         {Filter: &ledgerv1.RequestFilter{}},
		"too large":       {PageSize: 10_001, Filter: &ledgerv1.RequestFilter{}},
		"another filter":  {PageSize: 1, Filter: &ledgerv1.RequestFilter{}, PageToken: req.GetPageToken()},
		"half an id":      {PageSize: 1, Filter: &ledgerv1.RequestFilter{RequestId: []byte("x")}},
		"what is no text": {PageSize: 1, Filter: &ledgerv1.RequestFilter{Tag: "a\x00b"}},
	} {
		if _, err := client.ListRequests(t.Context(), bad); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Guarantee: repricing is about unpriced records alone, whatever is asked, and what did not fit into the
// time of a call can be asked for again.
func TestRepriceRequests(t *testing.T) {
	t.Parallel()
	b := &books{repriced: usage.Repriced{Corrected: 3, Difference: -5}}
	_, client := serve(t, b, token)
	res, err := client.RepriceRequests(t.Context(), &ledgerv1.RepriceRequestsRequest{
		Filter: &ledgerv1.RequestFilter{EndpointId: "e"}, PerRequestNanos: 7, PerMillionUnitsNanos: 8, DryRun: true,
	})
	if err != nil || res.GetCorrected() != 3 || res.GetDifferenceNanos() != -5 {
		t.Errorf("%v, %v", res, err)
	}
	if d := cmp.Diff(usage.Filter{EndpointID: "e", Unpriced: true}, b.filter); d != "" || b.price != (usage.Price{PerRequest: 7, PerMillionUnits: 8}) || !b.dry {
		t.Errorf("%+v %+v %v", b.filter, b.price, b.dry)
	}
	if _, err := client.RepriceRequests(t.Context(), &ledgerv1.RepriceRequestsRequest{Filter: &ledgerv1.RequestFilter{}, PerRequestNanos: -1}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a negative price: %v", err)
	}
}

// Guarantee: prices of endpoints arrive with the lists that they name, what has none with its reason, and the answer
// says what stays unpriced; a price that cannot be read prices nothing.
func TestRepriceByMeters(t *testing.T) {
	t.Parallel()
	b := &books{repriced: usage.Repriced{Corrected: 3, Difference: -5, Unpriced: 2, Reasons: []usage.Reason{{EndpointID: "e", Why: "so", Requests: 2}}}}
	_, client := serve(t, b, token)
	price := &controlv1.Metered{Unmatched: "free", Fallback: "0", Meters: []*controlv1.Meter{{
		Name: "chat", Model: []*controlv1.Source{{Place: &controlv1.Source_Frame{Frame: "model"}}},
		Counters: []*controlv1.Counter{{Name: "input", Sources: []*controlv1.Source{{Place: &controlv1.Source_Frame{Frame: "input"}}}}},
		Units:    []*controlv1.Unit{{Name: "input", Add: []string{"input"}}}, Book: "acme", Hold: &controlv1.MeterHold{Amount: "1"},
	}}}
	req := &ledgerv1.RepriceByMetersRequest{
		Filter: &ledgerv1.RequestFilter{Team: "t"}, DryRun: true,
		Prices: []*ledgerv1.EndpointPrice{
			{EndpointId: "e", Metered: price},
			{EndpointId: "f", WhyNot: "no meters"},
			{Deployment: "gpt/one", Metered: price},
			{Deployment: "gpt/two", WhyNot: "no meters of its own"},
		},
		Book: []*eventv1.BookList{{Name: "acme", Rows: []*controlv1.ModelPrice{{Model: "*", Rates: []*controlv1.UnitPrice{{Unit: "input", Price: "0.000000002"}}}}}},
	}
	res, err := client.RepriceByMeters(t.Context(), req)
	want := &ledgerv1.RepriceRequestsResponse{
		Corrected: 3, DifferenceNanos: -5, StillUnpriced: 2, Reasons: []*ledgerv1.StillUnpriced{{EndpointId: "e", Reason: "so", Requests: 2}},
	}
	if d := cmp.Diff(want, res.GetDone(), protocmp.Transform()); err != nil || d != "" {
		t.Error(err, d)
	}
	if d := cmp.Diff(usage.Filter{Team: "t", Unpriced: true}, b.filter); d != "" || !b.dry {
		t.Error(d, b.dry)
	}
	for _, c := range []struct {
		endpoint, deployment, why string
		cost                      money.Nanos
	}{
		{"e", "", "", 6},
		{"f", "", "no meters", 0},
		{"g", "", "the price of its endpoint is not known", 0},
		{"f", "gpt/one", "", 6},
		{"e", "gpt/two", "no meters of its own", 0},
		{"f", "gone/one", "no meters", 0},
		{"e", "gone/one", "the price of its endpoint is not known", 0},
	} {
		event := &eventv1.SpendEvent{EndpointId: c.endpoint, Deployment: c.deployment, Meter: "chat", Model: "m"}
		if cost, why, err := b.price.Cost(usage.Whole{Record: usage.Record{Event: event}, Counts: "input=3"}); err != nil || cost != c.cost || why != c.why {
			t.Errorf("%s %s: %d, %q, %v", c.endpoint, c.deployment, cost, why, err)
		}
	}
	b.price = nil
	price.Fallback = "much"
	if _, err := client.RepriceByMeters(t.Context(), req); connect.CodeOf(err) != connect.CodeInvalidArgument || b.price != nil {
		t.Errorf("a price that cannot be read: %v", err)
	}
}

// Guarantee: an account's state tells what is spent, held and overrun, the limit as it is now and the
// warnings; and what fails says nothing about why.
func TestListAccountStates(t *testing.T) {
	t.Parallel()
	b := &books{states: []store.AccountState{{
		Account: store.Account{ID: 5, Limit: 1}, Window: contract.Window{Account: 5, Gen: 2, Start: 3600}, End: 7200, Limit: 100, Spent: 70, Held: 20, Overrun: 10,
		Warnings: []store.AccountWarning{{Percent: 50, At: time.UnixMilli(99), Spent: 51}},
	}}}
	client, _ := serve(t, b, token)
	res, err := client.ListAccountStates(t.Context(), &ledgerv1.ListAccountStatesRequest{Accounts: []int64{5, 6}})
	if err != nil || len(b.ids) != 2 {
		t.Fatal(err)
	}
	want := &ledgerv1.AccountState{
		Account: 5, Gen: 2, Start: 3600, End: 7200, LimitNanos: 100, SpentNanos: 70, HeldNanos: 20, OverrunNanos: 10,
		Warnings: []*ledgerv1.AccountWarning{{Percent: 50, UnixMs: 99, SpentNanos: 51}},
	}
	if d := cmp.Diff([]*ledgerv1.AccountState{want}, res.GetStates(), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	for _, c := range []struct {
		err  error
		code connect.Code
	}{
		{errors.New("password of postgres"), connect.CodeInternal},
		{fault.New(fault.UnavailableErr, "The ledger's database cannot be reached.").WithCause(errors.New("password of postgres")), connect.CodeUnavailable},
	} {
		b.err = c.err
		_, err := client.ListAccountStates(t.Context(), &ledgerv1.ListAccountStatesRequest{Accounts: []int64{5}})
		if connect.CodeOf(err) != c.code || strings.Contains(err.Error(), "password") {
			t.Errorf("%v: %v", c.err, err)
		}
	}
}

// Guarantee: recent sums are answered for each scope in the order in which they were asked for.
func TestRecentUsage(t *testing.T) {
	t.Parallel()
	_, s := serve(t, &books{}, token)
	res, err := s.ListRecentUsage(t.Context(), &ledgerv1.ListRecentUsageRequest{Scopes: []*ledgerv1.RecentScope{
		{Of: &ledgerv1.RecentScope_KeyId{KeyId: "k"}},
		{Of: &ledgerv1.RecentScope_EndpointId{EndpointId: "ep"}},
		{Of: &ledgerv1.RecentScope_Team{Team: "tea"}},
		{Of: &ledgerv1.RecentScope_Customer{Customer: "cust"}},
		{Of: &ledgerv1.RecentScope_Tag{Tag: "taggy"}},
		{Of: &ledgerv1.RecentScope_Everything{Everything: true}},
	}})
	if err != nil || len(res.GetUsage()) != 6 {
		t.Fatal(res, err)
	}
	for i, by := range []usage.Dimension{usage.ByKey, usage.ByEndpoint, usage.ByTeam, usage.ByCustomer, usage.ByTag, 0} {
		u, value := res.GetUsage()[i], int64(i+1)
		if by == 0 {
			value = 0
		}
		if u.GetDayCostNanos() != int64(by) || u.GetWeekCostNanos() != value || u.GetRequests() != int64(i) || u.GetFirstUnix() == 0 || u.GetDayUnix() <= u.GetWeekUnix() {
			t.Errorf("%d: %v", i, u)
		}
	}
}
