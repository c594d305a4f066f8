package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

func (a *app) pricesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "prices", Short: "What models cost: the price book, and rows of your own before it", Args: cobra.ArbitraryArgs,
		Long: "Without a command below: the lists of the price book, and where they come from.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return a.with(cmd, a.showBook)
		},
	}
	cmd.AddCommand(a.pricesList(), a.pricesShow(), a.pricesDiff(), a.pricesUpdate(), a.pricesSet(), a.pricesUnset(), a.pricesExport())
	a.completeNames(cmd, priceListNames)
	for _, c := range cmd.Commands() {
		switch c.Name() {
		case "list":
			c.ValidArgsFunction = a.existing(priceListNames)
		case "diff", "update":
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
	}
	return cmd
}

func priceListNames(ctx context.Context, c clients) ([]string, error) {
	res, err := c.prices.GetPriceBook(ctx, &controlv1.GetPriceBookRequest{})
	return namesOf(res.GetLists(), err)
}

func (a *app) showBook(ctx context.Context, c clients) error {
	res, err := c.prices.GetPriceBook(ctx, &controlv1.GetPriceBookRequest{})
	if err != nil {
		return err
	}
	r := result{data: view(res), table: table{head: []string{"LIST", "MODELS", "OWN"}, right: []string{"MODELS", "OWN"}}}
	for _, l := range res.GetLists() {
		r.names = append(r.names, l.GetName())
		r.table.add(l.GetName(), count(l.GetRows()), count(l.GetOverrides()))
	}
	if err := a.print(r); err != nil {
		return err
	}
	for _, v := range res.GetVersions() {
		a.say("version %d, %s: %s of %s, licence %s; %s", v.GetVersion(), a.when(v.GetCreateTime()), first(v.GetSource(), "a file"), first(v.GetDate(), "no date"),
			first(v.GetLicence(), "not said"), changeCounts(v.GetAdded(), v.GetChanged(), v.GetRemoved()))
	}
	return nil
}

func changeCounts(added, changed, removed int64) string {
	return fmt.Sprintf("%s added, %s changed, %s removed", count(added), count(changed), count(removed))
}

func (a *app) pricesList() *cobra.Command {
	req := &controlv1.ListModelPricesRequest{}
	cmd := &cobra.Command{
		Use: "list [LIST]", Aliases: []string{"ls"}, Short: "List what models cost", Args: cobra.ArbitraryArgs,
		Example: `  tollgate prices list openai --model gpt-5
  tollgate prices list --own`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withModelPrices(cmd, args, req, func(_ context.Context, _ clients, rows []*controlv1.BookRow) error {
				r := result{table: table{head: []string{"LIST", "MODEL", "PRICES", "FROM"}}}
				data := []any{}
				for _, row := range rows {
					data, r.names = append(data, view(row)), append(r.names, row.GetList()+"/"+row.GetPrice().GetModel())
					r.table.add(row.GetList(), row.GetPrice().GetModel(), basePrices(row.GetPrice()), rowFrom(row))
				}
				r.data = data
				return a.print(r)
			})
		},
	}
	cmd.Flags().StringVar(&req.Model, "model", "", "only models with this in their name")
	cmd.Flags().BoolVar(&req.Overrides, "own", false, "only rows of your own")
	return cmd
}

// withModelPrices calls do with the rows that are asked for, of the list that may be the argument.
func (a *app) withModelPrices(cmd *cobra.Command, args []string, req *controlv1.ListModelPricesRequest,
	do func(ctx context.Context, c clients, rows []*controlv1.BookRow) error,
) error {
	if len(args) > 1 {
		return usage(cmd, "Unexpected argument %q.", args[1])
	}
	req = proto.CloneOf(req)
	req.List = first(args...)
	return a.with(cmd, func(ctx context.Context, c clients) error {
		rows, err := modelPrices(ctx, c, req)
		if err != nil {
			return err
		}
		return do(ctx, c, rows)
	})
}

func modelPrices(ctx context.Context, c clients, req *controlv1.ListModelPricesRequest) ([]*controlv1.BookRow, error) {
	all, _, err := pages(0, func(size int32, token string) ([]*controlv1.BookRow, string, error) {
		ask := proto.CloneOf(req)
		ask.PageSize, ask.PageToken = size, token
		page, err := c.prices.ListModelPrices(ctx, ask)
		return page.GetRows(), page.GetNextPageToken(), err
	})
	return all, err
}

func rowFrom(row *controlv1.BookRow) string {
	if row.GetOverride() {
		return "your own"
	}
	return "file"
}

// basePrices are those that hold without a tier or a variant, and how many others there are.
func basePrices(p *controlv1.ModelPrice) string {
	var parts []string
	for _, r := range p.GetRates() {
		if r.GetAbove() == 0 && r.GetVariant() == "" {
			parts = append(parts, rateText(r))
		}
	}
	if more := len(p.GetRates()) - len(parts); more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, ", ")
}

// findPrice reads the rows of one model: the operator's own, the file's, or both in this order.
func findPrice(ctx context.Context, c clients, list, model string) ([]*controlv1.BookRow, error) {
	rows, err := modelPrices(ctx, c, &controlv1.ListModelPricesRequest{List: list, Model: model})
	if err != nil {
		return nil, err
	}
	var found []*controlv1.BookRow
	for _, row := range rows {
		if strings.EqualFold(row.GetPrice().GetModel(), model) {
			found = append(found, row)
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	f := fault.New(fault.ObjectNotFound, "List %s has no row %q.", list, model)
	if len(rows) > 0 {
		return nil, f.WithHint("%s with that in the name: tollgate prices list %s --model %s", several(len(rows), "row"), list, model)
	}
	return nil, f.WithHint("See what there is with tollgate prices list %s.", list)
}

func (a *app) pricesShow() *cobra.Command {
	return &cobra.Command{
		Use: "show LIST MODEL", Aliases: []string{"get"}, Short: "Show all prices of a model, as its row has them", Args: exactly("LIST", "MODEL"),
		Example: "  tollgate prices show openai gpt-4o",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				found, err := findPrice(ctx, c, args[0], args[1])
				if err != nil {
					return err
				}
				row := found[0]
				r := result{
					data: view(row), names: []string{row.GetList() + "/" + row.GetPrice().GetModel()},
					table: table{head: []string{"UNIT", "DOLLARS", "PER", "ABOVE", "VARIANT"}, right: []string{"DOLLARS", "PER", "ABOVE"}},
				}
				for _, rate := range row.GetPrice().GetRates() {
					r.table.add(rate.GetUnit(), rate.GetPrice(), short(max(rate.GetPer(), 1)), short(rate.GetAbove()), first(rate.GetVariant(), "-"))
				}
				if err := a.print(r); err != nil {
					return err
				}
				if len(found) > 1 {
					a.say("It is a row of your own; the file has %s. tollgate prices unset %s %s", basePrices(found[1].GetPrice()), args[0], args[1])
				}
				return nil
			})
		},
	}
}

func (a *app) pricesSet() *cobra.Command {
	return &cobra.Command{
		Use: "set LIST MODEL UNIT=DOLLARS[/PER][>ABOVE][@VARIANT] …", Short: "Price a model yourself; the row comes before the book's and stays when that is updated",
		Args: cobra.MinimumNArgs(0),
		Long: `The row has exactly the prices that are given, and replaces one of your own that is there already. PER, for how many
units the price is, and ABOVE, from how many on it holds, take k and M: 2.50/1M>200k. MODEL can be a glob: gpt-4o-*.
Quote what the shell would take for something else.`,
		Example: `  tollgate prices set openai gpt-4o input=2.00/1M output=8.00/1M
  tollgate prices set gemini 'gemini-2.5-pro*' 'input=1.25/1M' 'input=2.50/1M>200k' 'input=0.625/1M@batch' output=10/1M`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 3 {
				return exactly("LIST", "MODEL", "UNIT=DOLLARS")(cmd, args)
			}
			price := &controlv1.ModelPrice{Model: args[1]}
			for _, text := range args[2:] {
				rate, err := readUnitPrice(text)
				if err != nil {
					return usage(cmd, "%q is no price such as input=2.50/1M: %s.", text, err)
				}
				price.Rates = append(price.Rates, rate)
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.prices.SetModelPrice(ctx, &controlv1.SetModelPriceRequest{List: args[0], Price: price})
				if err != nil {
					return err
				}
				row := res.GetRow()
				name := row.GetList() + "/" + row.GetPrice().GetModel()
				return a.done(result{data: view(row), names: []string{name}}, "", "%s costs %s; edges follow within a second", name, ratesText(row.GetPrice().GetRates()))
			})
		},
	}
}

func (a *app) pricesUnset() *cobra.Command {
	return &cobra.Command{
		Use: "unset LIST MODEL", Aliases: []string{"delete", "rm"}, Short: "Remove a row of your own; the book's holds again", Args: exactly("LIST", "MODEL"),
		Example: "  tollgate prices unset openai gpt-4o",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				if _, err := c.prices.DeleteModelPrice(ctx, &controlv1.DeleteModelPriceRequest{List: args[0], Model: args[1]}); err != nil {
					return err
				}
				name := args[0] + "/" + args[1]
				return a.done(deleted(name), "", "%s has no price of your own any more", name)
			})
		},
	}
}
