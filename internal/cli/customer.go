package cli

import (
	"context"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) customers() noun[*controlv1.Customer] {
	return noun[*controlv1.Customer]{
		name: "customer", plural: "customers", short: "Whom requests are charged to beyond keys and teams", sample: "acme", console: "/customers",
		columns: []column[*controlv1.Customer]{
			{"NAME", (*controlv1.Customer).GetName, plain},
			{"CALLED", func(m *controlv1.Customer) string { return first(m.GetDisplayName(), "-") }, plain},
			{"STATUS", customerStatus, plain},
			{"CREATED", func(m *controlv1.Customer) string { return a.when(m.GetCreateTime()) }, plain},
			{"FIRST SIGHT", func(m *controlv1.Customer) string { return yesNo(m.GetFirstSight()) }, wide},
			{"MANAGED BY", func(m *controlv1.Customer) string { return first(m.GetManagedBy(), "-") }, wide},
		},
		id: (*controlv1.Customer).GetName,
		page: func(ctx context.Context, c clients, q query) ([]*controlv1.Customer, string, error) {
			page, err := c.customers.ListCustomers(ctx, &controlv1.ListCustomersRequest{PageSize: q.size, PageToken: q.token, Filter: q.filter})
			return page.GetCustomers(), page.GetNextPageToken(), err
		},
		filters: "blocked:yes",
		empty:   "There are no customers. One is made with `%s customer create`, or when a request first names it.",
		get: func(ctx context.Context, c clients, name string) (*controlv1.Customer, error) {
			res, err := c.customers.GetCustomer(ctx, &controlv1.GetCustomerRequest{Customer: name})
			return res.GetCustomer(), err
		},
		details: func(t *table, m *controlv1.Customer) {
			t.add("name", m.GetName())
			t.add("called", first(m.GetDisplayName(), "-"))
			t.add("status", customerStatus(m))
			t.add("first sight", yesNo(m.GetFirstSight()))
			addMetadata(t, m.GetMetadata())
			addManaged(t, m.GetManagedBy())
			t.add("created", a.when(m.GetCreateTime()))
		},
		remove: func(ctx context.Context, c clients, name string) error {
			_, err := c.customers.DeleteCustomer(ctx, &controlv1.DeleteCustomerRequest{Customer: name})
			return err
		},
	}
}

func customerStatus(m *controlv1.Customer) string {
	if m.GetBlocked() {
		return "blocked"
	}
	return "active"
}

func (a *app) customerCommand() *cobra.Command {
	n := a.customers()
	return n.command(a, a.customerCreate(n), a.customerSet(n), a.customerBlock(n, true), a.customerBlock(n, false))
}

func (a *app) customerCreate(n noun[*controlv1.Customer]) *cobra.Command {
	var called string
	var budget bool
	var metadata metadataFlags
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a customer", Args: exactly("NAME"),
		Example: "  tollgate customer create globex --display-name 'Globex Corporation' --default-budget",
		RunE: func(cmd *cobra.Command, args []string) error {
			kept, err := metadata.read(cmd)
			if err != nil {
				return err
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.customers.CreateCustomer(ctx, &controlv1.CreateCustomerRequest{
					Customer: &controlv1.Customer{Name: args[0], DisplayName: called, Metadata: kept}, DefaultBudget: budget,
				})
				if err != nil {
					return err
				}
				m := res.GetCustomer()
				return a.done(n.result(m), a.Program+" budget create NAME --customer "+m.GetName()+" --amount 50 --period month", "customer %s created (rev %d)", m.GetName(), m.GetRevision())
			})
		},
	}
	cmd.Flags().StringVar(&called, "display-name", "", "what people call it")
	cmd.Flags().BoolVar(&budget, "default-budget", false, "with the budget that the settings have for new customers")
	metadata.register(cmd)
	a.writes(cmd)
	return cmd
}

func (a *app) customerSet(n noun[*controlv1.Customer]) *cobra.Command {
	var called string
	var metadata metadataFlags
	cmd := &cobra.Command{
		Use: "set NAME", Aliases: []string{"update"}, Short: "Change what is kept of a customer", Args: exactly("NAME"),
		Example: `  tollgate customer set acme --display-name 'ACME Ltd.'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &controlv1.UpdateCustomerRequest{Customer: args[0]}
			if cmd.Flags().Changed("display-name") {
				req.DisplayName = new(called)
			}
			var err error
			if req.Metadata, err = metadata.read(cmd); err != nil {
				return err
			}
			if req.DisplayName == nil && req.Metadata == nil {
				return usage(cmd, "Say what to change with --display-name or --metadata.")
			}
			return a.changeCustomer(cmd, n, req, "changed")
		},
	}
	cmd.Flags().StringVar(&called, "display-name", "", "what people call it")
	metadata.register(cmd)
	a.writes(cmd)
	return cmd
}

// customerBlock is block or unblock.
func (a *app) customerBlock(n noun[*controlv1.Customer], blocked bool) *cobra.Command {
	use, short, said := "unblock", "Let a blocked customer in again", "is let in again"
	if blocked {
		use, short, said = "block", "Refuse requests that are charged to a customer", "is refused"
	}
	cmd := &cobra.Command{
		Use: use + " NAME", Short: short, Args: exactly("NAME"), Example: "  tollgate customer " + use + " acme",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeCustomer(cmd, n, &controlv1.UpdateCustomerRequest{Customer: args[0], Blocked: new(blocked)}, said)
		},
	}
	if blocked {
		a.destroys(cmd)
	} else {
		a.writes(cmd)
	}
	return cmd
}

func (a *app) changeCustomer(cmd *cobra.Command, n noun[*controlv1.Customer], req *controlv1.UpdateCustomerRequest, said string) error {
	return a.with(cmd, func(ctx context.Context, c clients) error {
		res, err := c.customers.UpdateCustomer(ctx, req)
		if err != nil {
			return err
		}
		m := res.GetCustomer()
		return a.done(n.result(m), "", "customer %s %s (rev %d)", m.GetName(), said, m.GetRevision())
	})
}
