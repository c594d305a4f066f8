package litellmapi

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/controlplane/litellm/mapping"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// owner is what budgets and limits are on: a key, a team, a customer or a tag.
type owner struct {
	kind string // "key", "team", "customer", "tag"
	name string
}

func (o owner) filter() string { return o.kind + ":" + quoted(o.name) }

// quoted is a value of a filter.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// allowance is what LiteLLM says of the money and the pace of an object.
type allowance struct {
	sent       map[string]bool // fields that a request had, also as null
	max, soft  *money.Nanos
	duration   string
	period     mapping.Period
	windows    []window
	rpm, tpm   *int64
	concurrent *int64
}

// window is one of budget_limits.
type window struct {
	max      money.Nanos
	duration string
	period   mapping.Period
}

// allowance reads what a request says of budgets and limits.
func (b *body) allowance() *allowance {
	a := &allowance{
		sent: map[string]bool{}, max: b.amount("max_budget"), soft: b.amount("soft_budget"), duration: b.text("budget_duration"),
		rpm: b.count("rpm_limit"), tpm: b.count("tpm_limit"), concurrent: b.count("max_parallel_requests"),
	}
	for _, name := range []string{"max_budget", "soft_budget", "budget_duration", "rpm_limit", "tpm_limit", "max_parallel_requests", "budget_limits"} {
		a.sent[name] = b.has(name)
	}
	var ok bool
	if a.period, ok = mapping.PeriodOf(a.duration); !ok {
		b.wrong("budget_duration", "budget_duration %q has no counterpart: use 1h, 1d, 7d, 30d or another number of days up to 366d.", clip(a.duration))
	}
	list, ok := b.value("budget_limits").([]any)
	if !ok && b.fields["budget_limits"] != nil {
		b.wrong("budget_limits", "budget_limits is a list of objects with budget_duration and max_budget.")
	}
	for i, item := range list {
		fields, ok := item.(map[string]any)
		if !ok {
			b.wrong("budget_limits", "budget_limits is a list of objects with budget_duration and max_budget.")
			break
		}
		one := &body{fields: fields, taken: map[string]bool{}}
		w := window{duration: one.text("budget_duration")}
		if w.period, ok = mapping.PeriodOf(w.duration); !ok || w.duration == "" {
			one.wrong("budget_duration", "budget_duration %q has no counterpart.", clip(w.duration))
		}
		if most := one.amount("max_budget"); most != nil {
			w.max = *most
		} else if len(one.bad) == 0 {
			one.wrong("max_budget", "max_budget is required.")
		}
		one.rest("reset_at")
		for _, v := range one.bad {
			b.wrong(fmt.Sprintf("budget_limits[%d].%s", i, v.Field), "%s", v.Reason)
		}
		a.windows = append(a.windows, w)
	}
	return a
}

// holding is the budgets and limits that an object has.
type holding struct {
	main    *controlv1.Budget // that max_budget stands for
	soft    *controlv1.Budget // that soft_budget without max_budget stands for
	windows []*controlv1.Budget
	states  map[string]*controlv1.BudgetState // by id of the budget
	limits  map[controlv1.LimitKind]*controlv1.Limit
}

// mostPages bounds what is read of a list.
const mostPages = 1000

// budgetsOf lists budgets, with how they stand if that is asked for.
func (c *call) budgetsOf(filter string, states bool) ([]*controlv1.Budget, map[string]*controlv1.BudgetState, error) {
	var all []*controlv1.Budget
	byID := map[string]*controlv1.BudgetState{}
	req := &controlv1.ListBudgetsRequest{PageSize: 1000, Filter: filter, WithStates: states}
	for range mostPages {
		page, err := c.budgets.ListBudgets(c.ctx, req)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, page.GetBudgets()...)
		for _, s := range page.GetStates() {
			byID[s.GetBudgetId()] = s
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	return all, byID, nil
}

func (c *call) limitsOf(filter string) ([]*controlv1.Limit, error) {
	var all []*controlv1.Limit
	req := &controlv1.ListLimitsRequest{PageSize: 1000, Filter: filter}
	for range mostPages {
		page, err := c.limits.ListLimits(c.ctx, req)
		if err != nil {
			return nil, err
		}
		all = append(all, page.GetLimits()...)
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	return all, nil
}

// ownerOf is what a budget or a limit is on.
func ownerOf(m interface {
	GetKey() string
	GetTeam() string
	GetCustomer() string
	GetTag() string
},
) owner {
	switch {
	case m.GetKey() != "":
		return owner{"key", m.GetKey()}
	case m.GetTeam() != "":
		return owner{"team", m.GetTeam()}
	case m.GetCustomer() != "":
		return owner{"customer", m.GetCustomer()}
	case m.GetTag() != "":
		return owner{"tag", m.GetTag()}
	}
	return owner{}
}

// inFilter is how many objects are asked for in one filter, which has at most 1024 bytes.
const inFilter = 7

// holdings reads what objects of one kind have.
func (c *call) holdings(kind string, names []string, states bool) (map[string]*holding, error) {
	out := map[string]*holding{}
	for _, n := range names {
		out[n] = &holding{states: map[string]*controlv1.BudgetState{}, limits: map[controlv1.LimitKind]*controlv1.Limit{}}
	}
	for part := range slices.Chunk(names, inFilter) {
		texts := make([]string, len(part))
		for i, n := range part {
			texts[i] = quoted(n)
		}
		filter := kind + ":" + strings.Join(texts, ",")
		budgets, byID, err := c.budgetsOf(filter, states)
		if err != nil {
			return nil, err
		}
		for _, b := range budgets {
			if h := out[ownerOf(b).name]; h != nil {
				h.add(b, owner{kind, ownerOf(b).name})
				h.states[b.GetId()] = byID[b.GetId()]
			}
		}
		limits, err := c.limitsOf(filter)
		if err != nil {
			return nil, err
		}
		for _, l := range limits {
			if h := out[ownerOf(l).name]; h != nil {
				h.limits[l.GetKind()] = l
			}
		}
	}
	for _, h := range out {
		h.settle()
	}
	return out, nil
}

func (c *call) holding(o owner, states bool) (*holding, error) {
	all, err := c.holdings(o.kind, []string{o.name}, states)
	if err != nil {
		return nil, err
	}
	return all[o.name], nil
}

// add sorts a budget in.
func (h *holding) add(b *controlv1.Budget, o owner) {
	switch {
	case b.GetEnforcement() == controlv1.Enforcement_ENFORCEMENT_SOFT:
		if h.soft == nil {
			h.soft = b
		}
	case b.GetName() == mapping.Budget(o.kind, o.name), o.kind == "key" && b.GetName() == o.name: // as new keys get it
		if h.main != nil {
			h.windows = append(h.windows, h.main)
		}
		h.main = b
	default:
		h.windows = append(h.windows, b)
	}
}

// settle takes an object's only budget for the one that max_budget stands for, whatever its name is.
func (h *holding) settle() {
	if h.main == nil && len(h.windows) == 1 {
		h.main, h.windows = h.windows[0], nil
	}
}

// spent is what an object has spent in the current period of its budget. ok is false for one without a budget, or where the
// ledger cannot say.
func (h *holding) spent() (n money.Nanos, ok bool, err error) {
	b := h.main
	if b == nil {
		b = h.soft
	}
	state := h.states[b.GetId()]
	if b == nil || state == nil {
		return 0, false, nil
	}
	n, err = contract.MoneyFromProto(state.GetSpent())
	return n, true, err
}

// resets is when the period of its budget ends.
func (h *holding) resets() any {
	for _, b := range []*controlv1.Budget{h.main, h.soft} {
		if b != nil {
			if end := h.states[b.GetId()].GetPeriodEnd(); end != nil {
				return stamp(end.AsTime())
			}
			return nil
		}
	}
	return nil
}

func periodOf(b *controlv1.Budget) mapping.Period {
	return mapping.Period{Period: b.GetPeriod(), Days: b.GetRollingDays()}
}

// describe puts what an object has into a reply. kept is what its metadata keeps of what LiteLLM was told.
func (h *holding) describe(out object, kept map[string]any) error {
	out["max_budget"], out["soft_budget"], out["budget_duration"], out["budget_reset_at"] = nil, nil, nil, h.resets()
	main := h.main
	if main == nil {
		main = h.soft
	} else {
		n, err := contract.MoneyFromProto(main.GetAmount())
		if err != nil {
			return err
		}
		out["max_budget"] = amountOf(n)
		if warn := main.GetWarnPercents(); len(warn) > 0 && kept["soft_budget"] != nil {
			if text, ok := kept["soft_budget"].(string); ok {
				if n, err := dollars(text); err == nil {
					out["soft_budget"] = amountOf(n)
				}
			}
		}
	}
	if h.soft != nil {
		n, err := contract.MoneyFromProto(h.soft.GetAmount())
		if err != nil {
			return err
		}
		out["soft_budget"] = amountOf(n)
	}
	if main != nil {
		if text := periodOf(main).Duration(); text != "" {
			out["budget_duration"] = text
		}
		if text, ok := kept["budget_duration"].(string); ok {
			if p, ok := mapping.PeriodOf(text); ok && p == periodOf(main) && text != "" {
				out["budget_duration"] = text // as it was written
			}
		}
	}
	windows := []any{}
	for _, w := range h.windows {
		n, err := contract.MoneyFromProto(w.GetAmount())
		if err != nil {
			return err
		}
		one := object{"budget_duration": periodOf(w).Duration(), "max_budget": amountOf(n), "reset_at": nil}
		if end := h.states[w.GetId()].GetPeriodEnd(); end != nil {
			one["reset_at"] = stamp(end.AsTime())
		}
		windows = append(windows, one)
	}
	out["budget_limits"] = windows
	for name, kind := range limitKinds {
		out[name] = nil
		if l := h.limits[kind]; l != nil {
			out[name] = l.GetAmount()
		}
	}
	return nil
}

var limitKinds = map[string]controlv1.LimitKind{
	"rpm_limit": controlv1.LimitKind_LIMIT_KIND_REQUESTS, "tpm_limit": controlv1.LimitKind_LIMIT_KIND_UNITS,
	"max_parallel_requests": controlv1.LimitKind_LIMIT_KIND_CONCURRENT,
}

// keep puts what LiteLLM was told and budgets do not hold as it was written into what is kept with an object.
func (a *allowance) keep(kept map[string]any) {
	if a.sent["budget_duration"] {
		delete(kept, "budget_duration")
		if a.duration != "" {
			kept["budget_duration"] = a.duration
		}
	}
	if a.sent["soft_budget"] {
		delete(kept, "soft_budget")
		if a.soft != nil {
			kept["soft_budget"] = a.soft.String()
		}
	}
}

// usageEver is the first day of a question about all that was spent: the ledger answers for three years at a time.
func usageEver(now time.Time) string { return now.UTC().AddDate(0, 0, -3*365+1).Format(time.DateOnly) }

// spentIn asks the books for all that objects of a kind have spent, by name.
func (c *call) spentIn(q *controlv1.QueryUsageRequest, by controlv1.UsageDimension) (map[string]money.Nanos, error) {
	q.GroupBy = []controlv1.UsageDimension{by}
	now := time.Now()
	q.FromDay, q.ToDay = usageEver(now), now.UTC().Format(time.DateOnly)
	got, err := c.usage.QueryUsage(c.ctx, q)
	if err != nil {
		return nil, err
	}
	out := map[string]money.Nanos{}
	for _, r := range got.GetRows() {
		n, err := contract.MoneyFromProto(r.GetCost())
		if err != nil {
			return nil, err
		}
		name := r.GetTag()
		switch by {
		case controlv1.UsageDimension_USAGE_DIMENSION_KEY:
			name = r.GetKeyId()
		case controlv1.UsageDimension_USAGE_DIMENSION_TEAM:
			name = r.GetTeam()
		case controlv1.UsageDimension_USAGE_DIMENSION_CUSTOMER:
			name = r.GetCustomer()
		default:
		}
		out[name] = n
	}
	return out, nil
}
