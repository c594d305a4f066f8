package inject_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/internal/meter/inject"
)

var includeUsage = inject.Field{Path: "stream_options.include_usage", Value: "true"}

// Guarantee: what the caller has set stays, what it has not is set, and every other byte stays as it was.
func TestSet(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ body, want, err string }{
		{`{}`, `{"stream_options":{"include_usage":true}}`, ""},
		{"\n { }\r\n", "\n { \"stream_options\":{\"include_usage\":true}}\r\n", ""},
		{`{"a":1.0e3, "s" : "é\u00e9"  }`, `{"a":1.0e3, "s" : "é\u00e9"  ,"stream_options":{"include_usage":true}}`, ""},
		{`{"stream_options":null,"b":2}`, `{"stream_options":{"include_usage":true},"b":2}`, ""},
		{`{"stream_options":{"x": 1 }}`, `{"stream_options":{"x": 1 ,"include_usage":true}}`, ""},
		{`{"stream_options":{"include_usage":null}}`, `{"stream_options":{"include_usage":true}}`, ""},
		{`{"stream_options":{"include_usage": false}}`, `{"stream_options":{"include_usage": false}}`, ""},
		{`{"stream_options":5}`, "", "stream_options is no object"},
		{`{"stream_options":{},"stream_options":{}}`, "", "stream_options is there twice"},
		{`{"a":1`, "", "no JSON object"},
		{`[]`, "", "no JSON object"},
		{``, "", "no JSON object"},
	} {
		got, set, err := inject.Set([]byte(test.body), includeUsage)
		switch {
		case test.err != "":
			if err == nil || !strings.Contains(err.Error(), test.err) || got != nil {
				t.Errorf("%s: %q, %v, want an error that says %q", test.body, got, err, test.err)
			}
		case err != nil || string(got) != test.want || (len(set) == 1) != (test.want != test.body):
			t.Errorf("%s: %s, %v, %v, want %s", test.body, got, set, err, test.want)
		}
	}
}

// Guarantee: a body with a field set is JSON that says the same but for the field, and setting it again changes nothing.
func TestSetAddsNothingElse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		object := rapid.MapOf(rapid.StringMatching(`[a-z_]{1,8}`), rapid.OneOf(
			rapid.Map(rapid.Int(), func(n int) any { return n }), rapid.Map(rapid.String(), func(s string) any { return s }),
			rapid.Just[any](nil), rapid.Just[any](map[string]any{"x": []any{1.5, true}}))).Draw(t, "object")
		body, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		changed, set, err := inject.Set(body, includeUsage, inject.Field{Path: "max_tokens", Value: "16"})
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		numbers := json.NewDecoder(bytes.NewReader(changed))
		numbers.UseNumber() // which no float can change
		if err := numbers.Decode(&got); err != nil {
			t.Fatalf("%s: %v", changed, err)
		}
		for _, f := range set {
			name, _, _ := strings.Cut(f.Path, ".")
			delete(got, name)
			delete(object, name)
		}
		want, _ := json.Marshal(object)
		if rest, _ := json.Marshal(got); !bytes.Equal(rest, want) {
			t.Fatalf("%s became %s", want, rest)
		}
		if again, set, err := inject.Set(changed, includeUsage); err != nil || set != nil || !bytes.Equal(again, changed) {
			t.Fatalf("once more: %s, %v, %v", again, set, err)
		}
	})
}

// Guarantee: only an answer that names a field says that it is not known.
func TestRefused(t *testing.T) {
	t.Parallel()
	fields := []inject.Field{includeUsage}
	for _, test := range []struct {
		status int
		body   string
		want   bool
	}{
		{400, `{"error":{"message":"Unrecognized request argument supplied: stream_options"}}`, true},
		{422, `{"detail":[{"loc":["body","stream_options","include_usage"],"msg":"extra fields not permitted"}]}`, true},
		{400, `{"error":{"message":"model is missing"}}`, false},
		{500, `{"error":"stream_options"}`, false},
		{200, `stream_options`, false},
	} {
		if got := inject.Refused(test.status, []byte(test.body), fields); got != test.want {
			t.Errorf("%d %s: %v", test.status, test.body, got)
		}
	}
}

const (
	usageEvent = `data: {"id":"x","choices":[],"usage":{"prompt_tokens":1}}`
	textEvent  = `data: {"id":"x","choices":[{"delta":{"content":"a"}}],"usage":null}`
	azureEvent = `data: {"id":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}`
)

// filtered is what goes on of a stream that comes in pieces of the sizes that cut says.
func filtered(stream string, cut func(left int) int) string {
	var u inject.UsageOnly
	var out []byte
	for p := []byte(stream); len(p) > 0; {
		n := cut(len(p))
		out, p = u.Next(out, bytes.Clone(p[:n])), p[n:]
	}
	return string(u.Rest(out))
}

// Guarantee: of a stream the events that have usage alone are left out, and all other bytes stay, with any line ends and
// in pieces of any size.
func TestUsageOnly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOf(rapid.SampledFrom([]string{
			usageEvent, textEvent, azureEvent, "data: [DONE]", ": comment", "event: x\n" + usageEvent, "data: {\"choices\":[],\ndata: \"usage\":{}}",
			"data: {\"choices\":[]", "", "id: 1\ndata:" + textEvent[6:], "data: " + strings.Repeat("y", 70_000),
		})).Draw(t, "events")
		var all, want strings.Builder
		for i, e := range events {
			end := rapid.SampledFrom([]string{"\n", "\r\n", "\r"}).Draw(t, "end")
			text := strings.ReplaceAll(e, "\n", end) + end + end
			if e == "" {
				text = end
			}
			// A CR and an LF that meet would be one line end.
			if before := all.String(); strings.HasSuffix(before, "\r") && strings.HasPrefix(text, "\n") {
				continue
			}
			all.WriteString(text)
			if !strings.Contains(e, `"choices":[],`) || e == azureEvent {
				want.WriteString(text)
			}
			if i == len(events)-1 {
				break
			}
		}
		got := filtered(all.String(), func(left int) int { return rapid.IntRange(1, left).Draw(t, "piece") })
		if got != want.String() {
			t.Fatalf("%q\nbecame %q\nwant   %q", all.String(), got, want.String())
		}
	})
}

// Guarantee: an event goes on as soon as it has ended, and what has not ended goes on at the end.
func TestUsageOnlyKeepsNothingBack(t *testing.T) {
	t.Parallel()
	var u inject.UsageOnly
	if got := string(u.Next(nil, []byte(textEvent+"\n\n"+usageEvent))); got != textEvent+"\n\n" {
		t.Errorf("%q went on", got)
	}
	if got := string(u.Rest(nil)); got != usageEvent {
		t.Errorf("%q went on at the end", got)
	}
	if got := string(u.Next(nil, []byte("\n\n"))); got != "" {
		t.Errorf("%q went on of what is left out", got)
	}
}

// The way a stream is cut changes nothing, and nothing is added to it.
func FuzzUsageOnly(f *testing.F) {
	f.Add(textEvent+"\n\n"+usageEvent+"\r\n\r\ndata: [DONE]\r\r", 3)
	f.Fuzz(func(t *testing.T, stream string, size int) {
		size = min(max(size, 1), 1<<16)
		whole := filtered(stream, func(left int) int { return left })
		if pieces := filtered(stream, func(left int) int { return min(left, size) }); pieces != whole {
			t.Fatalf("%q is %q whole and %q in pieces of %d", stream, whole, pieces, size)
		}
		if len(whole) > len(stream) {
			t.Fatalf("%q became %q", stream, whole)
		}
	})
}

func FuzzSet(f *testing.F) {
	f.Add([]byte(`{"stream_options":{"a":1}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		changed, set, err := inject.Set(body, includeUsage)
		if err != nil {
			return
		}
		if !json.Valid(changed) || len(set) > 1 {
			t.Fatalf("%q became %q", body, changed)
		}
	})
}
