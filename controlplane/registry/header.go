package registry

import (
	"fmt"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"tollgate/internal/headervalue"
)

// Headers that belong to a connection or to the framing of one message. Setting one of them would
// break forwarding, or let one request be read as two.
var connectionHeaders = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
	"Host", "Content-Length",
}

// Headers in which no key can be presented: they describe the message or where it goes, and the
// header of a presented key is removed.
var messageHeaders = append([]string{"Content-Type", "Content-Encoding", "Content-Language", "Content-Range", "Expect"}, connectionHeaders...)

func is(name string, list []string) bool {
	return slices.Contains(list, textproto.CanonicalMIMEHeaderKey(name))
}

func (e *Endpoint) checkHeaders(p *Problems, secrets []string) {
	if len(e.Headers) > MaxHeaders {
		p.Add("headers", Range, "There are %d headers: at most %d are allowed.", len(e.Headers), MaxHeaders)
	}
	seen := map[string]bool{}
	for i, h := range e.Headers {
		name, value := fmt.Sprintf("headers[%d].name", i), fmt.Sprintf("headers[%d].value", i)
		lower := strings.ToLower(h.Name)
		switch {
		case len(h.Name) > 128 || !httpguts.ValidHeaderFieldName(h.Name):
			p.Add(name, Malformed, "%q is not a header name.", clip(h.Name))
		case is(h.Name, connectionHeaders):
			p.Add(name, Forbidden, "The header %s belongs to the connection and is set by the edge: leave it out.", h.Name)
		case seen[lower]:
			p.Add(name, Duplicate, "The header %s is listed twice.", h.Name)
		}
		seen[lower] = true

		if len(h.Value) > 8192 {
			p.Add(value, Range, "The value of %s is longer than 8192 bytes.", clip(h.Name))
			continue
		}
		v, err := headervalue.Parse(h.Value)
		if err != nil {
			p.Add(value, Malformed, "The value of %s cannot be read: %s.", clip(h.Name), err)
			continue
		}
		// With something harmless for every reference, only what is written here is judged.
		text, err := v.Resolve(func(headervalue.Ref) (string, error) { return "x", nil })
		if err != nil || !httpguts.ValidHeaderFieldValue(text) {
			p.Add(value, Malformed, "The value of %s has a line end or another control character in it.", clip(h.Name))
		}
		for _, r := range v.Refs() {
			if r.Kind == headervalue.Secret && !slices.Contains(secrets, r.Name) {
				p.Add(value, Unknown, "The value of %s refers to secret %s, which does not exist: create it first.", clip(h.Name), r.Name)
			}
		}
	}
}

// SecretRefs lists the names of the secrets that headers refer to, sorted, each once. Values that
// cannot be read have none.
func (e *Endpoint) SecretRefs() []string {
	var names []string
	for _, h := range e.Headers {
		v, err := headervalue.Parse(h.Value)
		if err != nil {
			continue
		}
		for _, r := range v.Refs() {
			if r.Kind == headervalue.Secret {
				names = append(names, r.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func checkKeyHeader(p *Problems, name string) {
	switch {
	case name == "":
	case len(name) > 128 || !httpguts.ValidHeaderFieldName(name):
		p.Add("key_header", Malformed, "%q is not a header name.", clip(name))
	case is(name, messageHeaders):
		p.Add("key_header", Forbidden, "Keys cannot be presented in %s: it describes the message or the connection.", name)
	}
}
