// Package filter reads the one small language in which lists are filtered: words that must all hold, such as
//
//	billing status:active,rotating -team:research tag:"two words"
//
// It promises a query that says what was asked for, or an error that says what is wrong with it and which fields there are. It
// is not for finding anything: the store makes conditions of a query, in which every value is a parameter.
package filter

import (
	"fmt"
	"slices"
	"strings"

	"tollgate/internal/fault"
)

// Term is one word of a filter.
type Term struct {
	Not    bool     // what it says must not be so
	Field  string   // empty for a word that stands in the name
	Values []string // any of them; never none
}

// Query is words that must all hold. The zero value lets everything through.
type Query []Term

// Codes of violations of the field "filter" and "order_by".
const (
	Malformed    = "invalid"
	UnknownField = "filter_field"
	UnknownValue = "filter_value"
	UnknownOrder = "order_by_field"
)

// Bounds of a query. They keep a statement that is made of it small.
const (
	mostTerms  = 32
	mostValues = 100
)

// Parse reads a query.
func Parse(text string) (Query, error) {
	if strings.ContainsRune(text, 0) {
		return nil, malformed("A filter cannot have a NUL in it.")
	}
	var q Query
	s := &scanner{text}
	for s.space(); s.rest != ""; s.space() {
		t, err := s.term()
		if err != nil {
			return nil, err
		}
		if q = append(q, t); len(q) > mostTerms {
			return nil, malformed("The filter has more than %d words.", mostTerms)
		}
	}
	return q, nil
}

func malformed(reason string, args ...any) error {
	return refuse("filter", Malformed, reason, args...)
}

func refuse(field, code, reason string, args ...any) error {
	v := fault.Violation{Field: field, Code: code, Reason: fmt.Sprintf(reason, args...)}
	return fault.New(fault.InvalidArgument, "%s", v.Reason).WithViolations(v)
}

// scanner takes words from the front of a text.
type scanner struct{ rest string }

const spaces = " \t\r\n"

func (s *scanner) space() { s.rest = strings.TrimLeft(s.rest, spaces) }

func (s *scanner) term() (Term, error) {
	var t Term
	if len(s.rest) > 1 && s.rest[0] == '-' {
		t.Not, s.rest = true, s.rest[1:]
	}
	field := s.field()
	if field == "" {
		word, err := s.value(spaces)
		if err != nil {
			return t, err
		}
		if word == "" {
			return t, malformed("The filter has an empty word in it: leave it out.")
		}
		t.Values = []string{word}
		return t, nil
	}
	t.Field = field
	for {
		value, err := s.value("," + spaces)
		if err != nil {
			return t, err
		}
		if value == "" {
			return t, malformed("%s: has no value: write %s:VALUE, with quotes around text that has spaces in it.", field, field)
		}
		if t.Values = append(t.Values, value); len(t.Values) > mostValues {
			return t, malformed("%s: has more than %d values.", field, mostValues)
		}
		if !strings.HasPrefix(s.rest, ",") {
			return t, nil
		}
		s.rest = s.rest[1:]
	}
}

// field takes "field:" from the front, or nothing. A field consists of lower-case letters, digits and underscores and begins with a
// letter, so that a time or an address is a word.
func (s *scanner) field() string {
	n := 0
	for n < len(s.rest) && (s.rest[n] >= 'a' && s.rest[n] <= 'z' || n > 0 && (s.rest[n] == '_' || s.rest[n] >= '0' && s.rest[n] <= '9')) {
		n++
	}
	if n == 0 || n == len(s.rest) || s.rest[n] != ':' {
		return ""
	}
	field := s.rest[:n]
	s.rest = s.rest[n+1:]
	return field
}

// value takes a text up to one of the ends, or one in quotes, in which a backslash stands before a quote or a backslash.
func (s *scanner) value(ends string) (string, error) {
	if !strings.HasPrefix(s.rest, `"`) {
		n := strings.IndexAny(s.rest, ends)
		if n < 0 {
			n = len(s.rest)
		}
		value := s.rest[:n]
		s.rest = s.rest[n:]
		return value, nil
	}
	var out strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '\\' && i+1 < len(s.rest) && (s.rest[i+1] == '"' || s.rest[i+1] == '\\'):
			i++
			out.WriteByte(s.rest[i])
		case c == '"':
			s.rest = s.rest[i+1:]
			if s.rest != "" && !strings.Contains(ends, s.rest[:1]) {
				return "", malformed("After a quote that ends a text there must be a space: write \\\" for a quote in it.")
			}
			return out.String(), nil
		default:
			out.WriteByte(c)
		}
	}
	return "", malformed("A quote in the filter has no end.")
}

// String is the query as it is written; Parse makes the same one of it.
func (q Query) String() string {
	words := make([]string, len(q))
	for i, t := range q {
		var b strings.Builder
		if t.Not {
			b.WriteByte('-')
		}
		if t.Field != "" {
			b.WriteString(t.Field + ":")
		}
		for j, v := range t.Values {
			if j > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quote(v))
		}
		words[i] = b.String()
	}
	return strings.Join(words, " ")
}

func quote(value string) string {
	if !strings.ContainsAny(value, spaces+`",:\`) && !strings.HasPrefix(value, "-") {
		return value
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// Check refuses fields that a list does not know, and values that they cannot have.
func (q Query) Check(l *List) error {
	for _, t := range q {
		if t.Field == "" {
			continue
		}
		i := slices.IndexFunc(l.Fields, func(f Field) bool { return f.Name == t.Field })
		if i < 0 {
			return refuse("filter", UnknownField, "%s have no field %q to filter by. There are: %s.", l.Title, clip(t.Field), l.fieldNames())
		}
		f := &l.Fields[i]
		for _, v := range t.Values {
			if len(f.Values) > 0 && !slices.Contains(f.Values, v) {
				return refuse("filter", UnknownValue, "%s: is one of %s, not %q.", f.Name, strings.Join(f.Values, ", "), clip(v))
			}
		}
	}
	return nil
}

// clip keeps foreign text in messages short.
func clip(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
