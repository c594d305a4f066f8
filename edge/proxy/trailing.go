package proxy

import "strings"

// unfit are the headers that must not come behind a body: they say how the message is read, by whom, or
// where it goes, which is decided before its end.
var unfit = names(
	"authorization", "content-encoding", "content-range", "content-type", "content-location", "cache-control", "max-forwards",
	"range", "pragma", "set-cookie", "cookie", "age", "date", "expires", "location", "retry-after", "vary", "warning",
)

// checkTrailers leaves of what the caller sends behind its body what it could send before it, to any of
// the endpoint's targets. Where nothing can come it costs nothing.
func (c *call) checkTrailers() {
	x := c.x
	if x.Body == nil || len(x.TrailerNames) == 0 && x.Length >= 0 && x.Proto != HTTP2 {
		x.TrailerNames = nil
		return
	}
	var kept []string
	for _, name := range x.TrailerNames {
		if len(c.trailers([]Header{{name, ""}})) > 0 {
			kept = append(kept, name)
		}
	}
	x.TrailerNames = kept
	x.Body = trailed{x.Body, c}
}

// trailed is a body of which only those trailers are seen that may leave.
type trailed struct {
	Body
	c *call
}

// Trailers are what may leave of what came behind the body.
func (t trailed) Trailers() []Header { return t.c.trailers(t.Body.Trailers()) }

// trailers are what may leave of a list of them, by the same rules as headers.
func (c *call) trailers(in []Header) (out []Header) {
	f := filter{call: c, named: connectionNames(c.x.Headers)}
	for _, h := range in {
		name := dashed(lower(h.Name))
		if unfit[name] || isCredentialHeader[name] || c.configured(name) || strings.HasPrefix(name, passPrefix) {
			continue
		}
		if h, ok := f.let(h); ok {
			out = append(out, h)
		}
	}
	return out
}

// configured says whether the endpoint or one of its credentials has something under a name.
func (c *call) configured(name string) bool {
	for _, cred := range c.endpoint.Credentials {
		if configures(cred.Headers, name) {
			return true
		}
	}
	return configures(c.endpoint.Headers, name)
}
