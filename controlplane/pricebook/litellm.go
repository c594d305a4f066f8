package pricebook

import (
	"cmp"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// families are providers of LiteLLM that are one vendor here; others are lists under their own names.
var families = map[string]string{
	"azure_ai": "azure", "azure_text": "azure",
	"bedrock_converse": "bedrock", "bedrock_mantle": "bedrock",
	"cohere_chat":                   "cohere",
	"fireworks_ai-embedding-models": "fireworks_ai",
	"jina_ai":                       "jina",
	"text-completion-codestral":     "codestral",
	"text-completion-inception":     "inception",
	"text-completion-openai":        "openai",
	"vertex_ai":                     "vertex",
}

// prefixes are what names of models begin with that says their provider again, where it is not the provider's name.
var prefixes = map[string]string{"amazon_nova": "amazon-nova/", "bedrock_converse": "bedrock/", "cohere_chat": "cohere/", "fireworks_ai-embedding-models": "fireworks_ai/"}

// place finds the list and the name of a model. A region that is part of the name stays: us-east-1/… costs something
// else. later says how far behind others the row stands that say the same model.
func place(key, provider string) (list, model string, later int) {
	list, prefix := cmp.Or(families[provider], provider), cmp.Or(prefixes[provider], provider+"/")
	if list != provider && provider != "bedrock_converse" && provider != "vertex_ai" {
		later += 2 // another product of the vendor
	}
	if strings.HasPrefix(provider, "vertex_ai-") {
		list, prefix, later = "vertex", "vertex_ai/", 0
	}
	model, prefixed := strings.CutPrefix(key, prefix)
	if prefixed {
		later++
	}
	return list, model, later
}

// field is what a field of LiteLLM's stands for: the unit, and the power of ten of units that its price is said for.
type field struct {
	unit  string
	power int
	modes string // of models for which it means that; any if empty
}

var fields = map[string]field{
	"input_cost_per_token":                      {"input", 6, ""},
	"output_cost_per_token":                     {"output", 6, ""},
	"cache_read_input_token_cost":               {"cached_input", 6, ""},
	"input_cost_per_token_cache_hit":            {"cached_input", 6, ""},
	"cache_creation_input_token_cost":           {"cache_write", 6, ""},
	"cache_creation_input_token_cost_above_1hr": {"cache_write_1h", 6, ""},
	"output_cost_per_reasoning_token":           {"reasoning", 6, ""},
	"input_cost_per_audio_token":                {"audio_input", 6, ""},
	"output_cost_per_audio_token":               {"audio_output", 6, ""},
	"cache_read_input_audio_token_cost":         {"cached_audio_input", 6, ""},
	"input_cost_per_image_token":                {"image_input", 6, ""},
	"output_cost_per_image_token":               {"image_output", 6, ""},
	"output_cost_per_image":                     {"images", 0, ""},
	"input_cost_per_image":                      {"images", 0, "image_generation image_edit embedding"},
	"input_cost_per_pixel":                      {"pixels", 6, ""},
	"output_cost_per_pixel":                     {"pixels", 6, ""},
	"input_cost_per_second":                     {"input_seconds", 0, "audio_transcription"},
	"input_cost_per_audio_per_second":           {"input_seconds", 0, "embedding"},
	"output_cost_per_second":                    {"video_seconds", 0, "video_generation"},
	"output_cost_per_video_per_second":          {"video_seconds", 0, "video_generation"},
	"input_cost_per_character":                  {"characters", 6, "audio_speech embedding"},
	"input_cost_per_query":                      {"searches", 0, ""},
	"input_cost_per_request":                    {"requests", 0, ""},
	"ocr_cost_per_page":                         {"pages", 0, ""},
	"annotation_cost_per_page":                  {"annotated_pages", 0, ""},
	searchField:                                 {"web_searches", 0, ""},
}

const (
	searchField = "search_context_cost_per_query"
	tiersField  = "tiered_pricing"
)

// fieldForm takes apart input_cost_per_token_above_272k_tokens_flex.
var fieldForm = regexp.MustCompile(`^(.+?)(?:_above_([0-9]{1,6})k_tokens)?(?:_(priority|flex|batches))?$`)

// A field that stands for the same unit as another of the same row counts only if the other is not there, or says
// that it costs nothing.
var instead = []string{"input_cost_per_token_cache_hit", "input_cost_per_image", "output_cost_per_pixel", "output_cost_per_video_per_second"}

func later(name string) int { return min(slices.Index(instead, name)+1, 1) }

// liteLLM reads one file.
type liteLLM struct {
	skips

	rows map[rowID]Row
}

func parseLiteLLM(parts map[string]json.RawMessage) (*Book, error) {
	type candidate struct {
		key, list, model string
		later            int
		body             map[string]json.RawMessage
	}
	var all []candidate
	f := &liteLLM{rows: map[rowID]Row{}}
	for _, key := range slices.Sorted(maps.Keys(parts)) {
		var body map[string]json.RawMessage
		if json.Unmarshal(parts[key], &body) != nil || body == nil {
			f.add(key, "It is no object")
			continue
		}
		c := candidate{key: key, body: body}
		provider := text(body["litellm_provider"])
		if provider == "" || strings.Contains(provider, " ") {
			f.add(key, "It is no model: it names no provider")
			continue
		}
		c.list, c.model, c.later = place(key, provider)
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, refuse("The file is none that is known: neither LiteLLM's, whose models name a litellm_provider, nor genai-prices's list, nor one with tollgate_price_book.")
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.later, b.later) })
	for _, c := range all {
		switch {
		case !listForm.MatchString(c.list):
			f.add(c.key, "Its provider is no name of a list")
			continue
		case c.model == "" || len(c.model) > mostModel || strings.ContainsFunc(c.model, unprintable):
			f.add(c.key, "Its name is no name of a model")
			continue
		case strings.Contains(c.model, "*"):
			f.add(c.key, "Its name is a pattern that means something else here")
			continue
		}
		price := f.price(c.key, c.model, c.body)
		if price == nil {
			continue
		}
		r := Row{c.list, price}
		if first, ok := f.rows[r.id()]; !ok {
			f.rows[r.id()] = r
		} else if !Same(first.Price, price) {
			f.add(c.key, "Another row of the same list has the model at other prices, and counts")
		}
	}
	b := &Book{Rows: slices.Collect(maps.Values(f.rows)), Skipped: f.lines()}
	return b, nil
}

func text(raw json.RawMessage) (s string) {
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// price makes the rates of a row; nil if it is left out.
func (f *liteLLM) price(key, model string, body map[string]json.RawMessage) *controlv1.ModelPrice {
	mode := text(body["mode"])
	rates := map[rateID]*controlv1.UnitPrice{}
	if !f.read(key, mode, body, rates, 0) {
		return nil
	}
	if raw, ok := body[tiersField]; ok && !f.tiers(key, mode, raw, rates) {
		return nil
	}
	if len(rates) == 0 {
		f.add(key, "It has no price of a unit that requests use")
		return nil
	}
	out := &controlv1.ModelPrice{Model: model}
	free := true
	for _, r := range rates {
		out.Rates = append(out.Rates, r)
		free = free && r.GetPrice() == "0"
	}
	if free {
		f.add(key, "All of its prices are 0, which is also written where they are not known; say so by a row of your own")
		return nil
	}
	if len(out.GetRates()) > mostRates {
		f.add(key, "It has too many prices")
		return nil
	}
	return Normalize(out)
}

// read makes rates of the fields of a row or of one of its tiers, which begins above so many tokens.
func (f *liteLLM) read(key, mode string, body map[string]json.RawMessage, rates map[rateID]*controlv1.UnitPrice, tier int64) bool {
	names := slices.Sorted(maps.Keys(body))
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(later(a), later(b)) })
	for _, name := range names {
		m := fieldForm.FindStringSubmatch(name)
		if m == nil || !strings.Contains(name, "cost") {
			continue
		}
		unit, known := meaning(m[1], mode, body)
		if !known {
			continue
		}
		number, ok := f.number(key, name, body[name])
		if !ok {
			return false
		}
		price, per, ok := amount(number, unit.power)
		if !ok {
			f.add(key, "Its %s is negative, or no price that can be read", name)
			return false
		}
		above := tier
		if m[2] != "" {
			thousands, _ := strconv.ParseInt(m[2], 10, 64) // six digits at most
			above = thousands * 1000
		}
		rate := &controlv1.UnitPrice{Unit: unit.unit, Price: price, Per: per, Above: above, Variant: variants[m[3]]}
		if first, ok := rates[of(rate)]; !ok || first.GetPrice() == "0" {
			rates[of(rate)] = rate
		}
	}
	return true
}

// variants are LiteLLM's endings, as targets name the service tiers.
var variants = map[string]string{"priority": "priority", "flex": "flex", "batches": "batch"}

// meaning says which unit a field is a price of, for a model of this mode. What costs by the second for most modes is
// capacity that is rented, whatever is sent to it.
func meaning(name, mode string, body map[string]json.RawMessage) (field, bool) {
	if name == "output_cost_per_second" {
		// Of a transcription both fields say the same seconds.
		_, heard := body["input_cost_per_second"]
		if mode == "audio_speech" || mode == "audio_transcription" && !heard {
			return field{unit: "output_seconds"}, true
		}
	}
	fd, ok := fields[name]
	if !ok || fd.modes != "" && !slices.Contains(strings.Fields(fd.modes), mode) {
		return field{}, false
	}
	return fd, true
}

// number is the text of a JSON number; of prices by the size of a search's context the one in the middle.
func (f *liteLLM) number(key, name string, raw json.RawMessage) (string, bool) {
	if name == searchField {
		var sizes map[string]json.Number
		if json.Unmarshal(raw, &sizes) != nil || sizes["search_context_size_medium"] == "" {
			f.add(key, "Its %s cannot be read", name)
			return "", false
		}
		medium := sizes["search_context_size_medium"]
		for _, other := range sizes {
			if other != medium {
				f.add(key, "Note: a web search costs that of a context of medium size, whatever its size")
				break
			}
		}
		return medium.String(), true
	}
	var n json.Number
	if json.Unmarshal(raw, &n) != nil || n == "" || raw[0] == '"' {
		f.add(key, "Its %s is no number", name)
		return "", false
	}
	return n.String(), true
}

// tiers reads prices by how many tokens a request has.
func (f *liteLLM) tiers(key, mode string, raw json.RawMessage, rates map[rateID]*controlv1.UnitPrice) bool {
	var tiers []map[string]json.RawMessage
	if json.Unmarshal(raw, &tiers) != nil {
		f.add(key, "Its %s cannot be read", tiersField)
		return false
	}
	for _, tier := range tiers {
		var limits []json.Number
		if json.Unmarshal(tier["range"], &limits) != nil || len(limits) == 0 {
			f.add(key, "Its %s cannot be read", tiersField)
			return false
		}
		whole, ok := Shift(limits[0].String(), 0)
		above, err := strconv.ParseInt(whole, 10, 64)
		if !ok || err != nil {
			f.add(key, "Its %s cannot be read", tiersField)
			return false
		}
		if !f.read(key, mode, tier, rates, above) {
			return false
		}
	}
	return true
}
