package remote

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tollgate/edge/adapter"
	"tollgate/edge/breaker"
	"tollgate/edge/metrics"
	"tollgate/edge/proxy/nethttp"
	"tollgate/edge/routing"
	sdk "tollgate/sdk/adapter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// under is an adapter under test and the edge's side of it.
type under struct {
	*Adapters
	from    *routing.Adapter
	metrics *metrics.Metrics
}

// serve runs an adapter until the test ends.
func serve(tb testing.TB, a sdk.Adapter, o sdk.Options) string {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- sdk.Serve(ctx, l, a, o) }()
	tb.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			tb.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// at is an edge that knows the adapter at a URL.
func at(tb testing.TB, base string, change ...func(*routing.Adapter)) *under {
	tb.Helper()
	u, err := url.Parse(base)
	if err != nil {
		tb.Fatal(err)
	}
	from := &routing.Adapter{Name: "under-test", Timeout: 10 * time.Second, MaxBytes: 16 << 20, Upstream: &routing.Endpoint{Targets: []*routing.Target{{
		Scheme: u.Scheme, Host: u.Host, BasePath: u.Path, Key: base, BreakerKey: base, Breaker: breaker.DefaultSettings(),
	}}}}
	for _, f := range change {
		f(from)
	}
	cfg := nethttp.DefaultClientConfig()
	cfg.AllowPrivate = true
	m := metrics.New()
	a := New(Config{Connections: nethttp.NewClient(cfg), Metrics: m, Log: slog.New(slog.DiscardHandler)})
	tb.Cleanup(a.Close)
	a.Sync([]*routing.Adapter{from})
	return &under{Adapters: a, from: from, metrics: m}
}

// edgeOf is an edge that knows an adapter, which runs.
func edgeOf(tb testing.TB, a sdk.Adapter, change ...func(*routing.Adapter)) *under {
	tb.Helper()
	return at(tb, serve(tb, a, sdk.Options{}), change...)
}

// serveHTTP runs a handler that speaks HTTP/2, over TLS if it has a certificate.
func serveHTTP(t *testing.T, h http.Handler, pair *tls.Certificate) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	if pair != nil {
		server.EnableHTTP2 = true
		server.TLS = &tls.Config{Certificates: []tls.Certificate{*pair}, MinVersion: tls.VersionTLS12}
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

const chatText = `{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}`

func chatRequest() *Request {
	return &Request{
		Method: "POST", Path: "/chat/completions", Body: []byte(chatText),
		Headers: []Header{header("content-type", "application/json"), header("authorization", "Bearer secret")},
	}
}

var call = &adapter.Call{Asked: "m", Model: "vendor-m", Vendor: "m/under-test"}

// translate has a request translated, which must go well.
func (u *under) translate(tb testing.TB, role Role) *Exchange {
	tb.Helper()
	x, err := u.Translate(tb.Context(), u.from, role, chatRequest(), call)
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

// counts is what is counted of the adapter under a result.
func (u *under) counts(t *testing.T, result string) string {
	t.Helper()
	w := httptest.NewRecorder()
	u.metrics.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	mark := `tollgate_adapter_calls_total{adapter="under-test",result="` + result + `"} `
	_, rest, _ := strings.Cut(w.Body.String(), mark)
	n, _, _ := strings.Cut(rest, "\n")
	return n
}

var events = &Response{Status: 200, Headers: []Header{header("content-type", eventStream)}}

// timeout sets an adapter's. Those that are to be late never answer, so that it says how long a test takes and nothing else.
func timeout(d time.Duration) func(*routing.Adapter) {
	return func(a *routing.Adapter) { a.Timeout = d }
}
