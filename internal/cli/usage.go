package cli

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

var dimensions = map[string]controlv1.UsageDimension{
	"key":      controlv1.UsageDimension_USAGE_DIMENSION_KEY,
	"endpoint": controlv1.UsageDimension_USAGE_DIMENSION_ENDPOINT,
	"day":      controlv1.UsageDimension_USAGE_DIMENSION_DAY,
	"team":     controlv1.UsageDimension_USAGE_DIMENSION_TEAM,
	"customer": controlv1.UsageDimension_USAGE_DIMENSION_CUSTOMER,
	"tag":      controlv1.UsageDimension_USAGE_DIMENSION_TAG,
	"model":    controlv1.UsageDimension_USAGE_DIMENSION_MODEL,
	"status":   controlv1.UsageDimension_USAGE_DIMENSION_STATUS,
	"hour":     controlv1.UsageDimension_USAGE_DIMENSION_HOUR,
	"edge":     controlv1.UsageDimension_USAGE_DIMENSION_EDGE,

	"status-class": controlv1.UsageDimension_USAGE_DIMENSION_STATUS_CLASS,
}

// dimensionWords names them in messages.
const dimensionWords = "key, team, customer, tag, endpoint, model, edge, status, status-class, day or hour"

func (a *app) usageCommand() *cobra.Command {
	var since, from, to, key, endpoint, team, customer, tag, model, zone, bucket string
	var by []string
	var top int32
	cmd := &cobra.Command{
		Use: "usage", Aliases: []string{"spend"}, Short: "What was spent, from the ledger's books", Args: exactly(),
		Long: "What was spent, from the ledger's books, in whole days of UTC, or of --time-zone. --since 7d is today and the six days before.",
		Example: `  tollgate usage --since 7d --group-by day
  tollgate usage --from 2026-11-01 --to 2026-11-30 --group-by key,endpoint -o json
  tollgate usage --since 30d --bucket day --top 8 --time-zone Europe/Berlin`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(exclusive(cmd, "since", "from"), exclusive(cmd, "since", "to")); err != nil {
				return err
			}
			req := &controlv1.QueryUsageRequest{
				FromDay: from, ToDay: to, Key: key, Endpoint: endpoint, Team: team, Customer: customer, Tag: tag, Model: model,
				TimeZone: zone, TopN: top,
			}
			days := time.UTC
			if zone != "" {
				var err error
				if days, err = time.LoadLocation(zone); err != nil {
					return usage(cmd, "--time-zone %q is no time zone such as Europe/Berlin.", zone)
				}
			}
			if bucket != "" && bucket != "day" && bucket != "hour" {
				return usage(cmd, "--bucket %q is neither day nor hour.", bucket)
			}
			if bucket != "" && !slices.Contains(by, bucket) {
				by = append([]string{bucket}, by...)
			}
			if since != "" {
				d, ok := span(since)
				if !ok {
					return usage(cmd, "--since %q is no length of time such as 7d or 2w.", since)
				}
				n := int((d + 24*time.Hour - 1) / (24 * time.Hour))
				today := a.Now().In(days)
				req.FromDay = today.AddDate(0, 0, 1-n).Format(time.DateOnly)
				req.ToDay = today.Format(time.DateOnly)
			}
			for _, day := range []string{req.GetFromDay(), req.GetToDay()} {
				if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
					return usage(cmd, "%q is no day such as 2026-11-30.", day)
				}
			}
			for _, name := range by {
				d, ok := dimensions[name]
				if !ok {
					return usage(cmd, "Usage is grouped by %s, not by %q.", dimensionWords, name)
				}
				req.GroupBy = append(req.GroupBy, d)
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.usage.QueryUsage(ctx, req)
				if err != nil {
					return err
				}
				return a.printUsage(by, res)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "", "how far back, such as 7d (30d if nothing is given)")
	flags.StringVar(&from, "from", "", "first day, such as 2026-11-01")
	flags.StringVar(&to, "to", "", "last day, included")
	flags.StringVar(&zone, "time-zone", "", "zone of the days, such as Europe/Berlin (UTC if nothing is given)")
	flags.StringVar(&bucket, "bucket", "", "rows for each day or hour")
	flags.Int32Var(&top, "top", 0, "only the groups that cost most, so many, and one row for all others")
	flags.StringSliceVar(&by, "group-by", []string{"endpoint"}, "one or several of "+dimensionWords+"; empty for the total")
	flags.StringVar(&key, "key", "", "this key only")
	flags.StringVar(&endpoint, "endpoint", "", "this endpoint only")
	flags.StringVar(&team, "team", "", "this team only")
	flags.StringVar(&customer, "customer", "", "this customer only")
	flags.StringVar(&tag, "tag", "", "this tag only")
	flags.StringVar(&model, "model", "", "this model only")
	return cmd
}

func (a *app) printUsage(by []string, res *controlv1.QueryUsageResponse) error {
	r := result{data: view(res), table: table{right: []string{"REQUESTS", "FAILED", "ABANDONED", "COST"}}}
	for _, name := range by {
		r.table.head = append(r.table.head, strings.ToUpper(name))
	}
	r.table.head = append(r.table.head, "REQUESTS", "FAILED", "ABANDONED", "COST")
	for _, row := range res.GetRows() {
		var cells []string
		for _, name := range by {
			cell := map[string]string{
				"key":      first(row.GetKeyName(), row.GetKeyId(), "-"),
				"endpoint": first(row.GetEndpointName(), row.GetEndpointId(), "-"),
				"day":      first(row.GetDay(), "-"),
				"team":     first(row.GetTeam(), "-"),
				"customer": first(row.GetCustomer(), "-"),
				"tag":      first(row.GetTag(), "-"),
				"model":    first(row.GetModel(), "-"),
				"status":   strconv.FormatUint(uint64(row.GetStatus()), 10),
				"hour":     first(row.GetHour(), "-"),
				"edge":     first(row.GetEdge(), "-"),

				"status-class": row.GetStatusClass(),
			}[name]
			if row.GetOther() && name != "day" && name != "hour" {
				cell = "(others)"
			}
			cells = append(cells, cell)
		}
		if len(cells) > 0 {
			r.names = append(r.names, cells[0])
		}
		r.table.add(append(cells, count(row.GetRequests()), count(row.GetFailed()), count(row.GetAbandoned()), dollars(row.GetCost()))...)
	}
	if err := a.print(r); err != nil {
		return err
	}
	total := res.GetTotal()
	if slices.Contains(by, "tag") {
		a.say("A request is in the row of each of its tags, and in none without any; the total has each once.")
	}
	a.say("total: %s, %s, as of %s", several(int(total.GetRequests()), "request"), dollars(total.GetCost()), a.when(res.GetAsOf()))
	if total.GetUnpriced() > 0 {
		a.say("! unpriced: %s; see `%s request list --unpriced`", several(int(total.GetUnpriced()), "request"), a.Program)
	}
	if total.GetRequests() == 0 {
		a.say("Nothing is booked for these days yet: what a request cost is in the books within a second.")
	}
	return nil
}

func count(n int64) string { return strconv.FormatInt(n, 10) }
