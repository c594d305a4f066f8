package console_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"tollgate/controlplane/console"
)

var script = strings.Repeat("console.log('toll');\n", 200)

var files = fstest.MapFS{
	"index.html":         {Data: []byte("<!doctype html>\n<html>\n  <head>\n    <script src=\"./assets/app-1.js\"></script>\n  </head>\n  <body></body>\n</html>\n")},
	"icon.svg":           {Data: []byte("<svg></svg>")},
	"assets/app-1.js":    {Data: []byte(script)},
	"assets/app-1.css":   {Data: []byte("a{}")},
	"assets/inter.woff2": {Data: []byte(script)},
}

func serve(t *testing.T, edit func(*console.Config)) *console.Console {
	t.Helper()
	cfg := console.Config{Files: files, Boot: func(context.Context) console.Boot { return console.Boot{Version: "1", Name: "</script><b>"} }}
	if edit != nil {
		edit(&cfg)
	}
	c, err := console.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ask(c *console.Console, method, path string, header ...string) (*http.Response, bool) {
	r := httptest.NewRequest(method, path, http.NoBody)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w.Result(), c.Wants(r)
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const page = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8" // as browsers send it

// Guarantee: browsers get the page wherever they go, a file that is missing is never answered with the page, and what programs
// ask for is left to others.
func TestWhoGetsWhat(t *testing.T) {
	t.Parallel()
	c := serve(t, nil)
	cases := []struct {
		method, path, accept string
		wants                bool
		status               int
		kind                 string
	}{
		{"GET", "/", page, true, 200, "text/html"},
		{"HEAD", "/", page, true, 200, "text/html"},
		{"GET", "/endpoints/bria/overview?tab=x", page, true, 200, "text/html"},
		{"GET", "/models/gpt-4.1", page, true, 200, "text/html"},
		{"GET", "/assets/app-1.js", "*/*", true, 200, "text/javascript"},
		{"GET", "/assets/app-1.css", "text/css", true, 200, "text/css"},
		{"GET", "/icon.svg", "image/*", true, 200, "image/svg+xml"},
		{"GET", "/assets/gone.js", "*/*", true, 404, "text/plain"},
		{"GET", "/assets/gone.js", page, true, 404, "text/plain"},
		{"GET", "/gone.css", page, true, 404, "text/plain"},
		{"POST", "/assets/app-1.js", "*/*", true, 405, "text/plain"},
		{"GET", "/index.html", page, true, 404, "text/plain"},
		{"GET", "/", "*/*", false, 0, ""},
		{"GET", "/", "application/json", false, 0, ""},
		{"GET", "/", "text/html;q=0, */*", false, 0, ""},
		{"GET", "/", "", false, 0, ""},
		{"POST", "/", page, false, 0, ""},
		{"POST", "/endpoints", page, false, 0, ""},
		{"GET", "/tollgate.control.v1.Gone/Get", page, false, 0, ""},
		{"POST", "/tollgate.control.v1.Gone/Get", "application/json", false, 0, ""},
	}
	for _, one := range cases {
		res, wants := ask(c, one.method, one.path, "Accept", one.accept)
		if wants != one.wants {
			t.Errorf("%s %s with %q: wants %t", one.method, one.path, one.accept, wants)
		}
		if one.wants && (res.StatusCode != one.status || !strings.HasPrefix(res.Header.Get("Content-Type"), one.kind)) {
			t.Errorf("%s %s: %d %s", one.method, one.path, res.StatusCode, res.Header.Get("Content-Type"))
		}
	}
	for _, path := range []string{"/login", "/setup", "/device"} {
		res, wants := ask(c, "POST", path)
		if wants != console.Built || res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %t %d", path, wants, res.StatusCode)
		}
	}
}

// Guarantee: a file comes compressed to those who take it so and plain to all others, is kept for ever only where its name
// changes with its content, and is not sent again to those who have it.
func TestFiles(t *testing.T) {
	t.Parallel()
	c := serve(t, nil)
	for _, one := range []struct {
		path, accept string
		gzip         bool
	}{
		{"/assets/app-1.js", "gzip, deflate, br", true},
		{"/assets/app-1.js", "br;q=1, GZIP;q=0.5", true},
		{"/assets/app-1.js", "*", true},
		{"/assets/app-1.js", "gzip;q=0", false},
		{"/assets/app-1.js", "gzip; q=0.000, *", false},
		{"/assets/app-1.js", "br", false},
		{"/assets/app-1.js", "", false},
		{"/assets/app-1.css", "gzip", false}, // too small to gain
		{"/assets/inter.woff2", "gzip", false},
	} {
		res, _ := ask(c, "GET", one.path, "Accept-Encoding", one.accept)
		body := io.Reader(res.Body)
		if got := res.Header.Get("Content-Encoding") == "gzip"; got != one.gzip {
			t.Errorf("%s with %q: compressed %t", one.path, one.accept, got)
			continue
		}
		if one.gzip {
			z, err := gzip.NewReader(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		raw, err := io.ReadAll(body)
		if err != nil || string(raw) != string(files[strings.TrimPrefix(one.path, "/")].Data) {
			t.Errorf("%s with %q: %v, %d bytes", one.path, one.accept, err, len(raw))
		}
		if h := res.Header; h.Get("Cache-Control") != "public, max-age=31536000, immutable" || h.Get("Vary") != "Accept-Encoding" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", one.path, h)
		}
		again, _ := ask(c, "GET", one.path, "Accept-Encoding", one.accept, "If-None-Match", res.Header.Get("Etag"))
		if again.StatusCode != http.StatusNotModified || text(t, again) != "" {
			t.Errorf("%s again: %d", one.path, again.StatusCode)
		}
		head, _ := ask(c, "HEAD", one.path, "Accept-Encoding", one.accept)
		if text(t, head) != "" || head.Header.Get("Content-Length") != res.Header.Get("Content-Length") || head.Header.Get("Content-Length") == "" {
			t.Errorf("HEAD %s: %v", one.path, head.Header)
		}
	}
	part, _ := ask(c, "GET", "/assets/app-1.js", "Accept-Encoding", "gzip", "Range", "bytes=0-6")
	if part.StatusCode != http.StatusPartialContent || part.Header.Get("Content-Encoding") != "" || text(t, part) != "console" {
		t.Errorf("a range: %d %v", part.StatusCode, part.Header)
	}
	if res, _ := ask(c, "GET", "/icon.svg"); res.Header.Get("Cache-Control") != "no-cache" || res.Header.Get("Etag") == "" {
		t.Errorf("icon: %v", res.Header)
	}
}

var nonceOf = regexp.MustCompile(`nonce="([A-Z0-9]+)"`)

// Guarantee: a page tells what it starts with so that nothing in it ends its block, allows styles with its own nonce alone, and is
// not sent again to a browser that has it, which keeps the nonce that it came with.
func TestPage(t *testing.T) {
	t.Parallel()
	c := serve(t, func(cfg *console.Config) { cfg.BaseURL = "https://example.com/gate/" })
	res, _ := ask(c, "GET", "/keys", "Accept", page)
	body := text(t, res)
	if before, _, _ := strings.Cut(body, "assets/app-1.js"); !strings.Contains(before, `<base href="/gate/">`) {
		t.Errorf("the base has to stand before what it is for: %s", body)
	}
	_, block, _ := strings.Cut(body, `<script type="application/json" id="boot">`)
	block, _, _ = strings.Cut(block, "</script>")
	var boot console.Boot
	if err := json.Unmarshal([]byte(block), &boot); err != nil || boot.Name != "</script><b>" || boot.Version != "1" {
		t.Errorf("%v: %s", err, block)
	}
	policy, nonce := res.Header.Get("Content-Security-Policy"), nonceOf.FindStringSubmatch(body)
	if len(nonce) != 2 || !strings.Contains(policy, "style-src 'self' 'nonce-"+nonce[1]+"';") || strings.Contains(policy, "unsafe") {
		t.Errorf("%v: %s", nonce, policy)
	}
	for name, want := range map[string]string{
		"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "private, no-cache",
	} {
		if res.Header.Get(name) != want {
			t.Errorf("%s: %q", name, res.Header.Get(name))
		}
	}
	for _, part := range []string{"default-src 'self'", "script-src 'self';", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'self'", "object-src 'none'", "form-action 'self'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("%s is not in %s", part, policy)
		}
	}
	other, _ := ask(c, "GET", "/keys", "Accept", page, "If-None-Match", `"x"`)
	if second := nonceOf.FindStringSubmatch(text(t, other)); len(second) != 2 || second[1] == nonce[1] {
		t.Error("the nonce was used twice")
	}
	same, _ := ask(c, "GET", "/keys", "Accept", page, "If-None-Match", `W/"x", `+res.Header.Get("Etag"))
	if same.StatusCode != http.StatusNotModified || same.Header.Get("Content-Security-Policy") != "" || text(t, same) != "" {
		t.Errorf("again: %d %v", same.StatusCode, same.Header)
	}
	changed := serve(t, func(cfg *console.Config) {
		cfg.BaseURL = "https://example.com/gate"
		cfg.Boot = func(context.Context) console.Boot { return console.Boot{Version: "2"} }
	})
	if res, _ := ask(changed, "GET", "/keys", "Accept", page, "If-None-Match", res.Header.Get("Etag")); res.StatusCode != http.StatusOK {
		t.Errorf("of another version: %d", res.StatusCode)
	}
}

// Guarantee: what this binary embeds is whole: the page names files that are there, and nothing of another server's.
func TestBuiltFiles(t *testing.T) {
	t.Parallel()
	c := serve(t, func(cfg *console.Config) { cfg.Files = nil })
	res, _ := ask(c, "GET", "/", "Accept", page)
	body := text(t, res)
	if !console.Built {
		if !strings.Contains(body, "This build has no console") {
			t.Error(body)
		}
		return
	}
	named := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(body, -1)
	if len(named) < 3 {
		t.Fatalf("the page names %v", named)
	}
	for _, one := range named {
		if one[1] == "/" {
			continue // <base>
		}
		path, ok := strings.CutPrefix(one[1], "./")
		if !ok {
			t.Errorf("%s is no address below the base", one[1])
		}
		if res, wants := ask(c, "GET", "/"+path); !wants || res.StatusCode != http.StatusOK || text(t, res) == "" {
			t.Errorf("%s: %d", one[1], res.StatusCode)
		}
	}
	if res, _ := ask(c, "GET", "/THIRD-PARTY-LICENSES.txt"); res.StatusCode != http.StatusOK || !strings.Contains(text(t, res), "@mantine/core 9") {
		t.Errorf("licences: %d", res.StatusCode)
	}
}

// Guarantee: in development pages come from Vite's server with their boot block, and no session goes there.
func TestDevelopment(t *testing.T) {
	t.Parallel()
	vite := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" {
			t.Errorf("%s came with a session", r.URL)
		}
		if strings.HasPrefix(r.URL.Path, "/src/") {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, "import './x'")
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html><head><script src=/@vite/client></script></head></html>")
	}))
	defer vite.Close()
	to, err := url.Parse(vite.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := serve(t, func(cfg *console.Config) { cfg.Dev = to })
	res, wants := ask(c, "GET", "/keys", "Accept", page, "Cookie", "tollgate_session=x", "Authorization", "Bearer x")
	if body := text(t, res); !wants || !strings.Contains(body, `id="boot"`) || !strings.Contains(body, "/@vite/client") {
		t.Error(body)
	}
	if res, wants := ask(c, "GET", "/src/main.tsx", "Accept", "*/*"); !wants || text(t, res) != "import './x'" {
		t.Errorf("a module: %d", res.StatusCode)
	}
	vite.Close()
	if res, _ := ask(c, "GET", "/keys", "Accept", page); res.StatusCode != http.StatusBadGateway || !strings.Contains(text(t, res), "make console-dev") {
		t.Errorf("without the server: %d", res.StatusCode)
	}
}
