package messages_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/messages"
	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vectors"
)

// refusedRecordings are the recorded requests that no Chat vendor could serve, and the field that says so.
var refusedRecordings = map[string]string{
	"anthropic/error--anthropic-completion-error-e1e2e8.json":                                         "messages[0]", // Anthropic refused it as well
	"anthropic/messages-stream-text--test-prompt-with-prefill-and-stop-sequences-3dc361.json":         "messages[1]",
	"anthropic/messages-stream-tools--computer-use-streaming-f98ffd.json":                             "tools[0]",
	"anthropic/messages-stream-tools--test-anthropic-native-tool-search-streaming-b48e13.json":        "tools[2]",
	"anthropic/server-web-search--test-thinking-with-native-tool-wire-contract-anthropic-b93acd.json": "tools[0]",
	"anthropic/stream-server-tools--test-anthropic-native-tool-search-streaming-0cda22.json":          "tools[2]",
}

// Guarantee: every request that was recorded on its way to Anthropic is translated, or refused for the reason that is known.
func TestRecordedRequests(t *testing.T) {
	t.Parallel()
	n, refusals := 0, 0
	for _, x := range vectors.All(t) {
		if !strings.Contains(x.URL, "/v1/messages") || !json.Valid(x.RequestBody) || strings.Contains(x.URL, "/batches") || x.Method != "POST" {
			continue
		}
		n++
		if strings.Contains(x.URL, "count_tokens") {
			countRecorded(t, x)
			continue
		}
		tr, err := messages.Translate(x.RequestBody, plain())
		want, refuse := refusedRecordings[x.Name]
		var e *adapter.Error
		switch {
		case err == nil && refuse:
			t.Errorf("%s: not refused", x.Name)
		case err == nil:
			if err := schemas.Check("openai-chat-request", tr.Body()); err != nil {
				t.Errorf("%s: %v\n%s", x.Name, err, tr.Body())
			}
		case !errors.As(err, &e) || e.Param != want:
			t.Errorf("%s: %v", x.Name, err)
		default:
			refusals++
		}
	}
	if n < 40 || refusals != len(refusedRecordings) {
		t.Errorf("%d requests were found, %d were refused", n, refusals)
	}
}

// chatVendors are those whose recordings are of Chat Completions.
var chatVendors = []string{"openai", "azure-openai", "groq", "mistral", "deepseek", "xai", "openrouter", "vllm", "perplexity"}

func isChat(x vectors.Exchange) bool {
	return slices.Contains(chatVendors, x.Vendor) && x.Status < 300 &&
		(strings.Contains(x.Name, "/chat") || bytes.Contains(x.Body[:min(len(x.Body), 4096)], []byte(`chat.completion`)))
}

// Guarantee: every recorded answer of Chat Completions becomes one that Anthropic could have given, and loses no text and no call.
func TestRecordedAnswers(t *testing.T) {
	t.Parallel()
	n := 0
	for _, x := range vectors.All(t) {
		var v struct {
			Object  string
			Choices []struct {
				Message struct {
					Content any
					Calls   []struct {
						Function struct{ Name, Arguments string }
					} `json:"tool_calls"`
				}
			}
			Usage struct {
				Prompt     int64 `json:"prompt_tokens"`
				Completion int64 `json:"completion_tokens"`
			}
		}
		if !isChat(x) || x.Stream || json.Unmarshal(x.Body, &v) != nil || v.Object != "chat.completion" {
			continue
		}
		n++
		tr, _ := translate(t, request(``), plain())
		out, err := tr.Answer(t.Context(), x.Body)
		if err == nil {
			err = schemas.Check("anthropic-message", out)
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", x.Name, err, out)
			continue
		}
		var m struct {
			Content []struct {
				Type, Text, Name string
				Input            json.RawMessage
			}
			Usage map[string]any
		}
		if err := json.Unmarshal(out, &m); err != nil {
			t.Fatal(err)
		}
		text, calls := "", 0
		for _, b := range m.Content {
			text += b.Text
			if b.Type == "tool_use" {
				if call := v.Choices[0].Message.Calls[calls].Function; call.Name != b.Name || compact(t, call.Arguments) != compact(t, string(b.Input)) {
					t.Errorf("%s: the call %v became %s %s", x.Name, call, b.Name, b.Input)
				}
				calls++
			}
		}
		if want, ok := v.Choices[0].Message.Content.(string); ok && want != text || calls != len(v.Choices[0].Message.Calls) {
			t.Errorf("%s: %q, %d calls", x.Name, text, calls)
		}
		if sum := number(m.Usage, "input_tokens") + number(m.Usage, "cache_read_input_tokens") + number(m.Usage, "cache_creation_input_tokens"); sum != v.Usage.Prompt {
			t.Errorf("%s: a prompt of %d became %v", x.Name, v.Usage.Prompt, m.Usage)
		}
	}
	if n < 25 {
		t.Errorf("%d answers were found", n)
	}
}

func number(m map[string]any, name string) int64 {
	f, _ := m[name].(float64)
	return int64(f)
}

func compact(t *testing.T, text string) string {
	t.Helper()
	if strings.TrimSpace(text) == "" {
		return "{}"
	}
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return b.String()
}

// Guarantee: every recorded stream of Chat Completions becomes one that Anthropic could have sent, at every moment, and the same
// whatever pieces it comes in.
func TestRecordedStreams(t *testing.T) {
	t.Parallel()
	n := 0
	for _, x := range vectors.All(t) {
		if !isChat(x) || !x.Stream || !bytes.Contains(x.Body, []byte("chat.completion.chunk")) {
			continue
		}
		body := x.Body
		if strings.HasSuffix(x.Name, ".ndjson") {
			body = []byte("data: " + strings.ReplaceAll(strings.TrimSpace(string(body)), "\n", "\n\ndata: ") + "\n\n")
		}
		n++
		t.Run(x.Name, func(t *testing.T) {
			t.Parallel()
			tr, _ := translate(t, request(`"stream":true`), plain())
			whole, err := pieces(t, tr, body, len(body))
			if err != nil {
				t.Fatalf("%v\n%s", err, whole)
			}
			for _, n := range []int{1, 13, 4096} {
				if parts, err := pieces(t, tr, body, n); !bytes.Equal(parts, whole) || err != nil {
					t.Errorf("in pieces of %d it differs", n)
				}
			}
			streamSays(t, body, fold(t, whole))
		})
	}
	if n < 30 {
		t.Errorf("%d streams were found", n)
	}
}

// streamSays compares the texts and the arguments of a vendor's stream with those of the message it became.
func streamSays(t *testing.T, body, message []byte) {
	t.Helper()
	var text, arguments strings.Builder
	for line := range strings.Lines(string(body)) {
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data:")
		var v struct {
			Choices []struct {
				Index int
				Delta struct {
					Content any
					Refusal string
					Calls   []struct {
						Function struct{ Arguments string }
					} `json:"tool_calls"`
				}
			}
		}
		if !ok || json.Unmarshal([]byte(data), &v) != nil {
			continue
		}
		for _, c := range v.Choices {
			if c.Index != 0 {
				continue
			}
			if s, ok := c.Delta.Content.(string); ok {
				text.WriteString(s)
			}
			text.WriteString(c.Delta.Refusal)
			for _, call := range c.Delta.Calls {
				arguments.WriteString(call.Function.Arguments)
			}
		}
	}
	var m struct {
		Content []struct {
			Type, Text string
			Input      json.RawMessage
		}
	}
	if err := json.Unmarshal(message, &m); err != nil {
		t.Fatal(err)
	}
	said, inputs := "", ""
	for _, b := range m.Content {
		said += b.Text
		if b.Type == "tool_use" && string(b.Input) != "{}" {
			inputs += string(b.Input)
		}
	}
	if want := text.String(); said != want && want != "" {
		t.Errorf("the text is %q, not %q", said, want)
	}
	if want := strings.ReplaceAll(sorted(t, arguments.String()), "{}", ""); sorted(t, inputs) != want {
		t.Errorf("the inputs are %s, not %s", inputs, want)
	}
}

// sorted writes JSON documents that follow each other anew, so that they can be compared.
func sorted(t *testing.T, documents string) string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(documents))
	out := ""
	for d.More() {
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%s: %v", documents, err)
		}
		text, _ := json.Marshal(v)
		out += string(text)
	}
	return out
}
