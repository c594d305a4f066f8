package messages_test

import (
	"strings"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: what is wrong, or what the vendor has no words for, is refused by the name of its field, and
// what only the vendor lacks with the name of the vendor.
func TestRefusals(t *testing.T) {
	t.Parallel()
	block := func(b string) string { return conversation(`{"role":"user","content":[` + b + `]}`) }
	used := func(b string) string {
		return conversation(`{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},{"role":"user","content":[` + b + `]}`)
	}
	for name, c := range map[string]struct {
		body, param string
		vendor      bool
	}{
		"no JSON":                   {`{`, "", false},
		"two documents":             {`{}{}`, "", false},
		"no object":                 {`[]`, "", false},
		"nested too deep":           {`{"model":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, "", false},
		"no model":                  {`{"max_tokens":1,"messages":[{"role":"user","content":"a"}]}`, "model", false},
		"no max_tokens":             {`{"model":"m","messages":[{"role":"user","content":"a"}]}`, "max_tokens", false},
		"max_tokens 0":              {request(`"max_tokens":0`), "max_tokens", true},
		"max_tokens -1":             {request(`"max_tokens":-1`), "max_tokens", false},
		"max_tokens 1.5":            {request(`"max_tokens":1.5`), "max_tokens", false},
		"max_tokens text":           {request(`"max_tokens":"10"`), "max_tokens", false},
		"no messages":               {`{"model":"m","max_tokens":1}`, "messages", false},
		"empty messages":            {request(`"messages":[]`), "messages", false},
		"messages of nothing":       {conversation(`{"role":"system","content":""}`), "messages", false},
		"a message that is none":    {conversation(`"a"`), "messages[0]", false},
		"an unknown role":           {conversation(`{"role":"tool","content":"a"}`), "messages[0].role", false},
		"no content":                {conversation(`{"role":"user"}`), "messages[0].content", false},
		"a block that is none":      {block(`"a"`), "messages[0].content[0]", false},
		"a block of no type":        {block(`{"text":"a"}`), "messages[0].content[0].type", false},
		"a text of no text":         {block(`{"type":"text","text":1}`), "messages[0].content[0].text", false},
		"stream":                    {request(`"stream":"yes"`), "stream", false},
		"temperature":               {request(`"temperature":"hot"`), "temperature", false},
		"system":                    {request(`"system":{"a":1}`), "system", false},
		"system with an image":      {request(`"system":[{"type":"image"}]`), "system[0]", true},
		"prefill":                   {conversation(`{"role":"user","content":"a"},{"role":"assistant","content":"b"}`), "messages[1]", true},
		"an image of another type":  {block(`{"type":"image","source":{"type":"base64","media_type":"image/tiff","data":"aa"}}`), "messages[0].content[0].source.media_type", true},
		"an image that is a file":   {block(`{"type":"image","source":{"type":"file","file_id":"f"}}`), "messages[0].content[0].source", true},
		"an image of nothing":       {block(`{"type":"image"}`), "messages[0].content[0].source.type", false},
		"a PDF":                     {block(`{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"aa"}}`), "messages[0].content[0].source", true},
		"a PDF by URL":              {block(`{"type":"document","source":{"type":"url","url":"https://a"}}`), "messages[0].content[0].source", true},
		"a PDF by id":               {block(`{"type":"document","source":{"type":"file","file_id":"f"}}`), "messages[0].content[0].source", true},
		"citations":                 {block(`{"type":"document","citations":{"enabled":true},"source":{"type":"text","data":"a"}}`), "messages[0].content[0].citations", true},
		"citations of a search":     {block(`{"type":"search_result","source":"s","title":"t","content":[],"citations":{"enabled":true}}`), "messages[0].content[0].citations", true},
		"an upload":                 {block(`{"type":"container_upload","file_id":"f"}`), "messages[0].content[0]", true},
		"a result of no call":       {block(`{"type":"tool_result","tool_use_id":"x"}`), "messages[0].content[0].tool_use_id", false},
		"a result of another call":  {used(`{"type":"tool_result","tool_use_id":"x"}`), "messages[2].content[0].tool_use_id", false},
		"a result of a number":      {used(`{"type":"tool_result","tool_use_id":"t","content":1}`), "messages[2].content[0].content", false},
		"a file in a result":        {used(`{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"file"}}]}`), "messages[2].content[0].content[1].source", true},
		"a reference in a result":   {used(`{"type":"tool_result","tool_use_id":"t","content":[{"type":"tool_reference","tool_name":"f"}]}`), "messages[2].content[0].content[0]", true},
		"an input that is a text":   {conversation(`{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":"{}"}]}`), "messages[1].content[0].input", false},
		"server tools in history":   {conversation(`{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"server_tool_use","id":"t","name":"web_search","input":{}}]}`), "messages[1].content[0]", true},
		"tools":                     {request(`"tools":{}`), "tools", false},
		"a tool of no name":         {request(`"tools":[{"input_schema":{}}]`), "tools[0].name", false},
		"a tool of no schema":       {request(`"tools":[{"name":"f"}]`), "tools[0].input_schema", false},
		"web search":                {request(`"tools":[{"name":"f","input_schema":{}},{"type":"web_search_20250305","name":"web_search"}]`), "tools[1]", true},
		"bash":                      {request(`"tools":[{"type":"bash_20250124","name":"bash"}]`), "tools[0]", true},
		"code that calls":           {request(`"tools":[{"name":"f","input_schema":{},"allowed_callers":["code_execution_20250825"]}]`), "tools[0].allowed_callers", true},
		"an unknown choice":         {request(`"tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"some"}`), "tool_choice.type", false},
		"a choice of no name":       {request(`"tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"tool"}`), "tool_choice.name", false},
		"five stops":                {request(`"stop_sequences":["a","b","c","d","e"]`), "stop_sequences", true},
		"an empty stop":             {request(`"stop_sequences":["a",""]`), "stop_sequences[1]", false},
		"a budget above the answer": {request(`"max_tokens":2000,"thinking":{"type":"enabled","budget_tokens":2000}`), "thinking.budget_tokens", false},
		"a budget of nothing":       {request(`"thinking":{"type":"enabled"}`), "thinking.budget_tokens", false},
		"an unknown thinking":       {request(`"thinking":{"type":"deep"}`), "thinking.type", false},
		"an unknown effort":         {request(`"output_config":{"effort":"huge"}`), "output_config.effort", false},
		"an unknown format":         {request(`"output_format":"markdown"`), "output_format", true},
		"a format of no schema":     {request(`"output_config":{"format":{"type":"json_schema"}}`), "output_config.format.schema", false},
		"a user that is a number":   {request(`"metadata":{"user_id":7}`), "metadata.user_id", false},
		"edits of the context":      {request(`"context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}`), "context_management.edits[0]", true},
		"a thread":                  {request(`"thread":{"type":"create"}`), "thread", true},
		"a thread's next turn":      {request(`"thread":{"type":"continue","previous_message_id":"msg_1"}`), "thread", true},
		"MCP servers":               {request(`"mcp_servers":[{"type":"url","url":"https://a","name":"a"}]`), "mcp_servers", true},
		"a container":               {request(`"container":"c"`), "container", true},
		"a place":                   {request(`"inference_geo":"eu"`), "inference_geo", true},
		"fallbacks":                 {request(`"fallbacks":[{"model":"m"}]`), "fallbacks", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := refused(t, c.body, plain())
			if e.Param != c.param || !strings.Contains(e.Message, c.param) || strings.Contains(e.Message, "my-claude/openai") != c.vendor {
				t.Errorf("%q: %s", e.Param, e.Message)
			}
		})
	}
}

// Guarantee: fields that have no counterpart are left out and named, refused, or passed on, as the vendor's options say; what
// the gateway writes itself cannot be overridden by any.
func TestFieldsWithoutCounterpart(t *testing.T) {
	t.Parallel()
	body := request(`"top_k":5,"seed":7,"max_completion_tokens":1000000,"n":9,"\u006e":9,"stream_options":{},"tools":[{"name":"f","input_schema":{},"defer_loading":true}],"seed":8`)
	tr, out := translate(t, body, plain())
	if got := strings.Join(tr.Dropped(), " "); got != "max_completion_tokens n seed stream_options tools.defer_loading top_k" {
		t.Errorf("dropped are %s", got)
	}
	same(t, out["max_completion_tokens"], "100")
	tr, out = translate(t, body, callWith(&controlv1.VendorOptions{ExtraFields: controlv1.ExtraFields_EXTRA_FIELDS_PASS, TopK: true}))
	if got := strings.Join(tr.Dropped(), " "); got != "max_completion_tokens n seed stream_options tools.defer_loading" {
		t.Errorf("dropped are %s", got)
	}
	same(t, out["max_completion_tokens"], "100")
	same(t, out["seed"], "7")
	same(t, out["top_k"], "5")
	refuse := callWith(&controlv1.VendorOptions{ExtraFields: controlv1.ExtraFields_EXTRA_FIELDS_REFUSE})
	if e := refused(t, request(`"seed":7`), refuse); e.Param != "seed" {
		t.Errorf("refused is %q", e.Param)
	}
	if e := refused(t, request(`"top_k":7`), refuse); e.Param != "top_k" {
		t.Errorf("refused is %q", e.Param)
	}
}
