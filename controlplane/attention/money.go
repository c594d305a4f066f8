package attention

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/money"
)

// ofBudgets finds budgets that are used up or will be, and the warnings that were reached. States are in the order of budgets.
func ofBudgets(budgets []registry.Budget, states []*controlv1.BudgetState) []Item {
	var all []Item
	for n := range budgets {
		if n >= len(states) {
			break
		}
		b, st := &budgets[n], states[n]
		i := Item{ObjectKind: "budget", ObjectID: b.ID, ObjectName: b.Name, TeamID: b.TeamID, Verb: "Raise"}
		if b.Scope == registry.ScopeTeam {
			i.Team = b.ScopeName
		}
		limit, spent := amount(st.GetLimit()), amount(st.GetSpent())
		i.Figure = short(spent) + " of " + short(limit)
		for _, w := range st.GetWarnings() {
			told := i
			told.Kind, told.Severity, told.Since = BudgetWarned, Warning, w.GetTime().AsTime()
			told.Part = fmt.Sprint(w.GetPercent())
			told.Sentence = fmt.Sprintf("Budget %s has reached %d %% of its limit: %s is spent.", b.Name, w.GetPercent(), told.Figure)
			all = append(all, told)
		}
		switch st.GetStatus() {
		case controlv1.BudgetStatus_BUDGET_STATUS_EXHAUSTED:
			if limit == 0 && spent == 0 {
				continue // somebody wants that nothing is spent
			}
			i.Kind, i.Severity = BudgetExhausted, Critical
			i.Sentence = fmt.Sprintf("Budget %s is used up: requests that it pays for are refused.", b.Name)
			if b.Soft {
				i.Severity = Warning
				i.Sentence = fmt.Sprintf("Budget %s is used up. It only warns, so requests go on.", b.Name)
			}
			if w := st.GetWarnings(); len(w) > 0 && w[len(w)-1].GetPercent() >= 100 {
				i.Since = w[len(w)-1].GetTime().AsTime()
			}
			all = append(all, i)
		case controlv1.BudgetStatus_BUDGET_STATUS_AT_RISK:
			i.Kind, i.Severity = BudgetAtRisk, Warning
			i.Sentence = atRisk(b, st)
			all = append(all, i)
		case controlv1.BudgetStatus_BUDGET_STATUS_OK, controlv1.BudgetStatus_BUDGET_STATUS_UNSPECIFIED:
		}
	}
	return all
}

func atRisk(b *registry.Budget, st *controlv1.BudgetState) string {
	if st.GetRunsOutAfter() == nil {
		return fmt.Sprintf("Budget %s has reached the last share of its limit at which it warns.", b.Name)
	}
	zone, err := time.LoadLocation(b.Zone)
	if err != nil {
		zone = time.UTC
	}
	const form = "2 Jan 15:04"
	first, last := st.GetRunsOutAfter().AsTime().In(zone), st.GetRunsOutBefore().AsTime().In(zone)
	when := "about " + first.Format(form+" MST")
	if last.Sub(first) > time.Hour {
		when = "between " + first.Format(form) + " and " + last.Format(form+" MST")
	}
	if st.GetPeriodEnd() == nil {
		return fmt.Sprintf("Budget %s runs out %s at the pace of late.", b.Name, when)
	}
	return fmt.Sprintf("Budget %s runs out %s at the pace of late, before it starts anew.", b.Name, when)
}

// ofUnpriced gives a line to each endpoint with requests that were charged a fallback.
func ofUnpriced(unpriced map[string]int64, names map[string]string) []Item {
	var all []Item
	for _, id := range slices.Sorted(maps.Keys(unpriced)) {
		name := names[id]
		if name == "" {
			continue // it is deleted: nobody can give it a price
		}
		i := Item{Kind: Unpriced, Severity: Warning, ObjectKind: "endpoint", ObjectID: id, ObjectName: name, Verb: "Price", Figure: count(unpriced[id], "request")}
		i.Sentence = fmt.Sprintf("%s of endpoint %s since yesterday had no price and cost its fallback.", i.Figure, name)
		all = append(all, i)
	}
	return all
}

func amount(m interface {
	GetCurrencyCode() string
	GetUnits() int64
	GetNanos() int32
},
) money.Nanos {
	n, err := money.FromParts(m.GetUnits(), m.GetNanos())
	if err != nil {
		return money.Max
	}
	return n
}

// short is an amount as people read it: to the cent from a dollar on, and exact below.
func short(n money.Nanos) string {
	const cent = money.Dollar / 100
	if n >= money.Dollar || n <= -money.Dollar {
		n -= n % cent
	}
	return n.Dollars()
}
