package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/access"
	"tollgate/controlplane/filter"
	"tollgate/controlplane/registry"
)

// Anywhere is the scope of those whose rights end at no team.
var Anywhere = access.Scope{Everywhere: true}

const (
	// The statuses are those of registry.KeyStatus. The first that holds is a key's.
	keyStatus = `CASE
		WHEN k.revoke_time IS NOT NULL THEN 'revoked'
		WHEN k.expire_time <= statement_timestamp() THEN 'expired'
		WHEN k.blocked OR coalesce(t.blocked, false) THEN 'blocked'
		WHEN o.end_time > statement_timestamp() THEN 'rotating'
		WHEN k.expire_time <= statement_timestamp() + interval '7 days' THEN 'expiring'
		ELSE 'active' END`
	keyColumns = `k.id, k.name, k.prefix, k.suffix, k.description, k.restricted, k.expire_time, k.revoke_time, k.rotate_time,
	CASE WHEN o.end_time > statement_timestamp() THEN o.end_time END, k.create_time, k.revision,
	ARRAY(SELECT e.name FROM control.key_endpoint ke JOIN control.endpoint e ON e.id = ke.endpoint_id
		WHERE ke.key_id = k.id ORDER BY e.name),
	coalesce(k.team_id, ''), coalesce(t.name, ''), k.customer, k.tags, k.models, k.methods, k.networks, k.metadata, k.blocked,
	` + keyStatus + `,
	coalesce((SELECT m.owner FROM control.managed m WHERE m.kind = 'key' AND m.object_id = k.id), '')`
	keyTables = ` FROM control.key k LEFT JOIN control.team t ON t.id = k.team_id LEFT JOIN control.key_old_secret o ON o.key_id = k.id`

	selectKeys         = `SELECT ` + keyColumns + keyTables
	selectKey          = selectKeys + ` WHERE k.id = $1 OR k.name = $1`
	selectKeyHash      = `SELECT k.sha256 FROM control.key k WHERE k.id = $1 OR k.name = $1`
	selectEndpointRefs = `SELECT e.id, e.name FROM control.endpoint e WHERE e.id = ANY($1) OR e.name = ANY($1) ORDER BY e.name`
)

func scanKey(row pgx.CollectableRow) (registry.Key, error) {
	var k registry.Key
	var expires, revoked, rotated, overlap *time.Time
	err := row.Scan(&k.ID, &k.Name, &k.Prefix, &k.Suffix, &k.Description, &k.Restricted, &expires, &revoked, &rotated, &overlap,
		&k.Created, &k.Revision, &k.Endpoints, &k.TeamID, &k.Team, &k.Customer, &k.Tags, &k.Models, &k.Methods, &k.Networks,
		&k.Metadata, &k.Blocked, &k.Status, &k.ManagedBy)
	k.Expires, k.Revoked, k.Rotated, k.OverlapEnds = timeOr(expires), timeOr(revoked), timeOr(rotated), timeOr(overlap)
	return k, err
}

// timeOr is the zero time for NULL.
func timeOr(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// orNull is NULL for the zero time, and otherwise a time as the database keeps it.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Microsecond)
	return &t
}

// Key finds a key by id or name. One outside of the scope does not exist.
func (s *Store) Key(ctx context.Context, in access.Scope, ref string) (registry.Key, error) {
	k, err := findKeyIn(ctx, s.db(ctx), in, ref)
	return k, translate(err)
}

func findKey(ctx context.Context, db querier, ref string) (registry.Key, error) {
	return findOne(ctx, db, "key", ref, selectKey, scanKey)
}

func findKeyIn(ctx context.Context, db querier, in access.Scope, ref string) (registry.Key, error) {
	k, err := findKey(ctx, db, ref)
	if err == nil && !in.Covers(k.TeamID) {
		return registry.Key{}, notFound("key", ref)
	}
	return k, err
}

// KeyHash is the SHA-256 of the secret of a key, by which edges know it.
func (s *Store) KeyHash(ctx context.Context, ref string) ([]byte, error) {
	hash, err := findOne(ctx, s.db(ctx), "key", ref, selectKeyHash, pgx.RowTo[[]byte])
	return hash, translate(err)
}

// Keys lists keys, revoked ones too.
func (s *Store) Keys(ctx context.Context, in access.Scope, q ListQuery) ([]registry.Key, string, error) {
	return keys.read(ctx, s.db(ctx), q, within(in, `k.team_id`)...)
}

// within narrows a list to what belongs to the teams of a scope.
func within(in access.Scope, teamColumn string) []func(*arguments) string {
	if in.Everywhere {
		return nil
	}
	return []func(*arguments) string{func(a *arguments) string { return anyOf(teamColumn)(a, append([]string{}, in.Teams...)) }}
}

// impliedBy is what is so, beside other things, where a key has a status, in a form that an index serves.
var impliedBy = map[registry.KeyStatus]string{
	registry.KeyRevoked:  `k.revoke_time IS NOT NULL`,
	registry.KeyExpired:  `coalesce(k.expire_time, 'infinity') <= statement_timestamp()`,
	registry.KeyExpiring: `coalesce(k.expire_time, 'infinity') <= statement_timestamp() + interval '7 days'`,
	registry.KeyRotating: `k.id = ANY(ARRAY(SELECT x.key_id FROM control.key_old_secret x))`,
	registry.KeyBlocked:  `(k.blocked OR k.team_id = ANY(ARRAY(SELECT x.id FROM control.team x WHERE x.blocked)))`,
}

func statuses(a *arguments, values []string) string {
	sql := anyOf(`(`+keyStatus+`)`)(a, values)
	var implied []string
	for _, v := range values {
		i, ok := impliedBy[registry.KeyStatus(v)]
		if !ok {
			return sql // active: nearly all are
		}
		implied = append(implied, i)
	}
	return sql + ` AND (` + strings.Join(implied, ` OR `) + `)`
}

// Each condition has a form that an index serves.
var keys = listing[registry.Key]{
	list: &filter.Keys, what: "keys", sql: selectKeys, scan: scanKey, words: []string{`k.name`},
	unique: `k.name`, ident: func(k *registry.Key) string { return k.Name },
	fields: map[string]condition{
		"id": anyOf(`k.id`),
		"last4": func(a *arguments, values []string) string {
			v := a.add(values)
			return `k.id = ANY(ARRAY(SELECT x.id FROM control.key x WHERE x.suffix <> '' AND x.suffix = ANY(` + v + `::text[])
				UNION ALL SELECT x.key_id FROM control.key_old_secret x WHERE x.suffix <> '' AND x.suffix = ANY(` + v + `::text[])))`
		},
		"team": func(a *arguments, values []string) string {
			v := a.add(values)
			sql := `k.team_id = ANY(ARRAY(SELECT x.id FROM control.team x WHERE x.id = ANY(` + v + `::text[]) OR x.name = ANY(` + v + `::text[])))`
			if slices.Contains(values, "none") {
				sql += ` OR k.team_id IS NULL`
			}
			return sql
		},
		"endpoint": func(a *arguments, values []string) string {
			v := a.add(values)
			return `NOT k.restricted OR k.id IN (SELECT x.key_id FROM control.key_endpoint x JOIN control.endpoint y ON y.id = x.endpoint_id
				WHERE y.id = ANY(` + v + `::text[]) OR y.name = ANY(` + v + `::text[]))`
		},
		"customer": func(a *arguments, values []string) string {
			return `k.customer <> '' AND ` + anyOf(`k.customer`)(a, values)
		},
		"tag": func(a *arguments, values []string) string {
			return `k.tags <> '{}' AND k.tags && ` + a.add(values) + `::text[]`
		},
		"model":   func(a *arguments, values []string) string { return `k.models && ` + a.add(values) + `::text[]` },
		"status":  statuses,
		"managed": managed("key", `k.id`),
	},
	orders: map[string]ordering[registry.Key]{
		"name":        byText(`k.name`, func(k *registry.Key) string { return k.Name }),
		"create_time": byTime(`k.create_time`, func(k *registry.Key) time.Time { return k.Created }),
		"expire_time": byTime(`coalesce(k.expire_time, 'infinity')`, func(k *registry.Key) time.Time { return k.Expires }),
	},
}
