package messages_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/messages"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/schemas"
)

const callID = "01JDTESTCALL00000000000000"

// callWith is a call to a vendor with these options.
func callWith(o *controlv1.VendorOptions) *adapter.Call {
	return &adapter.Call{Asked: "my-claude", Model: "gpt-5", Options: o, Vendor: "my-claude/openai", ID: callID, Unix: 1_700_000_000}
}

func plain() *adapter.Call { return callWith(&controlv1.VendorOptions{}) }

// translate is a translation that must succeed, and its request in Go's terms.
func translate(t *testing.T, body string, call *adapter.Call) (adapter.Translation, map[string]any) {
	t.Helper()
	tr, err := messages.Translate([]byte(body), call)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	if err := schemas.Check("openai-chat-request", tr.Body()); err != nil {
		t.Fatalf("%s\n%v", tr.Body(), err)
	}
	var out map[string]any
	if err := json.Unmarshal(tr.Body(), &out); err != nil {
		t.Fatal(err)
	}
	return tr, out
}

// refused is the error of a translation that must fail.
func refused(t *testing.T, body string, call *adapter.Call) *adapter.Error {
	t.Helper()
	tr, err := messages.Translate([]byte(body), call)
	if err == nil {
		t.Fatalf("not refused: %s", tr.Body())
	}
	var e *adapter.Error
	if !errors.As(err, &e) || e.Kind != adapter.Invalid {
		t.Fatalf("the error is %T %v", err, err)
	}
	return e
}

// request makes a request of the fields that matter to a test.
func request(fields string) string {
	if !strings.Contains(fields, `"messages"`) {
		fields = `"messages":[{"role":"user","content":"Hi"}],` + fields
	}
	if !strings.Contains(fields, `"max_tokens"`) {
		fields = `"max_tokens":100,` + fields
	}
	return `{"model":"my-claude",` + strings.TrimSuffix(fields, ",") + `}`
}

// conversation makes a request with these messages.
func conversation(messages string) string { return request(`"messages":[` + messages + `]`) }

// same compares JSON with what it should say.
func same(t *testing.T, got any, want string) {
	t.Helper()
	var w any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	if raw, ok := got.([]byte); ok {
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
	}
	if !reflect.DeepEqual(got, w) {
		text, _ := json.Marshal(got)
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

// answered is a vendor's answer as the caller gets it.
func answered(t *testing.T, tr adapter.Translation, body string) []byte {
	t.Helper()
	out, err := tr.Answer(t.Context(), []byte(body))
	if err != nil {
		t.Fatalf("%s\n%v", body, err)
	}
	if err := schemas.Check("anthropic-message", out); err != nil {
		t.Fatalf("%s\n%v", out, err)
	}
	return out
}

// Guarantee: an answer has the caller's model, an id of Anthropic's form and all four numbers of usage.
func TestAnswerHasTheForm(t *testing.T) {
	t.Parallel()
	tr, _ := translate(t, request(``), plain())
	for body, want := range map[string]string{
		`{"id":"chatcmpl-x.1","choices":[{"index":0,"message":{"role":"assistant","content":"Hi \"you\" \u00e9"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}`: `{"id":"msg_x_1","type":"message","role":"assistant","model":"my-claude","content":[{"type":"text","text":"Hi \"you\" é"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":2}}`,
		`{"choices":[{"message":{"content":""},"finish_reason":null}]}`: `{"id":"msg_` + callID + `","type":"message","role":"assistant","model":"my-claude","content":[],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}`,
	} {
		same(t, answered(t, tr, body), want)
	}
}

// Guarantee: what is no answer does not become one.
func TestBrokenAnswersFail(t *testing.T) {
	t.Parallel()
	tr, _ := translate(t, request(``), plain())
	for _, body := range []string{
		``, `null`, `[]`, `Hello`, `{"choices":[]}`, `{"choices":null}`, `{"choices":{"index":0}}`, `{"choices":[{"index":1,"message":{}}]}`,
		`{"error":{"message":"no"}}`,
		`{"choices":[{"message":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]},"finish_reason":"tool_calls"}]}`,
		`{"choices":[{"message":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"[]"}}]},"finish_reason":"tool_calls"}]}`,
		`{"choices":[{"message":{"tool_calls":[{"id":"a","function":{"arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`,
		strings.Repeat("[", 100_000),
	} {
		out, err := tr.Answer(t.Context(), []byte(body))
		var e *adapter.Error
		if !errors.As(err, &e) || e.Kind != adapter.Broken {
			t.Errorf("%.80s became %s, %v", body, out, err)
		}
	}
}
