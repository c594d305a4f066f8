package console

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
)

// proxy takes the pages from a server of Vite's, which makes them from their source as they change. They get their boot block
// all the same. There is no policy: that server puts scripts of its own into the page.
func (c *Console) proxy(to *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.Header.Del("Accept-Encoding") // the page is read here
			p.Out.Header.Del("Cookie")          // a session is none of its business
			p.Out.Header.Del("Authorization")
		},
		ModifyResponse: func(res *http.Response) error {
			if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
				return nil
			}
			raw, err := io.ReadAll(res.Body)
			if err != nil {
				return err
			}
			_ = res.Body.Close()
			p, err := cutPage(raw)
			if err != nil {
				return err
			}
			text, _, _, err := c.make(res.Request, p)
			if err != nil {
				return err
			}
			res.Header.Del("ETag")
			res.Header.Set("Cache-Control", "no-store")
			res.Header.Set("Content-Length", strconv.Itoa(len(text)))
			res.ContentLength, res.Body = int64(len(text)), io.NopCloser(bytes.NewReader(text))
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = fmt.Fprintf(w, "The development server of the console does not answer: %v. Start it with `make console-dev`.\n", err)
		},
	}
}
