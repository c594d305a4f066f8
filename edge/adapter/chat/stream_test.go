package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/sse"
	"tollgate/internal/testenv/schemas"
)

// script is a stream of Anthropic's, event by event.
func script(events ...string) []byte {
	var out []byte
	for _, e := range events {
		out = sse.Append(out, gjson.Get(e, "type").Str, []byte(e))
	}
	return out
}

const (
	begin  = `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"usage":{"input_tokens":3,"cache_read_input_tokens":2,"cache_creation_input_tokens":1,"output_tokens":1}}}`
	finish = `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":9,"output_tokens_details":{"thinking_tokens":4}}}`
	stop   = `{"type":"message_stop"}`
	openT  = `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`
	sayT   = `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}`
	closeT = `{"type":"content_block_stop","index":0}`
	openF  = `{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t1","name":"f","input":{}}}`
	sayF   = `{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}`
	closeF = `{"type":"content_block_stop","index":1}`
)

// Guarantee: chunks look as OpenAI sends them.
func TestStreamInFull(t *testing.T) {
	t.Parallel()
	s := start(t, asking).Stream(t.Context())
	out, err := s.Next(nil, script(begin, `{"type":"ping"}`, openT, sayT, closeT, openF, closeF, finish, stop))
	if err != nil {
		t.Fatal(err)
	}
	if out, err = s.End(out, true); err != nil {
		t.Fatal(err)
	}
	chunk := func(rest string) string {
		return `data: {"id":"chatcmpl-msg_1","object":"chat.completion.chunk","created":1750000000,"model":"claude","choices":` + rest + "}\n\n"
	}
	delta := func(d string) string {
		return chunk(`[{"index":0,"delta":` + d + `,"logprobs":null,"finish_reason":null}],"usage":null`)
	}
	want := delta(`{"role":"assistant","content":"","refusal":null}`) + ": ping\n" + delta(`{"content":"Hi"}`) +
		delta(`{"tool_calls":[{"index":0,"id":"t1","type":"function","function":{"name":"f","arguments":""}}]}`) +
		delta(`{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}`) +
		chunk(`[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null`) +
		chunk(`[],"usage":{"prompt_tokens":6,"completion_tokens":9,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":2,"cache_write_tokens":1},"completion_tokens_details":{"reasoning_tokens":4}}`) +
		"data: [DONE]\n\n"
	if string(out) != want {
		t.Errorf("%s\nand not\n%s", out, want)
	}
}

// Guarantee: a stream ends as whole only if the vendor's has; what is wrong with it is said, and nothing comes behind that.
func TestStreams(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stream []byte
		broken bool // off, without an end
		fails  string
		kind   adapter.Kind
		want   schemas.Chat
	}{
		"in full":                    {stream: script(begin, openT, sayT, closeT, finish, stop), want: schemas.Chat{Text: "Hi", FinishReason: "stop", Done: true}},
		"only the last event misses": {stream: script(begin, openT, sayT, closeT, finish), want: schemas.Chat{Text: "Hi", FinishReason: "stop", Done: true}},
		"broken off behind the reason": {
			stream: script(begin, openT, sayT, closeT, finish), broken: true, fails: "ended before", kind: adapter.Broken, want: schemas.Chat{Text: "Hi"},
		},
		"ended early":        {stream: script(begin, openT, sayT), fails: "ended before", kind: adapter.Broken, want: schemas.Chat{Text: "Hi"}},
		"broken off at stop": {stream: script(begin, openT, sayT, finish, stop), broken: true, want: schemas.Chat{Text: "Hi", FinishReason: "stop", Done: true}},
		"nothing":            {fails: "ended before", kind: adapter.Broken},
		"half an event":      {stream: script(begin, openT, sayT, finish, stop)[:len(script(begin, openT, sayT))-9], fails: "JSON", kind: adapter.Broken},
		"an error": {
			stream: script(begin, openT, sayT, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, sayT), fails: "Overloaded", kind: adapter.Overloaded, want: schemas.Chat{Text: "Hi"},
		},
		"an error at once":         {stream: script(`{"type":"error","error":{"type":"rate_limit_error","message":"Slower"}}`), fails: "Slower", kind: adapter.RateLimit},
		"an error of credentials":  {stream: script(`{"type":"error","error":{"type":"authentication_error","message":"bad sk-ant-1"}}`), fails: "refused the gateway", kind: adapter.Broken},
		"an error without a word":  {stream: script(`{"type":"error"}`), fails: "did not say", kind: adapter.Broken},
		"no beginning":             {stream: script(openT), fails: "message_start", kind: adapter.Broken},
		"begun twice":              {stream: script(begin, begin, openT, sayT, finish, stop), want: schemas.Chat{Text: "Hi", FinishReason: "stop", Done: true}},
		"two messages":             {stream: script(begin, strings.Replace(begin, "msg_1", "msg_2", 1)), fails: "two messages", kind: adapter.Broken},
		"a block that is not open": {stream: script(begin, openT, closeT, sayT), fails: "block 0", kind: adapter.Broken},
		"a block begun twice":      {stream: script(begin, openT, openT), fails: "block 0", kind: adapter.Broken},
		"a call without a name":    {stream: script(begin, `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t"}}`), fails: "without", kind: adapter.Broken},
		"no JSON":                  {stream: append(script(begin), "data: {\n\n"...), fails: "JSON", kind: adapter.Broken},
		"unknown events and parts": {
			stream: script(begin, `{"type":"news"}`, `{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}`,
				`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}`, closeT, openT, `{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{}}}`, sayT, closeT, finish, stop),
			want: schemas.Chat{Text: "Hi", FinishReason: "stop", Done: true},
		},
		"what comes behind the end": {stream: script(begin, openT, sayT, finish, stop, begin, sayT), want: schemas.Chat{Text: "Hi", FinishReason: "stop", Done: true}},
		"a call with its arguments at once": {
			stream: script(begin, strings.Replace(openF, "{}", `{"a": "\u00e9"}`, 1), closeF, finish, stop),
			want:   schemas.Chat{Calls: []schemas.ChatCall{{ID: "t1", Name: "f", Arguments: `{"a":"\u00e9"}`}}, FinishReason: "stop", Done: true},
		},
		"a call that is not closed": {
			stream: script(begin, openF, finish, stop), want: schemas.Chat{Calls: []schemas.ChatCall{{ID: "t1", Name: "f", Arguments: "{}"}}, FinishReason: "stop", Done: true},
		},
	} {
		s := start(t, asking).Stream(t.Context())
		out, err := s.Next(nil, c.stream)
		if err == nil {
			out, err = s.End(out, !c.broken)
		}
		if c.fails != "" {
			var failure *adapter.Error
			if !errors.As(err, &failure) || !strings.Contains(failure.Message, c.fails) || failure.Kind != c.kind || strings.Contains(failure.Message, "sk-") {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if again, same := s.Next(nil, script(begin, sayT)); len(again) > 0 || !errors.Is(same, err) {
				t.Errorf("%s: it goes on with %q, %v", name, again, same)
			}
			out = s.Fail(out, failure, "req_1")
			if again, err := s.Next(nil, script(begin, sayT)); len(again) > 0 || (err != nil && !errors.As(err, &failure)) {
				t.Errorf("%s: it goes on with %q", name, again)
			}
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := schemas.ChatStream(out, true)
		if err != nil || (got.Error == "") != (c.fails == "") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		got.Usage, got.Error = "", ""
		if d := differ(gjson.Parse(jsonOf(t, got)), gjson.Parse(jsonOf(t, c.want))); len(d) > 0 {
			t.Errorf("%s: %q", name, d)
		}
	}
}

// Guarantee: an event that never ends is not kept.
func TestEventsThatNeverEnd(t *testing.T) {
	t.Parallel()
	s := start(t, asking).Stream(t.Context())
	piece := bytes.Repeat([]byte("x"), 1<<20)
	var err error
	for i := 0; err == nil && i < 20; i++ {
		_, err = s.Next(nil, piece)
	}
	var failure *adapter.Error
	if !errors.As(err, &failure) || !strings.Contains(failure.Message, "too long") {
		t.Error(err)
	}
	s = start(t, asking).Stream(t.Context())
	_, err = s.Next(nil, script(begin))
	for i := 0; err == nil && i < 1000; i++ {
		_, err = s.Next(nil, script(`{"type":"content_block_start","index":`+strconv.Itoa(i)+`,"content_block":{"type":"text"}}`))
	}
	if !errors.As(err, &failure) || !strings.Contains(failure.Message, "too many") {
		t.Error(err)
	}
}

// Guarantee: who knows functions only gets the call of a function, as a whole and in a stream.
func TestFunctions(t *testing.T) {
	t.Parallel()
	const body = `{"messages":[{"role":"user","content":"q"}],"functions":[{"name":"f"}]}`
	out, err := start(t, body).Answer(t.Context(), []byte(`{"id":"msg_1","type":"message","content":[{"type":"tool_use","id":"t","name":"f","input":{"a": 1}},{"type":"tool_use","id":"u","name":"f","input":{}}],"stop_reason":"tool_use"}`))
	if err != nil || gjson.GetBytes(out, "choices.0.message.function_call").Raw != `{"name":"f","arguments":"{\"a\":1}"}` || gjson.GetBytes(out, "choices.0.finish_reason").Str != "function_call" {
		t.Errorf("%s, %v", out, err)
	}
	if err := schemas.Check("openai-chat-completion", out); err != nil {
		t.Error(err)
	}
	s := start(t, body).Stream(t.Context())
	out, err = s.Next(nil, script(begin, openF, sayF, closeF, strings.Replace(openF, "t1", "t2", 1), sayF, closeF, strings.Replace(finish, "end_turn", "tool_use", 1), stop))
	if err != nil {
		t.Fatal(err)
	}
	got, err := schemas.ChatStream(out, false)
	if err != nil || len(got.Calls) != 1 || got.Calls[0] != (schemas.ChatCall{Name: "f", Arguments: `{"a":1}`}) || got.FinishReason != "function_call" {
		t.Errorf("%+v, %v", got, err)
	}
}

// Guarantee: an answer that is none is said to be none, and an error in place of one is told as the vendor told it.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]adapter.Kind{
		"": adapter.Broken, "<html>": adapter.Broken, "[]": adapter.Broken, `{"type":"message"}`: adapter.Broken,
		`{"type":"message","content":[{"type":"tool_use","id":"","name":"f"}]}`: adapter.Broken, `{"type":"message","content":[{"type":"tool_use","id":"t"}]}`: adapter.Broken, `{"content":"text"}`: adapter.Broken,
		`{"type":"error","error":{"type":"invalid_request_error","message":"m"}}`: adapter.Invalid,
		`{"type":"error","error":{"type":"not_found_error","message":"m"}}`:       adapter.NotFound,
		`{"type":"error","error":{"type":"request_too_large","message":"m"}}`:     adapter.TooLarge,
		`{"type":"error","error":{"type":"conflict_error","message":"m"}}`:        adapter.Conflict,
		`{"type":"error","error":{"type":"billing_error","message":"m"}}`:         adapter.Billing,
		`{"type":"error","error":{"type":"timeout_error","message":"m"}}`:         adapter.Timeout,
		`{"type":"error","error":{"type":"permission_error","message":"m"}}`:      adapter.Broken,
		`{"type":"error","error":{"type":"api_error","message":"m"}}`:             adapter.Broken,
	} {
		out, err := start(t, asking).Answer(t.Context(), []byte(body))
		var failure *adapter.Error
		if !errors.As(err, &failure) || failure.Kind != want || out != nil {
			t.Errorf("%s: %s, %v", body, out, err)
		}
	}
}

// Guarantee: every kind of error is one that OpenAI's clients can read.
func TestErrorsOfStreams(t *testing.T) {
	t.Parallel()
	for kind := adapter.Invalid; kind <= adapter.Broken; kind++ {
		s := start(t, asking).Stream(t.Context())
		got, err := schemas.ChatStream(s.Fail(nil, &adapter.Error{Kind: kind, Message: "a\n\"b\"", Param: "n"}, ""), true)
		if err != nil || gjson.Get(got.Error, "error.message").Str != "a\n\"b\"" || gjson.Get(got.Error, "error.param").Str != "n" {
			t.Errorf("%d: %+v, %v", kind, got, err)
		}
	}
}

// Guarantee: text, thoughts and arguments arrive as they were sent, whatever the pieces; every prefix is legal; a stream that breaks off
// anywhere never looks whole; and tokens add up.
func TestStreamsKeepEverything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := schemas.Chat{FinishReason: "stop"}
		usage := map[string]int64{}
		for _, k := range []string{"input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"} {
			usage[k] = rapid.Int64Range(0, 1<<40).Draw(t, k)
		}
		events := []string{marshal(t, map[string]any{"type": "message_start", "message": map[string]any{"id": "msg_1", "usage": usage}})}
		for i := range rapid.IntRange(0, 4).Draw(t, "blocks") {
			kind := rapid.SampledFrom([]string{"text", "thinking", "tool_use", "server_tool_use", "news"}).Draw(t, "kind")
			block, field, delta := map[string]any{"type": kind}, "text", kind+"_delta"
			var into *string
			switch kind {
			case "text":
				into = &want.Text
			case "thinking":
				field, into = "thinking", &want.Reasoning
			case "tool_use":
				id := "toolu_" + strconv.Itoa(i)
				block["id"], block["name"], block["input"] = id, "f", map[string]any{}
				want.Calls = append(want.Calls, schemas.ChatCall{ID: id, Name: "f"})
				field, delta, into = "partial_json", "input_json_delta", &want.Calls[len(want.Calls)-1].Arguments
			default:
				into = new(string)
			}
			events = append(events, marshal(t, map[string]any{"type": "content_block_start", "index": i, "content_block": block}))
			for range rapid.IntRange(0, 3).Draw(t, "deltas") {
				text := rapid.String().Draw(t, "piece")
				*into += text
				events = append(events, marshal(t, map[string]any{"type": "content_block_delta", "index": i, "delta": map[string]any{"type": delta, field: text}}))
			}
			if kind == "tool_use" && *into == "" {
				*into = "{}"
			}
			events = append(events, marshal(t, map[string]any{"type": "content_block_stop", "index": i}))
		}
		usage["output_tokens"] = rapid.Int64Range(0, 1<<40).Draw(t, "output at last")
		last := marshal(t, map[string]any{"type": "message_delta", "delta": map[string]any{"stop_reason": "end_turn"}, "usage": map[string]any{"output_tokens": usage["output_tokens"]}})
		all := script(append(events, last, stop)...)

		tr, err := Translate([]byte(asking), call())
		if err != nil {
			t.Fatal(err)
		}
		s := tr.Stream(t.Context())
		var out []byte
		left := all[:rapid.IntRange(0, len(all)).Draw(t, "until")]
		complete := bytes.HasSuffix(left, script(stop))
		for len(left) > 0 {
			n := rapid.IntRange(1, len(left)).Draw(t, "n")
			if out, err = s.Next(out, left[:n]); err != nil {
				t.Fatal(err)
			}
			left = left[n:]
			if got, err := schemas.ChatStream(out, true); err != nil || got.Done && !complete {
				t.Fatalf("%v: %s", err, out)
			}
		}
		out, err = s.End(out, complete)
		if (err == nil) != complete {
			t.Fatalf("whole: %v, %v", complete, err)
		}
		got, err := schemas.ChatStream(out, true)
		if err != nil || got.Done != complete || !complete && got.FinishReason != "" {
			t.Fatalf("%v: %+v", err, got)
		}
		if !complete {
			return
		}
		prompt := usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
		u := gjson.Parse(got.Usage)
		if u.Get("prompt_tokens").Int() != prompt || u.Get("total_tokens").Int() != prompt+usage["output_tokens"] || u.Get("prompt_tokens_details.cached_tokens").Int() != usage["cache_read_input_tokens"] {
			t.Fatalf("%s of %v", got.Usage, usage)
		}
		if got.Text != want.Text || got.Reasoning != want.Reasoning || len(got.Calls) != len(want.Calls) {
			t.Fatalf("%+v and not %+v", got, want)
		}
		for i := range got.Calls {
			if got.Calls[i] != want.Calls[i] {
				t.Fatalf("%+v and not %+v", got.Calls[i], want.Calls[i])
			}
		}
	})
}

func marshal(t *rapid.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
