package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) budgets() noun[*controlv1.Budget] {
	states := map[string]*controlv1.BudgetState{}
	state := func(say func(*controlv1.BudgetState) string) func(*controlv1.Budget) string {
		return func(b *controlv1.Budget) string {
			if s := states[b.GetId()]; s != nil {
				return say(s)
			}
			return "-"
		}
	}
	return noun[*controlv1.Budget]{
		name: "budget", plural: "budgets", short: "Amounts per period that cannot be overspent, or that warn", sample: "ci", console: "/budgets",
		columns: []column[*controlv1.Budget]{
			{"NAME", (*controlv1.Budget).GetName, plain},
			{"SCOPE", func(b *controlv1.Budget) string { return scope(b) }, plain},
			{"AMOUNT", func(b *controlv1.Budget) string { return dollars(b.GetAmount()) }, right},
			{"PERIOD", periodText, plain},
			{"SPENT", state(func(s *controlv1.BudgetState) string { return dollars(s.GetSpent()) }), right},
			{"LEFT", state(func(s *controlv1.BudgetState) string { return dollars(s.GetRemaining()) }), right},
			{"STATUS", state(budgetStatus), plain},
			{"ENFORCED", enforced, plain},
			{"ZONE", func(b *controlv1.Budget) string { return first(b.GetTimeZone(), "UTC") }, plain},
			{"ID", (*controlv1.Budget).GetId, wide},
			{"HELD", state(func(s *controlv1.BudgetState) string { return dollars(s.GetHeld()) }), rightWide},
			{"RESETS", state(func(s *controlv1.BudgetState) string { return a.when(s.GetPeriodEnd()) }), wide},
			{"RUNS OUT", state(func(s *controlv1.BudgetState) string { return a.when(s.GetRunsOutAfter()) }), wide},
			{"MANAGED BY", func(b *controlv1.Budget) string { return first(b.GetManagedBy(), "-") }, wide},
		},
		id: (*controlv1.Budget).GetName,
		view: func(b *controlv1.Budget) any {
			data := view(b)
			if s := states[b.GetId()]; s != nil {
				data.set("state", view(s))
			}
			return data
		},
		page: func(ctx context.Context, c clients, q query) ([]*controlv1.Budget, string, error) {
			page, err := c.budgets.ListBudgets(ctx, &controlv1.ListBudgetsRequest{
				PageSize: q.size, PageToken: q.token, Filter: q.filter, OrderBy: q.order, WithStates: true,
			})
			for _, s := range page.GetStates() {
				states[s.GetBudgetId()] = s
			}
			if missing := page.GetStatesMissing(); missing != "" && q.token == "" {
				a.say("%s what is spent is not known: %s", a.paint(yellow, "!"), missing)
			}
			return page.GetBudgets(), page.GetNextPageToken(), err
		},
		filters: "team:search", ordered: true,
		empty: "There are no budgets. Make one with `%s budget create`.",
		get: func(ctx context.Context, c clients, name string) (*controlv1.Budget, error) {
			res, err := c.budgets.GetBudget(ctx, &controlv1.GetBudgetRequest{Budget: name})
			return res.GetBudget(), err
		},
		details: func(t *table, b *controlv1.Budget) {
			t.add("name", b.GetName())
			t.add("id", b.GetId())
			t.add("scope", scope(b))
			t.add("amount", amountPer(b))
			if raise := b.GetRaise(); raise != nil {
				t.add("raised", "by "+dollars(raise.GetBy())+" until "+a.when(raise.GetUntil()))
			}
			t.add("enforced", enforced(b))
			if len(b.GetWarnPercents()) > 0 {
				t.add("warns at", percents(b.GetWarnPercents()))
			}
			addManaged(t, b.GetManagedBy())
		},
		// The budget is shown even while the ledger cannot say what is left of it.
		finish: func(ctx context.Context, c clients, b *controlv1.Budget, r *result) error {
			res, err := c.budgets.GetBudgetState(ctx, &controlv1.GetBudgetStateRequest{Budget: b.GetId()})
			if err != nil {
				return err
			}
			data := view(b)
			data.set("state", view(res.GetState()))
			r.data = data
			a.addBudgetState(&r.table, b, res.GetState())
			return nil
		},
		remove: func(ctx context.Context, c clients, name string) error {
			_, err := c.budgets.DeleteBudget(ctx, &controlv1.DeleteBudgetRequest{Budget: name})
			return err
		},
	}
}

func budgetStatus(s *controlv1.BudgetState) string {
	if s.GetStatus() == controlv1.BudgetStatus_BUDGET_STATUS_UNSPECIFIED {
		return "-"
	}
	return strings.ReplaceAll(enumWord(s.GetStatus(), "BUDGET_STATUS_"), "-", " ")
}

func (a *app) budgetCommand() *cobra.Command {
	n := a.budgets()
	verbs := []*cobra.Command{a.budgetCreate(), a.budgetSet(), a.budgetRaise()}
	a.writes(verbs...)
	reset := a.budgetReset()
	a.destroys(reset)
	return n.command(a, append(verbs, reset)...)
}

func budgetResult(b *controlv1.Budget) result {
	return result{data: view(b), names: []string{b.GetName()}}
}

// addBudgetState adds what a budget's account says.
func (a *app) addBudgetState(t *table, b *controlv1.Budget, s *controlv1.BudgetState) {
	t.add("spent", dollars(s.GetSpent()))
	t.add("left", dollars(s.GetRemaining()))
	t.add("of it held", dollars(s.GetHeld()))
	if !zero(s.GetOverrun()) {
		t.add("overrun", dollars(s.GetOverrun()))
	}
	if status := budgetStatus(s); status != "-" {
		t.add("status", status)
	}
	if s.GetPace() != nil {
		t.add("pace", dollars(s.GetPace())+" an hour")
	}
	if s.GetRunsOutAfter() != nil {
		t.add("runs out", "between "+a.when(s.GetRunsOutAfter())+" and "+a.when(s.GetRunsOutBefore()))
	}
	if s.GetProjected() != nil {
		t.add("projected", dollars(s.GetProjected()))
	}
	for _, w := range s.GetWarnings() {
		t.add("warned", fmt.Sprintf("at %d %% with %s spent, %s", w.GetPercent(), dollars(w.GetSpent()), a.when(w.GetTime())))
	}
	switch {
	case s.GetPeriodEnd() == nil:
		t.add("resets", "never")
	case b.GetPeriod() == controlv1.Period_PERIOD_ROLLING:
		t.add("next day", a.when(s.GetPeriodEnd())) // the oldest day no longer counts then
	default:
		t.add("resets", a.when(s.GetPeriodEnd()))
	}
	t.add("as of", a.when(s.GetAsOf()))
}
