package messages_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"tollgate/edge/adapter"
	"tollgate/internal/testenv/schemas"
)

// stream is a vendor's whole stream as the caller gets it. It must be legal and complete.
func stream(tb testing.TB, tr adapter.Translation, text string) []byte {
	tb.Helper()
	out, err := pieces(tb, tr, []byte(text), len(text))
	if err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	return out
}

// pieces streams a text in pieces of n bytes. After each the events so far must be legal. The error is what ended the stream.
func pieces(tb testing.TB, tr adapter.Translation, text []byte, n int) ([]byte, error) {
	tb.Helper()
	s := tr.Stream(tb.Context())
	var checker schemas.MessagesStream
	var out []byte
	check := func(more []byte, err error) error {
		if wrong := checker.Read(more); wrong != nil {
			tb.Fatalf("%v\n%s%s", wrong, out, more)
		}
		out = append(out, more...)
		if err != nil {
			var e *adapter.Error
			if !errors.As(err, &e) {
				tb.Fatalf("the error is a %T", err)
			}
			last := s.Fail(nil, e, "req_1")
			if wrong := checker.Read(last); wrong != nil || !checker.Failed() || checker.Complete() {
				tb.Fatalf("the error's event: %v\n%s", wrong, last)
			}
		}
		return err
	}
	for len(text) > 0 {
		piece := text[:min(max(n, 1), len(text))]
		text = text[len(piece):]
		if err := check(s.Next(nil, piece)); err != nil {
			return out, err
		}
	}
	if err := check(s.End(nil, true)); err != nil {
		return out, err
	}
	if !checker.Complete() {
		tb.Fatalf("the stream ended without an end or an error\n%s", out)
	}
	return out, nil
}

// fold makes of a stream the message that an SDK would.
func fold(tb testing.TB, stream []byte) []byte {
	tb.Helper()
	var message map[string]any
	var blocks []any
	arguments := map[int]string{}
	err := schemas.Events(stream, func(_ string, data []byte) error {
		var v struct {
			Type    string
			Index   int
			Message map[string]any
			Block   map[string]any `json:"content_block"`
			Delta   map[string]any
			Usage   any
		}
		if err := json.Unmarshal(data, &v); err != nil {
			return err
		}
		switch v.Type {
		case "message_start":
			message = v.Message
		case "content_block_start":
			blocks = append(blocks, v.Block)
		case "content_block_delta":
			block := blocks[v.Index].(map[string]any)
			for _, field := range []string{"text", "thinking", "signature"} {
				if part, ok := v.Delta[field].(string); ok {
					block[field] = block[field].(string) + part
				}
			}
			if part, ok := v.Delta["partial_json"].(string); ok {
				arguments[v.Index] += part
			}
		case "content_block_stop":
			if text := strings.TrimSpace(arguments[v.Index]); text != "" {
				var input any
				if json.Unmarshal([]byte(text), &input) == nil {
					blocks[v.Index].(map[string]any)["input"] = input
				}
			}
		case "message_delta":
			message["stop_reason"], message["stop_sequence"] = v.Delta["stop_reason"], v.Delta["stop_sequence"]
			message["usage"] = v.Usage
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	message["content"] = blocks
	if blocks == nil {
		message["content"] = []any{}
	}
	out, err := json.Marshal(message)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func chunk(delta string) string {
	return `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{` + delta + `},"finish_reason":null}]}` + "\n\n"
}

func finish(reason string) string {
	return `data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"` + reason + `"}]}` + "\n\n"
}

func toolChunk(index, id, name, arguments string) string {
	call := `"function":{`
	if name != "" {
		call += `"name":"` + name + `",`
	}
	quoted, _ := json.Marshal(arguments)
	call += `"arguments":` + string(quoted) + `}`
	if id != "" {
		call = `"id":"` + id + `",` + call
	}
	if index != "" {
		call = `"index":` + index + `,` + call
	}
	return chunk(`"tool_calls":[{` + call + `}]`)
}

const done = "data: [DONE]\n\n"

// Guarantee: the events of a stream come in Anthropic's order, word for word.
func TestD7StreamEventOrder(t *testing.T) {
	t.Parallel()
	tr, _ := translate(t, request(`"stream":true`), plain())
	got := stream(t, tr, `data: {"id":"","choices":[],"prompt_filter_results":[]}`+"\n\n"+chunk(`"role":"assistant","content":""`)+chunk(`"reasoning_content":"Hm"`)+
		chunk(`"content":"Hel"`)+chunk(`"content":"lo \u00e9"`)+toolChunk("0", "call_1", "f", "")+toolChunk("0", "", "", `{"a":`)+toolChunk("0", "", "", `1}`)+
		finish("tool_calls")+`data: {"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":300,"cache_write_tokens":200}}}`+"\n\n"+done)
	want := `event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"my-claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}

event: ping
data: {"type":"ping"}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":""}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hel"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"lo \u00e9"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"call_1","name":"f","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":500,"cache_creation_input_tokens":200,"cache_read_input_tokens":300,"output_tokens":7}}

event: message_stop
data: {"type":"message_stop"}

`
	if string(got) != want {
		t.Errorf("got\n%s", got)
	}
}

// Guarantee: parallel calls become blocks of their own, in the order in which they began, however the vendor numbers and mixes them.
func TestD7ParallelTools(t *testing.T) {
	t.Parallel()
	const two = `[{"type":"tool_use","id":"a","name":"f","input":{"x":1}},{"type":"tool_use","id":"b","name":"g","input":{"y":[2,"}"]}}]`
	for name, c := range map[string]struct{ chunks, want string }{
		"one after another":  {toolChunk("0", "a", "f", "") + toolChunk("0", "", "", `{"x":1}`) + toolChunk("1", "b", "g", `{"y":`) + toolChunk("1", "", "", `[2,"}"]}`), two},
		"from index 1":       {toolChunk("1", "a", "f", `{"x":1}`) + toolChunk("2", "b", "g", `{"y":[2,"}"]}`), two},
		"all index 0":        {toolChunk("0", "a", "f", `{"x":1}`) + toolChunk("0", "b", "g", `{"y":[2,"}"]}`), two},
		"all index 0, parts": {toolChunk("0", "a", "f", `{"x"`) + toolChunk("0", "", "", `:1}`) + toolChunk("0", "b", "g", `{"y":`) + toolChunk("0", "", "", `[2,"}"]}`), two},
		"no index":           {toolChunk("", "a", "f", `{"x":1}`) + toolChunk("", "b", "g", `{"y":[2,"}"]}`), two},
		"mixed":              {toolChunk("0", "a", "f", `{"x"`) + toolChunk("1", "b", "g", `{"y":`) + toolChunk("0", "", "", `:1}`) + toolChunk("1", "", "", `[2,"}"]}`), two},
		"begun together":     {toolChunk("0", "a", "f", ``) + toolChunk("1", "b", "g", ``) + toolChunk("1", "", "", `{"y":[2,"}"]}`) + toolChunk("0", "", "", `{"x":1}`), two},
		"names come late":    {toolChunk("0", "a", "", `{"x"`) + toolChunk("0", "", "f", `:1}`) + toolChunk("1", "b", "", `{"y":[2,"}"]}`) + toolChunk("1", "", "g", ``), two},
		"names come again":   {toolChunk("0", "a", "f", `{"x"`) + toolChunk("0", "a", "f", `:1}`) + toolChunk("1", "b", "g", `{"y":[2,"}"]}`), two},
		"empty contents":     {toolChunk("0", "a", "f", `{"x"`) + chunk(`"content":""`) + toolChunk("0", "", "", `:1}`) + chunk(`"content":"","role":"assistant"`) + toolChunk("1", "b", "g", `{"y":[2,"}"]}`), two},
		"space after":        {toolChunk("0", "a", "f", `{"x":1}`) + toolChunk("1", "b", "g", `{"y":[2,"}"]}`) + toolChunk("0", "", "", "\n "), two},
		"text between parts": {toolChunk("0", "a", "f", `{"x"`) + chunk(`"content":"so"`) + toolChunk("0", "", "", `:1}`), `[{"type":"tool_use","id":"a","name":"f","input":{"x":1}},{"type":"text","text":"so"}]`},
		"without arguments":  {toolChunk("0", "a", "f", ``), `[{"type":"tool_use","id":"a","name":"f","input":{}}]`},
		"without ids":        {toolChunk("0", "", "f", `{"x":1}`) + toolChunk("1", "", "f", `{}`), `[{"type":"tool_use","id":"call_` + callID + `_0","name":"f","input":{"x":1}},{"type":"tool_use","id":"call_` + callID + `_1","name":"f","input":{}}]`},
		"an object":          {chunk(`"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":{"x": 1}}}]`), `[{"type":"tool_use","id":"a","name":"f","input":{"x":1}}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr, _ := translate(t, request(`"stream":true`), plain())
			var m map[string]any
			if err := json.Unmarshal(fold(t, stream(t, tr, c.chunks+finish("tool_calls")+done)), &m); err != nil {
				t.Fatal(err)
			}
			same(t, m["content"], c.want)
		})
	}
}

// Guarantee: usage counts wherever it comes, and an end that the vendor did not write out is one.
func TestD7TrailingUsage(t *testing.T) {
	t.Parallel()
	const usage = `"usage":{"prompt_tokens":3,"completion_tokens":2}`
	for name, text := range map[string]string{
		"behind the end":     chunk(`"content":"x"`) + finish("stop") + `data: {"choices":[],` + usage + "}\n\n" + done,
		"with the end":       `data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}],` + usage + "}\n\n" + done,
		"without DONE":       `data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}],` + usage + "}\n\n",
		"without a line end": chunk(`"content":"x"`) + finish("stop") + `data: {"choices":[],` + usage + "}",
		"CRLF":               strings.ReplaceAll(chunk(`"content":"x"`)+finish("stop")+`data: {"choices":[],`+usage+"}\n\n"+done, "\n", "\r\n"),
		"with comments":      ": OPENROUTER PROCESSING\n\n" + chunk(`"content":"x"`) + ":\n\n" + finish("stop") + `data: {"choices":[],` + usage + "}\n\n" + done + "data: {}\n\n",
		"of Groq":            chunk(`"content":"x"`) + `data: {"choices":[{"delta":{},"finish_reason":"stop"}],"x_groq":{` + usage + "}}\n\n" + done,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr, _ := translate(t, request(`"stream":true`), plain())
			var m map[string]any
			if err := json.Unmarshal(fold(t, stream(t, tr, text)), &m); err != nil {
				t.Fatal(err)
			}
			same(t, m["content"], `[{"type":"text","text":"x"}]`)
			same(t, m["usage"], `{"input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":2}`)
		})
	}
}

// Guarantee: a stream that breaks off, or tells of an error, ends with an error of the right kind and never with an end.
func TestD7MidStreamErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		kind adapter.Kind
	}{
		"an early end":         {chunk(`"content":"x"`), adapter.Broken},
		"DONE and no reason":   {chunk(`"content":"x"`) + done, adapter.Broken},
		"nothing":              {"", adapter.Broken},
		"DONE alone":           {done, adapter.Broken},
		"an error":             {chunk(`"content":"x"`) + `data: {"error":{"message":"The server had an error","type":"server_error"}}` + "\n\n", adapter.Broken},
		"a rate limit":         {chunk(`"content":"x"`) + `data: {"error":{"message":"Slow down","type":"requests","code":"rate_limit_exceeded"}}` + "\n\n", adapter.RateLimit},
		"no quota":             {`data: {"error":{"message":"Pay","type":"insufficient_quota"}}` + "\n\n", adapter.Billing},
		"OpenRouter's numbers": {`data: {"error":{"message":"Busy","code":503},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}` + "\n\n", adapter.Overloaded},
		"an error event":       {"event: error\ndata: {\"message\":\"no\"}\n\n", adapter.Broken},
		"vLLM's error":         {`data: {"object":"error","message":"too long","type":"invalid_request_error","code":400}` + "\n\n", adapter.Invalid},
		"no JSON":              {chunk(`"content":"x"`) + "data: upstream connect error\n\n", adapter.Broken},
		"half a call":          {toolChunk("0", "a", "f", `{"x"`) + finish("tool_calls") + done, adapter.Broken},
		"a call of no tool":    {toolChunk("0", "a", "", `{}`) + finish("tool_calls") + done, adapter.Broken},
		"more than a call":     {toolChunk("0", "a", "f", `{}`) + toolChunk("1", "b", "f", `{}`) + toolChunk("0", "", "", `{}`) + finish("tool_calls") + done, adapter.Broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr, _ := translate(t, request(`"stream":true`), plain())
			out, err := pieces(t, tr, []byte(c.text), 7)
			var e *adapter.Error
			if !errors.As(err, &e) || e.Kind != c.kind {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// Guarantee: pings keep a stream open without changing what it says, and before its first event they are no events.
func TestPings(t *testing.T) {
	t.Parallel()
	tr, _ := translate(t, request(`"stream":true`), plain())
	s := tr.Stream(t.Context())
	if got := string(s.Ping(nil)); got != ": ping\n" {
		t.Errorf("before the start: %q", got)
	}
	out, err := s.Next(nil, []byte(chunk(`"content":"x"`)))
	if err != nil {
		t.Fatal(err)
	}
	out = s.Ping(out)
	if !bytes.HasSuffix(out, []byte("event: ping\ndata: {\"type\":\"ping\"}\n\n")) {
		t.Errorf("in the stream: %s", out)
	}
	if out, err = s.Next(out, []byte(finish("stop")+done)); err != nil {
		t.Fatal(err)
	}
	if more := s.Ping(s.Fail(nil, adapter.Fail("late"), "")); len(more) != 0 {
		t.Errorf("after the end: %q", more)
	}
	var checker schemas.MessagesStream
	if err := checker.Read(out); err != nil || !checker.Complete() {
		t.Errorf("%v\n%s", err, out)
	}
}

// contentOf is the content of a message.
func contentOf(t *testing.T, message []byte) any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(message, &m); err != nil {
		t.Fatal(err)
	}
	return m["content"]
}
