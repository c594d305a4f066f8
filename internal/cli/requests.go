package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
)

func (a *app) requestsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "request", Aliases: []string{"requests", "req"}, Short: "Single requests, from the ledger's books", Args: cobra.ArbitraryArgs, RunE: group,
	}
	cmd.AddCommand(a.requestsList(), a.requestsGet(), a.requestsExport(), a.requestsReprice())
	return cmd
}

// requestFlags select records.
type requestFlags struct {
	since, from, to                                                    string
	key, endpoint, team, customer, tag, model, meter, job, id, outcome string
	deployment                                                         string
	status                                                             uint32
	unpriced                                                           bool
}

func (f *requestFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.since, "since", "", "ended within this time, such as 15m or 7d (24h if nothing is given, and with --id since that request began)")
	flags.StringVar(&f.from, "from", "", "ended at this time or later: 2026-11-01 or 2026-11-01T13:00:00Z")
	flags.StringVar(&f.to, "to", "", "ended before this time")
	flags.StringVar(&f.key, "key", "", "of this key only")
	flags.StringVar(&f.endpoint, "endpoint", "", "of this endpoint only")
	flags.StringVar(&f.team, "team", "", "of this team only")
	flags.StringVar(&f.customer, "customer", "", "of this customer only")
	flags.StringVar(&f.tag, "tag", "", "with this tag only")
	flags.StringVar(&f.model, "model", "", "of this model only")
	flags.StringVar(&f.deployment, "deployment", "", "served by this deployment of a model only, MODEL/DEPLOYMENT, or by any of a model's, MODEL/")
	flags.StringVar(&f.meter, "meter", "", "read by this meter of their endpoint only")
	flags.StringVar(&f.job, "job", "", "that began this job or told of it only, by the id that the target gave it")
	flags.StringVar(&f.id, "id", "", "the attempts of this request, req_… as in x-tollgate-request-id")
	flags.StringVar(&f.outcome, "outcome", "", "ended like this: ok, target_error, unreachable, caller_gone, interrupted, abandoned, refused or cut")
	flags.Uint32Var(&f.status, "status", 0, "to which the target answered this status; 0 where it did not answer")
}

func (f *requestFlags) filter(cmd *cobra.Command, now time.Time) (*controlv1.RequestFilter, error) {
	if err := exclusive(cmd, "since", "from"); err != nil {
		return nil, err
	}
	out := &controlv1.RequestFilter{
		Key: f.key, Endpoint: f.endpoint, Team: f.team, Customer: f.customer, Tag: f.tag, Model: f.model,
		RequestId: f.id, Outcome: f.outcome, Unpriced: f.unpriced, Meter: f.meter, Job: f.job, Deployment: f.deployment,
	}
	if cmd.Flags().Changed("status") {
		out.Status = new(f.status)
	}
	if f.since != "" {
		d, ok := span(f.since)
		if !ok {
			return nil, usage(cmd, "--since %q is no length of time such as 15m or 7d.", f.since)
		}
		out.FromTime = timestamppb.New(now.Add(-d))
	}
	for _, bound := range []struct {
		text string
		to   **timestamppb.Timestamp
	}{{f.from, &out.FromTime}, {f.to, &out.ToTime}} {
		if bound.text == "" {
			continue
		}
		at, ok := instant(bound.text)
		if !ok {
			return nil, usage(cmd, "%q is no time such as 2026-11-01 or 2026-11-01T13:00:00Z.", bound.text)
		}
		*bound.to = timestamppb.New(at)
	}
	return out, nil
}

// instant reads a UTC day or a point in time.
func instant(text string) (time.Time, bool) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func (a *app) requestsList() *cobra.Command {
	var f requestFlags
	var most int
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List requests, newest first", Args: exactly(),
		Example: `  tollgate request list --since 15m --endpoint bria
  tollgate request list --id req_01jd… -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(cmd, a.Now())
			if err != nil {
				return err
			}
			if most < 1 {
				return usage(cmd, "--limit is %d: ask for at least one.", most)
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				all, more, err := newestRequests(ctx, c, filter, most)
				if err != nil {
					return err
				}
				return a.printRequests(all, more)
			})
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.unpriced, "unpriced", false, "those only that were charged a fallback and have not been priced since")
	cmd.Flags().IntVar(&most, "limit", 50, "how many at most")
	return cmd
}

// newestRequests reads so many records, and says whether there are more.
func newestRequests(ctx context.Context, c clients, filter *controlv1.RequestFilter, most int) (all []*controlv1.RequestRecord, more bool, err error) {
	for token := ""; ; {
		size := int32(min(most-len(all), pageSize))
		page, err := c.usage.ListRequests(ctx, &controlv1.ListRequestsRequest{Filter: filter, PageSize: size, PageToken: token})
		if err != nil {
			return nil, false, err
		}
		all = append(all, page.GetRequests()...)
		token = page.GetNextPageToken()
		if token == "" || len(all) >= most {
			return all, token != "", nil
		}
	}
}

func (a *app) printRequests(all []*controlv1.RequestRecord, more bool) error {
	r := result{table: table{
		head:  []string{"TIME", "REQUEST", "KEY", "ENDPOINT", "TEAM", "STATUS", "OUTCOME", "COST", "TOOK"},
		right: []string{"STATUS", "COST", "TOOK"},
	}}
	data := []any{}
	for _, q := range all {
		data, r.names = append(data, view(q)), append(r.names, q.GetRequestId())
		outcome := q.GetOutcome()
		switch {
		case q.GetCorrects() != "":
			outcome = "correction"
		case q.GetUnpriced():
			outcome += ", unpriced"
		}
		status := "-"
		if q.GetStatus() != 0 {
			status = strconv.FormatUint(uint64(q.GetStatus()), 10)
		}
		r.table.add(a.when(q.GetTime()), q.GetRequestId(), first(q.GetKeyName(), q.GetKeyId(), "-"), first(q.GetEndpointName(), q.GetEndpointId(), "-"),
			first(q.GetTeam(), "-"), status, outcome, dollars(q.GetCost()), (time.Duration(q.GetDurationUs()) * time.Microsecond).String())
	}
	r.data = data
	if err := a.print(r); err != nil {
		return err
	}
	if more {
		a.say("There are more: raise --limit, narrow the time, or use `%s request export`.", a.Program)
	}
	return nil
}

var exportFormats = map[string]controlv1.ExportFormat{
	"csv":    controlv1.ExportFormat_EXPORT_FORMAT_CSV,
	"ndjson": controlv1.ExportFormat_EXPORT_FORMAT_NDJSON,
}

func (a *app) requestsExport() *cobra.Command {
	var f requestFlags
	var format, file string
	cmd := &cobra.Command{
		Use: "export", Short: "Write requests to a file, oldest first", Args: exactly(),
		Long:    "Write requests as CSV or as one JSON object a line, oldest first. It goes on for as long as it takes: --timeout does not end it.",
		Example: `  tollgate request export --from 2026-11-01 --to 2026-12-01 --format csv --file november.csv`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			filter, err := f.filter(cmd, a.Now())
			if err != nil {
				return err
			}
			form, ok := exportFormats[format]
			if !ok {
				return usage(cmd, "--format is csv or ndjson, not %q.", format)
			}
			to := a.Stdout
			if file != "" {
				made, err := os.OpenFile(a.path(file), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if err != nil {
					return usage(cmd, "--file: %s.", err)
				}
				defer func() { err = errors.Join(err, made.Close()) }()
				to = made
			}
			a.timeout = 0
			return a.with(cmd, func(ctx context.Context, c clients) error {
				return export(ctx, c, &controlv1.ExportRequestsRequest{Filter: filter, Format: form}, to)
			})
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.unpriced, "unpriced", false, "those only that were charged a fallback and have not been priced since")
	cmd.Flags().StringVar(&format, "format", "csv", "csv or ndjson")
	cmd.Flags().StringVar(&file, "file", "", "file to make; stdout if not given")
	return cmd
}

func export(ctx context.Context, c clients, req *controlv1.ExportRequestsRequest, to io.Writer) error {
	stream, err := c.usage.ExportRequests(ctx, req)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }() // what counts was received
	for stream.Receive() {
		if _, err := to.Write(stream.Msg().GetData()); err != nil {
			return err
		}
	}
	return stream.Err()
}

func (a *app) requestsReprice() *cobra.Command {
	var f requestFlags
	var each, perMillion string
	var current, dry bool
	cmd := &cobra.Command{
		Use: "reprice", Short: "Price requests that were charged a fallback", Args: exactly(),
		Long: `Price requests whose cost was not known when they ended: the target did not tell what their price counts, or
nothing said what that costs. Each gets a correction in the books, and the budgets that it drew on are charged the
difference. No record is changed, and none is corrected twice: it can be stopped at any point and run again. One
call prices what it gets to within about 25 seconds. Where that is not all, it fails with deadline_exceeded and says
how far it came: run it again for the rest, or narrow the time.

With --current each costs what its meter counted, by the price that its endpoint or deployment has now and the price book as it is
now: correct these first. What even so cannot be priced stays unpriced, and is listed with the reason. Otherwise say
what each of them costs, or each million of their units.`,
		Example: `  tollgate request reprice --since 7d --current --dry-run
  tollgate request reprice --endpoint rerank --from 2026-11-20 --per-request 0.002`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.unpriced = true
			filter, err := f.filter(cmd, a.Now())
			if err != nil {
				return err
			}
			if err := errors.Join(exclusive(cmd, "current", "per-request"), exclusive(cmd, "current", "per-million-units")); err != nil {
				return err
			}
			req := &controlv1.RepriceRequestsRequest{Filter: filter, DryRun: dry, Current: current}
			if each == "" && perMillion == "" && !current {
				return usage(cmd, "Say what the requests cost with --per-request, --per-million-units or both, or with --current.")
			}
			if each != "" {
				nanos, err := dollarsFlag(cmd, "per-request", each)
				if err != nil {
					return err
				}
				req.PerRequest = contract.MoneyToProto(nanos)
			}
			if perMillion != "" {
				nanos, err := dollarsFlag(cmd, "per-million-units", perMillion)
				if err != nil {
					return err
				}
				req.PerMillionUnits = contract.MoneyToProto(nanos)
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.usage.RepriceRequests(ctx, req)
				if err != nil {
					return err
				}
				return a.printRepriced(res, dry)
			})
		},
	}
	f.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&each, "per-request", "", "dollars for each of them")
	flags.StringVar(&perMillion, "per-million-units", "", "dollars for a million units, added to that")
	flags.BoolVar(&current, "current", false, "what its meter counted comes to, by the price of its endpoint as it is now")
	flags.BoolVar(&dry, "dry-run", false, "say only what would be done")
	return cmd
}

func (a *app) printRepriced(res *controlv1.RepriceRequestsResponse, dry bool) error {
	n, by := several(int(res.GetCorrected()), "request"), dollars(res.GetDifference())
	adds, would := "adds ", "would add "
	if off, ok := strings.CutPrefix(by, "-"); ok {
		adds, would, by = "takes off ", "would take off ", off
	}
	next, text := "", n+" priced, which "+adds+by
	if dry {
		next, text = a.Program+" request reprice … without --dry-run", n+" would be priced, which "+would+by
	}
	if err := a.done(result{data: view(res)}, next, "%s", text); err != nil {
		return err
	}
	if still := res.GetStillUnpriced(); still > 0 {
		verb := "stay"
		if still == 1 {
			verb = "stays"
		}
		a.say("%s %s unpriced:", several(int(still), "request"), verb)
	}
	for _, r := range res.GetReasons() {
		of := first(r.GetEndpointName(), r.GetEndpointId())
		if of != "" {
			of += ": "
		}
		a.say("  %d  %s%s", r.GetRequests(), of, r.GetReason())
	}
	return nil
}
