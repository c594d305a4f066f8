package messages_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/messages"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/schemas"
)

// allOptions turns everything on that a vendor may understand.
func allOptions() *controlv1.VendorOptions {
	return &controlv1.VendorOptions{
		Files: true, ReasoningContent: true, Prefill: true, TopK: true, MaxStopSequences: -1, CacheBreakpoints: true, WebSearch: true,
		CountTokens: controlv1.CountTokens_COUNT_TOKENS_RESPONSES,
	}
}

// isOurs fails unless an error is one that the caller can get.
func isOurs(t *testing.T, err error) {
	t.Helper()
	var e *adapter.Error
	if !errors.As(err, &e) || e.Message == "" {
		t.Fatalf("the error is a %T: %v", err, err)
	}
}

// Guarantee: no request makes the translation fail, and what it makes is what Chat Completions takes.
func FuzzRequest(f *testing.F) {
	for _, body := range []string{
		request(``), request(`"stream":true,"system":[{"type":"text","text":"a"}],"top_k":1,"stop_sequences":["\u0000"]`), conversationToCount,
		conversation(`{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aa"}},{"type":"document","title":"\\","source":{"type":"base64","media_type":"application/pdf","data":"aa"}}]}`),
		conversation(`{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"b"},{"type":"tool_use","id":"t","name":"f g","input":{"a":" \\\" "}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","is_error":true,"content":[{"type":"image","source":{"type":"url","url":"u"}}]},{"type":"search_result","title":"a","source":"b","content":[{"type":"text","text":"c"}]}]}`),
		request(`"tools":[{"name":"f","input_schema":{},"strict":true},{"type":"web_search_20250305","name":"web_search","user_location":{"city":"a"}}],"tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true}`),
		request(`"thinking":{"type":"adaptive"},"output_config":{"effort":"low","format":{"type":"json_schema","schema":{}}},"metadata":{"user_id":"u"},"seed":1`),
		`{`, `[]`, `{"messages":[null]}`, "{\"model\":\"\xff\"}",
	} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, all bool) {
		call := plain()
		if all {
			call = callWith(allOptions())
			if c, err := messages.Count(body, call); err != nil {
				isOurs(t, err)
			} else if !json.Valid(c.Body) {
				t.Fatalf("%q is counted with %q", body, c.Body)
			}
		}
		_ = messages.Estimate(body)
		tr, err := messages.Translate(body, call)
		if err != nil {
			isOurs(t, err)
			return
		}
		if err := schemas.Check("openai-chat-request", tr.Body()); err != nil {
			t.Fatalf("%q became %s\n%v", body, tr.Body(), err)
		}
		for _, name := range tr.Dropped() {
			if name == "" {
				t.Fatalf("%q has dropped something without a name", body)
			}
		}
	})
}

// Guarantee: no answer makes the translation fail, and what it makes is what Anthropic could have answered.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"id":"chatcmpl-1","choices":[{"index":0,"message":{"content":"x","reasoning":"y","refusal":null},"finish_reason":"stop","stop_reason":"z"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`,
		`{"choices":[{"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]},{"type":"text","text":"b"}],"tool_calls":[{"id":"a b","function":{"name":"f","arguments":" {\"a\": 1} "}}]},"finish_reason":"length"}]}`,
		`{"choices":[{"message":{"function_call":{"name":"f","arguments":{"a":[{}]}}}}],"usage":{"prompt_tokens":1e99,"completion_tokens":-1}}`,
		`{"error":{"message":"x","code":429}}`, `{"error":"x"}`, `{"choices":[]}`, `[`, `null`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		tr, err := messages.Translate([]byte(request(``)), plain())
		if err != nil {
			t.Fatal(err)
		}
		out, err := tr.Answer(t.Context(), body)
		if err != nil {
			isOurs(t, err)
			return
		}
		if err := schemas.Check("anthropic-message", out); err != nil {
			t.Fatalf("%q became %s\n%v", body, out, err)
		}
	})
}

// Guarantee: no stream makes the translation fail, what it makes is legal at every moment, and it does not depend on how the
// bytes are split.
func FuzzStream(f *testing.F) {
	for _, text := range []string{
		chunk(`"role":"assistant","content":""`) + chunk(`"content":"x"`) + finish("stop") + done,
		toolChunk("0", "a", "f", `{"a"`) + toolChunk("1", "b", "g", `{}`) + toolChunk("0", "", "", `:1}`) + finish("tool_calls"),
		toolChunk("", "", "", `{"a"`) + toolChunk("0", "a", "f", "") + chunk(`"content":"x"`) + finish("length") + done,
		chunk(`"reasoning":"x","refusal":"no","function_call":{"name":"f","arguments":"{}"}`) + finish("content_filter") + `data: {"choices":[],"usage":{"prompt_tokens":1}}`,
		"event: error\r\ndata: {\"error\":{\"message\":\"x\"}}\r\n\r\n", "data: {\"choices\":[{\"delta\":null}]}\n\n" + done, ":\n\ndata: x\n\n",
	} {
		f.Add([]byte(text), 1)
		f.Add([]byte(text), 50)
	}
	f.Fuzz(func(t *testing.T, text []byte, n int) {
		tr, err := messages.Translate([]byte(request(`"stream":true`)), plain())
		if err != nil {
			t.Fatal(err)
		}
		whole, err := pieces(t, tr, text, len(text))
		parts, again := pieces(t, tr, text, n)
		if !bytes.Equal(whole, parts) || (err == nil) != (again == nil) {
			t.Fatalf("%q became\n%s\n%v\nand in pieces of %d\n%s\n%v", text, whole, err, n, parts, again)
		}
	})
}
