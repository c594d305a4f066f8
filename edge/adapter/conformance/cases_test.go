package conformance_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/translate"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// group is a file of cases.
type group struct {
	About          string
	Client, Vendor schema
	Cases          []example
}

// example is one case. A request is merged into the plainest one that there is, and so is what it has to become.
type example struct {
	Name string
	Rows []string // of the tables
	Note string   // why it is not as the row has it at first sight

	Options json.RawMessage // of the deployment
	Request json.RawMessage // a merge patch (RFC 7396)
	Text    string          // in its place: the request as it is
	Sent    json.RawMessage // a merge patch as well; the whole request is compared
	Beyond  bool            // it has what the vendor's schema has not
	Dropped []string
	Refused *refusal

	Answer json.RawMessage // a merge patch
	Gives  json.RawMessage // a merge patch; the whole answer is compared

	Stream []json.RawMessage // events of the vendor; a JSON string is one's data as it is, or a comment if it begins with a colon
	Cut    bool              // it breaks off behind them
	Events []json.RawMessage // of the client: what each must at least have
	Fails  *refusal          // of an answer or a stream
}

type refusal struct {
	Param string
	Says  []string
	Kind  adapter.Kind // Invalid for requests, Broken for answers if not said
	Code  string
}

// schema is one with a name that files have.
type schema struct{ adapter.Schema }

// UnmarshalText reads the name.
func (s *schema) UnmarshalText(text []byte) error {
	for _, s.Schema = range []adapter.Schema{adapter.Chat, adapter.Messages, adapter.Responses} {
		if s.String() == string(text) {
			return nil
		}
	}
	return fmt.Errorf("there is no schema %s", text)
}

// read reads all files of testdata that match, strictly.
func read[T any](tb testing.TB, pattern string) map[string]T {
	tb.Helper()
	files, err := filepath.Glob("testdata/" + pattern)
	if err != nil || len(files) == 0 {
		tb.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	all := make(map[string]T, len(files))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		var v T
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&v); err != nil {
			tb.Fatalf("%s: %v", f, err)
		}
		all[filepath.Base(f)] = v
	}
	return all
}

// each runs a test for every case of requests, answers and streams.
func each(t *testing.T, do func(*testing.T, *group, *example)) {
	t.Helper()
	for name, g := range read[group](t, "case-*.json") {
		for i := range g.Cases {
			c := &g.Cases[i]
			t.Run(name+"/"+c.Name, func(t *testing.T) {
				t.Parallel()
				do(t, &g, c)
			})
		}
	}
}

// plain is the plainest request of each schema, and what becomes of it.
var plain = map[adapter.Schema]struct{ request, sent string }{
	adapter.Messages: {
		`{"model":"mine","max_tokens":100,"messages":[{"role":"user","content":"Hi"}]}`,
		`{"model":"theirs","max_tokens":8192,"messages":[{"role":"user","content":"Hi"}]}`,
	},
	adapter.Chat: {
		`{"model":"mine","messages":[{"role":"user","content":"Hi"}]}`,
		`{"model":"theirs","max_completion_tokens":100,"messages":[{"role":"user","content":"Hi"}]}`,
	},
}

// request is that of a case.
func (c *example) request(tb testing.TB, client adapter.Schema) []byte {
	tb.Helper()
	if c.Text != "" {
		return []byte(c.Text)
	}
	return patched(tb, plain[client].request, c.Request)
}

// call is what the translation of a case knows besides the request.
func (c *example) call(tb testing.TB) *adapter.Call {
	tb.Helper()
	o := &controlv1.VendorOptions{}
	if c.Options != nil {
		if err := protojson.Unmarshal(c.Options, o); err != nil {
			tb.Fatal(err)
		}
	}
	return &adapter.Call{Asked: "mine", Model: "theirs", Options: o, Vendor: "mine/acme", ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Unix: 1_790_000_000}
}

// translation translates the request of a case.
func (c *example) translation(tb testing.TB, g *group) (adapter.Translation, error) {
	tb.Helper()
	body := c.request(tb, g.Client.Schema)
	before := bytes.Clone(body)
	x, err := translate.New(g.Client.Schema, g.Vendor.Schema, body, c.call(tb))
	if !bytes.Equal(before, body) {
		tb.Errorf("the caller's bytes were changed: %s", body)
	}
	return x, err
}

// accepted is a translation that must not be refused.
func (c *example) accepted(tb testing.TB, g *group) adapter.Translation {
	tb.Helper()
	x, err := c.translation(tb, g)
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

// is says what is wrong with an error.
func (r *refusal) is(err error, kind adapter.Kind) error {
	var e *adapter.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("it is no refusal but %T", err)
	}
	if r.Kind != 0 {
		kind = r.Kind
	}
	if e.Kind != kind || e.Param != r.Param || e.Code != r.Code {
		return fmt.Errorf("it is of the kind %d about %q with code %q: %w", e.Kind, e.Param, e.Code, err)
	}
	for _, word := range r.Says {
		if !bytes.Contains([]byte(e.Message), []byte(word)) {
			return fmt.Errorf("%q does not say %q", e.Message, word)
		}
	}
	return nil
}

// value parses JSON; numbers stay as they are written.
func value(tb testing.TB, text []byte) any {
	tb.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		tb.Fatalf("%v: %s", err, text)
	}
	return v
}

// patched is a document with a merge patch applied.
func patched(tb testing.TB, doc string, patch []byte) []byte {
	tb.Helper()
	if patch == nil {
		return []byte(doc)
	}
	out, err := json.Marshal(merged(value(tb, []byte(doc)), value(tb, patch)))
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func merged(doc, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	d, ok := doc.(map[string]any)
	if !ok {
		d = map[string]any{}
	}
	for k, v := range p {
		if v == nil {
			delete(d, k)
		} else {
			d[k] = merged(d[k], v)
		}
	}
	return d
}

// same fails if two documents are not.
func same(tb testing.TB, got, want []byte) {
	tb.Helper()
	if !reflect.DeepEqual(value(tb, got), value(tb, want)) {
		tb.Errorf("it is     %s\nand not   %s", got, want)
	}
}
