package rpc

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// timeless adds up rows over their times: one for each group, by cost, the one of all others last.
func timeless(rows []*controlv1.UsageRow) ([]*controlv1.UsageRow, error) {
	var out []*controlv1.UsageRow
	at := map[group]*controlv1.UsageRow{}
	for _, r := range rows {
		g := groupOf(r)
		if at[g] == nil {
			at[g] = &controlv1.UsageRow{
				KeyId: r.GetKeyId(), KeyName: r.GetKeyName(), EndpointId: r.GetEndpointId(), EndpointName: r.GetEndpointName(), Team: r.GetTeam(),
				Customer: r.GetCustomer(), Tag: r.GetTag(), Model: r.GetModel(), Edge: r.GetEdge(), Status: r.GetStatus(), StatusClass: r.GetStatusClass(), Other: r.GetOther(),
			}
			out = append(out, at[g])
		}
		if err := join(at[g], r); err != nil {
			return nil, err
		}
	}
	costs := map[*controlv1.UsageRow]money.Nanos{}
	for _, r := range out {
		cost, err := contract.MoneyFromProto(r.GetCost())
		if err != nil {
			return nil, fmt.Errorf("add up usage: %w", err)
		}
		costs[r] = cost
	}
	slices.SortStableFunc(out, func(a, b *controlv1.UsageRow) int {
		switch {
		case a.GetOther() && !b.GetOther():
			return 1
		case b.GetOther() && !a.GetOther():
			return -1
		default:
			return cmp.Compare(costs[b], costs[a])
		}
	})
	return out, nil
}

// compare tells what the groups of an answer used in the time before. Groups that are in the row of all others now were there before.
func (s *usageService) compare(ctx context.Context, ask *ledgerv1.QueryUsageRequest, out *controlv1.QueryUsageResponse) error {
	if out.GetFromTime() == nil {
		return olderLedger()
	}
	before, err := timeBefore(ask)
	if err != nil {
		return err
	}
	before.TopN = 0
	before.GroupBy = slices.DeleteFunc(before.GetGroupBy(), func(d ledgerv1.UsageDimension) bool {
		return d == ledgerv1.UsageDimension_USAGE_DIMENSION_DAY || d == ledgerv1.UsageDimension_USAGE_DIMENSION_HOUR
	})
	got, err := s.queryWhole(ctx, before)
	if byEdges(before) && fault.From(err).Code == fault.FailedPrecondition {
		return nil // its records are no longer kept, and nothing is told of it
	}
	if err != nil {
		return err
	}
	out.PreviousFromTime = timeTo(time.Unix(got.GetFromUnix(), 0))
	total, err := s.total(ctx, before, got.GetRows())
	if err != nil {
		return err
	}
	out.Total.PreviousRequests, out.Total.PreviousErrors, out.Total.PreviousCost = total.GetRequests(), total.GetErrors(), total.GetCost()
	rows := out.GetRows()
	if len(out.GetGroups()) > 0 {
		rows = out.GetGroups()
	}
	at := map[group]*controlv1.UsageRow{}
	costs := map[*controlv1.UsageRow]money.Nanos{}
	var other *controlv1.UsageRow
	for _, r := range rows {
		if at[groupOf(r)] = r; r.GetOther() {
			other = r
		}
		costs[r] = 0
	}
	for _, r := range got.GetRows() {
		g := group{r.GetKeyId(), r.GetEndpointId(), r.GetTeam(), r.GetCustomer(), r.GetTag(), r.GetModel(), r.GetEdge(), "", r.GetStatus(), false}
		if slices.Contains(before.GetGroupBy(), ledgerv1.UsageDimension_USAGE_DIMENSION_STATUS_CLASS) {
			g.class = fmt.Sprintf("%dxx", r.GetStatusClass())
		}
		row := at[g]
		if row == nil {
			row = other
		}
		if row == nil {
			continue // it used nothing since; what it used before is in the total
		}
		row.PreviousRequests += r.GetRequests()
		row.PreviousErrors += r.GetErrors()
		if costs[row], err = costs[row].Add(money.Nanos(r.GetCostNanos())); err != nil {
			return fmt.Errorf("add up usage: %w", err)
		}
	}
	for row, cost := range costs {
		row.PreviousCost = contract.MoneyToProto(cost)
	}
	return nil
}

// timeBefore is the same question about the time before, which is as long: as many days if it is about days.
func timeBefore(ask *ledgerv1.QueryUsageRequest) (*ledgerv1.QueryUsageRequest, error) {
	before := proto.CloneOf(ask)
	if ask.GetFromUnix() != 0 {
		before.FromUnix, before.ToUnix = ask.GetFromUnix()-(ask.GetToUnix()-ask.GetFromUnix()), ask.GetFromUnix()
		return before, nil
	}
	from, err := time.Parse(time.DateOnly, ask.GetFromDay())
	if err != nil {
		return nil, err
	}
	to, err := time.Parse(time.DateOnly, ask.GetToDay())
	if err != nil {
		return nil, err
	}
	long := int(to.Sub(from)/(24*time.Hour)) + 1
	before.FromDay, before.ToDay = from.AddDate(0, 0, -long).Format(time.DateOnly), from.AddDate(0, 0, -1).Format(time.DateOnly)
	return before, nil
}

// completeTo says how far edges have told the ledger of what they served. One that has stopped in good order has told all.
func (s *usageService) completeTo(out *controlv1.QueryUsageResponse) {
	if s.fleet == nil {
		return
	}
	asOf := out.GetAsOf().AsTime()
	var first time.Time
	for _, n := range s.fleet.Nodes(contract.Version{}, time.Now()) {
		at := n.LastSeen
		if n.GetSpoolEvents() > 0 {
			at = at.Add(-time.Duration(n.GetSpoolAgeMs()) * time.Millisecond)
		} else if n.GetDraining() {
			continue
		}
		if at.After(asOf) {
			at = asOf
		}
		if first.IsZero() || at.Before(first) {
			first = at
			out.SlowestEdge = n.GetEdge()
		}
	}
	out.CompleteTo = timeTo(first)
}
