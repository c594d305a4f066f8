package schemas_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vectors"
)

// Guarantee: whatever OpenAI and Azure have been recorded to answer passes the schema of a response, so that it refuses only what
// they would not send.
func TestRecordedResponsesPass(t *testing.T) {
	t.Parallel()
	n := 0
	for _, x := range vectors.All(t) {
		// What has the input too was written or put together by hand.
		if gjson.GetBytes(x.Body, "object").Str != "response" || gjson.GetBytes(x.Body, "input").Exists() {
			continue
		}
		n++
		if err := schemas.Check("openai-response", x.Body); err != nil {
			t.Errorf("%s: %v", x.Name, err)
		}
	}
	if n < 8 {
		t.Errorf("%d responses were checked", n)
	}
}

// recordedStreams are those of the Responses API, as server-sent events.
func recordedStreams(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, x := range vectors.All(t) {
		switch {
		case x.Vendor != "openai" && x.Vendor != "azure-openai": // others have identifiers of their own kind
		case strings.Contains(x.Name, "parallel-tool-call-wrapper"): // put together by hand, and its first line is no JSON
		case bytes.HasPrefix(x.Body, []byte("event: response.created")):
			out[x.Name] = x.Body
		case bytes.HasPrefix(x.Body, []byte(`{"type":"response.created"`)) && strings.HasSuffix(x.Name, ".ndjson"):
			var stream []byte
			for line := range bytes.Lines(x.Body) {
				if line = bytes.TrimSpace(line); len(line) > 0 {
					stream = fmt.Appendf(stream, "event: %s\ndata: %s\n\n", gjson.GetBytes(line, "type").Str, line)
				}
			}
			out[x.Name] = stream
		}
	}
	if len(out) < 8 {
		t.Errorf("%d streams were found", len(out))
	}
	return out
}

// Guarantee: recorded streams are legal at every event, and are read as what they say.
func TestRecordedResponseStreamsPass(t *testing.T) {
	t.Parallel()
	for name, stream := range recordedStreams(t) {
		got, err := schemas.ResponsesStream(stream)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got.Final == "" {
			t.Errorf("%s: it has no end", name)
		}
	}
}

// Guarantee: a stream that loses, repeats or swaps an event is not taken for a legal one.
func TestBrokenResponseStreamsAreSeen(t *testing.T) {
	t.Parallel()
	stream := recordedStreams(t)["openai/responses-stream--test-responses-basic-streaming-a1e13d.json"]
	events := bytes.SplitAfter(stream, []byte("\n\n"))
	events = events[:len(events)-1]
	if len(events) < 5 {
		t.Fatalf("%d events", len(events))
	}
	for i := range events {
		lost := append(bytes.Join(events[:i], nil), bytes.Join(events[i+1:], nil)...)
		if _, err := schemas.ResponsesStream(lost); err == nil && i < len(events)-1 {
			t.Errorf("event %d can be lost: %s", i, events[i])
		}
		twice := append(bytes.Join(events[:i+1], nil), bytes.Join(events[i:], nil)...)
		if _, err := schemas.ResponsesStream(twice); err == nil {
			t.Errorf("event %d can come twice", i)
		}
	}
	if _, err := schemas.ResponsesStream(stream[:len(stream)-1]); err == nil {
		t.Error("half an event passes")
	}
}
