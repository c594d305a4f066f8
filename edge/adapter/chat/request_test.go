package chat

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/schemas"
)

const (
	hi      = `"messages":[{"role":"user","content":"hi"}]`
	toolbox = `"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g","parameters":{"properties":{"x":{}}},"strict":true}}]`
	effort  = `"reasoning_effort":"medium"`
)

// Guarantee: every field that has a counterpart becomes it, and what is left out is named.
func TestFields(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body    string
		options *controlv1.VendorOptions
		want    map[string]string // raw values by path; empty for none
		dropped string
	}{
		"model":              {body: hi, want: map[string]string{"model": `"claude-sonnet-4-5"`, "stream": "", "thinking": "", "tools": ""}},
		"length by default":  {body: hi, want: map[string]string{"max_tokens": "8192"}},
		"configured length":  {body: hi, options: &controlv1.VendorOptions{DefaultMaxTokens: 99}, want: map[string]string{"max_tokens": "99"}},
		"max_tokens":         {body: hi + `,"max_tokens":7`, want: map[string]string{"max_tokens": "7"}},
		"both lengths":       {body: hi + `,"max_tokens":7,"max_completion_tokens":8`, want: map[string]string{"max_tokens": "8"}},
		"nulls":              {body: hi + `,"max_tokens":null,"n":null,"tools":null,"stop":null,"temperature":null,"audio":null`, want: map[string]string{"stop_sequences": ""}},
		"stop":               {body: hi + `,"stop":"\nEND"`, want: map[string]string{"stop_sequences": `["\nEND"]`}},
		"stops":              {body: hi + `,"stop":["a","b","c","d","e"]`, want: map[string]string{"stop_sequences": `["a","b","c","d","e"]`}},
		"no stops":           {body: hi + `,"stop":[]`, want: map[string]string{"stop_sequences": ""}},
		"sampling":           {body: hi + `,"temperature":0.30,"top_p":1e-1`, want: map[string]string{"temperature": "0.30", "top_p": "1e-1"}},
		"a hot model":        {body: hi + `,"temperature":1.7`, want: map[string]string{"temperature": "1"}},
		"top_k":              {body: hi + `,"top_k":5`, dropped: "top_k", want: map[string]string{"top_k": ""}},
		"top_k, understood":  {body: hi + `,"top_k":5`, options: &controlv1.VendorOptions{TopK: true}, want: map[string]string{"top_k": "5"}},
		"user":               {body: hi + `,"user":"u"`, want: map[string]string{"metadata": `{"user_id":"u"}`}},
		"safety identifier":  {body: hi + `,"user":"u","safety_identifier":"s"`, want: map[string]string{"metadata": `{"user_id":"s"}`}},
		"service tier":       {body: hi + `,"service_tier":"default"`, want: map[string]string{"service_tier": `"standard_only"`}},
		"another tier":       {body: hi + `,"service_tier":"flex"`, dropped: "service_tier", want: map[string]string{"service_tier": ""}},
		"stream":             {body: hi + `,"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}`, want: map[string]string{"stream": "true", "stream_options": ""}},
		"what means nothing": {body: hi + `,"n":1,"logprobs":false,"top_logprobs":0,"frequency_penalty":0,"presence_penalty":0.0,"logit_bias":{},"store":false,"modalities":["text"]`},
		"what is left out": {
			body:    hi + `,"seed":1,"store":true,"metadata":{"a":"b"},"verbosity":"low","logit_bias":{"1":2},"frequency_penalty":1,"presence_penalty":-1,"prediction":{},"whatever":1`,
			dropped: "frequency_penalty logit_bias metadata prediction presence_penalty seed store verbosity whatever",
		},
		"what nobody knows": {
			body: hi + `,"seed":1,"thinking":{"type":"adaptive"},"system":"s","max_token\u0073":5,"a\"b":[1]`, options: &controlv1.VendorOptions{ExtraFields: controlv1.ExtraFields_EXTRA_FIELDS_PASS},
			dropped: "seed", want: map[string]string{"thinking": `{"type":"adaptive"}`, "system": `"s"`, "a\"b": "[1]", "seed": "", "max_tokens": "5"},
		},
		"what nobody knows, twice": {
			body: hi + `,"x":1,"x":2`, options: &controlv1.VendorOptions{ExtraFields: controlv1.ExtraFields_EXTRA_FIELDS_PASS},
			dropped: "x", want: map[string]string{"x": "2"},
		},
		"what nobody knows does not win": {
			body: hi + `,"stop_sequences":["x"],"stop":"y"`, options: &controlv1.VendorOptions{ExtraFields: controlv1.ExtraFields_EXTRA_FIELDS_PASS},
			dropped: "stop_sequences", want: map[string]string{"stop_sequences": `["y"]`},
		},
		"a schema": {
			body: hi + `,"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object"}}}`,
			want: map[string]string{"output_config": `{"format":{"type":"json_schema","schema":{"type":"object"}}}`},
		},
		"any object": {
			body: hi + `,"response_format":{"type":"json_object"}`, options: &controlv1.VendorOptions{JsonObjectAsSchema: true},
			want: map[string]string{"output_config.format.schema": `{"type":"object"}`},
		},
		"text":              {body: hi + `,"response_format":{"type":"text"}`, want: map[string]string{"output_config": ""}},
		"no thinking":       {body: hi + `,"reasoning_effort":"none"`, want: map[string]string{"thinking": `{"type":"disabled"}`}},
		"some thinking":     {body: hi + `,` + effort, want: map[string]string{"thinking": `{"type":"enabled","budget_tokens":2048}`}},
		"less room":         {body: hi + `,"max_tokens":1200,` + effort, want: map[string]string{"thinking.budget_tokens": "1024"}},
		"a quarter is left": {body: hi + `,"max_tokens":2000,` + effort, want: map[string]string{"thinking.budget_tokens": "1500"}},
		"no room":           {body: hi + `,"max_tokens":1024,` + effort, dropped: "reasoning_effort", want: map[string]string{"thinking": ""}},
		"thinking is off":   {body: hi + `,` + effort, options: &controlv1.VendorOptions{Thinking: controlv1.Thinking_THINKING_OFF}, dropped: "reasoning_effort", want: map[string]string{"thinking": ""}},
		"as an effort": {
			body: hi + `,"temperature":1.0,"reasoning_effort":"xhigh"`, options: &controlv1.VendorOptions{Thinking: controlv1.Thinking_THINKING_EFFORT},
			want: map[string]string{"thinking": `{"type":"adaptive"}`, "output_config": `{"effort":"xhigh"}`},
		},
		"the least effort": {
			body: hi + `,"reasoning_effort":"minimal"`, options: &controlv1.VendorOptions{Thinking: controlv1.Thinking_THINKING_EFFORT},
			want: map[string]string{"output_config": `{"effort":"low"}`},
		},
		"tools": {body: hi + `,` + toolbox, want: map[string]string{
			"tools.0": `{"name":"f","input_schema":{"type":"object","properties":{}}}`,
			"tools.1": `{"name":"g","input_schema":{"type":"object","properties":{"x":{}}},"strict":true}`, "tool_choice": "",
		}},
		"a tool must be used": {body: hi + `,"tool_choice":"required",` + toolbox, want: map[string]string{"tool_choice": `{"type":"any"}`}},
		"one after the other": {body: hi + `,"parallel_tool_calls":false,` + toolbox, want: map[string]string{"tool_choice": `{"type":"auto","disable_parallel_tool_use":true}`}},
		"at a time, no tools": {body: hi + `,"parallel_tool_calls":false,"tool_choice":"auto"`, want: map[string]string{"tool_choice": ""}},
		"no tool":             {body: hi + `,"parallel_tool_calls":false,"tool_choice":"none",` + toolbox, want: map[string]string{"tool_choice": `{"type":"none"}`}},
		"a named tool": {
			body: hi + `,"parallel_tool_calls":false,"tool_choice":{"type":"function","function":{"name":"g"}},` + toolbox,
			want: map[string]string{"tool_choice": `{"type":"tool","name":"g","disable_parallel_tool_use":true}`},
		},
		"some tools": {
			body: hi + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"g"}}]}},` + toolbox,
			want: map[string]string{"tools.#": "1", "tools.0.name": `"g"`, "tool_choice": `{"type":"any"}`},
		},
		"functions": {
			body: hi + `,"functions":[{"name":"f","description":"d"}],"function_call":{"name":"f"}`,
			want: map[string]string{"tools": `[{"name":"f","description":"d","input_schema":{"type":"object","properties":{}}}]`, "tool_choice": `{"type":"tool","name":"f","disable_parallel_tool_use":true}`},
		},
		"web search": {
			body:    hi + `,"web_search_options":{"search_context_size":"low","user_location":{"type":"approximate","approximate":{"country":"GB","city":"London"}}}`,
			options: &controlv1.VendorOptions{WebSearch: true}, dropped: "web_search_options.search_context_size",
			want: map[string]string{"tools.0": `{"type":"web_search_20250305","name":"web_search","user_location":{"type":"approximate","city":"London","country":"GB"}}`},
		},
	} {
		tc := call()
		if c.options != nil {
			tc.Options = c.options
		}
		tr, err := Translate([]byte("{"+c.body+"}"), tc)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for path, want := range c.want {
			if got := gjson.GetBytes(tr.Body(), path).Raw; got != want {
				t.Errorf("%s: %s is %s", name, path, got)
			}
		}
		if got := strings.Join(tr.Dropped(), " "); got != c.dropped {
			t.Errorf("%s: dropped %s", name, got)
		}
		if c.options.GetExtraFields() == 0 {
			if err := schemas.Check("anthropic-request", tr.Body()); err != nil {
				t.Errorf("%s: %v\n%s", name, err, tr.Body())
			}
		}
	}
}

// Guarantee: what Anthropic Messages has no words for is refused by the field's name and the vendor's, and so is what makes no sense.
func TestRefusals(t *testing.T) {
	t.Parallel()
	strict := &controlv1.VendorOptions{ExtraFields: controlv1.ExtraFields_EXTRA_FIELDS_REFUSE}
	message := func(m string) string { return `"messages":[{"role":"user","content":"hi"},` + m + `]` }
	for body, c := range map[string]struct {
		field   string
		options *controlv1.VendorOptions
	}{
		``:              {field: "messages"},
		`"messages":[]`: {field: "messages"},
		`"messages":[{"role":"user","content":""}]`:       {field: "messages"},
		`"messages":[{"role":"system","content":"s"}]`:    {field: "messages"},
		`"messages":[{"role":"assistant","content":"s"}]`: {field: "messages[0].role"},
		`"messages":"hi"`:                      {field: "messages"},
		message(`7`):                           {field: "messages[1].role"},
		message(`{"role":"user"}`):             {field: "messages[1].content"},
		message(`{"role":"user","content":7}`): {field: "messages[1].content"},
		message(`{"role":"user","content":[{"type":"text","text":7}]}`):                                                   {field: "messages[1].content[0].text"},
		message(`{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}`):                                    {field: "messages[1].content[0]"},
		message(`{"role":"user","content":[{"type":"video"}]}`):                                                           {field: "messages[1].content[0].type"},
		message(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"gs://x/y"}}]}`):                        {field: "messages[1].content[0].image_url.url"},
		message(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/tiff;base64,AAAA"}}]}`):     {field: "messages[1].content[0].image_url.url"},
		message(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png,AAAA"}}]}`):             {field: "messages[1].content[0].image_url.url"},
		message(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,A A\u0022"}}]}`): {field: "messages[1].content[0].image_url.url"},
		message(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAAA"}}]}`):     {field: "messages[1].content[0].image_url.url"},
		message(`{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}`):                                {field: "messages[1].content[0].file.file_id"},
		message(`{"role":"user","content":[{"type":"file","file":{"filename":"a"}}]}`):                                    {field: "messages[1].content[0].file.file_data"},
		message(`{"role":"user","content":[{"type":"file","file":{"file_data":"data:text/csv;base64,AAAA"}}]}`):           {field: "messages[1].content[0].file.file_data"},
		message(`{"role":"tool","content":"x"}`):                                                                          {field: "messages[1].tool_call_id"},
		message(`{"role":"tool","tool_call_id":"c","content":"x"}`):                                                       {field: "messages[1].tool_call_id"},
		message(`{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"r"},{"role":"assistant","content":"a"},{"role":"tool","tool_call_id":"c","content":"r"}`): {field: "messages[4].tool_call_id"},
		message(`{"role":"function","name":"f","content":"x"}`):                                                                   {field: "messages[1].name"},
		message(`{"role":"assistant","content":null,"audio":{"id":"a"}}`):                                                         {field: "messages[1].audio"},
		message(`{"role":"assistant","tool_calls":[{"id":"c","type":"custom","custom":{}}]}`):                                     {field: "messages[1].tool_calls[0].type"},
		message(`{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"f"}}]}`):                                {field: "messages[1].tool_calls[0].id"},
		message(`{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":"}}]}`): {field: "messages[1].tool_calls[0].function.arguments"},
		message(`{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"[1]"}}]}`):     {field: "messages[1].tool_calls[0].function.arguments"},
		message(`{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{} {}"}}]}`):   {field: "messages[1].tool_calls[0].function.arguments"},
		message(`{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":{}}}]}`):        {field: "messages[1].tool_calls[0].function.arguments"},
		message(`{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"arguments":"{}"}}]}`):                 {field: "messages[1].tool_calls[0].function.name"},
		hi + `,"n":2`:                                    {field: "n"},
		hi + `,"logprobs":true`:                          {field: "logprobs"},
		hi + `,"top_logprobs":3`:                         {field: "top_logprobs"},
		hi + `,"modalities":["text","audio"]`:            {field: "modalities[1]"},
		hi + `,"audio":{"voice":"alloy"}`:                {field: "audio"},
		hi + `,"max_tokens":0`:                           {field: "max_tokens"},
		hi + `,"max_completion_tokens":1.5`:              {field: "max_completion_tokens"},
		hi + `,"max_tokens":"5"`:                         {field: "max_tokens"},
		hi + `,"temperature":-1`:                         {field: "temperature"},
		hi + `,"temperature":0.5,` + effort:              {field: "temperature"},
		hi + `,"top_p":"x"`:                              {field: "top_p"},
		hi + `,"stop":["a"," \n"]`:                       {field: "stop[1]"},
		hi + `,"stop":""`:                                {field: "stop"},
		hi + `,"stop":7`:                                 {field: "stop"},
		hi + `,"stop":["a","b"]`:                         {field: "stop", options: &controlv1.VendorOptions{MaxStopSequences: 1}},
		hi + `,"stream":"yes"`:                           {field: "stream"},
		hi + `,"user":7`:                                 {field: "user"},
		hi + `,"reasoning_effort":"huge"`:                {field: "reasoning_effort"},
		hi + `,"response_format":{"type":"json_object"}`: {field: "response_format"},
		hi + `,"response_format":{"type":"json_schema","json_schema":{}}`:                           {field: "response_format.json_schema.schema"},
		hi + `,"response_format":{"type":"xml"}`:                                                    {field: "response_format.type"},
		hi + `,"web_search_options":{}`:                                                             {field: "web_search_options"},
		hi + `,"tools":{}`:                                                                          {field: "tools"},
		hi + `,"tools":[{"type":"custom","custom":{"name":"x"}}]`:                                   {field: "tools[0].type"},
		hi + `,"tools":[{"type":"function","function":{}}]`:                                         {field: "tools[0].function.name"},
		hi + `,"tools":[{"type":"function","function":{"name":"f","parameters":[]}}]`:               {field: "tools[0].function.parameters"},
		hi + `,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"array"}}}]`: {field: "tools[0].function.parameters"},
		hi + `,"tool_choice":"required"`:                                                            {field: "tool_choice"},
		hi + `,"tool_choice":"any tool",` + toolbox:                                                 {field: "tool_choice"},
		hi + `,"tool_choice":{"type":"custom","custom":{"name":"f"}},` + toolbox:                    {field: "tool_choice.type"},
		hi + `,"tool_choice":{"type":"function","function":{"name":"h"}},` + toolbox:                {field: "tool_choice"},
		hi + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto"}},` + toolbox:   {field: "tool_choice.allowed_tools.tools"},
		hi + `,"tool_choice":"required",` + effort + `,` + toolbox:                                  {field: "tool_choice"},
		hi + `,"seed":1`:              {field: "seed", options: strict},
		hi + `,"whatever":1`:          {field: "whatever", options: strict},
		hi + `,"temperature":1.2`:     {field: "temperature", options: strict},
		hi + `,"service_tier":"flex"`: {field: "service_tier", options: strict},
	} {
		tc := call()
		if c.options != nil {
			tc.Options = c.options
		}
		tr, err := Translate([]byte("{"+body+"}"), tc)
		var refusal *adapter.Error
		if !errors.As(err, &refusal) || tr != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		rest, named := strings.CutPrefix(refusal.Message, c.field)
		if refusal.Param != c.field || refusal.Kind != adapter.Invalid || !named || !strings.HasPrefix(rest, ": it ") && !strings.HasPrefix(rest, " cannot be sent to ") {
			t.Errorf("%s: %q: %s", body, refusal.Param, refusal.Message)
		}
	}
	for _, body := range []string{"", "{", "[]", `"x"`, "{}{}", strings.Repeat("[", 1<<20)} {
		var refusal *adapter.Error
		if _, err := Translate([]byte(body), call()); !errors.As(err, &refusal) || refusal.Kind != adapter.Invalid || refusal.Message == "" {
			t.Errorf("%.20s: %v", body, err)
		}
	}
	_, err := Translate([]byte("{"+hi+`,"n":2}`), call())
	if !strings.Contains(err.Error(), "claude/anthropic") {
		t.Errorf("%v does not name the vendor", err)
	}
}
