package filter

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/internal/fault"
)

// Guarantee: a filter says what its words say: fields with any of several values, their opposites, words in the name, and text
// with spaces in quotes.
func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Query{
		"":                           nil,
		"  \t ":                      nil,
		"bria":                       {{Values: []string{"bria"}}},
		"-bria":                      {{Not: true, Values: []string{"bria"}}},
		"-":                          {{Values: []string{"-"}}},
		"status:active":              {{Field: "status", Values: []string{"active"}}},
		"-status:active,blocked x":   {{Not: true, Field: "status", Values: []string{"active", "blocked"}}, {Values: []string{"x"}}},
		`tag:"two words",b`:          {{Field: "tag", Values: []string{"two words", "b"}}},
		`"a \"b\" \\ c"`:             {{Values: []string{`a "b" \ c`}}},
		"path:/bria/v1?x=1":          {{Field: "path", Values: []string{"/bria/v1?x=1"}}},
		"12:30":                      {{Values: []string{"12:30"}}},
		"last4:a1b2":                 {{Field: "last4", Values: []string{"a1b2"}}},
		`"status:active"`:            {{Values: []string{"status:active"}}},
		"customer:ann@example.com:7": {{Field: "customer", Values: []string{"ann@example.com:7"}}},
	} {
		got, err := Parse(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Parse(%q) = %#v, %v; want %#v", text, got, err, want)
		}
	}
}

// Guarantee: what cannot be read, and fields and values that a list does not know, are refused with a code, and the answer names
// those that there are.
func TestRefusals(t *testing.T) {
	t.Parallel()
	list := &List{Title: "Keys", Fields: []Field{{Name: "team"}, {Name: "status", Values: []string{"active", "revoked"}}}, Orders: []string{"name", "create_time"}}
	for _, c := range []struct{ text, code, says string }{
		{"team:", Malformed, "team:VALUE"},
		{"team:a,", Malformed, "team:VALUE"},
		{`team:"a`, Malformed, "no end"},
		{`"a"b`, Malformed, "space"},
		{`""`, Malformed, "empty"},
		{"a\x00", Malformed, "NUL"},
		{strings.Repeat("a ", mostTerms+1), Malformed, "more than"},
		{"team:" + strings.Repeat("a,", mostValues) + "a", Malformed, "more than"},
		{"colour:red", UnknownField, "team, status"},
		{"status:activ", UnknownValue, "active, revoked"},
	} {
		q, err := Parse(c.text)
		if err == nil {
			err = q.Check(list)
		}
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Code != fault.InvalidArgument || len(f.Violations) != 1 || f.Violations[0].Field != "filter" || f.Violations[0].Code != c.code {
			t.Errorf("%.40q: error %v, want a violation %s", c.text, err, c.code)
		} else if !strings.Contains(f.Violations[0].Reason, c.says) {
			t.Errorf("%.40q: reason %q does not say %q", c.text, f.Violations[0].Reason, c.says)
		}
	}
	if name, descending, err := list.Order("-create_time"); name != "create_time" || !descending || err != nil {
		t.Errorf("order -create_time is %s, %v, %v", name, descending, err)
	}
	if name, descending, err := list.Order(""); name != "name" || descending || err != nil {
		t.Errorf("no order is %s, %v, %v", name, descending, err)
	}
	_, _, err := list.Order("size")
	if f, ok := errors.AsType[*fault.Error](err); !ok || f.Violations[0].Code != UnknownOrder || !strings.Contains(f.Violations[0].Reason, "name, create_time") {
		t.Errorf("order size: %v", err)
	}
}

// Guarantee: a query survives being written and read.
func TestWrittenQueriesReadTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringOfN(rapid.RuneFrom([]rune(`ab-_:,"\ 	/é%`)), 1, 8, -1)
		q := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Term {
			if rapid.Bool().Draw(t, "word") {
				return Term{Not: rapid.Bool().Draw(t, "not"), Values: []string{value.Draw(t, "text")}}
			}
			return Term{
				Not: rapid.Bool().Draw(t, "not"), Field: rapid.SampledFrom([]string{"team", "create_time"}).Draw(t, "field"),
				Values: rapid.SliceOfN(value, 1, 4).Draw(t, "values"),
			}
		}), 1, 5).Draw(t, "query")
		got, err := Parse(Query(q).String())
		if err != nil || !reflect.DeepEqual(got, Query(q)) {
			t.Fatalf("%q reads as %#v, %v; want %#v", Query(q).String(), got, err, q)
		}
	})
}

// Guarantee: no text makes the parser fail otherwise than with an error, and what it accepts is within bounds and reads the same
// again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "a", "-a", "status:active,blocked", `tag:"two words"`, `"a\"`, "a:,", "--a", "é:ü", "-:", `x:"",y`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := Parse(text)
		if err != nil {
			if _, ok := errors.AsType[*fault.Error](err); !ok {
				t.Fatalf("%q: %v is not for people", text, err)
			}
			return
		}
		for _, term := range q {
			if len(term.Values) == 0 || len(term.Values) > mostValues {
				t.Fatalf("%q: %d values", text, len(term.Values))
			}
		}
		again, err := Parse(q.String())
		if err != nil || !reflect.DeepEqual(again, q) {
			t.Fatalf("%q is written %q, which reads as %#v, %v", text, q.String(), again, err)
		}
	})
}
