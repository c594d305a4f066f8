package cli

import (
	"cmp"
	"strings"

	"github.com/spf13/cobra"
	typemoney "google.golang.org/genproto/googleapis/type/money"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
)

// usageFlags are a price by what a request uses, as flags.
type usageFlags struct {
	rates                []string
	base, hold, fallback string
	ceiling              bool
}

func (f *usageFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.rates, "rate", nil, "UNIT=DOLLARS for a million units; UNIT is request-bytes, response-bytes, response-events or header:NAME; may be repeated")
	flags.StringVar(&f.base, "rate-base", "", "dollars for each answered request, beside the rates")
	flags.StringVar(&f.hold, "rate-hold", "", "dollars held before the request is sent, beside base and request body")
	flags.BoolVar(&f.ceiling, "rate-ceiling", false, "cut an answer off before it costs more than what was held, so that no budget is overspent; without, more is held as the cost grows")
	flags.StringVar(&f.fallback, "rate-fallback", "", "dollars charged in place of a count that the target did not tell")
}

var usageUnits = map[string]controlv1.Price_Unit{
	"request-bytes":   controlv1.Price_UNIT_REQUEST_BYTES,
	"response-bytes":  controlv1.Price_UNIT_RESPONSE_BYTES,
	"response-events": controlv1.Price_UNIT_RESPONSE_EVENTS,
}

var abandonedPolicies = map[string]controlv1.Abandoned{
	"reserved": controlv1.Abandoned_ABANDONED_RESERVED,
	"metered":  controlv1.Abandoned_ABANDONED_METERED,
	"nothing":  controlv1.Abandoned_ABANDONED_NOTHING,
}

// price is the price that was asked for, or nil.
func (f *usageFlags) price(cmd *cobra.Command) (*controlv1.Price, error) {
	if len(f.rates) == 0 {
		for _, name := range []string{"rate-base", "rate-hold", "rate-ceiling", "rate-fallback"} {
			if cmd.Flags().Changed(name) {
				return nil, usage(cmd, "--%s goes with --rate.", name)
			}
		}
		return nil, nil
	}
	out := &controlv1.Price_Usage{Bound: controlv1.Price_BOUND_ESTIMATE}
	if f.ceiling {
		out.Bound = controlv1.Price_BOUND_CEILING
	}
	for _, text := range f.rates {
		rate, err := readRate(cmd, text)
		if err != nil {
			return nil, err
		}
		out.Rates = append(out.Rates, rate)
	}
	if f.hold == "" {
		return nil, usage(cmd, "--rate-hold is missing: what to hold before the request is sent.")
	}
	for _, amount := range []struct {
		name, text string
		to         **typemoney.Money
	}{{"rate-base", f.base, &out.PerRequest}, {"rate-hold", f.hold, &out.Hold}, {"rate-fallback", f.fallback, &out.Fallback}} {
		if amount.text == "" {
			continue
		}
		nanos, err := dollarsFlag(cmd, amount.name, amount.text)
		if err != nil {
			return nil, err
		}
		*amount.to = contract.MoneyToProto(nanos)
	}
	return &controlv1.Price{Kind: &controlv1.Price_Usage_{Usage: out}}, nil
}

func readRate(cmd *cobra.Command, text string) (*controlv1.Price_Rate, error) {
	unit, price, ok := strings.Cut(text, "=")
	if !ok {
		return nil, usage(cmd, "--rate %q is not of the form UNIT=DOLLARS.", text)
	}
	nanos, err := dollarsFlag(cmd, "rate", price)
	if err != nil {
		return nil, err
	}
	rate := &controlv1.Price_Rate{PerMillion: contract.MoneyToProto(nanos)}
	if name, ok := strings.CutPrefix(unit, "header:"); ok {
		rate.Unit, rate.Header = controlv1.Price_UNIT_RESPONSE_HEADER, name
		return rate, nil
	}
	if rate.Unit, ok = usageUnits[unit]; !ok {
		return nil, usage(cmd, "--rate: there is no unit %q; use request-bytes, response-bytes, response-events or header:NAME.", unit)
	}
	return rate, nil
}

// usageText is a price by use, in words.
func usageText(u *controlv1.Price_Usage) string {
	var parts []string
	if !zero(u.GetPerRequest()) {
		parts = append(parts, dollars(u.GetPerRequest()))
	}
	for _, r := range u.GetRates() {
		unit := r.GetHeader()
		for name, value := range usageUnits {
			if value == r.GetUnit() {
				unit = name
			}
		}
		parts = append(parts, dollars(r.GetPerMillion())+"/M "+unit)
	}
	return strings.Join(parts, " + ")
}

// describeUsage adds what a price by use holds and charges besides its rates.
func describeUsage(t *table, u *controlv1.Price_Usage) {
	held := dollars(u.GetHold()) + ", and more as the cost grows"
	if u.GetBound() == controlv1.Price_BOUND_CEILING {
		held = dollars(u.GetHold()) + "; an answer is cut off before it costs more"
	}
	t.add("held", held)
	for _, r := range u.GetRates() {
		if r.GetUnit() == controlv1.Price_UNIT_RESPONSE_HEADER {
			t.add("if not told", dollars(cmp.Or(u.GetFallback(), &typemoney.Money{}))+" in place of the count, marked as unpriced")
			return
		}
	}
}
