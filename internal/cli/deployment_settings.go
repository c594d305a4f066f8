package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/period"
)

// defaultBudgetFlags are a budget that comes with something new, as flags.
type defaultBudgetFlags struct {
	amount, every string
	soft          bool
}

func (f *defaultBudgetFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.amount, "budget", "", "dollars per period of a budget of its own, such as 50.00")
	flags.StringVar(&f.every, "budget-period", "month", "how often that budget starts anew: total, hour, day, week or month")
	flags.BoolVar(&f.soft, "budget-soft", false, "that budget only warns")
}

// read is the budget that was asked for; nil for none.
func (f *defaultBudgetFlags) read(cmd *cobra.Command) (*controlv1.DefaultBudget, error) {
	if f.amount == "" || f.amount == "none" {
		return nil, nil
	}
	nanos, err := dollarsFlag(cmd, "budget", f.amount)
	if err != nil {
		return nil, err
	}
	p, err := period.Parse(f.every)
	if err != nil || p == period.Rolling {
		return nil, usage(cmd, "--budget-period is total, hour, day, week or month, not %q.", f.every)
	}
	out := &controlv1.DefaultBudget{Amount: contract.MoneyToProto(nanos), Period: controlv1.Period(p), Enforcement: controlv1.Enforcement_ENFORCEMENT_HARD}
	if f.soft {
		out.Enforcement = controlv1.Enforcement_ENFORCEMENT_SOFT
	}
	return out, nil
}

func defaultBudgetText(b *controlv1.DefaultBudget) string {
	if b == nil {
		return "none"
	}
	return amountPer(&controlv1.Budget{Amount: b.GetAmount(), Period: b.GetPeriod(), RollingDays: b.GetRollingDays()}) + ", " +
		enforced(&controlv1.Budget{Enforcement: b.GetEnforcement()})
}

func (a *app) settingsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "settings", Aliases: []string{"setting"}, Short: "What holds for the whole deployment", Args: cobra.ArbitraryArgs, RunE: group}
	cmd.AddCommand(a.settingsGet(), a.settingsSet())
	return cmd
}

func (a *app) settingsGet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "get", Aliases: []string{"show", "list"}, Short: "Show the settings", Args: exactly(), Example: "  tollgate settings get",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.web {
				return a.browse(cmd, "/settings")
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.settings.GetSettings(ctx, &controlv1.GetSettingsRequest{})
				if err != nil {
					return err
				}
				return a.print(a.settingsResult(res.GetSettings()))
			})
		},
	}
	a.reads(cmd)
	return cmd
}

func (a *app) settingsResult(s *controlv1.Settings) result {
	r := result{data: view(s)}
	t, m, k := &r.table, s.GetCustomers(), s.GetNewKeys()
	t.add("name", first(s.GetName(), "-"))
	t.add("gateway url", first(s.GetGatewayUrl(), "-"))
	t.add("time zone", first(s.GetTimeZone(), "UTC"))
	t.add("customer headers", list(m.GetHeaders(), "-"))
	t.add("customer body fields", list(m.GetBodyFields(), "-"))
	t.add("customers on first sight", yesNo(m.GetCreate()))
	t.add("customer required", yesNo(m.GetRequired()))
	t.add("budget of new customers", defaultBudgetText(m.GetBudget()))
	days := func(n int32) string {
		if n == 0 {
			return "never"
		}
		return fmt.Sprintf("after %d days", n)
	}
	t.add("new keys expire", days(k.GetExpireDays()))
	t.add("keys expire at the latest", days(k.GetMostExpireDays()))
	t.add("budget of new keys", defaultBudgetText(k.GetBudget()))
	addManaged(t, s.GetManagedBy())
	t.add("updated", a.when(s.GetUpdateTime()))
	return r
}

// settingsFlags are the settings of the deployment as flags.
type settingsFlags struct {
	name, gateway, zone       string
	headers, fields           []string
	create, required          bool
	customerBudget, keyBudget string
	days, mostDays            int32
}

func (f *settingsFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "name of the deployment")
	flags.StringVar(&f.gateway, "gateway-url", "", "URL at which callers reach the gateway")
	flags.StringVar(&f.zone, "time-zone", "", "time zone of reports and new budgets, such as Europe/Berlin")
	flags.StringSliceVar(&f.headers, "customer-headers", nil, "headers in which requests name their customer")
	flags.StringSliceVar(&f.fields, "customer-body-fields", nil, "fields of JSON bodies in which requests name their customer")
	flags.BoolVar(&f.create, "customer-create", false, "create customers when a request first names them")
	flags.BoolVar(&f.required, "customer-required", false, "refuse requests without a customer")
	flags.StringVar(&f.customerBudget, "customer-budget", "", "budget of new customers, such as 20.00/month, or none")
	flags.Int32Var(&f.days, "key-expire-days", 0, "days after which new keys expire unless told otherwise; 0 for never")
	flags.Int32Var(&f.mostDays, "key-most-expire-days", 0, "days after which new keys expire at the latest; 0 for never")
	flags.StringVar(&f.keyBudget, "key-budget", "", "budget of new keys, such as 20.00/month, or none")
}

// change puts what was given into s and leaves the rest alone.
func (f *settingsFlags) change(cmd *cobra.Command, s *controlv1.Settings) error {
	if s.Customers == nil {
		s.Customers = &controlv1.CustomerSettings{}
	}
	if s.NewKeys == nil {
		s.NewKeys = &controlv1.KeyDefaults{}
	}
	m, k := s.GetCustomers(), s.GetNewKeys()
	var err error
	for name, change := range map[string]func(){
		"name":                 func() { s.Name = f.name },
		"gateway-url":          func() { s.GatewayUrl = f.gateway },
		"time-zone":            func() { s.TimeZone = f.zone },
		"customer-headers":     func() { m.Headers = given(f.headers) },
		"customer-body-fields": func() { m.BodyFields = given(f.fields) },
		"customer-create":      func() { m.Create = f.create },
		"customer-required":    func() { m.Required = f.required },
		"key-expire-days":      func() { k.ExpireDays = f.days },
		"key-most-expire-days": func() { k.MostExpireDays = f.mostDays },
	} {
		if cmd.Flags().Changed(name) {
			change()
		}
	}
	if cmd.Flags().Changed("customer-budget") {
		if m.Budget, err = slashBudget(cmd, "customer-budget", f.customerBudget); err != nil {
			return err
		}
	}
	if cmd.Flags().Changed("key-budget") {
		k.Budget, err = slashBudget(cmd, "key-budget", f.keyBudget)
	}
	return err
}

func (a *app) settingsSet() *cobra.Command {
	var f settingsFlags
	cmd := &cobra.Command{
		Use: "set", Aliases: []string{"update"}, Short: "Change settings; those not given stay as they are", Args: exactly(),
		Long: "Change settings; those not given stay as they are. A budget of new customers and keys is dollars, a slash and a period; none takes it away.",
		Example: `  tollgate settings set --name 'ACME gateway' --time-zone Europe/Berlin
  tollgate settings set --customer-headers x-customer --customer-create --customer-budget 20.00/month
  tollgate settings set --key-expire-days 90`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.change(cmd, &controlv1.Settings{}); err != nil {
				return err // before a server is asked
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				got, err := c.settings.GetSettings(ctx, &controlv1.GetSettingsRequest{})
				if err != nil {
					return err
				}
				s := proto.CloneOf(got.GetSettings())
				if err := f.change(cmd, s); err != nil {
					return err
				}
				if proto.Equal(s, got.GetSettings()) {
					return a.done(a.settingsResult(s), "", "the settings are like that already")
				}
				res, err := c.settings.UpdateSettings(ctx, &controlv1.UpdateSettingsRequest{Settings: s})
				if err != nil {
					return err
				}
				return a.done(a.settingsResult(res.GetSettings()), "", "settings changed (rev %d)", res.GetSettings().GetRevision())
			})
		},
	}
	f.register(cmd)
	a.writes(cmd)
	return cmd
}

// slashBudget reads dollars, a slash and a period.
func slashBudget(cmd *cobra.Command, flag, text string) (*controlv1.DefaultBudget, error) {
	if text == "" || text == "none" {
		return nil, nil
	}
	amount, every, _ := strings.Cut(text, "/")
	nanos, err := dollarsFlag(cmd, flag, amount)
	if err != nil {
		return nil, err
	}
	p, err := period.Parse(every)
	if err != nil || p == period.Rolling {
		return nil, usage(cmd, "--%s is dollars, a slash and total, hour, day, week or month, such as 20.00/month, not %q.", flag, text)
	}
	return &controlv1.DefaultBudget{Amount: contract.MoneyToProto(nanos), Period: controlv1.Period(p)}, nil
}
