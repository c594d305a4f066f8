package cli

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) requestsGet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "get ID", Aliases: []string{"show"}, Short: "Show a request with what its edge saw, what was counted, its attempts and what corrected them", Args: exactly("ID"),
		Example: `  tollgate request get req_01jd`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.web {
				return a.browse(cmd, "/requests/"+url.PathEscape(args[0]))
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.requests.GetRequest(ctx, &controlv1.GetRequestRequest{RequestId: args[0]})
				if err != nil {
					return err
				}
				r := result{data: view(res)}
				if res.GetSeen() != nil {
					r.names = append(r.names, res.GetSeen().GetRequestId())
					a.addSeen(&r.table, res.GetSeen())
				}
				for i, q := range res.GetRecords() {
					r.names = append(r.names, q.GetPosition())
					if i > 0 || res.GetSeen() != nil {
						r.table.add("", "")
					}
					a.addRequest(&r.table, q)
				}
				return a.print(r)
			})
		},
	}
	a.reads(cmd)
	return cmd
}

// addSeen adds what an edge has seen of a request, a line each.
func (a *app) addSeen(t *table, s *controlv1.SeenRequest) {
	t.add("request", s.GetRequestId())
	t.add("time", a.when(s.GetTime()))
	t.add("asked", s.GetMethod()+" "+s.GetPath())
	t.add("status", first(strings.TrimSpace(strconv.FormatUint(uint64(s.GetStatus()), 10)+" "+s.GetCode())))
	t.add("edge", fmt.Sprintf("%s, rev %d", s.GetEdge(), s.GetRevision()))
	t.add("from", first(s.GetAddress(), "-"))
	t.add("gateway", s.GetGateway().AsDuration().String())
	if s.GetUpstream() != nil {
		t.add("upstream", s.GetUpstream().AsDuration().String()+", first byte "+s.GetFirstByte().AsDuration().String())
	}
	t.add("bytes", count(s.GetRequestBytes())+" in, "+count(s.GetResponseBytes())+" out")
	t.add("attempts", strconv.FormatUint(uint64(s.GetAttempts()), 10))
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
