package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

const budgetColumns = `o.id, o.name, ` + scopeColumns + `,
	o.amount_nanos, o.period, o.days, o.time_zone, o.soft, o.overdraft_nanos, o.warn_percents, o.raise_nanos, o.raise_until,
	o.opening_nanos, o.opening_time, o.account_id, o.gen, o.revision, o.create_time, o.update_time, ` + managedBy + `('budget', o.id)` + orNobody

const budgetTables = ` FROM control.budget o ` + scopeTables

const (
	selectBudget      = `SELECT ` + budgetColumns + budgetTables + `WHERE o.id = $1 OR o.name = $1`
	sameBudget        = `o.period = $7 AND o.days = $8 AND ` + sameScope
	selectBudgetsLike = `SELECT o.name, ` + sameBudget + ` FROM control.budget o WHERE o.name = $1 OR ` + sameBudget
	insertBudget      = `
		INSERT INTO control.budget (id, name, key_id, team_id, customer, tag, endpoint_id, amount_nanos, period, days, time_zone,
			soft, overdraft_nanos, warn_percents, gen, revision, create_time, update_time, opening_nanos, opening_time)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17, $18, $19)
		RETURNING account_id`
	updateBudget = `
		UPDATE control.budget SET amount_nanos = $2, soft = $3, overdraft_nanos = $4, warn_percents = $5,
			raise_nanos = $6, raise_until = $7, gen = $8, revision = $9, update_time = $10
		WHERE id = $1`
	deleteBudget = `DELETE FROM control.budget WHERE id = $1`
)

func scanBudget(row pgx.CollectableRow) (registry.Budget, error) {
	var b registry.Budget
	var until, opened *time.Time
	err := row.Scan(&b.ID, &b.Name, &b.Scope, &b.ScopeID, &b.ScopeName, &b.TeamID,
		&b.Amount, &b.Period, &b.Days, &b.Zone, &b.Soft, &b.Overdraft, &b.Warn, &b.Raise.By, &until, &b.Opening.Spent, &opened,
		&b.AccountID, &b.Gen, &b.Revision, &b.Created, &b.Updated, &b.ManagedBy)
	if until != nil {
		b.Raise.Until = until.UTC()
	}
	if opened != nil {
		b.Opening.Time = opened.UTC()
	}
	return b, err
}

// Budget finds a budget by id or name. One outside of the scope does not exist.
func (s *Store) Budget(ctx context.Context, in access.Scope, ref string) (registry.Budget, error) {
	b, err := findBudget(ctx, s.db(ctx), ref)
	if err == nil {
		err = inReach(in, &b.Scoped, "budget", ref)
	}
	return b, translate(err)
}

func findBudget(ctx context.Context, db querier, ref string) (registry.Budget, error) {
	return findOne(ctx, db, "budget", ref, selectBudget, scanBudget)
}

// CreateBudget stores a new budget. Its ScopeName is an id or a name, as it was asked for.
func (s *Store) CreateBudget(ctx context.Context, actor string, in access.Scope, b registry.Budget, p *registry.Problems) (registry.Budget, error) {
	asked := b
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		b = asked
		if b.Zone == "" {
			settings, err := findSettings(ctx, c)
			if err != nil {
				return err
			}
			b.Zone = settings.TimeZone()
		}
		b.Normalize()
		if err := c.addBudget(ctx, in, &b, p); err != nil {
			return err
		}
		if b.Scope != registry.ScopeCustomer {
			return nil
		}
		_, _, err := c.meetCustomer(ctx, b.ScopeName, false, false)
		return err
	})
	return b, err
}

// addBudget writes a new, normalized budget that passes the rules.
func (c *change) addBudget(ctx context.Context, in access.Scope, b *registry.Budget, p *registry.Problems) error {
	b.ID, b.ScopeID, b.TeamID, b.Gen, b.Raise = id.New(id.Budget), "", "", 0, registry.Raise{}
	if err := c.checkBudget(ctx, in, b, p.Clone()); err != nil {
		return err
	}
	b.Revision, b.Created, b.Updated = c.revision, c.now, c.now
	var opened *time.Time
	if b.Opening.Spent == 0 {
		b.Opening.Time = time.Time{}
	} else {
		if b.Opening.Time.IsZero() {
			b.Opening.Time = c.now.Truncate(time.Second)
		}
		opened = &b.Opening.Time
	}
	args := append([]any{b.ID, b.Name}, scopeArgs(&b.Scoped)...)
	args = append(args, b.Amount, int16(b.Period), b.Days, b.Zone, b.Soft, b.Overdraft, warnings(b), b.Gen, b.Revision, b.Created, b.Opening.Spent, opened)
	if err := c.QueryRow(ctx, insertBudget, args...).Scan(&b.AccountID); err != nil {
		return fmt.Errorf("write budget: %w", err)
	}
	c.record("create", "budget", b.ID, nil, *b)
	return c.touchBudget(ctx, b)
}

// warnings are never NULL.
func warnings(b *registry.Budget) []uint32 { return append([]uint32{}, b.Warn...) }

func (c *change) checkBudget(ctx context.Context, in access.Scope, b *registry.Budget, p *registry.Problems) error {
	var facts registry.BudgetFacts
	if err := c.findScope(ctx, &b.Scoped); err == nil {
		facts.ScopeFound = true
	} else if !errors.Is(err, fault.New(fault.ObjectNotFound, "")) {
		return err
	}
	if err := mayWrite(in, &b.Scoped, "budgets"); err != nil {
		return err
	}
	others, err := c.findLikes(ctx, selectBudgetsLike, b.Name, &b.Scoped, int16(b.Period), b.Days)
	if err != nil {
		return err
	}
	for _, o := range others {
		facts.NameTaken = facts.NameTaken || o.Name == b.Name
		if o.Same {
			facts.SamePeriod = o.Name
		}
	}
	b.Check(p, facts)
	return p.Err("the budget")
}

// touchBudget marks the ledger's shard and what tells edges of the account.
func (c *change) touchBudget(ctx context.Context, b *registry.Budget) error {
	c.touch(contract.ConfigAccounts(contract.AccountShardOf(b.AccountID)))
	return c.touchScope(ctx, &b.Scoped)
}

// UpdateBudget changes a budget's settings.
func (s *Store) UpdateBudget(ctx context.Context, actor string, in access.Scope, ref string, patch registry.BudgetPatch, etag string, p *registry.Problems) (registry.Budget, error) {
	return s.changeBudget(ctx, actor, in, "update", ref, etag, func(b *registry.Budget, now time.Time) error {
		problems := p.Clone()
		if !b.Raised(now) {
			b.Raise = registry.Raise{} // what is over bounds nothing
		}
		b.Apply(patch)
		b.CheckSettings(problems)
		return problems.Err("the budget")
	})
}

// RaiseBudget raises a budget for a while, in place of an earlier raise.
func (s *Store) RaiseBudget(ctx context.Context, actor string, in access.Scope, ref string, by money.Nanos, end registry.End, etag string, p *registry.Problems) (registry.Budget, error) {
	return s.changeBudget(ctx, actor, in, "raise", ref, etag, func(b *registry.Budget, now time.Time) error {
		problems, none := p.Clone(), b.Raise == registry.Raise{}
		b.SetRaise(by, end, now, problems)
		if err := problems.Err("the raise"); err != nil {
			return err
		}
		if none && by == 0 {
			return errNoChange
		}
		return nil
	})
}

// ResetBudget begins the period of a budget anew: its account has a new generation of windows, in which
// nothing was spent.
func (s *Store) ResetBudget(ctx context.Context, actor string, in access.Scope, ref, etag string) (registry.Budget, error) {
	return s.changeBudget(ctx, actor, in, "reset", ref, etag, func(b *registry.Budget, _ time.Time) error {
		b.Gen++
		return nil
	})
}

// writableBudget finds a budget that a caller may change.
func writableBudget(ctx context.Context, db querier, in access.Scope, ref string) (registry.Budget, error) {
	b, err := findBudget(ctx, db, ref)
	if err == nil {
		err = inReach(in, &b.Scoped, "budget", ref)
	}
	if err == nil {
		err = mayWrite(in, &b.Scoped, "budgets")
	}
	return b, err
}

// changeBudget writes what edit makes of a budget.
func (s *Store) changeBudget(ctx context.Context, actor string, in access.Scope, action, ref, etag string, edit func(b *registry.Budget, now time.Time) error) (registry.Budget, error) {
	var b registry.Budget
	err := s.change(ctx, actor, func(ctx context.Context, c *change) (err error) {
		if b, err = writableBudget(ctx, c, in, ref); err != nil {
			return err
		}
		if err := compareETag("budget", b.Name, etag, b.ETag()); err != nil {
			return err
		}
		old := b
		if err := edit(&b, c.now); err != nil {
			return err
		}
		b.Revision, b.Updated = c.revision, c.now
		var until *time.Time
		if b.Raise.By != 0 {
			until = &b.Raise.Until
		}
		if _, err := c.Exec(ctx, updateBudget, b.ID, b.Amount, b.Soft, b.Overdraft, warnings(&b), b.Raise.By, until, b.Gen, b.Revision, b.Updated); err != nil {
			return fmt.Errorf("write budget: %w", err)
		}
		c.record(action, "budget", b.ID, old, b)
		return c.touchBudget(ctx, &b)
	})
	return b, err
}

// DeleteBudget removes a budget; the ledger keeps what was spent.
func (s *Store) DeleteBudget(ctx context.Context, actor string, in access.Scope, ref, etag string) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		b, err := writableBudget(ctx, c, in, ref)
		if err != nil {
			return err
		}
		if err := compareETag("budget", b.Name, etag, b.ETag()); err != nil {
			return err
		}
		return c.removeBudget(ctx, &b)
	})
}

func (c *change) removeBudget(ctx context.Context, b *registry.Budget) error {
	if _, err := c.Exec(ctx, deleteBudget, b.ID); err != nil {
		return fmt.Errorf("delete budget: %w", err)
	}
	c.record("delete", "budget", b.ID, *b, nil)
	return c.touchBudget(ctx, b)
}
