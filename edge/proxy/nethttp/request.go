package nethttp

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"tollgate/edge/proxy"
)

var nameless = []string{""}

// newRequest is an attempt as the Transport takes it, with the body if it has one: to be read, or known.
func newRequest(ctx context.Context, a *proxy.Attempt, body *watchedBody, known []byte) *http.Request {
	h := make(http.Header, len(a.Headers)+2)
	addAll(h, a.Headers)
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nameless // the Transport would name itself
	}
	host := a.HostHeader
	if host == "" {
		host = a.Target.Host
	}
	r := (&http.Request{
		Method: a.Method, URL: rawURL(a.Target.Scheme, a.Target.Host, host, a.URI), Host: host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h,
	}).WithContext(ctx)
	switch {
	case known != nil:
		// The Transport may read this one again, for a connection that turned out to be closed.
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(known)), nil }
		r.Body, _ = r.GetBody()
		r.ContentLength = a.Length
	case body != nil:
		r.Body, r.ContentLength, r.Trailer = body, a.Length, body.trailer
		if a.Continue {
			h["Expect"] = []string{"100-continue"}
		}
	case a.EmptyBody:
		// Together these make the Transport write Content-Length: 0 whatever the method.
		r.Body, r.TransferEncoding = http.NoBody, []string{"identity"}
	}
	if a.Upgrade != "" {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{a.Upgrade}
	}
	return r
}

// rawURL is a URL to connect to addr, whose request line is uri as it stands. host is what the request
// says it is for.
func rawURL(scheme, addr, host, uri string) *url.URL {
	path, query, marked := strings.Cut(uri, "?")
	u := &url.URL{Scheme: scheme, Host: addr, RawQuery: query, ForceQuery: marked && query == ""}
	if !strings.HasPrefix(path, "//") {
		u.Opaque = path
		return u
	}
	// An opaque part that begins with two slashes is taken for an authority. The path form keeps such a
	// path, too, as long as its characters are ones that paths have.
	if plain, err := url.PathUnescape(path); err == nil {
		u.Path, u.RawPath = plain, path
		if u.EscapedPath() == path {
			return u
		}
		u.Path, u.RawPath = "", ""
	}
	// What is left is the absolute form, with the authority in its place. HTTP/2 makes a path of it.
	u.Opaque = "//" + host + path
	return u
}
