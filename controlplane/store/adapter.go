package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

const adapterColumns = `a.id, a.name, a.settings, a.revision, a.create_time, a.update_time,
	coalesce((SELECT g.owner FROM control.managed g WHERE g.kind = 'adapter' AND g.object_id = a.id), '')`

// usedAdapter says whether anything refers to the adapter a.
const usedAdapter = `(EXISTS (SELECT FROM control.endpoint_adapter ea WHERE ea.adapter_id = a.id)
	OR EXISTS (SELECT FROM control.model_adapter ma WHERE ma.adapter_id = a.id))`

const (
	selectAdapter      = `SELECT ` + adapterColumns + ` FROM control.adapter a WHERE a.id = $1 OR a.name = $1`
	selectUsedAdapters = `SELECT ` + adapterColumns + ` FROM control.adapter a WHERE ` + usedAdapter + ` ORDER BY a.name`
	selectAdapterUsers = `
		SELECT 'endpoint ' || e.name FROM control.endpoint_adapter ea JOIN control.endpoint e ON e.id = ea.endpoint_id WHERE ea.adapter_id = $1
		UNION ALL
		SELECT 'model ' || m.name FROM control.model_adapter ma JOIN control.model m ON m.id = ma.model_id WHERE ma.adapter_id = $1
		ORDER BY 1`
	adapterNameTaken = `SELECT EXISTS (SELECT FROM control.adapter a WHERE a.name = $1 AND a.id <> $2)`
	insertAdapter    = `
		INSERT INTO control.adapter (id, name, settings, revision, create_time, update_time) VALUES ($1, $2, $3, $4, $5, $6)`
	updateAdapter = `
		UPDATE control.adapter SET name = $2, settings = $3, revision = $4, create_time = $5, update_time = $6 WHERE id = $1`
	deleteAdapter        = `DELETE FROM control.adapter WHERE id = $1`
	deleteAdapterSecrets = `DELETE FROM control.adapter_secret WHERE adapter_id = $1`
	insertAdapterSecrets = `INSERT INTO control.adapter_secret (adapter_id, secret_id) SELECT $1, unnest($2::text[])`
)

// adapterSettings is what is stored of an adapter beside its name.
type adapterSettings struct {
	Target   registry.Target   `json:"target"`
	Timeout  time.Duration     `json:"timeout_ns"`
	MaxBytes int64             `json:"max_bytes"`
	Headers  []registry.Header `json:"headers,omitempty"`
}

func scanAdapter(row pgx.CollectableRow) (registry.Adapter, error) {
	var a registry.Adapter
	var raw []byte
	if err := row.Scan(&a.ID, &a.Name, &raw, &a.Revision, &a.Created, &a.Updated, &a.ManagedBy); err != nil {
		return a, err
	}
	var s adapterSettings
	if err := json.Unmarshal(raw, &s); err != nil {
		return a, fmt.Errorf("settings of adapter %s: %w", a.ID, err)
	}
	a.Target, a.Timeout, a.MaxBytes, a.Headers = s.Target, s.Timeout, s.MaxBytes, s.Headers
	return a, nil
}

func settingsOfAdapter(a *registry.Adapter) ([]byte, error) {
	raw, err := json.Marshal(adapterSettings{a.Target, a.Timeout, a.MaxBytes, a.Headers})
	if err != nil {
		return nil, fmt.Errorf("settings of adapter %s: %w", a.ID, err)
	}
	return raw, nil
}

// Adapter finds an adapter by id or name.
func (s *Store) Adapter(ctx context.Context, ref string) (registry.Adapter, error) {
	a, err := findAdapter(ctx, s.db(ctx), ref)
	return a, translate(err)
}

func findAdapter(ctx context.Context, db querier, ref string) (registry.Adapter, error) {
	return findOne(ctx, db, "adapter", ref, selectAdapter, scanAdapter)
}

// CreateAdapter stores a new adapter. What was found wrong with the request before goes into p.
func (s *Store) CreateAdapter(ctx context.Context, actor string, a registry.Adapter, p *registry.Problems) (registry.Adapter, error) {
	a.Normalize()
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		a.ID = id.New(id.Adapter)
		secrets, err := c.checkAdapter(ctx, &a, p.Clone())
		if err != nil {
			return err
		}
		a.Revision, a.Created, a.Updated = c.revision, c.now, c.now
		if err := c.writeAdapter(ctx, insertAdapter, &a, secrets); err != nil {
			return err
		}
		c.record("create", "adapter", a.ID, nil, a)
		return nil
	})
	return a, err
}

// UpdateAdapter replaces the settings of the adapter with a's id or, without one, a's name. An empty etag skips the
// comparison. Settings that are those it has make no revision.
func (s *Store) UpdateAdapter(ctx context.Context, actor string, a registry.Adapter, etag string, p *registry.Problems) (registry.Adapter, error) {
	a.Normalize()
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		ref := a.ID
		if ref == "" {
			ref = a.Name
		}
		old, err := findAdapter(ctx, c, ref)
		if err != nil {
			return err
		}
		if err := compareETag("adapter", old.Name, etag, old.ETag()); err != nil {
			return err
		}
		a.ID, a.ManagedBy = old.ID, old.ManagedBy
		secrets, err := c.checkAdapter(ctx, &a, p.Clone())
		if err != nil {
			return err
		}
		if a.Name != old.Name {
			if err := c.refuseUsed(ctx, &old); err != nil {
				return err
			}
		}
		if same, err := sameAdapter(&a, &old); err != nil {
			return err
		} else if same {
			a = old
			return errNoChange
		}
		a.Revision, a.Created, a.Updated = c.revision, old.Created, c.now
		if err := c.writeAdapter(ctx, updateAdapter, &a, secrets); err != nil {
			return err
		}
		c.record("update", "adapter", a.ID, old, a)
		return nil
	})
	return a, err
}

// sameAdapter says whether an update would store what is there already.
func sameAdapter(a, old *registry.Adapter) (bool, error) {
	next, err := settingsOfAdapter(a)
	if err != nil {
		return false, err
	}
	before, err := settingsOfAdapter(old)
	return a.Name == old.Name && bytes.Equal(next, before), err
}

// checkAdapter runs the rules and returns the ids of the secrets that a refers to.
func (c *change) checkAdapter(ctx context.Context, a *registry.Adapter, p *registry.Problems) (secrets []string, err error) {
	var facts registry.AdapterFacts
	if !strings.ContainsRune(a.Name, 0) {
		if err := c.QueryRow(ctx, adapterNameTaken, a.Name, a.ID).Scan(&facts.NameTaken); err != nil {
			return nil, fmt.Errorf("read adapter: %w", err)
		}
	}
	if secrets, facts.Secrets, err = c.known(ctx, "secrets", selectKnownSecrets, a.SecretRefs()); err != nil {
		return nil, err
	}
	a.Check(p, facts)
	return secrets, p.Err("the adapter")
}

func (c *change) writeAdapter(ctx context.Context, sql string, a *registry.Adapter, secrets []string) error {
	settings, err := settingsOfAdapter(a)
	if err != nil {
		return err
	}
	var b pgx.Batch
	b.Queue(sql, a.ID, a.Name, settings, a.Revision, a.Created, a.Updated)
	b.Queue(deleteAdapterSecrets, a.ID)
	b.Queue(insertAdapterSecrets, a.ID, secrets)
	if err := c.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("write adapter: %w", err)
	}
	c.touch(contract.ConfigRoutes)
	return nil
}

// DeleteAdapter removes an adapter that nothing refers to.
func (s *Store) DeleteAdapter(ctx context.Context, actor, ref, etag string) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		old, err := findAdapter(ctx, c, ref)
		if err != nil {
			return err
		}
		if err := compareETag("adapter", old.Name, etag, old.ETag()); err != nil {
			return err
		}
		if err := c.refuseUsed(ctx, &old); err != nil {
			return err
		}
		if _, err := c.Exec(ctx, deleteAdapter, old.ID); err != nil {
			return fmt.Errorf("delete adapter: %w", err)
		}
		c.record("delete", "adapter", old.ID, old, nil)
		return nil
	})
}

// refuseUsed keeps an adapter under its name as long as something refers to it.
func (c *change) refuseUsed(ctx context.Context, a *registry.Adapter) error {
	users, err := list(ctx, c, "users of adapter", pgx.RowTo[string], selectAdapterUsers, a.ID)
	if err != nil || len(users) == 0 {
		return err
	}
	return fault.New(fault.FailedPrecondition, "Adapter %s is used by: %s.", a.Name, names(users)).
		WithHint("Take it out of them first.")
}
