package rpc_test

import (
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/id"
)

// Guarantee: to price by meters, the ledger is given the price that each endpoint with something unpriced has now, with
// the lists that it names and no others, or the reason why there is none. The audit has the versions of the prices
// before money moves, and a trial leaves no trace.
func TestRepriceByMeters(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	ctx := t.Context()
	still, k, _ := b.seed()
	chat := bria()
	chat.Name, chat.Path, chat.Price = "chat", "/chat/", byMeters()
	chat = must[*controlv1.CreateEndpointResponse](t)(b.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: chat})).GetEndpoint()
	serving := &controlv1.Endpoint{Name: "llm", Path: "/llm/", Models: &controlv1.Models{}}
	serving = must[*controlv1.CreateEndpointResponse](t)(b.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: serving})).GetEndpoint()
	gpt := ofChat("openai/gpt")
	gpt.Deployments[0].Name = "one"
	gpt.Deployments = append(gpt.Deployments, proto.CloneOf(gpt.GetDeployments()[0]))
	gpt.Deployments[1].Name, gpt.Deployments[1].Price = "two", fixed(usd(1, 0))
	b.model(gpt)
	row := &controlv1.ModelPrice{Model: "o9", Rates: []*controlv1.UnitPrice{{Unit: "input", Price: "3", Per: 1_000_000}}}
	must[*controlv1.SetModelPriceResponse](t)(b.book.SetModelPrice(ctx, &controlv1.SetModelPriceRequest{List: "openai", Price: row}))
	must[*controlv1.SetModelPriceResponse](t)(b.book.SetModelPrice(ctx, &controlv1.SetModelPriceRequest{List: "unused", Price: row}))
	gone := id.New(id.Endpoint)
	ledger.usage = &ledgerv1.QueryUsageResponse{Rows: []*ledgerv1.UsageRow{
		{EndpointId: chat.GetId(), Unpriced: 3},
		{EndpointId: still.GetId(), Unpriced: 1},
		{EndpointId: gone, Unpriced: 1},
		{EndpointId: serving.GetId(), Unpriced: 1},
		{EndpointId: id.New(id.Endpoint), Requests: 9}, // has nothing to price
	}}
	var asked *ledgerv1.RepriceByMetersRequest
	var failing error
	ledger.meters = func(req *ledgerv1.RepriceByMetersRequest) (*ledgerv1.RepriceRequestsResponse, error) {
		asked = proto.CloneOf(req)
		return &ledgerv1.RepriceRequestsResponse{Corrected: 3, DifferenceNanos: 5, StillUnpriced: 3, Reasons: []*ledgerv1.StillUnpriced{
			{EndpointId: chat.GetId(), Reason: "so", Requests: 2}, {EndpointId: gone, Reason: "its endpoint is deleted", Requests: 1},
		}}, failing
	}
	from, to := time.Date(2026, 11, 20, 7, 0, 0, 0, time.UTC), time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	ask := &controlv1.RepriceRequestsRequest{
		Filter: &controlv1.RequestFilter{Key: "ci-bot", Meter: "chat", FromTime: timestamppb.New(from), ToTime: timestamppb.New(to)}, Current: true, DryRun: true,
	}
	before := b.dump()
	got := must[*controlv1.RepriceRequestsResponse](t)(b.usage.RepriceRequests(ctx, ask))
	want := &controlv1.RepriceRequestsResponse{Corrected: 3, Difference: usd(0, 5), StillUnpriced: 3, Reasons: []*controlv1.StillUnpriced{
		{EndpointId: chat.GetId(), EndpointName: "chat", Reason: "so", Requests: 2}, {EndpointId: gone, Reason: "its endpoint is deleted", Requests: 1},
	}}
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Errorf("answer (-want +got):\n%s", d)
	}
	wantAsk := &ledgerv1.RepriceByMetersRequest{
		DryRun: true,
		Filter: &ledgerv1.RequestFilter{KeyId: k.GetId(), Meter: "chat", FromUnixMs: from.UnixMilli(), ToUnixMs: to.UnixMilli(), Unpriced: true},
		Prices: []*ledgerv1.EndpointPrice{
			{EndpointId: chat.GetId(), Metered: byMeters().GetMetered()},
			{EndpointId: still.GetId(), WhyNot: "the price of its endpoint has no meters"},
			{EndpointId: gone, WhyNot: "its endpoint is deleted"},
			{EndpointId: serving.GetId(), WhyNot: "its endpoint serves models, and its deployment is not among theirs"},
			{Deployment: "openai/gpt/one", Metered: byMeters().GetMetered()},
			{Deployment: "openai/gpt/two", WhyNot: "the price of its deployment has no meters"},
		},
		Book: []*eventv1.BookList{{Name: "openai", Rows: []*controlv1.ModelPrice{row}}},
	}
	version := protocmp.IgnoreFields(&ledgerv1.EndpointPrice{}, "price_version")
	if d := cmp.Diff(wantAsk, asked, protocmp.Transform(), version); d != "" {
		t.Errorf("asked (-want +got):\n%s", d)
	}
	if q := ledger.asked; q.GetFromDay() != "2026-11-20" || q.GetToDay() != "2026-11-21" || q.GetKeyId() != k.GetId() {
		t.Errorf("days %v", q)
	}
	if b.dump() != before {
		t.Error("a trial left a trace")
	}
	versionOf := asked.GetPrices()[0].GetPriceVersion()
	ask.DryRun, failing = false, connect.NewError(connect.CodeDeadlineExceeded, nil)
	if _, err := b.usage.RepriceRequests(ctx, ask); failureOf(err).Reason != "deadline_exceeded" {
		t.Errorf("late: %v", err)
	}
	var entry string
	err := b.pool.QueryRow(ctx, `SELECT action || ' ' || kind || ' ' || (after -> 'prices')::text FROM control.audit ORDER BY revision DESC LIMIT 1`).Scan(&entry)
	if err != nil || versionOf == 0 || !strings.HasPrefix(entry, "reprice requests ") || strings.Contains(entry, "fallback") || !strings.Contains(entry, chat.GetId()) || !strings.Contains(entry, "rice_version") {
		t.Errorf("audit %q, %v", entry, err)
	}
	failing = connect.NewError(connect.CodeUnimplemented, nil)
	if _, err := b.usage.RepriceRequests(ctx, ask); connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "older") {
		t.Errorf("an older ledger: %v", err)
	}
	failing = connect.NewError(connect.CodeResourceExhausted, nil)
	if _, err := b.usage.RepriceRequests(ctx, ask); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("too many prices: %v", err)
	}
	ask.PerRequest = usd(1, 0)
	if _, err := b.usage.RepriceRequests(ctx, ask); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("both: %v", err)
	}
}
