package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/fault"
)

// Owned is an object that a file owns.
type Owned struct {
	Kind, ID, Name, Owner string
	Settings              json.RawMessage // what the file said of it when it was last applied
	Revision              int64
	Applied               time.Time
}

// LastChange is who changed an object last.
type LastChange struct {
	Actor string
	Time  time.Time
}

const (
	ownedColumns  = `m.kind, m.object_id, m.name, m.owner, m.settings, m.revision, m.apply_time`
	selectOwned   = `SELECT ` + ownedColumns + ` FROM control.managed m WHERE m.owner = $1 OR $1 = '' ORDER BY m.kind, m.name`
	selectOwnedOf = `
		SELECT ` + ownedColumns + ` FROM control.managed m
		WHERE (m.kind, m.object_id) IN (SELECT u.kind, u.id FROM unnest($1::text[], $2::text[]) AS u (kind, id)) ORDER BY m.kind, m.name`
	// What is written again by the same file as it was stays as it is, so that nothing is written where nothing changes.
	upsertOwned = `
		INSERT INTO control.managed AS m (kind, object_id, name, owner, settings, revision, apply_time)
		SELECT u.kind, u.id, u.name, $4, u.settings, $6, $7 FROM unnest($1::text[], $2::text[], $3::text[], $5::jsonb[]) AS u (kind, id, name, settings)
		ON CONFLICT (kind, object_id) DO UPDATE SET name = excluded.name, owner = excluded.owner, settings = excluded.settings,
			revision = excluded.revision, apply_time = excluded.apply_time
		WHERE (m.name, m.owner, m.settings) IS DISTINCT FROM (excluded.name, excluded.owner, excluded.settings)
		RETURNING m.name`
	deleteOwned = `
		DELETE FROM control.managed m USING unnest($1::text[], $2::text[]) AS u (kind, id) WHERE m.kind = u.kind AND m.object_id = u.id`
	// An object that was deleted by other means and made again has another id.
	deleteNamesakes = `
		DELETE FROM control.managed m USING unnest($1::text[], $2::text[], $3::text[]) AS u (kind, id, name)
		WHERE m.kind = u.kind AND m.name = u.name AND m.object_id <> u.id`
	releaseOwned     = `DELETE FROM control.managed m WHERE m.owner = $1`
	selectLastChange = `SELECT a.actor, a.at FROM control.audit a WHERE a.kind = $1 AND a.object_id = $2 ORDER BY a.revision DESC LIMIT 1`
	selectEnvelopeOf = `SELECT s.envelope FROM control.secret s WHERE s.name = $1`

	insertPlan  = `INSERT INTO control.plan (id, actor, envelope, digest, expire_time) VALUES ($1, $2, $3, $4, clock_timestamp() + $5)`
	deletePlans = `DELETE FROM control.plan p WHERE p.expire_time < clock_timestamp()`
	selectPlan  = `SELECT p.id, p.actor, p.envelope, p.digest FROM control.plan p WHERE p.id = $1 AND p.expire_time >= clock_timestamp()`
	deletePlan  = `DELETE FROM control.plan p WHERE p.id = $1`
)

func scanOwned(row pgx.CollectableRow) (o Owned, err error) {
	err = row.Scan(&o.Kind, &o.ID, &o.Name, &o.Owner, &o.Settings, &o.Revision, &o.Applied)
	return o, err
}

// Owned lists what an owner owns, by kind and name; what all owners do if it is empty.
func (s *Store) Owned(ctx context.Context, owner string) ([]Owned, error) {
	all, err := list(ctx, s.db(ctx), "managed objects", scanOwned, selectOwned, owner)
	return all, translate(err)
}

// OwnedOf lists what files own of these objects: pairs of kinds and ids.
func (s *Store) OwnedOf(ctx context.Context, kinds, ids []string) ([]Owned, error) {
	all, err := list(ctx, s.db(ctx), "managed objects", scanOwned, selectOwnedOf, kinds, ids)
	return all, translate(err)
}

// Own writes down that an owner owns objects, and what its file says of them, and forgets others. It is a change of its own
// only if that is new.
func (s *Store) Own(ctx context.Context, actor, owner string, all []Owned, forget []Owned) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		var kinds, ids, names, settings []string
		for _, o := range all {
			kinds, ids, names, settings = append(kinds, o.Kind), append(ids, o.ID), append(names, o.Name), append(settings, string(o.Settings))
		}
		written, err := list(ctx, c, "managed objects", pgx.RowTo[string], upsertOwned, kinds, ids, names, owner, settings, c.revision, c.now)
		if err != nil {
			return err
		}
		if len(written) > 0 {
			if _, err := c.Exec(ctx, deleteNamesakes, kinds, ids, names); err != nil {
				return fmt.Errorf("forget what was deleted: %w", err)
			}
		}
		kinds, ids = nil, nil
		for _, o := range forget {
			kinds, ids = append(kinds, o.Kind), append(ids, o.ID)
		}
		gone, err := c.Exec(ctx, deleteOwned, kinds, ids)
		if err != nil {
			return fmt.Errorf("forget owned objects: %w", err)
		}
		if len(written) == 0 && gone.RowsAffected() == 0 {
			return errNoChange
		}
		c.record("apply", "configuration", owner, nil, map[string]any{"name": owner, "managed": len(written), "released": gone.RowsAffected()})
		return nil
	})
}

// Release gives up all that an owner owns, and says how much that was.
func (s *Store) Release(ctx context.Context, actor, owner string) (n int64, err error) {
	err = s.change(ctx, actor, func(ctx context.Context, c *change) error {
		gone, err := c.Exec(ctx, releaseOwned, owner)
		if err != nil {
			return fmt.Errorf("release objects: %w", err)
		}
		if n = gone.RowsAffected(); n == 0 {
			return fault.New(fault.ObjectNotFound, "Nothing is managed by %s.", owner)
		}
		c.record("release", "configuration", owner, nil, map[string]any{"name": owner, "released": n})
		return nil
	})
	return n, err
}

// LastChange tells who changed an object last; the zero value if nobody is known.
func (s *Store) LastChange(ctx context.Context, kind, id string) (LastChange, error) {
	var l LastChange
	err := s.db(ctx).QueryRow(ctx, selectLastChange, kind, id).Scan(&l.Actor, &l.Time)
	if errors.Is(err, pgx.ErrNoRows) {
		return LastChange{}, nil
	}
	if err != nil {
		return LastChange{}, translate(fmt.Errorf("read last change: %w", err))
	}
	return l, nil
}

// SecretEnvelope is the envelope of a secret by its name, so that a value that is given again can be told from one that is new.
func (s *Store) SecretEnvelope(ctx context.Context, name string) ([]byte, error) {
	envelope, err := findOne(ctx, s.db(ctx), "secret", name, selectEnvelopeOf, pgx.RowTo[[]byte])
	return envelope, translate(err)
}

// Plan is a plan that waits to be applied.
type Plan struct {
	ID, Actor string
	Envelope  []byte // of what it was made from
	Digest    []byte // of what it would do
}

// KeepPlan stores a plan for a while, and forgets those whose time is over.
func (s *Store) KeepPlan(ctx context.Context, p Plan, keep time.Duration) error {
	db := s.writer(ctx)
	_, err := db.Exec(ctx, deletePlans)
	if err == nil {
		_, err = db.Exec(ctx, insertPlan, p.ID, p.Actor, p.Envelope, p.Digest, keep)
	}
	if err != nil {
		return translate(fmt.Errorf("keep plan: %w", err))
	}
	return nil
}

// writer is where plans are written, which are no configuration: together with the change that is open, or at once.
func (s *Store) writer(ctx context.Context) executor {
	if c := openChange(ctx); c != nil {
		return c
	}
	return s.pool
}

// Plan finds a plan that is kept.
func (s *Store) Plan(ctx context.Context, ref string) (Plan, error) {
	p, err := findOne(ctx, s.db(ctx), "plan", ref, selectPlan, pgx.RowToStructByPos[Plan])
	return p, translate(err)
}

// DropPlan forgets a plan that was applied, together with the change that is open.
func (s *Store) DropPlan(ctx context.Context, ref string) error {
	if _, err := s.writer(ctx).Exec(ctx, deletePlan, ref); err != nil {
		return translate(fmt.Errorf("drop plan: %w", err))
	}
	return nil
}
