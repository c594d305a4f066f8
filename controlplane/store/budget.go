package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

const budgetColumns = `b.id, b.name,
	CASE WHEN b.key_id IS NOT NULL THEN 'key' WHEN b.endpoint_id IS NOT NULL THEN 'endpoint' ELSE 'everything' END,
	coalesce(b.key_id, b.endpoint_id, ''), coalesce(k.name, e.name, ''),
	b.amount_nanos, b.period, b.time_zone, b.account_id, b.gen, b.revision, b.create_time, b.update_time`

const budgetTables = ` FROM control.budget b
	LEFT JOIN control.key k ON k.id = b.key_id
	LEFT JOIN control.endpoint e ON e.id = b.endpoint_id `

const (
	selectBudget      = `SELECT ` + budgetColumns + budgetTables + `WHERE b.id = $1 OR b.name = $1`
	selectBudgetPage  = `SELECT ` + budgetColumns + budgetTables + `WHERE b.name > $1 ORDER BY b.name LIMIT $2`
	selectBudgetsLike = `SELECT b.name, b.period = $4 AND b.key_id IS NOT DISTINCT FROM $2 AND b.endpoint_id IS NOT DISTINCT FROM $3
		FROM control.budget b
		WHERE b.name = $1 OR b.period = $4 AND b.key_id IS NOT DISTINCT FROM $2 AND b.endpoint_id IS NOT DISTINCT FROM $3`
	insertBudget = `
		INSERT INTO control.budget (id, name, key_id, endpoint_id, amount_nanos, period, time_zone, gen, revision, create_time, update_time)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
		RETURNING account_id`
	updateBudget = `UPDATE control.budget SET amount_nanos = $2, revision = $3, update_time = $4 WHERE id = $1`
	deleteBudget = `DELETE FROM control.budget WHERE id = $1`
)

func scanBudget(row pgx.CollectableRow) (registry.Budget, error) {
	var b registry.Budget
	err := row.Scan(&b.ID, &b.Name, &b.Scope, &b.ScopeID, &b.ScopeName,
		&b.Amount, &b.Period, &b.Zone, &b.AccountID, &b.Gen, &b.Revision, &b.Created, &b.Updated)
	return b, err
}

// Budget finds a budget by id or name.
func (s *Store) Budget(ctx context.Context, ref string) (registry.Budget, error) {
	b, err := findBudget(ctx, s.pool, ref)
	return b, translate(err)
}

func findBudget(ctx context.Context, db querier, ref string) (registry.Budget, error) {
	return findOne(ctx, db, "budget", ref, selectBudget, scanBudget)
}

// Budgets lists budgets by name.
func (s *Store) Budgets(ctx context.Context, page Page) ([]registry.Budget, string, error) {
	after, limit, err := page.open()
	if err != nil {
		return nil, "", err
	}
	all, err := list(ctx, s.pool, "budgets", scanBudget, selectBudgetPage, after, limit)
	if err != nil {
		return nil, "", translate(err)
	}
	all, next := closePage(all, limit, func(b *registry.Budget) string { return b.Name })
	return all, next, nil
}

// CreateBudget stores a new budget. Its ScopeName is an id or a name, as it was asked for.
func (s *Store) CreateBudget(ctx context.Context, actor string, b registry.Budget, p *registry.Problems) (registry.Budget, error) {
	b.Normalize()
	asked := b.ScopeName
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		b.ID, b.ScopeName, b.ScopeID, b.Gen = id.New(id.Budget), asked, "", 0
		if err := c.checkBudget(ctx, &b, p.Clone()); err != nil {
			return err
		}
		b.Revision, b.Created, b.Updated = c.revision, c.now, c.now
		key, endpoint := scopeIDs(&b)
		row := c.QueryRow(ctx, insertBudget, b.ID, b.Name, key, endpoint, b.Amount, int16(b.Period), b.Zone, b.Gen, b.Revision, b.Created)
		if err := row.Scan(&b.AccountID); err != nil {
			return fmt.Errorf("write budget: %w", err)
		}
		if err := c.touchBudget(ctx, &b); err != nil {
			return err
		}
		c.record("create", "budget", b.ID, nil, b)
		return nil
	})
	return b, err
}

// scopeIDs are the two columns of which at most one is set.
func scopeIDs(b *registry.Budget) (key, endpoint *string) {
	switch {
	case b.Scope == registry.ScopeKey:
		return &b.ScopeID, nil
	case b.Scope == registry.ScopeEndpoint:
		return nil, &b.ScopeID
	}
	return nil, nil
}

func (c *change) checkBudget(ctx context.Context, b *registry.Budget, p *registry.Problems) error {
	var facts registry.BudgetFacts
	if err := c.findScope(ctx, b); err == nil {
		facts.ScopeFound = true
	} else if !errors.Is(err, fault.New(fault.ObjectNotFound, "")) {
		return err
	}
	if !strings.ContainsRune(b.Name, 0) {
		type like struct {
			Name string
			Same bool
		}
		key, endpoint := scopeIDs(b)
		others, err := list(ctx, c, "budgets like it", pgx.RowToStructByPos[like], selectBudgetsLike, b.Name, key, endpoint, int16(b.Period))
		if err != nil {
			return err
		}
		for _, o := range others {
			facts.NameTaken = facts.NameTaken || o.Name == b.Name
			if o.Same {
				facts.SamePeriod = o.Name
			}
		}
	}
	b.Check(p, facts)
	return p.Err("the budget")
}

// findScope turns what was asked for into an id and a name.
func (c *change) findScope(ctx context.Context, b *registry.Budget) error {
	switch b.Scope {
	case registry.ScopeKey:
		k, err := findKey(ctx, c, b.ScopeName)
		if err != nil {
			return err
		}
		b.ScopeID, b.ScopeName = k.ID, k.Name
	case registry.ScopeEndpoint:
		e, err := findEndpoint(ctx, c, b.ScopeName)
		if err != nil {
			return err
		}
		b.ScopeID, b.ScopeName = e.ID, e.Name
	case registry.ScopeEverything:
	}
	return nil
}

// touchBudget marks the ledger's shard and what tells edges of the account.
func (c *change) touchBudget(ctx context.Context, b *registry.Budget) error {
	c.touch(contract.ConfigAccounts(contract.AccountShardOf(b.AccountID)))
	if b.Scope != registry.ScopeKey {
		c.touch(contract.ConfigRoutes)
		return nil
	}
	var shard uint32
	if err := c.QueryRow(ctx, selectKeyShard, b.ScopeID).Scan(&shard); err != nil {
		return fmt.Errorf("read shard of key: %w", err)
	}
	c.touch(contract.ConfigKeys(shard))
	return nil
}

// UpdateBudget changes a budget's amount.
func (s *Store) UpdateBudget(ctx context.Context, actor, ref string, amount money.Nanos, etag string, p *registry.Problems) (registry.Budget, error) {
	var b registry.Budget
	err := s.change(ctx, actor, func(ctx context.Context, c *change) (err error) {
		if b, err = findBudget(ctx, c, ref); err != nil {
			return err
		}
		if err := compareETag("budget", b.Name, etag, b.ETag()); err != nil {
			return err
		}
		problems := p.Clone()
		registry.CheckAmount(problems, "amount", amount)
		if err := problems.Err("the budget"); err != nil {
			return err
		}
		old := b
		b.Amount, b.Revision, b.Updated = amount, c.revision, c.now
		if _, err := c.Exec(ctx, updateBudget, b.ID, b.Amount, b.Revision, b.Updated); err != nil {
			return fmt.Errorf("write budget: %w", err)
		}
		if err := c.touchBudget(ctx, &b); err != nil {
			return err
		}
		c.record("update", "budget", b.ID, old, b)
		return nil
	})
	return b, err
}

// DeleteBudget removes a budget; the ledger keeps what was spent.
func (s *Store) DeleteBudget(ctx context.Context, actor, ref, etag string) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		b, err := findBudget(ctx, c, ref)
		if err != nil {
			return err
		}
		if err := compareETag("budget", b.Name, etag, b.ETag()); err != nil {
			return err
		}
		if _, err := c.Exec(ctx, deleteBudget, b.ID); err != nil {
			return fmt.Errorf("delete budget: %w", err)
		}
		if err := c.touchBudget(ctx, &b); err != nil {
			return err
		}
		c.record("delete", "budget", b.ID, b, nil)
		return nil
	})
}
