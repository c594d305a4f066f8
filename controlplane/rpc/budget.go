package rpc

import (
	"context"
	"time"

	typemoney "google.golang.org/genproto/googleapis/type/money"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/period"
)

type budgetService struct {
	store  *store.Store
	ledger *Ledger
}

func (s *budgetService) CreateBudget(ctx context.Context, req *controlv1.CreateBudgetRequest) (*controlv1.CreateBudgetResponse, error) {
	p := problems("budget")
	m := req.GetBudget()
	b := registry.Budget{
		Name:   m.GetName(),
		Scoped: scopeFrom(m),
		Amount: amountFrom(m.GetAmount(), "amount", p),
		Period: period.Period(m.GetPeriod()),
		Days:   m.GetRollingDays(),
		Zone:   m.GetTimeZone(),
		Soft:   m.GetEnforcement() == controlv1.Enforcement_ENFORCEMENT_SOFT,
		Warn:   m.GetWarnPercents(),
	}
	if m.GetOverdraft() != nil {
		b.Overdraft = overdraftFrom(m.GetOverdraft(), p)
	}
	if m.GetRaise() != nil {
		p.Add("raise", registry.Forbidden, "A new budget has no raise: leave it out, and raise the budget when it is there.")
	}
	stored, err := s.store.CreateBudget(ctx, actor(ctx), b, p)
	if err != nil {
		return nil, err
	}
	return &controlv1.CreateBudgetResponse{Budget: budgetTo(&stored)}, nil
}

// overdraftFrom reads a bound. Nothing is no bound that a soft budget can have.
func overdraftFrom(m *typemoney.Money, p *registry.Problems) money.Nanos {
	n := amountFrom(m, "overdraft", p)
	if n == 0 && !p.Has("overdraft") {
		registry.NoOverdraft(p)
	}
	return n
}

// scoped is a message that says what it applies to.
type scoped interface {
	GetKey() string
	GetTeam() string
	GetCustomer() string
	GetTag() string
	GetEndpoint() string
	GetEverything() bool
}

func scopeFrom(m scoped) (s registry.Scoped) {
	switch {
	case m.GetKey() != "":
		s.Scope, s.ScopeName = registry.ScopeKey, m.GetKey()
	case m.GetTeam() != "":
		s.Scope, s.ScopeName = registry.ScopeTeam, m.GetTeam()
	case m.GetCustomer() != "":
		s.Scope, s.ScopeName = registry.ScopeCustomer, m.GetCustomer()
	case m.GetTag() != "":
		s.Scope, s.ScopeName = registry.ScopeTag, m.GetTag()
	case m.GetEndpoint() != "":
		s.Scope, s.ScopeName = registry.ScopeEndpoint, m.GetEndpoint()
	case m.GetEverything():
		s.Scope = registry.ScopeEverything
	}
	return s
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
	var patch registry.BudgetPatch
	if m := req.GetAmount(); m != nil {
		patch.Amount = new(amountFrom(m, "amount", p))
	}
	if e := req.GetEnforcement(); e != controlv1.Enforcement_ENFORCEMENT_UNSPECIFIED {
		patch.Soft = new(e == controlv1.Enforcement_ENFORCEMENT_SOFT)
	}
	if o := req.GetOverdraft(); o != nil {
		patch.Overdraft = new(money.Nanos)
		if o.GetAmount() != nil {
			*patch.Overdraft = overdraftFrom(o.GetAmount(), p)
		}
	}
	if w := req.GetWarnPercents(); w != nil {
		patch.Warn = new(w.GetPercents())
	}
	b, err := s.store.UpdateBudget(ctx, actor(ctx), req.GetBudget(), patch, req.GetEtag(), p)
	if err != nil {
		return nil, err
	}
	return &controlv1.UpdateBudgetResponse{Budget: budgetTo(&b)}, nil
}

func (s *budgetService) RaiseBudget(ctx context.Context, req *controlv1.RaiseBudgetRequest) (*controlv1.RaiseBudgetResponse, error) {
	p := problems("")
	by := amountFrom(req.GetBy(), "by", p)
	end := registry.End{At: timeFrom(req.GetUntil(), "until", "end of the raise", p), Reset: req.GetUntilReset()}
	b, err := s.store.RaiseBudget(ctx, actor(ctx), req.GetBudget(), by, end, req.GetEtag(), p)
	if err != nil {
		return nil, err
	}
	return &controlv1.RaiseBudgetResponse{Budget: budgetTo(&b)}, nil
}

func (s *budgetService) ResetBudget(ctx context.Context, req *controlv1.ResetBudgetRequest) (*controlv1.ResetBudgetResponse, error) {
	b, err := s.store.ResetBudget(ctx, actor(ctx), req.GetBudget(), req.GetEtag())
	if err != nil {
		return nil, err
	}
	return &controlv1.ResetBudgetResponse{Budget: budgetTo(&b)}, nil
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
		// What has ended, or was reset, says nothing about the current period.
		if st.GetAccount() == b.AccountID && st.GetGen() >= b.Gen && (st.GetEnd() == 0 || st.GetEnd() > asOf.Unix()) {
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
		Overrun:   contract.MoneyToProto(money.Nanos(state.GetOverrunNanos())),
		AsOf:      timeTo(asOf),
	}
	if state.GetEnd() != 0 {
		out.PeriodStart, out.PeriodEnd = timeTo(time.Unix(b.Begins(state.GetStart()), 0)), timeTo(time.Unix(state.GetEnd(), 0))
	}
	for _, w := range state.GetWarnings() {
		out.Warnings = append(out.Warnings, &controlv1.BudgetWarning{
			Percent: w.GetPercent(), Time: timeTo(time.UnixMilli(w.GetUnixMs())), Spent: contract.MoneyToProto(money.Nanos(w.GetSpentNanos())),
		})
	}
	return &controlv1.GetBudgetStateResponse{State: out}, nil
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

func budgetTo(b *registry.Budget) *controlv1.Budget {
	m := &controlv1.Budget{
		Id:           b.ID,
		Name:         b.Name,
		Amount:       contract.MoneyToProto(b.Amount),
		Period:       controlv1.Period(b.Period),
		RollingDays:  b.Days,
		TimeZone:     b.Zone,
		Enforcement:  controlv1.Enforcement_ENFORCEMENT_HARD,
		WarnPercents: b.Warn,
		AccountId:    b.AccountID,
		Etag:         b.ETag(),
		Revision:     b.Revision,
		CreateTime:   timeTo(b.Created),
		UpdateTime:   timeTo(b.Updated),
	}
	if b.Soft {
		m.Enforcement = controlv1.Enforcement_ENFORCEMENT_SOFT
	}
	if b.Overdraft != 0 {
		m.Overdraft = contract.MoneyToProto(b.Overdraft)
	}
	if b.Raised(time.Now()) {
		m.Raise = &controlv1.BudgetRaise{By: contract.MoneyToProto(b.Raise.By), Until: timeTo(b.Raise.Until)}
	}
	switch b.Scope {
	case registry.ScopeKey:
		m.Scope = &controlv1.Budget_Key{Key: b.ScopeName}
	case registry.ScopeTeam:
		m.Scope = &controlv1.Budget_Team{Team: b.ScopeName}
	case registry.ScopeCustomer:
		m.Scope = &controlv1.Budget_Customer{Customer: b.ScopeName}
	case registry.ScopeTag:
		m.Scope = &controlv1.Budget_Tag{Tag: b.ScopeName}
	case registry.ScopeEndpoint:
		m.Scope = &controlv1.Budget_Endpoint{Endpoint: b.ScopeName}
	case registry.ScopeEverything:
		m.Scope = &controlv1.Budget_Everything{Everything: true}
	}
	return m
}
