package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

const keyColumns = `k.id, k.name, k.prefix, k.restricted, k.expire_time, k.revoke_time, k.create_time, k.revision,
	ARRAY(SELECT e.name FROM control.key_endpoint ke JOIN control.endpoint e ON e.id = ke.endpoint_id
		WHERE ke.key_id = k.id ORDER BY e.name),
	` + keyTeam + `, k.customer, k.tags, k.models`

const keyTeam = `coalesce((SELECT t.name FROM control.team t WHERE t.id = k.team_id), '')`

const (
	selectKey          = `SELECT ` + keyColumns + ` FROM control.key k WHERE k.id = $1 OR k.name = $1`
	selectKeyHash      = `SELECT k.sha256 FROM control.key k WHERE k.id = $1 OR k.name = $1`
	selectKeyPage      = `SELECT ` + keyColumns + ` FROM control.key k WHERE k.name > $1 ORDER BY k.name LIMIT $2`
	selectKeyShard     = `SELECT k.shard FROM control.key k WHERE k.id = $1`
	selectKeysLike     = `SELECT k.name, k.sha256 = $2 FROM control.key k WHERE k.name = $1 OR k.sha256 = $2`
	selectEndpointRefs = `SELECT e.id, e.name FROM control.endpoint e WHERE e.id = ANY($1) OR e.name = ANY($1) ORDER BY e.name`
	insertKey          = `
		INSERT INTO control.key (id, name, prefix, sha256, shard, restricted, expire_time, revision, create_time, team_id, customer, tags, models)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`
	insertKeyEndpoints = `INSERT INTO control.key_endpoint (key_id, endpoint_id) SELECT $1, unnest($2::text[])`
	revokeKey          = `UPDATE control.key SET revoke_time = $2, revision = $3 WHERE id = $1`
	updateKey          = `UPDATE control.key SET team_id = $2, customer = $3, tags = $4, revision = $5, models = $6 WHERE id = $1`
)

func scanKey(row pgx.CollectableRow) (registry.Key, error) {
	var k registry.Key
	var expires, revoked *time.Time
	err := row.Scan(&k.ID, &k.Name, &k.Prefix, &k.Restricted, &expires, &revoked, &k.Created, &k.Revision, &k.Endpoints,
		&k.Team, &k.Customer, &k.Tags, &k.Models)
	if expires != nil {
		k.Expires = *expires
	}
	if revoked != nil {
		k.Revoked = *revoked
	}
	return k, err
}

// Key finds a key by id or name.
func (s *Store) Key(ctx context.Context, ref string) (registry.Key, error) {
	k, err := findKey(ctx, s.pool, ref)
	return k, translate(err)
}

func findKey(ctx context.Context, db querier, ref string) (registry.Key, error) {
	return findOne(ctx, db, "key", ref, selectKey, scanKey)
}

// KeyHash is the SHA-256 of the secret of a key, by which edges know it.
func (s *Store) KeyHash(ctx context.Context, ref string) ([]byte, error) {
	hash, err := findOne(ctx, s.pool, "key", ref, selectKeyHash, pgx.RowTo[[]byte])
	return hash, translate(err)
}

// Keys lists keys by name, revoked ones too.
func (s *Store) Keys(ctx context.Context, page Page) ([]registry.Key, string, error) {
	after, limit, err := page.open()
	if err != nil {
		return nil, "", err
	}
	all, err := list(ctx, s.pool, "keys", scanKey, selectKeyPage, after, limit)
	if err != nil {
		return nil, "", translate(err)
	}
	all, next := closePage(all, limit, func(k *registry.Key) string { return k.Name })
	return all, next, nil
}

// CreateKey stores a new key under the hash of its secret. The endpoints and the team of k are ids or
// names as they were asked for; no endpoint means every endpoint.
func (s *Store) CreateKey(ctx context.Context, actor string, k registry.Key, hash [32]byte, p *registry.Problems) (registry.Key, error) {
	k.Charged.Normalize()
	k.Models = registry.NormalizeModels(k.Models)
	asked, askedTeam := k.Endpoints, k.Team
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		k.ID, k.Endpoints, k.Restricted, k.Team = id.New(id.Key), asked, len(asked) > 0, askedTeam
		team, err := c.findTeamOf(ctx, &k.Charged)
		if err != nil {
			return err
		}
		endpoints, err := c.checkKey(ctx, &k, hash, team != nil, p.Clone())
		if err != nil {
			return err
		}
		k.Revision, k.Created, k.Endpoints = c.revision, c.now, nil
		ids := make([]string, len(endpoints))
		for i, e := range endpoints {
			ids[i] = e.ID
			k.Endpoints = append(k.Endpoints, e.Name)
		}
		var expires *time.Time
		if !k.Expires.IsZero() {
			k.Expires = k.Expires.UTC().Truncate(time.Microsecond) // as the database keeps it
			expires = &k.Expires
		}
		shard := contract.KeyShardOf(hash)
		var b pgx.Batch
		b.Queue(insertKey, k.ID, k.Name, k.Prefix, hash[:], shard, k.Restricted, expires, k.Revision, k.Created,
			team, k.Customer, tags(&k.Charged), notNil(k.Models))
		b.Queue(insertKeyEndpoints, k.ID, ids)
		if err := c.SendBatch(ctx, &b).Close(); err != nil {
			return fmt.Errorf("write key: %w", err)
		}
		c.touch(contract.ConfigKeys(shard))
		c.record("create", "key", k.ID, nil, k)
		return nil
	})
	return k, err
}

type named struct{ ID, Name string }

// findTeamOf turns the team that was asked for into a name, and returns its id: nil if it is none or
// there is none such.
func (c *change) findTeamOf(ctx context.Context, who *registry.Charged) (*string, error) {
	if who.Team == "" {
		return nil, nil
	}
	t, err := findTeam(ctx, c, who.Team)
	if errors.Is(err, fault.New(fault.ObjectNotFound, "")) {
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

func (c *change) checkKey(ctx context.Context, k *registry.Key, hash [32]byte, team bool, p *registry.Problems) ([]named, error) {
	facts := registry.KeyFacts{Now: c.now, Known: map[string]bool{}, TeamFound: team}
	if !strings.ContainsRune(k.Name, 0) {
		others, err := list(ctx, c, "keys like it", pgx.RowToStructByPos[like], selectKeysLike, k.Name, hash[:])
		if err != nil {
			return nil, err
		}
		for _, o := range others {
			facts.NameTaken = facts.NameTaken || o.Name == k.Name
			if o.Same {
				facts.HashHolder = o.Name
			}
		}
	}
	ask := make([]string, 0, len(k.Endpoints))
	for _, e := range k.Endpoints {
		if !strings.ContainsRune(e, 0) {
			ask = append(ask, e)
		}
	}
	endpoints, err := list(ctx, c, "endpoints of the key", pgx.RowToStructByPos[named], selectEndpointRefs, ask)
	if err != nil {
		return nil, err
	}
	for _, e := range endpoints {
		facts.Known[e.ID], facts.Known[e.Name] = true, true
	}
	k.Check(p, facts)
	return endpoints, p.Err("the key")
}

// UpdateKey changes whom a key's requests are charged to, and which models it may ask for; nil leaves those as they
// are.
func (s *Store) UpdateKey(ctx context.Context, actor, ref string, who registry.Charged, models *[]string, p *registry.Problems) (registry.Key, error) {
	who.Normalize()
	var k registry.Key
	err := s.change(ctx, actor, func(ctx context.Context, c *change) (err error) {
		if k, err = findKey(ctx, c, ref); err != nil {
			return err
		}
		if !k.Revoked.IsZero() {
			return fault.New(fault.FailedPrecondition, "Key %s was revoked: it has no more requests to charge.", k.Name)
		}
		old, asked := k, who
		team, err := c.findTeamOf(ctx, &asked)
		if err != nil {
			return err
		}
		problems := p.Clone()
		asked.Check(problems, team != nil)
		if models != nil {
			k.Models = registry.NormalizeModels(*models)
			registry.CheckModels(problems, k.Models)
		}
		if err := problems.Err("the key"); err != nil {
			return err
		}
		k.Charged, k.Revision = asked, c.revision
		if _, err := c.Exec(ctx, updateKey, k.ID, team, k.Customer, tags(&k.Charged), k.Revision, notNil(k.Models)); err != nil {
			return fmt.Errorf("write key: %w", err)
		}
		c.record("update", "key", k.ID, old, k)
		return c.touchKeys(ctx, selectKeyShard, k.ID)
	})
	return k, err
}

// RevokeKey ends a key for good. Doing so again changes nothing.
func (s *Store) RevokeKey(ctx context.Context, actor, ref string) (registry.Key, error) {
	var k registry.Key
	err := s.change(ctx, actor, func(ctx context.Context, c *change) (err error) {
		if k, err = findKey(ctx, c, ref); err != nil {
			return err
		}
		if !k.Revoked.IsZero() {
			return errNoChange
		}
		old := k
		k.Revoked, k.Revision = c.now, c.revision
		if _, err := c.Exec(ctx, revokeKey, k.ID, k.Revoked, k.Revision); err != nil {
			return fmt.Errorf("revoke key: %w", err)
		}
		c.record("revoke", "key", k.ID, old, k)
		return c.touchKeys(ctx, selectKeyShard, k.ID)
	})
	return k, err
}
