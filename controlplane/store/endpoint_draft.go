package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/internal/pg"
)

// Draft is an endpoint that somebody is about to write.
type Draft struct {
	Endpoint registry.Endpoint // as it would be stored
	State    State
	Wrong    []fault.Violation
	Around   []Neighbour // endpoints whose paths it lies inside, or that lie inside its own
	Book     []PublishedList
	Small    []SmallBudget // hard budgets from which not even one request can be paid
}

// SmallBudget is a budget that is less than what one request costs.
type SmallBudget struct {
	Name, Key string // the key that it is for; empty for none
	Amount    money.Nanos
}

// mostSmall is how many budgets that are too small are told.
const mostSmall = 3

// Of keys, those count that may call the endpoint.
const selectSmallBudgets = `
	SELECT b.name, coalesce(k.name, ''), b.amount_nanos FROM control.budget b LEFT JOIN control.key k ON k.id = b.key_id
	WHERE NOT b.soft AND num_nonnulls(b.team_id, b.customer, b.tag) = 0 AND (b.endpoint_id IS NULL OR b.endpoint_id = $2)
		AND b.amount_nanos + CASE WHEN b.raise_until > clock_timestamp() THEN b.raise_nanos ELSE 0 END < $1
		AND (k.id IS NULL OR k.revoke_time IS NULL AND (NOT k.restricted OR EXISTS (SELECT FROM control.key_endpoint x WHERE x.key_id = k.id AND x.endpoint_id = $2)))
	ORDER BY b.amount_nanos, b.name LIMIT $3`

// Neighbour is an endpoint whose path begins as another's does.
type Neighbour struct {
	Name, Path string
	Inside     bool // it lies inside the other
}

// mostNeighbours is how many endpoints inside of a path are told.
const mostNeighbours = 3

const selectNeighbours = `
	(SELECT e.name, e.path, false FROM control.endpoint e
		WHERE NOT e.exact AND e.id <> $2 AND e.path <> $1 AND (e.path = '/' OR starts_with($1, e.path || '/'))
		ORDER BY length(e.path) DESC LIMIT 1)
	UNION ALL
	(SELECT e.name, e.path, true FROM control.endpoint e
		WHERE NOT $3 AND e.id <> $2 AND e.path <> $1 AND starts_with(e.path, rtrim($1, '/') || '/')
		ORDER BY e.path LIMIT $4)`

// DraftEndpoint checks an endpoint that would be a change of the one with its id or its name, or a new one, and stores nothing. All that
// it reads is as of one revision, and nobody waits for it.
func (s *Store) DraftEndpoint(ctx context.Context, e registry.Endpoint, create bool, p *registry.Problems) (*Draft, error) {
	var d *Draft
	opts := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pg.InTxWith(ctx, s.pool, opts, func(tx pgx.Tx) (err error) {
		d = &Draft{Endpoint: e}
		d.Endpoint.Normalize()
		if d.State, err = readState(ctx, tx); err != nil {
			return err
		}
		c := &change{Tx: tx}
		if !create {
			if err := d.standFor(ctx, c); err != nil {
				return err
			}
		}
		return d.check(ctx, c, p.Clone())
	})
	if err != nil {
		return nil, translate(err)
	}
	return d, nil
}

func (d *Draft) check(ctx context.Context, c *change, p *registry.Problems) error {
	e := &d.Endpoint
	_, err := c.checkEndpoint(ctx, e, p)
	if f, ok := errors.AsType[*fault.Error](err); ok && len(f.Violations) > 0 {
		d.Wrong = f.Violations
	} else if err != nil {
		return err
	}
	if e.Path != "" && !strings.ContainsRune(e.Path, 0) {
		if d.Around, err = list(ctx, c, "endpoints around", pgx.RowToStructByPos[Neighbour], selectNeighbours, e.Path, e.ID, e.Exact, mostNeighbours); err != nil {
			return err
		}
	}
	if cost, fixed := e.Price.Fixed(); fixed {
		if d.Small, err = list(ctx, c, "small budgets", pgx.RowToStructByPos[SmallBudget], selectSmallBudgets, cost, e.ID, mostSmall); err != nil {
			return err
		}
	}
	if d.Book, err = readPublishedLists(ctx, c, []*registry.Endpoint{e}, nil); err != nil {
		return fmt.Errorf("read prices of draft: %w", err)
	}
	return nil
}

// standFor finds the endpoint that the draft would change, and takes over what an update does not change.
func (d *Draft) standFor(ctx context.Context, c *change) error {
	e := &d.Endpoint
	for _, ref := range []string{e.ID, e.Name} {
		if ref == "" {
			continue
		}
		old, err := findEndpoint(ctx, c, ref)
		if err == nil {
			e.ID, e.Disabled, e.ManagedBy, e.Created, e.Updated = old.ID, old.Disabled, old.ManagedBy, old.Created, old.Updated
			e.Revision, e.PriceVersion = old.Revision, old.PriceVersion
			return nil
		}
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != fault.ObjectNotFound {
			return err
		}
	}
	e.ID = ""
	return nil
}
