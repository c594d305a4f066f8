package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
	"tollgate/internal/fault"
)

// A tag is there as soon as a key, a budget or a limit has it, or somebody has described it.
const (
	tagRows = `(
		SELECT n.name, coalesce(t.description, '') AS description, t.revision, t.create_time,
			(SELECT count(*) FROM control.key k WHERE k.tags @> ARRAY[n.name] AND k.tags <> '{}' AND k.revoke_time IS NULL) AS keys,
			(SELECT count(*) FROM control.budget b WHERE b.tag = n.name) AS budgets,
			(SELECT count(*) FROM control.traffic_limit l WHERE l.tag = n.name) AS limits
		FROM (
			SELECT x.name FROM control.tag x
			UNION SELECT b.tag FROM control.budget b WHERE b.tag IS NOT NULL
			UNION SELECT l.tag FROM control.traffic_limit l WHERE l.tag IS NOT NULL
			UNION SELECT unnest(k.tags) FROM control.key k WHERE k.tags <> '{}' AND k.revoke_time IS NULL
		) n LEFT JOIN control.tag t ON t.name = n.name
	) o`
	tagColumns = `o.name, o.description, coalesce(o.revision, 0), o.create_time, o.keys, o.budgets, o.limits,
	` + managedBy + `('tag', o.name)` + orNobody

	selectTag = `SELECT ` + tagColumns + ` FROM ` + tagRows + ` WHERE o.name = $1`
	setTag    = `
		INSERT INTO control.tag (name, description, revision, create_time) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET description = excluded.description, revision = excluded.revision`
	deleteTag = `DELETE FROM control.tag WHERE name = $1`
)

func scanTag(row pgx.CollectableRow) (registry.Tag, error) {
	var t registry.Tag
	var created *time.Time
	err := row.Scan(&t.Name, &t.Description, &t.Revision, &created, &t.Keys, &t.Budgets, &t.Limits, &t.ManagedBy)
	if created != nil {
		t.Created = *created
	}
	return t, err
}

// Tag finds a tag by name.
func (s *Store) Tag(ctx context.Context, name string) (registry.Tag, error) {
	t, err := findTag(ctx, s.db(ctx), name)
	return t, translate(err)
}

func findTag(ctx context.Context, db querier, name string) (registry.Tag, error) {
	return findOne(ctx, db, "tag", name, selectTag, scanTag)
}

// SetTag describes a tag, which is there from then on.
func (s *Store) SetTag(ctx context.Context, actor string, t registry.Tag, p *registry.Problems) (registry.Tag, error) {
	asked := t
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		problems := p.Clone()
		if asked.Check(problems); problems.Err("the tag") != nil {
			return problems.Err("the tag")
		}
		old, err := findTag(ctx, c, asked.Name)
		there := err == nil
		if err != nil && !errors.Is(err, fault.New(fault.ObjectNotFound, "")) {
			return err
		}
		if _, err := c.Exec(ctx, setTag, asked.Name, asked.Description, c.revision, c.now); err != nil {
			return fmt.Errorf("write tag: %w", err)
		}
		if t, err = findTag(ctx, c, asked.Name); err != nil {
			return err
		}
		if !there || old.Revision == 0 {
			c.record("create", "tag", t.Name, nil, t)
		} else {
			c.record("update", "tag", t.Name, old, t)
		}
		return nil
	})
	return t, err
}

// DeleteTag drops the description of a tag. What has the tag keeps it.
func (s *Store) DeleteTag(ctx context.Context, actor, name string) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		t, err := findTag(ctx, c, name)
		if err != nil {
			return err
		}
		if t.Revision == 0 {
			return errNoChange // nobody has described it
		}
		if _, err := c.Exec(ctx, deleteTag, t.Name); err != nil {
			return fmt.Errorf("delete tag: %w", err)
		}
		c.record("delete", "tag", t.Name, t, nil)
		return nil
	})
}
