package pricebook

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// vendors are providers of genai-prices that are called otherwise here.
var vendors = map[string]string{
	"aws": "bedrock", "google": "gemini", "x-ai": "xai", "voyageai": "voyage",
	"together": "together_ai", "fireworks": "fireworks_ai", "moonshotai": "moonshot",
}

// counts are the prices of genai-prices: for a million, or for a thousand.
var counts = map[string]field{
	"input_mtok":            {unit: "input", power: 6},
	"output_mtok":           {unit: "output", power: 6},
	"cache_read_mtok":       {unit: "cached_input", power: 6},
	"cache_write_mtok":      {unit: "cache_write", power: 6},
	"cache_write_1h_mtok":   {unit: "cache_write_1h", power: 6},
	"output_reasoning_mtok": {unit: "reasoning", power: 6},
	"input_audio_mtok":      {unit: "audio_input", power: 6},
	"output_audio_mtok":     {unit: "audio_output", power: 6},
	"cache_audio_read_mtok": {unit: "cached_audio_input", power: 6},
	"input_image_mtok":      {unit: "image_input", power: 6},
	"output_image_mtok":     {unit: "image_output", power: 6},
	"requests_kcount":       {unit: "requests", power: 3},
	"web_searches_kcount":   {unit: "web_searches", power: 3},
}

type genProvider struct {
	ID     string     `json:"id"`
	Models []genModel `json:"models"`
}

type genModel struct {
	ID     string          `json:"id"`
	Match  genMatch        `json:"match"`
	Prices json.RawMessage `json:"prices"` // one, or several of which each holds at its time
}

// genMatch has one of these.
type genMatch struct {
	Equals     string     `json:"equals"`
	StartsWith string     `json:"starts_with"`
	EndsWith   string     `json:"ends_with"`
	Contains   string     `json:"contains"`
	Or         []genMatch `json:"or"`
}

// globs are the patterns that match the same names; false if some of it cannot be said by one.
func (m *genMatch) globs() (out []string, ok bool) {
	if len(m.Or) > 0 {
		ok = true
		for i := range m.Or {
			inner, said := m.Or[i].globs()
			out, ok = append(out, inner...), ok && said
		}
		return out, ok
	}
	for _, form := range []struct{ text, before, after string }{
		{m.Equals, "", ""}, {m.StartsWith, "", "*"}, {m.EndsWith, "*", ""}, {m.Contains, "*", "*"},
	} {
		if glob := form.before + form.text + form.after; form.text != "" && !strings.Contains(form.text, "*") &&
			!strings.ContainsFunc(glob, unprintable) && len(glob) <= mostModel {
			return []string{glob}, true
		}
	}
	return nil, false
}

// genTimed is a price that holds from a day on, or at times of the day.
type genTimed struct {
	Constraint *struct {
		StartDate string `json:"start_date"`
		StartTime string `json:"start_time"`
		EndTime   string `json:"end_time"`
	} `json:"constraint"`
	Prices map[string]json.RawMessage `json:"prices"`
}

func parseGenAI(text []byte, day string) (*Book, error) {
	var providers []genProvider
	if err := json.Unmarshal(text, &providers); err != nil {
		return nil, refuse("The file is not genai-prices's list of providers: %s.", err)
	}
	var s skips
	rows := map[rowID]Row{}
	for _, p := range providers {
		list := p.ID
		if name, ok := vendors[p.ID]; ok {
			list = name
		}
		if !listForm.MatchString(list) {
			s.add(p.ID, "The provider's id is no name of a list")
			continue
		}
		for i := range p.Models {
			m := &p.Models[i]
			name := list + "/" + m.ID
			rates, reason := m.rates(day)
			if reason != "" {
				s.add(name, "%s", reason)
				continue
			}
			globs, ok := m.Match.globs()
			if !ok {
				s.add(name, "Some of the names that it matches cannot be said by a glob")
			}
			for _, glob := range globs {
				r := Row{list, Normalize(&controlv1.ModelPrice{Model: glob, Rates: rates})}
				if first, ok := rows[r.id()]; !ok {
					rows[r.id()] = r // whoever comes first matches first
				} else if !Same(first.Price, r.Price) {
					s.add(name, "Another model of the same list matches the same names at other prices, and counts")
				}
			}
		}
	}
	return &Book{Rows: slices.Collect(maps.Values(rows)), Skipped: s.lines()}, nil
}

// rates are those that hold on a day, or the reason why there are none.
func (m *genModel) rates(day string) (rates []*controlv1.UnitPrice, reason string) {
	prices := map[string]json.RawMessage{}
	if strings.HasPrefix(strings.TrimSpace(string(m.Prices)), "[") {
		var all []genTimed
		if json.Unmarshal(m.Prices, &all) != nil {
			return nil, "Its prices cannot be read"
		}
		for _, p := range all { // the last that holds counts
			switch c := p.Constraint; {
			case c == nil:
				prices = p.Prices
			case c.StartTime != "" || c.EndTime != "":
				return nil, "Its prices depend on the time of the day"
			case !dateForm.MatchString(c.StartDate):
				return nil, "Its prices cannot be read"
			case c.StartDate <= day:
				prices = p.Prices
			}
		}
	} else if json.Unmarshal(m.Prices, &prices) != nil {
		return nil, "Its prices cannot be read"
	}
	free := true
	for _, name := range slices.Sorted(maps.Keys(prices)) {
		unit, ok := counts[name]
		if !ok {
			continue
		}
		tiers, ok := genTiers(prices[name])
		if !ok {
			return nil, "Its " + name + " cannot be read"
		}
		for _, t := range tiers {
			one, ok := Shift(t.Price.String(), -unit.power)
			if !ok {
				return nil, "Its " + name + " is negative, or no price that can be read"
			}
			price, per, ok := amount(one, unit.power)
			if !ok {
				return nil, "Its " + name + " is no price that can be kept"
			}
			rates = append(rates, &controlv1.UnitPrice{Unit: unit.unit, Price: price, Per: per, Above: t.Start})
			free = free && price == "0"
		}
	}
	switch {
	case len(rates) == 0:
		return nil, "It has no price of a unit that requests use"
	case len(rates) > mostRates:
		return nil, "It has too many prices"
	case free:
		return nil, "All of its prices are 0, which is also written where they are not known; say so by a row of your own"
	}
	return rates, ""
}

type genTier struct {
	Start int64       `json:"start"`
	Price json.Number `json:"price"`
}

// genTiers reads a number, or a base with tiers above it.
func genTiers(raw json.RawMessage) ([]genTier, bool) {
	var tiered struct {
		Base  json.Number `json:"base"`
		Tiers []genTier   `json:"tiers"`
	}
	if !strings.HasPrefix(strings.TrimSpace(string(raw)), "{") {
		if err := json.Unmarshal(raw, &tiered.Base); err != nil {
			return nil, false
		}
	} else if json.Unmarshal(raw, &tiered) != nil {
		return nil, false
	}
	seen := map[int64]bool{0: true}
	for _, t := range tiered.Tiers {
		if t.Start <= 0 || seen[t.Start] {
			return nil, false
		}
		seen[t.Start] = true
	}
	return append([]genTier{{0, tiered.Base}}, tiered.Tiers...), true
}
