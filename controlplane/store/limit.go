package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

const limitColumns = `o.id, o.name, ` + scopeColumns + `,
	o.kind, o.amount, o.burst, o.fallback, o.number, o.revision, o.create_time, o.update_time, coalesce(o.owner_id, ''), ` + managedBy + `('limit', o.id)` + orNobody

const limitTables = ` FROM control.traffic_limit o ` + scopeTables

const (
	selectLimit      = `SELECT ` + limitColumns + limitTables + `WHERE o.id = $1 OR o.name = $1`
	sameLimit        = `o.kind = $7 AND ` + sameScope
	selectLimitsLike = `SELECT o.name, ` + sameLimit + ` FROM control.traffic_limit o WHERE o.name = $1 OR ` + sameLimit
	insertLimit      = `
		INSERT INTO control.traffic_limit (id, name, key_id, team_id, customer, tag, endpoint_id, kind, amount, burst,
			fallback, owner_id, revision, create_time, update_time)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, nullif($12, ''), $13, $14, $14)
		RETURNING number`
	updateLimit = `
		UPDATE control.traffic_limit SET amount = $2, burst = $3, fallback = $4, revision = $5, update_time = $6
		WHERE id = $1`
	deleteLimit = `DELETE FROM control.traffic_limit WHERE id = $1`
)

func scanLimit(row pgx.CollectableRow) (registry.Limit, error) {
	var l registry.Limit
	err := row.Scan(&l.ID, &l.Name, &l.Scope, &l.ScopeID, &l.ScopeName, &l.TeamID,
		&l.Kind, &l.Amount, &l.Burst, &l.Fallback, &l.Number, &l.Revision, &l.Created, &l.Updated, &l.Owner, &l.ManagedBy)
	return l, err
}

// Limit finds a limit by id or name. One outside of the scope does not exist.
func (s *Store) Limit(ctx context.Context, in access.Scope, ref string) (registry.Limit, error) {
	l, err := findLimit(ctx, s.db(ctx), ref)
	if err == nil {
		err = inReach(in, &l.Scoped, "limit", ref)
	}
	return l, translate(err)
}

func findLimit(ctx context.Context, db querier, ref string) (registry.Limit, error) {
	return findOne(ctx, db, "limit", ref, selectLimit, scanLimit)
}

// CreateLimit stores a new limit. Its ScopeName is an id or a name, as it was asked for.
func (s *Store) CreateLimit(ctx context.Context, actor string, in access.Scope, l registry.Limit, p *registry.Problems) (registry.Limit, error) {
	l.Normalize()
	asked := l.ScopeName
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		l.ID, l.ScopeName, l.ScopeID, l.TeamID = id.New(id.Limit), asked, "", ""
		if err := c.checkLimit(ctx, in, &l, p.Clone()); err != nil {
			return err
		}
		if err := c.addLimit(ctx, &l); err != nil {
			return err
		}
		c.record("create", "limit", l.ID, nil, l)
		if l.Scope != registry.ScopeCustomer {
			return nil
		}
		_, _, err := c.meetCustomer(ctx, l.ScopeName, true, false)
		return err
	})
	return l, err
}

// addLimit writes a new limit that has passed the rules.
func (c *change) addLimit(ctx context.Context, l *registry.Limit) error {
	l.Revision, l.Created, l.Updated = c.revision, c.now, c.now
	args := append([]any{l.ID, l.Name}, scopeArgs(&l.Scoped)...)
	args = append(args, int16(l.Kind), l.Amount, l.Burst, int16(l.Fallback), l.Owner, l.Revision, l.Created)
	if err := c.QueryRow(ctx, insertLimit, args...).Scan(&l.Number); err != nil {
		return fmt.Errorf("write limit: %w", err)
	}
	return c.touchLimit(ctx, l)
}

func (c *change) checkLimit(ctx context.Context, in access.Scope, l *registry.Limit, p *registry.Problems) error {
	var facts registry.LimitFacts
	if err := c.findScope(ctx, &l.Scoped); err == nil {
		facts.ScopeFound = true
	} else if !errors.Is(err, fault.New(fault.ObjectNotFound, "")) {
		return err
	}
	if err := mayWrite(in, &l.Scoped, "limits"); err != nil {
		return err
	}
	others, err := c.findLikes(ctx, selectLimitsLike, l.Name, &l.Scoped, int16(l.Kind))
	if err != nil {
		return err
	}
	for _, o := range others {
		facts.NameTaken = facts.NameTaken || o.Name == l.Name
		if o.Same {
			facts.SameKind = o.Name
		}
	}
	l.Check(p, facts)
	return p.Err("the limit")
}

// writableLimit finds a limit that a caller may change.
func writableLimit(ctx context.Context, db querier, in access.Scope, ref string) (registry.Limit, error) {
	l, err := findLimit(ctx, db, ref)
	if err == nil {
		err = inReach(in, &l.Scoped, "limit", ref)
	}
	if err == nil {
		err = mayWrite(in, &l.Scoped, "limits")
	}
	return l, err
}

// touchLimit marks the ledger's shard and what tells edges of the limit.
func (c *change) touchLimit(ctx context.Context, l *registry.Limit) error {
	c.touch(contract.ConfigAccounts(contract.AccountShardOf(l.Number)))
	return c.touchScope(ctx, &l.Scoped)
}

// UpdateLimit changes a limit's settings.
func (s *Store) UpdateLimit(ctx context.Context, actor string, in access.Scope, ref string, patch registry.LimitPatch, etag string) (registry.Limit, error) {
	var l registry.Limit
	err := s.change(ctx, actor, func(ctx context.Context, c *change) (err error) {
		if l, err = writableLimit(ctx, c, in, ref); err != nil {
			return err
		}
		if err := compareETag("limit", l.Name, etag, l.ETag()); err != nil {
			return err
		}
		if err := refuseOwned(&l); err != nil {
			return err
		}
		old := l
		l.Apply(patch)
		var p registry.Problems
		l.CheckSettings(&p)
		if err := p.Err("the limit"); err != nil {
			return err
		}
		l.Revision, l.Updated = c.revision, c.now
		if _, err := c.Exec(ctx, updateLimit, l.ID, l.Amount, l.Burst, int16(l.Fallback), l.Revision, l.Updated); err != nil {
			return fmt.Errorf("write limit: %w", err)
		}
		c.record("update", "limit", l.ID, old, l)
		return c.touchLimit(ctx, &l)
	})
	return l, err
}

// DeleteLimit removes a limit.
func (s *Store) DeleteLimit(ctx context.Context, actor string, in access.Scope, ref, etag string) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		l, err := writableLimit(ctx, c, in, ref)
		if err != nil {
			return err
		}
		if err := compareETag("limit", l.Name, etag, l.ETag()); err != nil {
			return err
		}
		if err := refuseOwned(&l); err != nil {
			return err
		}
		if _, err := c.Exec(ctx, deleteLimit, l.ID); err != nil {
			return fmt.Errorf("delete limit: %w", err)
		}
		c.record("delete", "limit", l.ID, l, nil)
		return c.touchLimit(ctx, &l)
	})
}
