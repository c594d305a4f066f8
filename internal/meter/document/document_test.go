package document_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter/document"
)

const chat = `
unmatched: refuse
fallback: "0.05"
meters:
  - name: chat
    match: {methods: [POST], path: '/chat/completions$'}
    counters:
      - {name: prompt, sources: [{frame: usage.prompt_tokens}, {header: x-prompt}]}
      - {name: stream, sources: [{constant: 1}], optional: true, default: 0}
    units: &units
      - {name: input, add: [prompt]}
    variants: {default: "", 5: flex}
    prices:
      - {model: gpt-4o, rates: [{unit: input, price: 2.50, per: 1_000_000}]}
    charge: {unless: [{source: {frame: done}, in: [true]}]}
    hold:
`

// Guarantee: a document becomes the message that it describes; numbers of text fields stay as they are written.
func TestParse(t *testing.T) {
	t.Parallel()
	var got controlv1.Metered
	if err := document.Parse([]byte(chat), &got); err != nil {
		t.Fatal(err)
	}
	frame := func(p string) *controlv1.Source {
		return &controlv1.Source{Place: &controlv1.Source_Frame{Frame: p}}
	}
	want := &controlv1.Metered{Unmatched: "refuse", Fallback: "0.05", Meters: []*controlv1.Meter{{
		Name:  "chat",
		Match: &controlv1.MeterMatch{Methods: []string{"POST"}, Path: "/chat/completions$"},
		Counters: []*controlv1.Counter{
			{Name: "prompt", Sources: []*controlv1.Source{frame("usage.prompt_tokens"), {Place: &controlv1.Source_Header{Header: "x-prompt"}}}},
			{Name: "stream", Sources: []*controlv1.Source{{Place: &controlv1.Source_Constant{Constant: "1"}}}, Optional: true, Default: "0"},
		},
		Units:    []*controlv1.Unit{{Name: "input", Add: []string{"prompt"}}},
		Variants: map[string]string{"default": "", "5": "flex"},
		Prices:   []*controlv1.ModelPrice{{Model: "gpt-4o", Rates: []*controlv1.UnitPrice{{Unit: "input", Price: "2.50", Per: 1000000}}}},
		Charge:   &controlv1.Charge{Unless: []*controlv1.Condition{{Source: frame("done"), In: []string{"true"}}}},
	}}}
	if !proto.Equal(&got, want) {
		t.Errorf("got  %v\nwant %v", &got, want)
	}
}

// Guarantee: JSON is read as well, by the names that the API writes.
func TestParseJSON(t *testing.T) {
	t.Parallel()
	var want, got controlv1.Metered
	if err := document.Parse([]byte(chat), &want); err != nil {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(&want)
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Parse(text, &got); err != nil || !proto.Equal(&got, &want) {
		t.Errorf("%v\ngot  %v\nwant %v", err, &got, &want)
	}
}

// Guarantee: what is wrong is said with its line and the field's path.
func TestParseSaysWhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"", "the document is empty"},
		{"- a", `line 1: fields with values are expected, such as "meters: …"`},
		{"unmatched: refuse\nfalback: 1", `line 2: there is no field "falback"`},
		{"fallback: 1\nfallback: 2", `line 2: fallback: it is already in line 1`},
		{"meters:\n  - name: a\n    counters:\n      - sources: [{frame: a}, {fram: b}]", `line 4: meters[0].counters[0].sources[1]: there is no field "fram"`},
		{"meters: {name: a}", "line 1: meters: a list is expected"},
		{"meters:\n- name: [a]", "line 2: meters[0].name: a single value is expected"},
		{"meters:\n- free: maybe", `line 2: meters[0].free: true or false is expected, not "maybe"`},
		{"meters:\n- prices:\n  - rates:\n    - per: 1.5", `line 4: meters[0].prices[0].rates[0].per: a whole number is expected, not "1.5"`},
		{"meters:\n- models: [a]", "line 2: meters[0].models: names with values are expected"},
		{"meters:\n- models: {a: b, a: c}", "line 2: meters[0].models.a: it is already in line 2"},
		{"meters:\n- counters:\n  - sources: [{frame: a, header: b}]", "line 3: meters[0].counters[0].sources[0].header: only one of this and frame can be given"},
		{"a: [", "line"},
	} {
		var into controlv1.Metered
		err := document.Parse([]byte(c.text), &into)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v; want %s", c.text, err, c.want)
		}
	}
}

// Guarantee: aliases cannot make a small document a large one.
func TestParseRefusesBombs(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("meters:\n- &a0 {name: a, units: [&u {name: b}, *u, *u, *u, *u, *u, *u, *u]}\n")
	for range 1 << 14 {
		b.WriteString("- *a0\n")
	}
	var into controlv1.Metered
	if err := document.Parse([]byte(b.String()), &into); err == nil || !strings.Contains(err.Error(), "values") {
		t.Errorf("err = %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(chat)
	f.Add(`{"meters":[{"name":"a","free":true}]}`)
	f.Add("a: &a [*a]")
	f.Add("meters: &m\n- *m")
	f.Fuzz(func(t *testing.T, text string) {
		var into controlv1.Metered
		if document.Parse([]byte(text), &into) != nil {
			return
		}
		again, err := protojson.Marshal(&into)
		if err != nil {
			return // texts that are no UTF-8
		}
		var back controlv1.Metered
		if err := document.Parse(again, &back); err != nil || !proto.Equal(&into, &back) {
			t.Errorf("%q: %v", again, err)
		}
	})
}
