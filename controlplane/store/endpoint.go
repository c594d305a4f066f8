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
)

const (
	selectEndpoint        = `SELECT ` + endpointColumns + ` FROM control.endpoint e WHERE e.id = $1 OR e.name = $1`
	selectEndpointsLike   = `SELECT ` + endpointColumns + ` FROM control.endpoint e WHERE (e.path = $1 OR e.name = $2) AND e.id <> $3 ORDER BY e.name`
	setEndpointDisabled   = `UPDATE control.endpoint SET disabled = $2, revision = $3, update_time = $4 WHERE id = $1`
	deleteEndpoint        = `DELETE FROM control.endpoint WHERE id = $1`
	selectGatewayURL      = `SELECT coalesce((SELECT s.value->>'gateway_url' FROM control.settings s), '')`
	selectKnownSecrets    = `SELECT s.id, s.name FROM control.secret s WHERE s.name = ANY($1) ORDER BY s.name`
	deleteEndpointSecrets = `DELETE FROM control.endpoint_secret WHERE endpoint_id = $1`
	deleteEndpointAdapter = `DELETE FROM control.endpoint_adapter WHERE endpoint_id = $1`
	insertEndpointAdapter = `INSERT INTO control.endpoint_adapter (endpoint_id, adapter_id) SELECT $1, a.id FROM control.adapter a WHERE a.name = $2`
	insertEndpointSecrets = `INSERT INTO control.endpoint_secret (endpoint_id, secret_id) SELECT $1, unnest($2::text[])`
	// Names are part of what the ledger and edges say in refusals.
	touchBudgetsOfEndpoint = `
		UPDATE control.budget SET revision = $2, update_time = $3 WHERE endpoint_id = $1
		RETURNING account_id`
	touchLimitsOfEndpoint = `
		UPDATE control.traffic_limit SET revision = $2, update_time = $3 WHERE endpoint_id = $1
		RETURNING number`
	releaseKeys = `
		WITH gone AS (DELETE FROM control.key_endpoint WHERE endpoint_id = $1 RETURNING key_id),
			k AS (UPDATE control.key SET revision = $2 WHERE id IN (SELECT gone.key_id FROM gone) RETURNING id, shard)
		SELECT DISTINCT s.shard FROM k` + secretShards
)

// Endpoint finds an endpoint by id or name.
func (s *Store) Endpoint(ctx context.Context, ref string) (registry.Endpoint, error) {
	e, err := findEndpoint(ctx, s.db(ctx), ref)
	return e, translate(err)
}

func findEndpoint(ctx context.Context, db querier, ref string) (registry.Endpoint, error) {
	return findOne(ctx, db, "endpoint", ref, selectEndpoint, scanEndpoint)
}

// findOne reads the one row that an id or a name stands for.
func findOne[T any](ctx context.Context, db querier, kind, ref, sql string, scan pgx.RowToFunc[T]) (T, error) {
	var none T
	if strings.ContainsRune(ref, 0) {
		return none, notFound(kind, ref) // the database has no text with a NUL in it
	}
	rows, err := db.Query(ctx, sql, ref)
	if err != nil {
		return none, fmt.Errorf("read %s: %w", kind, err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return none, notFound(kind, ref)
	}
	if err != nil {
		return none, fmt.Errorf("read %s: %w", kind, err)
	}
	return v, nil
}

// list reads rows and names what they are in its error.
func list[T any](ctx context.Context, db querier, what string, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	all, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return all, nil
}

// CreateEndpoint stores a new endpoint. What was found wrong with the request before goes into p.
func (s *Store) CreateEndpoint(ctx context.Context, actor string, e registry.Endpoint, p *registry.Problems) (registry.Endpoint, error) {
	e.Normalize()
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		e.ID = id.New(id.Endpoint)
		secrets, err := c.checkEndpoint(ctx, &e, p.Clone())
		if err != nil {
			return err
		}
		e.Revision, e.PriceVersion, e.Created, e.Updated = c.revision, c.revision, c.now, c.now
		if err := c.writeEndpoint(ctx, insertEndpoint, &e, secrets); err != nil {
			return err
		}
		if err := c.followPublic(ctx, &e); err != nil {
			return err
		}
		c.record("create", "endpoint", e.ID, nil, e)
		return nil
	})
	return e, err
}

// UpdateEndpoint replaces the settings of the endpoint with e's id or, without one, e's name. An
// empty etag skips the comparison. Settings that are those it has make no revision.
func (s *Store) UpdateEndpoint(ctx context.Context, actor string, e registry.Endpoint, etag string, p *registry.Problems) (registry.Endpoint, error) {
	e.Normalize()
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		ref := e.ID
		if ref == "" {
			ref = e.Name
		}
		old, err := findEndpoint(ctx, c, ref)
		if err != nil {
			return err
		}
		if err := compareETag("endpoint", old.Name, etag, old.ETag()); err != nil {
			return err
		}
		e.ID, e.Disabled, e.ManagedBy = old.ID, old.Disabled, old.ManagedBy
		secrets, err := c.checkEndpoint(ctx, &e, p.Clone())
		if err != nil {
			return err
		}
		if same, err := sameSettings(&e, &old); err != nil {
			return err
		} else if same {
			e = old
			return errNoChange
		}
		e.Revision, e.Created, e.Updated = c.revision, old.Created, c.now
		if e.PriceVersion = old.PriceVersion; !e.Price.Equal(&old.Price) {
			e.PriceVersion = c.revision
		}
		return c.replaceEndpoint(ctx, "update", &old, &e, secrets)
	})
	return e, err
}

// SetEndpointEnabled switches an endpoint off or on again. One that is as it should be makes no revision.
func (s *Store) SetEndpointEnabled(ctx context.Context, actor, ref string, enabled bool, etag string) (registry.Endpoint, error) {
	var e registry.Endpoint
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		old, err := findEndpoint(ctx, c, ref)
		if err != nil {
			return err
		}
		if err := compareETag("endpoint", old.Name, etag, old.ETag()); err != nil {
			return err
		}
		if e = old; old.Disabled == !enabled {
			return errNoChange
		}
		e.Disabled, e.Revision, e.Updated = !enabled, c.revision, c.now
		if _, err := c.Exec(ctx, setEndpointDisabled, e.ID, e.Disabled, e.Revision, e.Updated); err != nil {
			return fmt.Errorf("switch endpoint: %w", err)
		}
		c.touch(contract.ConfigRoutes)
		action := "enable"
		if !enabled {
			action = "disable"
		}
		c.record(action, "endpoint", e.ID, old, e)
		return nil
	})
	return e, err
}

// checkEndpoint runs the rules and returns the ids of the secrets that e refers to. The problems it
// gets are a copy, because a transaction may be run again.
func (c *change) checkEndpoint(ctx context.Context, e *registry.Endpoint, p *registry.Problems) ([]string, error) {
	var facts registry.EndpointFacts
	// A text with a NUL in it names nothing that the database can hold, and asking would fail.
	if !strings.ContainsRune(e.Path+e.Name, 0) {
		others, err := list(ctx, c, "endpoints on the same path", scanEndpoint, selectEndpointsLike, e.Path, e.Name, e.ID)
		if err != nil {
			return nil, err
		}
		for _, o := range others {
			if o.Path == e.Path {
				facts.SamePath = append(facts.SamePath, o)
			}
			facts.NameTaken = facts.NameTaken || o.Name == e.Name
		}
	}
	if err := c.QueryRow(ctx, selectGatewayURL).Scan(&facts.Gateway); err != nil {
		return nil, fmt.Errorf("read gateway's URL: %w", err)
	}
	if err := c.publicFacts(ctx, e, &facts); err != nil {
		return nil, err
	}
	if err := c.modelFacts(ctx, e, &facts); err != nil {
		return nil, err
	}
	secrets, err := list(ctx, c, "secrets", pgx.RowToStructByPos[named], selectKnownSecrets, e.SecretRefs())
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(secrets))
	for i, s := range secrets {
		ids[i] = s.ID
		facts.Secrets = append(facts.Secrets, s.Name)
	}
	e.Check(p, facts)
	return ids, p.Err("the endpoint")
}

func (c *change) writeEndpoint(ctx context.Context, sql string, e *registry.Endpoint, secrets []string) error {
	args, err := endpointArgs(e)
	if err != nil {
		return err
	}
	var b pgx.Batch
	b.Queue(sql, args...)
	b.Queue(deleteEndpointSecrets, e.ID)
	b.Queue(insertEndpointSecrets, e.ID, secrets)
	b.Queue(deleteEndpointAdapter, e.ID)
	if e.Models != nil {
		b.Queue(insertEndpointAdapter, e.ID, e.Models.Adapter)
	}
	if err := c.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("write endpoint: %w", err)
	}
	c.touch(contract.ConfigRoutes)
	return nil
}

func (c *change) renameEndpoint(ctx context.Context, id string) error {
	for _, sql := range []string{touchBudgetsOfEndpoint, touchLimitsOfEndpoint} {
		numbers, err := list(ctx, c, "budgets and limits of endpoint", pgx.RowTo[int64], sql, id, c.revision, c.now)
		if err != nil {
			return err
		}
		for _, n := range numbers {
			c.touch(contract.ConfigAccounts(contract.AccountShardOf(n)))
		}
	}
	return nil
}

// DeleteEndpoint removes an endpoint with the limit that belongs to it, and takes it from the keys that
// were restricted to it. Budgets and other limits of the endpoint hold it.
func (s *Store) DeleteEndpoint(ctx context.Context, actor, ref, etag string) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		old, err := findEndpoint(ctx, c, ref)
		if err != nil {
			return err
		}
		if err := compareETag("endpoint", old.Name, etag, old.ETag()); err != nil {
			return err
		}
		held, err := c.heldBy(ctx, "endpoint_id", old.ID)
		if err != nil {
			return err
		}
		if held != "" {
			return fault.New(fault.FailedPrecondition, "Endpoint %s has %s.", old.Name, held).WithHint("Delete them first.")
		}
		if err := c.touchKeys(ctx, releaseKeys, old.ID, c.revision); err != nil {
			return err
		}
		private := old
		private.Public = nil
		if err := c.followPublic(ctx, &private); err != nil {
			return err
		}
		var b pgx.Batch
		b.Queue(deleteEndpointSecrets, old.ID)
		b.Queue(deleteEndpointAdapter, old.ID)
		b.Queue(deleteEndpoint, old.ID)
		if err := c.SendBatch(ctx, &b).Close(); err != nil {
			return fmt.Errorf("delete endpoint: %w", err)
		}
		c.touch(contract.ConfigRoutes)
		c.record("delete", "endpoint", old.ID, old, nil)
		return nil
	})
}

func compareETag(kind, name, given, stored string) error {
	if given == "" || given == stored {
		return nil
	}
	return fault.New(fault.StaleETag, "The %s %s was changed since its etag was read.", kind, name)
}

// names lists a few and counts the rest, so that a message stays one.
func names(all []string) string {
	const most = 10
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
}
