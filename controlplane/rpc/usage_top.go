package rpc

import (
	"cmp"
	"fmt"
	"slices"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// group is what a row is about, but for its time.
type group struct {
	key, endpoint, team, customer, tag, model, edge, class string
	status                                                 uint32
	other                                                  bool
}

func groupOf(r *controlv1.UsageRow) group {
	return group{r.GetKeyId(), r.GetEndpointId(), r.GetTeam(), r.GetCustomer(), r.GetTag(), r.GetModel(), r.GetEdge(), r.GetStatusClass(), r.GetStatus(), r.GetOther()}
}

// topOf keeps the rows of the n groups that cost most and adds up those of all others, one row for each time that they have. 0 keeps
// all. Rows stay in order of cost; those of the others come last.
func topOf(rows []*controlv1.UsageRow, n int) ([]*controlv1.UsageRow, error) {
	if n == 0 {
		return rows, nil
	}
	costs, order := map[group]money.Nanos{}, []group(nil)
	for _, r := range rows {
		g := groupOf(r)
		cost, err := contract.MoneyFromProto(r.GetCost())
		if err != nil {
			return nil, fmt.Errorf("add up usage: %w", err)
		}
		before, seen := costs[g]
		if !seen {
			order = append(order, g)
		}
		if costs[g], err = before.Add(cost); err != nil {
			return nil, fmt.Errorf("add up usage: %w", err)
		}
	}
	if len(order) <= n {
		return rows, nil
	}
	slices.SortStableFunc(order, func(a, b group) int { return cmp.Compare(costs[b], costs[a]) })
	top := map[group]bool{}
	for _, g := range order[:n] {
		top[g] = true
	}
	var kept, others []*controlv1.UsageRow
	at := map[[2]string]*controlv1.UsageRow{}
	for _, r := range rows {
		if top[groupOf(r)] {
			kept = append(kept, r)
			continue
		}
		when := [2]string{r.GetDay(), r.GetHour()}
		other := at[when]
		if other == nil {
			other = &controlv1.UsageRow{Day: r.GetDay(), Hour: r.GetHour(), Other: true}
			at[when] = other
			others = append(others, other)
		}
		if err := join(other, r); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(others, func(a, b *controlv1.UsageRow) int {
		return cmp.Or(cmp.Compare(a.GetDay(), b.GetDay()), cmp.Compare(a.GetHour(), b.GetHour()))
	})
	return append(kept, others...), nil
}

// join adds what a row has to another.
func join(to, r *controlv1.UsageRow) error {
	to.Requests += r.GetRequests()
	to.Failed += r.GetFailed()
	to.Abandoned += r.GetAbandoned()
	to.Errors += r.GetErrors()
	to.Units += r.GetUnits()
	to.Unpriced += r.GetUnpriced()
	var sum money.Nanos
	for _, m := range []*controlv1.UsageRow{to, r} {
		if m.GetCost() == nil {
			continue
		}
		cost, err := contract.MoneyFromProto(m.GetCost())
		if err == nil {
			sum, err = sum.Add(cost)
		}
		if err != nil {
			return fmt.Errorf("add up usage: %w", err)
		}
	}
	to.Cost = contract.MoneyToProto(sum)
	return nil
}
