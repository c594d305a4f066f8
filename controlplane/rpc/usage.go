package rpc

import (
	"context"
	"fmt"
	"time"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

// defaultDays is how far back a query goes that does not say.
const defaultDays = 30

type usageService struct {
	controlv1connect.UnimplementedUsageServiceHandler
	store  *store.Store
	ledger *Ledger
}

func (s *usageService) QueryUsage(ctx context.Context, req *controlv1.QueryUsageRequest) (*controlv1.QueryUsageResponse, error) {
	p := problems("")
	from, to := days(req, time.Now().UTC(), p)
	if err := p.Err("the query"); err != nil {
		return nil, err
	}
	ask := &ledgerv1.QueryUsageRequest{FromDay: from, ToDay: to}
	for _, d := range req.GetGroupBy() {
		ask.GroupBy = append(ask.GroupBy, ledgerv1.UsageDimension(d)) // the enumerations are the same
	}
	var err error
	if ask.KeyId, err = s.keyID(ctx, req.GetKey()); err != nil {
		return nil, err
	}
	if ask.EndpointId, err = s.endpointID(ctx, req.GetEndpoint()); err != nil {
		return nil, err
	}
	got, err := s.ledger.queryUsage(ctx, ask)
	if err != nil {
		return nil, err
	}
	names, err := s.names(ctx, got.GetRows())
	if err != nil {
		return nil, err
	}
	out := &controlv1.QueryUsageResponse{Total: &controlv1.UsageRow{}, AsOf: timeTo(time.UnixMilli(got.GetAsOfUnixMs()))}
	var total money.Nanos
	for _, r := range got.GetRows() {
		out.Rows = append(out.Rows, &controlv1.UsageRow{
			KeyId: r.GetKeyId(), KeyName: names[r.GetKeyId()],
			EndpointId: r.GetEndpointId(), EndpointName: names[r.GetEndpointId()],
			Day: r.GetDay(), Requests: r.GetRequests(), Failed: r.GetFailed(), Abandoned: r.GetAbandoned(),
			Cost: contract.MoneyToProto(money.Nanos(r.GetCostNanos())),
		})
		out.Total.Requests += r.GetRequests()
		out.Total.Failed += r.GetFailed()
		out.Total.Abandoned += r.GetAbandoned()
		if total, err = total.Add(money.Nanos(r.GetCostNanos())); err != nil {
			return nil, fmt.Errorf("add up usage: %w", err)
		}
	}
	out.Total.Cost = contract.MoneyToProto(total)
	return out, nil
}

// days fills in what the query leaves out.
func days(req *controlv1.QueryUsageRequest, now time.Time, p *registry.Problems) (from, to string) {
	read := func(field, text string, otherwise time.Time) time.Time {
		if text == "" {
			return otherwise
		}
		day, err := time.Parse(time.DateOnly, text)
		if err != nil {
			p.Add(field, registry.Malformed, "%q is not a day: write it like 2026-11-01.", text)
		}
		return day
	}
	last := read("to_day", req.GetToDay(), now)
	first := read("from_day", req.GetFromDay(), now.AddDate(0, 0, -defaultDays))
	from, to = first.Format(time.DateOnly), last.Format(time.DateOnly)
	if from > to && !p.Has("from_day") && !p.Has("to_day") {
		p.Add("from_day", registry.Range, "The first day %s is after the last, %s.", from, to)
	}
	return from, to
}

// keyID is the id of a key that is named by id or name.
func (s *usageService) keyID(ctx context.Context, ref string) (string, error) {
	if ref == "" || id.Is(id.Key, ref) {
		return ref, nil
	}
	k, err := s.store.Key(ctx, ref)
	return k.ID, err
}

// endpointID also takes the id of an endpoint that was deleted since: its usage stays.
func (s *usageService) endpointID(ctx context.Context, ref string) (string, error) {
	if ref == "" || id.Is(id.Endpoint, ref) {
		return ref, nil
	}
	e, err := s.store.Endpoint(ctx, ref)
	return e.ID, err
}

// names finds the names of all ids in rows.
func (s *usageService) names(ctx context.Context, rows []*ledgerv1.UsageRow) (map[string]string, error) {
	seen := map[string]bool{"": true}
	var ids []string
	for _, r := range rows {
		for _, one := range []string{r.GetKeyId(), r.GetEndpointId()} {
			if !seen[one] {
				seen[one] = true
				ids = append(ids, one)
			}
		}
	}
	return s.store.Names(ctx, ids)
}
