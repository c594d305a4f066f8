package templates_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"tollgate/internal/testenv/vectors"
)

// usages are the files of which the manifest knows usage.
func usages(t *testing.T) map[string]bool {
	t.Helper()
	facts, err := os.ReadFile("../../internal/testenv/vectors/testdata/manifest.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for line := range bytes.Lines(facts) {
		var fact struct {
			File  string          `json:"file"`
			Usage json.RawMessage `json:"usage"`
		}
		if err := json.Unmarshal(line, &fact); err != nil {
			t.Fatal(err)
		}
		out[fact.File] = len(fact.Usage) > 0 && string(fact.Usage) != "null"
	}
	return out
}

// uncounted are recordings whose usage does not say what the prompt was, so that they are rightly unpriced.
var uncounted = map[string]bool{
	"gemini/generateContent--test-generate-content-with-file-uri-image-false-eb5485.json":           true,
	"vertex/generateContent--test-google-model-armor-prompt-template-text-gets-blocked-9b944e.json": true,
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
			b := one.bill(t, p, random(uint64(i)))
			if uncounted[x.Name] {
				if len(b.Unpriced) == 0 {
					t.Errorf("%s: meter %s prices it", x.Name, b.Meter)
				}
				continue
			}
			for _, why := range b.Unpriced {
				if !strings.Contains(why, "is in no list of prices") && !strings.Contains(why, "has no price") && why != "no model is named" &&
					!strings.HasPrefix(why, "form ") { // recordings leave forms out
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
}
