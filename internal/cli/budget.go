package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/period"
)

func (a *app) budgetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "budget", Aliases: []string{"budgets"}, Short: "Amounts per period that cannot be overspent", Args: cobra.ArbitraryArgs, RunE: group,
	}
	cmd.AddCommand(a.budgetList(), a.budgetGet(), a.budgetCreate(), a.budgetSet(), a.budgetDelete())
	a.completeNames(cmd, budgetNames)
	return cmd
}

func budgetResult(b *controlv1.Budget) result {
	return result{data: view(b), names: []string{b.GetName()}}
}

func (a *app) budgetList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List budgets", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				all, err := pages(func(token string) ([]*controlv1.Budget, string, error) {
					page, err := c.budgets.ListBudgets(ctx, &controlv1.ListBudgetsRequest{PageSize: pageSize, PageToken: token})
					return page.GetBudgets(), page.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				r := result{table: table{head: []string{"NAME", "SCOPE", "AMOUNT", "PERIOD", "ZONE"}, right: []string{"AMOUNT"}}}
				data := []any{}
				for _, b := range all {
					data, r.names = append(data, view(b)), append(r.names, b.GetName())
					r.table.add(b.GetName(), scope(b), dollars(b.GetAmount()), periodName(b.GetPeriod()), first(b.GetTimeZone(), "UTC"))
				}
				r.data = data
				return a.print(r)
			})
		},
	}
}

func (a *app) budgetGet() *cobra.Command {
	return &cobra.Command{
		Use: "get NAME", Short: "Show a budget and what is left of it", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.budgets.GetBudget(ctx, &controlv1.GetBudgetRequest{Budget: args[0]})
				if err != nil {
					return err
				}
				b := res.GetBudget()
				r := budgetResult(b)
				r.table.add("name", b.GetName())
				r.table.add("id", b.GetId())
				r.table.add("scope", scope(b))
				r.table.add("amount", amountPer(b))
				// The budget is shown even while the ledger cannot say what is left of it.
				state, stateErr := c.budgets.GetBudgetState(ctx, &controlv1.GetBudgetStateRequest{Budget: b.GetId()})
				if stateErr == nil {
					s := state.GetState()
					data := view(b)
					data.set("state", view(s))
					r.data = data
					r.table.add("spent", dollars(s.GetSpent()))
					r.table.add("left", dollars(s.GetRemaining()))
					r.table.add("of it held", dollars(s.GetHeld()))
					resets := "never"
					if s.GetPeriodEnd() != nil {
						resets = a.when(s.GetPeriodEnd())
					}
					r.table.add("resets", resets)
					r.table.add("as of", a.when(s.GetAsOf()))
				}
				if err := a.print(r); err != nil {
					return err
				}
				return stateErr
			})
		},
	}
}

func (a *app) budgetCreate() *cobra.Command {
	var key, endpoint, amount, every, zone string
	var everything bool
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a budget on a key, an endpoint or everything", Args: exactly("NAME"),
		Example: `  tollgate budget create ci --key ci-bot --amount 50.00 --period month --time-zone Europe/Berlin
  tollgate budget create all --everything --amount 1000 --period day`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := exclusive(cmd, "key", "endpoint", "everything"); err != nil {
				return err
			}
			b := &controlv1.Budget{Name: args[0], TimeZone: zone}
			switch {
			case key != "":
				b.Scope = &controlv1.Budget_Key{Key: key}
			case endpoint != "":
				b.Scope = &controlv1.Budget_Endpoint{Endpoint: endpoint}
			case everything:
				b.Scope = &controlv1.Budget_Everything{Everything: true}
			default:
				return usage(cmd, "Say what the budget limits with --key, --endpoint or --everything.")
			}
			nanos, err := dollarsFlag(cmd, "amount", amount)
			if err != nil {
				return err
			}
			b.Amount = contract.MoneyToProto(nanos)
			if every == "" {
				return usage(cmd, "--period is missing: total, hour, day, week or month.")
			}
			p, err := period.Parse(every)
			if err != nil {
				return usage(cmd, "--period: %s.", err)
			}
			b.Period = controlv1.Period(p)
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.budgets.CreateBudget(ctx, &controlv1.CreateBudgetRequest{Budget: b})
				if err != nil {
					return err
				}
				made := res.GetBudget()
				return a.done(budgetResult(made), a.Program+" budget get "+made.GetName(), "budget %s created (rev %d): %s on %s",
					made.GetName(), made.GetRevision(), amountPer(made), scope(made))
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&key, "key", "", "limit one key")
	flags.StringVar(&endpoint, "endpoint", "", "limit one endpoint")
	flags.BoolVar(&everything, "everything", false, "limit all requests")
	flags.StringVar(&amount, "amount", "", "dollars per period, such as 50.00")
	flags.StringVar(&every, "period", "", "how often it starts anew: total (never), hour, day, week or month")
	flags.StringVar(&zone, "time-zone", "", "time zone of the period's boundaries, such as Europe/Berlin (UTC if not given)")
	return cmd
}

func (a *app) budgetSet() *cobra.Command {
	var amount string
	cmd := &cobra.Command{
		Use: "set NAME --amount AMOUNT", Short: "Change a budget's amount", Args: exactly("NAME"),
		Long: "Change a budget's amount. What edges hold already stays spendable, so a budget that is lowered may end at what was held.",
		RunE: func(cmd *cobra.Command, args []string) error {
			nanos, err := dollarsFlag(cmd, "amount", amount)
			if err != nil {
				return err
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				got, err := c.budgets.GetBudget(ctx, &controlv1.GetBudgetRequest{Budget: args[0]})
				if err != nil {
					return err
				}
				res, err := c.budgets.UpdateBudget(ctx, &controlv1.UpdateBudgetRequest{
					Budget: got.GetBudget().GetId(), Amount: contract.MoneyToProto(nanos), Etag: got.GetBudget().GetEtag(),
				})
				if err != nil {
					return err
				}
				b := res.GetBudget()
				return a.done(budgetResult(b), "", "budget %s: %s → %s (rev %d)",
					b.GetName(), dollars(got.GetBudget().GetAmount()), amountPer(b), b.GetRevision())
			})
		},
	}
	cmd.Flags().StringVar(&amount, "amount", "", "dollars per period, such as 50.00")
	return cmd
}

func (a *app) budgetDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Remove a budget; what it limited is limited no more", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				if _, err := c.budgets.DeleteBudget(ctx, &controlv1.DeleteBudgetRequest{Budget: args[0]}); err != nil {
					return err
				}
				return a.done(deleted(args[0]), "", "budget %s deleted", args[0])
			})
		},
	}
}

func scope(b *controlv1.Budget) string {
	switch s := b.GetScope().(type) {
	case *controlv1.Budget_Key:
		return "key " + s.Key
	case *controlv1.Budget_Endpoint:
		return "endpoint " + s.Endpoint
	case *controlv1.Budget_Everything:
		return "everything"
	default:
		return "?"
	}
}

// amountPer is what a budget allows, in words.
func amountPer(b *controlv1.Budget) string {
	if b.GetPeriod() == controlv1.Period_PERIOD_TOTAL {
		return dollars(b.GetAmount()) + " in total"
	}
	return dollars(b.GetAmount()) + " per " + periodName(b.GetPeriod())
}

// periodName is the word for a period. The schema numbers them as internal/period does.
func periodName(p controlv1.Period) string {
	if q := period.Period(p); q.Valid() {
		return q.String()
	}
	return fmt.Sprintf("%s?", strings.ToLower(p.String()))
}
