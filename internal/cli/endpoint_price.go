package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
)

// priceFlags are prices of all kinds but those by use, as flags.
type priceFlags struct {
	fixed, header, ceiling, fallback, file string
	free                                   bool
	statuses, methods                      []string
	read                                   func(file string) (*controlv1.Price, error)
}

// kindFlags choose the kind of price, of which there is one.
var kindFlags = []string{"price", "free", "rate", "price-reported", "price-file"}

func (f *priceFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.fixed, "price", "", "dollars per request, such as 12.00")
	flags.BoolVar(&f.free, "free", false, "requests cost nothing")
	flags.StringVar(&f.header, "price-reported", "", "requests cost what the target says in a response header; its name, if it is another; needs --ceiling")
	flags.Lookup("price-reported").NoOptDefVal = "x-tollgate-cost"
	flags.StringVar(&f.ceiling, "ceiling", "", "dollars that a request costs at most, whatever the target says; held before it is sent")
	flags.StringVar(&f.fallback, "fallback", "", "dollars charged where the target says no cost; such requests are marked as unpriced")
	flags.StringVar(&f.file, "price-file", "", "file with a price in YAML or JSON, such as one by meters; - for stdin")
	flags.StringSliceVar(&f.statuses, "charge-when", nil, "which answers are charged, of a price per request or one that the target says: 2xx (the default), any, or a list such as 2xx,404")
	flags.StringSliceVar(&f.methods, "charge-methods", nil, "which methods are charged, such as POST,PUT; those that the endpoint names if not given, or else all but GET, HEAD and OPTIONS")
}

// chosen says whether a price was given.
func (f *priceFlags) chosen(cmd *cobra.Command) bool {
	return f.free || slices.ContainsFunc(kindFlags, func(name string) bool { return name != "free" && cmd.Flags().Changed(name) })
}

// change puts the price that was given into e.
func (f *priceFlags) change(cmd *cobra.Command, e *controlv1.Endpoint) error {
	given := cmd.Flags().Changed
	switch {
	case f.free:
		e.Price = &controlv1.Price{Kind: &controlv1.Price_Free_{Free: &controlv1.Price_Free{}}}
	case given("price"):
		amount, err := dollarsFlag(cmd, "price", f.fixed)
		if err != nil {
			return err
		}
		// A shell makes 0 of $10 outside quotes; what is free says so.
		if amount == 0 {
			return usage(cmd, "--price is 0; say --free if requests cost nothing.")
		}
		e.Price = &controlv1.Price{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{
			PerRequest: contract.MoneyToProto(amount), Charge: chargeOf(e.GetPrice()), // which answers are charged stays as it is
		}}}
	case given("price-file"):
		price, err := f.read(f.file)
		if err != nil {
			return err
		}
		e.Price = price
	}
	if err := f.changeReported(cmd, e); err != nil {
		return err
	}
	return f.changeCharge(cmd, e)
}

func (f *priceFlags) changeReported(cmd *cobra.Command, e *controlv1.Endpoint) error {
	given := cmd.Flags().Changed
	if given("price-reported") {
		if e.GetPrice().GetReported() == nil {
			if !given("ceiling") {
				return usage(cmd, "--price-reported needs --ceiling: what a request costs at most, whatever the target says.")
			}
			e.Price = &controlv1.Price{Kind: &controlv1.Price_Reported_{Reported: &controlv1.Price_Reported{Charge: chargeOf(e.GetPrice())}}}
		}
		e.Price.GetReported().Header = f.header
	}
	r := e.GetPrice().GetReported()
	for _, name := range []string{"ceiling", "fallback"} {
		if given(name) && r == nil {
			return usage(cmd, "--%s goes with --price-reported.", name)
		}
	}
	if given("ceiling") {
		amount, err := dollarsFlag(cmd, "ceiling", f.ceiling)
		if err != nil {
			return err
		}
		r.Ceiling = contract.MoneyToProto(amount)
	}
	if given("fallback") {
		amount, err := dollarsFlag(cmd, "fallback", f.fallback)
		if err != nil {
			return err
		}
		if r.Fallback = nil; amount != 0 {
			r.Fallback = contract.MoneyToProto(amount)
		}
	}
	return nil
}

// changeCharge says which answers are charged, also of a price that is there already.
func (f *priceFlags) changeCharge(cmd *cobra.Command, e *controlv1.Endpoint) error {
	given := cmd.Flags().Changed
	if !given("charge-when") && !given("charge-methods") {
		return nil
	}
	c := chargeOf(e.GetPrice())
	if c == nil {
		c = &controlv1.Charge{}
	}
	if given("charge-when") {
		if c.Statuses = f.statuses; slices.Equal(f.statuses, []string{"2xx"}) {
			c.Statuses = nil
		}
	}
	if given("charge-methods") {
		c.Methods = nil
		for _, m := range f.methods {
			c.Methods = append(c.Methods, strings.ToUpper(m))
		}
	}
	if proto.Size(c) == 0 {
		c = nil
	}
	switch k := e.GetPrice().GetKind().(type) {
	case *controlv1.Price_Fixed_:
		k.Fixed.Charge = c
	case *controlv1.Price_Reported_:
		k.Reported.Charge = c
	default:
		return usage(cmd, "--charge-when and --charge-methods go with --price and --price-reported: meters say in themselves what is charged.")
	}
	return nil
}

// chargeOf says which answers are charged; nil for a price that does not say.
func chargeOf(p *controlv1.Price) *controlv1.Charge {
	if fixed := p.GetFixed(); fixed != nil {
		return fixed.GetCharge()
	}
	return p.GetReported().GetCharge()
}

// warnLists points at lists that a price looks models up in and that the price book does not have. They may come later.
func (a *app) warnLists(ctx context.Context, c clients, e *controlv1.Endpoint) {
	var wanted []string
	for _, m := range e.GetPrice().GetMetered().GetMeters() {
		if m.GetBook() != "" && !slices.Contains(wanted, m.GetBook()) {
			wanted = append(wanted, m.GetBook())
		}
	}
	if len(wanted) == 0 {
		return
	}
	there, err := priceListNames(ctx, c)
	if err != nil {
		return // what was asked for is done
	}
	for _, name := range wanted {
		if !slices.Contains(there, name) {
			a.say("! The price book has no list %s: what is looked up in it is unpriced. `%s prices` shows which there are.", name, a.Program)
		}
	}
}
