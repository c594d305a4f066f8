package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

const customerColumns = `o.name, o.display_name, o.blocked, o.metadata, o.first_sight, coalesce(o.budget_id, ''), o.revision, o.create_time,
	` + managedBy + `('customer', o.name)` + orNobody

const (
	selectCustomer = `SELECT ` + customerColumns + ` FROM control.customer o WHERE o.name = $1`
	insertCustomer = `
		INSERT INTO control.customer (name, display_name, blocked, metadata, first_sight, budget_id, revision, create_time)
		VALUES ($1, $2, $3, $4, $5, nullif($6, ''), $7, $8)`
	updateCustomer      = `UPDATE control.customer SET display_name = $2, blocked = $3, metadata = $4, revision = $5 WHERE name = $1`
	deleteCustomer      = `DELETE FROM control.customer WHERE name = $1`
	customerExists      = `SELECT EXISTS (SELECT FROM control.customer o WHERE o.name = $1)`
	customerHasBudget   = `SELECT EXISTS (SELECT FROM control.budget o WHERE o.customer = $1)`
	budgetNamesTaken    = `SELECT o.name FROM control.budget o WHERE o.name = ANY($1)`
	selectCustomerKeys  = `SELECT k.name FROM control.key k WHERE k.customer = $1 AND k.customer <> '' AND k.revoke_time IS NULL ORDER BY k.name`
	selectOtherBudgets  = `SELECT o.name FROM control.budget o WHERE o.customer = $1 AND o.id <> $2 ORDER BY o.name`
	selectCustomerLimit = `SELECT o.name FROM control.traffic_limit o WHERE o.customer = $1 ORDER BY o.name`

	// What edges are told of customers: who is refused, and who is known and has no budget by which that would show.
	selectBlocked   = `SELECT o.name FROM control.customer o WHERE o.blocked ORDER BY o.name`
	selectUnbounded = `
		SELECT o.name FROM control.customer o
		WHERE NOT o.blocked AND NOT EXISTS (SELECT FROM control.budget b WHERE b.customer = o.name) ORDER BY o.name`
)

func scanCustomer(row pgx.CollectableRow) (registry.Customer, error) {
	var v registry.Customer
	var metadata []byte
	err := row.Scan(&v.Name, &v.DisplayName, &v.Blocked, &metadata, &v.FirstSight, &v.BudgetID, &v.Revision, &v.Created, &v.ManagedBy)
	v.Metadata = metadata
	return v, err
}

// Customer finds a customer by name.
func (s *Store) Customer(ctx context.Context, name string) (registry.Customer, error) {
	v, err := findCustomer(ctx, s.db(ctx), name)
	return v, translate(err)
}

func findCustomer(ctx context.Context, db querier, name string) (registry.Customer, error) {
	return findOne(ctx, db, "customer", name, selectCustomer, scanCustomer)
}

// CreateCustomer stores a new customer, with the budget that the settings have for new ones if that is asked for.
func (s *Store) CreateCustomer(ctx context.Context, actor string, v registry.Customer, withBudget bool, p *registry.Problems) (registry.Customer, error) {
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		v.FirstSight = false
		var taken bool
		if !strings.ContainsRune(v.Name, 0) {
			if err := c.QueryRow(ctx, customerExists, v.Name).Scan(&taken); err != nil {
				return fmt.Errorf("read customer: %w", err)
			}
		}
		problems := p.Clone()
		v.Check(problems, taken)
		settings, err := findSettings(ctx, c)
		if err != nil {
			return err
		}
		if !withBudget {
			settings.Customers.Budget = nil
		} else if settings.Customers.Budget == nil {
			problems.Add("default_budget", registry.Forbidden, "The settings have no budget for new customers: set one, or leave this out.")
		}
		if err := problems.Err("the customer"); err != nil {
			return err
		}
		return c.addCustomer(ctx, &v, &settings)
	})
	return v, err
}

// SeeCustomer tells of a customer that a request has named. If it is new, and the settings want that, it is created, with its
// budget, in one change. It returns the revision at which the customer is there, and whether it is.
func (s *Store) SeeCustomer(ctx context.Context, actor, name string) (revision int64, known bool, err error) {
	if !contract.ValidLabel(name) {
		return 0, false, nil
	}
	v, err := s.Customer(ctx, name)
	if err == nil {
		return v.Revision, true, nil
	}
	if !errors.Is(err, fault.New(fault.ObjectNotFound, "")) {
		return 0, false, err
	}
	err = s.change(ctx, actor, func(ctx context.Context, c *change) error {
		known, revision = false, 0
		v, err := findCustomer(ctx, c, name)
		if errors.Is(err, fault.New(fault.ObjectNotFound, "")) {
			if v, known, err = c.meetCustomer(ctx, name, true, true); err == nil && !known {
				return errNoChange
			}
			revision = v.Revision
			return err
		}
		if err != nil {
			return err
		}
		revision, known = v.Revision, true
		return errNoChange
	})
	return revision, known, translate(err)
}

// meetCustomer creates a customer that something names, if there is none of the name and the settings want that.
func (c *change) meetCustomer(ctx context.Context, name string, withBudget, firstSight bool) (registry.Customer, bool, error) {
	if !contract.ValidLabel(name) {
		return registry.Customer{}, false, nil
	}
	settings, err := findSettings(ctx, c)
	if err != nil || !settings.Customers.Create {
		return registry.Customer{}, false, err
	}
	var there bool
	if err := c.QueryRow(ctx, customerExists, name).Scan(&there); err != nil || there {
		return registry.Customer{}, there, err
	}
	if !withBudget {
		settings.Customers.Budget = nil
	}
	v := registry.Customer{Name: name, FirstSight: firstSight}
	return v, true, c.addCustomer(ctx, &v, &settings)
}

// addCustomer writes a customer that is new, and its budget if the settings have one. Whoever has a budget already keeps to that.
func (c *change) addCustomer(ctx context.Context, v *registry.Customer, settings *registry.Settings) error {
	v.Revision, v.Created, v.BudgetID = c.revision, c.now, ""
	var has bool
	if err := c.QueryRow(ctx, customerHasBudget, v.Name).Scan(&has); err != nil {
		return fmt.Errorf("read budgets: %w", err)
	}
	if d := settings.Customers.Budget; d != nil && !has {
		b, err := c.addDefaultBudget(ctx, "customer", v.Name, d.Of("", v.Scoped(), settings.TimeZone()))
		if err != nil {
			return err
		}
		v.BudgetID = b.ID
	}
	if _, err := c.Exec(ctx, insertCustomer, v.Name, v.DisplayName, v.Blocked, v.Metadata, v.FirstSight, v.BudgetID, v.Revision, v.Created); err != nil {
		return fmt.Errorf("write customer: %w", err)
	}
	c.touch(contract.ConfigRoutes)
	c.record("create", "customer", v.Name, nil, *v)
	return nil
}

// addDefaultBudget gives something new its budget, under a name that is free.
func (c *change) addDefaultBudget(ctx context.Context, kind, of string, b registry.Budget) (registry.Budget, error) {
	names := registry.BudgetNames(kind, of)
	taken, err := list(ctx, c, "names of budgets", pgx.RowTo[string], budgetNamesTaken, names[:])
	if err != nil {
		return b, err
	}
	b.Name = names[len(names)-1]
	for _, name := range names {
		if !slices.Contains(taken, name) {
			b.Name = name
			break
		}
	}
	b.Normalize()
	return b, c.addBudget(ctx, access.Scope{Everywhere: true}, &b, nil)
}

// UpdateCustomer changes a customer.
func (s *Store) UpdateCustomer(ctx context.Context, actor, name string, patch registry.CustomerPatch, etag string, p *registry.Problems) (registry.Customer, error) {
	var v registry.Customer
	err := s.change(ctx, actor, func(ctx context.Context, c *change) (err error) {
		if v, err = findCustomer(ctx, c, name); err != nil {
			return err
		}
		if err := compareETag("customer", v.Name, etag, v.ETag()); err != nil {
			return err
		}
		old, problems := v, p.Clone()
		v.Apply(patch)
		v.CheckSettings(problems)
		if err := problems.Err("the customer"); err != nil {
			return err
		}
		v.Revision = c.revision
		if _, err := c.Exec(ctx, updateCustomer, v.Name, v.DisplayName, v.Blocked, v.Metadata, v.Revision); err != nil {
			return fmt.Errorf("write customer: %w", err)
		}
		if v.Blocked != old.Blocked {
			c.touch(contract.ConfigRoutes)
		}
		c.record("update", "customer", v.Name, old, v)
		return nil
	})
	return v, err
}

// DeleteCustomer removes a customer that nothing refers to but the budget that it was created with, which goes with it.
func (s *Store) DeleteCustomer(ctx context.Context, actor, name, etag string) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		v, err := findCustomer(ctx, c, name)
		if err != nil {
			return err
		}
		if err := compareETag("customer", v.Name, etag, v.ETag()); err != nil {
			return err
		}
		if err := c.customerIsFree(ctx, &v); err != nil {
			return err
		}
		if _, err := c.Exec(ctx, deleteCustomer, v.Name); err != nil {
			return fmt.Errorf("delete customer: %w", err)
		}
		if v.BudgetID != "" {
			b, err := findBudget(ctx, c, v.BudgetID)
			if err != nil {
				return err
			}
			if err := c.removeBudget(ctx, &b); err != nil {
				return err
			}
		}
		c.touch(contract.ConfigRoutes)
		c.record("delete", "customer", v.Name, v, nil)
		return nil
	})
}

func (c *change) customerIsFree(ctx context.Context, v *registry.Customer) error {
	for _, h := range []struct {
		what, sql, hint string
		args            []any
	}{
		{"budgets", selectOtherBudgets, "Delete them first.", []any{v.Name, v.BudgetID}},
		{"limits", selectCustomerLimit, "Delete them first.", []any{v.Name}},
		{"keys", selectCustomerKeys, "Revoke these keys, or have them name another customer.", []any{v.Name}},
	} {
		all, err := list(ctx, c, h.what, pgx.RowTo[string], h.sql, h.args...)
		if err != nil {
			return err
		}
		if len(all) > 0 {
			return fault.New(fault.FailedPrecondition, "Customer %s has %s: %s.", v.Name, h.what, names(all)).WithHint("%s", h.hint)
		}
	}
	return nil
}
