package rpc

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

// defaultDays is how far back a query goes that does not say.
const defaultDays = 30

type usageService struct {
	store  *store.Store
	ledger *Ledger
}

func (s *usageService) QueryUsage(ctx context.Context, req *controlv1.QueryUsageRequest) (*controlv1.QueryUsageResponse, error) {
	p := problems("")
	from, to := days(req, time.Now().UTC(), p)
	if err := p.Err("the query"); err != nil {
		return nil, err
	}
	ask := &ledgerv1.QueryUsageRequest{
		FromDay: from, ToDay: to, Customer: req.GetCustomer(), Tag: req.GetTag(), Model: req.GetModel(),
	}
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
	if ask.Team, err = s.teamName(ctx, req.GetTeam()); err != nil {
		return nil, err
	}
	got, err := s.ledger.queryUsage(ctx, ask)
	if err != nil {
		return nil, err
	}
	names := idNames{}
	if err := find(ctx, s.store, names, slices.Values(got.GetRows())); err != nil {
		return nil, err
	}
	out := &controlv1.QueryUsageResponse{AsOf: timeTo(time.UnixMilli(got.GetAsOfUnixMs()))}
	byKey := slices.Contains(ask.GetGroupBy(), ledgerv1.UsageDimension_USAGE_DIMENSION_KEY)
	for _, r := range got.GetRows() {
		key := ""
		if byKey {
			key = keyName(names, r.GetKeyId())
		}
		out.Rows = append(out.Rows, &controlv1.UsageRow{
			KeyId: r.GetKeyId(), KeyName: key,
			EndpointId: r.GetEndpointId(), EndpointName: names[r.GetEndpointId()],
			Day: r.GetDay(), Hour: r.GetHour(), Team: r.GetTeam(), Customer: r.GetCustomer(), Tag: r.GetTag(),
			Model: r.GetModel(), Status: r.GetStatus(),
			Requests: r.GetRequests(), Failed: r.GetFailed(), Abandoned: r.GetAbandoned(),
			Units: r.GetUnits(), Unpriced: r.GetUnpriced(),
			Cost: contract.MoneyToProto(money.Nanos(r.GetCostNanos())),
		})
	}
	all := got.GetRows()
	if slices.Contains(ask.GetGroupBy(), ledgerv1.UsageDimension_USAGE_DIMENSION_TAG) {
		// A request is in the rows of all its tags or in none, so they do not add up to what was spent.
		ask.GroupBy = nil
		if got, err = s.ledger.queryUsage(ctx, ask); err != nil {
			return nil, err
		}
		all = got.GetRows()
	}
	out.Total, err = sum(all)
	return out, err
}

// sum adds up rows in which every request is once.
func sum(rows []*ledgerv1.UsageRow) (*controlv1.UsageRow, error) {
	total := &controlv1.UsageRow{}
	var cost money.Nanos
	for _, r := range rows {
		total.Requests += r.GetRequests()
		total.Failed += r.GetFailed()
		total.Abandoned += r.GetAbandoned()
		total.Units += r.GetUnits()
		total.Unpriced += r.GetUnpriced()
		var err error
		if cost, err = cost.Add(money.Nanos(r.GetCostNanos())); err != nil {
			return nil, fmt.Errorf("add up usage: %w", err)
		}
	}
	total.Cost = contract.MoneyToProto(cost)
	return total, nil
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

// teamName is the name by which the books know a team.
func (s *usageService) teamName(ctx context.Context, ref string) (string, error) {
	if !id.Is(id.Team, ref) {
		return ref, nil // also of a team that was deleted since: its usage stays
	}
	t, err := s.store.Team(ctx, ref)
	return t.Name, err
}

// idNames are the names of keys and endpoints by their ids, empty for those that are not known.
type idNames map[string]string

// noKey is shown where a key's name would stand for requests that came without one, to public endpoints.
const noKey = "public"

func keyName(names idNames, id string) string {
	if id == "" {
		return noKey
	}
	return names[id]
}

// find adds the names of what messages refer to.
func find[M interface {
	GetKeyId() string
	GetEndpointId() string
}](ctx context.Context, st *store.Store, n idNames, of iter.Seq[M]) error {
	var ask []string
	for m := range of {
		for _, one := range []string{m.GetKeyId(), m.GetEndpointId()} {
			if _, seen := n[one]; !seen && one != "" {
				n[one] = ""
				ask = append(ask, one)
			}
		}
	}
	found, err := st.Names(ctx, ask)
	maps.Copy(n, found)
	return err
}
