package rpc_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"tollgate/controlplane/fleet"
	"tollgate/controlplane/rpc"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/seal"
	"tollgate/internal/ticket"
)

// tickets are sealed under a key that only this process has.
func (b *bundle) tickets(t *testing.T) rpc.TicketMaker {
	t.Helper()
	key, err := seal.Parse(seal.Generate())
	if err != nil {
		t.Fatal(err)
	}
	b.open = func(text string) (*eventv1.Ticket, error) { return ticket.Open(key, text) }
	return func(hash [32]byte, edge, source string) (string, time.Time, error) {
		return ticket.Make(key, hash, edge, source, time.Now())
	}
}

// Open tells of a draft nothing but what the request says.
func (b *bundle) Open(ctx context.Context, _ contract.Version, load func(context.Context) (*eventv1.RouteSnapshot, contract.Version, error),
	draft *eventv1.RouteEndpoint, _ []*eventv1.BookList,
) (explain, route func(context.Context, *eventv1.ExplainCall) *controlv1.Explanation, err error) {
	if _, _, err := load(ctx); err != nil {
		return nil, nil, err
	}
	if len(draft.GetTargets()) == 0 && draft.GetModels() == nil {
		return nil, nil, errors.New("it has no target")
	}
	tell := func(_ context.Context, q *eventv1.ExplainCall) *controlv1.Explanation {
		return &controlv1.Explanation{Endpoint: draft.GetName(), Admitted: true, Url: q.GetMethod() + " https://target" + q.GetPath(), Price: "$1"}
	}
	return tell, tell, nil
}

// gateway is an edge as far as a request to it can tell.
func (b *bundle) gateway(name string, serve http.HandlerFunc) *httptest.Server {
	b.t.Helper()
	s := httptest.NewServer(serve)
	b.t.Cleanup(s.Close)
	b.nodes = append(b.nodes, fleet.Node{Status: fleet.Live, Heartbeat: &eventv1.Heartbeat{Edge: name, Address: "[::]:1", Advertised: s.URL + "/"}})
	return s
}

func (b *bundle) tries(options ...connect.ClientOption) controlv1connect.TryServiceClient {
	return controlv1connect.NewTryServiceClient(b.http, b.url, append(options, connect.WithInterceptors(withToken{}))...)
}

// invoked is all that a request was told to have done.
type invoked struct {
	started  *controlv1.InvokeStarted
	answered *controlv1.InvokeAnswered
	data     string
	ended    *controlv1.InvokeEnded
	told     *controlv1.Explanation
}

func (b *bundle) invoke(ctx context.Context, req *controlv1.InvokeRequest) (got invoked, err error) {
	b.t.Helper()
	stream, err := b.tries().Invoke(ctx, req)
	if err != nil {
		return got, err
	}
	defer func() { _ = stream.Close() }()
	for stream.Receive() {
		switch e := stream.Msg().GetEvent().(type) {
		case *controlv1.InvokeResponse_Started:
			got.started = e.Started
		case *controlv1.InvokeResponse_Answered:
			got.answered = e.Answered
		case *controlv1.InvokeResponse_Data:
			got.data += string(e.Data)
		case *controlv1.InvokeResponse_Ended:
			got.ended = e.Ended
		case *controlv1.InvokeResponse_Explanation:
			got.told = e.Explanation
		}
	}
	return got, stream.Err()
}

// Guarantee: a request goes to the edge as it was given, byte by byte, with a ticket for the key where the key would stand, and what comes
// back is told whole: the status, the headers, the body, also of a redirect, which is not followed.
func TestInvoke(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.seed()
	var mu sync.Mutex
	var uri, body, auth, host string
	var headers http.Header
	edge := b.gateway("fra-1", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		mu.Lock()
		uri, body, auth, host, headers = r.Method+" "+r.RequestURI, string(text), r.Header.Get("Authorization"), r.Host, r.Header
		mu.Unlock()
		w.Header().Set("X-Tollgate-Request-Id", "req_1")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
		_, _ = io.WriteString(w, "moved")
	})
	got, err := b.invoke(t.Context(), &controlv1.InvokeRequest{
		Method: "PURGE", Path: "/bria//v1/%2fx?y=1&y=2", Key: "ci-bot", Body: []byte("a book"),
		Headers: []*controlv1.ExplainHeader{{Name: "X-A", Value: "1"}, {Name: "x-a", Value: "2"}, {Name: "host", Value: "virtual.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if uri != "PURGE /bria//v1/%2fx?y=1&y=2" || body != "a book" || host != "virtual.example" || !slices.Equal(headers["X-A"], []string{"1", "2"}) || headers["User-Agent"] != nil {
		t.Errorf("sent %s %q to %s with %v", uri, body, host, headers)
	}
	text, ok := strings.CutPrefix(auth, "Bearer ")
	opened, err := b.open(text)
	if !ok || err != nil || opened.GetEdge() != "fra-1" || opened.GetSource() != "api" {
		t.Errorf("%q: %v %v", auth, opened, err)
	}
	if got.started.GetNode() != "fra-1" || got.started.GetAddress() != edge.URL || got.answered.GetStatus() != 302 || got.answered.GetRequestId() != "req_1" || got.data != "moved" {
		t.Errorf("%+v", got)
	}
	if got.ended.GetBytes() != 5 || got.ended.GetCut() || got.ended.GetError() != "" || got.ended.GetTotal() == nil || got.ended.GetSeen() != nil {
		t.Errorf("ended %v", got.ended)
	}
	if !slices.ContainsFunc(got.answered.GetHeaders(), func(h *controlv1.ExplainHeader) bool {
		return h.GetName() == "location" && h.GetValue() == "/elsewhere"
	}) {
		t.Errorf("headers %v", got.answered.GetHeaders())
	}
	if all := b.dump() + b.logs.String(); strings.Contains(all, text) {
		t.Error("the ticket was stored, logged or answered")
	}
}

// Guarantee: of a large answer a part is shown, and all of it is read; one that breaks, takes too long, or whose edge cannot be reached is
// told so; and a caller who leaves takes the request along.
func TestInvokeEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const large = 3 << 20
	gone := make(chan struct{})
	b.gateway("fra-1", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			_, _ = w.Write(make([]byte, large))
		case "/broken":
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "half")
		case "/slow", "/left":
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			if r.URL.Path == "/left" {
				close(gone)
			}
		}
	})
	ask := func(path string) *controlv1.InvokeRequest { return &controlv1.InvokeRequest{Method: "GET", Path: path} }
	if got, err := b.invoke(t.Context(), ask("/large")); err != nil || len(got.data) != 1<<20 || got.ended.GetBytes() != large || !got.ended.GetCut() || got.ended.GetError() != "" {
		t.Errorf("large: %d bytes, %v %v", len(got.data), got.ended, err)
	}
	if got, err := b.invoke(t.Context(), ask("/broken")); err != nil || got.data != "half" || got.ended.GetError() == "" {
		t.Errorf("broken: %v %v", got, err)
	}
	slow := ask("/slow")
	slow.Timeout = seconds(1)
	if got, err := b.invoke(t.Context(), slow); err != nil || got.answered.GetStatus() != 200 || !strings.Contains(got.ended.GetError(), "longer") {
		t.Errorf("slow: %v %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := b.tries().Invoke(ctx, ask("/left"))
	if err != nil {
		t.Fatal(err)
	}
	for stream.Receive() && stream.Msg().GetAnswered() == nil {
		continue // until it has begun
	}
	cancel()
	_ = stream.Close()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the request goes on although its caller has left")
	}
	b.nodes[0].Advertised, b.nodes[0].Address = "", "127.0.0.1:1"
	if got, err := b.invoke(t.Context(), ask("/x")); err != nil || got.answered != nil || !strings.Contains(got.ended.GetError(), "cannot be reached") || got.started.GetAddress() != "http://127.0.0.1:1" {
		t.Errorf("unreachable: %v %v", got, err)
	}
}

// Guarantee: a dry run is what an edge explains, with the key, and nothing is sent.
func TestInvokeDry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.seed()
	b.gateway("fra-1", func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	got, err := b.invoke(t.Context(), &controlv1.InvokeRequest{Method: "POST", Path: "/bria", Key: "ci-bot", DryRun: true, Body: []byte("{}")})
	if err != nil || got.told == nil || got.started != nil || got.ended != nil || len(b.asked.GetKeySha256()) != 32 || string(b.asked.GetBody()) != "{}" {
		t.Errorf("%+v %v", got, err)
	}
}

// Guarantee: of all edges one is chosen that serves the newest revision and wants requests, or the one that is named, unless it is silent.
func TestChoiceOfEdge(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.seed()
	node := func(name string, s fleet.Status, draining bool) {
		b.nodes = append(b.nodes, fleet.Node{Status: s, Heartbeat: &eventv1.Heartbeat{Edge: name, Address: "10.0.0.1:4000", Draining: draining}})
	}
	chosen := func(name string) string {
		t.Helper()
		res, err := b.tries().CreateTicket(ctx, &controlv1.CreateTicketRequest{Key: "ci-bot", Node: name})
		if err != nil {
			return failureOf(err).Reason
		}
		return res.GetNode()
	}
	node("silent", fleet.Silent, false)
	for _, name := range []string{"", "silent", "none"} {
		if got := chosen(name); got != "unavailable" {
			t.Errorf("%q: %s", name, got)
		}
	}
	node("draining", fleet.Live, true)
	if got := chosen(""); got != "draining" {
		t.Error(got)
	}
	node("behind", fleet.Behind, false)
	if got := chosen(""); got != "behind" {
		t.Error(got)
	}
	node("live", fleet.Live, false)
	if got := chosen(""); got != "live" {
		t.Error(got)
	}
	if got := chosen("draining"); got != "draining" {
		t.Error(got)
	}
}
