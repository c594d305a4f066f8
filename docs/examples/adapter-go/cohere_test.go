package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"go.uber.org/goleak"

	"tollgate/internal/testenv/vectors"
	"tollgate/sdk/adapter"
	"tollgate/sdk/adapter/adaptertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorded are the exchanges with Cohere's v2 chat API that others have recorded.
func recorded(t *testing.T) []vectors.Exchange {
	t.Helper()
	var all []vectors.Exchange
	for _, x := range vectors.All(t) {
		if x.Vendor == "cohere" && strings.HasSuffix(x.URL, "/v2/chat") {
			all = append(all, x)
		}
	}
	if len(all) < 10 {
		t.Fatalf("%d recordings", len(all))
	}
	return all
}

// ask has a request translated, whose model is "chat" to the caller and "command-a" to Cohere.
func ask(t *testing.T, g *adaptertest.Gateway, body string) (*adaptertest.Exchange, error) {
	t.Helper()
	return g.Request(t, adapter.Vendor, "command-a", &adapter.Request{
		Path: "/chat/completions", Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body),
	})
}

func asked(t *testing.T, g *adaptertest.Gateway, body string) *adaptertest.Exchange {
	t.Helper()
	x, err := ask(t, g, body)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// Guarantee: every field of a request that Cohere has something for is translated.
func TestRequest(t *testing.T) {
	t.Parallel()
	g := adaptertest.New(t, cohere{})
	x := asked(t, g, `{"model":"chat","stream":true,"max_completion_tokens":5,"temperature":0.25,"top_p":0.90,"seed":7,"stop":"END",
		"frequency_penalty":0.5,"presence_penalty":1,"reasoning_effort":"none","user":"u","tool_choice":{"type":"function","function":{"name":"b"}},
		"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"}}},
		"tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"b","description":"B","parameters":{"type":"object"}}}],
		"messages":[{"role":"developer","content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]},
			{"role":"user","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]},
			{"role":"assistant","content":"I will","tool_calls":[{"id":"c1","type":"function","function":{"name":"b","arguments":"{\"x\": 1}"}}]},
			{"role":"tool","tool_call_id":"c1","content":"Ruby"},{"role":"assistant","content":"Ruby."},{"role":"user","content":"thanks"}]}`)
	want := `{"model":"command-a","messages":[{"role":"system","content":"one\ntwo"},` +
		`{"role":"user","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]},` +
		`{"role":"assistant","tool_plan":"I will","tool_calls":[{"id":"c1","type":"function","function":{"name":"b","arguments":"{\"x\": 1}"}}]},` +
		`{"role":"tool","content":"Ruby","tool_call_id":"c1"},{"role":"assistant","content":"Ruby."},{"role":"user","content":"thanks"}],` +
		`"stream":true,"max_tokens":5,"temperature":0.25,"p":0.90,"seed":7,"frequency_penalty":0.5,"presence_penalty":1,"stop_sequences":["END"],` +
		`"tools":[{"type":"function","function":{"name":"b","description":"B","parameters":{"type":"object"}}}],"tool_choice":"REQUIRED",` +
		`"response_format":{"type":"json_object","json_schema":{"type":"object"}},"thinking":{"type":"disabled"}}`
	if r := x.Request; string(r.Body) != want || r.Path != "/v2/chat" || r.Method != "POST" || r.Header.Get("Accept") != "text/event-stream" {
		t.Errorf("%s %s %v\n%s\nwant\n%s", r.Method, r.Path, r.Header, r.Body, want)
	}
}

// Guarantee: what Cohere cannot do is refused, with the field's name.
func TestRefused(t *testing.T) {
	t.Parallel()
	g := adaptertest.New(t, cohere{})
	for field, body := range map[string]string{
		"n":                              `{"n":2}`,
		"logprobs":                       `{"logprobs":true}`,
		"modalities[1]":                  `{"modalities":["text","audio"]}`,
		"parallel_tool_calls":            `{"parallel_tool_calls":false,"tools":[{"type":"function","function":{"name":"a"}}]}`,
		"tools[0].type":                  `{"tools":[{"type":"custom"}]}`,
		"tool_choice":                    `{"tool_choice":{"type":"allowed_tools"},"tools":[{"type":"function","function":{"name":"a"}}]}`,
		"tool_choice.function.name":      `{"tool_choice":{"type":"function","function":{"name":"b"}},"tools":[{"type":"function","function":{"name":"a"}}]}`,
		"stop":                           `{"stop":{}}`,
		"messages[0].role":               `{"messages":[{"role":"function"}]}`,
		"messages[0].content":            `{"messages":[{"role":"user","content":1}]}`,
		"messages[1].content[0].type":    `{"messages":[{"role":"user"},{"role":"user","content":[{"type":"input_audio"}]}]}`,
		"messages[0].tool_calls[0].type": `{"messages":[{"role":"assistant","tool_calls":[{"type":"custom"}]}]}`,
		"":                               `[]`,
	} {
		_, err := ask(t, g, body)
		if r, ok := errors.AsType[*adapter.RefusalError](err); !ok || r.Field != field || r.Message == "" {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// Guarantee: every recorded answer becomes one of Chat Completions with the same text, calls, reason and usage, and every
// recorded error one of Chat Completions with Cohere's words.
func TestRecordedAnswers(t *testing.T) {
	t.Parallel()
	g := adaptertest.New(t, cohere{})
	x := asked(t, g, `{"model":"chat","messages":[]}`)
	answers, failures := 0, 0
	for _, r := range recorded(t) {
		if r.Stream {
			continue
		}
		out, err := x.Response(t, &adapter.Response{Status: r.Status, Body: r.Body})
		if err != nil {
			t.Fatal(r.Name, err)
		}
		in, got := gjson.ParseBytes(r.Body), gjson.ParseBytes(out.Body)
		if r.Status >= 400 {
			failures++
			if out.Status != r.Status || got.Get("error.message").Str != in.Get("message").Str || got.Get("error.type").Str == "" {
				t.Errorf("%s: %d %s", r.Name, out.Status, out.Body)
			}
			continue
		}
		answers++
		text := in.Get("message.tool_plan").Str
		for _, part := range in.Get("message.content.#.text").Array() {
			text += part.Str
		}
		choice := got.Get("choices.0")
		if choice.Get("message.content").Str != text || text == "" || got.Get("model").Str != "chat" {
			t.Errorf("%s: %s", r.Name, out.Body)
		}
		calls, reason := in.Get("message.tool_calls"), "stop"
		if calls.Exists() {
			reason = "tool_calls"
		}
		if choice.Get("finish_reason").Str != reason || len(calls.Array()) != len(choice.Get("message.tool_calls").Array()) ||
			calls.Get("0.function.arguments").Str != choice.Get("message.tool_calls.0.function.arguments").Str {
			t.Errorf("%s: %s", r.Name, out.Body)
		}
		u, v := got.Get("usage"), in.Get("usage")
		if u.Get("prompt_tokens").Int() != v.Get("tokens.input_tokens").Int() || u.Get("completion_tokens").Int() != v.Get("tokens.output_tokens").Int() ||
			u.Get("prompt_tokens_details.cached_tokens").Int() != v.Get("cached_tokens").Int() || u.Get("prompt_tokens").Int() == 0 {
			t.Errorf("%s: usage %s of %s", r.Name, u, v)
		}
	}
	if answers < 4 || failures < 2 {
		t.Errorf("%d answers, %d failures", answers, failures)
	}
}

// Guarantee: a context that is too long is told in the word that clients look for.
func TestTooLong(t *testing.T) {
	t.Parallel()
	x := asked(t, adaptertest.New(t, cohere{}), `{"model":"chat","messages":[]}`)
	out, err := x.Response(t, &adapter.Response{Status: 400, Body: []byte(`{"message":"too many tokens: size limit exceeded"}`)})
	if err != nil || gjson.GetBytes(out.Body, "error.code").Str != "context_length_exceeded" {
		t.Errorf("%v %v", out, err)
	}
}

// total is what the chunks of a stream add up to.
type total struct {
	text, reasoning, reason, failure string
	calls                            []toolCall
	usage                            gjson.Result
}

func add(t *testing.T, events []adapter.Event) (sum total) {
	t.Helper()
	for i, e := range events {
		if string(e.Data) == "[DONE]" {
			if i != len(events)-1 {
				t.Error("it goes on after its end")
			}
			continue
		}
		var chunk struct {
			Error   struct{ Message string }
			Choices []struct {
				Delta  chatDelta
				Reason string `json:"finish_reason"`
			}
		}
		if err := json.Unmarshal(e.Data, &chunk); err != nil {
			t.Fatal(err)
		}
		sum.failure += chunk.Error.Message
		if u := gjson.GetBytes(e.Data, "usage"); u.Exists() {
			sum.usage = u
		}
		for _, c := range chunk.Choices {
			if c.Delta.Content != nil {
				sum.text += *c.Delta.Content
			}
			sum.reasoning += c.Delta.Reasoning
			sum.reason += c.Reason
			for _, call := range c.Delta.ToolCalls {
				if *call.Index == len(sum.calls) {
					sum.calls = append(sum.calls, call)
					continue
				}
				sum.calls[*call.Index].Function.Arguments += call.Function.Arguments
			}
		}
	}
	return sum
}

// told is what a recorded stream says, by plain reading.
func told(events []adapter.Event) (sum total) {
	for _, e := range events {
		m := gjson.GetBytes(e.Data, "delta.message")
		sum.text += m.Get("content.text").Str + m.Get("tool_plan").Str
		sum.reasoning += m.Get("content.thinking").Str
		switch gjson.GetBytes(e.Data, "type").Str {
		case "tool-call-start":
			sum.calls = append(sum.calls, toolCall{ID: m.Get("tool_calls.id").Str, Function: functionCall{Name: m.Get("tool_calls.function.name").Str}})
		case "tool-call-delta":
			sum.calls[len(sum.calls)-1].Function.Arguments += m.Get("tool_calls.function.arguments").Str
		case "message-end":
			sum.usage, sum.reason = gjson.GetBytes(e.Data, "delta.usage"), gjson.GetBytes(e.Data, "delta.finish_reason").Str
			sum.failure = gjson.GetBytes(e.Data, "delta.error").Str
		}
	}
	return sum
}

// Guarantee: every recorded stream becomes one of Chat Completions with the same text, reasoning, calls and usage, event by event, and
// one in which Cohere fails becomes an error without an end.
func TestRecordedStreams(t *testing.T) {
	t.Parallel()
	g := adaptertest.New(t, cohere{})
	streams := 0
	for _, r := range vectors.All(t) {
		if !r.Stream || r.Vendor != "cohere" || strings.Contains(r.URL, "/v1/") || !strings.Contains(string(r.Body), `"message-start"`) {
			continue
		}
		streams++
		events := adaptertest.Events(r.Body)
		if strings.HasSuffix(r.Name, ".ndjson") {
			events = adaptertest.Lines(r.Body)
		}
		want := told(events)
		x := asked(t, g, `{"model":"chat","messages":[],"stream":true,"stream_options":{"include_usage":true}}`)
		s, err := x.Stream(t, &adapter.Response{Status: 200}, events, want.failure == "")
		if err != nil {
			t.Fatal(r.Name, err)
		}
		got := add(t, s.All())
		if got.text != want.text || got.reasoning != want.reasoning || len(got.calls) != len(want.calls) || got.failure != want.failure {
			t.Errorf("%s: %+v, want %+v", r.Name, got, want)
			continue
		}
		for i, c := range want.calls {
			if c.Function.Arguments == "" {
				c.Function.Arguments = "{}"
			}
			if o := got.calls[i]; o.ID != c.ID || o.Function != c.Function {
				t.Errorf("%s: call %+v, want %+v", r.Name, o, c)
			}
		}
		if want.failure != "" {
			continue
		}
		if got.reason == "" || got.usage.Get("total_tokens").Int() != want.usage.Get("tokens.input_tokens").Int()+want.usage.Get("tokens.output_tokens").Int() {
			t.Errorf("%s: %s, usage %s of %s", r.Name, got.reason, got.usage, want.usage)
		}
		if len(s.Events[1]) == 0 && len(s.Events[2]) == 0 {
			t.Errorf("%s: text is kept back", r.Name)
		}
	}
	if streams < 7 {
		t.Errorf("%d streams", streams)
	}
}

// Guarantee: a stream of Cohere's that breaks off, or just ends, is never made to look complete.
func TestBrokenStream(t *testing.T) {
	t.Parallel()
	g := adaptertest.New(t, cohere{})
	events := []adapter.Event{
		{Data: []byte(`{"type":"message-start","id":"x","delta":{"message":{}}}`)},
		{Data: []byte(`{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"Hel"}}}}`)},
	}
	x := asked(t, g, `{"model":"chat","messages":[],"stream":true}`)
	s, err := x.Stream(t, &adapter.Response{Status: 200}, events, false)
	if err != nil {
		t.Fatal(err)
	}
	if sum := add(t, s.All()); sum.text != "Hel" || sum.reason != "" || len(s.All()) != 2 {
		t.Errorf("%+v", sum)
	}
	// Of the end that never came only the adapter's failure is left.
	if _, err = x.Stream(t, &adapter.Response{Status: 200}, events, true); !adaptertest.IsFailure(err) {
		t.Errorf("got %v", err)
	}
}

// FuzzAnswers has Cohere answer anything.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"type":"tool-call-start","index":3,"delta":{"message":{"tool_calls":{"id":"x","function":{"name":"f"}}}}}`), 200)
	f.Add([]byte(`{"id":"x","finish_reason":"COMPLETE","message":{"content":[{"type":"text","text":"hi"}]}}`), 200)
	f.Add([]byte(`{"message":"no"}`), 429)
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		call := &adapter.Call{Role: adapter.Vendor, State: []byte(`{"model":"chat","usage":true}`)}
		out, err := cohere{}.TranslateResponse(t.Context(), call, &adapter.Response{Status: status, Body: body})
		if err == nil && !json.Valid(out.Body) {
			t.Errorf("%q", out.Body)
		}
		s, _, err := cohere{}.NewStream(t.Context(), call, &adapter.Response{Status: status})
		if err != nil {
			t.Fatal(err)
		}
		events, err := s.Event(t.Context(), adapter.Event{Data: body})
		for _, e := range events {
			if err == nil && !json.Valid(e.Data) {
				t.Errorf("%q", e.Data)
			}
		}
	})
}
