package meter

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/internal/meter/frame"
)

// wanted are the names that a meter looks for in a request. One that is there twice may be read another way by the target
// than here: some take the first value, others the last, and whoever asks could choose what is counted.
type wanted struct {
	fields, forms, queries []string
}

// note adds what a source looks for.
func (a *wanted) note(s *source) {
	switch s.place { //nolint:exhaustive // the others cannot be there twice
	case inRequest:
		a.path(s.name)
	case inForm:
		a.forms = append(a.forms, s.name)
	case inQuery:
		a.queries = append(a.queries, s.name)
	}
}

// path adds the names in a path. What a query compares with is taken for one, which does no harm.
func (a *wanted) path(path string) {
	var name []byte
	end := func() {
		if len(name) > 0 && !slices.Contains(a.fields, string(name)) {
			a.fields = append(a.fields, string(name))
		}
		name = name[:0]
	}
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\' && i+1 < len(path):
			i++
			name = append(name, path[i])
		case strings.IndexByte(".#()=!<>%\"", c) >= 0:
			end()
		default:
			name = append(name, c)
		}
	}
	end()
}

// Doubled says what a request says more than once that its price looks at; empty for nothing. Readers do not agree which
// of several counts, so that it cannot be said what such a request costs.
func (m *Meter) Doubled(r *Request) string {
	for _, name := range m.wanted.queries {
		if differ(r.parameters(name)) {
			return "query parameter " + name
		}
	}
	for _, name := range m.wanted.forms {
		if _, there := r.formField(name); there && differ(r.parsed.form[name]) {
			return "form field " + name
		}
	}
	if len(m.wanted.fields) > 0 && r.document() {
		if name := twice(r.Body, m.wanted.fields); name != "" {
			return "field " + name
		}
	}
	return ""
}

func differ(values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return v != values[0] })
}

// twice is one of some names that an object of a valid document has twice, at whatever depth; empty if none does.
func twice(doc []byte, names []string) string {
	words := (len(names) + 63) / 64
	var seen []uint64 // a bit for each name, for each object and array that is open
	for i := 0; i < len(doc); i++ {
		switch doc[i] {
		case '{', '[':
			for range words {
				seen = append(seen, 0)
			}
		case '}', ']':
			seen = seen[:len(seen)-words]
		case '"':
			end := stringEnd(doc, i+1)
			text := doc[i+1 : end]
			i = end
			if rest := spaceless(doc[i+1:]); len(rest) == 0 || rest[0] != ':' {
				continue
			}
			if bytes.IndexByte(text, '\\') >= 0 {
				text = []byte(gjson.ParseBytes(doc[end-len(text)-1 : end+1]).Str)
			}
			at := 0
			for at < len(names) && names[at] != string(text) {
				at++
			}
			if at == len(names) {
				continue
			}
			word, bit := &seen[len(seen)-words+at/64], uint64(1)<<(at%64)
			if *word&bit != 0 {
				return names[at]
			}
			*word |= bit
		}
	}
	return ""
}

// stringEnd is where the string ends that i is in.
func stringEnd(doc []byte, i int) int {
	for {
		n := bytes.IndexByte(doc[i:], '"')
		end := i + n
		slashes := 0
		for end-1-slashes >= i && doc[end-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return end
		}
		i = end + 1
	}
}

// hidden says whether a value may be in the body that was not found there because the body could not be read.
func (r *Request) hidden(in place) bool {
	if r.WebSocket || len(r.Body) == 0 && (r.Whole || r.Length == 0) {
		return false
	}
	media := r.mediaType()
	switch in {
	case inForm:
		_, _ = r.formField("")
		return isForm(media) && r.parsed.torn
	case inRequest:
		if r.document() || isForm(media) {
			return false
		}
		return media == "" || strings.HasPrefix(media, "text/") || frame.KindOf(media) == frame.JSON || r.parsed.begins || begins(r.Body)
	default:
		return false
	}
}

// spaceless is a text without the space at its beginning.
func spaceless(p []byte) []byte {
	for len(p) > 0 && (p[0] == ' ' || p[0] == '\t' || p[0] == '\r' || p[0] == '\n') {
		p = p[1:]
	}
	return p
}

// begins says whether a body begins like a document.
func begins(body []byte) bool {
	start := spaceless(body)
	return len(start) > 0 && (start[0] == '{' || start[0] == '[')
}

// LetGo takes in what can be known of a body that is not whole, and forgets it.
func (r *Request) LetGo() {
	_, _ = r.formField("")
	_ = r.document()
	r.parsed.begins = begins(r.Body)
	r.Forget()
}

// doubt says why it is not known what a source of the request says where no number came of its value; empty if it says
// nothing.
func (s *source) doubt(r *Request, v value) string {
	switch {
	case !s.early() || s.place == constant:
		return ""
	case v.there:
		return s.text + " is no number"
	case r.hidden(s.place):
		return s.text + " could not be read"
	default:
		return ""
	}
}

// hides says the same of the request that is being read.
func (r *Reading) hides(in place) bool {
	return in == inRequest && r.hidden.body || in == inForm && r.hidden.form
}
