package cli

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

// mostOfOne is how many records of one request are shown: its attempts and their corrections are fewer.
const mostOfOne = 100

func (a *app) requestsGet() *cobra.Command {
	return &cobra.Command{
		Use: "get ID", Short: "Show a request with what was counted, its attempts and what corrected them", Args: exactly("ID"),
		Example: `  tollgate requests get req_01jd…`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				all, _, err := newestRequests(ctx, c, &controlv1.RequestFilter{RequestId: args[0]}, mostOfOne)
				if err != nil {
					return err
				}
				if len(all) == 0 {
					return fault.New(fault.ObjectNotFound, "The books have no request %s.", args[0]).
						WithHint("What a request cost is in the books within a second, and for as long as the ledger keeps records.")
				}
				slices.Reverse(all)
				r := result{}
				data := []any{}
				for i, q := range all {
					data, r.names = append(data, view(q)), append(r.names, q.GetPosition())
					if i > 0 {
						r.table.add("", "")
					}
					a.addRequest(&r.table, q)
				}
				r.data = data
				return a.print(r)
			})
		},
	}
}

// addRequest adds what is known of a record, a line each.
func (a *app) addRequest(t *table, q *controlv1.RequestRecord) {
	outcome := q.GetOutcome()
	if q.GetCorrects() != "" {
		outcome = "correction of " + q.GetCorrects()
	}
	if q.GetUnpriced() {
		outcome += ", unpriced"
	}
	t.add("request", q.GetRequestId())
	t.add("position", q.GetPosition())
	t.add("attempt", strconv.FormatUint(uint64(q.GetAttempt()), 10))
	t.add("time", a.when(q.GetTime()))
	t.add("took", (time.Duration(q.GetDurationUs()) * time.Microsecond).String())
	t.add("key", first(q.GetKeyName(), q.GetKeyId(), "-"))
	t.add("endpoint", first(q.GetEndpointName(), q.GetEndpointId(), "-"))
	t.add("team", first(q.GetTeam(), "-"))
	t.add("customer", first(q.GetCustomer(), "-"))
	t.add("tags", list(q.GetTags(), "-"))
	t.add("status", strconv.FormatUint(uint64(q.GetStatus()), 10))
	t.add("outcome", outcome)
	t.add("model", first(q.GetModel(), "-"))
	if q.GetDeployment() != "" {
		t.add("deployment", q.GetDeployment())
	}
	t.add("meter", first(q.GetMeter(), "-"))
	for _, name := range slices.Sorted(maps.Keys(q.GetCounts())) {
		t.add("  "+name, q.GetCounts()[name])
	}
	t.add("units", count(q.GetUnits()))
	if q.GetJob() != "" {
		t.add("job", strings.TrimSpace(q.GetJob()+" "+q.GetJobState()))
	}
	t.add("held", dollars(q.GetReserved()))
	t.add("cost", dollars(q.GetCost()))
}
