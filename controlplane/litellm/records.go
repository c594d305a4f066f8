package litellm

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"tollgate/internal/plan"
)

// Records are what LiteLLM keeps beside its file: rows of its tables, as a running proxy or its database tells them.
type Records struct {
	From          string // where they are from, for messages
	Keys          []Row
	Teams         []Row
	Memberships   []Row // people in teams, with what each may spend there
	Users         []Row
	Organizations []Row
	Budgets       []Row
	Customers     []Row
	Tags          []Row
	Endpoints     []Row // pass-through endpoints
	// Settings are those that were changed in LiteLLM's UI, by section: "general_settings".
	Settings map[string]Row
	// Missing says what could not be read, and why.
	Missing []string
}

// Row is a row of a table. A value is what JSON has for it, with numbers as json.Number, or the text that PostgreSQL writes of it.
type Row map[string]any

// Text is a value as text; empty if there is none.
func (r Row) Text(name string) string {
	switch v := r[name].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "true"
		}
		return "false"
	default:
		return ""
	}
}

// Truth is whether a value is true.
func (r Row) Truth(name string) bool {
	switch r.Text(name) {
	case "true", "t":
		return true
	default:
		return false
	}
}

// List is a list of texts: JSON's, or an array of PostgreSQL.
func (r Row) List(name string) []string {
	switch v := r[name].(type) {
	case []any:
		return textsOf(v)
	case string:
		if strings.HasPrefix(v, "[") {
			var list []any
			if decode(v, &list) == nil {
				return textsOf(list)
			}
			return nil
		}
		return arrayOf(v)
	default:
		return nil
	}
}

func textsOf(list []any) (out []string) {
	for _, one := range list {
		if s, ok := one.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// arrayOf reads an array as PostgreSQL writes it: {a,"b c"}.
func arrayOf(text string) (out []string) {
	if len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' {
		return nil
	}
	text = text[1 : len(text)-1]
	var b strings.Builder
	quoted, began := false, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
			began = true
		case c == '"':
			quoted, began = !quoted, true
		case c == ',' && !quoted:
			out = append(out, b.String())
			b.Reset()
			began = false
		default:
			b.WriteByte(c)
			began = true
		}
	}
	if began || len(out) > 0 {
		out = append(out, b.String())
	}
	return out
}

// Rows is a list of objects.
func (r Row) Rows(name string) (out []Row) {
	list, ok := r[name].([]any)
	if text, is := r[name].(string); is && !ok && decode(text, &list) != nil {
		return nil
	}
	for _, one := range list {
		switch v := one.(type) {
		case map[string]any:
			out = append(out, v)
		case string: // an array of PostgreSQL whose items are JSON
			var o map[string]any
			if decode(v, &o) == nil {
				out = append(out, o)
			}
		}
	}
	return out
}

// Object is an object; nil if there is none.
func (r Row) Object(name string) Row {
	switch v := r[name].(type) {
	case map[string]any:
		return v
	case Row:
		return v
	case string:
		var o map[string]any
		if decode(v, &o) != nil {
			return nil
		}
		return o
	default:
		return nil
	}
}

// decode reads JSON and leaves its numbers as they are written.
func decode(text string, into any) error {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	return dec.Decode(into)
}

var timeForms = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999-07",
	"2006-01-02 15:04:05.999999999",
}

// Time is a time, which LiteLLM keeps in UTC; zero if there is none.
func (r Row) Time(name string) time.Time {
	text := r.Text(name)
	for _, form := range timeForms {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// has says whether a value is there that says something.
func (r Row) has(name string) bool {
	switch v := r[name].(type) {
	case nil:
		return false
	case string:
		return v != "" && v != "{}" && v != "[]" && v != "null" && v != "NULL"
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	default:
		return true
	}
}

// by finds rows by one of their values.
func by(rows []Row, name string) map[string]Row {
	out := make(map[string]Row, len(rows))
	for _, r := range rows {
		if id := r.Text(name); id != "" {
			out[id] = r
		}
	}
	return out
}

// sortedBy gives rows an order that stays the same from one reading to the next.
func sortedBy(rows []Row, name string) []Row {
	out := slices.Clone(rows)
	slices.SortStableFunc(out, func(a, b Row) int { return strings.Compare(a.Text(name), b.Text(name)) })
	return out
}

// about notes something of a row, which has no line.
func (v *conversion) about(level plan.Level, what, name, format string, args ...any) {
	v.note(0, level, what+" "+quote(name), format, args...)
}
