package messages_test

import (
	"encoding/json"
	"errors"
	"testing"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/messages"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/vectors"
)

func counting(how controlv1.CountTokens) *adapter.Call {
	return callWith(&controlv1.VendorOptions{CountTokens: how})
}

// countRecorded translates a recorded request of count_tokens in every way.
func countRecorded(t *testing.T, x vectors.Exchange) {
	t.Helper()
	for how, path := range map[controlv1.CountTokens]string{
		controlv1.CountTokens_COUNT_TOKENS_RESPONSES: "/responses/input_tokens", controlv1.CountTokens_COUNT_TOKENS_TOKENIZE: "/tokenize",
	} {
		c, err := messages.Count(x.RequestBody, counting(how))
		if err != nil || c.Path != path || !json.Valid(c.Body) {
			t.Errorf("%s: %v %s %s", x.Name, err, c.Path, c.Body)
		}
	}
	n, err := messages.Counted(x.Body)
	if err != nil {
		t.Errorf("%s: %v", x.Name, err)
	}
	// An estimate that is off by more than this would be of no use.
	if e := messages.Estimate(x.RequestBody); e*4 < n || e > n*4 {
		t.Errorf("%s: %d was estimated for %d", x.Name, e, n)
	}
}

const conversationToCount = `{"model":"my-claude","system":"S","tools":[{"name":"f","description":"d","input_schema":{"type":"object"}}],"messages":[
	{"role":"user","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"url","url":"u"}}]},
	{"role":"assistant","content":[{"type":"text","text":"b"},{"type":"tool_use","id":"t","name":"f","input":{"x":1}}]},
	{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"r"}]}]}`

// Guarantee: tokens are asked for in the form that each vendor has for it, of the conversation that it would be sent.
func TestCountAsksTheVendor(t *testing.T) {
	t.Parallel()
	c, err := messages.Count([]byte(conversationToCount), counting(controlv1.CountTokens_COUNT_TOKENS_RESPONSES))
	if err != nil || c.Path != "/responses/input_tokens" || c.Root {
		t.Fatalf("%v %+v", err, c)
	}
	same(t, c.Body, `{"model":"gpt-5","input":[{"role":"system","content":"S"},
		{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"u"}]},
		{"role":"assistant","content":"b"},{"type":"function_call","call_id":"t","name":"f","arguments":"{\"x\":1}"},
		{"type":"function_call_output","call_id":"t","output":"r"}],
		"tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object"}}]}`)
	c, err = messages.Count([]byte(conversationToCount), counting(controlv1.CountTokens_COUNT_TOKENS_TOKENIZE))
	if err != nil || c.Path != "/tokenize" || !c.Root {
		t.Fatalf("%v %+v", err, c)
	}
	same(t, c.Body, `{"model":"gpt-5","messages":[{"role":"system","content":"S"},
		{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"u"}}]},
		{"role":"assistant","content":"b","tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},
		{"role":"tool","tool_call_id":"t","content":"r"}],
		"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}]}`)
	_, err = messages.Count([]byte(conversationToCount), plain())
	var e *adapter.Error
	if !errors.As(err, &e) || e.Kind != adapter.NotFound {
		t.Errorf("a vendor that counts nothing: %v", err)
	}
	_, err = messages.Count([]byte(`{"model":"m","messages":[{"role":"user","content":[{"type":"image","source":{"type":"file"}}]}]}`), counting(controlv1.CountTokens_COUNT_TOKENS_TOKENIZE))
	if !errors.As(err, &e) || e.Param != "messages[0].content[0].source" {
		t.Errorf("a file: %v", err)
	}
}

// Guarantee: what the vendors count is read, and nothing else is taken for it.
func TestCounted(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]int64{
		`{"object":"response.input_tokens","input_tokens":11}`: 11, `{"count":7,"max_model_len":4096,"tokens":[1,2]}`: 7, `{"count":0}`: 0,
		`{}`: -1, `{"count":"7"}`: -1, `{"count":-7}`: -1, `{"count":1e300}`: -1, `[]`: -1, `x`: -1,
	} {
		got, err := messages.Counted([]byte(answer))
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%s: %d, %v", answer, got, err)
		}
	}
	same(t, messages.Answered(11), `{"input_tokens":11}`)
}

// Guarantee: an estimate follows its rule: bytes of text by four, rounded up, and fixed numbers for what is no text.
func TestEstimate(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int64{
		`{"messages":[]}`: 0,
		`{"messages":[{"role":"user","content":"12345"}]}`:                                                                           4 + 2,
		`{"system":"1234","messages":[{"role":"user","content":[{"type":"text","text":"1234"},{"type":"image"}]}]}`:                  4 + 4 + 2 + 1600,
		`{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64"}}]}]}`:                                  4 + 3000,
		`{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"text","text":"12"},{"type":"image"}]}]}]}`: 4 + 1 + 1600,
		conversationToCount: 4 + 3*4 + 4 + 1600 + (1+1+1+1+7+1+1+1+17+3)/4,
		`x`:                 0,
	} {
		if got := messages.Estimate([]byte(body)); got != want {
			t.Errorf("%s: %d, not %d", body, got, want)
		}
	}
}
