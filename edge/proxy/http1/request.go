package http1

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"tollgate/edge/proxy"
)

// Request is the head of a request. What Parse has found is valid if it is Plain. Its strings are parts of one string, and can be
// kept.
type Request struct {
	Method string
	Target string // in origin form, as it was sent
	Host   string
	// Headers are those that were sent, without Host and Content-Length, in their order and spelling.
	Headers []proxy.Header
	Length  int64 // of the body; 0 without Content-Length
	Sized   bool  // Content-Length was there
	Close   bool  // the caller wants no more than this answer on the connection
}

// methods are those of requests that are plain.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// Parse reads the head that buf begins with, into the memory that r's headers have, and says how many bytes it has. A head that is
// not complete is Strange as soon as it can be nothing else.
func (r *Request) Parse(buf []byte, l Limits) (n int, v Verdict) {
	start, target, v := r.first(buf)
	if v != Plain {
		return 0, l.unfinished(buf, v)
	}
	var space [few]line
	lines := space[:0]
	host := line{}
	r.Length, r.Sized, r.Close = 0, false, false
	count, connection := 0, -1 // the first of its name
	n = start
	for {
		h, next, tabs, v := header(buf, n)
		if v != Plain {
			return 0, l.unfinished(buf, v)
		}
		if n = next; h.colon == 0 {
			break
		}
		if count++; tabs || l.excessive(n, count) {
			return 0, Strange // some take a tab before a value for a part of it
		}
		name, value := buf[h.name:h.colon], buf[h.value:h.end]
		switch len(name) {
		case len("host"):
			if named(name, "host") {
				if host.end != 0 || !hosts(value) {
					return 0, Strange
				}
				host = h
				continue
			}
		case len("expect"):
			if named(name, "expect") {
				return 0, Strange
			}
		case len("upgrade"):
			if named(name, "upgrade") {
				return 0, Strange
			}
		case len("connection"):
			if connection < 0 && named(name, "connection") {
				connection = len(lines)
			}
		case len("content-length"): // and http2-settings
			if named(name, "content-length") {
				var ok bool
				if r.Length, ok = number(value); !ok || r.Sized || next-int(h.name) > longestLength {
					return 0, Strange
				}
				r.Sized = true
				continue
			}
			if named(name, "http2-settings") {
				return 0, Strange
			}
		case len("transfer-encoding"):
			if named(name, "transfer-encoding") {
				return 0, Strange
			}
		}
		lines = append(lines, h)
	}
	if host.end == 0 || l.excessive(n, count) {
		return 0, Strange
	}
	text := string(buf[:n])
	r.Target, r.Host = text[target:start-len(version)], text[host.value:host.end]
	r.Headers = headersOf(lines, text, r.Headers)
	if connection >= 0 {
		r.Close = closes(r.Headers[connection:])
	}
	return n, Plain
}

// longestLength is for the line with Content-Length. The general lane refuses one that is filled up with spaces.
const longestLength = 64

// version ends the first line.
const version = " HTTP/1.1\r\n"

// first reads the first line, and says where the headers begin and where the target does.
func (r *Request) first(buf []byte) (end, target int, v Verdict) {
	i := bytes.IndexByte(buf[:min(len(buf), len("OPTIONS "))], ' ')
	if i < 0 {
		for _, m := range methods {
			if len(buf) <= len(m) && m[:len(buf)] == string(buf) {
				return 0, 0, Incomplete
			}
		}
		return 0, 0, Strange
	}
	switch string(buf[:i]) {
	case http.MethodGet:
		r.Method = http.MethodGet
	case http.MethodPost:
		r.Method = http.MethodPost
	default:
		at := slices.Index(methods, string(buf[:i]))
		if at < 0 {
			return 0, 0, Strange
		}
		r.Method = methods[at]
	}
	target = i + 1
	switch {
	case target == len(buf):
		return 0, 0, Incomplete
	case buf[target] != '/':
		return 0, 0, Strange
	}
	for i = target; i < len(buf) && class[buf[i]]&isTarget != 0; i++ {
		if buf[i] == '?' {
			for i < len(buf) && class[buf[i]]&isTarget != 0 {
				i++
			}
			break
		}
		if buf[i] == '%' { // net/http takes no other in a path (RFC 3986, 2.1)
			code := buf[i+1 : min(i+3, len(buf))]
			if len(code) > 0 && !is(code, isHex) {
				return 0, 0, Strange
			}
		}
	}
	if v = begins(buf, i, version); v != Plain {
		return 0, 0, v
	}
	return i + len(version), target, Plain
}

// hosts says whether a Host header names a host in one of the ways that all servers take: a name or an address, and a port.
func hosts(value []byte) bool {
	if bytes.Contains(value, []byte("..")) {
		return false // no name has an empty part
	}
	if len(value) > 0 && value[0] == '[' {
		address, rest, _ := bytes.Cut(value[1:], []byte("]"))
		return is(address, isAddress) && len(value) > 1+len(address) && (len(rest) == 0 || rest[0] == ':' && is(rest[1:], isDigit))
	}
	name, port, ported := bytes.Cut(value, []byte(":"))
	return is(name, isHost) && (!ported || is(port, isDigit))
}

// closes says whether a Connection header has the option to close it. Every one of them counts (RFC 9110, 7.6.1).
func closes(headers []proxy.Header) bool { return connectionHas(headers, "close") }

func connectionHas(headers []proxy.Header, option string) bool {
	for _, h := range headers {
		if len(h.Name) == len("connection") && strings.EqualFold(h.Name, "connection") &&
			httpguts.HeaderValuesContainsToken([]string{h.Value}, option) {
			return true
		}
	}
	return false
}
