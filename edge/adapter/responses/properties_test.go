package responses_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/responses"
	"tollgate/edge/adapter/sse"
	"tollgate/internal/testenv/schemas"
)

// spoken is an answer in both of its forms.
type spoken struct {
	reasoning, text, refusal string
	calls                    []spokenCall
	finish                   string
	usage                    string // JSON
}

type spokenCall struct{ id, name, args string }

func quoted(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

var anySpoken = rapid.Custom(func(t *rapid.T) spoken {
	text := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.StringMatching(`[ -~äö€😀\n"\\]{0,40}`))
	s := spoken{
		reasoning: text.Draw(t, "reasoning"), text: text.Draw(t, "text"), refusal: text.Draw(t, "refusal"),
		finish: rapid.SampledFrom([]string{"stop", "length", "tool_calls", "content_filter"}).Draw(t, "finish"),
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "calls") {
		args := quoted(rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "args"))
		s.calls = append(s.calls, spokenCall{fmt.Sprintf("call_%d", i), rapid.StringMatching(`[a-z_]{1,12}`).Draw(t, "name"), args})
	}
	in, out := rapid.Int64Range(0, 1<<40).Draw(t, "in"), rapid.Int64Range(0, 1<<40).Draw(t, "out")
	cached, thought := rapid.Int64Range(0, in).Draw(t, "cached"), rapid.Int64Range(0, out).Draw(t, "thought")
	s.usage = fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d},`+
		`"completion_tokens_details":{"reasoning_tokens":%d}}`, in, out, in+out, cached, thought)
	return s
})

// whole is the answer as one document.
func (s spoken) whole() []byte {
	message := map[string]any{"role": "assistant", "content": nil}
	if s.text != "" {
		message["content"] = s.text
	}
	if s.reasoning != "" {
		message["reasoning_content"] = s.reasoning
	}
	if s.refusal != "" {
		message["refusal"] = s.refusal
	}
	var calls []any
	for _, c := range s.calls {
		calls = append(calls, map[string]any{"id": c.id, "type": "function", "function": map[string]any{"name": c.name, "arguments": c.args}})
	}
	if calls != nil {
		message["tool_calls"] = calls
	}
	return []byte(quoted(map[string]any{
		"object": "chat.completion", "usage": json.RawMessage(s.usage),
		"choices": []any{map[string]any{"index": 0, "message": message, "finish_reason": s.finish}},
	}))
}

// stream is the answer as events, each of which says a piece of it. A call's last pieces may come after the next call has begun.
func (s spoken) stream(t *rapid.T) []byte {
	var out []byte
	delta := func(d any) {
		out = sse.Append(out, "", []byte(quoted(map[string]any{"choices": []any{map[string]any{"index": 0, "delta": d, "finish_reason": nil}}})))
	}
	pieces := func(label, text string, say func(string)) {
		for runes := []rune(text); len(runes) > 0; {
			n := rapid.IntRange(1, len(runes)).Draw(t, label)
			say(string(runes[:n]))
			runes = runes[n:]
		}
	}
	out = sse.Append(out, "", []byte(`{"choices":[],"prompt_filter_results":[]}`))
	delta(map[string]any{"role": "assistant", "content": ""})
	pieces("reasoning", s.reasoning, func(p string) { delta(map[string]any{"reasoning_content": p, "content": nil}) })
	pieces("text", s.text, func(p string) { delta(map[string]any{"content": p}) })
	pieces("refusal", s.refusal, func(p string) { delta(map[string]any{"refusal": p}) })
	late := map[int]string{}
	fragment := func(f map[string]any) { delta(map[string]any{"content": "", "tool_calls": []any{f}}) }
	for i, c := range s.calls {
		fragment(map[string]any{"index": i, "id": c.id, "type": "function", "function": map[string]any{"name": c.name, "arguments": ""}})
		if rapid.Bool().Draw(t, "late") {
			cut := len([]rune(c.args)) / 2
			late[i] = string([]rune(c.args)[cut:])
			c.args = string([]rune(c.args)[:cut])
		}
		pieces("args", c.args, func(p string) { fragment(map[string]any{"index": i, "function": map[string]any{"arguments": p}}) })
	}
	for i := range s.calls {
		pieces("late", late[i], func(p string) { fragment(map[string]any{"index": i, "function": map[string]any{"arguments": p}}) })
	}
	out = sse.Append(out, "", []byte(`{"choices":[{"index":0,"delta":{},"finish_reason":"`+s.finish+`"}]}`))
	out = sse.Append(out, "", []byte(`{"choices":[],"usage":`+s.usage+`}`))
	return sse.Append(out, "", []byte("[DONE]"))
}

// cut cuts a stream into pieces as a network would.
func cut(t *rapid.T, stream []byte) (pieces [][]byte) {
	for len(stream) > 0 {
		n := rapid.IntRange(1, min(len(stream), 400)).Draw(t, "piece")
		pieces = append(pieces, stream[:n])
		stream = stream[n:]
	}
	return pieces
}

// Guarantee: an answer that streams comes to the same response as one that comes whole, however the vendor and the network cut
// it, and neither text nor arguments nor a count changes.
func TestStreamSaysWhatTheAnswerSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := anySpoken.Draw(t, "answer")
		want, err := full(t).Answer(nil, s.whole()) //nolint:staticcheck // it is not looked at
		if err != nil {
			t.Fatal(err)
		}
		if err := schemas.Check("openai-response", want); err != nil {
			t.Fatalf("%v\n%s", err, want)
		}
		got, err := schemas.ResponsesStream(told(full(t), cut(t, s.stream(t))...))
		if err != nil {
			t.Fatal(err)
		}
		if sorted(t, got.Final) != sorted(t, string(want)) {
			t.Fatalf("the stream ends with\n%s\nand the answer is\n%s", got.Final, want)
		}
		if got.Text != s.text || got.Refusal != s.refusal || got.Thoughts != s.reasoning || len(got.Calls) != len(s.calls) {
			t.Fatalf("%+v is not %+v", got, s)
		}
		for i, c := range s.calls {
			if g := got.Calls[i]; g.ID != c.id || g.Name != c.name || g.Arguments != c.args {
				t.Fatalf("call %d is %+v, and was %+v", i, g, c)
			}
		}
		u, vendors := gjson.Get(got.Final, "usage"), gjson.Parse(s.usage)
		for name, from := range map[string]string{
			"input_tokens": "prompt_tokens", "input_tokens_details.cached_tokens": "prompt_tokens_details.cached_tokens",
			"output_tokens_details.reasoning_tokens": "completion_tokens_details.reasoning_tokens",
			"output_tokens":                          "completion_tokens", "total_tokens": "total_tokens",
		} {
			if u.Get(name).Int() != vendors.Get(from).Int() {
				t.Fatalf("%s is %s of %s", name, u.Raw, s.usage)
			}
		}
	})
}

// Guarantee: wherever a stream breaks off, what the caller has got is legal, has an error as its last event, and no end.
func TestBrokenStreamHasNoEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := anySpoken.Draw(t, "answer")
		stream := s.stream(t)
		stream = stream[:rapid.IntRange(0, len(stream)-len("data: [DONE]\n\n")).Draw(t, "length")]
		x := full(t).Stream(nil) //nolint:staticcheck // it is not looked at
		var out []byte
		var err error
		for _, p := range cut(t, stream) {
			if out, err = x.Next(out, p); err != nil {
				t.Fatal(err)
			}
			if _, err := schemas.ResponsesStream(out); err != nil {
				t.Fatal(err)
			}
		}
		out, err = x.End(x.Ping(out), false)
		var told *adapter.Error
		if !errors.As(err, &told) {
			t.Fatalf("the end is told as %v", err)
		}
		out = x.Fail(out, told, "req_1")
		got, err := schemas.ResponsesStream(out)
		if err != nil || got.Final != "" || gjson.Get(got.Error, "error.type").Str != "server_error" {
			t.Fatalf("%v: %+v", err, got)
		}
		if again := x.Fail(out, told, ""); len(again) != len(out) {
			t.Fatal("there are two errors")
		}
	})
}

// full is the translation of a request that has everything that an answer repeats.
func full(t *rapid.T) adapter.Translation {
	x, err := responses.Translate([]byte(`{"model":"mine","input":"Hi","instructions":"Be\nkind","tools":[{"type":"function","name":"f",
		"parameters":{"type":"object",
		"properties":{}}}],"metadata":{"a":"b"},"temperature":0.5,"user":"u"}`), newCall(nil))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// sorted is JSON with its fields in order.
func sorted(t *rapid.T, doc string) string {
	var v any
	if err := json.Unmarshal([]byte(doc), &v); err != nil {
		t.Fatal(err)
	}
	return quoted(v)
}
