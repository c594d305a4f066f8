package conformance_test

import (
	"testing"

	"tollgate/edge/adapter"
	"tollgate/internal/testenv/schemas"
)

// answerSchemas are the names of the schemas that answers are held against.
var answerSchemas = map[adapter.Schema]string{
	adapter.Chat: "openai-chat-completion", adapter.Messages: "anthropic-message", adapter.Responses: "openai-response",
}

// spoken is the plainest answer of each vendor, and what becomes of it.
var spoken = map[adapter.Schema]struct{ answer, gives string }{
	adapter.Chat: {
		`{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"theirs-1",
		  "choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],
		  "usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}`,
		`{"id":"msg_1","type":"message","role":"assistant","model":"mine","content":[{"type":"text","text":"Hello"}],
		  "stop_reason":"end_turn","stop_sequence":null,
		  "usage":{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":5}}`,
	},
	adapter.Messages: {
		`{"id":"msg_1","type":"message","role":"assistant","model":"theirs-1","content":[{"type":"text","text":"Hello"}],
		  "stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":5}}`,
		`{"id":"chatcmpl-msg_1","object":"chat.completion","created":1790000000,"model":"mine",
		  "choices":[{"index":0,"message":{"role":"assistant","content":"Hello","refusal":null},"logprobs":null,"finish_reason":"stop"}],
		  "usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},
		  "completion_tokens_details":{"reasoning_tokens":0}}}`,
	},
}

// Guarantee: every row of the tables for answers holds, and an answer of which no whole one can be made is an error.
func TestAnswers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *group, c *example) {
		t.Helper()
		if c.Answer == nil {
			return
		}
		out, err := c.accepted(t, g).Answer(t.Context(), patched(t, spoken[g.Vendor.Schema].answer, c.Answer))
		if c.Fails != nil {
			if err := c.Fails.is(err, adapter.Broken); err != nil {
				t.Error(err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := schemas.Check(answerSchemas[g.Client.Schema], out); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		same(t, out, patched(t, spoken[g.Vendor.Schema].gives, c.Gives))
	})
}
