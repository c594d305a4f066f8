package proxy

import (
	"cmp"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
)

// kind says what the stages need to know of a header's name, found out once.
type kind uint16

const (
	perHop      kind = 1 << iota // it belongs to one connection
	describes                    // it says what the body is
	listed                       // it is on the safe list
	traces                       // it is of the trace context
	keyed                        // a key may be in it
	whence                       // it says where the caller has been
	owned                        // it is for the gateway
	passing                      // it begins with passPrefix
	socket                       // it makes a WebSocket
	cookies                      // it has cookies
	linking                      // it is Connection, which names others
	timing                       // it is the gateway's to set in answers, beside owned
	sized                        // it is Content-Length
	te                           // it is TE
	underscored                  // some servers take it for the name with dashes that the rest is about
)

// listedName is a name on a list as nearly everybody writes it over HTTP/1.1. It holds its text itself, so that whoever compares
// with it touches no other memory.
type listedName struct {
	text [longestListed]byte
	n    uint8
	more bool // the next one has the same shape
	kind kind
}

const longestListed = 28

func (l *listedName) name() []byte { return l.text[:l.n] }

// listedNames are all names on lists, those of one shape one behind the other. byShape says where they begin, from 1, by what shapeOf
// makes of them, so that nearly every other name is told from them at a glance.
var listedNames, byShape = func() (all []listedName, at [shapes]uint8) {
	m := map[string]kind{
		"cookie": cookies, "connection": linking, "server-timing": timing, "content-length": sized, "te": te, "forwarded": whence, "x-real-ip": whence,
	}
	for k, list := range map[kind]map[string]bool{perHop: hopByHop, describes: describing, listed: safe, traces: tracing, keyed: isCredentialHeader} {
		for name := range list {
			m[name] |= k
		}
	}
	names := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Or(cmp.Compare(shapeOf(a), shapeOf(b)), cmp.Compare(a, b)) })
	for i, name := range names {
		l := listedName{n: uint8(len(name)), kind: m[name]}
		if copy(l.text[:], http.CanonicalHeaderKey(name)) < len(name) || i+1 > math.MaxUint8 {
			panic("no room for " + name)
		}
		if shape := shapeOf(name); i > 0 && shapeOf(names[i-1]) == shape {
			all[i-1].more = true
		} else {
			at[shape] = uint8(i + 1)
		}
		all = append(all, l)
	}
	return all, at
}()

const shapes = 512

// shapeOf is the same for names that differ only in case, or in underscores for dashes.
func shapeOf(name string) uint {
	n := len(name)
	if n == 0 {
		return 0
	}
	first, middle, last := uint(fold[name[0]]), uint(fold[name[n/2]]), uint(fold[name[n-1]])
	return (uint(n) + first*7 + middle*37 + last*101) % shapes
}

// kindOf finds out what a name is. It allocates nothing.
func kindOf(name string) (k kind) {
	for i := int(byShape[shapeOf(name)]); i > 0; i++ {
		l := &listedNames[i-1]
		if string(l.name()) == name {
			return l.kind
		}
		if sameHeader(string(l.name()), name) {
			k = l.kind
			break
		}
		if !l.more {
			break
		}
	}
	if k == 0 && len(name) > len("x-") {
		switch name[0] | 0x20 {
		case 'x':
			switch {
			case begins(name, ownHeader):
				k = owned
			case begins(name, passPrefix):
				k = passing
			case begins(name, "x-forwarded-"):
				k = whence
			}
		case 's':
			if begins(name, webSocket) {
				k = socket
			}
		}
	}
	if strings.IndexByte(name, '_') >= 0 {
		k = k&^(describes|listed|traces) | underscored // whose names are only what they are if they are written so
	}
	return k
}

// begins compares as sameHeader does.
func begins(name, prefix string) bool {
	return len(name) >= len(prefix) && sameHeader(name[:len(prefix)], prefix)
}

// classify finds out the kinds of the caller's headers, which do not change after that, and which others Connection names.
func (c *call) classify() []kind {
	if len(c.kinds) == len(c.x.Headers) {
		return c.kinds
	}
	c.kinds, c.connected, c.kindsThere = c.kinds[:0], c.connected[:0], 0
	if cap(c.kinds) < len(c.x.Headers) {
		c.kinds = make([]kind, 0, max(2*len(c.x.Headers), 16))
	}
	for i := range c.x.Headers {
		h := &c.x.Headers[i]
		k := kindOf(h.Name)
		c.kinds = append(c.kinds, k)
		c.kindsThere |= k
		if k&linking != 0 && k&underscored == 0 {
			c.connected = appendNamed(c.connected, h.Value)
			c.linked = c.linked || h.Value != keepAlive
		}
	}
	return c.kinds
}

// keepAlive is what nearly every Connection header says. It names no header that would go on otherwise.
const keepAlive = "keep-alive"

// appendNamed adds what a Connection header names, but for what belongs to the connection anyway.
func appendNamed(to []string, value string) []string {
	if value == keepAlive {
		return to
	}
	for value != "" {
		token := value
		if i := strings.IndexByte(value, ','); i >= 0 {
			token, value = value[:i], value[i+1:]
		} else {
			value = ""
		}
		if token = strings.TrimSpace(token); token != "" && kindOf(token)&(perHop|underscored|sized) != perHop {
			to = append(to, token)
		}
	}
	return to
}

// isNamed says whether a header is among those that a Connection header names.
func isNamed(named []string, name string) bool {
	for _, n := range named {
		if len(n) == len(name) && strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// sameHeader compares two names as servers do that tell neither case nor an underscore from a dash.
func sameHeader(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if fold[a[i]] != fold[b[i]] {
			return false
		}
	}
	return true
}

// fold has lower case for capitals, and a dash for an underscore.
var fold = func() (t [256]byte) {
	for c := range t {
		switch t[c] = byte(c); {
		case 'A' <= c && c <= 'Z':
			t[c] = byte(c) + 'a' - 'A'
		case c == '_':
			t[c] = '-'
		}
	}
	return t
}()
