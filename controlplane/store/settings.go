package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
	"tollgate/internal/contract"
)

// What comes between managedBy, the identifier of an object, and orNobody is the owner of the object; empty for none.
const (
	managedBy = `coalesce((SELECT g.owner FROM control.managed g WHERE (g.kind, g.object_id) = `
	orNobody  = `), '')`
)

const (
	selectSettings = `SELECT s.value, s.revision, s.update_time, ` + managedBy + `('settings', '` + registry.SettingsID + `')` + orNobody + ` FROM control.settings s`
	writeSettings  = `
		INSERT INTO control.settings (value, revision, update_time) VALUES ($1, $2, $3)
		ON CONFLICT (one) DO UPDATE SET value = excluded.value, revision = excluded.revision, update_time = excluded.update_time`
	// Whoever has a budget is known from now on, and gets no other.
	adoptCustomers = `
		INSERT INTO control.customer (name, revision, create_time)
		SELECT DISTINCT b.customer, $1::bigint, $2::timestamptz FROM control.budget b WHERE b.customer IS NOT NULL
		ON CONFLICT (name) DO NOTHING`
)

func scanSettings(row pgx.CollectableRow) (registry.Settings, error) {
	var s registry.Settings
	var raw []byte
	if err := row.Scan(&raw, &s.Revision, &s.Updated, &s.ManagedBy); err != nil {
		return s, err
	}
	return s, json.Unmarshal(raw, &s)
}

// Settings reads the settings: the zero value if nobody has changed one.
func (s *Store) Settings(ctx context.Context) (registry.Settings, error) {
	v, err := findSettings(ctx, s.db(ctx))
	return v, translate(err)
}

func findSettings(ctx context.Context, db querier) (registry.Settings, error) {
	rows, err := db.Query(ctx, selectSettings)
	if err != nil {
		return registry.Settings{}, fmt.Errorf("read settings: %w", err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, scanSettings)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return registry.Settings{}, fmt.Errorf("read settings: %w", err)
	}
	return v, nil
}

// UpdateSettings writes what edit makes of the settings. edit adds what it cannot make to its problems, and may be run again.
func (s *Store) UpdateSettings(ctx context.Context, actor, etag string, edit func(*registry.Settings, *registry.Problems), p *registry.Problems) (registry.Settings, error) {
	var v registry.Settings
	err := s.change(ctx, actor, func(ctx context.Context, c *change) (err error) {
		if v, err = findSettings(ctx, c); err != nil {
			return err
		}
		if err := compareETag("settings of", "the deployment", etag, v.ETag()); err != nil {
			return err
		}
		old, problems := v, p.Clone()
		edit(&v, problems)
		v.Check(problems)
		if err := problems.Err("the settings"); err != nil {
			return err
		}
		v.Revision, v.Updated = c.revision, c.now
		raw, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("write settings: %w", err)
		}
		if _, err := c.Exec(ctx, writeSettings, raw, v.Revision, v.Updated); err != nil {
			return fmt.Errorf("write settings: %w", err)
		}
		if v.Customers.Create && !old.Customers.Create {
			if _, err := c.Exec(ctx, adoptCustomers, c.revision, c.now); err != nil {
				return fmt.Errorf("write customers: %w", err)
			}
		}
		c.touch(contract.ConfigRoutes)
		c.record("update", "settings", registry.SettingsID, old, v)
		return nil
	})
	return v, err
}
