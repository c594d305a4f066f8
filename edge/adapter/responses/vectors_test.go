package responses_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/responses"
	"tollgate/edge/adapter/sse"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vectors"
)

const id = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

func newCall(options *controlv1.VendorOptions) *adapter.Call {
	if options == nil {
		options = &controlv1.VendorOptions{}
	}
	return &adapter.Call{Asked: "mine", Model: "theirs", Vendor: "mine/theirs", Options: options, ID: id, Unix: 1_790_000_000}
}

func translate(tb testing.TB, body string, options *controlv1.VendorOptions) adapter.Translation {
	tb.Helper()
	x, err := responses.Translate([]byte(body), newCall(options))
	if err != nil {
		tb.Fatalf("%s: %v", body, err)
	}
	return x
}

// told runs a whole stream through a translation, the error of its end included.
func told(x adapter.Translation, pieces ...[]byte) []byte {
	s := x.Stream(nil) //nolint:staticcheck // it is not looked at
	var out []byte
	var err error
	for _, p := range pieces {
		if out, err = s.Next(out, p); err != nil {
			break
		}
	}
	if err == nil {
		out, err = s.End(out, true)
	}
	if err != nil {
		out = s.Fail(out, err.(*adapter.Error), "") //nolint:errorlint // which it promises to be
	}
	return out
}

const plain = `{"model":"mine","input":"Hello"}`

// Guarantee: what clients were recorded to ask of the Responses API becomes a request of Chat Completions, unless a tool of OpenAI's
// own is asked for.
func TestRecordedRequests(t *testing.T) {
	t.Parallel()
	n := 0
	for _, x := range vectors.All(t) {
		if !strings.HasSuffix(x.URL, "/responses") || x.Status != 200 || !json.Valid(x.RequestBody) {
			continue
		}
		n++
		got, err := responses.Translate(x.RequestBody, newCall(nil))
		if strings.Contains(string(x.RequestBody), "web_search") {
			if err == nil || !strings.Contains(err.Error(), "tools[0]") || !strings.Contains(err.Error(), "web_search") {
				t.Errorf("%s: %v", x.Name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", x.Name, err)
			continue
		}
		if got.Streams() != x.Stream {
			t.Errorf("%s: it streams: %v", x.Name, got.Streams())
		}
		checkRequest(t, x.Name, got.Body())
	}
	if n < 8 {
		t.Errorf("%d requests were tried", n)
	}
}

// checkRequest checks a translated request.
func checkRequest(tb testing.TB, name string, body []byte) {
	tb.Helper()
	if err := schemas.Check("openai-chat-request", body); err != nil {
		tb.Errorf("%s: %v\n%s", name, err, body)
	}
	if m := gjson.GetBytes(body, "model").Str; m != "theirs" {
		tb.Errorf("%s: the model is %q", name, m)
	}
}

// Guarantee: every answer that a vendor of Chat Completions was recorded to give becomes a response with the same text, the same calls and
// the same usage.
func TestRecordedAnswers(t *testing.T) {
	t.Parallel()
	n := 0
	for _, x := range vectors.All(t) {
		in := gjson.ParseBytes(x.Body)
		message := in.Get("choices.0.message")
		if !json.Valid(x.Body) || !message.IsObject() || !strings.HasPrefix(in.Get("object").Str, "chat.completion") {
			continue
		}
		n++
		out, err := translate(t, plain, nil).Answer(t.Context(), x.Body)
		if err != nil {
			t.Errorf("%s: %v", x.Name, err)
			continue
		}
		if err := schemas.Check("openai-response", out); err != nil {
			t.Errorf("%s: %v\n%s", x.Name, err, out)
		}
		got := gjson.ParseBytes(out)
		if content := message.Get("content"); content.Type == gjson.String && outputText(got) != content.Str {
			t.Errorf("%s: the text is %q, and was %q", x.Name, outputText(got), content.Str)
		}
		for i, call := range message.Get("tool_calls").Array() {
			item := got.Get(`output.#(type="function_call")#`).Array()[i]
			if item.Get("call_id").Str != call.Get("id").Str || item.Get("name").Str != call.Get("function.name").Str ||
				item.Get("arguments").Str != call.Get("function.arguments").Str {
				t.Errorf("%s: the call is %s, and was %s", x.Name, item.Raw, call.Raw)
			}
		}
		if u := in.Get("usage"); u.IsObject() && got.Get("usage.input_tokens").Int() != u.Get("prompt_tokens").Int() {
			t.Errorf("%s: usage is %s, and was %s", x.Name, got.Get("usage").Raw, u.Raw)
		}
	}
	if n < 20 {
		t.Errorf("%d answers were tried", n)
	}
}

// outputText is what the SDKs call output_text.
func outputText(response gjson.Result) string {
	text := ""
	for _, item := range response.Get(`output.#(type="message")#`).Array() {
		for _, p := range item.Get(`content.#(type="output_text")#`).Array() {
			text += p.Get("text").Str
		}
	}
	return text
}

// recordedStreams are streams of Chat Completions, as server-sent events.
func recordedStreams(tb testing.TB) map[string][]byte {
	tb.Helper()
	out := map[string][]byte{}
	for _, x := range vectors.All(tb) {
		switch {
		case !bytes.Contains(x.Body, []byte(`"chat.completion.chunk"`)):
		case strings.HasSuffix(x.Name, ".ndjson"):
			var stream []byte
			for line := range bytes.Lines(x.Body) {
				if line = bytes.TrimSpace(line); len(line) > 0 {
					stream = sse.Append(stream, "", line)
				}
			}
			out[x.Name] = append(stream, "data: [DONE]\n\n"...)
		default:
			out[x.Name] = x.Body
		}
	}
	if len(out) < 30 {
		tb.Errorf("%d streams were found", len(out))
	}
	return out
}

// chunks is what the first choice of a stream of Chat Completions says.
func chunks(stream []byte) (text, args string, finished, failed bool) {
	var r sse.Reader
	read := func(e sse.Event) error {
		doc := gjson.ParseBytes(e.Data)
		failed = failed || doc.Get("error").Exists()
		for _, choice := range doc.Get("choices").Array() {
			if choice.Get("index").Int() != 0 {
				continue
			}
			if content := choice.Get("delta.content"); content.Type == gjson.String {
				text += content.Str
			} else {
				for _, p := range content.Array() {
					text += p.Get("text").Str
				}
			}
			for _, call := range choice.Get("delta.tool_calls").Array() {
				args += call.Get("function.arguments").Str
			}
			finished = finished || choice.Get("finish_reason").Str != ""
		}
		return nil
	}
	_ = r.Next(stream, read)
	_ = r.End(read)
	return text, args, finished, failed
}

// Guarantee: every stream that a vendor of Chat Completions was recorded to send becomes a legal stream with the same text and the same
// arguments of calls, which ends if and only if the vendor's has ended.
func TestRecordedStreams(t *testing.T) {
	t.Parallel()
	for name, stream := range recordedStreams(t) {
		text, args, finished, failed := chunks(stream)
		got, err := schemas.ResponsesStream(told(translate(t, plain, nil), stream))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Text != text {
			t.Errorf("%s: the text is %q, and was %q", name, got.Text, text)
		}
		all := ""
		for _, c := range got.Calls {
			all += c.Arguments
		}
		if all != args && !(args == "" && all == "{}") {
			t.Errorf("%s: the arguments are %q, and were %q", name, all, args)
		}
		if whole := got.Final != "" && got.Error == ""; whole != (finished && !failed) {
			t.Errorf("%s: it ends %v; finished %v, failed %v", name, whole, finished, failed)
		}
	}
}
