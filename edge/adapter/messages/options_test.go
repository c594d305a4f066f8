package messages_test

import (
	"strings"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: each field becomes what the vendor has for it, by the vendor's options.
func TestFieldsAndOptions(t *testing.T) {
	t.Parallel()
	type options = controlv1.VendorOptions
	const rest = `"model":"gpt-5","messages":[{"role":"user","content":"Hi"}],`
	const limit = rest + `"max_completion_tokens":100`
	tool := `"tools":[{"name":"f","input_schema":{}}]`
	const sentTool = `,"tools":[{"type":"function","function":{"name":"f","parameters":{}}}]`
	for name, c := range map[string]struct {
		fields  string
		options *options
		want    string
	}{
		"plain":            {`"temperature":0.70,"top_p":1`, nil, limit + `,"temperature":0.7,"top_p":1`},
		"nulls":            {`"temperature":null,"system":null,"tools":null,"thinking":null,"metadata":null,"stop_sequences":null,"container":null`, nil, limit},
		"max_tokens":       {``, &options{MaxTokensField: controlv1.MaxTokensField_MAX_TOKENS_FIELD_MAX_TOKENS}, rest + `"max_tokens":100`},
		"stop":             {`"stop_sequences":["a","b"]`, nil, limit + `,"stop":["a","b"]`},
		"many stops":       {`"stop_sequences":["a","b","c","d","e"]`, &options{MaxStopSequences: -1}, limit + `,"stop":["a","b","c","d","e"]`},
		"no stops":         {`"stop_sequences":[]`, nil, limit},
		"user":             {`"metadata":{"user_id":"u"}`, nil, limit + `,"user":"u"`},
		"safety":           {`"metadata":{"user_id":"u"}`, &options{SafetyIdentifier: true}, limit + `,"safety_identifier":"u"`},
		"long safety":      {`"metadata":{"user_id":"` + strings.Repeat("a", 65) + `"}`, &options{SafetyIdentifier: true}, limit + `,"safety_identifier":"635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"`},
		"tier":             {`"service_tier":"standard_only"`, nil, limit + `,"service_tier":"default"`},
		"auto tier":        {`"service_tier":"auto"`, nil, limit},
		"stream":           {`"stream":true`, nil, limit + `,"stream":true,"stream_options":{"include_usage":true}`},
		"stream, no usage": {`"stream":true`, &options{NoStreamUsage: true}, limit + `,"stream":true`},
		"auto":             {tool + `,"tool_choice":{"type":"auto"}`, nil, limit + sentTool + `,"tool_choice":"auto"`},
		"any, one by one":  {tool + `,"tool_choice":{"type":"any","disable_parallel_tool_use":true}`, nil, limit + sentTool + `,"tool_choice":"required","parallel_tool_calls":false`},
		"one by one":       {tool + `,"tool_choice":{"disable_parallel_tool_use":true}`, nil, limit + sentTool + `,"parallel_tool_calls":false`},
		"none":             {tool + `,"tool_choice":{"type":"none"}`, nil, limit + sentTool + `,"tool_choice":"none"`},
		"no tools":         {`"tools":[],"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`, nil, limit},
		"web search":       {`"tools":[{"type":"web_search_20250305","name":"web_search","max_uses":5,"user_location":{"type":"approximate","city":"Graz","country":"AT"}}]`, &options{WebSearch: true}, limit + `,"web_search_options":{"user_location":{"type":"approximate","approximate":{"city":"Graz","country":"AT"}}}`},
		"minimal":          {`"max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":1023}`, nil, rest + `"max_completion_tokens":9000,"reasoning_effort":"minimal"`},
		"low":              {`"max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":1024}`, nil, rest + `"max_completion_tokens":9000,"reasoning_effort":"low"`},
		"medium":           {`"max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":2048}`, nil, rest + `"max_completion_tokens":9000,"reasoning_effort":"medium"`},
		"high":             {`"max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":4096}`, nil, rest + `"max_completion_tokens":9000,"reasoning_effort":"high"`},
		"adaptive":         {`"thinking":{"type":"adaptive"}`, nil, limit + `,"reasoning_effort":"high"`},
		"adaptive, low":    {`"thinking":{"type":"adaptive"},"output_config":{"effort":"low"}`, nil, limit + `,"reasoning_effort":"low"`},
		"an effort alone":  {`"output_config":{"effort":"max"}`, nil, limit + `,"reasoning_effort":"max"`},
		"disabled":         {`"thinking":{"type":"disabled"},"output_config":{"effort":"max"}`, nil, limit},
		"thinking off":     {`"thinking":{"type":"adaptive"}`, &options{Thinking: controlv1.Thinking_THINKING_OFF}, limit},
		"format":           {`"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}`, nil, limit + `,"response_format":{"type":"json_schema","json_schema":{"name":"structured_output","schema":{"type":"object"}}}`},
		"the older format": {`"output_format":{"type":"json_schema","schema":{"type":"object"}}`, nil, limit + `,"response_format":{"type":"json_schema","json_schema":{"name":"structured_output","schema":{"type":"object"}}}`},
		"cleared thoughts": {`"context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]}`, nil, limit},
		"no servers":       {`"mcp_servers":[]`, nil, limit},
		"callers":          {`"tools":[{"type":"custom","name":"f","input_schema":{},"allowed_callers":["code_execution_20250825","direct"]}]`, nil, limit + sentTool},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, out := translate(t, request(c.fields), callWith(c.options))
			same(t, out, "{"+c.want+"}")
		})
	}
}

// Guarantee: the blocks of a turn become what the vendor has for them, by the vendor's options.
func TestBlocksAndOptions(t *testing.T) {
	t.Parallel()
	type options = controlv1.VendorOptions
	user := func(blocks string) string { return `{"role":"user","content":[` + blocks + `]}` }
	const thoughts = `{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"Hm","signature":"s"},
		{"type":"redacted_thinking","data":"x"},{"type":"text","text":"b"},{"type":"text","text":"c"}]},{"role":"user","content":"d"}`
	for name, c := range map[string]struct {
		messages string
		options  *options
		want     string
	}{
		"empty texts":       {user(`{"type":"text","text":""},{"type":"text","text":"a"}`), nil, `{"role":"user","content":"a"}`},
		"one text":          {user(`{"type":"text","text":"a"},{"type":"text","text":"b"}`), &options{StringContent: true}, `{"role":"user","content":"a\n\nb"}`},
		"a mark":            {user(`{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}`), &options{CacheBreakpoints: true}, `{"role":"user","content":[{"type":"text","text":"a","prompt_cache_breakpoint":{"mode":"explicit"}}]}`},
		"thoughts left out": {thoughts, nil, `{"role":"user","content":"a"},{"role":"assistant","content":"bc"},{"role":"user","content":"d"}`},
		"thoughts":          {thoughts, &options{ReasoningContent: true}, `{"role":"user","content":"a"},{"role":"assistant","content":"bc","reasoning_content":"Hm"},{"role":"user","content":"d"}`},
		"a text document":   {user(`{"type":"document","title":"T","context":"C","source":{"type":"text","media_type":"text/plain","data":"D"}}`), nil, `{"role":"user","content":"T\nC\nD"}`},
		"a document of blocks": {
			user(`{"type":"document","title":"T","source":{"type":"content","content":[{"type":"text","text":"D"},{"type":"image","source":{"type":"url","url":"u"}}]}}`), nil,
			`{"role":"user","content":[{"type":"text","text":"T\n"},{"type":"text","text":"D"},{"type":"image_url","image_url":{"url":"u"}}]}`,
		},
		"a file": {
			user(`{"type":"document","title":"T.pdf","source":{"type":"base64","media_type":"application/pdf","data":"aGk="}}`), &options{Files: true},
			`{"role":"user","content":[{"type":"file","file":{"filename":"T.pdf","file_data":"data:application/pdf;base64,aGk="}}]}`,
		},
		"a search result": {user(`{"type":"search_result","title":"T","source":"S","content":[{"type":"text","text":"1"},{"type":"text","text":"2"}]}`), nil, `{"role":"user","content":"T\nS\n1\n2"}`},
		"two turns of the assistant": {
			`{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"assistant","content":"c"},{"role":"user","content":"d"}`, nil,
			`{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"assistant","content":"c"},{"role":"user","content":"d"}`,
		},
		"a call and a turn": {
			`{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},{"role":"assistant","content":"c"},` + user(`{"type":"tool_result","tool_use_id":"t","content":"r"}`), nil,
			`{"role":"user","content":"a"},{"role":"assistant","content":"c","tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"t","content":"r"}`,
		},
		"a prefill": {`{"role":"user","content":"a"},{"role":"assistant","content":"b"}`, &options{Prefill: true}, `{"role":"user","content":"a"},{"role":"assistant","content":"b"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, out := translate(t, conversation(c.messages), callWith(c.options))
			same(t, out["messages"], "["+c.want+"]")
			if prefill := c.options.GetPrefill(); prefill != (out["continue_final_message"] == true && out["add_generation_prompt"] == false) {
				t.Errorf("prefill is %v", out)
			}
		})
	}
}
