package proxy

import (
	"slices"
	"strings"

	"tollgate/edge/pool"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// prepare makes what leaves for the target of a choice, with the choice's credential: the headers, in the memory of into,
// what stands in the request line, and the Host header, which is empty for the target's own. Nothing of it
// holds a key of this gateway.
func (c *call) prepare(ch *pool.Choice, into []Header) (headers []Header, uri, host string) {
	query := c.found.scrubQuery(c.query, c.isOurs)
	c.line = c.endpoint.AppendURI(c.line[:0], ch.Target, ch.Credential, c.rest, query, c.bareQuery)
	return c.headers(ch.Credential, into), c.uri(), c.host()
}

// uri is the request line that was made as a text. Often it is the end of what the caller has sent, or that of the request
// which had this memory before.
func (c *call) uri() string {
	if before := len(c.x.Target) - len(c.line); before >= 0 && c.x.Target[before:] == string(c.line) {
		return c.x.Target[before:]
	}
	if c.lastLine != string(c.line) {
		c.lastLine = string(c.line)
	}
	return c.lastLine
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
func (c *call) headers(cred *routing.Credential, into []Header) []Header {
	e := c.endpoint
	var secret []routing.Header
	if cred != nil {
		secret = cred.Headers
	}
	out := configure(c.through(into, e.Headers, secret), e.Headers, secret)
	if e.Signing != nil {
		out = unsigned(out)
	}
	if e.Usage != nil && e.Usage.ResponseEvents.Counted {
		// Events that are compressed cannot be counted, and a caller could have them for nothing.
		out = readable(out)
	}
	return out
}

// through is what the endpoint lets through of the caller's headers, beside what is configured, in the memory of into.
func (c *call) through(into []Header, configured, secret []routing.Header) []Header {
	in, kinds := c.x.Headers, c.classify()
	f := filter{call: c, configured: configured, secret: secret}
	if c.endpoint.PassHeaders && c.kindsThere&passing != 0 {
		f.findPassed(in)
	}
	out := takeList(into, len(in)+len(configured)+len(secret)+2)
	trailers := false
	for i := range in {
		k := kinds[i]
		if k&(perHop|whence|owned) == 0 && (k&passing != 0 || f.forwards(k)) { // others need no second look
			if kept, ok := f.let(in[i], k); ok {
				out = append(out, kept)
			}
		} else if !trailers && k&te != 0 {
			trailers = takesTrailers(in[i].Value)
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
	passed     []string         // names that x-pass- headers have
}

// let is what goes on of a header of a kind, under which name.
func (f *filter) let(h Header, k kind) (Header, bool) {
	e := f.endpoint
	if k&(perHop|whence|owned) != 0 || isNamed(f.connected, h.Name) || f.taken(h.Name) {
		return Header{}, false
	}
	if e.PassHeaders && k&passing != 0 {
		if h.Name = h.Name[len(passPrefix):]; !f.passable(h.Name) {
			return Header{}, false
		}
		k = kindOf(h.Name)
	} else if !f.forwards(k) || len(f.passed) > 0 && f.replaced(h.Name) {
		return Header{}, false
	}
	if k&socket != 0 && f.x.Upgrade != "" && strings.EqualFold(h.Name, subprotocol) {
		value, ok := f.found.scrubProtocols(h.Value, e.Forward == eventv1.ForwardMode_FORWARD_MODE_ALL, f.isOurs)
		return Header{h.Name, value}, ok
	}
	value, ok := f.found.scrubbed(h, k, e.KeyHeader, f.isOurs)
	return Header{h.Name, value}, ok
}

// replaced says whether an x-pass- header comes in place of one of a name.
func (f *filter) replaced(name string) bool {
	return slices.ContainsFunc(f.passed, func(passed string) bool { return sameHeader(passed, name) })
}

// taken says whether what is configured leaves the caller no say about a header.
func (f *filter) taken(name string) bool {
	return overrides(f.configured, name) || overrides(f.secret, name)
}

// forwards says whether the mode of the endpoint lets a header through. What makes a WebSocket is let
// through where there is to be one.
func (f *filter) forwards(k kind) bool {
	return passes(k, f.endpoint) || f.x.Upgrade != "" && k&(socket|underscored) == socket
}

// passPrefix marks headers for the target where the endpoint says so: x-pass-NAME goes on as NAME,
// whatever it forwards otherwise.
const passPrefix = "x-pass-"

// passable says whether a caller may send the target a header under a name.
func (f *filter) passable(name string) bool {
	k := kindOf(name)
	switch {
	case name == "" || k&(perHop|keyed|whence|cookies|owned|passing|socket) != 0 || sameHeader(name, "accept-encoding"):
		return false
	case sameHeader(f.endpoint.KeyHeader, name) || k&traces != 0 && !f.endpoint.ForwardTrace:
		return false
	}
	for _, prefix := range [...]string{"x-amz-", "proxy-"} {
		if len(name) >= len(prefix) && sameHeader(name[:len(prefix)], prefix) {
			return false
		}
	}
	return !f.taken(name)
}

// findPassed notes which headers come by way of x-pass-. They replace the caller's own of the same name,
// of which targets would otherwise see two.
func (f *filter) findPassed(in []Header) {
	for i, h := range in {
		if f.kinds[i]&passing == 0 {
			continue
		}
		if name := h.Name[len(passPrefix):]; f.passable(name) {
			f.passed = append(f.passed, name)
		}
	}
}

// configure adds what is configured: what is set, and defaults where there is nothing of their name yet.
func configure(out []Header, endpoint, secret []routing.Header) []Header {
	callers := out
	for i := range endpoint {
		h := &endpoint[i]
		switch {
		case kindOf(h.Name)&perHop != 0 || h.Mode == routing.Remove || configures(secret, h.Name):
			continue
		case h.Mode == routing.Default && (overrides(endpoint, h.Name) || has(callers, h.Name)):
			continue
		}
		out = append(out, Header{h.Name, h.Value})
	}
	for i := range secret {
		if h := &secret[i]; h.Mode != routing.Remove && kindOf(h.Name)&perHop == 0 {
			out = append(out, Header{h.Name, h.Value})
		}
	}
	return out
}

// overrides says whether what is configured leaves others of a name no say.
func overrides(configured []routing.Header, name string) bool {
	for i := range configured {
		if h := &configured[i]; h.Mode != routing.Default && sameHeader(h.Name, name) {
			return true
		}
	}
	return false
}

// configures says whether anything is configured under a name.
func configures(configured []routing.Header, name string) bool {
	for i := range configured {
		if sameHeader(configured[i].Name, name) {
			return true
		}
	}
	return false
}

// has says whether a header of a name is there.
func has(headers []Header, name string) bool {
	for i := range headers {
		if sameHeader(headers[i].Name, name) {
			return true
		}
	}
	return false
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
