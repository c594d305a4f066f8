package templates_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"path"
	"strings"
	"testing"

	"tollgate/internal/testenv/vectors"
)

// vendorsOf are the templates of recordings by their folder, where they have other names, and loosePaths what a
// recording that is only an answer was asked with. The first whose beginning fits counts.
var (
	vendorsOf  = map[string]string{"openai-realtime": ""}
	loosePaths = []struct{ begins, path string }{
		{"anthropic/", "/v1/messages"},
		{"azure-openai/responses", "/openai/v1/responses"},
		{"azure-openai/", "/openai/deployments/gpt-4o/chat/completions"},
		{"bedrock/agentgateway-converse", "/model/amazon.nova-lite-v1:0/converse-stream"},
		{"cohere/vercel-cohere-embedding", "/v2/embed"},
		{"cohere/vercel-cohere-reranking", "/v2/rerank"},
		{"cohere/", "/v2/chat"},
		{"deepseek/", "/chat/completions"},
		{"gemini/", "/v1beta/models/gemini-2.5-flash:streamGenerateContent"},
		{"groq/", "/openai/v1/chat/completions"},
		{"mistral/", "/v1/chat/completions"},
		{"openrouter/", "/api/v1/chat/completions"},
		{"perplexity/", "/chat/completions"},
		{"vllm/", "/v1/chat/completions"},
		{"voyage/vercel-voyage-reranking", "/v1/rerank"},
		{"voyage/", "/v1/embeddings"},
		{"xai/", "/v1/chat/completions"},
	}
)

// usages are the files of which the manifest knows usage.
func usages(t *testing.T) map[string]bool {
	t.Helper()
	f, err := os.Open("../../internal/testenv/vectors/testdata/manifest.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]bool{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var fact struct {
			File  string          `json:"file"`
			Usage json.RawMessage `json:"usage"`
			URL   string          `json:"url"`
		}
		if err := json.Unmarshal(lines.Bytes(), &fact); err != nil {
			t.Fatal(err)
		}
		out[fact.File] = len(fact.Usage) > 0 && string(fact.Usage) != "null"
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// Guarantee: every recorded exchange of a vendor that has usage is read by a meter of the vendor's template that finds
// all that it needs. What it may lack is a price of its model.
func TestRecordingsWithUsageAreRead(t *testing.T) {
	t.Parallel()
	known := usages(t)
	read := map[string]int{}
	all := vectors.All(t)
	for _, e := range entries(t) {
		name := e.Template.GetName()
		p := plan(t, e.Template)
		for i := range all {
			x := &all[i]
			if x.Vendor != name || x.Status/100 != 2 || loose(x) || !known[x.Name] {
				continue
			}
			if x.Method != http.MethodPost && x.Method != http.MethodGet {
				t.Fatalf("%s: %s", x.Name, x.Method)
			}
			one := of(x, below(t, x.URL))
			m := p.Match(one.asked())
			if m == nil || m.Free {
				t.Errorf("%s: no meter reads %s %s", x.Name, x.Method, x.URL)
				continue
			}
			read[name]++
			b := one.bill(t, p, random(uint64(i))) //nolint:gosec // an index
			for _, why := range b.Unpriced {
				if !strings.Contains(why, "is in no list of prices") && !strings.Contains(why, "has no price") && why != "no model is named" {
					t.Errorf("%s: meter %s: %s", x.Name, b.Meter, why)
				}
			}
			if b.Counts == "" {
				t.Errorf("%s: meter %s has counted nothing", x.Name, b.Meter)
			}
		}
	}
	for _, name := range []string{"anthropic", "azure-openai", "bedrock", "cohere", "deepseek", "gemini", "mistral", "openai", "openrouter", "replicate", "vertex", "voyage"} {
		if read[name] == 0 {
			t.Errorf("no recording of %s was read", name)
		}
	}
	_ = path.Base
	_ = vendorsOf
	_ = loosePaths
}
