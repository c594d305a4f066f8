package registry

import (
	"fmt"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"tollgate/internal/headervalue"
)

// Bounds of what is sent to targets.
const (
	MaxHeaders = 64
	MaxQuery   = 64

	maxHeaderName = 128
	maxQueryName  = 256
	maxValue      = 8192
)

// Mode says what a header or query parameter does to others of the same name. The numbers are those of
// both protobuf enumerations.
type Mode uint8

// The modes.
const (
	ModeSet     Mode = iota + 1 // it replaces them
	ModeDefault                 // it is sent where there are none
	ModeRemove                  // they are left out
)

// Header is a header of requests to the target. Its value may hold references.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Mode  Mode   `json:"mode,omitempty"`
}

// Query is a query parameter of requests to the target, decoded. Its value may hold references.
type Query struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Mode  Mode   `json:"mode,omitempty"`
}

// fillModes: a header replaces the caller's. A query parameter gives way to it, unless it carries a
// credential.
func fillModes(headers []Header, query []Query, ofQuery Mode) {
	for i := range headers {
		headers[i].Mode = either(headers[i].Mode, ModeSet)
	}
	for i := range query {
		query[i].Mode = either(query[i].Mode, ofQuery)
	}
}

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

// secretsKnown are the names of the secrets that exist.
type secretsKnown []string

func checkHeaders(p *Problems, field string, headers []Header, known secretsKnown) {
	if len(headers) > MaxHeaders {
		p.Add(field, Range, "There are %d headers: at most %d are allowed.", len(headers), MaxHeaders)
	}
	seen := map[string]bool{}
	for i, h := range headers {
		at := fmt.Sprintf("%s[%d]", field, i)
		lower := strings.ToLower(h.Name)
		switch {
		case len(h.Name) > maxHeaderName || !httpguts.ValidHeaderFieldName(h.Name):
			p.Add(at+".name", HeaderName, "%q is not a header name.", clip(h.Name))
		case lower == "host":
			p.Add(at+".name", HeaderHost, "The header %s says where a request goes: set it with host_header.", h.Name)
		case is(h.Name, connectionHeaders):
			p.Add(at+".name", HeaderHop, "The header %s belongs to the connection and is set by the edge: leave it out.", h.Name)
		case seen[lower]:
			p.Add(at+".name", HeaderDup, "The header %s is listed twice.", h.Name)
		}
		seen[lower] = true
		if checkMode(p, at, h.Mode, h.Value) {
			known.checkValue(p, at+".value", "The value of "+clip(h.Name), h.Value, true)
		}
	}
}

func checkQuery(p *Problems, field string, query []Query, known secretsKnown) {
	if len(query) > MaxQuery {
		p.Add(field, Range, "There are %d query parameters: at most %d are allowed.", len(query), MaxQuery)
	}
	modes := map[string]Mode{}
	for i, q := range query {
		at := fmt.Sprintf("%s[%d]", field, i)
		before, twice := modes[q.Name]
		switch {
		case q.Name == "":
			p.Add(at+".name", Required, "Name the query parameter.")
		case len(q.Name) > maxQueryName || strings.ContainsFunc(q.Name, control):
			p.Add(at+".name", Malformed, "The name of a query parameter is longer than %d bytes or has a control character in it.", maxQueryName)
		// Several defaults of a name are one default of several values. Nothing else has a meaning twice.
		case twice && (before != ModeDefault || q.Mode != ModeDefault):
			p.Add(at+".name", Duplicate, "The query parameter %s is listed twice: only defaults can be.", clip(q.Name))
		}
		modes[q.Name] = q.Mode
		if checkMode(p, at, q.Mode, q.Value) {
			known.checkValue(p, at+".value", "The value of "+clip(q.Name), q.Value, false)
		}
	}
}

// checkMode says whether there is a value to be judged.
func checkMode(p *Problems, at string, mode Mode, value string) bool {
	switch {
	case mode > ModeRemove:
		p.Add(at+".mode", Malformed, "This mode is not known: use set, default or remove.")
	case mode == ModeRemove && value != "":
		p.Add(at+".value", Forbidden, "What is removed has no value: leave the value out, or set it.")
	}
	return mode != ModeRemove
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// checkValue judges a text that may hold references. The text itself is never shown: it may be a
// credential.
func (known secretsKnown) checkValue(p *Problems, field, what, value string, header bool) {
	if len(value) > maxValue {
		p.Add(field, Range, "%s is longer than %d bytes.", what, maxValue)
		return
	}
	if strings.Contains(value, environ) {
		p.Add(field, Malformed, "%s has %s in it without a variable's name behind it, or right behind a $: write ${env:NAME}.", what, environ)
		return
	}
	v, err := headervalue.Parse(value)
	if err != nil {
		p.Add(field, Malformed, "%s cannot be read: %s.", what, err)
		return
	}
	// With something harmless for every reference, only what is written here is judged.
	text, err := v.Resolve(func(headervalue.Ref) (string, error) { return "x", nil })
	switch {
	case header && strings.ContainsAny(value, "\r\n"):
		p.Add(field, HeaderValueNL, "%s has a line end in it: values are one line.", what)
	case err != nil || header && !httpguts.ValidHeaderFieldValue(text) || strings.ContainsRune(text, 0):
		p.Add(field, Malformed, "%s has a line end or another control character in it.", what)
	}
	known.checkRefs(p, field, what, v)
}

// checkReference judges what has to be a single reference. A key is never shown, not even in part: what is
// wrong with it may be that it is one.
func (known secretsKnown) checkReference(p *Problems, field, what, text string) {
	switch {
	case text == "":
		p.Add(field, Required, "%s is missing: store it as a secret and write ${secret:NAME}, or ${env:NAME}.", what)
	case !reference(text):
		p.Add(field, Forbidden, "%s is not a single reference: store it as a secret and write ${secret:NAME}, or ${env:NAME}.", what)
	default:
		known.checkValue(p, field, what, text, true)
	}
}

// checkRefs finds references to secrets that do not exist.
func (known secretsKnown) checkRefs(p *Problems, field, what string, v headervalue.Value) {
	for _, r := range v.Refs() {
		if r.Kind == headervalue.Secret && !slices.Contains(known, r.Name) {
			p.Add(field, SecretMissing, "%s refers to secret %s, which does not exist: create it first.", what, r.Name)
		}
	}
}

// values are all texts of the endpoint that may hold references.
func (e *Endpoint) values() []string {
	var all []string
	for _, p := range e.places() {
		all = append(all, p.Text)
	}
	return all
}

// SecretRefs lists the names of the secrets that the endpoint refers to, sorted, each once. Values that
// cannot be read have none.
func (e *Endpoint) SecretRefs() []string { return secretRefs(e.values()) }

func secretRefs(values []string) []string {
	var names []string
	for _, text := range values {
		v, err := headervalue.Parse(text)
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

// checkKeyHeader: a header in which the key stands is removed, so nothing else can be sent in it.
func (e *Endpoint) checkKeyHeader(p *Problems) {
	name := e.KeyHeader
	switch {
	case name == "":
	case len(name) > maxHeaderName || !httpguts.ValidHeaderFieldName(name):
		p.Add("key_header", Malformed, "%q is not a header name.", clip(name))
	case is(name, messageHeaders):
		p.Add("key_header", Forbidden, "Keys cannot be presented in %s: it describes the message or the connection.", name)
	case sends(e.Headers, name) || slices.ContainsFunc(e.Credentials, func(c Credential) bool { return sends(c.Headers, name) }):
		p.Add("key_header", Duplicate, "Keys cannot be presented in %s, which is also a header for the target: choose another.", name)
	}
}

// sends says whether a header of the name goes to the target.
func sends(headers []Header, name string) bool {
	return slices.ContainsFunc(headers, func(h Header) bool { return h.Mode != ModeRemove && strings.EqualFold(h.Name, name) })
}
