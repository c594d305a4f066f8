package frame_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tollgate/internal/meter/frame"
	"tollgate/internal/testenv/vectors"
)

// recorded are paths that vendors tell usage at.
var recorded = []string{
	"usage", "message.usage", "response.usage", "delta.usage", "usageMetadata", "x_groq.usage", "meta.billed_units", "usage_info", "metrics", "model",
	"data.#", "choices.#.finish_reason", `output.#(type=="web_search_call")#`, "metadata.duration", "amazon-bedrock-invocationMetrics",
}

func kindOf(x vectors.Exchange) frame.Kind {
	for _, h := range x.Headers {
		if strings.EqualFold(h.Name, "Content-Type") {
			return frame.KindOf(h.Value)
		}
	}
	return frame.None
}

// randomly cuts a body at places that are the same in each run.
func randomly(body string, most int) (pieces []string) {
	r := rand.New(rand.NewPCG(uint64(len(body)), uint64(most)))
	for body != "" {
		n := min(1+r.IntN(most), len(body))
		pieces = append(pieces, body[:n])
		body = body[n:]
	}
	return pieces
}

// Guarantee: every answer that was recorded has the same frames in any pieces and when it is coded; those that are one
// document are read as the standard library reads them, and in those that are streams something is found.
func TestRecordedAnswersHaveTheSameFramesHoweverTheyCome(t *testing.T) {
	t.Parallel()
	p := paths(t, recorded...)
	var documents, streams int
	for i, x := range vectors.All(t) {
		kind := kindOf(x)
		if kind == frame.None {
			continue
		}
		want := readAll(kind, "", p, string(x.Body))
		again := func(how, encoding string, pieces []string) {
			if got := readAll(kind, encoding, p, pieces...); !slices.Equal(got.frames, want.frames) || got.trouble != want.trouble {
				t.Errorf("%s, %s: got %d frames %q, want %d %q", x.Name, how, got.count, got.trouble, want.count, want.trouble)
			}
		}
		if len(x.Body) < 16<<10 {
			again("in bytes", "", split(string(x.Body)))
		}
		again("in pieces", "", randomly(string(x.Body), 100))
		if x.Gzip != nil {
			again("as it came", "gzip", randomly(string(x.Gzip), 1000))
		}
		c := codings[i%len(codings)]
		again(c.name, c.name, randomly(strings.Join(encode(c.to, string(x.Body)), ""), 1000))
		first := bytes.TrimLeft(x.Body, " \r\n\t")
		switch {
		case kind == frame.JSON && len(first) > 0 && first[0] != '[':
			documents++
			if read := len(want.frames) == 1 && !want.frames[0].none; read != json.Valid(x.Body) {
				t.Errorf("%s: read %v, valid %v", x.Name, read, json.Valid(x.Body))
			}
		case kind != frame.JSON && len(x.Body) > 0:
			streams++
			if want.count == 0 && !strings.HasPrefix(x.Name, "sse-edge/") { // these are broken on purpose
				t.Errorf("%s: it has no frames: %s", x.Name, want.trouble)
			}
		}
	}
	if documents < 50 || streams < 50 {
		t.Errorf("%d documents and %d streams were read; there should be more", documents, streams)
	}
}

// Guarantee: the usage of recorded streams is found where their vendors say it is.
func TestUsageOfRecordedStreams(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"openai/stream-cached-tokens--chat-completion-stream-prompt-caching-cache-read-a2879e.sse": `"prompt_tokens":1420`,
		"gemini/stream-sse-multi--gemini-2-5-pro-stream-3531ab.sse":                                `"thoughtsTokenCount":1114`,
		"bedrock/invoke-stream--anthropic-invoke-stream-4700f5.bin":                                `"inputTokenCount":25`,
		"bedrock/agentgateway-converse-stream-basic.bin":                                           `"outputTokens":142`,
	}
	p := paths(t, recorded...)
	for _, x := range vectors.All(t) {
		for name, usage := range want {
			if !slices.Contains(x.Files, name) {
				continue
			}
			delete(want, name)
			kind := kindOf(x)
			if got := readAll(kind, "", p, string(x.Body)); got.trouble != "" || !strings.Contains(got.docs(), usage) {
				t.Errorf("%s (%d): %s is not in %.2000s %q", name, kind, usage, got.docs(), got.trouble)
			}
		}
	}
	for name := range want {
		t.Errorf("%s was not recorded", name)
	}
}
