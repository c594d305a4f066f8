package translate_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/sse"
	"tollgate/edge/adapter/translate"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vectors"
)

// asked is a request of Responses that a model of Anthropic is to answer.
func asked(tb testing.TB) adapter.Translation {
	tb.Helper()
	x, err := translate.New(adapter.Responses, adapter.Messages, []byte(`{"model":"mine","instructions":"Be kind","input":[
		{"role":"user","content":[{"type":"input_text","text":"What is this?"},{"type":"input_image","image_url":"data:image/png;base64,AA=="}]},
		{"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},
		{"type":"function_call","call_id":"c1","name":"look","arguments":"{\"at\":1}"},
		{"type":"function_call_output","call_id":"c1","output":"a cat"}],
		"tools":[{"type":"function","name":"look","parameters":{"type":"object","properties":{"at":{"type":"integer"}}}}],
		"tool_choice":"auto","parallel_tool_calls":false,"max_output_tokens":500,"metadata":{"a":"b"},"user":"u"}`),
		&adapter.Call{
			Asked: "mine", Model: "theirs", Vendor: "mine/theirs", Options: &controlv1.VendorOptions{}, ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Unix: 1_790_000_000,
		})
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

// Guarantee: a request of Responses arrives at a model of Anthropic as one of Messages, with all that both can say.
func TestResponsesToMessages(t *testing.T) {
	t.Parallel()
	body := asked(t).Body()
	if err := schemas.Check("anthropic-request", body); err != nil {
		t.Errorf("%v\n%s", err, body)
	}
	for path, want := range map[string]string{
		"model": "theirs", "max_tokens": "500", "metadata.user_id": "u", "messages.0.content.0.text": "What is this?",
		"messages.0.content.1.source.media_type": "image/png", `messages.1.content.#(type="tool_use").input.at`: "1",
		"messages.2.content.0.tool_use_id": "c1", "tool_choice.disable_parallel_tool_use": "true", "tools.0.name": "look",
	} {
		if got := gjson.GetBytes(body, path).String(); got != want {
			t.Errorf("%s is %q and not %q: %s", path, got, want, body)
		}
	}
}

// Guarantee: what Anthropic was recorded to answer reaches a client of Responses as a response, with the same text and the same usage.
func TestRecordedMessagesBecomeResponses(t *testing.T) {
	t.Parallel()
	n := 0
	for _, x := range vectors.All(t) {
		message := gjson.ParseBytes(x.Body)
		if x.Vendor != "anthropic" || x.Status != 200 || x.Stream || message.Get("type").Str != "message" {
			continue
		}
		n++
		out, err := asked(t).Answer(t.Context(), x.Body)
		if err != nil {
			t.Errorf("%s: %v", x.Name, err)
			continue
		}
		if err := schemas.Check("openai-response", out); err != nil {
			t.Errorf("%s: %v\n%s", x.Name, err, out)
		}
		text := ""
		for _, block := range message.Get(`content.#(type="text")#.text`).Array() {
			text += block.Str
		}
		got := gjson.ParseBytes(out)
		if said := got.Get(`output.#(type="message").content.0.text`).Str; said != text {
			t.Errorf("%s: the text is %q, and was %q", x.Name, said, text)
		}
		u := message.Get("usage")
		input := u.Get("input_tokens").Int() + u.Get("cache_read_input_tokens").Int() + u.Get("cache_creation_input_tokens").Int()
		if got.Get("usage.input_tokens").Int() != input || got.Get("usage.output_tokens").Int() != u.Get("output_tokens").Int() {
			t.Errorf("%s: usage is %s, and was %s", x.Name, got.Get("usage").Raw, u.Raw)
		}
	}
	if n < 15 {
		t.Errorf("%d answers were tried", n)
	}
}

// Guarantee: a stream that Anthropic was recorded to send reaches a client of Responses as a legal stream with the same text, and has an
// end only if it had one.
func TestRecordedMessageStreamsBecomeResponses(t *testing.T) {
	t.Parallel()
	n := 0
	for _, x := range vectors.All(t) {
		// Those whose lines are no events, or whose messages run into one another, have tests of their own.
		if x.Vendor != "anthropic" || !x.Stream || !bytes.HasPrefix(x.Body, []byte("event: message_start")) || strings.Contains(x.Name, "duplicate") {
			continue
		}
		n++
		s := asked(t).Stream(t.Context())
		out, err := s.Next(nil, x.Body)
		if err == nil {
			out, err = s.End(out, true)
		}
		stopped := bytes.Contains(x.Body, []byte("event: message_stop"))
		if (err == nil) != stopped {
			t.Errorf("%s: %v", x.Name, err)
		}
		if err != nil {
			out = s.Fail(out, err.(*adapter.Error), "") //nolint:errorlint // which it promises to be
		}
		got, err := schemas.ResponsesStream(out)
		if err != nil || (got.Final != "") != stopped {
			t.Errorf("%s: %v: %s", x.Name, err, got.Error)
		}
		if text := textOf(x.Body); got.Text != text {
			t.Errorf("%s: the text is %q, and was %q", x.Name, got.Text, text)
		}
	}
	if n < 15 {
		t.Errorf("%d streams were tried", n)
	}
}

// textOf is the text of a stream of Messages.
func textOf(stream []byte) (text string) {
	var r sse.Reader
	read := func(e sse.Event) error {
		text += gjson.GetBytes(e.Data, "delta.text").Str + gjson.GetBytes(e.Data, "content_block.text").Str
		return nil
	}
	_ = r.Next(stream, read)
	_ = r.End(read)
	return text
}
