package proxy

import (
	"slices"
	"strings"

	"tollgate/edge/pool"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// prepare makes what leaves for the target of a choice, with the choice's credential: the headers, what
// stands in the request line, and the Host header, which is empty for the target's own. Nothing of it
// holds a key of this gateway. Several goroutines may call it.
func (c *call) prepare(ch *pool.Choice) (headers []Header, uri, host string) {
	query := c.found.scrubQuery(c.query, c.isOurs)
	uri = c.endpoint.RequestURI(ch.Target, ch.Credential, c.rest, query, c.bareQuery)
	return c.headers(ch.Credential), uri, c.host()
}

// host is the Host header for targets; empty for their own.
func (c *call) host() string {
	switch c.endpoint.HostPolicy {
	case eventv1.HostPolicy_HOST_POLICY_TEXT:
		return c.endpoint.HostText
	case eventv1.HostPolicy_HOST_POLICY_CALLER:
		if c.found.inName(c.x.Host) || c.found.hiddenIn(c.x.Host) {
			return ""
		}
		return c.x.Host
	default:
		return ""
	}
}

// headers are what the endpoint lets through of the caller's, without those of the connection, without
// credentials of this gateway and without what is addressed to it, and what is configured. Whatever the
// caller sends, it cannot take away, double or replace what is configured.
func (c *call) headers(cred *routing.Credential) []Header {
	e := c.endpoint
	var secret []routing.Header
	if cred != nil {
		secret = cred.Headers
	}
	out := configure(c.through(e.Headers, secret), e.Headers, secret)
	if e.Signing != nil {
		out = unsigned(out)
	}
	if e.Usage != nil && e.Usage.ResponseEvents.Counted {
		// Events that are compressed cannot be counted, and a caller could have them for nothing.
		out = readable(out)
	}
	return out
}

// through is what the endpoint lets through of the caller's headers, beside what is configured.
func (c *call) through(configured, secret []routing.Header) []Header {
	in := c.x.Headers
	f := filter{call: c, configured: configured, secret: secret, named: connectionNames(in)}
	if c.endpoint.PassHeaders {
		f.findPassed(in)
	}
	out := make([]Header, 0, len(in)+len(configured)+len(secret)+2)
	trailers := false
	for _, h := range in {
		if kept, ok := f.let(h); ok {
			out = append(out, kept)
		} else if !trailers && strings.EqualFold(h.Name, "te") {
			trailers = takesTrailers(h.Value)
		}
	}
	if trailers { // the one thing in TE that is not about the connection: gRPC needs it
		out = append(out, Header{"TE", "trailers"})
	}
	return out
}

// filter decides about headers of the caller.
type filter struct {
	*call
	configured []routing.Header
	secret     []routing.Header // of the credential
	named      map[string]bool  // by Connection, lower case
	passed     []string         // names that x-pass- headers have, lower case and dashed
}

// let is what goes on of a header, under which name.
func (f *filter) let(h Header) (Header, bool) {
	e := f.endpoint
	name := lower(h.Name)
	plain := dashed(name)
	if hopByHop[plain] || f.named[name] || forwarded(plain) || strings.HasPrefix(plain, ownHeader) || f.taken(plain) {
		return Header{}, false
	}
	if e.PassHeaders && strings.HasPrefix(plain, passPrefix) {
		if plain = plain[len(passPrefix):]; !f.passable(plain) {
			return Header{}, false
		}
		h.Name, name = h.Name[len(passPrefix):], name[len(passPrefix):]
	} else if !f.forwards(name) || slices.Contains(f.passed, plain) {
		return Header{}, false
	}
	if name == subprotocol && f.x.Upgrade != "" {
		value, ok := f.found.scrubProtocols(h.Value, e.Forward == eventv1.ForwardMode_FORWARD_MODE_ALL, f.isOurs)
		return Header{h.Name, value}, ok
	}
	value, ok := f.found.scrub(name, h.Value, e.KeyHeader, f.isOurs)
	return Header{h.Name, value}, ok
}

// taken says whether what is configured leaves the caller no say about a header. The name is dashed.
func (f *filter) taken(name string) bool {
	return overrides(f.configured, name) || overrides(f.secret, name)
}

// forwards says whether the mode of the endpoint lets a header through. What makes a WebSocket is let
// through where there is to be one.
func (f *filter) forwards(name string) bool {
	return passes(name, f.endpoint) || f.x.Upgrade != "" && strings.HasPrefix(name, webSocket)
}

// passPrefix marks headers for the target where the endpoint says so: x-pass-NAME goes on as NAME,
// whatever it forwards otherwise.
const passPrefix = "x-pass-"

// passable says whether a caller may send the target a header under a name that is lower case and dashed.
func (f *filter) passable(name string) bool {
	switch {
	case name == "" || hopByHop[name] || isCredentialHeader[name] || forwarded(name) || name == "cookie" || name == "accept-encoding":
		return false
	case sameName(f.endpoint.KeyHeader, name) || tracing[name] && !f.endpoint.ForwardTrace:
		return false
	}
	for _, prefix := range [...]string{ownHeader, passPrefix, "x-amz-", "proxy-", webSocket} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return !f.taken(name)
}

// findPassed notes which headers come by way of x-pass-. They replace the caller's own of the same name,
// of which targets would otherwise see two.
func (f *filter) findPassed(in []Header) {
	for _, h := range in {
		if name, ok := strings.CutPrefix(dashed(lower(h.Name)), passPrefix); ok && f.passable(name) {
			f.passed = append(f.passed, name)
		}
	}
}

// configure adds what is configured: what is set, and defaults where there is nothing of their name yet.
func configure(out []Header, endpoint, secret []routing.Header) []Header {
	callers := out
	for _, h := range endpoint {
		name := dashed(lower(h.Name))
		switch {
		case hopByHop[name] || h.Mode == routing.Remove || configures(secret, name):
			continue
		case h.Mode == routing.Default && (overrides(endpoint, name) || has(callers, name)):
			continue
		}
		out = append(out, Header{h.Name, h.Value})
	}
	for _, h := range secret {
		if h.Mode != routing.Remove && !hopByHop[dashed(lower(h.Name))] {
			out = append(out, Header{h.Name, h.Value})
		}
	}
	return out
}

// overrides says whether what is configured leaves others of a name no say. The name is lower case and
// dashed, here and below.
func overrides(configured []routing.Header, name string) bool {
	for i := range configured {
		if h := &configured[i]; h.Mode != routing.Default && sameName(h.Name, name) {
			return true
		}
	}
	return false
}

// configures says whether anything is configured under a name.
func configures(configured []routing.Header, name string) bool {
	return slices.ContainsFunc(configured, func(h routing.Header) bool { return sameName(h.Name, name) })
}

// has says whether a header of a name is there.
func has(headers []Header, name string) bool {
	return slices.ContainsFunc(headers, func(h Header) bool { return sameName(h.Name, name) })
}

// sameName compares a name as it was written with one that is lower case and dashed.
func sameName(written, name string) bool {
	if len(written) != len(name) {
		return false
	}
	for i := range len(name) {
		c := written[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == '_':
			c = '-'
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

// takesTrailers says whether a TE header has "trailers" in it.
func takesTrailers(value string) bool {
	for token := range strings.SplitSeq(value, ",") {
		if strings.EqualFold(strings.Trim(token, " \t"), "trailers") {
			return true
		}
	}
	return false
}
