package schemas_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vectors"
)

// others are recordings that were filed under OpenAI, and are another vendor's, or no stream of one answer.
var others = []string{
	"openai/chat-stream-tools--test-tools-streaming-variant-d-6f3d37.json",
	"openai/sdk-chat-stream-a491adda08c3.sse",
	"openai/vercel-anthropic-compat-fallback-tool-call.sse",
	"openai/vercel-openai-text.chunks.ndjson",
}

// Guarantee: what OpenAI itself has answered passes the schemas, so that they ask for nothing but what is.
func TestOpenAIPasses(t *testing.T) {
	t.Parallel()
	answers, streams, failures := 0, 0, 0
	for _, x := range vectors.All(t) {
		if x.Vendor != "openai" || slices.Contains(others, x.Name) {
			continue
		}
		doc := gjson.ParseBytes(x.Body)
		switch {
		case doc.Get("object").Str == "chat.completion":
			answers++
			if err := schemas.Check("openai-chat-completion", x.Body); err != nil {
				t.Errorf("%s: %v", x.Name, err)
			}
		case doc.Get("error.message").Exists() && strings.Contains(x.URL, "api.openai.com"):
			failures++
			if err := schemas.Check("openai-error", x.Body); err != nil {
				t.Errorf("%s: %v", x.Name, err)
			}
		case bytes.Contains(x.Body, []byte(`"chat.completion.chunk"`)):
			streams++
			usage := bytes.Contains(x.Body, []byte(`"prompt_tokens"`))
			if got, err := schemas.ChatStream(x.Body, usage); err != nil || !got.Done {
				t.Errorf("%s: %v", x.Name, err)
			}
		}
	}
	if answers < 20 || streams < 20 || failures < 3 {
		t.Errorf("%d answers, %d streams, %d errors", answers, streams, failures)
	}
}

// Guarantee: what Anthropic has taken passes the schema of requests.
func TestAnthropicPasses(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, x := range vectors.All(t) {
		if x.Vendor != "anthropic" || x.Status != 200 || !gjson.GetBytes(x.RequestBody, "max_tokens").Exists() || !strings.HasSuffix(x.URL, "/messages") {
			continue
		}
		seen++
		if err := schemas.Check("anthropic-request", x.RequestBody); err != nil {
			t.Errorf("%s: %v", x.Name, err)
		}
	}
	if seen < 30 {
		t.Errorf("%d requests", seen)
	}
}
