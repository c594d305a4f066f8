package rpc

import (
	"context"
	"time"

	typemoney "google.golang.org/genproto/googleapis/type/money"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/internal/period"
)

type budgetService struct {
	store  *store.Store
	ledger *Ledger
}

// spending is where the caller may set budgets and limits.
func spending(ctx context.Context) access.Scope { return access.From(ctx).Scope(access.MoneyWrite) }

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
	if o := m.GetOpening(); o != nil {
		b.Opening.Spent = amountFrom(o.GetSpent(), "opening.spent", p)
		b.Opening.Time = timeFrom(o.GetTime(), "opening.time", "time of the opening", p).Truncate(time.Second)
		if b.Opening.Time.After(time.Now().Add(time.Hour)) {
			p.Add("opening.time", registry.Range, "Nothing was spent in the future: give a time that has come.")
		}
	}
	if m.GetRaise() != nil {
		p.Add("raise", registry.Forbidden, "A new budget has no raise: leave it out, and raise the budget when it is there.")
	}
	stored, err := s.store.CreateBudget(ctx, actor(ctx), spending(ctx), b, p)
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
	b, err := s.store.Budget(ctx, access.From(ctx).Scope(access.MoneyRead), req.GetBudget())
	if err != nil {
		return nil, err
	}
	return &controlv1.GetBudgetResponse{Budget: budgetTo(&b)}, nil
}

func (s *budgetService) ListBudgets(ctx context.Context, req *controlv1.ListBudgetsRequest) (*controlv1.ListBudgetsResponse, error) {
	all, next, err := s.store.Budgets(ctx, access.From(ctx).Scope(access.MoneyRead), store.ListQuery{
		Page: store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()}, Filter: req.GetFilter(), OrderBy: req.GetOrderBy(),
	})
	if err != nil {
		return nil, err
	}
	out := &controlv1.ListBudgetsResponse{Budgets: each(all, budgetTo), NextPageToken: next}
	if req.GetWithStates() && len(all) > 0 {
		if out.States, err = s.states(ctx, all); err != nil {
			out.StatesMissing = fault.From(err).Message // the list is there without the ledger, too
		}
	}
	return out, nil
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
	b, err := s.store.UpdateBudget(ctx, actor(ctx), spending(ctx), req.GetBudget(), patch, req.GetEtag(), p)
	if err != nil {
		return nil, err
	}
	return &controlv1.UpdateBudgetResponse{Budget: budgetTo(&b)}, nil
}

func (s *budgetService) RaiseBudget(ctx context.Context, req *controlv1.RaiseBudgetRequest) (*controlv1.RaiseBudgetResponse, error) {
	p := problems("")
	by := amountFrom(req.GetBy(), "by", p)
	end := registry.End{At: timeFrom(req.GetUntil(), "until", "end of the raise", p), Reset: req.GetUntilReset()}
	b, err := s.store.RaiseBudget(ctx, actor(ctx), spending(ctx), req.GetBudget(), by, end, req.GetEtag(), p)
	if err != nil {
		return nil, err
	}
	return &controlv1.RaiseBudgetResponse{Budget: budgetTo(&b)}, nil
}

func (s *budgetService) ResetBudget(ctx context.Context, req *controlv1.ResetBudgetRequest) (*controlv1.ResetBudgetResponse, error) {
	b, err := s.store.ResetBudget(ctx, actor(ctx), spending(ctx), req.GetBudget(), req.GetEtag())
	if err != nil {
		return nil, err
	}
	return &controlv1.ResetBudgetResponse{Budget: budgetTo(&b)}, nil
}

func (s *budgetService) DeleteBudget(ctx context.Context, req *controlv1.DeleteBudgetRequest) (*controlv1.DeleteBudgetResponse, error) {
	if err := s.store.DeleteBudget(ctx, actor(ctx), spending(ctx), req.GetBudget(), req.GetEtag()); err != nil {
		return nil, err
	}
	return &controlv1.DeleteBudgetResponse{}, nil
}

func budgetTo(b *registry.Budget) *controlv1.Budget {
	m := &controlv1.Budget{
		Id:           b.ID,
		Name:         b.Name,
		Amount:       contract.MoneyToProto(b.Amount),
		Period:       controlv1.Period(b.Period),
		RollingDays:  b.Days,
		TimeZone:     b.Zone,
		Enforcement:  enforcementTo(b.Soft),
		WarnPercents: b.Warn,
		AccountId:    b.AccountID,
		Etag:         b.ETag(),
		Revision:     b.Revision,
		CreateTime:   timeTo(b.Created),
		UpdateTime:   timeTo(b.Updated),
		ManagedBy:    b.ManagedBy,
	}
	if b.Overdraft != 0 {
		m.Overdraft = contract.MoneyToProto(b.Overdraft)
	}
	if b.Raised(time.Now()) {
		m.Raise = &controlv1.BudgetRaise{By: contract.MoneyToProto(b.Raise.By), Until: timeTo(b.Raise.Until)}
	}
	if b.Opening.Spent != 0 {
		m.Opening = &controlv1.BudgetOpening{Spent: contract.MoneyToProto(b.Opening.Spent), Time: timeTo(b.Opening.Time)}
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
