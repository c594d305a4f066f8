package schemas_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vectors"
)

// Guarantee: the schema of Anthropic's answers is no stricter than Anthropic: every recorded answer passes it.
func TestRecordedMessagesPass(t *testing.T) {
	t.Parallel()
	n := 0
	for _, x := range vectors.All(t) {
		var kind struct{ Type, Role string }
		if x.Vendor != "anthropic" || x.Stream || x.Status != 200 || json.Unmarshal(x.Body, &kind) != nil || kind.Type != "message" {
			continue
		}
		if strings.HasSuffix(x.Name, "vercel-anthropic-json-tool.1.json") {
			continue // its author has cut fields out of it that Anthropic requires
		}
		n++
		if err := schemas.Check("anthropic-message", x.Body); err != nil {
			t.Errorf("%s: %v", x.Name, err)
		}
	}
	if n < 20 {
		t.Fatalf("%d answers were found", n)
	}
}

// Guarantee: the order that streams are held to is the one that Anthropic's own come in.
func TestRecordedMessageStreamsPass(t *testing.T) {
	t.Parallel()
	n := 0
	for _, x := range vectors.All(t) {
		if x.Vendor != "anthropic" || !strings.Contains(x.Name, "stream") || !bytes.HasPrefix(x.Body, []byte("event: message_start")) {
			continue
		}
		n++
		var s schemas.MessagesStream
		// One of them has no empty line at its end.
		err := s.Read(append(bytes.TrimRight(x.Body, "\n"), "\n\n"...))
		if err == nil && !s.Complete() {
			err = errors.New("it is not complete")
		}
		if err != nil {
			t.Errorf("%s: %v", x.Name, err)
		}
	}
	if n < 15 {
		t.Fatalf("%d streams were found", n)
	}
}

// Guarantee: the schema of requests to OpenAI is no stricter than OpenAI: every recorded request that it took passes.
func TestRecordedChatRequestsPass(t *testing.T) {
	t.Parallel()
	n := 0
	for _, x := range vectors.All(t) {
		if x.Vendor != "openai" || !strings.HasSuffix(x.URL, "/chat/completions") || x.Status != 200 || !json.Valid(x.RequestBody) {
			continue
		}
		n++
		if err := schemas.Check("openai-chat-request", x.RequestBody); err != nil {
			t.Errorf("%s: %v", x.Name, err)
		}
	}
	if n < 20 {
		t.Fatalf("%d requests were found", n)
	}
}

const startEvent = `event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}

`

func event(data string) string {
	_, typ, _ := strings.Cut(data, `"type":"`)
	typ, _, _ = strings.Cut(typ, `"`)
	return "event: " + typ + "\ndata: " + data + "\n\n"
}

// Guarantee: a stream that no client could make a message of does not pass.
func TestWrongOrderOfEventsFails(t *testing.T) {
	t.Parallel()
	text := event(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
	stop := event(`{"type":"content_block_stop","index":0}`)
	end := event(`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":1}}`)
	last := event(`{"type":"message_stop"}`)
	for name, stream := range map[string]string{
		"two starts":              startEvent + startEvent,
		"no start":                text,
		"a ping before the start": event(`{"type":"ping"}`),
		"blocks that overlap":     startEvent + text + strings.ReplaceAll(text, `"index":0`, `"index":1`),
		"a gap in the blocks":     startEvent + strings.ReplaceAll(text, `"index":0`, `"index":1`),
		"a delta of another kind": startEvent + text + event(`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"x"}}`),
		"a delta without a block": startEvent + event(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}`),
		"an end with open blocks": startEvent + text + end,
		"a stop without an end":   startEvent + text + stop + last,
		"two ends":                startEvent + end + end,
		"something after the end": startEvent + end + last + last,
		"something after errors":  startEvent + event(`{"type":"error","error":{"type":"api_error","message":"x"}}`) + end,
		"done":                    startEvent + "data: [DONE]\n\n",
		"a type of another event": startEvent + strings.Replace(end, "event: message_delta", "event: message_stop", 1),
		"a field that is unknown": startEvent + event(`{"type":"ping","index":1}`),
	} {
		var s schemas.MessagesStream
		if err := s.Read([]byte(stream)); err == nil {
			t.Errorf("%s passed", name)
		}
	}
	var s schemas.MessagesStream
	if err := s.Read([]byte(startEvent + text + stop + end + last)); err != nil || !s.Complete() {
		t.Errorf("a good stream: %v, complete %v", err, s.Complete())
	}
}
