package routing

import (
	"net/url"
	"strings"
)

// RequestURI is what stands in the request line of a request to one of the endpoint's targets: the base
// path, then rest as the caller sent it, with one slash where they meet, then the query. bare says that
// the caller's ended in "?". cred may be nil.
func (e *Endpoint) RequestURI(t *Target, cred *Credential, rest, query string, bare bool) string {
	return string(e.AppendURI(nil, t, cred, rest, query, bare))
}

// AppendURI appends what RequestURI is.
func (e *Endpoint) AppendURI(to []byte, t *Target, cred *Credential, rest, query string, bare bool) []byte {
	to, query = t.appendPath(to, rest), e.query(t, cred, query)
	if query != "" || bare {
		to = append(append(to, '?'), query...)
	}
	return to
}

// query merges the caller's query with what is configured. Of each name the caller's parameters go
// before those in the target's URL, and these before a default; what is set replaces them all, and the
// credential what is set. The caller's own bytes stay as they are, also where they are not what a query
// should look like: servers differ in how they read that.
func (e *Endpoint) query(t *Target, cred *Credential, caller string) string {
	var secret []Query
	if cred != nil {
		secret = cred.Query
	}
	if t.BaseQuery == "" && len(e.Query) == 0 && len(secret) == 0 {
		return caller
	}
	fixed := func(name string) bool { return decides(secret, name) || decides(e.Query, name) }
	dropped := func(piece string) bool { return names(piece, fixed) }

	var out joined
	out.Grow(len(t.BaseQuery) + len(caller) + 1)
	for piece := range pieces(t.BaseQuery) {
		name, _, _ := strings.Cut(piece, "=")
		if piece == "" || !dropped(piece) && !sends(caller, decoded(name), dropped) {
			out.add(piece)
		}
	}
	for _, q := range e.Query {
		if q.Mode == Default && !fixed(q.Name) && !sends(caller, q.Name, dropped) && !sends(t.BaseQuery, q.Name, dropped) {
			out.add(q.encoded())
		}
	}
	for piece := range pieces(caller) {
		if !dropped(piece) {
			out.add(piece)
		}
	}
	for _, q := range e.Query {
		if q.Mode == Set && !decides(secret, q.Name) {
			out.add(q.encoded())
		}
	}
	for _, q := range secret {
		if q.Mode != Remove {
			out.add(q.encoded())
		}
	}
	return out.String()
}

// decides says whether what is configured leaves others of a name no say.
func decides(list []Query, name string) bool {
	for i := range list {
		if list[i].Mode != Default && list[i].Name == name {
			return true
		}
	}
	return false
}

// names says whether a piece of a query is of a name that is wanted. Some servers part pieces at
// semicolons as well; what only they see must not go past those names.
func names(piece string, wanted func(string) bool) bool {
	for part := range strings.SplitSeq(piece, ";") {
		name, _, _ := strings.Cut(part, "=")
		if wanted(decoded(name)) {
			return true
		}
	}
	return false
}

// sends says whether a query has a parameter of a name that goes on.
func sends(query, name string, dropped func(piece string) bool) bool {
	for piece := range pieces(query) {
		if text, _, _ := strings.Cut(piece, "="); decoded(text) == name && piece != "" && !dropped(piece) {
			return true
		}
	}
	return false
}

// pieces is what stands between ampersands, also if that is nothing. An empty query has none.
func pieces(query string) func(func(string) bool) {
	if query == "" {
		return func(func(string) bool) {}
	}
	return strings.SplitSeq(query, "&")
}

// decoded is the name of a parameter as lenient servers read it, where a plus sign is a space.
func decoded(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	return Unescape(strings.ReplaceAll(s, "+", " "))
}

// Unescape undoes percent-encoding where there is any and leaves the rest, as lenient servers do.
func Unescape(s string) string {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s
	}
	out := append(make([]byte, 0, len(s)), s[:i]...)
	for ; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if high, low := unhex(s[i+1]), unhex(s[i+2]); high < 16 && low < 16 {
				out = append(out, high<<4|low)
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// unhex is the value of a hexadecimal digit, or 16.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	default:
		return 16
	}
}

// encoded is the parameter as it is sent. A space is %20, which is one also to servers that take a plus
// sign for itself.
func (q Query) encoded() string { return escape(q.Name) + "=" + escape(q.Value) }

func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// joined makes a query of pieces, each of which may be empty.
type joined struct {
	strings.Builder
	some bool
}

func (j *joined) add(piece string) {
	if j.some {
		j.WriteByte('&')
	}
	j.some = true
	j.WriteString(piece)
}
