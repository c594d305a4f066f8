package console

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// page is the one file of HTML, cut where every answer has something of its own.
type page struct{ before, after []byte }

// head is where that goes: before the first address in the page, so that <base> holds for it.
const head = "<head>"

func readPage(files fs.FS) (page, error) {
	text, err := fs.ReadFile(files, indexName)
	if err != nil {
		return page{}, fmt.Errorf("page of the console: %w", err)
	}
	return cutPage(text)
}

func cutPage(text []byte) (page, error) {
	before, after, ok := bytes.Cut(text, []byte(head))
	if !ok {
		return page{}, errors.New("page of the console: it has no <head>")
	}
	return page{append(bytes.Clone(before), head...), after}, nil
}

// own is what an answer has of its own. The nonce is there for the library of components, which makes elements with styles; the
// block is data, which no browser runs.
var own = template.Must(template.New("own").Parse(`
    <base href="{{.Base}}">
    <meta property="csp-nonce" nonce="{{.Nonce}}">
    <script type="application/json" id="boot">{{.Boot}}</script>`))

// write makes a page. Without a nonce it is the same for the same boot block.
func (p page) write(base, nonce string, boot Boot) ([]byte, error) {
	var b bytes.Buffer
	b.Write(p.before)
	err := own.Execute(&b, map[string]any{"Base": base, "Nonce": nonce, "Boot": boot})
	b.Write(p.after)
	return b.Bytes(), err
}

// serveIndex answers with the page, which then shows what its address says. A browser keeps it and asks whether it is still the
// right one; if so, it goes on with the policy and the nonce that it got with it, so that the answer names no others.
func (c *Console) serveIndex(w http.ResponseWriter, r *http.Request) {
	text, nonce, etag, err := c.make(r, c.index)
	if err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "private, no-cache")
	h.Set("ETag", etag)
	h.Set("Vary", "Accept")
	if matches(r.Header.Values("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	protect(h, nonce)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(text) // the browser may be gone
	}
}

// make fills a page in.
func (c *Console) make(r *http.Request, p page) (text []byte, nonce, etag string, err error) {
	boot := c.boot(r.Context())
	same, err := p.write(c.base, "", boot)
	if err != nil {
		return nil, "", "", err
	}
	nonce = rand.Text()
	text, err = p.write(c.base, nonce, boot)
	return text, nonce, `"` + fingerprint(same) + `"`, err
}

// matches compares weakly, as is right for pages.
func matches(header []string, etag string) bool {
	for _, line := range header {
		for one := range strings.SplitSeq(line, ",") {
			if one = textproto.TrimString(one); one == "*" || strings.TrimPrefix(one, "W/") == etag {
				return true
			}
		}
	}
	return false
}

// policy allows what comes from this server. Styles of elements that scripts make need the nonce of the page.
const policy = "default-src 'self'; script-src 'self'; style-src 'self'%s; connect-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'self'; form-action 'self'; object-src 'none'"

// protect sets what keeps other sites and injected text away from a page.
func protect(h http.Header, nonce string) {
	if nonce != "" {
		nonce = " 'nonce-" + nonce + "'"
	}
	h.Set("Content-Security-Policy", fmt.Sprintf(policy, nonce))
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
}
