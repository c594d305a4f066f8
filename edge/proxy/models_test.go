package proxy

import (
	"context"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// Guarantee: a client of Messages gets its answer from a vendor of Chat Completions, which is charged by that vendor's own count and
// gets nothing of the caller but the translated request.
func TestMessagesFromChat(t *testing.T) {
	t.Parallel()
	b := newModels(t, vendorsOfTest{"openai": says(200, chatAnswer)}, []*eventv1.RouteModel{
		modelOfTest("claude", deployment(t, "openai", "gpt-4o", schemaChat)),
	})
	out := b.ask(context.Background(), &got{}, "POST", "/v1/messages?beta=true", hi)
	if out.status != 200 || gjson.Get(out.body.String(), "content.0.text").String() != "Hello there" || gjson.Get(out.body.String(), "model").String() != "claude" {
		t.Fatalf("got %d %s", out.status, out.body.String())
	}
	checkSchema(t, "anthropic-message", out.body.String())
	for name, want := range map[string]string{
		HeaderModel: "claude/openai", HeaderCost: money.Nanos(chatCost).String(), "Content-Type": "application/json", "X-Vendor": "", HeaderEndpoint: "x",
	} {
		if told := get(out.headers, name); told != want {
			t.Errorf("header %s is %q, not %q", name, told, want)
		}
	}
	if id := get(out.headers, "Request-Id"); !strings.HasPrefix(id, "req_") || id != get(out.headers, HeaderRequestID) {
		t.Errorf("request-id is %q", id)
	}
	sent := b.sent[0]
	checkSchema(t, "openai-chat-request", sent.body)
	if sent.method != "POST" || sent.uri != "/base/chat/completions" || gjson.Get(sent.body, "model").String() != "gpt-4o" {
		t.Errorf("sent %+v", sent)
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "test/1", "X-Vendor-Key": vendorKey} {
		if get(sent.headers, name) != want {
			t.Errorf("sent header %s: %q", name, get(sent.headers, name))
		}
	}
	if len(sent.headers) != 5 {
		t.Errorf("sent %v", sent.headers)
	}
	in, _, end := (&stages{bench: b.bench}).lastIntent()
	if in.Deployment != "claude/openai" || in.Model != "gpt-4o" || in.PriceVersion != 7 || in.EndpointID != "ep_x" || in.Amount < chatCost {
		t.Errorf("recorded %+v", in)
	}
	if end.Cost != chatCost || end.Units != 58 || end.Meter != "chat" || end.Unpriced || end.Outcome != outcomeOK {
		t.Errorf("settled %+v", end)
	}
}

// Guarantee: a stream is translated as it comes, and charged by the vendor's count at its end.
func TestMessagesStreamFromChat(t *testing.T) {
	t.Parallel()
	b := newModels(t, vendorsOfTest{"openai": streams(nil, chatStream()...)}, []*eventv1.RouteModel{
		modelOfTest("claude", deployment(t, "openai", "gpt-4o", schemaChat)),
	})
	out := b.ask(context.Background(), &got{}, "POST", "/messages", hiStream)
	text := out.body.String()
	if out.status != 200 || out.aborted || !strings.HasPrefix(text, "event: message_start\n") || !strings.HasSuffix(text, `{"type":"message_stop"}`+"\n\n") {
		t.Fatalf("got %d %s", out.status, text)
	}
	if !isEventStream(get(out.headers, "Content-Type")) {
		t.Errorf("headers %v", out.headers)
	}
	for line := range strings.Lines(text) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			checkSchema(t, "anthropic-event", data)
		}
	}
	if sent := b.sent[0]; get(sent.headers, "Accept") != "text/event-stream" || !gjson.Get(sent.body, "stream_options.include_usage").Bool() {
		t.Errorf("sent %+v", sent)
	}
	if _, _, end := (&stages{bench: b.bench}).lastIntent(); end.Cost != chatCost || end.Unpriced || end.Outcome != outcomeOK || end.Units != 58 {
		t.Errorf("settled %+v", end)
	}
}
