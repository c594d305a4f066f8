package proxy

import "strings"

// noTrailers are headers that mean nothing behind a body, or something dangerous: how the message is
// framed or read, who may read it, where it goes.
var noTrailers = names(
	"content-encoding", "content-type", "content-range", "content-location", "cache-control", "age", "expires", "date",
	"location", "retry-after", "vary", "warning", "set-cookie", "cookie", "www-authenticate", "max-forwards", "pragma",
)

// mayTrail says whether a header may come behind the body of an answer.
func mayTrail(name string) bool {
	name = lower(strings.TrimSpace(name))
	return name != "" && !hopByHop[name] && !noTrailers[name] && !isCredentialHeader[name] && !reserved(name)
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
