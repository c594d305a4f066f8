package nethttp

import (
	"context"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tollgate/edge/routing"
)

func probing(t *testing.T, cfg ClientConfig) *Client {
	t.Helper()
	c := NewClient(cfg)
	t.Cleanup(c.Close)
	return c
}

// Guarantee: a probe of a target that answers says with what, over which protocol and when its certificate ends, and sends nothing
// that identifies anybody; it follows no redirect and keeps no connection.
func TestProbeReached(t *testing.T) {
	t.Parallel()
	asked := make(chan *http.Request, 8)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
	})
	plain := httptest.NewServer(handler)
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(handler)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	cfg := DefaultClientConfig()
	cfg.AllowPrivate = true
	c := probing(t, cfg)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}))
	for name, tc := range map[string]struct {
		url       string
		transport *routing.Transport
		protocol  string
	}{
		"http":  {strings.Replace(plain.URL, "://", "://user:pass@", 1) + "/v1?x=1", nil, "HTTP/1.1"},
		"https": {secure.URL, &routing.Transport{CA: ca}, "HTTP/2.0"},
	} {
		got := c.Probe(t.Context(), tc.url, tc.transport)
		if !got.GetReached() || got.GetStatus() != 302 || got.GetStage() != "" || got.GetProtocol() != tc.protocol || len(got.GetAddresses()) != 1 || got.GetFirstByte() == nil {
			t.Errorf("%s: %v", name, got)
			continue
		}
		if (got.GetCertificateExpireTime() != nil) != (name == "https") {
			t.Errorf("%s: certificate until %v", name, got.GetCertificateExpireTime())
		}
		r := <-asked
		if r.Method != http.MethodHead || r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" || len(asked) != 0 {
			t.Errorf("%s: sent %s %v, and %d more", name, r.Method, r.Header, len(asked))
		}
	}
}

// Guarantee: a probe says at which stage it failed and why, connects to nothing that attempts may not connect to, and names what was
// probably meant by a name that does not exist.
func TestProbeFailed(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	noNames := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}}
	open := DefaultClientConfig()
	open.AllowPrivate, open.Resolver = true, noNames
	closed := open
	closed.AllowPrivate = false
	for name, tc := range map[string]struct {
		cfg          ClientConfig
		url          string
		stage, error string
	}{
		"no URL":       {open, "ftp://x", "address", "no http or https"},
		"no host":      {open, "http:///v1", "address", "no http or https"},
		"metadata":     {open, "http://169.254.169.254/latest", "address", "does not connect to"},
		"private":      {closed, "http://127.0.0.1:1", "address", "does not connect to"},
		"mapped":       {closed, "http://[::ffff:10.0.0.1]/", "address", "does not connect to"},
		"nobody":       {open, "http://" + dead.Addr().String(), "connect", "refused"},
		"untrusted":    {open, secure.URL, "tls", "unknown authority"},
		"no TLS there": {open, strings.Replace(secure.URL, "https", "http", 1), "", ""},
		"silent":       {open, "http://" + silent.Addr().String(), "http", "in time"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if name == "silent" {
			ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		}
		got := probing(t, tc.cfg).Probe(ctx, tc.url, nil)
		cancel()
		if got.GetStage() != tc.stage || !strings.Contains(got.GetError(), tc.error) || got.GetReached() != (tc.stage == "") {
			t.Errorf("%s: %v", name, got)
		}
	}
	got := probing(t, open).Probe(t.Context(), "https://api.example.con/v1", nil)
	if got.GetStage() != "dns" || got.GetError() == "" {
		t.Errorf("no such name: %v", got)
	}
}

// Guarantee: only what nobody has is taken for a mistake.
func TestLikelyHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"api.bria.con": "api.bria.com", "x.ogr": "x.org", "API.X.CMO": "API.X.com", "api.bria.com": "", "con": "", ".con": "", "10.0.0.1": "", "": "",
	} {
		if got := likelyHost(host); got != want {
			t.Errorf("%q is taken for %q, want %q", host, got, want)
		}
	}
}
