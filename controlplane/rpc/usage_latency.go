package rpc

import (
	"context"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
)

// mostLatency and longestMinutely bound a question about latency, as the ledger does.
const (
	mostLatency     = 31 * 24 * time.Hour
	longestMinutely = 24 * time.Hour
)

func (s *usageService) QueryLatency(ctx context.Context, req *controlv1.QueryLatencyRequest) (*controlv1.QueryLatencyResponse, error) {
	p := problems("")
	from, to := timeFrom(req.GetFromTime(), "from_time", "beginning", p), timeFrom(req.GetToTime(), "to_time", "end", p)
	if to.IsZero() {
		to = time.Now()
	}
	if from.IsZero() {
		from = to.Add(-recordsSince)
	}
	switch took := to.Sub(from); {
	case took <= 0:
		p.Add("from_time", registry.Range, "It begins at %s, which is not before its end, %s.", from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))
	case took > mostLatency:
		p.Add("from_time", registry.Range, "The time is longer than 31 days.")
	case took > longestMinutely && req.GetBucket() == controlv1.LatencyBucket_LATENCY_BUCKET_MINUTE:
		p.Add("bucket", registry.Range, "The time is longer than a day, which is too long for minutes: ask for hours.")
	}
	if req.GetTimeZone() != "" {
		registry.CheckZone(p, req.GetTimeZone())
	}
	checkFilters(req.GetFilters(), false, p)
	if err := p.Err("the query"); err != nil {
		return nil, err
	}
	ask := &ledgerv1.QueryLatencyRequest{
		FromUnixMs: from.UnixMilli(), ToUnixMs: to.UnixMilli(), Bucket: ledgerv1.LatencyBucket(req.GetBucket()), TimeZone: req.GetTimeZone(),
	}
	team, err := s.ownTeams(ctx, req.GetTeam(), "team", req.GetFilters())
	if err != nil {
		return nil, err
	}
	if ask.Filters, err = s.filters(ctx, req.GetFilters()); err != nil {
		return nil, err
	}
	if team != "" {
		ask.Filters = append(slices.Clip(ask.GetFilters()), &ledgerv1.UsageFilter{Of: ledgerv1.UsageDimension_USAGE_DIMENSION_TEAM, Values: []string{team}})
	}
	got, err := s.ledger.queryLatency(ctx, ask)
	if err != nil {
		return nil, err
	}
	out := &controlv1.QueryLatencyResponse{
		Total: latencyOf(got.GetTotal()), Sampled: got.GetSampledPerMyriad() < 10_000, SampledPercent: (got.GetSampledPerMyriad() + 99) / 100,
		AsOf: timeTo(time.UnixMilli(got.GetAsOfUnixMs())),
	}
	for _, l := range got.GetBuckets() {
		m := latencyOf(l)
		m.Start = timeTo(time.UnixMilli(l.GetStartUnixMs()))
		out.Buckets = append(out.Buckets, m)
	}
	return out, nil
}

func latencyOf(l *ledgerv1.Latency) *controlv1.Latency {
	us := func(n int64) *durationpb.Duration { return durationpb.New(time.Duration(n) * time.Microsecond) }
	return &controlv1.Latency{Attempts: l.GetAttempts(), P50: us(l.GetP50Us()), P95: us(l.GetP95Us()), P99: us(l.GetP99Us())}
}

func (l *Ledger) queryLatency(ctx context.Context, req *ledgerv1.QueryLatencyRequest) (*ledgerv1.QueryLatencyResponse, error) {
	if l.usage == nil {
		return nil, noLedger()
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerWithin)
	defer cancel()
	res, err := l.usage.QueryLatency(ctx, req)
	if err != nil && connect.CodeOf(err) == connect.CodeUnimplemented {
		return nil, olderLedger()
	}
	return res, ledgerFault(err)
}
