package rpc

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
)

// usageColumns are the columns of a file of usage, like the fields of UsageRow. New ones are added at the end.
var usageColumns = []string{
	"day", "hour", "key_id", "key_name", "endpoint_id", "endpoint_name", "team", "customer", "tag", "model", "status",
	"requests", "failed", "abandoned", "units", "unpriced", "cost_usd", "other", "errors", "status_class", "edge",
}

// usageRequest reads the same question that QueryUsage takes. From and to are days, or both are times.
func (q *query) usageRequest() *controlv1.QueryUsageRequest {
	req := &controlv1.QueryUsageRequest{
		GroupBy: q.groups("group_by"), Key: q.text("key"), Endpoint: q.text("endpoint"), Team: q.text("team"),
		Customer: q.text("customer"), Tag: q.text("tag"), Model: q.text("model"), TopN: int32(q.number("top_n", 1000)), StatusClass: q.text("status_class"),
		TimeZone: q.text("time_zone"), Filters: q.filters("filter"),
	}
	if class := req.GetStatusClass(); class != "" && !slices.Contains([]string{"1xx", "2xx", "3xx", "4xx", "5xx"}, class) {
		q.problems.Add("status_class", registry.Malformed, "%q is none: write it like 4xx.", class)
	}
	from, to := q.text("from"), q.text("to")
	if at, err := time.Parse(time.RFC3339, from); err == nil {
		req.FromTime = timestamppb.New(at)
	} else {
		req.FromDay = from
	}
	if at, err := time.Parse(time.RFC3339, to); err == nil {
		req.ToTime = timestamppb.New(at)
	} else {
		req.ToDay = to
	}
	return req
}

// shownDays are the first and the last day of an answer, in the zone that was asked for.
func shownDays(req *controlv1.QueryUsageRequest, got *controlv1.QueryUsageResponse) (from, to string) {
	zone, err := time.LoadLocation(req.GetTimeZone())
	if err != nil || got.GetFromTime() == nil {
		return days(req, got.GetAsOf().AsTime(), problems("")) // of a ledger that does not say
	}
	return got.GetFromTime().AsTime().In(zone).Format(time.DateOnly), got.GetToTime().AsTime().Add(-time.Second).In(zone).Format(time.DateOnly)
}

func (e *exports) usageCSV(ctx context.Context, q *query, f *file) error {
	req := q.usageRequest()
	if err := q.err(); err != nil {
		return err
	}
	got, err := e.usage.QueryUsage(ctx, req)
	if err != nil {
		return err
	}
	total, err := contract.MoneyFromProto(got.GetTotal().GetCost())
	if err != nil {
		return err
	}
	from, to := shownDays(req, got)
	lines := []string{"days: " + from + " to " + to}
	if req.GetFromTime() != nil || req.GetToTime() != nil {
		lines = append(lines, "hours: "+got.GetFromTime().AsTime().Format(time.RFC3339)+" to "+got.GetToTime().AsTime().Format(time.RFC3339))
	}
	var out bytes.Buffer
	q.head(&out, "Usage", append(lines, "as of: "+got.GetAsOf().AsTime().Format(exportTime),
		fmt.Sprintf("total: %d requests, %s USD", got.GetTotal().GetRequests(), total))...)
	if slices.Contains(req.GetGroupBy(), controlv1.UsageDimension_USAGE_DIMENSION_TAG) {
		out.WriteString("# a request is in the row of each of its tags or in none, so the rows do not add up to the total\r\n")
	}
	if err := writeRow(&out, usageColumns); err != nil {
		return err
	}
	f.name, f.kind = fileName(req, from, to), "text/csv; charset=utf-8"
	byStatus := slices.Contains(req.GetGroupBy(), controlv1.UsageDimension_USAGE_DIMENSION_STATUS)
	for _, r := range got.GetRows() {
		if err := writeUsage(&out, r, byStatus); err != nil {
			return err
		}
		if out.Len() >= exportPiece {
			if err := f.write(ctx, out.Bytes()); err != nil {
				return err
			}
			out.Reset()
		}
	}
	return f.write(ctx, out.Bytes())
}

func writeUsage(w *bytes.Buffer, r *controlv1.UsageRow, byStatus bool) error {
	cost, err := contract.MoneyFromProto(r.GetCost())
	if err != nil {
		return err
	}
	status := ""
	if byStatus && !r.GetOther() {
		status = strconv.FormatUint(uint64(r.GetStatus()), 10)
	}
	n := func(n int64) string { return strconv.FormatInt(n, 10) }
	return writeRow(w, []string{
		r.GetDay(), r.GetHour(), plain(r.GetKeyId()), plain(r.GetKeyName()), plain(r.GetEndpointId()), plain(r.GetEndpointName()), plain(r.GetTeam()),
		plain(r.GetCustomer()), plain(r.GetTag()), plain(r.GetModel()), status, n(r.GetRequests()), n(r.GetFailed()), n(r.GetAbandoned()),
		n(r.GetUnits()), n(r.GetUnpriced()), cost.String(), strconv.FormatBool(r.GetOther()), n(r.GetErrors()), r.GetStatusClass(), plain(r.GetEdge()),
	})
}
