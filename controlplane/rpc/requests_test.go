package rpc_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
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

var (
	settled = time.Date(2026, 11, 22, 12, 0, 0, 1e6, time.UTC)
	request = id.NewBytes()
)

// booked is a record of the ledger with every field set.
func booked(k, e string) *ledgerv1.RequestRecord {
	return &ledgerv1.RequestRecord{Position: "0-7", Corrects: "0-3", Edge: "lon-1", Event: &eventv1.SpendEvent{
		RequestId: request[:], Attempt: 2, UnixMs: settled.UnixMilli(), KeyId: k, EndpointId: e, Status: 201,
		Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_CUT, PriceVersion: 5, CostNanos: -1_500_000_000, DurationUs: 1234,
		Draws: []*eventv1.SpendDraw{
			{Window: &eventv1.AccountWindow{Account: 4, Gen: 1, Start: settled.Unix()}, Nanos: 1},
			{Window: &eventv1.AccountWindow{Account: 9}, Nanos: -2},
		},
		Team: "search", Customer: "acme", Tags: []string{"beta", "prod"}, Model: "m-1", ReservedNanos: 3e9, Units: 77, Unpriced: true,
		Deployment: "m/one",
		Meter:      "tokens", Counts: "output=2.5,input=10", Job: &eventv1.SpendJob{Id: "=job", State: eventv1.SpendJobState_SPEND_JOB_STATE_DONE},
	}}
}

// Guarantee: records are the ledger's, with names beside ids and words for how they ended; a filter's
// names are resolved, and its times mean the same on every page.
func TestListRequests(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	ctx := t.Context()
	e, k, _ := b.seed()
	search := b.team("search")
	var asked []*ledgerv1.ListRequestsRequest
	ledger.list = func(_ context.Context, req *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
		asked = append(asked, proto.CloneOf(req))
		return &ledgerv1.ListRequestsResponse{Requests: []*ledgerv1.RequestRecord{booked(k.GetId(), e.GetId()), booked("key_gone", ""), booked("", e.GetId())}, NextPageToken: "two:2"}, nil
	}
	filter := &controlv1.RequestFilter{
		Key: "ci-bot", Endpoint: "bria", Team: search.GetId(), Customer: "acme", Tag: "beta", Model: "m-1",
		RequestId: request.Text(id.Request), Status: new(uint32(0)), Outcome: "cut", Unpriced: true,
		Job: "=job", Meter: "tokens", Deployment: "m/",
	}
	got := must[*controlv1.ListRequestsResponse](t)(b.usage.ListRequests(ctx, &controlv1.ListRequestsRequest{Filter: filter, PageSize: 2}))
	want := &controlv1.RequestRecord{
		Position: "0-7", RequestId: request.Text(id.Request), Attempt: 2, Time: timestamppb.New(settled), DurationUs: 1234,
		KeyId: k.GetId(), KeyName: "ci-bot", EndpointId: e.GetId(), EndpointName: "bria", Team: "search", Customer: "acme",
		Tags: []string{"beta", "prod"}, Model: "m-1", Status: 201, Outcome: "cut", Cost: usd(-1, -5e8), Reserved: usd(3, 0), Units: 77,
		PriceVersion: 5, Unpriced: true, Corrects: "0-3", Edge: "lon-1",
		Meter: "tokens", Counts: map[string]string{"input": "10", "output": "2.5"}, Job: "=job", JobState: "done",
		Deployment: "m/one",
		Draws: []*controlv1.RequestDraw{
			{AccountId: 4, Gen: 1, Start: timestamppb.New(settled.Truncate(time.Second)), Cost: usd(0, 1)}, {AccountId: 9, Cost: usd(0, -2)},
		},
	}
	gone := proto.CloneOf(want)
	gone.KeyId, gone.KeyName, gone.EndpointId, gone.EndpointName = "key_gone", "", "", ""
	keyless := proto.CloneOf(want)
	keyless.KeyId, keyless.KeyName = "", "public"
	if diff := cmp.Diff([]*controlv1.RequestRecord{want, gone, keyless}, got.GetRequests(), protocmp.Transform()); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	first := &ledgerv1.ListRequestsRequest{PageSize: 2, Filter: &ledgerv1.RequestFilter{
		KeyId: k.GetId(), EndpointId: e.GetId(), Team: "search", Customer: "acme", Tag: "beta", Model: "m-1",
		RequestId: request[:], Status: new(uint32(0)), Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_CUT, Unpriced: true,
		Job: "=job", Meter: "tokens", Deployment: "m/",
		FromUnixMs: asked[0].GetFilter().GetFromUnixMs(), ToUnixMs: asked[0].GetFilter().GetToUnixMs(),
	}}
	if diff := cmp.Diff(first, asked[0], protocmp.Transform()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if f := asked[0].GetFilter(); f.GetToUnixMs()-f.GetFromUnixMs() != (24*time.Hour).Milliseconds() || time.Since(time.UnixMilli(f.GetToUnixMs())) > time.Minute {
		t.Errorf("asked for %v", f)
	}
	must[*controlv1.ListRequestsResponse](t)(b.usage.ListRequests(ctx, &controlv1.ListRequestsRequest{Filter: filter, PageSize: 2, PageToken: got.GetNextPageToken()}))
	first.PageToken = "two:2"
	if diff := cmp.Diff(first, asked[1], protocmp.Transform()); diff != "" {
		t.Errorf("asked for the second page (-want +got):\n%s", diff)
	}
	must[*controlv1.ListRequestsResponse](t)(b.usage.ListRequests(ctx, &controlv1.ListRequestsRequest{PageSize: 5000}))
	if asked[2].GetPageSize() != 1000 || asked[2].GetFilter().Status != nil {
		t.Errorf("asked %v", asked[2])
	}
}

// Guarantee: a record says in words what its request told of a job, and of one that nobody told of that it expired.
func TestJobStates(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	record := func(job string, state eventv1.SpendJobState, corrects string, unpriced bool) *ledgerv1.RequestRecord {
		e := &eventv1.SpendEvent{Unpriced: unpriced}
		if job != "" {
			e.Job = &eventv1.SpendJob{Id: job, State: state}
		}
		return &ledgerv1.RequestRecord{Event: e, Corrects: corrects}
	}
	const unknown = eventv1.SpendJobState_SPEND_JOB_STATE_UNSPECIFIED
	ledger.list = func(context.Context, *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
		return &ledgerv1.ListRequestsResponse{Requests: []*ledgerv1.RequestRecord{
			record("j", eventv1.SpendJobState_SPEND_JOB_STATE_RUNNING, "", true), record("j", eventv1.SpendJobState_SPEND_JOB_STATE_DONE, "0-1", true),
			record("j", eventv1.SpendJobState_SPEND_JOB_STATE_FAILED, "", false), record("j", unknown, "0-1", true), record("j", unknown, "0-1", false),
			record("j", unknown, "", true), record("", unknown, "0-1", true),
		}}, nil
	}
	var got []string
	for _, r := range must[*controlv1.ListRequestsResponse](t)(b.usage.ListRequests(t.Context(), &controlv1.ListRequestsRequest{})).GetRequests() {
		got = append(got, r.GetJobState())
	}
	if want := []string{"running", "done", "failed", "expired", "", "", ""}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Guarantee: a request is found by its id alone, however long ago it was; who says when is asked for that time.
func TestRequestOfLongAgo(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	var asked *ledgerv1.RequestFilter
	ledger.list = func(_ context.Context, req *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
		asked = proto.CloneOf(req.GetFilter())
		return &ledgerv1.ListRequestsResponse{}, nil
	}
	old := id.Bytes{0, 0, 1, 2, 3, 4, 0x70, 15: 1}
	filter := &controlv1.RequestFilter{RequestId: old.Text(id.Request)}
	must[*controlv1.ListRequestsResponse](t)(b.usage.ListRequests(t.Context(), &controlv1.ListRequestsRequest{Filter: filter}))
	if from := time.UnixMilli(asked.GetFromUnixMs()); !from.Before(old.Time()) || old.Time().Sub(from) > 2*time.Hour || time.Since(time.UnixMilli(asked.GetToUnixMs())) > time.Minute {
		t.Errorf("asked for %v of a request of %s", asked, old.Time())
	}
	filter.FromTime = timestamppb.New(settled)
	filter.ToTime = timestamppb.New(settled.Add(time.Hour))
	must[*controlv1.ListRequestsResponse](t)(b.usage.ListRequests(t.Context(), &controlv1.ListRequestsRequest{Filter: filter}))
	if asked.GetFromUnixMs() != settled.UnixMilli() || asked.GetToUnixMs() != settled.Add(time.Hour).UnixMilli() {
		t.Errorf("asked for %v", asked)
	}
}

// Guarantee: pages that found nothing in their time are passed on with their token, and a file goes on
// behind them.
func TestEmptyPages(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	e, k, _ := b.seed()
	ledger.list = func(_ context.Context, req *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
		next := map[string]string{"": "a", "a": "b", "b": "c", "c": ""}[req.GetPageToken()]
		out := &ledgerv1.ListRequestsResponse{NextPageToken: next}
		if req.GetPageToken() == "b" {
			out.Requests = []*ledgerv1.RequestRecord{booked(k.GetId(), e.GetId())}
		}
		return out, nil
	}
	token, found := "", 0
	for range 4 {
		page := must[*controlv1.ListRequestsResponse](t)(b.usage.ListRequests(t.Context(), &controlv1.ListRequestsRequest{PageToken: token}))
		found += len(page.GetRequests())
		token = page.GetNextPageToken()
	}
	if found != 1 || token != "" {
		t.Errorf("found %d, and the fourth page has the token %q", found, token)
	}
	file, err := b.export(&controlv1.ExportRequestsRequest{Format: controlv1.ExportFormat_EXPORT_FORMAT_NDJSON})
	if err != nil || strings.Count(file, "\n") != 1 {
		t.Errorf("file %q, %v", file, err)
	}
}

// Guarantee: a filter that selects nothing by mistake is refused, under its field; a page token that
// was not handed out is, too, whoever finds out.
func TestFilterRefused(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	ctx := t.Context()
	for name, c := range map[string]struct {
		filter *controlv1.RequestFilter
		want   failure
	}{
		"request": {&controlv1.RequestFilter{RequestId: "req_x"}, failure{connect.CodeInvalidArgument, "invalid_argument", []string{"filter.request_id:invalid"}}},
		"outcome": {&controlv1.RequestFilter{Outcome: "OK"}, failure{connect.CodeInvalidArgument, "invalid_argument", []string{"filter.outcome:invalid"}}},
		"times": {
			&controlv1.RequestFilter{FromTime: timestamppb.New(settled), ToTime: timestamppb.New(settled)},
			failure{connect.CodeInvalidArgument, "invalid_argument", []string{"filter.from_time:out_of_range"}},
		},
		"no time": {&controlv1.RequestFilter{FromTime: &timestamppb.Timestamp{Nanos: -1}}, failure{connect.CodeInvalidArgument, "invalid_argument", []string{"filter.from_time:invalid"}}},
		"key":     {&controlv1.RequestFilter{Key: "nope"}, failure{connect.CodeNotFound, "not_found", nil}},
	} {
		_, err := b.usage.ListRequests(ctx, &controlv1.ListRequestsRequest{Filter: c.filter})
		if diff := cmp.Diff(c.want, failureOf(err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	ledger.list = func(context.Context, *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("no such page"))
	}
	token := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for _, text := range []string{"?", token("x"), token("r1:1:2:"), token("r1:1:x"), token("r1:01:2:x"), token("r1:1:2:forged")} {
		_, err := b.usage.ListRequests(ctx, &controlv1.ListRequestsRequest{PageToken: text})
		if diff := cmp.Diff(failure{connect.CodeInvalidArgument, "invalid_argument", []string{"page_token:invalid"}}, failureOf(err)); diff != "" {
			t.Errorf("token %q (-want +got):\n%s", text, diff)
		}
	}
	if _, err := b.usage.ListRequests(ctx, &controlv1.ListRequestsRequest{}); connect.CodeOf(err) != connect.CodeInternal {
		t.Errorf("a question that the ledger does not understand: %v", err)
	}
}

// export reads a whole file, and checks that each piece of it is whole lines.
func (b *bundle) export(req *controlv1.ExportRequestsRequest) (string, error) {
	b.t.Helper()
	stream, err := b.usage.ExportRequests(b.t.Context(), req)
	if err != nil {
		return "", err
	}
	defer func() { _ = stream.Close() }()
	var file strings.Builder
	for stream.Receive() {
		if data := stream.Msg().GetData(); len(data) == 0 || data[len(data)-1] != '\n' {
			b.t.Errorf("piece ends with %q", data[max(0, len(data)-10):])
		}
		file.Write(stream.Msg().GetData())
	}
	return file.String(), stream.Err()
}

const csvHeader = "position,request_id,attempt,time,duration_us,key_id,key_name,endpoint_id,endpoint_name," +
	"team,customer,tags,model,status,outcome,cost_usd,reserved_usd,units,price_version,unpriced,corrects,edge," +
	"meter,counts,job,job_state,deployment\r\n"

// Guarantee: a file has the same bytes for the same records, in every protocol: CSV as RFC 4180 has it
// with exact amounts and nothing that a spreadsheet would run, NDJSON as the JSON of the records.
func TestExport(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]connect.ClientOption{
		"connect": nil, "json": {connect.WithProtoJSON()}, "grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, ledger := withLedger(t, ledgerToken, options...)
			e, k, _ := b.seed()
			var asked []*ledgerv1.ListRequestsRequest
			ledger.list = func(_ context.Context, req *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
				asked = append(asked, proto.CloneOf(req))
				if req.GetPageToken() == "" {
					return &ledgerv1.ListRequestsResponse{Requests: []*ledgerv1.RequestRecord{booked(k.GetId(), e.GetId())}, NextPageToken: "two"}, nil
				}
				odd := &ledgerv1.RequestRecord{Position: "1-1", Event: &eventv1.SpendEvent{
					RequestId: request[:], UnixMs: settled.UnixMilli(), KeyId: k.GetId(), Model: `=cmd|"x",1` + "\n2", CostNanos: 1, Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_OK,
				}, Edge: "-lon"}
				return &ledgerv1.ListRequestsResponse{Requests: []*ledgerv1.RequestRecord{odd}}, nil
			}
			r := request.Text(id.Request)
			want := csvHeader +
				"0-7," + r + ",2,2026-11-22T12:00:00.001Z,1234," + k.GetId() + ",ci-bot," + e.GetId() + ",bria," +
				"search,acme,beta prod,m-1,201,cut,-1.50,3.00,77,5,true,0-3,lon-1,tokens,input=10 output=2.5,'=job,done,m/one\r\n" +
				"1-1," + r + ",0,2026-11-22T12:00:00.001Z,0," + k.GetId() + ",ci-bot,,," +
				",,,\"'=cmd|\"\"x\"\",1\r\n2\",0,ok,0.000000001,0.00,0,0,false,,'-lon,,,,,\r\n"
			got, err := b.export(&controlv1.ExportRequestsRequest{Format: controlv1.ExportFormat_EXPORT_FORMAT_CSV})
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("csv, %v (-want +got):\n%s", err, diff)
			}
			if len(asked) != 2 || !asked[0].GetOldestFirst() || asked[1].GetPageToken() != "two" || !proto.Equal(asked[0].GetFilter(), asked[1].GetFilter()) {
				t.Errorf("asked %v", asked)
			}
			want = `{"position":"0-7","requestId":"` + r + `","attempt":2,"time":"2026-11-22T12:00:00.001Z","durationUs":"1234",` +
				`"keyId":"` + k.GetId() + `","keyName":"ci-bot","endpointId":"` + e.GetId() + `","endpointName":"bria",` +
				`"team":"search","customer":"acme","tags":["beta","prod"],"model":"m-1","status":201,"outcome":"cut",` +
				`"cost":{"currencyCode":"USD","units":"-1","nanos":-500000000},"reserved":{"currencyCode":"USD","units":"3"},` +
				`"units":"77","priceVersion":"5","unpriced":true,"corrects":"0-3","edge":"lon-1",` +
				`"draws":[{"accountId":"4","gen":1,"start":"2026-11-22T12:00:00Z","cost":{"currencyCode":"USD","nanos":1}},` +
				`{"accountId":"9","cost":{"currencyCode":"USD","nanos":-2}}],` +
				`"meter":"tokens","counts":{"input":"10","output":"2.5"},"job":"=job","jobState":"done","deployment":"m/one"}` + "\n"
			got, err = b.export(&controlv1.ExportRequestsRequest{Format: controlv1.ExportFormat_EXPORT_FORMAT_NDJSON})
			if first, rest, _ := strings.Cut(got, "\n"); first+"\n" != want || strings.Count(rest, "\n") != 1 || err != nil {
				t.Errorf("ndjson, %v (-want +got):\n%s", err, cmp.Diff(want, first+"\n"))
			}

			ledger.list = func(context.Context, *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
				return &ledgerv1.ListRequestsResponse{}, nil
			}
			if got, err := b.export(&controlv1.ExportRequestsRequest{Format: controlv1.ExportFormat_EXPORT_FORMAT_CSV}); got != csvHeader || err != nil {
				t.Errorf("nothing: %q, %v", got, err)
			}
		})
	}
}

// Guarantee: a file of any length is sent in pieces, with all records once and in order; if the ledger
// fails under way, the file ends with an error and not as if it were whole.
func TestExportPieces(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	const pages = 5
	var broken error
	ledger.list = func(_ context.Context, req *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
		page := strings.Count(req.GetPageToken(), "x")
		if page == 2 && broken != nil {
			return nil, broken
		}
		res := &ledgerv1.ListRequestsResponse{}
		for range req.GetPageSize() {
			res.Requests = append(res.Requests, &ledgerv1.RequestRecord{Position: req.GetPageToken(), Event: &eventv1.SpendEvent{}})
		}
		if page < pages-1 {
			res.NextPageToken = req.GetPageToken() + "x"
		}
		return res, nil
	}
	ask := &controlv1.ExportRequestsRequest{Format: controlv1.ExportFormat_EXPORT_FORMAT_CSV}
	got, err := b.export(ask)
	lines := strings.Split(strings.TrimSuffix(got, "\r\n"), "\r\n")[1:]
	if err != nil || len(lines) != pages*1000 || !slices.IsSortedFunc(lines, func(a, b string) int { return len(a) - len(b) }) {
		t.Errorf("%d lines, %v", len(lines), err)
	}
	broken = connect.NewError(connect.CodeUnavailable, errors.New("gone"))
	if got, err := b.export(ask); failureOf(err).Reason != "unavailable" || strings.Count(got, "\n") != 2001 {
		t.Errorf("%d lines, %v", strings.Count(got, "\n"), err)
	}
	broken = connect.NewError(connect.CodeInvalidArgument, errors.New("private words"))
	if _, err := b.export(ask); failureOf(err).Reason != "invalid_argument" || strings.Contains(err.Error(), "private") {
		t.Errorf("%v", err)
	}
}

// Guarantee: streams pass the same boundary as all calls: without the token nothing is answered, what
// is wrong is said in the catalogue's words, and plain HTTP/1.1 will do.
func TestStreamsPassTheBoundary(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	const procedure = "/tollgate.control.v1.UsageService/ExportRequests"
	for _, content := range []string{"application/connect+json", "application/grpc", "application/grpc-web+proto"} {
		status, body, header := b.post(procedure, "", "Authorization", "Bearer wrong", "Content-Type", content)
		if !strings.Contains(body, "unauthenticated") && header.Get("Grpc-Status") != "16" && !strings.Contains(body, "grpc-status: 16") {
			t.Errorf("%s: %d %q %v", content, status, body, header)
		}
	}
	for name, c := range map[string]struct {
		req  *controlv1.ExportRequestsRequest
		want failure
	}{
		"no format": {&controlv1.ExportRequestsRequest{}, failure{connect.CodeInvalidArgument, "invalid_argument", []string{"format:invalid"}}},
		"filter": {
			&controlv1.ExportRequestsRequest{Format: 1, Filter: &controlv1.RequestFilter{Outcome: "x"}},
			failure{connect.CodeInvalidArgument, "invalid_argument", []string{"filter.outcome:invalid"}},
		},
		"key": {&controlv1.ExportRequestsRequest{Format: 2, Filter: &controlv1.RequestFilter{Key: "nope"}}, failure{connect.CodeNotFound, "not_found", nil}},
	} {
		_, err := b.export(c.req)
		if diff := cmp.Diff(c.want, failureOf(err)); diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	// One envelope of a message that is none.
	if _, body, _ := b.post(procedure, "\x00\x00\x00\x00\x01{", "Content-Type", "application/connect+json"); !strings.Contains(body, "invalid_argument") {
		t.Errorf("no message: %q", body)
	}
	ledger.list = func(context.Context, *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
		return &ledgerv1.ListRequestsResponse{Requests: []*ledgerv1.RequestRecord{booked("", "")}}, nil
	}
	if _, body, _ := b.post(procedure, "\x00\x00\x00\x00\x0d{\"format\": 1}", "Content-Type", "application/connect+json"); !strings.Contains(body, `{"data":"`) {
		t.Errorf("over HTTP/1.1: %q", body)
	}
}

// Guarantee: an export ends when its caller goes, also while the ledger is asked, and is no internal
// error.
func TestExportEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	asked, ended := make(chan struct{}), make(chan struct{})
	ledger.list = func(ctx context.Context, req *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
		if req.GetPageToken() == "" {
			return &ledgerv1.ListRequestsResponse{Requests: []*ledgerv1.RequestRecord{booked("", "")}, NextPageToken: "x"}, nil
		}
		close(asked)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := b.usage.ExportRequests(ctx, &controlv1.ExportRequestsRequest{Format: controlv1.ExportFormat_EXPORT_FORMAT_NDJSON})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	<-asked
	cancel()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("the ledger is still asked")
	}
	if strings.Contains(b.logs.String(), "level=ERROR") {
		t.Error(b.logs.String())
	}
}

// Guarantee: an export may take longer than the server allows for reading a request, over HTTP/1.1 too.
func TestExportOutlastsReadTimeout(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	// A machine that has other things to do may need longer until the request is read; then it is asked again with more time.
	for readTimeout := 200 * time.Millisecond; ; readTimeout *= 3 {
		if read := exportWith(t, b, ledger, readTimeout); read {
			return
		}
		if readTimeout > time.Minute {
			t.Fatalf("the request was not read within %s", readTimeout)
		}
	}
}

// exportWith exports from a server that allows so long for reading a request, and says whether it has read it.
func exportWith(t *testing.T, b *bundle, ledger *books, readTimeout time.Duration) bool {
	t.Helper()
	var read atomic.Bool
	ledger.list = func(ctx context.Context, req *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
		read.Store(true)
		if req.GetPageToken() == "" {
			return &ledgerv1.ListRequestsResponse{Requests: []*ledgerv1.RequestRecord{booked("", "")}, NextPageToken: "x"}, nil
		}
		select {
		case <-time.After(3 * readTimeout):
			return &ledgerv1.ListRequestsResponse{Requests: []*ledgerv1.RequestRecord{{Position: "last", Event: &eventv1.SpendEvent{}}}}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	server := httptest.NewUnstartedServer(b.handler)
	server.Config.ReadTimeout = readTimeout
	server.Start()
	t.Cleanup(server.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/tollgate.control.v1.UsageService/ExportRequests",
		strings.NewReader("\x00\x00\x00\x00\x0d{\"format\": 1}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/connect+json")
	req.Header.Set("Authorization", "Bearer "+token)
	var body []byte
	res, err := server.Client().Do(req)
	if err == nil {
		body, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	if read.Load() && (err != nil || strings.Count(string(body), `{"data":"`) != 2 || strings.Contains(string(body), "error")) {
		t.Errorf("%q, %v", body, err)
	}
	return read.Load()
}

// Guarantee: pricing reaches the ledger for unpriced records only, is in the audit before money moves,
// and a trial leaves no trace.
func TestReprice(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	ctx := t.Context()
	_, k, _ := b.seed()
	var asked *ledgerv1.RepriceRequestsRequest
	var failing error
	ledger.reprice = func(req *ledgerv1.RepriceRequestsRequest) (*ledgerv1.RepriceRequestsResponse, error) {
		asked = proto.CloneOf(req)
		return &ledgerv1.RepriceRequestsResponse{Corrected: 3, DifferenceNanos: -1_500_000_000}, failing
	}
	ask := &controlv1.RepriceRequestsRequest{Filter: &controlv1.RequestFilter{Key: "ci-bot"}, PerRequest: usd(0, 5), PerMillionUnits: usd(2, 0), DryRun: true}
	before := b.dump()
	got := must[*controlv1.RepriceRequestsResponse](t)(b.usage.RepriceRequests(ctx, ask))
	if diff := cmp.Diff(&controlv1.RepriceRequestsResponse{Corrected: 3, Difference: usd(-1, -5e8)}, got, protocmp.Transform()); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if f := asked.GetFilter(); f.GetKeyId() != k.GetId() || !f.GetUnpriced() || asked.GetPerRequestNanos() != 5 || asked.GetPerMillionUnitsNanos() != 2e9 || !asked.GetDryRun() {
		t.Errorf("asked %v", asked)
	}
	if b.dump() != before {
		t.Error("a trial left a trace")
	}
	ask.DryRun, failing = false, connect.NewError(connect.CodeDeadlineExceeded, nil)
	if _, err := b.usage.RepriceRequests(ctx, ask); failureOf(err).Reason != "deadline_exceeded" || !strings.Contains(err.Error(), "part") {
		t.Errorf("late: %v", err)
	}
	failing = connect.NewError(connect.CodeDeadlineExceeded, errors.New("7 requests were priced"))
	if _, err := b.usage.RepriceRequests(ctx, ask); failureOf(err).Reason != "deadline_exceeded" || !strings.Contains(err.Error(), "7 requests were priced") {
		t.Errorf("a part: %v", err)
	}
	var entry string
	if err := b.pool.QueryRow(ctx, `SELECT actor || ' ' || action || ' ' || kind || ' ' || (after -> 'filter' ->> 'key_id') FROM control.audit ORDER BY revision DESC LIMIT 1`).Scan(&entry); err != nil || entry != "admin reprice requests "+k.GetId() {
		t.Errorf("audit %q, %v", entry, err)
	}
	for name, req := range map[string]*controlv1.RepriceRequestsRequest{
		"negative": {Filter: &controlv1.RequestFilter{}, PerRequest: usd(-1, 0)}, "no filter": {PerRequest: usd(1, 0)}, "no price": {Filter: &controlv1.RequestFilter{}},
	} {
		if _, err := b.usage.RepriceRequests(ctx, req); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}
