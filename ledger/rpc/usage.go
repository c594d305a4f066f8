package rpc

import (
	"cmp"
	"context"
	"errors"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/ledger/usage"
)

type usageService struct {
	src  Source
	kept Kept
}

var dimensions = map[ledgerv1.UsageDimension]usage.Dimension{
	ledgerv1.UsageDimension_USAGE_DIMENSION_KEY:      usage.ByKey,
	ledgerv1.UsageDimension_USAGE_DIMENSION_ENDPOINT: usage.ByEndpoint,
	ledgerv1.UsageDimension_USAGE_DIMENSION_DAY:      usage.ByDay,
	ledgerv1.UsageDimension_USAGE_DIMENSION_TEAM:     usage.ByTeam,
	ledgerv1.UsageDimension_USAGE_DIMENSION_CUSTOMER: usage.ByCustomer,
	ledgerv1.UsageDimension_USAGE_DIMENSION_TAG:      usage.ByTag,
	ledgerv1.UsageDimension_USAGE_DIMENSION_MODEL:    usage.ByModel,
	ledgerv1.UsageDimension_USAGE_DIMENSION_STATUS:   usage.ByStatus,
	ledgerv1.UsageDimension_USAGE_DIMENSION_HOUR:     usage.ByHour,

	ledgerv1.UsageDimension_USAGE_DIMENSION_STATUS_CLASS: usage.ByStatusClass,
	ledgerv1.UsageDimension_USAGE_DIMENSION_EDGE:         usage.ByEdge,
}

func matches(list []*ledgerv1.UsageFilter) []usage.Match {
	var out []usage.Match
	for _, f := range list {
		out = append(out, usage.Match{Of: dimensions[f.GetOf()], Values: f.GetValues(), Not: f.GetNot()})
	}
	return out
}

// QueryUsage adds up what was booked.
func (s *usageService) QueryUsage(ctx context.Context, req *ledgerv1.QueryUsageRequest) (*ledgerv1.QueryUsageResponse, error) {
	now := time.Now()
	q := usage.Query{
		From: req.GetFromDay(), To: req.GetToDay(), KeyID: req.GetKeyId(), EndpointID: req.GetEndpointId(),
		Team: req.GetTeam(), Customer: req.GetCustomer(), Tag: req.GetTag(), Model: req.GetModel(),
		StatusClass: req.GetStatusClass(), Zone: req.GetTimeZone(), Where: matches(req.GetFilters()), Top: int(req.GetTopN()),
	}
	if from := req.GetFromUnix(); from != 0 {
		q.Begin, q.End = time.Unix(from, 0).UTC(), time.Unix(req.GetToUnix(), 0).UTC()
	}
	for _, d := range req.GetGroupBy() {
		q.GroupBy = append(q.GroupBy, dimensions[d])
	}
	rows, err := usage.Ask(ctx, s.src, q)
	if err != nil {
		return nil, err
	}
	span, err := q.Span()
	if err != nil {
		return nil, err
	}
	res := &ledgerv1.QueryUsageResponse{
		AsOfUnixMs: now.UnixMilli(), Rows: make([]*ledgerv1.UsageRow, len(rows)), FromUnix: span.From.Unix(), ToUnix: span.To.Unix(),
	}
	for i, r := range rows {
		b, c := r.Bucket, r.Counts
		res.Rows[i] = &ledgerv1.UsageRow{
			KeyId: b.KeyID, EndpointId: b.EndpointID, Day: b.Day, Hour: b.Hour, Team: b.Team, Customer: b.Customer, Tag: b.Tag, Model: b.Model, Edge: b.Edge, Status: b.Status,
			Requests: c.Requests, Failed: c.Failed, Abandoned: c.Abandoned, Unpriced: c.Unpriced, Units: c.Units, CostNanos: int64(c.Cost),
			StatusClass: r.StatusClass, Errors: r.Errors, Other: r.Other,
		}
	}
	return res, nil
}

var latencyBuckets = map[ledgerv1.LatencyBucket]usage.LatencyBucket{
	ledgerv1.LatencyBucket_LATENCY_BUCKET_MINUTE: usage.PerMinute,
	ledgerv1.LatencyBucket_LATENCY_BUCKET_HOUR:   usage.PerHour,
	ledgerv1.LatencyBucket_LATENCY_BUCKET_DAY:    usage.PerDay,
}

// QueryLatency says how long attempts took.
func (s *usageService) QueryLatency(ctx context.Context, req *ledgerv1.QueryLatencyRequest) (*ledgerv1.QueryLatencyResponse, error) {
	now := time.Now()
	got, err := usage.AskLatency(ctx, s.src, usage.LatencyQuery{
		From: time.UnixMilli(req.GetFromUnixMs()).UTC(), To: time.UnixMilli(req.GetToUnixMs()).UTC(),
		Bucket: latencyBuckets[req.GetBucket()], Zone: req.GetTimeZone(), Where: matches(req.GetFilters()),
	})
	if err != nil {
		return nil, err
	}
	res := &ledgerv1.QueryLatencyResponse{AsOfUnixMs: now.UnixMilli(), SampledPerMyriad: got.Share, Total: latencyTo(got.Total)}
	for _, l := range got.Buckets {
		m := latencyTo(l)
		m.StartUnixMs = l.Start.UnixMilli()
		res.Buckets = append(res.Buckets, m)
	}
	return res, nil
}

func latencyTo(l usage.Latency) *ledgerv1.Latency {
	return &ledgerv1.Latency{Attempts: l.Attempts, P50Us: l.P50, P95Us: l.P95, P99Us: l.P99}
}

// GetRetention tells for how long what is kept.
func (s *usageService) GetRetention(context.Context, *ledgerv1.GetRetentionRequest) (*ledgerv1.GetRetentionResponse, error) {
	seconds := func(d time.Duration) int64 { return int64(d / time.Second) }
	r := s.kept.Retention
	return &ledgerv1.GetRetentionResponse{
		RequestsSeconds: seconds(r.Requests), HoursSeconds: seconds(r.Hours), DaysSeconds: seconds(r.Days), LeasesSeconds: seconds(r.Leases),
		AnomaliesSeconds: seconds(r.Anomalies), IncarnationsSeconds: seconds(r.Incarnations), KeepRecords: s.kept.Records,
	}, nil
}

// ListRecentUsage adds up what several scopes have used lately.
func (s *usageService) ListRecentUsage(ctx context.Context, req *ledgerv1.ListRecentUsageRequest) (*ledgerv1.ListRecentUsageResponse, error) {
	now := time.Now()
	scopes := make([]usage.Scope, len(req.GetScopes()))
	for i, m := range req.GetScopes() {
		scopes[i] = scopeOf(m)
	}
	all, err := usage.AskRecent(ctx, s.src, scopes, now)
	if err != nil {
		return nil, err
	}
	res := &ledgerv1.ListRecentUsageResponse{AsOfUnixMs: now.UnixMilli()}
	for _, r := range all {
		m := &ledgerv1.RecentUsage{
			DayCostNanos: int64(r.Day), DayUnix: r.DayBegan.Unix(), WeekCostNanos: int64(r.Week), WeekUnix: r.WeekBegan.Unix(), Requests: r.Requests,
		}
		if !r.First.IsZero() {
			m.FirstUnix = r.First.Unix()
		}
		res.Usage = append(res.Usage, m)
	}
	return res, nil
}

func scopeOf(m *ledgerv1.RecentScope) usage.Scope {
	var s usage.Scope
	if m.GetSinceUnix() > 0 {
		s.Since = time.Unix(m.GetSinceUnix(), 0)
	}
	switch of := m.GetOf().(type) {
	case *ledgerv1.RecentScope_KeyId:
		s.By, s.Value = usage.ByKey, of.KeyId
	case *ledgerv1.RecentScope_EndpointId:
		s.By, s.Value = usage.ByEndpoint, of.EndpointId
	case *ledgerv1.RecentScope_Team:
		s.By, s.Value = usage.ByTeam, of.Team
	case *ledgerv1.RecentScope_Customer:
		s.By, s.Value = usage.ByCustomer, of.Customer
	case *ledgerv1.RecentScope_Tag:
		s.By, s.Value = usage.ByTag, of.Tag
	default: // everything
	}
	return s
}

// ListRequests answers with a page of records.
func (s *usageService) ListRequests(ctx context.Context, req *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
	page, next, err := usage.List(ctx, s.src, filter(req.GetFilter()), req.GetOldestFirst(), int(req.GetPageSize()), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	res := &ledgerv1.ListRequestsResponse{NextPageToken: next, WholeFilter: true, Requests: make([]*ledgerv1.RequestRecord, len(page))}
	for i, r := range page {
		p := &ledgerv1.RequestRecord{Position: r.Position.String(), Event: r.Event, Edge: r.Edge}
		if r.Corrects != nil {
			p.Corrects = r.Corrects.String()
		}
		res.Requests[i] = p
	}
	return res, nil
}

// repriceWithin is less than the time in which an answer has to be written.
const repriceWithin = 25 * time.Second

// RepriceRequests corrects records that are unpriced. What does not fit into the time of one call is left
// for the next.
func (s *usageService) RepriceRequests(ctx context.Context, req *ledgerv1.RepriceRequestsRequest) (*ledgerv1.RepriceRequestsResponse, error) {
	price := usage.Price{PerRequest: money.Nanos(req.GetPerRequestNanos()), PerMillionUnits: money.Nanos(req.GetPerMillionUnitsNanos())}
	return s.reprice(ctx, req.GetFilter(), price, req.GetDryRun())
}

// RepriceByMeters does the same with what their meters counted.
func (s *usageService) RepriceByMeters(ctx context.Context, req *ledgerv1.RepriceByMetersRequest) (*ledgerv1.RepriceByMetersResponse, error) {
	lists := make(map[string][]*controlv1.ModelPrice, len(req.GetBook()))
	for _, list := range req.GetBook() {
		lists[list.GetName()] = list.GetRows()
	}
	prices := usage.NewMeters()
	for _, p := range req.GetPrices() {
		of := cmp.Or(p.GetDeployment(), p.GetEndpointId())
		if p.GetMetered() == nil {
			prices.AddNone(of, p.GetWhyNot())
			continue
		}
		if err := prices.Add(of, p.GetMetered(), func(list string) []*controlv1.ModelPrice { return lists[list] }); err != nil {
			return nil, err
		}
	}
	done, err := s.reprice(ctx, req.GetFilter(), prices, req.GetDryRun())
	if err != nil {
		return nil, err
	}
	return &ledgerv1.RepriceByMetersResponse{Done: done}, nil
}

func (s *usageService) reprice(ctx context.Context, which *ledgerv1.RequestFilter, price usage.Repricing, dryRun bool) (*ledgerv1.RepriceRequestsResponse, error) {
	f := filter(which)
	f.Unpriced = true
	if err := f.Check(); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, repriceWithin)
	defer cancel()
	done, err := s.src.Reprice(limited, f, price, dryRun)
	if err != nil && errors.Is(limited.Err(), context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, fault.New(fault.DeadlineExceeded, "There is more to price than one call has time for; %d requests were priced, for %s more than before.",
			done.Corrected, done.Difference.Dollars()).WithHint("Send it again for the rest: what is priced is not priced again.")
	}
	if err != nil {
		return nil, err
	}
	res := &ledgerv1.RepriceRequestsResponse{Corrected: done.Corrected, DifferenceNanos: int64(done.Difference), StillUnpriced: done.Unpriced}
	for _, r := range done.Reasons {
		res.Reasons = append(res.Reasons, &ledgerv1.StillUnpriced{EndpointId: r.EndpointID, Reason: r.Why, Requests: r.Requests})
	}
	return res, nil
}

func filter(p *ledgerv1.RequestFilter) usage.Filter {
	f := usage.Filter{
		KeyID: p.GetKeyId(), EndpointID: p.GetEndpointId(), Team: p.GetTeam(), Customer: p.GetCustomer(), Tag: p.GetTag(), Model: p.GetModel(),
		RequestID: p.GetRequestId(), Outcome: p.GetOutcome(), Unpriced: p.GetUnpriced(),
		Meter: p.GetMeter(), Job: p.GetJob(), Deployment: p.GetDeployment(),
		Where: matches(p.GetFilters()), MinCost: money.Nanos(p.GetMinCostNanos()), MinDuration: time.Duration(p.GetMinDurationUs()) * time.Microsecond,
	}
	if p.Status != nil {
		f.Status = p.Status
	}
	if ms := p.GetFromUnixMs(); ms != 0 {
		f.From = time.UnixMilli(ms).UTC()
	}
	if ms := p.GetToUnixMs(); ms != 0 {
		f.To = time.UnixMilli(ms).UTC()
	}
	return f
}
