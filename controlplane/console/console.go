// Package console serves the pages of the control plane to browsers, from files that are part of the binary. It promises that
// nobody but a browser gets a page: what asks for anything else is left to the API, and a file that is missing is missing. No
// page loads anything from another server. What a page shows it asks of the API, as everybody else.
package console

import (
	"context"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

const indexName = "index.html"

// SignIn is how one can sign in.
type SignIn struct {
	Password bool          `json:"password"`
	OIDC     *SingleSignOn `json:"oidc,omitempty"`
}

// SingleSignOn is the button for it.
type SingleSignOn struct {
	Name string `json:"name"`
	URL  string `json:"url"` // to which "?return=<path of the console>" is added
}

// Boot is what a page knows before it has asked for anything. Everybody may read it.
type Boot struct {
	Version    string `json:"version"`
	BaseURL    string `json:"baseUrl"` // where browsers reach the console, without a slash at the end
	GatewayURL string `json:"gatewayUrl,omitempty"`
	Name       string `json:"name"` // of the deployment; empty for none
	SignIn     SignIn `json:"signIn"`
	Console    bool   `json:"console"`
	NeedsSetup bool   `json:"needsSetup"` // whether nobody has signed up yet
}

// Config is what the console is served with.
type Config struct {
	BaseURL string                     // where browsers reach it; its path is put before every link
	Boot    func(context.Context) Boot // called for every page; may not wait for long
	Dev     *url.URL                   // a server of Vite's to take the pages from; nil for those in the binary
	Files   fs.FS                      // nil for those in the binary
}

// Console serves the pages. It is safe for concurrent use.
type Console struct {
	base   string // path before every link, "/" or "/gateway/"
	boot   func(context.Context) Boot
	assets *assets
	index  page
	dev    http.Handler // nil but in development
}

// New reads the pages. It fails if they are not what the build makes.
func New(cfg Config) (*Console, error) {
	if cfg.Files == nil {
		cfg.Files = builtFiles()
	}
	c := &Console{base: Base(cfg.BaseURL) + "/", boot: cfg.Boot}
	var err error
	if c.assets, err = readAssets(cfg.Files); err != nil {
		return nil, err
	}
	if c.index, err = readPage(cfg.Files); err != nil {
		return nil, err
	}
	if cfg.Dev != nil {
		c.dev = c.proxy(cfg.Dev)
	}
	return c, nil
}

// Base is the path of a public address, which a proxy takes away before it hands on: "" or "/gateway".
func Base(publicURL string) string {
	u, err := url.Parse(publicURL)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.Path, "/")
}

// loaded are the endings of what a page loads. An object's name may have a dot, so that not everything behind one is an ending.
var loaded = []string{".css", ".html", ".ico", ".js", ".json", ".map", ".mjs", ".png", ".svg", ".txt", ".wasm", ".woff2"}

// Wants says whether a request, which is for no service of the API, is for the console.
func (c *Console) Wants(r *http.Request) bool {
	if c.assets.has(r.URL.Path) {
		return true
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if c.dev != nil && reads {
		return true
	}
	if pageOnly(r.URL.Path) {
		return true
	}
	if !reads || isRPC(r.URL.Path) {
		return false
	}
	return slices.Contains(loaded, path.Ext(r.URL.Path)) || acceptsHTML(r)
}

// pageOnly says whether a path is a page of everybody's, which no program asks for.
func pageOnly(path string) bool {
	return Built && (path == "/login" || path == "/setup" || path == "/device")
}

// isRPC says whether a path is that of a method, known or not: no page's begins with a word that has a dot.
func isRPC(path string) bool {
	first, _, more := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return more && strings.Contains(first, ".")
}

// acceptsHTML says whether a page is asked for by name: */* is what programs send.
func acceptsHTML(r *http.Request) bool {
	for _, header := range r.Header.Values("Accept") {
		for one := range strings.SplitSeq(header, ",") {
			kind, parameters, err := mime.ParseMediaType(one)
			if err == nil && kind == "text/html" && !refused(parameters["q"]) {
				return true
			}
		}
	}
	return false
}

// ServeHTTP answers what the console wants.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		protect(w.Header(), "")
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "This is a page: it can only be read.", http.StatusMethodNotAllowed)
		return
	}
	switch {
	case c.dev != nil:
		c.dev.ServeHTTP(w, r)
	case c.assets.has(r.URL.Path):
		c.assets.serve(w, r)
	case slices.Contains(loaded, path.Ext(r.URL.Path)):
		// Never the page: a browser would try to run it.
		protect(w.Header(), "")
		w.Header().Set("Cache-Control", "no-cache")
		http.Error(w, "There is no such file.", http.StatusNotFound)
	default:
		c.serveIndex(w, r)
	}
}
