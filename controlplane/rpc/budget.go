package rpc

import (
	"context"
	"time"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/period"
)

type budgetService struct {
	controlv1connect.UnimplementedBudgetServiceHandler
	store  *store.Store
	ledger *Ledger
}

func (s *budgetService) CreateBudget(ctx context.Context, req *controlv1.CreateBudgetRequest) (*controlv1.CreateBudgetResponse, error) {
	p := problems("budget")
	m := req.GetBudget()
	b := registry.Budget{
		Name:   m.GetName(),
		Amount: amountFrom(m.GetAmount(), "amount", p),
		Period: period.Period(m.GetPeriod()),
		Zone:   m.GetTimeZone(),
	}
	switch scope := m.GetScope().(type) {
	case *controlv1.Budget_Key:
		b.Scope, b.ScopeName = registry.ScopeKey, scope.Key
	case *controlv1.Budget_Endpoint:
		b.Scope, b.ScopeName = registry.ScopeEndpoint, scope.Endpoint
	case *controlv1.Budget_Everything:
		b.Scope = registry.ScopeEverything
	}
	stored, err := s.store.CreateBudget(ctx, actor(ctx), b, p)
	if err != nil {
		return nil, err
	}
	return &controlv1.CreateBudgetResponse{Budget: budgetTo(&stored)}, nil
}

func (s *budgetService) GetBudget(ctx context.Context, req *controlv1.GetBudgetRequest) (*controlv1.GetBudgetResponse, error) {
	b, err := s.store.Budget(ctx, req.GetBudget())
	if err != nil {
		return nil, err
	}
	return &controlv1.GetBudgetResponse{Budget: budgetTo(&b)}, nil
}

func (s *budgetService) ListBudgets(ctx context.Context, req *controlv1.ListBudgetsRequest) (*controlv1.ListBudgetsResponse, error) {
	all, next, err := s.store.Budgets(ctx, store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	return &controlv1.ListBudgetsResponse{Budgets: each(all, budgetTo), NextPageToken: next}, nil
}

func (s *budgetService) UpdateBudget(ctx context.Context, req *controlv1.UpdateBudgetRequest) (*controlv1.UpdateBudgetResponse, error) {
	p := problems("")
	amount := amountFrom(req.GetAmount(), "amount", p)
	b, err := s.store.UpdateBudget(ctx, actor(ctx), req.GetBudget(), amount, req.GetEtag(), p)
	if err != nil {
		return nil, err
	}
	return &controlv1.UpdateBudgetResponse{Budget: budgetTo(&b)}, nil
}

func (s *budgetService) DeleteBudget(ctx context.Context, req *controlv1.DeleteBudgetRequest) (*controlv1.DeleteBudgetResponse, error) {
	if err := s.store.DeleteBudget(ctx, actor(ctx), req.GetBudget(), req.GetEtag()); err != nil {
		return nil, err
	}
	return &controlv1.DeleteBudgetResponse{}, nil
}

func (s *budgetService) GetBudgetState(ctx context.Context, req *controlv1.GetBudgetStateRequest) (*controlv1.GetBudgetStateResponse, error) {
	b, err := s.store.Budget(ctx, req.GetBudget())
	if err != nil {
		return nil, err
	}
	res, err := s.ledger.accountStates(ctx, b.AccountID)
	if err != nil {
		return nil, err
	}
	asOf := time.UnixMilli(res.GetAsOfUnixMs())
	state := untouched(&b, asOf)
	for _, st := range res.GetStates() {
		// A window that has ended says nothing about the current one.
		if st.GetAccount() == b.AccountID && (st.GetEnd() == 0 || st.GetEnd() > asOf.Unix()) {
			state = st
		}
	}
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
		AsOf:      timeTo(asOf),
	}
	if state.GetEnd() != 0 {
		out.PeriodStart, out.PeriodEnd = timeTo(time.Unix(state.GetStart(), 0)), timeTo(time.Unix(state.GetEnd(), 0))
	}
	return &controlv1.GetBudgetStateResponse{State: out}, nil
}

// untouched is the state of a budget of which the ledger has nothing yet: nothing was spent.
func untouched(b *registry.Budget, at time.Time) *ledgerv1.AccountState {
	state := &ledgerv1.AccountState{Account: b.AccountID, Gen: b.Gen, LimitNanos: int64(b.Amount)}
	if zone, err := time.LoadLocation(b.Zone); err == nil {
		span := b.Period.At(at, zone)
		state.Start, state.End = span.Start, span.End
	}
	return state
}

func budgetTo(b *registry.Budget) *controlv1.Budget {
	m := &controlv1.Budget{
		Id:         b.ID,
		Name:       b.Name,
		Amount:     contract.MoneyToProto(b.Amount),
		Period:     controlv1.Period(b.Period),
		TimeZone:   b.Zone,
		AccountId:  b.AccountID,
		Etag:       b.ETag(),
		Revision:   b.Revision,
		CreateTime: timeTo(b.Created),
		UpdateTime: timeTo(b.Updated),
	}
	switch b.Scope {
	case registry.ScopeKey:
		m.Scope = &controlv1.Budget_Key{Key: b.ScopeName}
	case registry.ScopeEndpoint:
		m.Scope = &controlv1.Budget_Endpoint{Endpoint: b.ScopeName}
	case registry.ScopeEverything:
		m.Scope = &controlv1.Budget_Everything{Everything: true}
	}
	return m
}
