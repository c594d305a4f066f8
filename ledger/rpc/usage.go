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

type usageService struct{ src Source }

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
}

// QueryUsage adds up what was booked.
func (s *usageService) QueryUsage(ctx context.Context, req *ledgerv1.QueryUsageRequest) (*ledgerv1.QueryUsageResponse, error) {
	now := time.Now()
	q := usage.Query{
		From: req.GetFromDay(), To: req.GetToDay(), KeyID: req.GetKeyId(), EndpointID: req.GetEndpointId(),
		Team: req.GetTeam(), Customer: req.GetCustomer(), Tag: req.GetTag(), Model: req.GetModel(),
	}
	for _, d := range req.GetGroupBy() {
		q.GroupBy = append(q.GroupBy, dimensions[d])
	}
	rows, err := usage.Ask(ctx, s.src, q)
	if err != nil {
		return nil, err
	}
	res := &ledgerv1.QueryUsageResponse{AsOfUnixMs: now.UnixMilli(), Rows: make([]*ledgerv1.UsageRow, len(rows))}
	for i, r := range rows {
		b, c := r.Bucket, r.Counts
		res.Rows[i] = &ledgerv1.UsageRow{
			KeyId: b.KeyID, EndpointId: b.EndpointID, Day: b.Day, Hour: b.Hour, Team: b.Team, Customer: b.Customer, Tag: b.Tag, Model: b.Model, Status: b.Status,
			Requests: c.Requests, Failed: c.Failed, Abandoned: c.Abandoned, Unpriced: c.Unpriced, Units: c.Units, CostNanos: int64(c.Cost),
		}
	}
	return res, nil
}

// ListRequests answers with a page of records.
func (s *usageService) ListRequests(ctx context.Context, req *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
	page, next, err := usage.List(ctx, s.src, filter(req.GetFilter()), req.GetOldestFirst(), int(req.GetPageSize()), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	res := &ledgerv1.ListRequestsResponse{NextPageToken: next, Requests: make([]*ledgerv1.RequestRecord, len(page))}
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
