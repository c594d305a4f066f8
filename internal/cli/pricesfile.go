package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

// maxPriceFile is the most that a file of prices may have before it is compressed.
const maxPriceFile = 64 << 20

// bookFlags name a file of prices and say what it is.
type bookFlags struct{ from, source, date, licence string }

func (f *bookFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", "LiteLLM's model_prices_and_context_window.json, the data.json of genai-prices, or a book that was exported; - for stdin; without it the book that comes with the server")
	flags.StringVar(&f.source, "source", "", "where the file comes from, such as an address")
	flags.StringVar(&f.date, "date", "", "day of the data, 2026-08-06")
	flags.StringVar(&f.licence, "licence", "", "licence of the data")
}

// request reads the file. It travels compressed, because prices are mostly the same few words.
func (f *bookFlags) request(cmd *cobra.Command, a *app) (*controlv1.UpdatePriceBookRequest, error) {
	req := &controlv1.UpdatePriceBookRequest{Source: f.source, Date: f.date, Licence: f.licence}
	if f.from == "" {
		for _, name := range []string{"source", "date", "licence"} {
			if cmd.Flags().Changed(name) {
				return nil, usage(cmd, "--%s says something about a file: name it with --from.", name)
			}
		}
		return req, nil
	}
	var raw []byte
	var err error
	if f.from == "-" {
		raw, err = io.ReadAll(io.LimitReader(a.Stdin, maxPriceFile+1))
	} else {
		raw, err = os.ReadFile(a.path(f.from))
	}
	switch {
	case err != nil:
		return nil, fault.New(fault.InvalidArgument, "The prices cannot be read: %v.", err).WithHint("Name another file, or pipe it to --from -.")
	case len(raw) == 0:
		return nil, usage(cmd, "The file is empty.")
	case len(raw) > maxPriceFile:
		return nil, usage(cmd, "The file has more than 64 MiB.")
	}
	if bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		req.File = raw
		return req, nil
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(raw); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	req.File = packed.Bytes()
	return req, nil
}

// compare says what a file would change, or has changed.
func (a *app) compare(res *controlv1.UpdatePriceBookResponse) (r result, counts string) {
	r = result{data: view(res), table: table{head: []string{"", "LIST", "MODEL", "PRICES"}}}
	var added, changed, removed int64
	for _, ch := range res.GetChanges() {
		var mark, what string
		switch {
		case ch.GetBefore() == nil:
			mark, what = "+", basePrices(ch.GetAfter())
			added++
		case ch.GetAfter() == nil:
			mark, what = "-", basePrices(ch.GetBefore())
			removed++
		default:
			mark, what = "~", rateChanges(ch.GetBefore(), ch.GetAfter())
			changed++
		}
		if ch.GetOverridden() {
			what += " (hidden by a row of your own)"
		}
		r.names = append(r.names, ch.GetList()+"/"+ch.GetModel())
		r.table.add(mark, ch.GetList(), ch.GetModel(), what)
	}
	return r, changeCounts(added, changed, removed)
}

func (a *app) sayLeftOut(res *controlv1.UpdatePriceBookResponse) {
	for _, line := range res.GetSkipped() {
		if note, ok := strings.CutPrefix(line, "Note: "); ok {
			a.say("note: %s", note)
			continue
		}
		a.say("left out: %s", line)
	}
}

func (a *app) pricesDiff() *cobra.Command {
	var file bookFlags
	cmd := &cobra.Command{
		Use: "diff [--from FILE]", Short: "Say what a file would change in the price book, and change nothing", Args: exactly(),
		Long: "Exits with 10 if there is a difference.",
		Example: `  tollgate prices diff
  tollgate prices diff --from model_prices_and_context_window.json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req, err := file.request(cmd, a)
			if err != nil {
				return err
			}
			req.DryRun = true
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.prices.UpdatePriceBook(ctx, req)
				if err != nil {
					return err
				}
				r, counts := a.compare(res)
				if len(res.GetChanges()) == 0 {
					r.table.head = nil
				}
				if err := a.print(r); err != nil {
					return err
				}
				a.sayLeftOut(res)
				if len(res.GetChanges()) == 0 {
					a.say("The price book has these prices.")
					return nil
				}
				a.say("%s; endpoints with other prices: %s", counts, list(res.GetEndpoints(), "none"))
				return &failure{exit: ExitDifferent, message: "The file and the price book differ.", typed: true}
			})
		},
	}
	file.register(cmd)
	return cmd
}

func (a *app) pricesUpdate() *cobra.Command {
	var file bookFlags
	cmd := &cobra.Command{
		Use: "update [--from FILE]", Short: "Replace the rows of the price book that come from files by those of a file", Args: exactly(),
		Long: "Rows of your own stay, and come before those of the file, and so do lists of which the file says nothing. A file that cannot be read whole changes nothing. What would change is shown by diff.",
		Example: `  tollgate prices update --from model_prices_and_context_window.json --source https://github.com/BerriAI/litellm --date 2026-08-06 --licence MIT
  tollgate prices update`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req, err := file.request(cmd, a)
			if err != nil {
				return err
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.prices.UpdatePriceBook(ctx, req)
				if err != nil {
					return err
				}
				a.sayLeftOut(res)
				r, counts := a.compare(res)
				if res.GetVersion() == nil {
					return a.done(r, "", "the price book has these prices already")
				}
				return a.done(r, a.Program+" prices", "price book is version %d: %s; endpoints with other prices: %s",
					res.GetVersion().GetVersion(), counts, list(res.GetEndpoints(), "none"))
			})
		},
	}
	file.register(cmd)
	return cmd
}

// exported is a price book in Tollgate's own format.
type exported struct {
	Version int64                     `json:"tollgate_price_book"`
	Source  string                    `json:"source,omitempty"`
	Date    string                    `json:"date,omitempty"`
	Licence string                    `json:"licence,omitempty"`
	Lists   map[string][]*exportedRow `json:"lists"`
}

type exportedRow struct {
	Model string         `json:"model"`
	Rates []exportedRate `json:"rates"`
}

type exportedRate struct {
	Unit    string `json:"unit"`
	Price   string `json:"price"`
	Per     int64  `json:"per,omitempty"`
	Above   int64  `json:"above,omitempty"`
	Variant string `json:"variant,omitempty"`
}

func (a *app) pricesExport() *cobra.Command {
	req := &controlv1.ListModelPricesRequest{}
	cmd := &cobra.Command{
		Use: "export [LIST]", Short: "Write the price book to stdout, as a file that diff and update read", Args: cobra.ArbitraryArgs,
		Example: "  tollgate prices export > prices.json\n  tollgate prices export --own",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withModelPrices(cmd, args, req, func(ctx context.Context, c clients, rows []*controlv1.BookRow) error {
				out := exported{Version: 1, Lists: map[string][]*exportedRow{}}
				if !req.GetOverrides() {
					book, err := c.prices.GetPriceBook(ctx, &controlv1.GetPriceBookRequest{})
					if err != nil {
						return err
					}
					if v := book.GetVersions(); len(v) > 0 {
						out.Source, out.Date, out.Licence = v[0].GetSource(), v[0].GetDate(), v[0].GetLicence()
					}
				}
				for _, row := range rows {
					if row.GetOverride() == req.GetOverrides() {
						out.Lists[row.GetList()] = append(out.Lists[row.GetList()], exportRow(row.GetPrice()))
					}
				}
				enc := json.NewEncoder(a.Stdout)
				enc.SetEscapeHTML(false)
				enc.SetIndent("", " ")
				return enc.Encode(out)
			})
		},
	}
	cmd.Flags().BoolVar(&req.Overrides, "own", false, "rows of your own, in place of those of files")
	return cmd
}

func exportRow(p *controlv1.ModelPrice) *exportedRow {
	out := &exportedRow{Model: p.GetModel(), Rates: []exportedRate{}}
	for _, r := range p.GetRates() {
		out.Rates = append(out.Rates, exportedRate{r.GetUnit(), r.GetPrice(), r.GetPer(), r.GetAbove(), r.GetVariant()})
	}
	return out
}
