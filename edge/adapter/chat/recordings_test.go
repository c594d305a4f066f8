package chat

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vectors"
)

func call() *adapter.Call {
	return &adapter.Call{
		Asked: "claude", Model: "claude-sonnet-4-5", Options: &controlv1.VendorOptions{}, Vendor: "claude/anthropic",
		ID: "abcdefghijklmnopqrstuvwxyz", Unix: 1_750_000_000,
	}
}

// refused are the recorded requests that Anthropic Messages has no words for, by the field that they are refused for.
var refused = map[string]string{
	"openai/audio-tokens--test-audio-as-binary-content-input-946711.json":                                  "messages[0].content[1]",
	"openai/chat-stream-text--chat-streaming-detailed-usage-60d780.json":                                   "messages", // a system prompt, and no question
	"openai/chat-stream-text--chat-streaming-web-search-23b82d.json":                                       "web_search_options",
	"openai/n-choices--testfinishreasondeduplication-test-streaming-deduplicates-finish-reaso-34927c.json": "n",
	"openrouter/chat-stream--test-openrouter-web-search-tool-usage-stream-c065be.json":                     "tools[0].type",
	"translation-goldens/agentgateway/requests/completions/full.json":                                      "n",
	"translation-goldens/agentgateway/requests/completions/generation-config.json":                         "n",
	"translation-goldens/agentgateway/requests/completions/image-file.json":                                "messages[0].content[1].image_url.url", // of Google's storage
}

// Guarantee: every recorded request of Chat Completions, to whatever vendor, becomes a request that Anthropic takes, with all that
// was said in it, or is refused by the name of the field that has no counterpart.
func TestRecordedRequests(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, x := range vectors.All(t) {
		if !strings.Contains(x.URL, "/chat/completions") && !strings.Contains(x.Name, "/requests/completions/") {
			continue
		}
		body := x.RequestBody
		if !gjson.GetBytes(body, "messages").Exists() {
			continue
		}
		seen++
		tr, err := Translate(body, call())
		if want, ok := refused[x.Name]; ok || err != nil {
			var refusal *adapter.Error
			if !errors.As(err, &refusal) || refusal.Param != want || refusal.Kind != adapter.Invalid {
				t.Errorf("%s: %v, and not %q", x.Name, err, want)
			}
			continue
		}
		if err := schemas.Check("anthropic-request", tr.Body()); err != nil {
			t.Errorf("%s: %v\n%s", x.Name, err, tr.Body())
		}
		checkSaid(t, x.Name, body, tr.Body())
	}
	if seen < 75 {
		t.Errorf("%d recordings", seen)
	}
}

// checkSaid compares texts of a conversation, in any order, and roles' turns.
func checkSaid(t *testing.T, name string, from, to []byte) {
	t.Helper()
	var said []string
	for _, m := range gjson.GetBytes(from, "messages").Array() {
		c := m.Get("content")
		if c.Type == gjson.String {
			said = append(said, c.Str)
		}
		for _, p := range c.Array() {
			if p.IsObject() {
				said = append(said, p.Get("text").Str)
			}
		}
	}
	system := gjson.GetBytes(to, "system").Str
	got := system + "\x00"
	role := "assistant"
	for _, m := range gjson.GetBytes(to, "messages").Array() {
		if r := m.Get("role").Str; r == role {
			t.Errorf("%s: two turns of %s", name, r)
		} else {
			role = r
		}
		for _, p := range m.Get("content").Array() {
			got += p.Get("text").Str + "\x00" + p.Get("content").String() + "\x00"
		}
	}
	for _, s := range said {
		if !strings.Contains(got, strings.TrimRight(s, " \n")) {
			t.Errorf("%s: %q is lost", name, s)
		}
	}
}

// message is what an answer of Anthropic's says.
type message struct {
	text, thinking string
	calls          []schemas.ChatCall
	reason         string
}

// whole reads an answer of Anthropic's.
func whole(doc gjson.Result) (m message) {
	for _, b := range doc.Get("content").Array() {
		switch b.Get("type").Str {
		case "text":
			m.text += b.Get("text").Str
		case "thinking":
			m.thinking += b.Get("thinking").Str
		case "tool_use":
			m.calls = append(m.calls, schemas.ChatCall{ID: b.Get("id").Str, Name: b.Get("name").Str, Arguments: b.Get("input|@ugly").Raw})
		}
	}
	m.reason = doc.Get("stop_reason").Str
	return m
}

// events reads a stream of Anthropic's, line by line.
func events(stream []byte) (m message, usage map[string]int64) {
	usage = map[string]int64{}
	blocks := map[int64]int{}
	for line := range strings.Lines(string(stream)) {
		doc := gjson.Parse(strings.TrimPrefix(strings.TrimSpace(line), "data:"))
		switch d, index := doc.Get("delta"), doc.Get("index").Int(); doc.Get("type").Str {
		case "content_block_start":
			delete(blocks, index)
			if b := doc.Get("content_block"); b.Get("type").Str == "tool_use" {
				blocks[index] = len(m.calls)
				m.calls = append(m.calls, schemas.ChatCall{ID: b.Get("id").Str, Name: b.Get("name").Str})
			}
		case "content_block_delta":
			m.text += d.Get("text").Str
			m.thinking += d.Get("thinking").Str
			if i, ok := blocks[index]; ok {
				m.calls[i].Arguments += d.Get("partial_json").Str
			}
		case "content_block_stop":
			if i, ok := blocks[index]; ok && m.calls[i].Arguments == "" {
				m.calls[i].Arguments = "{}"
			}
		case "message_delta":
			m.reason = d.Get("stop_reason").Str
		}
		for _, at := range []string{"message.usage", "usage"} {
			doc.Get(at).ForEach(func(k, v gjson.Result) bool {
				if v.Type == gjson.Number {
					usage[k.Str] = v.Int()
				}
				return true
			})
		}
	}
	return m, usage
}

// start translates a small request, so that there is something to answer.
func start(tb testing.TB, body string) *translation {
	tb.Helper()
	tr, err := Translate([]byte(body), call())
	if err != nil {
		tb.Fatal(err)
	}
	return tr.(*translation)
}

const asking = `{"model":"claude","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}`

var reasons = map[string]string{
	"end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "max_tokens": "length", "model_context_window_exceeded": "length",
	"tool_use": "tool_calls", "refusal": "content_filter",
}

// Guarantee: every recorded answer of Anthropic's becomes a valid answer of Chat Completions with the same text, thoughts and calls,
// and all tokens.
func TestRecordedAnswers(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, x := range vectors.All(t) {
		doc := gjson.ParseBytes(x.Body)
		if doc.Get("type").Str != "message" || !strings.Contains(x.Name, "anthropic") {
			continue
		}
		seen++
		out, err := start(t, asking).Answer(t.Context(), x.Body)
		if err != nil {
			t.Errorf("%s: %v", x.Name, err)
			continue
		}
		if err := schemas.Check("openai-chat-completion", out); err != nil {
			t.Errorf("%s: %v\n%s", x.Name, err, out)
		}
		want, got := whole(doc), gjson.ParseBytes(out)
		m := got.Get("choices.0.message")
		if m.Get("content").Str != want.text || m.Get("reasoning_content").Str != want.thinking {
			t.Errorf("%s: %q, %q and not %+v", x.Name, m.Get("content").Str, m.Get("reasoning_content").Str, want)
		}
		if r := got.Get("choices.0.finish_reason").Str; r != reasons[want.reason] {
			t.Errorf("%s: ends for %s", x.Name, r)
		}
		calls := m.Get("tool_calls").Array()
		if len(calls) != len(want.calls) {
			t.Errorf("%s: %d calls", x.Name, len(calls))
			continue
		}
		for i, c := range calls {
			if got := (schemas.ChatCall{ID: c.Get("id").Str, Name: c.Get("function.name").Str, Arguments: c.Get("function.arguments").Str}); got != want.calls[i] {
				t.Errorf("%s: %+v and not %+v", x.Name, got, want.calls[i])
			}
		}
		u := doc.Get("usage")
		numbers := map[string]int64{}
		for _, k := range []string{"input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"} {
			numbers[k] = u.Get(k).Int()
		}
		checkUsage(t, x.Name, numbers, got.Get("usage"))
	}
	if seen < 25 {
		t.Errorf("%d recordings", seen)
	}
}

func checkUsage(t *testing.T, name string, from map[string]int64, to gjson.Result) {
	t.Helper()
	prompt := from["input_tokens"] + from["cache_read_input_tokens"] + from["cache_creation_input_tokens"]
	for k, want := range map[string]int64{
		"prompt_tokens": prompt, "completion_tokens": from["output_tokens"], "total_tokens": prompt + from["output_tokens"],
		"prompt_tokens_details.cached_tokens": from["cache_read_input_tokens"], "prompt_tokens_details.cache_write_tokens": from["cache_creation_input_tokens"],
	} {
		if got := to.Get(k).Int(); got != want {
			t.Errorf("%s: %s is %d, and not %d", name, k, got, want)
		}
	}
}

// broken are the recorded streams that are no whole answer, by what is said of them.
var broken = map[string]string{}

// Guarantee: every recorded stream of Anthropic's becomes a legal stream of Chat Completions with the same text, thoughts and calls,
// all tokens, and an end only if the vendor has sent one.
func TestRecordedStreams(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, x := range vectors.All(t) {
		if !strings.Contains(x.Name, "anthropic") || !bytes.Contains(x.Body, []byte(`"message_start"`)) {
			continue
		}
		body := x.Body
		if strings.HasSuffix(x.Name, ".ndjson") {
			body = []byte("data: " + strings.ReplaceAll(strings.TrimSpace(string(body)), "\n", "\n\ndata: ") + "\n\n")
		}
		seen++
		s := start(t, asking).Stream(t.Context())
		out, err := s.Next(nil, body)
		if err == nil {
			out, err = s.End(out, true)
		}
		if want, ok := broken[x.Name]; ok || err != nil {
			if err == nil || want == "" || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, and not %q", x.Name, err, want)
			}
			if bytes.Contains(out, []byte("[DONE]")) {
				t.Errorf("%s: it looks whole", x.Name)
			}
			continue
		}
		got, err := schemas.ChatStream(out, true)
		if err != nil || !got.Done {
			t.Errorf("%s: %v\n%s", x.Name, err, out)
			continue
		}
		want, usage := events(body)
		if got.Text != want.text || got.Reasoning != want.thinking || got.FinishReason != reasons[want.reason] {
			t.Errorf("%s: %+v and not %+v", x.Name, got, want)
		}
		if len(got.Calls) != len(want.calls) {
			t.Errorf("%s: %d calls", x.Name, len(got.Calls))
			continue
		}
		for i, c := range got.Calls {
			if c != want.calls[i] {
				t.Errorf("%s: %+v and not %+v", x.Name, c, want.calls[i])
			}
		}
		checkUsage(t, x.Name, usage, gjson.Parse(got.Usage))
	}
	if seen < 30 {
		t.Errorf("%d recordings", seen)
	}
}
