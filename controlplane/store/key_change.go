package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

const (
	// Both secrets of a key.
	secretShards   = ` CROSS JOIN LATERAL (SELECT k.shard UNION ALL SELECT x.shard FROM control.key_old_secret x WHERE x.key_id = k.id) s `
	selectKeyShard = `SELECT DISTINCT s.shard FROM control.key k` + secretShards + `WHERE k.id = $1`
	selectKeysLike = `
		SELECT k.name, k.sha256 = $2 OR coalesce(o.sha256 = $2, false) FROM control.key k LEFT JOIN control.key_old_secret o ON o.key_id = k.id
		WHERE k.name = $1 OR k.sha256 = $2 OR k.id = (SELECT x.key_id FROM control.key_old_secret x WHERE x.sha256 = $2)`
	insertKey = `
		INSERT INTO control.key (id, name, prefix, sha256, shard, restricted, expire_time, revision, create_time, team_id, customer, tags, models,
			description, methods, networks, metadata, blocked, suffix)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`
	insertKeyEndpoints = `INSERT INTO control.key_endpoint (key_id, endpoint_id) SELECT $1, unnest($2::text[])`
	deleteKeyEndpoints = `DELETE FROM control.key_endpoint WHERE key_id = $1`
	revokeKey          = `UPDATE control.key SET revoke_time = $2, revision = $3 WHERE id = $1`
	blockKey           = `UPDATE control.key SET blocked = $2, revision = $3 WHERE id = $1`
	updateKey          = `
		UPDATE control.key SET revision = $2, team_id = $3, customer = $4, tags = $5, models = $6, restricted = $7, expire_time = $8,
			description = $9, methods = $10, networks = $11, metadata = $12 WHERE id = $1`
)

// NewKey is a key to be, with the hash of its secret.
type NewKey struct {
	registry.Key // endpoints and team are ids or names, as they were asked for; no endpoint means every endpoint

	Hash       [32]byte
	Budget     *registry.DefaultBudget // of the key; nil for that of the settings
	NoDefaults bool                    // only the budget and the expiry that are asked for
}

// CreateKey stores a new key, with the budget that it is to have. A scope that ends at teams allows keys of these teams.
func (s *Store) CreateKey(ctx context.Context, actor string, in access.Scope, n NewKey, p *registry.Problems) (registry.Key, error) {
	var made registry.Key
	err := s.Together(ctx, actor, false, func(ctx context.Context) error {
		settings, err := s.Settings(ctx)
		if err != nil {
			return err
		}
		if made, err = s.createKey(ctx, actor, in, n, &settings.NewKeys, p); err != nil {
			return err
		}
		budget := n.Budget
		if budget == nil && !n.NoDefaults {
			budget = settings.NewKeys.Budget
		}
		if budget == nil {
			return nil
		}
		_, err = s.CreateBudget(ctx, actor, Anywhere, budget.Of(made.Name, registry.Scoped{Scope: registry.ScopeKey, ScopeName: made.ID}, settings.TimeZone()), p)
		return err
	})
	return made, err
}

func (s *Store) createKey(ctx context.Context, actor string, in access.Scope, n NewKey, defaults *registry.NewKeys, p *registry.Problems) (registry.Key, error) {
	var made registry.Key
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		k := n.Key
		k.ID, k.Restricted = id.New(id.Key), len(k.Endpoints) > 0
		if days := defaults.ExpireDays; k.Expires.IsZero() && !n.NoDefaults && days > 0 {
			k.Expires = c.now.AddDate(0, 0, int(days))
		}
		k.Normalize()
		team, err := c.findTeamOf(ctx, in, &k.Charged)
		if err != nil {
			return err
		}
		facts := registry.KeyFacts{TeamFound: team != nil, MostExpire: time.Duration(defaults.MostExpireDays) * 24 * time.Hour}
		if facts.NameTaken, facts.HashHolder, err = c.keysLike(ctx, k.Name, n.Hash); err != nil {
			return err
		}
		endpoints, err := c.checkKey(ctx, &k, facts, p.Clone())
		if err != nil {
			return err
		}
		shard := contract.KeyShardOf(n.Hash)
		var b pgx.Batch
		b.Queue(insertKey, k.ID, k.Name, k.Prefix, n.Hash[:], shard, k.Restricted, orNull(k.Expires), c.revision, c.now,
			team, k.Customer, tags(&k.Charged), notNil(k.Models), k.Description, notNil(k.Methods), notNil(k.Networks), k.Metadata, k.Blocked, k.Suffix)
		if len(endpoints) > 0 {
			b.Queue(insertKeyEndpoints, k.ID, endpoints)
		}
		if err := c.SendBatch(ctx, &b).Close(); err != nil {
			return fmt.Errorf("write key: %w", err)
		}
		c.touch(contract.ConfigKeys(shard))
		if made, err = findKey(ctx, c, k.ID); err != nil {
			return err
		}
		c.record("create", "key", k.ID, nil, made)
		_, _, err = c.meetCustomer(ctx, k.Customer, true, false)
		return err
	})
	return made, err
}

type named struct{ ID, Name string }

// findTeamOf turns the team that was asked for into a name, and returns its id: nil if it is none or
// there is none such. It fails where the scope does not let a key belong to it.
func (c *change) findTeamOf(ctx context.Context, in access.Scope, who *registry.Charged) (*string, error) {
	if who.Team == "" {
		if !in.Everywhere {
			return nil, fault.New(fault.PermissionDenied, "You may have keys in your own teams only.").WithHint("Name the team of the key.")
		}
		return nil, nil
	}
	t, err := findTeam(ctx, c, who.Team)
	if isNotFound(err) || err == nil && !in.Covers(t.ID) {
		if !in.Everywhere {
			return nil, fault.New(fault.PermissionDenied, "You may have keys in your own teams only, and %q is none of them.", who.Team).
				WithHint("Name one of your teams.")
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	who.Team = t.Name
	return &t.ID, nil
}

// tags are never NULL.
func tags(who *registry.Charged) []string { return append([]string{}, who.Tags...) }

// keysLike says whether a name is taken, and which key has a secret.
func (c *change) keysLike(ctx context.Context, name string, hash [32]byte) (taken bool, holder string, err error) {
	if strings.ContainsRune(name, 0) {
		name = ""
	}
	others, err := list(ctx, c, "keys like it", pgx.RowToStructByPos[like], selectKeysLike, name, hash[:])
	for _, o := range others {
		taken = taken || o.Name == name
		if o.Same {
			holder = o.Name
		}
	}
	return taken, holder, err
}

// checkKey runs the rules and returns the ids of the endpoints that were asked for.
func (c *change) checkKey(ctx context.Context, k *registry.Key, facts registry.KeyFacts, p *registry.Problems) ([]string, error) {
	facts.Now = c.now
	var ids []string
	var err error
	if ids, facts.Known, err = c.endpointsOf(ctx, k.Endpoints); err != nil {
		return nil, err
	}
	k.Check(p, facts)
	return ids, p.Err("the key")
}

// endpointsOf finds endpoints by ids or names: the ids of those that exist, and which of asked they are.
func (c *change) endpointsOf(ctx context.Context, asked []string) (ids []string, known map[string]bool, err error) {
	ask := make([]string, 0, len(asked))
	for _, e := range asked {
		if !strings.ContainsRune(e, 0) {
			ask = append(ask, e)
		}
	}
	if len(ask) == 0 { // most keys reach every endpoint, and files make thousands of them
		return []string{}, nil, nil
	}
	found, err := list(ctx, c, "endpoints", pgx.RowToStructByPos[named], selectEndpointRefs, ask)
	if err != nil {
		return nil, nil, err
	}
	ids, known = make([]string, len(found)), map[string]bool{}
	for i, e := range found {
		ids[i] = e.ID
		known[e.ID], known[e.Name] = true, true
	}
	return ids, known, nil
}

// changeKey runs f for a key that is not revoked, and records what became of it. Where f changes nothing it returns errNoChange.
func (s *Store) changeKey(ctx context.Context, actor string, in access.Scope, action, ref, etag string,
	f func(context.Context, *change, registry.Key) error,
) (registry.Key, error) {
	var k registry.Key
	err := s.change(ctx, actor, func(ctx context.Context, c *change) (err error) {
		if k, err = findKeyIn(ctx, c, in, ref); err != nil {
			return err
		}
		if err := compareETag("key", k.Name, etag, k.ETag()); err != nil {
			return err
		}
		if !k.Revoked.IsZero() && action != "revoke" {
			return fault.New(fault.FailedPrecondition, "Key %s was revoked, which is for good.", k.Name).WithHint("Create another key.")
		}
		old := k
		// Before, for the shards of secrets that it is about to lose, and after.
		if err := c.touchKeys(ctx, selectKeyShard, k.ID); err != nil {
			return err
		}
		if err := f(ctx, c, k); err != nil {
			return err
		}
		if err := c.touchKeys(ctx, selectKeyShard, k.ID); err != nil {
			return err
		}
		if k, err = findKey(ctx, c, k.ID); err != nil {
			return err
		}
		c.record(action, "key", k.ID, old, k)
		return nil
	})
	return k, err
}

// UpdateKey changes a key as edit says, which sees it as it is and may be called again. Endpoints and team may be ids or names.
func (s *Store) UpdateKey(ctx context.Context, actor string, in access.Scope, ref, etag string, edit func(*registry.Key), p *registry.Problems) (registry.Key, error) {
	return s.changeKey(ctx, actor, in, "update", ref, etag, func(ctx context.Context, c *change, old registry.Key) error {
		k := old
		edit(&k)
		k.Normalize()
		team, err := c.findTeamOf(ctx, in, &k.Charged)
		if err != nil {
			return err
		}
		settings, err := findSettings(ctx, c)
		if err != nil {
			return err
		}
		endpoints, err := c.checkKey(ctx, &k, registry.KeyFacts{
			TeamFound: team != nil, Old: &old, MostExpire: time.Duration(settings.NewKeys.MostExpireDays) * 24 * time.Hour,
		}, p.Clone())
		if err != nil {
			return err
		}
		var b pgx.Batch
		b.Queue(updateKey, k.ID, c.revision, team, k.Customer, tags(&k.Charged), notNil(k.Models), k.Restricted, orNull(k.Expires),
			k.Description, notNil(k.Methods), notNil(k.Networks), k.Metadata)
		b.Queue(deleteKeyEndpoints, k.ID)
		b.Queue(insertKeyEndpoints, k.ID, endpoints)
		if err := c.SendBatch(ctx, &b).Close(); err != nil {
			return fmt.Errorf("write key: %w", err)
		}
		_, _, err = c.meetCustomer(ctx, k.Customer, true, false)
		return err
	})
}

// BlockKey makes a key be refused, or lets it be used again. It changes nothing where that is so.
func (s *Store) BlockKey(ctx context.Context, actor string, in access.Scope, ref, etag string, blocked bool) (registry.Key, error) {
	action := "unblock"
	if blocked {
		action = "block"
	}
	return s.changeKey(ctx, actor, in, action, ref, etag, func(ctx context.Context, c *change, k registry.Key) error {
		if k.Blocked == blocked {
			return errNoChange
		}
		if _, err := c.Exec(ctx, blockKey, k.ID, blocked, c.revision); err != nil {
			return fmt.Errorf("block key: %w", err)
		}
		return nil
	})
}

// RevokeKey ends a key for good. Doing so again changes nothing.
func (s *Store) RevokeKey(ctx context.Context, actor string, in access.Scope, ref, etag string) (registry.Key, error) {
	return s.changeKey(ctx, actor, in, "revoke", ref, etag, func(ctx context.Context, c *change, k registry.Key) error {
		if !k.Revoked.IsZero() {
			return errNoChange
		}
		if _, err := c.Exec(ctx, revokeKey, k.ID, c.now, c.revision); err != nil {
			return fmt.Errorf("revoke key: %w", err)
		}
		return nil
	})
}

// isNotFound says whether what was looked for does not exist.
func isNotFound(err error) bool { return errors.Is(err, fault.New(fault.ObjectNotFound, "")) }
