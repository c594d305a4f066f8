package rpc

import (
	"context"
	"slices"
	"time"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

func (s *budgetService) GetBudgetState(ctx context.Context, req *controlv1.GetBudgetStateRequest) (*controlv1.GetBudgetStateResponse, error) {
	b, err := s.store.Budget(ctx, access.From(ctx).Scope(access.MoneyRead), req.GetBudget())
	if err != nil {
		return nil, err
	}
	states, err := s.states(ctx, []registry.Budget{b})
	if err != nil {
		return nil, err
	}
	return &controlv1.GetBudgetStateResponse{State: states[0]}, nil
}

func (s *budgetService) states(ctx context.Context, budgets []registry.Budget) ([]*controlv1.BudgetState, error) {
	return s.ledger.BudgetStates(ctx, budgets)
}

// mostAccounts is how many accounts and scopes the ledger answers for in one call.
const mostAccounts = 1000

// BudgetStates asks the ledger how budgets stand, in their order: twice for each thousand of them.
func (l *Ledger) BudgetStates(ctx context.Context, budgets []registry.Budget) ([]*controlv1.BudgetState, error) {
	out := make([]*controlv1.BudgetState, 0, len(budgets))
	for some := range slices.Chunk(budgets, mostAccounts) {
		states, err := l.budgetStates(ctx, some)
		if err != nil {
			return nil, err
		}
		out = append(out, states...)
	}
	return out, nil
}

func (l *Ledger) budgetStates(ctx context.Context, budgets []registry.Budget) ([]*controlv1.BudgetState, error) {
	accounts := make([]int64, len(budgets))
	for i := range budgets {
		accounts[i] = budgets[i].AccountID
	}
	res, err := l.accountStates(ctx, accounts...)
	if err != nil {
		return nil, err
	}
	asOf := time.UnixMilli(res.GetAsOfUnixMs())
	told := map[int64]*ledgerv1.AccountState{}
	for _, st := range res.GetStates() {
		told[st.GetAccount()] = st
	}
	current, scopes := make([]*ledgerv1.AccountState, len(budgets)), make([]*ledgerv1.RecentScope, len(budgets))
	for i := range budgets {
		b := &budgets[i]
		current[i] = untouched(b, asOf)
		// What has ended, or was reset, says nothing about the current period.
		if st := told[b.AccountID]; st != nil && st.GetGen() >= b.Gen && (st.GetEnd() == 0 || st.GetEnd() > asOf.Unix()) {
			current[i] = st
		}
		scopes[i] = recentOf(b, current[i])
	}
	recent, err := l.recentUsage(ctx, scopes)
	if err != nil {
		return nil, err
	}
	out := make([]*controlv1.BudgetState, len(budgets))
	for i := range budgets {
		var r *ledgerv1.RecentUsage
		if i < len(recent) {
			r = recent[i]
		}
		if out[i], err = stateTo(&budgets[i], current[i], r, asOf); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// recentOf is what a budget's spending is looked up by.
func recentOf(b *registry.Budget, state *ledgerv1.AccountState) *ledgerv1.RecentScope {
	since := b.Created.Unix()
	if state.GetEnd() != 0 {
		since = b.Begins(state.GetStart())
	}
	m := &ledgerv1.RecentScope{SinceUnix: since}
	switch b.Scope {
	case registry.ScopeKey:
		m.Of = &ledgerv1.RecentScope_KeyId{KeyId: b.ScopeID}
	case registry.ScopeEndpoint:
		m.Of = &ledgerv1.RecentScope_EndpointId{EndpointId: b.ScopeID}
	case registry.ScopeTeam:
		m.Of = &ledgerv1.RecentScope_Team{Team: b.ScopeName}
	case registry.ScopeCustomer:
		m.Of = &ledgerv1.RecentScope_Customer{Customer: b.ScopeName}
	case registry.ScopeTag:
		m.Of = &ledgerv1.RecentScope_Tag{Tag: b.ScopeName}
	case registry.ScopeEverything:
		m.Of = &ledgerv1.RecentScope_Everything{Everything: true}
	}
	return m
}

func stateTo(b *registry.Budget, state *ledgerv1.AccountState, recent *ledgerv1.RecentUsage, asOf time.Time) (*controlv1.BudgetState, error) {
	limit, spent := money.Nanos(state.GetLimitNanos()), money.Nanos(state.GetSpentNanos())
	remaining, err := limit.Add(-spent)
	if err != nil {
		return nil, err
	}
	out := &controlv1.BudgetState{
		BudgetId:  b.ID,
		Limit:     contract.MoneyToProto(limit),
		Spent:     contract.MoneyToProto(spent),
		Held:      contract.MoneyToProto(money.Nanos(state.GetHeldNanos())),
		Remaining: contract.MoneyToProto(remaining),
		Overrun:   contract.MoneyToProto(money.Nanos(state.GetOverrunNanos())),
		AsOf:      timeTo(asOf),
	}
	var end time.Time
	if state.GetEnd() != 0 {
		end = time.Unix(state.GetEnd(), 0)
		out.PeriodStart, out.PeriodEnd = timeTo(time.Unix(b.Begins(state.GetStart()), 0)), timeTo(end)
	}
	warned := false
	for _, w := range state.GetWarnings() {
		out.Warnings = append(out.Warnings, &controlv1.BudgetWarning{
			Percent: w.GetPercent(), Time: timeTo(time.UnixMilli(w.GetUnixMs())), Spent: contract.MoneyToProto(money.Nanos(w.GetSpentNanos())),
		})
		warned = warned || len(b.Warn) > 0 && w.GetPercent() >= slices.Max(b.Warn)
	}
	project(out, registry.Project(limit, spent, recentFrom(recent), asOf, end, warned))
	return out, nil
}

func recentFrom(m *ledgerv1.RecentUsage) registry.Recent {
	r := registry.Recent{
		Day: money.Nanos(m.GetDayCostNanos()), DayBegan: time.Unix(m.GetDayUnix(), 0),
		Week: money.Nanos(m.GetWeekCostNanos()), WeekBegan: time.Unix(m.GetWeekUnix(), 0), Requests: m.GetRequests(),
	}
	if m.GetFirstUnix() != 0 {
		r.First = time.Unix(m.GetFirstUnix(), 0)
	}
	return r
}

func project(out *controlv1.BudgetState, p registry.Projection) {
	out.Status = controlv1.BudgetStatus(p.Standing)
	if p.Known {
		out.Pace = contract.MoneyToProto(p.Pace)
	}
	out.RunsOutAfter, out.RunsOutBefore = timeTo(p.After), timeTo(p.Before)
	if p.Ends {
		out.Projected = contract.MoneyToProto(p.Projected)
	}
}

// untouched is the state of a budget of which the ledger has nothing yet: nothing was spent.
func untouched(b *registry.Budget, at time.Time) *ledgerv1.AccountState {
	state := &ledgerv1.AccountState{Account: b.AccountID, Gen: b.Gen, LimitNanos: int64(b.LimitAt(at))}
	if zone, err := time.LoadLocation(b.Zone); err == nil {
		span := b.Period.At(at, zone)
		state.Start, state.End = span.Start, span.End
	}
	return state
}
