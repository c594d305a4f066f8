package replay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/edge/admit"
	"tollgate/edge/metrics"
	"tollgate/edge/pool"
	"tollgate/edge/proxy"
	"tollgate/edge/proxy/nethttp"
	"tollgate/edge/routing"
	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/testenv/vectors"
	"tollgate/internal/testenv/wire"
)

// attempted is what would leave for a target.
type attempted struct {
	a    *proxy.Attempt
	body string
	err  error // why the body has no end
}

// recorder stands in for the calling side: it keeps what it is to send and answers with its number.
type recorder struct {
	mu   sync.Mutex // guards what follows
	kept []attempted
}

const numbered = "X-Attempt"

func (r *recorder) RoundTrip(_ context.Context, a *proxy.Attempt) (*proxy.Answer, error) {
	got := attempted{a: a}
	if a.Body != nil {
		body, err := io.ReadAll(a.Body)
		got.body, got.err = string(body), err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, got)
	if got.err != nil {
		return nil, &proxy.AttemptError{Failure: proxy.FailBody, Text: "the body could not be read", Sent: true, Err: got.err}
	}
	return &proxy.Answer{
		Status: http.StatusOK, Headers: []proxy.Header{{Name: numbered, Value: fmt.Sprint(len(r.kept) - 1)}}, Body: http.NoBody,
	}, nil
}

func (r *recorder) take() []attempted {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.kept
	r.kept = nil
	return kept
}

// diary takes intents and forgets them.
type diary struct{}

func (diary) Intent(*spool.Intent) (spool.Ticket, error)     { return spool.Ticket{}, nil }
func (diary) Partial(_ spool.Ticket, _, _ money.Nanos) error { return nil }
func (diary) Settle(spool.Ticket, *spool.Settlement)         {}
func (diary) Err() error                                     { return nil }

// engine is the listening side and the stages on a socket of the file system, which has no ports to run
// out of.
type engine struct {
	path string
	sent *recorder
}

func newEngine(f *testing.F) *engine {
	f.Helper()
	table, err := routing.Compile(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{{
		Id: "ep_x", Name: "x", Path: "/x", Targets: []string{"http://target.example/base"}, Free: true, Forward: eventv1.ForwardMode_FORWARD_MODE_ALL,
		Headers: []*eventv1.RouteHeader{{Name: "Authorization", Value: "Bearer vendor"}},
	}}}, contract.Version{Epoch: 1, Revision: 1}, routing.Lookups{})
	if err != nil {
		f.Fatal(err)
	}
	var routes routing.Holder
	routes.Store(table)
	hash := contract.KeyHash([]byte(key))
	var keys admit.Keys
	if err := keys.SetShard(&eventv1.KeyShard{Shard: contract.KeyShardOf(hash), Keys: []*eventv1.ShardKey{{Sha256: hash[:], Id: "key_1", Name: "fuzz"}}}); err != nil {
		f.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	e := &engine{sent: &recorder{}}
	gateway := proxy.New(proxy.Config{MaxBody: 1 << 20, HeaderTimeout: patience, StreamIdle: patience}, proxy.Deps{
		Routes: &routes, Keys: &keys, Spool: diary{}, Pools: pool.New(log), Upstream: e.sent, Metrics: metrics.New(), Log: log,
	})
	cfg := nethttp.DefaultServerConfig()
	cfg.Linger = patience // so that a caller who has sent everything gets its answers
	server := nethttp.NewServer(cfg, gateway, log)
	dir, err := os.MkdirTemp("", "tg") // the path of a socket must be short
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = os.RemoveAll(dir) })
	e.path = filepath.Join(dir, "s")
	l, err := new(net.ListenConfig).Listen(f.Context(), "unix", e.path)
	if err != nil {
		f.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	f.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(server.Shutdown(ctx), <-done); err != nil {
			f.Error(err)
		}
	})
	return e
}

// exchange sends bytes and reads all answers.
func (e *engine) exchange(t *testing.T, data string) string {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "unix", e.path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(c, data) // it may be refused before its end
		if half, ok := c.(*net.UnixConn); ok {
			_ = half.CloseWrite()
		}
	}()
	answers, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%q got %q and no end", data, answers)
	}
	<-written
	return string(answers)
}

// FuzzRequest: whatever bytes come, each request that would leave for a target is the one that net/http and
// the strictest server read at its place, with the same body, without the key and without anything that
// belongs to a connection.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(strings.Repeat("GET /x/1?a HTTP/1.1\r\nHost: h\r\nX-Api-Key: "+key+"\r\n\r\n", 2)))
	f.Add([]byte("POST /x HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + key + "\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n" +
		"PUT http://h/x/%2F HTTP/1.0\r\nApi-Key: " + key + "\r\nContent-Length: 3\r\nConnection: close, A\r\nA: b\r\n\r\nabc"))
	f.Add([]byte("POST /x HTTP/1.1\r\nHost: h\r\nX-Api-Key: " + key + "\r\nContent-Length: 4\r\nExpect: 100-continue\r\nCookie: a=" + key + "; b=c\r\n\r\nabcdDELETE /x?key=" + key + "&b HTTP/1.1\r\nHost: h\r\n\r\n"))
	f.Add([]byte("POST /0 HTTP/1.1\r\nHost: h\r\n\r\n\rGET /x HTTP/1.0\r\nApi-Key: " + key + "\r\n\r\n"))
	f.Add([]byte("GET /x HTTP/1.1\r\nHost: h\r\nX-Api-Key: " + key + "\r\nUpgrade: websocket\r\n\r\nGET /x/2 HTTP/1.1\nHost: h\nX-Api-Key: " + key + "\n\n"))
	f.Add([]byte("GET /x HTTP/1.1\r\nHost: h\r\nX-Api-Key: " + key + "\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\nGET /x/2 HTTP/1.1\r\nHost: h\r\nX-Api-Key: " + key + "\r\n\r\n"))
	for i, x := range vectors.All(f) {
		if i%25 == 0 && len(x.RequestBody) < 4<<10 {
			p := play{x: &x, id: "1"}
			f.Add([]byte(fmt.Sprintf("%s /x%s HTTP/1.1\r\nHost: h\r\n%sContent-Length: %d\r\n\r\n%s", x.Method, p.target(), list(p.requestHeaders()), len(x.RequestBody), x.RequestBody)))
		}
	}
	e := newEngine(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		text := string(data)
		answers := e.exchange(t, text)
		strict, _ := wire.All(wire.Strict, text)
		std, _ := wire.All(byNetHTTP, text)
		all := e.sent.take()
		places := placesOf(answers, std)
		for n, got := range all {
			checkAttempt(t, got.a)
			if got.err != nil {
				continue // it never became a request
			}
			k, ok := places[fmt.Sprint(n)]
			if !ok {
				t.Fatalf("attempt %d has no answer: %q got %q", n, text, answers)
			}
			if k >= len(strict) || k >= len(std) {
				t.Fatalf("request %d of %q was forwarded as %s %s; the strict reader sees %d, net/http %d", k, text, got.a.Method, got.a.URI, len(strict), len(std))
			}
			left := wire.Request{Method: got.a.Method, Target: got.a.URI, Body: got.body}
			left.Target, _, _ = strings.Cut(left.Target, "?")
			for _, read := range [][]wire.Request{strict, std} {
				meant := read[k]
				meant.Target, _, _ = strings.Cut(meant.Target, "?") // the query may have lost the key
				if !wasMeant(&left, []wire.Request{meant}) {
					t.Fatalf("request %d of %q is %q, and was forwarded as %q", k, text, meant, left)
				}
			}
		}
	})
}

// placesOf finds out for which request of a connection each attempt was made, by counting answers.
func placesOf(answers string, requests []wire.Request) map[string]int {
	out := map[string]int{}
	in := bufio.NewReader(strings.NewReader(answers))
	for k := 0; ; k++ {
		var of *http.Request
		if k < len(requests) {
			of = &http.Request{Method: requests[k].Method}
		}
		resp, err := http.ReadResponse(in, of)
		for err == nil && resp.StatusCode < 200 {
			resp.Body.Close()
			resp, err = http.ReadResponse(in, of)
		}
		if err != nil {
			return out
		}
		if n := resp.Header.Get(numbered); n != "" {
			out[n] = k
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil {
			return out
		}
	}
}

// checkAttempt looks for what must never leave.
func checkAttempt(t *testing.T, a *proxy.Attempt) {
	t.Helper()
	credential := 0
	for _, h := range a.Headers {
		switch http.CanonicalHeaderKey(h.Name) {
		case "Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length", "Upgrade", "Trailer", "Host", "Http2-Settings", "Expect", "Proxy-Authorization", "Proxy-Connection":
			t.Errorf("%s left for the target", h.Name)
		case "Te":
			if !strings.EqualFold(h.Value, "trailers") {
				t.Errorf("TE: %q left for the target", h.Value)
			}
		case "Authorization":
			credential++
		}
		if strings.ContainsAny(h.Name+h.Value, "\r\n\x00") || h.Name == "" || strings.ContainsAny(h.Name, " :\t") {
			t.Errorf("header %q: %q left for the target", h.Name, h.Value)
		}
		if strings.Contains(h.Name+h.Value, key) {
			t.Errorf("the key left for the target in %q", h.Name)
		}
	}
	if credential != 1 {
		t.Errorf("%d credentials left for the target", credential)
	}
	if strings.Contains(a.URI, key) || strings.ContainsAny(a.URI, " \r\n\x00") || !strings.HasPrefix(a.URI, "/base") || strings.ContainsAny(a.Method, " \r\n\x00") {
		t.Errorf("%q %q left for the target", a.Method, a.URI)
	}
}
