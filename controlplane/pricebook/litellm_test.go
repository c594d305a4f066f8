package pricebook

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter"
)

func shippedBook(t *testing.T) *Book {
	t.Helper()
	b, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func find(b *Book, list, model string) *controlv1.ModelPrice {
	for _, r := range b.Rows {
		if r.List == list && r.Price.GetModel() == model {
			return r.Price
		}
	}
	return nil
}

// said writes rates as people do: cached_input=0.3/1000000>200000@flex.
func said(p *controlv1.ModelPrice) (out []string) {
	for _, r := range p.GetRates() {
		text := r.GetUnit() + "=" + r.GetPrice()
		if r.GetPer() > 1 {
			text += "/" + big.NewInt(r.GetPer()).String()
		}
		if r.GetAbove() > 0 {
			text += ">" + big.NewInt(r.GetAbove()).String()
		}
		if r.GetVariant() != "" {
			text += "@" + r.GetVariant()
		}
		out = append(out, text)
	}
	return out
}

// Guarantee: models that are known have exactly the prices that the shipped file says, under the names that meters
// use, with their tiers and variants.
func TestShippedRows(t *testing.T) {
	t.Parallel()
	b := shippedBook(t)
	for name, want := range map[string]string{
		"openai gpt-4o": "cached_input=1.25/1000000 cached_input=2.125/1000000@priority input=2.5/1000000 input=1.25/1000000@batch input=4.25/1000000@priority " +
			"output=10/1000000 output=5/1000000@batch output=17/1000000@priority",
		"openai gpt-5.6": "cache_write=6.25/1000000 cache_write=3.125/1000000@flex cache_write=12.5/1000000@priority cache_write=12.5/1000000>272000 cache_write=6.25/1000000>272000@flex " +
			"cached_input=0.5/1000000 cached_input=0.25/1000000@flex cached_input=1/1000000@priority cached_input=1/1000000>272000 cached_input=0.5/1000000>272000@flex " +
			"input=5/1000000 input=2.5/1000000@batch input=2.5/1000000@flex input=10/1000000@priority input=10/1000000>272000 input=5/1000000>272000@flex " +
			"output=30/1000000 output=15/1000000@batch output=15/1000000@flex output=60/1000000@priority output=45/1000000>272000 output=22.5/1000000>272000@flex",
		"anthropic claude-sonnet-4-5": "cache_write=3.75/1000000 cache_write=7.5/1000000>200000 cache_write_1h=6/1000000 cache_write_1h=12/1000000>200000 cached_input=0.3/1000000 cached_input=0.6/1000000>200000 " +
			"input=3/1000000 input=6/1000000>200000 output=15/1000000 output=22.5/1000000>200000 web_searches=0.01",
		"gemini gemini-2.5-pro": "cached_input=0.125/1000000 cached_input=0.25/1000000>200000 input=1.25/1000000 input=1.25/1000000@priority input=2.5/1000000>200000 input=2.5/1000000>200000@priority " +
			"output=10/1000000 output=10/1000000@priority output=15/1000000>200000 output=15/1000000>200000@priority web_searches=0.035",
		"vertex gemini-2.5-pro": "cache_write=0.25/1000000>200000 cached_input=0.125/1000000 cached_input=0.25/1000000>200000 input=1.25/1000000 input=2.5/1000000>200000 " +
			"output=10/1000000 output=15/1000000>200000 web_searches=0.035",
		"openai whisper-1":                        "input_seconds=0.0001",
		"openai tts-1":                            "characters=15/1000000",
		"openai dall-e-3":                         "images=0.04",
		"openai gpt-4o-transcribe":                "audio_input=2.5/1000000 input=2.5/1000000 output=10/1000000",
		"openai gpt-image-1":                      "cached_input=1.25/1000000 image_input=10/1000000 image_output=40/1000000 input=5/1000000",
		"cohere rerank-v3.5":                      "input=0/1000000 output=0/1000000 searches=0.002",
		"mistral mistral-ocr-latest":              "annotated_pages=0.005 pages=0.004",
		"deepgram nova-3":                         "input_seconds=0.00007167",
		"assemblyai best":                         "input_seconds=0.00003333",
		"elevenlabs scribe_v1":                    "input_seconds=0.0000611",
		"stability sd3.5-large":                   "images=0.065",
		"azure eu/gpt-4o-2024-08-06":              "cached_input=1.375/1000000 input=2.75/1000000 output=11/1000000",
		"bedrock amazon.nova-pro-v1:0":            "input=0.8/1000000 output=3.2/1000000",
		"perplexity sonar-pro":                    "input=3/1000000 output=15/1000000 web_searches=0.01",
		"jina jina-reranker-v2-base-multilingual": "input=0.018/1000000 output=0.018/1000000",
		"xai grok-4":                              "input=3/1000000 output=15/1000000",
		"dashscope qwen-flash":                    "input=0.05/1000000 input=0.25/1000000>256000 output=0.4/1000000 output=2/1000000>256000",
	} {
		list, model, _ := strings.Cut(name, " ")
		if got := strings.Join(said(find(b, list, model)), " "); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	if b.Date != "2026-08-06" || b.Licence != "MIT" || !strings.Contains(b.Source, "LiteLLM") {
		t.Errorf("source %q, date %q, licence %q", b.Source, b.Date, b.Licence)
	}
}

// Guarantee: capacity that is rented by the second, patterns, rows that say only zeros and what is no model have no
// row, and the book says that they were left out.
func TestShippedBookLeavesOut(t *testing.T) {
	t.Parallel()
	b := shippedBook(t)
	for _, gone := range []string{"bedrock ap-northeast-1/1-month-commitment/anthropic.claude-v1", "ollama codellama", "gemini gemma-3-27b-it", "codestral codestral-latest"} {
		list, model, _ := strings.Cut(gone, " ")
		if p := find(b, list, model); p != nil {
			t.Errorf("%s has the prices %v", gone, p)
		}
	}
	all := strings.Join(b.Skipped, "\n")
	for _, reason := range []string{"All of its prices are 0", "no price of a unit", "is a pattern", "names no provider", "at other prices", "medium size"} {
		if !strings.Contains(all, reason) {
			t.Errorf("nothing was left out because %q:\n%s", reason, all)
		}
	}
}

// Guarantee: the shipped book passes the rules for rows, is in order, has each model of a list once, no row
// that costs nothing in all, and nothing that meters cannot count with.
func TestShippedBookIsSound(t *testing.T) {
	t.Parallel()
	b := shippedBook(t)
	if len(b.Rows) < 2500 || !slices.IsSortedFunc(b.Rows, byID) {
		t.Fatalf("%d rows, in order: %t", len(b.Rows), slices.IsSortedFunc(b.Rows, byID))
	}
	var p registry.Problems
	for i, r := range b.Rows {
		CheckList(&p, "list", r.List)
		Check(&p, r.List+"/"+r.Price.GetModel(), r.Price)
		if i > 0 && byID(b.Rows[i-1], r) == 0 {
			t.Errorf("%s/%s is there twice", r.List, r.Price.GetModel())
		}
		if !slices.ContainsFunc(r.Price.GetRates(), func(r *controlv1.UnitPrice) bool { return r.GetPrice() != "0" }) {
			t.Errorf("%s/%s is free", r.List, r.Price.GetModel())
		}
	}
	if err := p.Err("the book"); err != nil {
		t.Error(err)
	}
	for few := range slices.Chunk(b.Rows, 100) {
		var prices []*controlv1.ModelPrice
		for _, r := range few {
			prices = append(prices, r.Price)
		}
		for _, wrong := range meter.Check(metered(prices...)) {
			t.Errorf("of %s…: %s: %s", prices[0].GetModel(), wrong.Field, wrong.Reason)
		}
	}
}

// Guarantee: no price of the shipped file was touched by a float: each is, as a fraction, the number that the file
// has for the model.
func TestShippedPricesAreExact(t *testing.T) {
	t.Parallel()
	z, err := gzip.NewReader(bytes.NewReader(shipped))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, m := range regexp.MustCompile(`[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?`).FindAllString(string(text), -1) {
		if n, ok := new(big.Rat).SetString(m); ok {
			there[n.RatString()] = true
		}
	}
	rates := 0
	for _, r := range shippedBook(t).Rows {
		for of, one := range amounts(r.Price) {
			if rates++; !there[one.RatString()] {
				t.Errorf("%s/%s: %v costs %s, which the file says nowhere", r.List, r.Price.GetModel(), of, one)
			}
		}
	}
	if rates < 5000 {
		t.Errorf("%d rates were looked at", rates)
	}
}

// Guarantee: of a model that is in a list twice the row without the provider in its name counts, and the vendor's own
// product before another; bad rows are left out with a reason and do not take others with them.
func TestLiteLLMRows(t *testing.T) {
	t.Parallel()
	b, err := Parse([]byte(`{
		"azure_ai/gpt-x": {"litellm_provider": "azure_ai", "mode": "chat", "input_cost_per_token": 1e-06},
		"azure/gpt-x": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 2e-06},
		"gemini/pro": {"litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 3e-06},
		"pro": {"litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 4E-6},
		"same": {"litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 5e-06},
		"gemini/same": {"litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 0.000005},
		"negative": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": -1e-06},
		"text": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": "1e-06"},
		"huge": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e999},
		"null": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": null},
		"list": [1],
		"a b": {"litellm_provider": "openai", "input_cost_per_token": 1e-06},
		"draw": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_pixel": 0, "output_cost_per_pixel": 2.0345052083e-09},
		"both": {"litellm_provider": "openai", "mode": "image_edit", "input_cost_per_image": 0.01, "output_cost_per_image": 0.02},
		"long": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 0.0002833333333333333},
		"hit": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token_cache_hit": 1e-06, "cache_read_input_token_cost": 2e-06}
	}`), "")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range b.Rows {
		got[r.List+"/"+r.Price.GetModel()] = strings.Join(said(r.Price), " ")
	}
	want := map[string]string{
		"azure/gpt-x": "input=2/1000000", "gemini/pro": "input=4/1000000", "gemini/same": "input=5/1000000",
		"openai/draw": "pixels=2.0345052083/1000000000", "openai/both": "images=0.02", "openai/long": "input_seconds=283333.3333333333/1000000000", "openai/hit": "cached_input=2/1000000",
	}
	for name, rates := range want {
		if got[name] != rates {
			t.Errorf("%s: %s, want %s", name, got[name], rates)
		}
	}
	if len(got) != len(want) {
		t.Errorf("rows %v", got)
	}
	skipped := []string{
		"Another row of the same list has the model at other prices, and counts: azure_ai/gpt-x, gemini/pro",
		"It is no object: list",
		"Its input_cost_per_token is negative, or no price that can be read: huge, negative",
		"Its input_cost_per_token is no number: null, text",
		"Its name is no name of a model: a b",
	}
	if !slices.Equal(b.Skipped, skipped) {
		t.Errorf("left out:\n%s", strings.Join(b.Skipped, "\n"))
	}
}

// Guarantee: each file of data is named by SOURCES.md, with its source and licence.
func TestSourcesNamesTheFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("data/SOURCES.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir("data")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Name() != "SOURCES.md" && !strings.Contains(string(text), "`"+f.Name()+"`") {
			t.Errorf("SOURCES.md does not name %s", f.Name())
		}
	}
}
