package rpc_test

import (
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// badFilters are filters of requests that say nothing that can be looked for.
func badFilters(request func(*controlv1.RequestFilter) proto.Message) []wrong {
	now := time.Now()
	return []wrong{
		{violation: "filter.request_id:invalid", request: is(request(&controlv1.RequestFilter{RequestId: "req_x"}))},
		{violation: "filter.outcome:invalid", request: is(request(&controlv1.RequestFilter{Outcome: "fine"}))},
		{violation: "filter.from_time:out_of_range", request: is(request(&controlv1.RequestFilter{FromTime: timestamppb.New(now), ToTime: timestamppb.New(now.Add(-time.Hour))}))},
		{violation: "filter.job:invalid", request: is(request(&controlv1.RequestFilter{Job: strings.Repeat("j", 257)}))},
		{violation: "filter.meter:invalid", request: is(request(&controlv1.RequestFilter{Meter: strings.Repeat("m", 65)}))},
		{violation: "filter.deployment:invalid", request: is(request(&controlv1.RequestFilter{Deployment: strings.Repeat("d", 513)}))},
		{code: connect.CodeNotFound, request: is(request(&controlv1.RequestFilter{Key: "nobody"}))},
		{code: connect.CodeNotFound, request: is(request(&controlv1.RequestFilter{Endpoint: "nothing"}))},
	}
}

// badSearches are those with what only lists can be narrowed by.
func badSearches(request func(*controlv1.RequestFilter) proto.Message) []wrong {
	return append(badFilters(request), []wrong{
		{violation: "filter.filters[0].values[0]:invalid", request: is(request(&controlv1.RequestFilter{Filters: filterBy(controlv1.UsageDimension_USAGE_DIMENSION_STATUS, "fine")}))},
		{violation: "filter.filters[0].of:invalid", request: is(request(&controlv1.RequestFilter{Filters: filterBy(controlv1.UsageDimension_USAGE_DIMENSION_DAY, "2026-11-01")}))},
		{violation: "filter.filters[0].values:required", request: is(request(&controlv1.RequestFilter{Filters: filterBy(controlv1.UsageDimension_USAGE_DIMENSION_KEY)}))},
		{violation: "filter.min_cost:invalid", request: is(request(&controlv1.RequestFilter{MinCost: usd(-1, 0)}))},
		{violation: "filter.min_time:out_of_range", request: is(request(&controlv1.RequestFilter{MinTime: durationpb.New(-time.Second)}))},
		{code: connect.CodeNotFound, request: is(request(&controlv1.RequestFilter{Filters: filterBy(controlv1.UsageDimension_USAGE_DIMENSION_KEY, "nobody")}))},
	}...)
}

func filterBy(of controlv1.UsageDimension, values ...string) []*controlv1.UsageFilter {
	return []*controlv1.UsageFilter{{Of: of, Values: values}}
}

func repriced(edit func(*controlv1.RepriceRequestsRequest)) proto.Message {
	req := &controlv1.RepriceRequestsRequest{Filter: &controlv1.RequestFilter{}, PerRequest: usd(1, 0)}
	edit(req)
	return req
}

// longAgo is further back than what records are read for.
var longAgo = timestamppb.New(time.Now().AddDate(0, 0, -40))

var _ = covers("UsageService", map[string]cases{
	"QueryUsage": {
		right: is(&controlv1.QueryUsageRequest{GroupBy: []controlv1.UsageDimension{controlv1.UsageDimension_USAGE_DIMENSION_DAY}, TopN: 3, StatusClass: "4xx"}),
		check: func(w *world, res proto.Message) {
			if res.(*controlv1.QueryUsageResponse).GetTotal() == nil || w.ledger.asked.GetStatusClass() != 4 {
				w.t.Errorf("%v, asked %v", res, w.ledger.asked)
			}
		},
		wrong: []wrong{
			{violation: "from_day:invalid", request: is(&controlv1.QueryUsageRequest{FromDay: "2026-02-30"})},
			{violation: "to_day:invalid", request: is(&controlv1.QueryUsageRequest{ToDay: "today"})},
			{violation: "from_day:out_of_range", request: is(&controlv1.QueryUsageRequest{FromDay: "2026-11-02", ToDay: "2026-11-01"})},
			{violation: "group_by:invalid", request: is(&controlv1.QueryUsageRequest{GroupBy: []controlv1.UsageDimension{1, 1}})},
			{violation: "group_by[0]:invalid", request: is(&controlv1.QueryUsageRequest{GroupBy: []controlv1.UsageDimension{0}})},
			{violation: "top_n:invalid", request: is(&controlv1.QueryUsageRequest{TopN: 1001})},
			{violation: "from_day:forbidden", request: is(&controlv1.QueryUsageRequest{FromDay: "2026-11-01", FromTime: timestamppb.Now()})},
			{violation: "from_time:out_of_range", request: is(&controlv1.QueryUsageRequest{FromTime: timestamppb.Now(), ToTime: timestamppb.New(time.Now().Add(-time.Hour))})},
			{violation: "from_time:out_of_range", request: is(&controlv1.QueryUsageRequest{FromTime: timestamppb.New(time.Now().AddDate(-4, 0, 0))})},
			{violation: "time_zone:invalid", request: is(&controlv1.QueryUsageRequest{TimeZone: "Mars/Base"})},
			{violation: "group_by:out_of_range", request: is(&controlv1.QueryUsageRequest{FromTime: longAgo, GroupBy: []controlv1.UsageDimension{controlv1.UsageDimension_USAGE_DIMENSION_EDGE}})},
			{violation: "filters[0].of:out_of_range", request: is(&controlv1.QueryUsageRequest{FromTime: longAgo, Filters: filterBy(controlv1.UsageDimension_USAGE_DIMENSION_EDGE, "e")})},
			{violation: "filters[0].values:forbidden", request: is(&controlv1.QueryUsageRequest{Filters: filterBy(controlv1.UsageDimension_USAGE_DIMENSION_TAG, "a", "b")})},
			{violation: "filters[0].values[1]:invalid", request: is(&controlv1.QueryUsageRequest{Filters: filterBy(controlv1.UsageDimension_USAGE_DIMENSION_STATUS, "4xx", "6x")})},
			{violation: "filters[0].of:invalid", request: is(&controlv1.QueryUsageRequest{Filters: filterBy(controlv1.UsageDimension_USAGE_DIMENSION_HOUR, "x")})},
			{violation: "status_class:invalid", request: is(&controlv1.QueryUsageRequest{StatusClass: "9xx"})},
		},
		notFound: is(&controlv1.QueryUsageRequest{Key: "nobody"}),
	},
	"QueryLatency": {
		right: is(&controlv1.QueryLatencyRequest{Bucket: controlv1.LatencyBucket_LATENCY_BUCKET_HOUR, Filters: filterBy(controlv1.UsageDimension_USAGE_DIMENSION_EDGE, "lon-1")}),
		check: func(w *world, res proto.Message) {
			if m := res.(*controlv1.QueryLatencyResponse); m.GetTotal().GetP99().AsDuration() != 3*time.Microsecond || !m.GetSampled() || m.GetSampledPercent() != 50 || len(m.GetBuckets()) != 1 {
				w.t.Errorf("%v", m)
			}
		},
		wrong: []wrong{
			{violation: "bucket:invalid", request: is(&controlv1.QueryLatencyRequest{})},
			{violation: "bucket:out_of_range", request: is(&controlv1.QueryLatencyRequest{Bucket: 1, FromTime: timestamppb.New(time.Now().AddDate(0, 0, -2))})},
			{violation: "from_time:out_of_range", request: is(&controlv1.QueryLatencyRequest{Bucket: 3, FromTime: timestamppb.New(time.Now().AddDate(0, 0, -40))})},
			{violation: "from_time:out_of_range", request: is(&controlv1.QueryLatencyRequest{Bucket: 3, FromTime: timestamppb.Now(), ToTime: timestamppb.New(time.Now().Add(-time.Hour))})},
			{violation: "time_zone:invalid", request: is(&controlv1.QueryLatencyRequest{Bucket: 3, TimeZone: "Local"})},
			{violation: "filters[0].values[0]:invalid", request: is(&controlv1.QueryLatencyRequest{Bucket: 3, Filters: filterBy(controlv1.UsageDimension_USAGE_DIMENSION_STATUS, "fine")})},
		},
		notFound: is(&controlv1.QueryLatencyRequest{Bucket: 3, Filters: filterBy(controlv1.UsageDimension_USAGE_DIMENSION_ENDPOINT, "nothing")}),
	},
	"ListRequests": {
		right: is(&controlv1.ListRequestsRequest{Filter: &controlv1.RequestFilter{Outcome: "cut"}}),
		check: func(w *world, res proto.Message) {
			if all := res.(*controlv1.ListRequestsResponse).GetRequests(); len(all) != 1 || all[0].GetOutcome() != "cut" {
				w.t.Errorf("%v", all)
			}
		},
		wrong: append(badSearches(func(f *controlv1.RequestFilter) proto.Message { return &controlv1.ListRequestsRequest{Filter: f} }),
			wrong{violation: "page_size:invalid", request: is(&controlv1.ListRequestsRequest{PageSize: -1})}),
		notFound: is(&controlv1.ListRequestsRequest{Filter: &controlv1.RequestFilter{Team: "team_00000000000000000000000000"}}),
	},
	"ExportRequests": {
		right: is(&controlv1.ExportRequestsRequest{Format: controlv1.ExportFormat_EXPORT_FORMAT_CSV}),
		check: func(w *world, res proto.Message) {
			if len(res.(*controlv1.ExportRequestsResponse).GetData()) == 0 {
				w.t.Error("nothing was exported")
			}
		},
		wrong: append(badSearches(func(f *controlv1.RequestFilter) proto.Message {
			return &controlv1.ExportRequestsRequest{Filter: f, Format: controlv1.ExportFormat_EXPORT_FORMAT_NDJSON}
		}), wrong{violation: "format:invalid", request: is(&controlv1.ExportRequestsRequest{})}),
		notFound: is(&controlv1.ExportRequestsRequest{Filter: &controlv1.RequestFilter{Key: "nobody"}, Format: controlv1.ExportFormat_EXPORT_FORMAT_CSV}),
	},
	"RepriceRequests": {
		right: is(repriced(func(*controlv1.RepriceRequestsRequest) {})),
		check: func(w *world, res proto.Message) {
			if res.(*controlv1.RepriceRequestsResponse).GetCorrected() != 2 {
				w.t.Errorf("%v", res)
			}
		},
		wrong: append(badFilters(func(f *controlv1.RequestFilter) proto.Message {
			return repriced(func(r *controlv1.RepriceRequestsRequest) { r.Filter = f })
		}),
			wrong{violation: "filter:required", request: is(repriced(func(r *controlv1.RepriceRequestsRequest) { r.Filter = nil }))},
			wrong{violation: "per_request:required", request: is(repriced(func(r *controlv1.RepriceRequestsRequest) { r.PerRequest = nil }))},
			wrong{violation: "per_request:out_of_range", request: is(repriced(func(r *controlv1.RepriceRequestsRequest) { r.PerRequest = usd(-1, 0) }))},
			wrong{violation: "per_million_units:out_of_range", request: is(repriced(func(r *controlv1.RepriceRequestsRequest) { r.PerMillionUnits = usd(-1, 0) }))},
			wrong{violation: "per_request:invalid", request: is(repriced(func(r *controlv1.RepriceRequestsRequest) { r.PerRequest.CurrencyCode = "EUR" }))},
			wrong{violation: "filter:forbidden", request: is(repriced(func(r *controlv1.RepriceRequestsRequest) { r.Filter = &controlv1.RequestFilter{MinCost: usd(1, 0)} }))},
			wrong{violation: "current:forbidden", request: is(repriced(func(r *controlv1.RepriceRequestsRequest) { r.Current = true }))},
		),
		notFound: is(repriced(func(r *controlv1.RepriceRequestsRequest) { r.Filter = &controlv1.RequestFilter{Key: "nobody"} })),
	},
})
