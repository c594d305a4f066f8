package rpc_test

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"tollgate/controlplane/rpc"
	"tollgate/controlplane/seen"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	eventv1 "tollgate/gen/tollgate/event/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/lifecycle"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
)

// seenNow is a request that an edge has just seen.
var seenNow = id.New(id.Request)

// justSeen is a log that knows one request.
type justSeen struct{ *seen.Log }

func (s justSeen) ByID(ctx context.Context, requestID string, wait time.Duration) *controlv1.SeenRequest {
	if requestID == seenNow {
		return &controlv1.SeenRequest{RequestId: seenNow, Team: "search"}
	}
	return s.Log.ByID(ctx, requestID, wait)
}

// Guarantee: a request is its records and what its edge has seen; somebody whose rights end at a team finds those of the team only, and
// asks for no other team's money.
func TestGetRequest(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	ledger.usage = &ledgerv1.QueryUsageResponse{}
	team := b.team("search")
	other := b.team("sales")
	ledger.list = func(_ context.Context, req *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
		out := &ledgerv1.ListRequestsResponse{}
		if string(req.GetFilter().GetRequestId()) == string(request[:]) {
			out.Requests = []*ledgerv1.RequestRecord{booked("key_1", "ep_1")} // of team search
		}
		return out, nil
	}
	admin := controlv1connect.NewRequestServiceClient(b.http, b.url, connect.WithInterceptors(withToken{}))
	got := must[*controlv1.GetRequestResponse](t)(admin.GetRequest(t.Context(), &controlv1.GetRequestRequest{RequestId: request.Text(id.Request)}))
	if len(got.GetRecords()) != 1 || got.GetSeen() != nil {
		t.Errorf("%v", got)
	}
	got = must[*controlv1.GetRequestResponse](t)(admin.GetRequest(t.Context(), &controlv1.GetRequestRequest{RequestId: seenNow}))
	if len(got.GetRecords()) != 0 || got.GetSeen().GetRequestId() != seenNow {
		t.Errorf("%v", got)
	}
	if _, err := admin.GetRequest(t.Context(), &controlv1.GetRequestRequest{RequestId: id.New(id.Request)}); failureOf(err).Reason != "not_found" {
		t.Errorf("%v", err)
	}
	for _, c := range []struct {
		team  *controlv1.Team
		found bool
	}{{team, true}, {other, false}} {
		secret := b.token(&controlv1.Token{Name: "of-" + c.team.GetName(), Team: c.team.GetName(), Permissions: []controlv1.Permission{controlv1.Permission_PERMISSION_MONEY_READ}})
		with := connect.WithInterceptors(bearing(secret))
		requests, usage := controlv1connect.NewRequestServiceClient(b.http, b.url, with), controlv1connect.NewUsageServiceClient(b.http, b.url, with)
		for _, name := range []string{seenNow, request.Text(id.Request)} {
			_, err := requests.GetRequest(t.Context(), &controlv1.GetRequestRequest{RequestId: name})
			if c.found != (err == nil) || err != nil && failureOf(err).Reason != "not_found" {
				t.Errorf("team %s: %v", c.team.GetName(), err)
			}
		}
		_, err := usage.ListRequests(t.Context(), &controlv1.ListRequestsRequest{Filter: &controlv1.RequestFilter{Team: "search"}})
		if c.found != (err == nil) || err != nil && failureOf(err).Reason != "permission_denied" {
			t.Errorf("records, team %s: %v", c.team.GetName(), err)
		}
		must[*controlv1.QueryUsageResponse](t)(usage.QueryUsage(t.Context(), &controlv1.QueryUsageRequest{}))
		if asked := ledger.asked.GetTeam(); asked != c.team.GetName() {
			t.Errorf("usage of team %q was asked for %s", asked, c.team.GetName())
		}
	}
}

// bearing is a caller that holds a token.
type bearing string

func (s bearing) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		req.Header().Set("Authorization", "Bearer "+string(s))
		return next(ctx, req)
	}
}

func (s bearing) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		conn.RequestHeader().Set("Authorization", "Bearer "+string(s))
		return conn
	}
}

func (s bearing) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// Guarantee: a tail over the API has what its filter selects, exactly once over a reconnect to another control plane, counts what it
// leaves out, and ends when its process stops.
func TestTailRequests(t *testing.T) {
	t.Parallel()
	url := testenv.NATS(t).URL()
	pool := testenv.Postgres(t, migrate)
	stopping := make(chan struct{})
	serve := func() controlv1connect.RequestServiceClient {
		conn, err := bus.Connect(bus.Config{URL: url}, testenv.Logger(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		l := seen.New(conn, 1, testenv.Logger(t))
		var g lifecycle.Group
		g.Go("seen", func(ctx context.Context) { _ = l.Run(ctx) })
		t.Cleanup(g.Stop)
		h, err := rpc.NewHandler(rpc.Deps{
			Store: store.New(pool), Ledger: &rpc.Ledger{}, Seen: l, Stopping: stopping, AdminToken: token,
			Tracer: noop.NewTracerProvider(), Log: testenv.Logger(t),
		})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return controlv1connect.NewRequestServiceClient(server.Client(), server.URL, connect.WithInterceptors(withToken{}))
	}
	first, second := serve(), serve()
	conn, err := bus.Connect(bus.Config{URL: url}, testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	tell := func(paths ...string) {
		t.Helper()
		b := &eventv1.SeenBatch{Edge: "lon-1"}
		for _, path := range paths {
			b.Requests = append(b.Requests, &controlv1.SeenRequest{RequestId: id.New(id.Request), Path: path, Status: 200, Time: timestamppb.Now()})
		}
		data, err := proto.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, 20*time.Second, func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := conn.JetStream().Publish(ctx, contract.Seen("lon-1"), data)
			return err
		})
	}
	tell("/a/0", "/b/0")
	filter := &controlv1.SeenFilter{Text: "/A/", Statuses: []string{"2xx"}}
	read := func(stream *connect.ServerStreamForClient[controlv1.TailRequestsResponse], n int) (paths []string, at string, left int64) {
		t.Helper()
		for len(paths) < n || at == "" {
			if !stream.Receive() {
				t.Fatalf("the stream ended with %v", stream.Err())
			}
			m := stream.Msg()
			at, left = m.GetResumeToken(), left+m.GetLeftOut()
			if m.GetGap() {
				t.Error("a gap is told")
			}
			for _, r := range m.GetRequests() {
				paths = append(paths, r.GetPath())
			}
		}
		return paths, at, left
	}
	stream := must[*connect.ServerStreamForClient[controlv1.TailRequestsResponse]](t)(first.TailRequests(t.Context(), &controlv1.TailRequestsRequest{Filter: filter, Since: durationpb.New(time.Hour)}))
	paths, at, _ := read(stream, 1)
	tell("/a/1", "/b/1")
	tell("/a/2")
	_ = stream.Close()
	stream = must[*connect.ServerStreamForClient[controlv1.TailRequestsResponse]](t)(second.TailRequests(t.Context(), &controlv1.TailRequestsRequest{Filter: filter, ResumeToken: at}))
	more, _, _ := read(stream, 2)
	if got := strings.Join(append(paths, more...), " "); got != "/a/0 /a/1 /a/2" {
		t.Errorf("got %s", got)
	}
	_ = stream.Close()
	rest := must[*connect.ServerStreamForClient[controlv1.TailRequestsResponse]](t)(second.TailRequests(t.Context(), &controlv1.TailRequestsRequest{
		Since: durationpb.New(time.Hour), Except: []*controlv1.SeenFilter{{Text: "/a/1"}, {Text: "/b/", Statuses: []string{"200"}}},
	}))
	if left, _, _ := read(rest, 2); strings.Join(left, " ") != "/a/0 /a/2" {
		t.Errorf("without two kinds of requests there are %v", left)
	}
	_ = rest.Close()
	all := must[*connect.ServerStreamForClient[controlv1.TailRequestsResponse]](t)(second.TailRequests(t.Context(), &controlv1.TailRequestsRequest{Except: []*controlv1.SeenFilter{{}}}))
	if all.Receive() || failureOf(all.Err()).Reason != "invalid_argument" {
		t.Errorf("a tail of nothing is told as %v", all.Err())
	}
	slow := must[*connect.ServerStreamForClient[controlv1.TailRequestsResponse]](t)(second.TailRequests(t.Context(), &controlv1.TailRequestsRequest{MostPerSecond: 1, Since: durationpb.New(time.Hour)}))
	got, _, left := read(slow, 1)
	if len(got)+int(left) == 0 || left == 0 && len(got) > 1 {
		t.Errorf("%v and %d left out", got, left)
	}
	close(stopping)
	for slow.Receive() {
		got = append(got, "more")
	}
	if err := slow.Err(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

// Guarantee: with top_n the rows are those of the groups that cost most, each with all of its days, and what the others have is in one
// row for each day: nothing is lost or counted twice.
func TestTopGroups(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		type at struct{ key, day string }
		rows := map[at]int64{}
		var in []*controlv1.UsageRow
		for range rapid.IntRange(0, 30).Draw(t, "rows") {
			k := at{rapid.SampledFrom([]string{"k1", "k2", "k3", "k4", "k5"}).Draw(t, "key"), rapid.SampledFrom([]string{"2026-11-01", "2026-11-02"}).Draw(t, "day")}
			if _, twice := rows[k]; twice {
				continue
			}
			rows[k] = rapid.Int64Range(0, 1e12).Draw(t, "cost")
			in = append(in, &controlv1.UsageRow{KeyId: k.key, Day: k.day, Cost: contract.MoneyToProto(money.Nanos(rows[k])), Requests: 1})
		}
		n := rapid.IntRange(1, 6).Draw(t, "n")
		out, err := rpc.TopOf(in, n)
		if err != nil {
			t.Fatal(err)
		}
		sums, groups := map[string]money.Nanos{}, map[string]bool{}
		var requests int64
		for _, r := range out {
			cost, err := contract.MoneyFromProto(r.GetCost())
			if err != nil {
				t.Fatal(err)
			}
			sums[r.GetDay()] += cost
			requests += r.GetRequests()
			if !r.GetOther() {
				groups[r.GetKeyId()] = true
			} else if r.GetKeyId() != "" {
				t.Fatal("the others have a name")
			}
		}
		cost, all, least := map[string]int64{}, map[string]int64{}, int64(1e15)
		for k, c := range rows {
			cost[k.key] += c
			all[k.day] += c
		}
		for day, c := range all {
			if sums[day] != money.Nanos(c) {
				t.Fatalf("%s has %s, want %d", day, sums[day], c)
			}
		}
		if int(requests) != len(rows) || len(groups) != min(n, len(cost)) {
			t.Fatalf("%d requests of %d, %d groups of %d", requests, len(rows), len(groups), len(cost))
		}
		for g := range groups {
			least = min(least, cost[g])
		}
		for g, c := range cost {
			if !groups[g] && c > least {
				t.Fatalf("%s costs %d and is left out, where one of %d is not", g, c, least)
			}
		}
	})
}

// download gets a file over plain HTTP.
func (b *bundle) download(path, secret string) (int, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.url+path, http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	res, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

// Guarantee: a file over plain HTTP says what selects it and when, in exact amounts whose sum is the total; it is refused to whoever the
// method is refused to, and a parameter that there is not is an error.
func TestDownloads(t *testing.T) {
	t.Parallel()
	b, ledger := withLedger(t, ledgerToken)
	b.team("search")
	ledger.usage = &ledgerv1.QueryUsageResponse{Rows: []*ledgerv1.UsageRow{{Team: "search", CostNanos: 1_000_000_001, Requests: 2}, {Team: "=cmd", CostNanos: 3, Requests: 1}}}
	ledger.list = func(context.Context, *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
		return &ledgerv1.ListRequestsResponse{Requests: []*ledgerv1.RequestRecord{booked("", "ep_1")}}, nil
	}
	status, text := b.download("/export/usage.csv?group_by=team&from=2026-11-01&to=2026-11-30&customer=a%0d%0ab", token)
	if status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	for _, want := range []string{"days: 2026-11-01 to 2026-11-30", "customer=a  b", "total: 3 requests, 1.000000004 USD", "time zone: UTC", "as of: "} {
		if !strings.Contains(text, want) {
			t.Errorf("without %q:\n%s", want, text)
		}
	}
	r := csv.NewReader(strings.NewReader(text))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil || len(rows) != 3 || rows[1][16] != "1.000000001" || rows[2][6] != "'=cmd" || rows[2][16] != "0.000000003" {
		t.Errorf("%v %q", err, rows)
	}
	if status, text := b.download("/export/requests.csv?team=search", token); status != 200 || !strings.HasPrefix(text, "# Requests\r\n") || !strings.Contains(text, "\r\nposition,") {
		t.Errorf("%d %s", status, text)
	}
	if status, text := b.download("/export/requests.ndjson", token); status != 200 || !strings.HasPrefix(text, `{"position":"0-7"`) {
		t.Errorf("%d %s", status, text)
	}
	for path, want := range map[string]string{
		"/export/usage.csv?grup_by=team": "grup_by", "/export/usage.csv?group_by=colour": "group_by", "/export/usage.csv?from=yesterday": "from_day",
		"/export/requests.csv?from=yesterday": "from", "/export/requests.csv?status=many": "status", "/export/usage.csv?top_n=-1": "top_n",
		"/export/usage.csv?key=a&key=b": "key", "/export/usage.csv?status_class=9xx": "status_class", "/export/requests.ndjson?unpriced=maybe": "unpriced",
	} {
		if status, text := b.download(path, token); status != 400 || !strings.Contains(text, want+": ") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if status, _ := b.download("/export/usage.csv", ""); status != 401 {
		t.Errorf("without a token: %d", status)
	}
	blind := b.token(&controlv1.Token{Name: "blind", Permissions: []controlv1.Permission{controlv1.Permission_PERMISSION_CONFIG_READ}})
	if status, text := b.download("/export/usage.csv", blind); status != 403 {
		t.Errorf("without the right: %d %s", status, text)
	}
	own := b.token(&controlv1.Token{Name: "own", Team: "search", Permissions: []controlv1.Permission{controlv1.Permission_PERMISSION_MONEY_READ}})
	if status, text := b.download("/export/requests.csv?team=sales", own); status != 403 {
		t.Errorf("another team's: %d %s", status, text)
	}
	if status, _ := b.download("/export/requests.csv", own); status != 200 {
		t.Errorf("their own: %d", status)
	}
	ledger.list = func(context.Context, *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
		return nil, errors.New("away")
	}
	if status, text := b.download("/export/requests.csv", token); status < 500 || strings.Contains(text, "away") {
		t.Errorf("without a ledger: %d %s", status, text)
	}
}
