package jsontext_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"tollgate/edge/adapter/jsontext"
)

// Guarantee: a document that is written as a text is the same document when it is read again, to the digit and the escape, on one line.
func TestDocument(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{}`:                             `"{}"`,
		"{ \"a\" :\r\n\t[1.00, 1e400] }": `"{\"a\":[1.00,1e400]}"`,
		`{"a b":"c \" \\ \/ \u00e9 é"}`:  `"{\"a b\":\"c \\\" \\\\ \\/ \\u00e9 é\"}"`,
		`"\\"`:                           `"\"\\\\\""`,
	} {
		if got := string(jsontext.AppendDocument(nil, doc)); got != want {
			t.Errorf("%s: %s, not %s", doc, got, want)
		}
	}
	words := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`\`, `"`, "\n", `\"`, " { ", "\u2028"}))
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.MapOf(words, rapid.SliceOf(words)).Draw(t, "value")
		doc, err := json.MarshalIndent(value, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		var text string
		if err := json.Unmarshal(jsontext.AppendDocument(nil, string(doc)), &text); err != nil {
			t.Fatal(err)
		}
		got := map[string][]string{}
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, value) {
			t.Fatalf("%s: %s, %v", doc, text, err)
		}
	})
}

// Guarantee: what is no text has nothing between its quotes, and what is no number is not counted.
func TestValues(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{``: ``, `null`: ``, `123`: ``, `{"a":1}`: ``, `""`: ``, `"a\n"`: `a\n`} {
		if got := jsontext.Inner(gjson.Parse(raw)); got != want {
			t.Errorf("%s: %q, not %q", raw, got, want)
		}
	}
	for raw, want := range map[string]int64{``: -1, `null`: -1, `"5"`: -1, `5`: 5, `5.0`: 5, `-5`: 0, `1e300`: 1 << 50, `99999999999999999999`: 1 << 50} {
		n, ok := jsontext.Count(gjson.Parse(raw))
		if ok != (want >= 0) || n != max(0, want) {
			t.Errorf("%s: %d %v, not %d", raw, n, ok, want)
		}
	}
	if jsontext.Present(gjson.Parse(`null`)) || jsontext.Present(gjson.Result{}) || !jsontext.Present(gjson.Parse(`false`)) {
		t.Error("presence")
	}
}
