package responses_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/internal/testenv/schemas"
)

// Guarantee: answers come to the items, the status and the usage that OpenAI's own would have, in all the forms in which vendors of Chat
// Completions are known to write them.
func TestAnswers(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, in, path, want string }{
		{
			"text", `{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}`,
			"output", `[{"id":"msg_` + id + `0","type":"message","status":"completed","role":"assistant","content":[
				{"type":"output_text","text":"Hi","annotations":[],"logprobs":[]}]}]`,
		},
		{
			"nothing", `{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}`,
			"output.0.content", `[{"type":"output_text","text":"","annotations":[],"logprobs":[]}]`,
		},
		{
			"thoughts and a call", `{"choices":[{"message":{"content":null,"reasoning_content":"hm\n","reasoning":"hm\n","tool_calls":[
			{"id":"c1","type":"function","function":{"name":"f","arguments":"{ }"}}]},"finish_reason":"stop"}]}`,
			"output", `[{"id":"rs_` + id + `0","type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hm\n"}]},
				{"id":"fc_` + id + `1","type":"function_call","status":"completed","call_id":"c1","name":"f","arguments":"{ }"}]`,
		},
		{
			"Mistral's parts", `{"choices":[{"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"Hi"}]}}]}`,
			"output.#.content.0.text", `["hm","Hi"]`,
		},
		{
			"a refusal", `{"choices":[{"message":{"content":null,"refusal":"No"},"finish_reason":"stop"}]}`,
			"output.0.content", `[{"type":"refusal","refusal":"No"}]`,
		},
		{
			"an old call", `{"choices":[{"message":{"content":null,"function_call":{"name":"f","arguments":""}},"finish_reason":"function_call"}]}`,
			"output.0", `{"id":"fc_` + id + `0","type":"function_call","status":"completed","call_id":"call_` + id + `0","name":"f","arguments":"{}"}`,
		},
		{"arguments that are an object", `{"choices":[{"message":{"tool_calls":[{"id":"c","function":{"name":"f","arguments":{"a":
			1}}}]}}]}`, "output.0.arguments", `"{\"a\":1}"`},
		{
			"a citation", `{"choices":[{"message":{"content":"Hi","annotations":[{"type":"url_citation","url_citation":{"url":"u","title":"t","start_index":1,"end_index":2}},{"type":"x"}]}}]}`,
			"output.0.content.0.annotations", `[{"type":"url_citation","start_index":1,"end_index":2,"url":"u","title":"t"}]`,
		},
		{"too long", `{"choices":[{"message":{"content":"Hi"},"finish_reason":"length"}]}`, "incomplete_details", `{"reason":"max_output_tokens"}`},
		{
			"filtered", `{"choices":[{"message":{"content":"Hi"},"finish_reason":"content_filter"}]}`, "[status,output.0.status,incomplete_details.reason]",
			`["incomplete","incomplete","content_filter"]`,
		},
		{
			"usage", `{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1050,
			"prompt_tokens_details":{"cached_tokens":300,"cache_write_tokens":200},"completion_tokens_details":{"reasoning_tokens":20}}}`,
			"usage", `{"input_tokens":1000,"input_tokens_details":{"cached_tokens":300,"cache_write_tokens":200},"output_tokens":50,
				"output_tokens_details":{"reasoning_tokens":20},"total_tokens":1050}`,
		},
		{"xAI's usage", `{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,
			"completion_tokens_details":{"reasoning_tokens":20}}}`, "[usage.output_tokens,usage.total_tokens]", `[25,35]`},
		{
			"DeepSeek's usage", `{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":4}}`,
			"usage.input_tokens_details.cached_tokens", `4`,
		},
		{"no usage", `{"choices":[{"message":{"content":"Hi"}}]}`, "usage", `null`},
		{"a tier", `{"choices":[{"message":{"content":"Hi"}}],"service_tier":"priority"}`, "service_tier", `"priority"`},
		{"a tier of their own", `{"choices":[{"message":{"content":"Hi"}}],"service_tier":"on_demand"}`, "service_tier", `"auto"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, err := translate(t, plain, nil).Answer(t.Context(), []byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if err := schemas.Check("openai-response", out); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if got := gjson.GetBytes(out, c.path).Raw; !sameJSON(t, got, c.want) {
				t.Errorf("%s is\n%s\nand not\n%s", c.path, got, c.want)
			}
		})
	}
}

// Guarantee: an answer repeats what was asked for, as far as it was done: nothing is stored, and the model has the caller's name.
func TestAnswerRepeatsTheRequest(t *testing.T) {
	t.Parallel()
	x := translate(t, `{"model":"mine","input":"x","instructions":"Be\nkind","max_output_tokens":7,"metadata":{"a":"b"},"parallel_tool_calls":false,
		"reasoning":{"effort":"low","summary":"auto"},"store":true,"temperature":0.5,"top_p":0.9,"truncation":"auto","user":"u",
		"text":{"format":{"type":"json_object"},"verbosity":"low"},"tool_choice":"required","tools":[{"type":"function","name":"f" }]}`, nil)
	out, err := x.Answer(t.Context(), []byte(`{"choices":[{"message":{"content":"Hi"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := schemas.Check("openai-response", out); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]string{
		"id": `"resp_` + id + `"`, "created_at": "1790000000", "model": `"mine"`, "instructions": `"Be\nkind"`, "max_output_tokens": "7",
		"metadata": `{"a":"b"}`, "parallel_tool_calls": "false", "reasoning": `{"effort":"low","summary":null}`, "store": "false",
		"temperature": "0.5", "top_p": "0.9", "truncation": `"disabled"`, "user": `"u"`, "tool_choice": `"required"`,
		"text": `{"format":{"type":"json_object"},"verbosity":"low"}`, "tools": `[{"type":"function","name":"f","parameters":null,"strict":false}]`,
		"previous_response_id": "null", "background": "false", "error": "null",
	} {
		if got := gjson.GetBytes(out, path).Raw; !sameJSON(t, got, want) {
			t.Errorf("%s is %s and not %s", path, got, want)
		}
	}
}

// Guarantee: what is no answer is an error, and says nothing of the gateway's credential.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	for in, says := range map[string]string{
		`<html>`:         "no JSON",
		`{}`:             "without a choice",
		`{"choices":[]}`: "without a choice",
		`{"choices":[{"message":{"tool_calls":[{"id":"c","function":{"arguments":""}}]}}]}`:       "no name",
		`{"error":{"message":"Slow down","type":"rate_limit_error"}}`:                             "Slow down",
		`{"error":{"message":"Incorrect API key provided: sk-12***89","code":"invalid_api_key"}}`: "credential",
	} {
		out, err := translate(t, plain, nil).Answer(t.Context(), []byte(in))
		var told *adapter.Error
		if out != nil || !errors.As(err, &told) || !strings.Contains(told.Message, says) || strings.Contains(told.Message, "sk-12") {
			t.Errorf("%s: %v, %s", in, err, out)
		}
	}
}
