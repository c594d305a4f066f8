package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	typemoney "google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/period"
)

// budgetFlags are the settings of a budget as flags.
type budgetFlags struct {
	amount, overdraft string
	hard, soft        bool
	warn              []string
}

func (f *budgetFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.amount, "amount", "", "dollars per period, such as 50.00")
	flags.BoolVar(&f.hard, "hard", false, "refuse requests for which too little is left (the default)")
	flags.BoolVar(&f.soft, "soft", false, "only warn: requests pass and are charged also when nothing is left")
	flags.StringVar(&f.overdraft, "overdraft", "", "dollars by which each edge may overspend a soft budget in each period, or none for no bound (the default)")
	flags.StringSliceVar(&f.warn, "warn-at", nil, "percent of the amount at which a warning is recorded, such as 50,80,100; none for no warnings")
}

// enforcement is what was asked for, or unspecified.
func (f *budgetFlags) enforcement(cmd *cobra.Command) (controlv1.Enforcement, error) {
	if err := exclusive(cmd, "hard", "soft"); err != nil {
		return 0, err
	}
	switch {
	case f.soft:
		return controlv1.Enforcement_ENFORCEMENT_SOFT, nil
	case f.hard:
		return controlv1.Enforcement_ENFORCEMENT_HARD, nil
	default:
		return controlv1.Enforcement_ENFORCEMENT_UNSPECIFIED, nil
	}
}

// bound is the overdraft that was asked for; nil for none.
func (f *budgetFlags) bound(cmd *cobra.Command) (*typemoney.Money, error) {
	if f.overdraft == "" || f.overdraft == "none" {
		return nil, nil
	}
	nanos, err := dollarsFlag(cmd, "overdraft", f.overdraft)
	if err != nil {
		return nil, err
	}
	return contract.MoneyToProto(nanos), nil
}

func (f *budgetFlags) warnPercents(cmd *cobra.Command) ([]uint32, error) {
	if slices.Equal(f.warn, []string{"none"}) {
		return nil, nil
	}
	var out []uint32
	for _, text := range f.warn {
		p, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(text), "%"), 10, 32)
		if err != nil || p < 1 || p > 1000 {
			return nil, usage(cmd, "--warn-at %q is no whole number of percent between 1 and 1000.", text)
		}
		out = append(out, uint32(p))
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func (a *app) budgetCreate() *cobra.Command {
	var on scopeFlags
	var set budgetFlags
	var every, zone string
	var days uint32
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a budget on a key, a team, a customer, a tag, an endpoint or everything", Args: exactly("NAME"),
		Example: `  tollgate budget create ci --key ci-bot --amount 50.00 --period month --time-zone Europe/Berlin
  tollgate budget create search --team search --amount 500 --period rolling --days 7 --warn-at 50,80,100
  tollgate budget create all --everything --amount 1000 --period day --soft`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := on.check(cmd, "budget"); err != nil {
				return err
			}
			b := &controlv1.Budget{Name: args[0], TimeZone: zone, RollingDays: days}
			on.onBudget(b)
			nanos, err := dollarsFlag(cmd, "amount", set.amount)
			if err != nil {
				return err
			}
			b.Amount = contract.MoneyToProto(nanos)
			if every == "" {
				return usage(cmd, "--period is missing: total, hour, day, week, month or rolling.")
			}
			p, err := period.Parse(every)
			if err != nil {
				return usage(cmd, "--period: %s.", err)
			}
			if (p == period.Rolling) != cmd.Flags().Changed("days") {
				return usage(cmd, "--days goes with --period rolling, and only with that.")
			}
			b.Period = controlv1.Period(p)
			if b.Enforcement, err = set.enforcement(cmd); err != nil {
				return err
			}
			if b.Overdraft, err = set.bound(cmd); err != nil {
				return err
			}
			if b.WarnPercents, err = set.warnPercents(cmd); err != nil {
				return err
			}
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
	on.register(cmd)
	set.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&every, "period", "", "how often it starts anew: total (never), hour, day, week, month, or rolling over the last --days")
	flags.Uint32Var(&days, "days", 0, "days that a rolling budget covers, today included")
	flags.StringVar(&zone, "time-zone", "", "time zone of the period's boundaries, such as Europe/Berlin (UTC if not given)")
	return cmd
}

func (a *app) budgetSet() *cobra.Command {
	var set budgetFlags
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change a budget's amount, enforcement or warnings", Args: exactly("NAME"),
		Long: `Change what is given and leave the rest. When the amount is lowered, edges give back what they have not
spent; the period may end at what was held at that moment.`,
		Example: `  tollgate budget set ci --amount 80 --warn-at 80,100
  tollgate budget set all --soft --overdraft 20`,
		RunE: func(cmd *cobra.Command, args []string) error {
			given := cmd.Flags().Changed
			req := &controlv1.UpdateBudgetRequest{}
			if given("amount") {
				nanos, err := dollarsFlag(cmd, "amount", set.amount)
				if err != nil {
					return err
				}
				req.Amount = contract.MoneyToProto(nanos)
			}
			var err error
			if req.Enforcement, err = set.enforcement(cmd); err != nil {
				return err
			}
			if given("overdraft") {
				bound, err := set.bound(cmd)
				if err != nil {
					return err
				}
				req.Overdraft = &controlv1.UpdateBudgetRequest_Overdraft{Amount: bound}
			}
			if given("warn-at") {
				list, err := set.warnPercents(cmd)
				if err != nil {
					return err
				}
				req.WarnPercents = &controlv1.UpdateBudgetRequest_WarnPercents{Percents: list}
			}
			if proto.Size(req) == 0 {
				return usage(cmd, "Say what to change with --amount, --hard, --soft, --overdraft or --warn-at.")
			}
			return a.changeBudget(cmd, args[0], func(ctx context.Context, c clients, b *controlv1.Budget) (*controlv1.Budget, error) {
				req.Budget, req.Etag = b.GetId(), b.GetEtag()
				res, err := c.budgets.UpdateBudget(ctx, req)
				return res.GetBudget(), err
			})
		},
	}
	set.register(cmd)
	return cmd
}

// changeBudget reads a budget, changes it unless somebody else does meanwhile, and says so.
func (a *app) changeBudget(cmd *cobra.Command, name string, change func(context.Context, clients, *controlv1.Budget) (*controlv1.Budget, error)) error {
	return a.with(cmd, func(ctx context.Context, c clients) error {
		got, err := c.budgets.GetBudget(ctx, &controlv1.GetBudgetRequest{Budget: name})
		if err != nil {
			return err
		}
		b, err := change(ctx, c, got.GetBudget())
		if err != nil {
			return err
		}
		return a.done(budgetResult(b), "", "budget %s: %s (rev %d)", b.GetName(), difference(got.GetBudget(), b), b.GetRevision())
	})
}

// difference tells what has changed of a budget.
func difference(old, b *controlv1.Budget) string {
	var parts []string
	if dollars(old.GetAmount()) != dollars(b.GetAmount()) {
		parts = append(parts, dollars(old.GetAmount())+" → "+amountPer(b))
	}
	if was, is := enforced(old), enforced(b); was != is {
		parts = append(parts, was+" → "+is)
	}
	if was, is := percents(old.GetWarnPercents()), percents(b.GetWarnPercents()); was != is {
		parts = append(parts, "warns at "+first(is, "nothing"))
	}
	if len(parts) == 0 {
		return "unchanged"
	}
	return strings.Join(parts, ", ")
}

func (a *app) budgetRaise() *cobra.Command {
	var by, until string
	var untilReset, end bool
	cmd := &cobra.Command{
		Use: "raise NAME --by AMOUNT", Short: "Raise a budget for a while", Args: exactly("NAME"),
		Example: `  tollgate budget raise ci --by 50 --until-reset
  tollgate budget raise ci --by 200 --until 3d
  tollgate budget raise ci --end`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(exclusive(cmd, "until", "until-reset", "end"), exclusive(cmd, "by", "end")); err != nil {
				return err
			}
			req := &controlv1.RaiseBudgetRequest{By: &typemoney.Money{CurrencyCode: "USD"}}
			if !end {
				nanos, err := dollarsFlag(cmd, "by", by)
				if err != nil {
					return err
				}
				req.By = contract.MoneyToProto(nanos)
				if nanos == 0 {
					return usage(cmd, "--by is 0, which raises nothing: end a raise with --end.")
				}
				switch {
				case untilReset:
					req.End = &controlv1.RaiseBudgetRequest_UntilReset{UntilReset: true}
				case until == "":
					return usage(cmd, "Say when the raise ends with --until or --until-reset.")
				default:
					at, ok := moment(until, a.Now())
					if !ok {
						return usage(cmd, "--until %q is neither a time ahead such as 3d or 12h, nor a date to come such as 2027-01-31.", until)
					}
					req.End = &controlv1.RaiseBudgetRequest_Until{Until: timestamppb.New(at)}
				}
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				req.Budget = args[0]
				res, err := c.budgets.RaiseBudget(ctx, req)
				if err != nil {
					return err
				}
				b := res.GetBudget()
				if b.GetRaise() == nil {
					return a.done(budgetResult(b), "", "budget %s: %s, not raised (rev %d)", b.GetName(), amountPer(b), b.GetRevision())
				}
				return a.done(budgetResult(b), "", "budget %s: %s, raised by %s until %s (rev %d)", b.GetName(), amountPer(b),
					dollars(b.GetRaise().GetBy()), b.GetRaise().GetUntil().AsTime().UTC().Format(time.RFC3339), b.GetRevision())
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&by, "by", "", "dollars to add")
	flags.StringVar(&until, "until", "", "when the raise ends: 3d, 12h or 2027-01-31")
	flags.BoolVar(&untilReset, "until-reset", false, "the raise ends with the current period")
	flags.BoolVar(&end, "end", false, "end the raise that is there")
	return cmd
}

func (a *app) budgetReset() *cobra.Command {
	return &cobra.Command{
		Use: "reset NAME", Short: "Begin the current period anew, as if nothing had been spent in it", Args: exactly("NAME"),
		Example: "  tollgate budget reset ci",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.budgets.ResetBudget(ctx, &controlv1.ResetBudgetRequest{Budget: args[0]})
				if err != nil {
					return err
				}
				b := res.GetBudget()
				return a.done(budgetResult(b), a.Program+" budget get "+b.GetName(), "budget %s begins anew with %s (rev %d)", b.GetName(), amountPer(b), b.GetRevision())
			})
		},
	}
}

// amountPer is what a budget allows, in words.
func amountPer(b *controlv1.Budget) string {
	if b.GetPeriod() == controlv1.Period_PERIOD_TOTAL {
		return dollars(b.GetAmount()) + " in total"
	}
	if b.GetPeriod() == controlv1.Period_PERIOD_ROLLING {
		return fmt.Sprintf("%s in any %d days", dollars(b.GetAmount()), b.GetRollingDays())
	}
	return dollars(b.GetAmount()) + " per " + periodName(b.GetPeriod())
}

// periodText is a period for tables.
func periodText(b *controlv1.Budget) string {
	if b.GetPeriod() == controlv1.Period_PERIOD_ROLLING {
		return fmt.Sprintf("%d days", b.GetRollingDays())
	}
	return periodName(b.GetPeriod())
}

// enforced says what a budget does when too little is left.
func enforced(b *controlv1.Budget) string {
	switch {
	case b.GetEnforcement() != controlv1.Enforcement_ENFORCEMENT_SOFT:
		return "hard"
	case b.GetOverdraft() != nil:
		return "soft, " + dollars(b.GetOverdraft()) + " over per edge"
	default:
		return "soft"
	}
}

func percents(list []uint32) string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = strconv.FormatUint(uint64(p), 10) + " %"
	}
	return strings.Join(words, ", ")
}

// zero says whether an amount is none.
func zero(m *typemoney.Money) bool { return m.GetUnits() == 0 && m.GetNanos() == 0 }

// periodName is the word for a period. The schema numbers them as internal/period does.
func periodName(p controlv1.Period) string {
	if q := period.Period(p); q.Valid() {
		return q.String()
	}
	return fmt.Sprintf("%s?", strings.ToLower(p.String()))
}
