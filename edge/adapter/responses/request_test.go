package responses_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/responses"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

func sameJSON(tb testing.TB, a, b string) bool {
	tb.Helper()
	var x, y any
	if err := json.Unmarshal([]byte(a), &x); err != nil {
		tb.Fatalf("%v: %s", err, a)
	}
	if err := json.Unmarshal([]byte(b), &y); err != nil {
		tb.Fatalf("%v: %s", err, b)
	}
	return reflect.DeepEqual(x, y)
}

const (
	weather = `{"type":"function","name":"weather","description":"Tells","parameters":{"type":"object"},"strict":true}`
	call1   = `{"type":"function_call","id":"fc_1","call_id":"c1","name":"weather","arguments":"{\"at\":\"Rome\"}","status":"completed"}`
	call2   = `{"type":"function_call","call_id":"c2","name":"weather","arguments":""}`
	out1    = `{"type":"function_call_output","call_id":"c1","output":"sunny"}`
	out2    = `{"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"data:image/png;base64,AA==","detail":"low"}]}`
	chat1   = `{"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"at\":\"Rome\"}"}}`
	chat2   = `{"id":"c2","type":"function","function":{"name":"weather","arguments":"{}"}}`
	tool1   = `{"role":"tool","tool_call_id":"c1","content":"sunny"}`
	tool2   = `{"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"a"},{"type":"text","text":"[image of the result of call c2]"}]}`
	shown2  = `{"role":"user","content":[{"type":"text","text":"[image of the result of call c2]"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}}]}`
)

// Guarantee: what both schemas can say arrives as it was said, in the order in which it was, and in the places that Chat Completions has.
func TestRequests(t *testing.T) {
	t.Parallel()
	all := &controlv1.VendorOptions{
		DeveloperRole: true, Files: true, ReasoningContent: true, SafetyIdentifier: true, CacheBreakpoints: true, WebSearch: true,
		MaxTokensField: controlv1.MaxTokensField_MAX_TOKENS_FIELD_MAX_TOKENS, NoStreamUsage: true, JsonObjectAsSchema: true,
		ExtraFields: controlv1.ExtraFields_EXTRA_FIELDS_PASS,
	}
	cases := []struct {
		name, in string // both are fields behind the model
		out      string
		dropped  string
		options  *controlv1.VendorOptions
	}{
		{"a text", `"input":"Hi"`, `"messages":[{"role":"user","content":"Hi"}]`, "", nil},
		{
			"instructions", `"instructions":"Be kind","input":"Hi"`,
			`"messages":[{"role":"system","content":"Be kind"},{"role":"user","content":"Hi"}]`, "", nil,
		},
		{"no instructions", `"instructions":"","input":"Hi","tools":[],"user":null`, `"messages":[{"role":"user","content":"Hi"}]`, "", nil},
		{
			"developer", `"input":[{"role":"developer","content":"x"},{"role":"system","content":"y"}]`,
			`"messages":[{"role":"developer","content":"x"},{"role":"developer","content":"y"}]`, "", all,
		},
		{
			"roles", `"input":[{"role":"developer","content":"x"},{"role":"user","content":[]},{"type":"message","role":"assistant","id":"msg_1",
			"status":"completed","content":[{"type":"output_text","text":"z","annotations":[],"logprobs":[]}]}]`,
			`"messages":[{"role":"system","content":"x"},{"role":"user","content":""},{"role":"assistant","content":"z"}]`, "", nil,
		},
		{
			"parts", `"input":[{"role":"user","content":[{"type":"input_text","text":"x"},{"type":"input_image","image_url":"https://a.example/b.png","detail":"original"}]}]`,
			`"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"https://a.example/b.png"}}]}]`,
			"input_image.detail", nil,
		},
		{
			"one text", `"input":[{"role":"user","content":[{"type":"input_text","text":"x\n"},{"type":"input_text","text":"y"}]}]`,
			`"messages":[{"role":"user","content":"x\n\n\ny"}]`, "", &controlv1.VendorOptions{StringContent: true},
		},
		{
			"a file", `"input":[{"role":"user","content":[{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,AA=="}]}]`,
			`"messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AA=="}}]}]`, "", all,
		},
		{
			"a refusal", `"input":[{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}]`,
			`"messages":[{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}]`, "", nil,
		},
		{
			"two texts of the assistant", `"input":[{"role":"assistant","content":"a"},{"role":"assistant","content":"b"}]`,
			`"messages":[{"role":"assistant","content":"a"},{"role":"assistant","content":"b"}]`, "", nil,
		},
		{
			"calls at once", `"input":[{"role":"assistant","content":"a"},` + call1 + `,` + call2 + `,` + out2 + `,` + out1 + `,{"role":"user","content":"b"}]`,
			`"messages":[{"role":"assistant","content":"a","tool_calls":[` + chat1 + `,` + chat2 + `]},` + tool1 + `,` + tool2 + `,` + shown2 +
				`,{"role":"user","content":"b"}]`, "", nil,
		},
		{
			"calls in turn", `"input":[` + call1 + `,` + out1 + `,` + call1 + `,` + out1 + `]`,
			`"messages":[{"role":"assistant","content":null,"tool_calls":[` + chat1 + `]},` + tool1 +
				`,{"role":"assistant","content":null,"tool_calls":[` + chat1 + `]},` + tool1 + `]`, "", nil,
		},
		{
			"a result that comes late", `"input":[` + call1 + `,{"role":"user","content":"b"},` + out1 + `]`,
			`"messages":[{"role":"assistant","content":null,"tool_calls":[` + chat1 + `]},` + tool1 + `,{"role":"user","content":"b"}]`, "", nil,
		},
		{
			"text behind a call", `"input":[` + call1 + `,{"role":"assistant","content":"a"},` + out1 + `]`,
			`"messages":[{"role":"assistant","content":"a","tool_calls":[` + chat1 + `]},` + tool1 + `]`, "", nil,
		},
		{
			"thoughts", `"input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"x"},{"role":"assistant","content":"a"}]`,
			`"messages":[{"role":"assistant","content":"a"}]`, "input.reasoning", nil,
		},
		{
			"thoughts that are kept", `"input":[{"role":"assistant","content":"a"},{"type":"reasoning","id":"rs_1","summary":[],
			"content":[{"type":"reasoning_text","text":"hm"}]},` + call1 + `,` + out1 + `]`,
			`"messages":[{"role":"assistant","content":"a"},{"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[` + chat1 + `]},` + tool1 + `]`,
			"", all,
		},
		{
			"tools", `"input":"Hi","tools":[` + weather + `],"tool_choice":"required","parallel_tool_calls":false`,
			`"messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"weather","description":"Tells",
				"parameters":{"type":"object"},"strict":true}}],"tool_choice":"required","parallel_tool_calls":false`, "", nil,
		},
		{
			"a chosen tool", `"input":"Hi","tools":[{"type":"function","name":"a"}],"tool_choice":{"type":"function","name":"a"}`,
			`"messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"a"}}],
				"tool_choice":{"type":"function","function":{"name":"a"}}`, "", nil,
		},
		{
			"allowed tools", `"input":"Hi","tools":[{"type":"function","name":"a"}],
			"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"a"}]}`,
			`"messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"a"}}],
				"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"a"}}]}}`, "", nil,
		},
		{"no tools to choose from", `"input":"Hi","tool_choice":"auto","parallel_tool_calls":true`, `"messages":[{"role":"user","content":"Hi"}]`, "", nil},
		{
			"web search", `"input":"Hi","tools":[{"type":"web_search","search_context_size":"low","user_location":{"type":"approximate","city":"Rome"}}]`,
			`"messages":[{"role":"user","content":"Hi"}],"web_search_options":{"search_context_size":"low",
				"user_location":{"type":"approximate","approximate":{"city":"Rome"}}}`, "", all,
		},
		{
			"numbers", `"input":"Hi","max_output_tokens":10,"temperature":0.50,"top_p":1,"top_logprobs":0,"service_tier":"flex"`,
			`"messages":[{"role":"user","content":"Hi"}],"max_completion_tokens":10,"temperature":0.5,"top_p":1,"service_tier":"flex"`, "", nil,
		},
		{
			"the other field", `"input":"Hi","max_output_tokens":10,"stream":true`,
			`"messages":[{"role":"user","content":"Hi"}],"max_tokens":10,"stream":true`, "", all,
		},
		{
			"a stream", `"input":"Hi","stream":true`,
			`"messages":[{"role":"user","content":"Hi"}],"stream":true,"stream_options":{"include_usage":true}`, "", nil,
		},
		{
			"thinking", `"input":"Hi","reasoning":{"effort":"low","summary":"auto"}`,
			`"messages":[{"role":"user","content":"Hi"}],"reasoning_effort":"low"`, "reasoning.summary", nil,
		},
		{
			"no thinking", `"input":"Hi","reasoning":{"effort":"low","summary":null}`,
			`"messages":[{"role":"user","content":"Hi"}]`, "reasoning.effort", &controlv1.VendorOptions{Thinking: controlv1.Thinking_THINKING_OFF},
		},
		{
			"a schema", `"input":"Hi","text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"},"strict":true},"verbosity":"low"}`,
			`"messages":[{"role":"user","content":"Hi"}],"verbosity":"low",
				"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"},"strict":true}}`, "", nil,
		},
		{
			"an object", `"input":"Hi","text":{"format":{"type":"json_object"}}`,
			`"messages":[{"role":"user","content":"Hi"}],"response_format":{"type":"json_object"}`, "", nil,
		},
		{
			"an object as a schema", `"input":"Hi","text":{"format":{"type":"json_object"}}`,
			`"messages":[{"role":"user","content":"Hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"object","schema":{"type":"object"}}}`, "", all,
		},
		{"a person", `"input":"Hi","user":"u","safety_identifier":"s"`, `"messages":[{"role":"user","content":"Hi"}],"user":"u"`, "safety_identifier", nil},
		{
			"a person by the newer name", `"input":"Hi","user":"u","safety_identifier":"s"`,
			`"messages":[{"role":"user","content":"Hi"}],"safety_identifier":"s"`, "user", all,
		},
		{
			"caches", `"input":[{"role":"user","content":[{"type":"input_text","text":"x","prompt_cache_breakpoint":{"mode":"explicit"}}]}],"prompt_cache_key":"k"`,
			`"messages":[{"role":"user","content":"x"}]`, "prompt_cache_breakpoint prompt_cache_key", nil,
		},
		{
			"caches of OpenAI", `"input":[{"role":"user","content":[{"type":"input_text","text":"x","prompt_cache_breakpoint":{"mode":"explicit"}}]}],"prompt_cache_key":"k"`,
			`"messages":[{"role":"user","content":[{"type":"text","text":"x","prompt_cache_breakpoint":{"mode":"explicit"}}]}],"prompt_cache_key":"k"`, "", all,
		},
		{
			"what is left out", `"input":"Hi","metadata":{"a":"b"},"store":true,"truncation":"auto","include":["reasoning.encrypted_content"],
			"max_tool_calls":3,"background":false,"previous_response_id":null,"seed":1`,
			`"messages":[{"role":"user","content":"Hi"}]`, "include max_tool_calls seed store truncation", nil,
		},
		{"what nobody knows", `"input":"Hi","top_k":3,"n":2,"messages":[]`, `"messages":[{"role":"user","content":"Hi"}],"top_k":3`, "messages n", all},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x := translate(t, `{"model":"mine",`+c.in+`}`, c.options)
			if want := `{"model":"theirs",` + c.out + `}`; !sameJSON(t, string(x.Body()), want) {
				t.Errorf("it is\n%s\nand not\n%s", x.Body(), want)
			}
			if got := strings.Join(x.Dropped(), " "); got != c.dropped {
				t.Errorf("dropped is %q", got)
			}
			checkRequest(t, c.name, x.Body())
		})
	}
}

// Guarantee: what cannot be said in Chat Completions is refused by the name of its field, and so is what is wrong.
func TestRefusals(t *testing.T) {
	t.Parallel()
	strict := &controlv1.VendorOptions{ExtraFields: controlv1.ExtraFields_EXTRA_FIELDS_REFUSE}
	cases := []struct {
		in, param, says string
		options         *controlv1.VendorOptions
	}{
		{`[]`, "", "JSON object", nil},
		{`{"input":`, "", "no JSON", nil},
		{`{}`, "input", "a text or a list", nil},
		{`{"input":[]}`, "input", "nothing", nil},
		{`{"input":"x","previous_response_id":"resp_1"}`, "previous_response_id", "mine/theirs", nil},
		{`{"input":"x","conversation":"c"}`, "conversation", "whole conversation", nil},
		{`{"input":"x","prompt":{"id":"p"}}`, "prompt", "instructions", nil},
		{`{"input":"x","background":true}`, "background", "waits", nil},
		{`{"input":"x","context_management":[{"type":"compaction"}]}`, "context_management", "mine/theirs", nil},
		{`{"input":"x","moderation":{"model":"m"}}`, "moderation", "moderated", nil},
		{`{"input":"x","top_logprobs":2}`, "top_logprobs", "mine/theirs", nil},
		{`{"input":"x","stream":"yes"}`, "stream", "true or false", nil},
		{`{"input":"x","max_output_tokens":0}`, "max_output_tokens", "above 0", nil},
		{`{"input":"x","max_output_tokens":1.5}`, "max_output_tokens", "whole", nil},
		{`{"input":"x","temperature":"hot"}`, "temperature", "number", nil},
		{`{"input":"x","tools":[{"type":"web_search"}]}`, "tools[0]", "web_search", nil},
		{`{"input":"x","tools":[` + weather + `,{"type":"custom","name":"c"}]}`, "tools[1]", "custom", nil},
		{`{"input":"x","tools":[{"type":"function"}]}`, "tools[0].name", "name", nil},
		{
			`{"input":"x","tools":[{"type":"web_search","filters":{"allowed_domains":["a.example"]}}]}`, "tools[0].filters", "sites",
			&controlv1.VendorOptions{WebSearch: true},
		},
		{`{"input":"x","tool_choice":"required"}`, "tool_choice", "no functions", nil},
		{`{"input":"x","tools":[` + weather + `],"tool_choice":{"type":"file_search"}}`, "tool_choice", "file_search", nil},
		{`{"input":"x","tools":[` + weather + `],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"mcp"}]}}`, "tool_choice.tools[0]", "mcp", nil},
		{`{"input":"x","text":{"format":{"type":"grammar"}}}`, "text.format.type", "json_schema", nil},
		{`{"input":[{"type":"item_reference","id":"msg_1"}]}`, "input[0]", "send the item", nil},
		{`{"input":[{"role":"user","content":"x"},{"type":"computer_call"}]}`, "input[1]", "computer_call", nil},
		{`{"input":[{"type":"custom_tool_call"}]}`, "input[0]", "custom_tool_call", nil},
		{`{"input":[{"id":"x"}]}`, "input[0].type", "type", nil},
		{`{"input":[{"role":"critic","content":"x"}]}`, "input[0].role", "assistant", nil},
		{`{"input":[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]}`, "input[0].content[0].file_id", "image_url", nil},
		{`{"input":[{"role":"user","content":[{"type":"input_file","file_url":"https://a.example/b.pdf"}]}]}`, "input[0].content[0].file_url", "file_data", nil},
		{`{"input":[{"role":"user","content":[{"type":"input_file","file_data":"x"}]}]}`, "input[0].content[0]", "take files", nil},
		{`{"input":[{"role":"user","content":[{"type":"input_audio"}]}]}`, "input[0].content[0]", "input_audio", nil},
		{`{"input":[{"role":"assistant","content":[{"type":"input_image","image_url":"x"}]}]}`, "input[0].content[0]", "user", nil},
		{`{"input":[` + call1 + `]}`, "input[0]", "function_call_output", nil},
		{`{"input":[{"role":"user","content":"x"},` + out1 + `]}`, "input[1].call_id", "function_call", nil},
		{`{"input":[` + call1 + `,{"type":"function_call_output","call_id":"c1","output":3}]}`, "input[1].output", "text", nil},
		{`{"input":"x","top_k":3}`, "top_k", "counterpart", strict},
		{`{"input":"x","reasoning":{"summary":"auto"}}`, "reasoning.summary", "counterpart", strict},
	}
	for _, c := range cases {
		_, err := responses.Translate([]byte(c.in), newCall(c.options))
		var told *adapter.Error
		if !errors.As(err, &told) || told.Kind != adapter.Invalid {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if told.Param != c.param || !strings.Contains(told.Message, c.says) || !strings.Contains(told.Message, c.param) {
			t.Errorf("%s: %q about %q", c.in, told.Message, told.Param)
		}
	}
}

// Guarantee: names of functions that Chat Completions would not take go to the vendor in a form that it takes, are the same in tools,
// choices and history, and come back as the caller has them.
func TestLongToolNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("mcp__server.tool/", 6)
	x := translate(t, `{"input":[{"type":"function_call","call_id":"c1","name":"`+long+`","arguments":"{}"},`+out1+`],
		"tools":[{"type":"function","name":"`+long+`"}],"tool_choice":{"type":"function","name":"`+long+`"}}`, nil)
	var body struct {
		Messages []struct {
			Calls []struct{ Function struct{ Name string } } `json:"tool_calls"`
		}
		Tools  []struct{ Function struct{ Name string } }
		Choice struct{ Function struct{ Name string } } `json:"tool_choice"`
	}
	if err := json.Unmarshal(x.Body(), &body); err != nil {
		t.Fatal(err)
	}
	short := body.Tools[0].Function.Name
	if len(short) != 64 || strings.ContainsAny(short, "./") || body.Choice.Function.Name != short || body.Messages[0].Calls[0].Function.Name != short {
		t.Errorf("%s", x.Body())
	}
	answer, err := x.Answer(t.Context(), []byte(`{"choices":[{"message":{"tool_calls":[{"id":"c2","function":{"name":"`+short+`","arguments":"{}"}}]}}]}`))
	if err != nil || !strings.Contains(string(answer), `"name":"`+long+`","arguments":"{}"`) {
		t.Errorf("%v: %s", err, answer)
	}
}

// Guarantee: a name that a caller makes up cannot break the header that lists what was left out.
func TestDroppedNamesFitAHeader(t *testing.T) {
	t.Parallel()
	x := translate(t, `{"input":"x","a,b\r\nset-cookie: c":1,"`+strings.Repeat("ö", 80)+`":1}`, nil)
	for _, name := range x.Dropped() {
		if len(name) > 64 || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' || c == ',' }) {
			t.Errorf("%q", name)
		}
	}
	if len(x.Dropped()) != 2 {
		t.Errorf("%q", x.Dropped())
	}
}
