package litellmapi

import (
	"math/big"

	"tollgate/controlplane/litellm/mapping"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// allow makes budgets and limits what a request says. What it does not mention stays.
func (c *call) allow(o owner, a *allowance) error {
	h, err := c.holding(o, false)
	if err != nil {
		return err
	}
	if err := c.allowMoney(o, h, a); err != nil {
		return err
	}
	if a.sent["budget_limits"] {
		if err := c.allowWindows(o, h, a.windows); err != nil {
			return err
		}
	}
	for name, amount := range map[string]*int64{"rpm_limit": a.rpm, "tpm_limit": a.tpm, "max_parallel_requests": a.concurrent} {
		if !a.sent[name] {
			continue
		}
		if err := c.allowPace(o, h, limitKinds[name], amount); err != nil {
			return err
		}
	}
	return nil
}

// allowMoney sees to max_budget, soft_budget and budget_duration. A soft budget beside a hard one of the same period is a warning
// of that one, because an object has one budget for a period.
func (c *call) allowMoney(o owner, h *holding, a *allowance) error {
	if !a.sent["max_budget"] && !a.sent["soft_budget"] && !a.sent["budget_duration"] {
		return nil
	}
	most, soft, period := a.max, a.soft, a.period
	if !a.sent["max_budget"] && h.main != nil {
		n, err := contract.MoneyFromProto(h.main.GetAmount())
		if err != nil {
			return err
		}
		most = &n
	}
	keepsSoft := !a.sent["soft_budget"]
	if keepsSoft && h.soft != nil {
		n, err := contract.MoneyFromProto(h.soft.GetAmount())
		if err != nil {
			return err
		}
		soft = &n
	}
	if !a.sent["budget_duration"] {
		period = mapping.Period{Period: controlv1.Period_PERIOD_TOTAL}
		for _, b := range []*controlv1.Budget{h.soft, h.main} {
			if b != nil {
				period = periodOf(b)
			}
		}
	}
	var warn []uint32
	if most != nil && soft != nil && *most > 0 {
		if warn = percent(*soft, *most); warn == nil {
			return invalid("soft_budget", "A soft_budget is from a hundredth of max_budget to ten times as much.")
		}
	} else if most != nil && keepsSoft {
		warn = h.main.GetWarnPercents()
	}
	if most != nil {
		soft = nil // it is a warning
	}
	if err := c.setBudget(o, h.soft, mapping.Soft(o.kind, o.name), soft, period, nil, controlv1.Enforcement_ENFORCEMENT_SOFT); err != nil {
		return err
	}
	return c.setBudget(o, h.main, mapping.Budget(o.kind, o.name), most, period, warn, controlv1.Enforcement_ENFORCEMENT_HARD)
}

// percent is the share that a warning is at, rounded down so that it comes no later than it was asked for.
func percent(part, whole money.Nanos) []uint32 {
	share := new(big.Int).Mul(big.NewInt(int64(part)), big.NewInt(100))
	p := share.Quo(share, big.NewInt(int64(whole))).Int64() // at least 1, so it fits
	if p < 1 || p > 1000 {
		return nil
	}
	return []uint32{uint32(p)}
}

// setBudget makes a budget what it is to be; nil for none. A period cannot be changed, so a budget with another one is a new one.
func (c *call) setBudget(o owner, old *controlv1.Budget, name string, amount *money.Nanos, p mapping.Period, warn []uint32, how controlv1.Enforcement) error {
	if old != nil && (amount == nil || periodOf(old) != p) {
		if _, err := c.budgets.DeleteBudget(c.ctx, &controlv1.DeleteBudgetRequest{Budget: old.GetId()}); err != nil {
			return err
		}
		old = nil
	}
	switch {
	case amount == nil:
		return nil
	case old != nil:
		_, err := c.budgets.UpdateBudget(c.ctx, &controlv1.UpdateBudgetRequest{
			Budget: old.GetId(), Amount: contract.MoneyToProto(*amount), WarnPercents: &controlv1.UpdateBudgetRequest_WarnPercents{Percents: warn},
		})
		return err
	}
	b := &controlv1.Budget{
		Name: name, Amount: contract.MoneyToProto(*amount), Period: p.Period, RollingDays: p.Days, WarnPercents: warn, Enforcement: how,
	}
	switch o.kind {
	case "key":
		b.Scope = &controlv1.Budget_Key{Key: o.name}
	case "team":
		b.Scope = &controlv1.Budget_Team{Team: o.name}
	case "customer":
		b.Scope = &controlv1.Budget_Customer{Customer: o.name}
	default:
		b.Scope = &controlv1.Budget_Tag{Tag: o.name}
	}
	_, err := c.budgets.CreateBudget(c.ctx, &controlv1.CreateBudgetRequest{Budget: b})
	return err
}

// allowWindows makes the further budgets those of a list.
func (c *call) allowWindows(o owner, h *holding, windows []window) error {
	left := map[mapping.Period]*controlv1.Budget{}
	for _, b := range h.windows {
		left[periodOf(b)] = b
	}
	for _, w := range windows {
		old := left[w.period]
		delete(left, w.period)
		if err := c.setBudget(o, old, mapping.Window(o.kind, o.name, w.duration), &w.max, w.period, nil, controlv1.Enforcement_ENFORCEMENT_HARD); err != nil {
			return err
		}
	}
	for _, b := range left {
		if _, err := c.budgets.DeleteBudget(c.ctx, &controlv1.DeleteBudgetRequest{Budget: b.GetId()}); err != nil {
			return err
		}
	}
	return nil
}

// allowPace makes a limit what it is to be; nil for none.
func (c *call) allowPace(o owner, h *holding, kind controlv1.LimitKind, amount *int64) error {
	old := h.limits[kind]
	switch {
	case amount == nil && old == nil:
		return nil
	case amount == nil:
		_, err := c.limits.DeleteLimit(c.ctx, &controlv1.DeleteLimitRequest{Limit: old.GetId()})
		return err
	case old != nil:
		// As many at once as in a minute, as LiteLLM's fixed minutes let pass.
		_, err := c.limits.UpdateLimit(c.ctx, &controlv1.UpdateLimitRequest{Limit: old.GetId(), Amount: amount, Burst: burst(kind, *amount)})
		return err
	}
	l := &controlv1.Limit{Name: mapping.Limit(o.kind, o.name, kind), Kind: kind, Amount: *amount}
	if b := burst(kind, *amount); b != nil {
		l.Burst = *b
	}
	switch o.kind {
	case "key":
		l.Scope = &controlv1.Limit_Key{Key: o.name}
	case "team":
		l.Scope = &controlv1.Limit_Team{Team: o.name}
	case "customer":
		l.Scope = &controlv1.Limit_Customer{Customer: o.name}
	default:
		l.Scope = &controlv1.Limit_Tag{Tag: o.name}
	}
	_, err := c.limits.CreateLimit(c.ctx, &controlv1.CreateLimitRequest{Limit: l})
	return err
}

func burst(kind controlv1.LimitKind, amount int64) *int64 {
	if kind == controlv1.LimitKind_LIMIT_KIND_CONCURRENT {
		return nil
	}
	return &amount
}

// disallow takes all budgets and limits off an object, so that it can be deleted.
func (c *call) disallow(o owner) error {
	budgets, _, err := c.budgetsOf(o.filter(), false)
	if err != nil {
		return err
	}
	for _, b := range budgets {
		if _, err := c.budgets.DeleteBudget(c.ctx, &controlv1.DeleteBudgetRequest{Budget: b.GetId()}); err != nil {
			return err
		}
	}
	limits, err := c.limitsOf(o.filter())
	if err != nil {
		return err
	}
	for _, l := range limits {
		if _, err := c.limits.DeleteLimit(c.ctx, &controlv1.DeleteLimitRequest{Limit: l.GetId()}); err != nil {
			return err
		}
	}
	return nil
}
