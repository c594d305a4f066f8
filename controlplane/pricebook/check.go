package pricebook

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

const (
	mostModel = 256
	mostRates = 128
)

var (
	listForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
	unitForm    = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)
	variantForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,47}$`)
)

// CheckList says what is wrong with the name of a list.
func CheckList(p *registry.Problems, field, list string) {
	if !listForm.MatchString(list) {
		p.Add(field, registry.Malformed, "%q is no name of a list: use 1 to 64 lower-case letters, digits, hyphens and underscores, with a letter or digit first.", clip(list))
	}
}

// Check says everything that is wrong with a row, by field below the one given.
func Check(p *registry.Problems, field string, price *controlv1.ModelPrice) {
	switch model := price.GetModel(); {
	case model == "":
		p.Add(field+".model", registry.Required, "Name the model, or a glob such as gpt-4o-*.")
	case len(model) > mostModel || !utf8.ValidString(model) || strings.ContainsFunc(model, unprintable):
		p.Add(field+".model", registry.Malformed, "%q is no name of a model: use up to %d bytes of text without spaces and control characters.", clip(model), mostModel)
	}
	switch n := len(price.GetRates()); {
	case n == 0:
		p.Add(field+".rates", registry.Required, "Say what the model costs: a rate for each unit. A price of 0 is one.")
	case n > mostRates:
		p.Add(field+".rates", registry.Range, "There are %d rates; a model has at most %d.", n, mostRates)
		return
	}
	seen := map[rateID]int{}
	for i, r := range price.GetRates() {
		at := fmt.Sprintf("%s.rates[%d]", field, i)
		checkRate(p, at, r)
		if first, ok := seen[of(r)]; ok {
			p.Add(at, registry.Duplicate, "The price of %s was said in rates[%d] already: leave one of them out, or tell them apart by above or variant.", clip(r.GetUnit()), first)
			continue
		}
		seen[of(r)] = i
	}
}

func unprintable(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

func checkRate(p *registry.Problems, at string, r *controlv1.UnitPrice) {
	if !unitForm.MatchString(r.GetUnit()) {
		p.Add(at+".unit", registry.Malformed, "%q is no name of a unit: use lower-case letters, digits and underscores, such as cached_input.", clip(r.GetUnit()))
	}
	switch text, ok := Shift(r.GetPrice(), 0); {
	case strings.HasPrefix(r.GetPrice(), "-"):
		p.Add(at+".price", registry.Range, "The price is negative: use 0 or more.")
	case !ok || strings.ContainsAny(r.GetPrice(), "eE"):
		p.Add(at+".price", registry.Malformed, "%q is no amount of US dollars such as 2.50.", clip(r.GetPrice()))
	case places(text) > mostPlaces || len(text) > mostDigits:
		p.Add(at+".price", registry.Range, "The price has more than %d decimal places, or %d characters: say it for more units, with per.", mostPlaces, mostDigits)
	case !affordable(text):
		p.Add(at+".price", registry.Range, "The price is more than a million dollars, which no request costs: say it for fewer units, with per.")
	}
	if r.GetPer() < 0 || r.GetPer() > mostPer {
		p.Add(at+".per", registry.Range, "The price is for %d units: use 1 to %d.", r.GetPer(), int64(mostPer))
	}
	if r.GetAbove() < 0 {
		p.Add(at+".above", registry.Range, "The price holds above %d: use 0 or more.", r.GetAbove())
	}
	if v := r.GetVariant(); v != "" && !variantForm.MatchString(v) {
		p.Add(at+".variant", registry.Malformed, "%q is no name of a variant: use letters, digits, dots, hyphens and underscores, such as priority.", clip(v))
	}
}

// clip keeps foreign text in messages short.
func clip(s string) string {
	const most = 100
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
