package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// multiples are what short forms of numbers end in, the largest first.
var multiples = []struct {
	suffix string
	times  int64
}{{"M", 1_000_000}, {"k", 1_000}}

// short is a number as people write it in prices: 1M, 200k, 1.
func short(n int64) string {
	for _, m := range multiples {
		if n != 0 && n%m.times == 0 {
			return strconv.FormatInt(n/m.times, 10) + m.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// long undoes short.
func long(text string) (int64, error) {
	digits, times := text, int64(1)
	for _, m := range multiples {
		if cut, ok := strings.CutSuffix(text, m.suffix); ok {
			digits, times = cut, m.times
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > 1_000_000_000_000/times {
		return 0, fmt.Errorf("%q is no number such as 1000, 200k or 1M", text)
	}
	return n * times, nil
}

// readUnitPrice reads UNIT=DOLLARS[/PER][>ABOVE][@VARIANT].
func readUnitPrice(text string) (*controlv1.UnitPrice, error) {
	unit, rest, ok := strings.Cut(text, "=")
	if !ok || unit == "" {
		return nil, errors.New("a unit and = come first")
	}
	out := &controlv1.UnitPrice{Unit: unit, Per: 1}
	var variant, above, per bool
	rest, out.Variant, variant = strings.Cut(rest, "@")
	if variant && out.GetVariant() == "" {
		return nil, errors.New("the name of a variant follows @")
	}
	rest, aboveText, above := strings.Cut(rest, ">")
	price, perText, per := strings.Cut(rest, "/")
	if out.Price = price; price == "" {
		return nil, errors.New("the dollars are missing")
	}
	var err error
	if per {
		if out.Per, err = long(perText); err != nil {
			return nil, err
		}
		if out.GetPer() == 0 {
			return nil, errors.New("a price is for at least one unit")
		}
	}
	if above {
		out.Above, err = long(aboveText)
	}
	return out, err
}

// rateText is what readUnitPrice reads.
func rateText(r *controlv1.UnitPrice) string {
	text := r.GetUnit() + "=" + r.GetPrice()
	if r.GetPer() > 1 {
		text += "/" + short(r.GetPer())
	}
	if r.GetAbove() > 0 {
		text += ">" + short(r.GetAbove())
	}
	if r.GetVariant() != "" {
		text += "@" + r.GetVariant()
	}
	return text
}

func ratesText(rates []*controlv1.UnitPrice) string {
	parts := make([]string, len(rates))
	for i, r := range rates {
		parts[i] = rateText(r)
	}
	return strings.Join(parts, " ")
}

// rateChanges are the rates that differ between two prices of a model, with what they were.
func rateChanges(before, after *controlv1.ModelPrice) string {
	type rate struct {
		unit, variant string
		above         int64
	}
	of := func(r *controlv1.UnitPrice) rate { return rate{r.GetUnit(), r.GetVariant(), r.GetAbove()} }
	was, is := map[rate]string{}, map[rate]bool{}
	for _, r := range before.GetRates() {
		was[of(r)] = rateText(r)
	}
	var parts []string
	for _, r := range after.GetRates() {
		is[of(r)] = true
		switch old, ok := was[of(r)]; {
		case !ok:
			parts = append(parts, "+"+rateText(r))
		case old != rateText(r):
			parts = append(parts, old+" → "+rateText(r))
		}
	}
	for _, r := range before.GetRates() {
		if !is[of(r)] {
			parts = append(parts, "-"+rateText(r))
		}
	}
	return strings.Join(parts, ", ")
}
