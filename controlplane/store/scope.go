package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
	"tollgate/internal/contract"
)

// What a budget or a limit applies to, for statements in which o is its row.
const (
	scopeName = `CASE WHEN o.key_id IS NOT NULL THEN 'key' WHEN o.team_id IS NOT NULL THEN 'team'
		WHEN o.customer IS NOT NULL THEN 'customer' WHEN o.tag IS NOT NULL THEN 'tag'
		WHEN o.endpoint_id IS NOT NULL THEN 'endpoint' ELSE 'everything' END`
	scopeTeam    = `coalesce(o.team_id, k.team_id)`
	scopeColumns = scopeName + `,
		coalesce(o.key_id, o.team_id, o.endpoint_id, ''),
		coalesce(k.name, t.name, o.customer, o.tag, e.name, ''),
		coalesce(` + scopeTeam + `, '')`
	scopeTables = `
		LEFT JOIN control.key k ON k.id = o.key_id
		LEFT JOIN control.team t ON t.id = o.team_id
		LEFT JOIN control.endpoint e ON e.id = o.endpoint_id `
	// The arguments that scopeArgs makes come second to sixth.
	sameScope = `o.key_id IS NOT DISTINCT FROM $2 AND o.team_id IS NOT DISTINCT FROM $3
		AND o.customer IS NOT DISTINCT FROM $4 AND o.tag IS NOT DISTINCT FROM $5
		AND o.endpoint_id IS NOT DISTINCT FROM $6`
	// What a request comes to by where it goes, and by what it says of itself.
	routeScopes = `o.key_id IS NULL AND o.team_id IS NULL`

	selectTeamOfKey      = `SELECT coalesce(k.team_id, '') FROM control.key k WHERE k.id = $1`
	selectTeamShards     = `SELECT DISTINCT s.shard FROM control.key k` + secretShards + `WHERE k.team_id = $1`
	selectCustomerShards = `SELECT DISTINCT s.shard FROM control.key k` + secretShards + `WHERE k.customer = $1 AND k.customer <> ''`
	selectTagShards      = `SELECT DISTINCT s.shard FROM control.key k` + secretShards + `WHERE k.tags @> ARRAY[$1] AND k.tags <> '{}'`
)

// scopeArgs are the columns key_id, team_id, customer, tag and endpoint_id, of which at most one is
// set.
func scopeArgs(s *registry.Scoped) []any {
	var key, team, customer, tag, endpoint *string
	switch s.Scope {
	case registry.ScopeKey:
		key = &s.ScopeID
	case registry.ScopeTeam:
		team = &s.ScopeID
	case registry.ScopeCustomer:
		customer = &s.ScopeName
	case registry.ScopeTag:
		tag = &s.ScopeName
	case registry.ScopeEndpoint:
		endpoint = &s.ScopeID
	case registry.ScopeEverything:
	}
	return []any{key, team, customer, tag, endpoint}
}

// findScope turns what was asked for into an id and a name.
func (c *change) findScope(ctx context.Context, s *registry.Scoped) error {
	switch s.Scope {
	case registry.ScopeKey:
		k, err := findKey(ctx, c, s.ScopeName)
		if err != nil {
			return err
		}
		s.ScopeID, s.ScopeName = k.ID, k.Name
		if err := c.QueryRow(ctx, selectTeamOfKey, k.ID).Scan(&s.TeamID); err != nil {
			return fmt.Errorf("read team of key: %w", err)
		}
	case registry.ScopeTeam:
		t, err := findTeam(ctx, c, s.ScopeName)
		if err != nil {
			return err
		}
		s.ScopeID, s.ScopeName, s.TeamID = t.ID, t.Name, t.ID
	case registry.ScopeEndpoint:
		e, err := findEndpoint(ctx, c, s.ScopeName)
		if err != nil {
			return err
		}
		s.ScopeID, s.ScopeName = e.ID, e.Name
	case registry.ScopeCustomer, registry.ScopeTag, registry.ScopeEverything:
	}
	return nil
}

// like is an object that a new one might be mistaken for.
type like struct {
	Name string
	Same bool // in scope, and in whatever else tells two of a scope apart
}

// findLikes lists the objects with the name, or with the scope and what more says.
func (c *change) findLikes(ctx context.Context, sql, name string, s *registry.Scoped, more ...any) ([]like, error) {
	if strings.ContainsRune(name+s.ScopeName, 0) {
		return nil, nil // the database has no text with a NUL in it
	}
	args := append(append([]any{name}, scopeArgs(s)...), more...)
	return list(ctx, c, "objects like it", pgx.RowToStructByPos[like], sql, args...)
}

// touchScope marks what tells edges of a budget or a limit: each key has with it what follows from the
// key, its team, its customer and its tags, and the routes have what follows from the rest.
func (c *change) touchScope(ctx context.Context, s *registry.Scoped) error {
	var err error
	switch s.Scope {
	case registry.ScopeKey:
		return c.touchKeys(ctx, selectKeyShard, s.ScopeID)
	case registry.ScopeTeam:
		return c.touchKeys(ctx, selectTeamShards, s.ScopeID)
	case registry.ScopeCustomer:
		err = c.touchKeys(ctx, selectCustomerShards, s.ScopeName)
	case registry.ScopeTag:
		err = c.touchKeys(ctx, selectTagShards, s.ScopeName)
	case registry.ScopeEndpoint, registry.ScopeEverything:
	}
	c.touch(contract.ConfigRoutes)
	return err
}

func (c *change) touchKeys(ctx context.Context, sql string, args ...any) error {
	shards, err := list(ctx, c, "shards of keys", pgx.RowTo[uint32], sql, args...)
	if err != nil {
		return err
	}
	for _, shard := range shards {
		c.touch(contract.ConfigKeys(shard))
	}
	return nil
}

// holders are what can refer to an object. A limit that belongs to its endpoint does not hold it.
var holders = []struct{ what, table, but string }{
	{"budgets", "control.budget", ""},
	{"limits", "control.traffic_limit", ` AND o.owner_id IS NULL`},
}

// heldBy says which budgets and limits apply to an object, as in "budgets: a, b; limits: c". What they
// apply to must not vanish unnoticed.
func (c *change) heldBy(ctx context.Context, column, id string) (string, error) {
	var parts []string
	for _, h := range holders {
		all, err := list(ctx, c, h.what, pgx.RowTo[string], `SELECT o.name FROM `+h.table+` o WHERE o.`+column+` = $1`+h.but+` ORDER BY o.name`, id)
		if err != nil {
			return "", err
		}
		if len(all) > 0 {
			parts = append(parts, fmt.Sprintf("%s: %s", h.what, names(all)))
		}
	}
	return strings.Join(parts, "; "), nil
}
