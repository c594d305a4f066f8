package meter

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"tollgate/internal/meter/frame"
)

// Guarantee: a field of a request is what gjson finds in its body, which is a document if it is valid, however often and with
// whatever else a name is there.
func TestFieldsOfARequest(t *testing.T) {
	t.Parallel()
	paths := append([]string{"usage.in.out", "list.in", "x", "usage.x.in", "model.in", "in"}, asked...)
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SampledFrom([]string{"", " ", "\n"}).Draw(t, "before") + someValue(t, 4)
		if rapid.Bool().Draw(t, "doubled") {
			body = strings.TrimSuffix(body, "}") + `,"usage":{"in":7},"model":"b","x":1}`
		}
		if rapid.Bool().Draw(t, "cut") {
			at := rapid.IntRange(0, len(body)).Draw(t, "at")
			body = body[:at] + rapid.SampledFrom([]string{"", "}", ",", "\x01", `"`}).Draw(t, "junk") + body[min(len(body), at+1):]
		}
		r := &Request{Body: []byte(body), Whole: true}
		valid := len(body) > 0 && frame.Valid([]byte(body))
		if r.document() != valid {
			t.Fatalf("%s: a document %v, want %v", body, r.document(), valid)
		}
		if start := strings.TrimLeft(body, " \r\n\t"); r.parsed.object != (valid && start[0] == '{') {
			t.Fatalf("%s: an object %v", body, r.parsed.object)
		}
		for _, path := range paths {
			var want gjson.Result
			if valid {
				want = gjson.Get(body, path)
			}
			if got := r.field(path); got.Type != want.Type || got.Raw != want.Raw || got.Str != want.Str || got.Num != want.Num {
				t.Fatalf("%s in %s: %q, want %q", path, body, got.Raw, want.Raw)
			}
			if want.Exists() && r.parsed.indexed {
				found++
			}
		}
	})
	if found == 0 {
		t.Error("nothing was found")
	}
}

// Guarantee: of a request with more fields than are indexed, and of one that was let go, fields are what they were.
func TestFieldsOfALargeRequest(t *testing.T) {
	t.Parallel()
	body := `{"a":1` + strings.Repeat(`,"b":2`, mostMembers) + `,"c":3}`
	r := &Request{Body: []byte(body), Whole: true}
	if v := r.field("c"); v.Raw != "3" || r.parsed.indexed {
		t.Errorf("%q, indexed %v", v.Raw, r.parsed.indexed)
	}
	r = &Request{Body: []byte(`{"a":1}`), Whole: true}
	if v := r.field("a"); v.Raw != "1" || !r.parsed.indexed {
		t.Errorf("%q, indexed %v", v.Raw, r.parsed.indexed)
	}
	if r.LetGo(); r.field("a").Exists() {
		t.Error("a body is held on to")
	}
}

// Guarantee: a path is taken for one of names alone just where it is.
func TestNamesAlone(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"a": true, "a.b-1._c": true, "stream_options.include_usage": true, "": false, "a.": false, ".a": false, "a..b": false, "1": false, "a.1": false, "a.#": false, `a\.b`: false,
		"é": false, "a*": false, "@this": false, "-a": false, "a|b": false,
	} {
		if got := namesAlone(path); got != want || got != plainField.MatchString(path) {
			t.Errorf("%q: %v", path, got)
		}
	}
}
