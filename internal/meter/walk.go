package meter

import (
	"strings"

	"github.com/tidwall/gjson"
)

// walk goes through what is kept of a frame, which is JSON as the projection writes it: names are spelled the way they are
// asked for, and none comes twice. So it looks for values where they can be, once for all paths, and checks nothing.
type walk struct {
	doc   string
	at    int
	into  []gjson.Result
	found bool
}

// value takes in the value that comes, and what is asked for in it.
func (w *walk) value(k *look) {
	w.space()
	start := w.at
	if len(k.kids) > 0 && w.is('{') {
		w.object(k)
	} else {
		w.skip()
	}
	raw := w.doc[start:w.at]
	if raw == "" {
		return
	}
	if k.slot >= 0 {
		w.put(k.slot, written(raw))
	}
	if raw[0] == '{' || raw[0] == '[' {
		for _, s := range k.subs {
			w.put(s.slot, gjson.Get(raw, s.path))
		}
	}
}

func (w *walk) put(slot int, v gjson.Result) {
	w.into[slot] = v
	w.found = w.found || v.Type != gjson.Null
}

// object goes through an object.
func (w *walk) object(k *look) {
	for w.at++; w.at < len(w.doc); {
		w.space()
		switch {
		case w.is('}'):
			w.at++
			return
		case w.is('"'):
			start := w.at + 1
			w.text()
			kid := k.find(w.doc[start:max(w.at-1, start)])
			w.at = min(w.at+1, len(w.doc)) // behind the colon
			if kid != nil {
				w.value(kid)
			} else {
				w.space()
				w.skip()
			}
		case w.at < len(w.doc):
			w.at++ // a comma
		}
	}
}

func (k *look) find(name string) *look {
	for i := range k.kids {
		if k.kids[i].name == name {
			return &k.kids[i]
		}
	}
	return nil
}

func (w *walk) is(c byte) bool { return w.at < len(w.doc) && w.doc[w.at] == c }

func (w *walk) space() {
	for w.at < len(w.doc) && w.doc[w.at] <= ' ' {
		w.at++
	}
}

// skip goes behind the value that comes.
func (w *walk) skip() {
	for depth := 0; w.at < len(w.doc); {
		switch w.doc[w.at] {
		case '"':
			w.text()
		case '{', '[':
			depth++
			w.at++
			continue
		case '}', ']':
			if depth == 0 {
				return
			}
			depth--
			w.at++
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return
			}
			w.at++
			continue
		default:
			w.at++
			continue
		}
		if depth == 0 {
			return
		}
	}
}

// text goes behind the text that begins here.
func (w *walk) text() {
	for w.at++; w.at < len(w.doc); w.at++ {
		switch w.doc[w.at] {
		case '"':
			w.at++
			return
		case '\\':
			w.at++ // what is behind it belongs to the text
		}
	}
	w.at = len(w.doc)
}

// written is a value as it is written. Numbers are not made of it: what counts is their text.
func written(raw string) gjson.Result {
	switch c := raw[0]; {
	case c == '{' || c == '[':
		return gjson.Result{Type: gjson.JSON, Raw: raw}
	case c == '-' || c >= '0' && c <= '9':
		return gjson.Result{Type: gjson.Number, Raw: raw}
	case c == '"' && len(raw) > 1 && strings.IndexByte(raw, '\\') < 0:
		return gjson.Result{Type: gjson.String, Raw: raw, Str: raw[1 : len(raw)-1]}
	default:
		return gjson.Parse(raw)
	}
}
