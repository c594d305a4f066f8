package rpc_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/trace/noop"

	"tollgate/controlplane/console"
	"tollgate/controlplane/rpc"
	"tollgate/controlplane/signin"
	"tollgate/controlplane/store"
	"tollgate/internal/testenv"
)

// navigate asks as a browser does that goes to an address.
func (b *bundle) navigate(method, path string, header ...string) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res, string(body)
}

// Guarantee: a browser gets the console wherever it goes and no service answers; what services answer is theirs for whoever asks,
// and a program that asks for no page gets none.
func TestConsoleBesideTheAPI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{"/", "/endpoints/bria", "/keys?q=x", "/requests/req_1", "/settings/about"} {
		res, body := b.navigate(http.MethodGet, path)
		if res.StatusCode != http.StatusOK || !strings.Contains(body, `id="boot"`) || !strings.Contains(body, `"needsSetup":true`) {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
		if res.Header.Get("X-Tollgate-Request-Id") == "" {
			t.Errorf("%s has no id", path)
		}
		if res, body := b.navigate(http.MethodGet, path, "Accept", "application/json"); res.StatusCode != http.StatusUnauthorized || strings.Contains(body, "<html") {
			t.Errorf("%s for a program: %d %s", path, res.StatusCode, body)
		}
	}
	for path, status := range map[string]int{
		"/healthz": http.StatusOK, "/readyz": http.StatusOK, "/schema/tollgate.json": http.StatusOK,
		"/export/usage.csv": http.StatusUnauthorized, "/tollgate.control.v1.GoneService/Get": http.StatusUnauthorized,
		"/tollgate.control.v1.SystemService/GetInfo": http.StatusUnauthorized, "/auth/oidc/callback": http.StatusNotFound,
	} {
		if res, body := b.navigate(http.MethodGet, path); res.StatusCode != status || strings.Contains(body, `id="boot"`) {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
	if res, _ := b.navigate(http.MethodGet, "/assets/gone.js", "Accept", "*/*"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a missing file: %d", res.StatusCode)
	}
	if res, _ := b.navigate(http.MethodPost, "/keys"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a POST to no method: %d", res.StatusCode)
	}
	for _, path := range []string{"/login", "/setup", "/device"} {
		res, body := b.navigate(http.MethodGet, path)
		if console.Built && (res.StatusCode != http.StatusOK || !strings.Contains(body, `id="boot"`)) {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
		if !console.Built && strings.Contains(body, `id="boot"`) {
			t.Errorf("%s is not the page to sign in", path)
		}
	}
}

// Guarantee: behind a proxy that puts a path before all others, pages, the API and the session are below that path, whether the
// proxy takes it away or hands it on; and with the database away a browser still gets the page, which says so.
func TestConsoleBehindAPath(t *testing.T) {
	t.Parallel()
	st := store.New(testenv.Postgres(t, migrate))
	cfg := signin.DefaultConfig()
	cfg.BaseURL = "https://example.com/gate"
	people, err := signin.New(cfg, st, nil)
	if err != nil {
		t.Fatal(err)
	}
	var open atomic.Bool
	open.Store(true)
	handler, err := rpc.NewHandler(rpc.Deps{
		Store: st, SignIn: people, Tracer: noop.NewTracerProvider(), Ledger: &rpc.Ledger{}, Version: "1",
		Open: open.Load, Gateway: func() string { return "http://gateway" },
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	b := &bundle{t: t, url: server.URL}
	for _, path := range []string{"/keys", "/gate/keys"} {
		res, body := b.navigate(http.MethodGet, path)
		if res.StatusCode != http.StatusOK || !strings.Contains(body, `<base href="/gate/">`) || !strings.Contains(body, `"gatewayUrl":"http://gateway"`) {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
	if res, _ := b.navigate(http.MethodGet, "/gate/healthz"); res.StatusCode != http.StatusOK {
		t.Errorf("health: %d", res.StatusCode)
	}
	link, err := signin.SetupLink(t.Context(), st, cfg.BaseURL)
	if err != nil {
		t.Fatal(err)
	}
	at, secret, _ := strings.Cut(link, "#token=")
	if at != "https://example.com/gate/setup" {
		t.Error(at)
	}
	res, err := http.Post(server.URL+"/gate/tollgate.control.v1.AccountService/RedeemLink", "application/json",
		strings.NewReader(`{"token":"`+secret+`","email":"ada@example.com","password":"`+password+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	cookies := res.Cookies()
	if len(cookies) != 1 || cookies[0].Path != "/gate/" || !cookies[0].HttpOnly || !cookies[0].Secure || cookies[0].SameSite != http.SameSiteLaxMode {
		t.Fatalf("%d %v", res.StatusCode, cookies)
	}
	// The cookie alone says who calls, unless another site made the browser send it.
	call := func(header ...string) int {
		t.Helper()
		header = append(header, "Cookie", cookies[0].Name+"="+cookies[0].Value, "Content-Type", "application/proto", "Accept", "*/*")
		res, _ := b.navigate(http.MethodPost, "/tollgate.control.v1.AccountService/SignOut", header...)
		return res.StatusCode
	}
	if status := call("Sec-Fetch-Site", "cross-site"); status != http.StatusForbidden {
		t.Errorf("from another site: %d", status)
	}
	if status := call("Origin", "https://example.com"); status != http.StatusOK {
		t.Errorf("from the console: %d", status)
	}
	open.Store(false)
	if res, body := b.navigate(http.MethodGet, "/keys"); res.StatusCode != http.StatusOK || !strings.Contains(body, `id="boot"`) {
		t.Errorf("without the database: %d", res.StatusCode)
	}
}
