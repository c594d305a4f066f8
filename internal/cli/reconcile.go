package cli

import (
	"context"
	"errors"
	"os"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/internal/reconcile"
)

// invoiceFlags say how an invoice is to be read.
type invoiceFlags struct {
	columns                                        reconcile.Columns
	comma, zone, order, table, from, to, tolerance string
	rules                                          []string
}

func (f *invoiceFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.columns.Time, "time-column", "date", "title of the column with the day or time of a line")
	flags.StringVar(&f.columns.Subject, "subject-column", "", "title of the column that says what a line is about: an endpoint, or a text that --map or --map-file turns into one")
	flags.StringVar(&f.columns.Amount, "amount-column", "amount", "title of the column with the dollars")
	flags.StringVar(&f.columns.Quantity, "quantity-column", "", "title of the column with the number of whatever the vendor counts")
	flags.StringVar(&f.columns.Currency, "currency-column", "", "title of the column with the currency, which must be USD")
	flags.StringVar(&f.comma, "comma", ",", "what divides columns")
	flags.StringVar(&f.zone, "time-zone", "UTC", "time zone of the vendor's days, such as America/Los_Angeles")
	flags.StringVar(&f.order, "dates", "", "how dates with slashes are read: month-first or day-first")
	flags.StringArrayVar(&f.rules, "map", nil, "PATTERN=ENDPOINT: lines whose subject matches the regular expression are about this endpoint; - leaves them out; may be repeated")
	flags.StringVar(&f.table, "map-file", "", "CSV file with two columns: subject and endpoint")
	flags.StringVar(&f.from, "from", "", "first of the vendor's days to compare; the invoice's first if not given")
	flags.StringVar(&f.to, "to", "", "last of them, included")
	flags.StringVar(&f.tolerance, "tolerance", "0", "dollars by which a row may differ")
}

var dateOrders = map[string]reconcile.Order{"": reconcile.NoSlashes, "month-first": reconcile.MonthFirst, "day-first": reconcile.DayFirst}

// format is how the invoice is to be read.
func (f *invoiceFlags) format(a *app, cmd *cobra.Command) (reconcile.Format, error) {
	out := reconcile.Format{Columns: f.columns}
	var size int
	if out.Comma, size = utf8.DecodeRuneInString(f.comma); size == 0 || size != len(f.comma) {
		return out, usage(cmd, "--comma %q is not one character.", f.comma)
	}
	var err error
	if out.Zone, err = time.LoadLocation(f.zone); err != nil {
		return out, usage(cmd, "--time-zone: %s.", err)
	}
	var ok bool
	if out.Order, ok = dateOrders[f.order]; !ok {
		return out, usage(cmd, "--dates is month-first or day-first, not %q.", f.order)
	}
	for _, text := range f.rules {
		rule, err := reconcile.ParseRule(text)
		if err != nil {
			return out, usage(cmd, "--map: %s.", err)
		}
		out.Mapping.Rules = append(out.Mapping.Rules, rule)
	}
	if f.table == "" {
		return out, nil
	}
	file, err := os.Open(a.path(f.table))
	if err != nil {
		return out, usage(cmd, "--map-file: %s.", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	if out.Mapping.Table, err = reconcile.ReadTable(file); err != nil {
		return out, usage(cmd, "--map-file: %s.", err)
	}
	return out, nil
}

func (a *app) reconcileCommand() *cobra.Command {
	var f invoiceFlags
	cmd := &cobra.Command{
		Use: "reconcile FILE", Short: "Compare a vendor's invoice with what was booked, per day and endpoint", Args: exactly("FILE"),
		Long: `Compare a vendor's invoice, a CSV file with a line of titles, with the ledger's books: per day and endpoint, to the
nano-dollar. The exit code is 10 if anything differs by more than the tolerance, or a line cannot be read.`,
		Example: `  tollgate reconcile november.csv --time-column usage_date --amount-column cost_usd --subject-column sku \
    --map '^rerank-.*=rerank' --map '^(tax|credit)=-' --time-zone America/Los_Angeles --tolerance 0.01`,
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := f.format(a, cmd)
			if err != nil {
				return err
			}
			options := reconcile.Options{From: f.from, To: f.to}
			if options.Tolerance, err = dollarsFlag(cmd, "tolerance", f.tolerance); err != nil {
				return err
			}
			file, err := os.Open(a.path(args[0]))
			if err != nil {
				return usage(cmd, "%s.", err)
			}
			defer func() { _ = file.Close() }() // it was only read
			invoice, err := reconcile.Read(file, format)
			if err != nil {
				return unusable(cmd, args[0], err)
			}
			from, to, byHour := invoice.Span(options)
			if from == "" {
				for _, p := range invoice.Problems {
					a.say("%s, %s", args[0], p)
				}
				return usage(cmd, "No line of %s can be compared.", args[0])
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				booked, err := bookedUsage(ctx, c, from, to, byHour)
				if err != nil {
					return err
				}
				report, err := reconcile.Compare(invoice, booked, options)
				if err != nil {
					return unusable(cmd, args[0], err)
				}
				return a.printComparison(args[0], report)
			})
		},
	}
	f.register(cmd)
	return cmd
}

// unusable is why an invoice cannot be compared. What has a text for people keeps it.
func unusable(cmd *cobra.Command, file string, err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return usage(cmd, "The invoice %s: %s.", file, err)
}

// bookedUsage is what was booked per endpoint and day, or hour.
func bookedUsage(ctx context.Context, c clients, from, to string, byHour bool) ([]reconcile.Usage, error) {
	when := controlv1.UsageDimension_USAGE_DIMENSION_DAY
	if byHour {
		when = controlv1.UsageDimension_USAGE_DIMENSION_HOUR
	}
	res, err := c.usage.QueryUsage(ctx, &controlv1.QueryUsageRequest{
		FromDay: from, ToDay: to, GroupBy: []controlv1.UsageDimension{when, controlv1.UsageDimension_USAGE_DIMENSION_ENDPOINT},
	})
	if err != nil {
		return nil, err
	}
	var out []reconcile.Usage
	for _, row := range res.GetRows() {
		cost, err := contract.MoneyFromProto(row.GetCost())
		if err != nil {
			return nil, err
		}
		out = append(out, reconcile.Usage{
			Day: row.GetDay(), Hour: row.GetHour(), Endpoint: first(row.GetEndpointName(), row.GetEndpointId()), Requests: row.GetRequests(), Cost: cost,
		})
	}
	return out, nil
}

func (a *app) printComparison(file string, report *reconcile.Report) error {
	r := result{table: table{
		head:  []string{"DAY", "ENDPOINT", "INVOICE", "BOOKED", "DIFFERENCE", "LINES", "REQUESTS", ""},
		right: []string{"INVOICE", "BOOKED", "DIFFERENCE", "LINES", "REQUESTS"},
	}}
	rows := []any{}
	for _, row := range report.Rows {
		mark := ""
		if !row.Within {
			mark = "differs"
		}
		r.table.add(row.Day, row.Endpoint, row.Invoice.Dollars(), row.Ours.Dollars(), row.Difference.Dollars(), count(row.Lines), count(row.Requests), mark)
		rows = append(rows, reportRow(row))
	}
	problems := []any{}
	for _, p := range report.Problems {
		problems = append(problems, p.String())
	}
	data := &object{}
	data.set("from", report.From)
	data.set("to", report.To)
	data.set("rows", rows)
	data.set("total", reportRow(report.Total))
	data.set("problems", problems)
	data.set("agrees", report.Agrees())
	r.data = data
	if err := a.print(r); err != nil {
		return err
	}
	for _, p := range report.Problems {
		a.say("%s, %s", file, p)
	}
	if report.Ignored > 0 {
		a.say("left out by rule: %s, %s", several(int(report.Ignored), "line"), report.IgnoredAmount.Dollars())
	}
	if report.Outside > 0 {
		a.say("of other days: %s", several(int(report.Outside), "line"))
	}
	total := report.Total
	a.say("total: invoice %s, booked %s, difference %s", total.Invoice.Dollars(), total.Ours.Dollars(), total.Difference.Dollars())
	switch {
	case report.Agrees():
		return nil
	case report.Total.Within:
		return &failure{exit: ExitDifferent, message: "What can be read of the invoice agrees with the books, but not all of it can be read.", typed: true}
	default:
		return &failure{exit: ExitDifferent, message: "The invoice and the books differ.", typed: true}
	}
}

func reportRow(row reconcile.Row) *object {
	out := &object{}
	if row.Day != "" {
		out.set("day", row.Day)
		out.set("endpoint", row.Endpoint)
	}
	for _, amount := range []struct {
		name  string
		nanos money.Nanos
	}{{"invoice", row.Invoice}, {"booked", row.Ours}, {"difference", row.Difference}} {
		out.set(amount.name, viewMoney(contract.MoneyToProto(amount.nanos)))
	}
	out.set("lines", row.Lines)
	out.set("quantity", row.Quantity)
	out.set("requests", row.Requests)
	out.set("within", row.Within)
	return out
}
