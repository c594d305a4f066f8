package translate_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/translate"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/schemas"
)

func call() *adapter.Call {
	return &adapter.Call{Asked: "asked", Model: "real", Vendor: "m/d", Options: &controlv1.VendorOptions{}, ID: "0123456789abcdefghjkmnpqrs", Unix: 1}
}

// Guarantee: there is a way from every client to every vendor but those that are refused by name, and the shorter one is taken.
func TestWays(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		client adapter.Schema
		vendor []adapter.Schema
		to     adapter.Schema
	}{
		{adapter.Messages, []adapter.Schema{adapter.Responses, adapter.Chat}, adapter.Chat},
		{adapter.Messages, []adapter.Schema{adapter.Responses}, 0},
		{adapter.Chat, []adapter.Schema{adapter.Messages}, adapter.Messages},
		{adapter.Chat, []adapter.Schema{adapter.Responses}, 0},
		{adapter.Responses, []adapter.Schema{adapter.Messages, adapter.Chat}, adapter.Chat},
		{adapter.Responses, []adapter.Schema{adapter.Messages}, adapter.Messages},
	} {
		if to, ok := translate.To(tc.client, tc.vendor); to != tc.to || ok != (tc.to != 0) {
			t.Errorf("%s to %s: %s", tc.client, tc.vendor, to)
		}
	}
	if _, err := translate.New(adapter.Messages, adapter.Responses, []byte("{}"), call()); err == nil || !strings.Contains(err.Error(), "m/d") {
		t.Errorf("refused with %v", err)
	}
}

const vendorStream = `event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"real","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}

`

const vendorEnd = `event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":5}}

event: message_stop
data: {"type":"message_stop"}

`

// Guarantee: two translations behind each other are as one: the request says what the caller said, the answer and its usage arrive, and
// what broke off is not made to look complete.
func TestTwoTranslations(t *testing.T) {
	t.Parallel()
	tr, err := translate.New(adapter.Responses, adapter.Messages, []byte(`{"model":"asked","input":"Hi","stream":true,"max_output_tokens":9,"parallel_tool_calls":true,"store":false}`), call())
	if err != nil {
		t.Fatal(err)
	}
	if b := tr.Body(); gjson.GetBytes(b, "model").String() != "real" || gjson.GetBytes(b, "max_tokens").Int() != 9 || !tr.Streams() {
		t.Errorf("translated to %s", b)
	}
	for _, whole := range []bool{true, false} {
		tr, err = translate.New(adapter.Responses, adapter.Messages, []byte(`{"model":"asked","input":"Hi","stream":true}`), call())
		if err != nil {
			t.Fatal(err)
		}
		s := tr.Stream(context.Background())
		out, err := s.Next(nil, []byte(vendorStream))
		if err != nil {
			t.Fatal(err)
		}
		if whole {
			if out, err = s.Next(out, []byte(vendorEnd)); err != nil {
				t.Fatal(err)
			}
		}
		out, err = s.End(out, true)
		completed := strings.Contains(string(out), "response.completed")
		if completed != whole || (err == nil) != whole || !strings.Contains(string(out), "Hello") {
			t.Errorf("whole %v: %v, %s", whole, err, out)
		}
		if whole && !strings.Contains(string(out), `"output_tokens":5`) {
			t.Errorf("usage is lost: %s", out)
		}
		if !whole && (len(s.Ping(nil)) == 0 || !strings.Contains(string(s.Fail(nil, adapter.Fail("it broke"), "req_1")), "it broke")) {
			t.Error("it says nothing")
		}
	}
	tr, err = translate.New(adapter.Responses, adapter.Messages, []byte(`{"model":"asked","input":"Hi"}`), call())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := tr.Answer(context.Background(), []byte(`{"id":"msg_1","type":"message","role":"assistant","model":"real","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":5}}`))
	if err != nil || gjson.GetBytes(answer, "output.0.content.0.text").String() != "Hello" || gjson.GetBytes(answer, "usage.total_tokens").Int() != 8 {
		t.Errorf("answered %v %s", err, answer)
	}
	if err := schemas.Check("openai-response", answer); err != nil {
		t.Error(err)
	}
	if _, err = tr.Answer(context.Background(), []byte(`{}`)); err == nil {
		t.Error("nonsense is an answer")
	}
}
