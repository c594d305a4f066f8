package messages_test

import (
	"encoding/json"
	"strings"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: a system prompt arrives, as a text or in blocks, and mid-conversation where it stands.
func TestD1SystemStringOrBlocks(t *testing.T) {
	t.Parallel()
	blocks := request(`"system":[{"type":"text","text":"One"},{"type":"text","text":"Two","cache_control":{"type":"ephemeral"}}]`)
	for name, c := range map[string]struct {
		body    string
		options *controlv1.VendorOptions
		want    string
	}{
		"text":      {request(`"system":"Be brief"`), nil, `[{"role":"system","content":"Be brief"},{"role":"user","content":"Hi"}]`},
		"developer": {request(`"system":"Be brief"`), &controlv1.VendorOptions{DeveloperRole: true}, `[{"role":"developer","content":"Be brief"},{"role":"user","content":"Hi"}]`},
		"blocks":    {blocks, nil, `[{"role":"system","content":[{"type":"text","text":"One"},{"type":"text","text":"Two"}]},{"role":"user","content":"Hi"}]`},
		"one text":  {blocks, &controlv1.VendorOptions{StringContent: true}, `[{"role":"system","content":"One\n\nTwo"},{"role":"user","content":"Hi"}]`},
		"marks": {blocks, &controlv1.VendorOptions{CacheBreakpoints: true}, `[{"role":"system","content":[{"type":"text","text":"One"},
			{"type":"text","text":"Two","prompt_cache_breakpoint":{"mode":"explicit"}}]},{"role":"user","content":"Hi"}]`},
		"between": {
			conversation(`{"role":"user","content":"a"},{"role":"system","content":"b"},{"role":"user","content":"c"}`), nil,
			`[{"role":"user","content":"a"},{"role":"system","content":"b"},{"role":"user","content":"c"}]`,
		},
		"empty": {request(`"system":""`), nil, `[{"role":"user","content":"Hi"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, out := translate(t, c.body, callWith(c.options))
			same(t, out["messages"], c.want)
		})
	}
}

// Guarantee: images arrive, in the request itself or by URL, in their place among the texts.
func TestD2ImageBase64OrURL(t *testing.T) {
	t.Parallel()
	_, out := translate(t, conversation(`{"role":"user","content":[{"type":"text","text":"See"},
		{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}},
		{"type":"image","source":{"type":"url","url":"https://example.com/a.jpg?x=1&y=2"}},{"type":"text","text":"and"}]}`), plain())
	same(t, out["messages"], `[{"role":"user","content":[{"type":"text","text":"See"},
		{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}},
		{"type":"image_url","image_url":{"url":"https://example.com/a.jpg?x=1&y=2"}},{"type":"text","text":"and"}]}]`)
}

// Guarantee: tools and their calls arrive, and names that are too long come back as they were.
func TestD3ToolUseAndLongNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long_name.", 7)
	body := request(`"tools":[{"name":"` + long + `","description":"d","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"},"strict":true}],
		"tool_choice":{"type":"tool","name":"` + long + `","disable_parallel_tool_use":true},
		"messages":[{"role":"user","content":"Hi"},
		{"role":"assistant","content":[{"type":"text","text":"I will"},{"type":"tool_use","id":"toolu_1","name":"` + long + `","input":{ "n": 1.50, "s": "a \" \\ \u00e9 b" }}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"ok"}]}]`)
	tr, out := translate(t, body, plain())
	const short = "long_name_long_name_long_name_long_name_long_name_long__"
	var got struct {
		Tools []struct {
			Function struct{ Name string }
		}
		Choice struct {
			Function struct{ Name string }
		} `json:"tool_choice"`
		Parallel *bool `json:"parallel_tool_calls"`
		Messages []struct {
			Calls []struct {
				ID       string
				Function struct{ Name, Arguments string }
			} `json:"tool_calls"`
		}
	}
	if err := json.Unmarshal(tr.Body(), &got); err != nil {
		t.Fatal(err)
	}
	name := got.Tools[0].Function.Name
	if len(name) != 64 || !strings.HasPrefix(name, short) {
		t.Fatalf("the short name is %q", name)
	}
	call := got.Messages[1].Calls[0]
	if got.Choice.Function.Name != name || call.Function.Name != name || call.ID != "toolu_1" || got.Parallel == nil || *got.Parallel {
		t.Errorf("the choice and the call are %v", out)
	}
	if want := `{"n":1.50,"s":"a \" \\ \u00e9 b"}`; call.Function.Arguments != want {
		t.Errorf("the arguments are %s, not %s", call.Function.Arguments, want)
	}
	answer := answered(t, tr, `{"id":"x","choices":[{"index":0,"message":{"content":null,"tool_calls":[
		{"id":"functions.Bash:0","type":"function","function":{"name":"`+name+`","arguments":"{\"big\":12345678901234567890.10}"}},
		{"id":"functions.Bash:0","type":"function","function":{"name":"other","arguments":""}}]},"finish_reason":"stop"}]}`)
	if !strings.Contains(string(answer), `"input":{"big":12345678901234567890.10}`) {
		t.Errorf("the number was written anew: %s", answer)
	}
	var m map[string]any
	if err := json.Unmarshal(answer, &m); err != nil {
		t.Fatal(err)
	}
	same(t, m["stop_reason"], `"tool_use"`)
	m["content"].([]any)[0].(map[string]any)["input"] = nil
	same(t, m["content"], `[{"type":"tool_use","id":"functions_Bash_0","name":"`+long+`","input":null},{"type":"tool_use","id":"functions_Bash_0_2","name":"other","input":{}}]`)
}

// Guarantee: results of tools stand right behind the turn that called them, before what else the user says, and say of errors
// that they are ones; images of theirs are not lost.
func TestD4ToolResultOrderListErrorAndImages(t *testing.T) {
	t.Parallel()
	const calls = `{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}},{"type":"tool_use","id":"b","name":"f","input":{}}]},`
	const called = `{"role":"user","content":"Hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},
		{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]},`
	for name, c := range map[string]struct{ messages, want string }{
		"order": {
			`{"role":"user","content":[{"type":"text","text":"first"},{"type":"tool_result","tool_use_id":"b","content":"B"},{"type":"tool_result","tool_use_id":"a"},{"type":"text","text":"last"}]}`,
			`{"role":"tool","tool_call_id":"b","content":"B"},{"role":"tool","tool_call_id":"a","content":""},{"role":"user","content":[{"type":"text","text":"first"},{"type":"text","text":"last"}]}`,
		},
		"two turns": {
			`{"role":"user","content":"wait"},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"A"}]}`,
			`{"role":"tool","tool_call_id":"a","content":"A"},{"role":"user","content":"wait"}`,
		},
		"list": {
			`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"1"},{"type":"text","text":"2"}]}]}`,
			`{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"1"},{"type":"text","text":"2"}]}`,
		},
		"error": {
			`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","is_error":true,"content":"no such file"},{"type":"tool_result","tool_use_id":"b","is_error":true}]}`,
			`{"role":"tool","tool_call_id":"a","content":"Error: no such file"},{"role":"tool","tool_call_id":"b","content":"Error: "}`,
		},
		"images": {
			`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"see"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]},{"type":"text","text":"well?"}]}`,
			`{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"see"},{"type":"text","text":"[image 1 of tool result a]"}]},
			{"role":"user","content":[{"type":"text","text":"[image 1 of tool result a]"},{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}},{"type":"text","text":"well?"}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, out := translate(t, conversation(calls+c.messages), plain())
			same(t, out["messages"], "["+called+c.want+"]")
		})
	}
}

// Guarantee: why an answer ended is said in Anthropic's words, and never as an end that it was not.
func TestD5StopReasons(t *testing.T) {
	t.Parallel()
	const call = `"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]`
	for name, c := range map[string]struct{ message, finish, reason, sequence string }{
		"stop":                {`"content":"x"`, `"stop"`, "end_turn", "null"},
		"length":              {`"content":"x"`, `"length"`, "max_tokens", "null"},
		"tool_calls":          {call, `"tool_calls"`, "tool_use", "null"},
		"function_call":       {`"function_call":{"name":"f","arguments":"{}"}`, `"function_call"`, "tool_use", "null"},
		"a forced call":       {call, `"stop"`, "tool_use", "null"},
		"a filter":            {`"content":""`, `"content_filter"`, "refusal", "null"},
		"a filtered call":     {call, `"content_filter"`, "refusal", "null"},
		"a call cut short":    {`"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\"a"}}]`, `"length"`, "max_tokens", "null"},
		"nothing":             {`"content":"x"`, `null`, "end_turn", "null"},
		"vLLM's sequence":     {`"content":"x"`, `"stop","stop_reason":"END\n"`, "stop_sequence", `"END\n"`},
		"vLLM's token":        {`"content":"x"`, `"stop","stop_reason":128009`, "end_turn", "null"},
		"an unknown one":      {`"content":"x"`, `"eos"`, "end_turn", "null"},
		"the model's refusal": {`"content":null,"refusal":"No."`, `"stop"`, "end_turn", "null"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr, _ := translate(t, request(``), plain())
			choice := `[{"index":0,"message":{` + c.message + `},"finish_reason":` + c.finish + `}]`
			whole := answered(t, tr, `{"choices":`+choice+`}`)
			ways := map[string][]byte{"whole": whole}
			if c.finish != "null" { // which in a stream says that it goes on
				ways["streamed"] = fold(t, stream(t, tr, "data: {\"choices\":"+strings.Replace(choice, `"message"`, `"delta"`, 1)+"}\n\ndata: [DONE]\n\n"))
			}
			for way, got := range ways {
				var m map[string]json.RawMessage
				if err := json.Unmarshal(got, &m); err != nil {
					t.Fatal(err)
				}
				if string(m["stop_reason"]) != `"`+c.reason+`"` || string(m["stop_sequence"]) != c.sequence {
					t.Errorf("%s: %s, %s", way, m["stop_reason"], m["stop_sequence"])
				}
			}
		})
	}
}

// Guarantee: what came from a cache is counted apart, and nothing twice.
func TestD6CacheTokens(t *testing.T) {
	t.Parallel()
	tr, _ := translate(t, request(``), plain())
	for usage, want := range map[string]string{
		`{"prompt_tokens":1000,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":300,"cache_write_tokens":200}}`:  `{"input_tokens":500,"cache_creation_input_tokens":200,"cache_read_input_tokens":300,"output_tokens":5}`,
		`{"prompt_tokens":1000,"completion_tokens":5,"prompt_cache_hit_tokens":300,"prompt_cache_miss_tokens":700}`:            `{"input_tokens":700,"cache_creation_input_tokens":0,"cache_read_input_tokens":300,"output_tokens":5}`,
		`{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":30}}`:                              `{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":30,"output_tokens":5}`,
		`{"prompt_tokens":12,"completion_tokens":1,"total_tokens":241,"completion_tokens_details":{"reasoning_tokens":228}}`:   `{"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":229,"output_tokens_details":{"thinking_tokens":228}}`,
		`{"prompt_tokens":12,"completion_tokens":300,"total_tokens":312,"completion_tokens_details":{"reasoning_tokens":228}}`: `{"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":300,"output_tokens_details":{"thinking_tokens":228}}`,
		`{"prompt_tokens":"x","completion_tokens":-3,"prompt_tokens_details":null}`:                                            `{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}`,
		`null`: `{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}`,
	} {
		var m map[string]any
		if err := json.Unmarshal(answered(t, tr, `{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":`+usage+`}`), &m); err != nil {
			t.Fatal(err)
		}
		same(t, m["usage"], want)
	}
}
