package proxy

import "strings"

// noTrailers are headers that must not come behind a body: they say how the message is framed or read, by
// whom, or where it goes, which is decided before its end.
var noTrailers = names(
	"authorization", "content-encoding", "content-range", "content-type", "content-location", "cache-control", "max-forwards", "range",
	"pragma", "set-cookie", "cookie", "age", "date", "expires", "location", "retry-after", "vary", "warning", "www-authenticate",
)

// mayTrail says whether a header may come behind the body of an answer.
func mayTrail(name string) bool {
	name = lower(strings.TrimSpace(name))
	return name != "" && !hopByHop[name] && !noTrailers[name] && !isCredentialHeader[dashed(name)] && !reserved(name)
}

// announced adds the names of the trailers that the target has announced.
func announced(headers, from []Header) []Header {
	var kept []string
	for _, h := range from {
		if !strings.EqualFold(h.Name, "trailer") {
			continue
		}
		for name := range strings.SplitSeq(h.Value, ",") {
			if mayTrail(name) {
				kept = append(kept, strings.TrimSpace(name))
			}
		}
	}
	if len(kept) == 0 {
		return headers
	}
	return append(headers, Header{"Trailer", strings.Join(kept, ", ")})
}

// passTrailers passes on what came behind the body of an answer.
func (c *call) passTrailers(a *Answer) {
	if a.Trailers == nil {
		return
	}
	var out []Header
	for _, h := range a.Trailers() {
		if mayTrail(h.Name) {
			out = append(out, h)
		}
	}
	if len(out) > 0 {
		c.x.Out.Trailers(out)
	}
}

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
	x.Body, c.shared = trailed{x.Body, c}, true
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
	c.classify()
	f := filter{call: c}
	for _, h := range in {
		name := dashed(lower(h.Name))
		if noTrailers[name] || isCredentialHeader[name] || c.configured(name) || strings.HasPrefix(name, passPrefix) {
			continue
		}
		if h, ok := f.let(h, kindOf(h.Name)); ok {
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
