package rpc

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// ledgerRows is how many groups the ledger answers with at most.
const ledgerRows = 100_000

// defaultDays is how far back a query goes that does not say.
const defaultDays = 30

type usageService struct {
	store  *store.Store
	ledger *Ledger
	fleet  Nodes // nil: it is not known how far edges have told
}

func (s *usageService) QueryUsage(ctx context.Context, req *controlv1.QueryUsageRequest) (*controlv1.QueryUsageResponse, error) {
	ask, err := s.asked(ctx, req, time.Now())
	if err != nil {
		return nil, err
	}
	got, err := s.queryWhole(ctx, ask)
	if err != nil {
		return nil, err
	}
	names := idNames{}
	if err := find(ctx, s.store, names, slices.Values(got.GetRows())); err != nil {
		return nil, err
	}
	out := &controlv1.QueryUsageResponse{AsOf: timeTo(time.UnixMilli(got.GetAsOfUnixMs()))}
	by := func(d ledgerv1.UsageDimension) bool { return slices.Contains(ask.GetGroupBy(), d) }
	for _, r := range got.GetRows() {
		m := &controlv1.UsageRow{
			KeyId: r.GetKeyId(), EndpointId: r.GetEndpointId(), EndpointName: names[r.GetEndpointId()],
			Day: r.GetDay(), Hour: r.GetHour(), Team: r.GetTeam(), Customer: r.GetCustomer(), Tag: r.GetTag(),
			Model: r.GetModel(), Edge: r.GetEdge(), Status: r.GetStatus(), Other: r.GetOther(),
			Requests: r.GetRequests(), Failed: r.GetFailed(), Abandoned: r.GetAbandoned(), Errors: r.GetErrors(),
			Units: r.GetUnits(), Unpriced: r.GetUnpriced(),
			Cost: contract.MoneyToProto(money.Nanos(r.GetCostNanos())),
		}
		if by(ledgerv1.UsageDimension_USAGE_DIMENSION_KEY) && !r.GetOther() {
			m.KeyName = keyName(names, r.GetKeyId())
		}
		if by(ledgerv1.UsageDimension_USAGE_DIMENSION_STATUS_CLASS) && !r.GetOther() {
			m.StatusClass = fmt.Sprintf("%dxx", r.GetStatusClass())
		}
		out.Rows = append(out.Rows, m)
	}
	if out.Total, err = s.total(ctx, ask, got.GetRows()); err != nil {
		return nil, err
	}
	if got.GetFromUnix() == 0 { // of a ledger that answers with all groups
		if out.Rows, err = topOf(out.GetRows(), int(req.GetTopN())); err != nil {
			return nil, err
		}
	} else {
		out.FromTime, out.ToTime = timeTo(time.Unix(got.GetFromUnix(), 0)), timeTo(time.Unix(got.GetToUnix(), 0))
	}
	if by(ledgerv1.UsageDimension_USAGE_DIMENSION_DAY) || by(ledgerv1.UsageDimension_USAGE_DIMENSION_HOUR) {
		if out.Groups, err = timeless(out.GetRows()); err != nil {
			return nil, err
		}
	}
	if req.GetCompare() {
		if err := s.compare(ctx, ask, out); err != nil {
			return nil, err
		}
	}
	s.completeTo(out)
	return out, nil
}

// queryWhole asks the ledger, and makes sure that it has understood all of the question.
func (s *usageService) queryWhole(ctx context.Context, ask *ledgerv1.QueryUsageRequest) (*ledgerv1.QueryUsageResponse, error) {
	got, err := s.ledger.queryUsage(ctx, ask)
	if err != nil {
		return nil, err
	}
	if got.GetFromUnix() == 0 && (ask.GetFromUnix() != 0 || ask.GetTimeZone() != "" || len(ask.GetFilters()) > 0) {
		return nil, olderLedger()
	}
	return got, nil
}

// total is all that a question selects. Rows in which every request is once make it; others do not: a request is in the rows of all
// its tags or in none, and of very many groups the ledger leaves out the cheapest.
func (s *usageService) total(ctx context.Context, ask *ledgerv1.QueryUsageRequest, rows []*ledgerv1.UsageRow) (*controlv1.UsageRow, error) {
	if slices.Contains(ask.GetGroupBy(), ledgerv1.UsageDimension_USAGE_DIMENSION_TAG) || len(rows) >= ledgerRows {
		whole := proto.CloneOf(ask)
		whole.GroupBy, whole.TopN = nil, 0
		got, err := s.queryWhole(ctx, whole)
		if err != nil {
			return nil, err
		}
		rows = got.GetRows()
	}
	return sum(rows)
}

// sum adds up rows in which every request is once.
func sum(rows []*ledgerv1.UsageRow) (*controlv1.UsageRow, error) {
	total := &controlv1.UsageRow{}
	var cost money.Nanos
	for _, r := range rows {
		total.Requests += r.GetRequests()
		total.Failed += r.GetFailed()
		total.Abandoned += r.GetAbandoned()
		total.Errors += r.GetErrors()
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
