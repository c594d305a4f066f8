package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/id"
)

const tokenColumns = `k.id, k.name, k.role, k.permissions, coalesce(k.team_id, ''),
	coalesce((SELECT t.name FROM control.team t WHERE t.id = k.team_id), ''), k.creator, k.suffix,
	k.expire_time, k.revoke_time, k.use_time, k.create_time, k.revision`

const (
	selectToken     = `SELECT ` + tokenColumns + ` FROM control.token k WHERE k.id = $1 OR k.name = $1`
	selectTokenHash = `SELECT ` + tokenColumns + ` FROM control.token k
		WHERE k.sha256 = $1 AND k.revoke_time IS NULL AND (k.expire_time IS NULL OR k.expire_time > clock_timestamp())`
	selectTokenPage = `SELECT ` + tokenColumns + ` FROM control.token k WHERE k.name > $1 ORDER BY k.name LIMIT $2`
	tokenNameTaken  = `SELECT EXISTS (SELECT FROM control.token k WHERE k.name = $1)`
	insertToken     = `
		INSERT INTO control.token (id, name, sha256, suffix, role, permissions, team_id, creator, expire_time, revision, create_time)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	revokeToken = `UPDATE control.token SET revoke_time = $2, revision = $3 WHERE id = $1`
	useToken    = `UPDATE control.token SET use_time = clock_timestamp() WHERE id = $1 AND (use_time IS NULL OR use_time < clock_timestamp() - interval '1 minute')`
)

func scanToken(row pgx.CollectableRow) (access.Token, error) {
	var t access.Token
	var role int16
	var permissions []int16
	var expires, revoked, used *time.Time
	err := row.Scan(&t.ID, &t.Name, &role, &permissions, &t.TeamID, &t.Team, &t.Creator, &t.Suffix,
		&expires, &revoked, &used, &t.Created, &t.Revision)
	if role != 0 {
		t.Role = access.RoleWord(controlv1.Role(role))
	}
	for _, p := range permissions {
		t.Permissions = append(t.Permissions, access.PermissionWord(controlv1.Permission(p)))
	}
	for field, at := range map[*time.Time]*time.Time{&t.Expires: expires, &t.Revoked: revoked, &t.Used: used} {
		if at != nil {
			*field = *at
		}
	}
	return t, err
}

// CreateToken stores a new token by the hash of its secret. May says whether the caller has the rights that they hand on, once
// it is known at which team they end.
func (s *Store) CreateToken(ctx context.Context, actor string, t access.Token, hash [32]byte, may func(*access.Token) error, p *registry.Problems) (access.Token, error) {
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		p := p.Clone()
		var taken bool
		if err := c.QueryRow(ctx, tokenNameTaken, t.Name).Scan(&taken); err != nil {
			return fmt.Errorf("read token: %w", err)
		}
		if taken {
			p.Add("name", registry.Taken, "A token with the name %s exists.", t.Name)
		}
		if t.Team != "" {
			teams, err := list(ctx, c, "team", scanTeam, selectTeam, strings.ReplaceAll(t.Team, "\x00", ""))
			switch {
			case err != nil:
				return err
			case len(teams) == 0:
				p.Add("team", registry.Unknown, "There is no team with this name.")
			default:
				t.TeamID, t.Team = teams[0].ID, teams[0].Name
			}
		}
		if !t.Expires.IsZero() && !t.Expires.After(c.now) && !p.Has("expire_time") {
			p.Add("expire_time", registry.Range, "The token would expire at %s, which is past.", t.Expires.UTC().Format(time.RFC3339))
		}
		if err := p.Err("the token"); err != nil {
			return err
		}
		if err := may(&t); err != nil {
			return err
		}
		t.ID, t.Creator, t.Created, t.Revision = id.New(id.Token), actor, c.now, c.revision
		permissions := []int16{}
		for _, word := range t.Permissions {
			permissions = append(permissions, int16(access.PermissionOf(word)))
		}
		var team *string
		if t.TeamID != "" {
			team = &t.TeamID
		}
		var expires *time.Time
		if !t.Expires.IsZero() {
			expires = &t.Expires
		}
		if _, err := c.Exec(ctx, insertToken, t.ID, t.Name, hash[:], t.Suffix, int16(access.RoleOf(t.Role)), permissions, team,
			t.Creator, expires, t.Revision, t.Created); err != nil {
			return fmt.Errorf("write token: %w", err)
		}
		c.record("create", "token", t.ID, nil, t)
		return nil
	})
	return t, err
}

// Tokens lists tokens by name, ended ones too.
func (s *Store) Tokens(ctx context.Context, page Page) ([]access.Token, string, error) {
	after, limit, err := page.open()
	if err != nil {
		return nil, "", err
	}
	all, err := list(ctx, s.db(ctx), "tokens", scanToken, selectTokenPage, after, limit)
	if err != nil {
		return nil, "", translate(err)
	}
	all, next := closePage(all, limit, func(t *access.Token) string { return t.Name })
	return all, next, nil
}

// RevokeToken ends a token for good. May says whether the caller may.
func (s *Store) RevokeToken(ctx context.Context, actor, ref string, may func(*access.Token) error) (access.Token, error) {
	var t access.Token
	err := s.change(ctx, actor, func(ctx context.Context, c *change) (err error) {
		if t, err = findOne(ctx, c, "token", ref, selectToken, scanToken); err != nil {
			return err
		}
		if err := may(&t); err != nil {
			return err
		}
		if !t.Revoked.IsZero() {
			return errNoChange
		}
		old := t
		t.Revoked, t.Revision = c.now, c.revision
		if _, err := c.Exec(ctx, revokeToken, t.ID, t.Revoked, t.Revision); err != nil {
			return fmt.Errorf("revoke token: %w", err)
		}
		c.record("revoke", "token", t.ID, old, t)
		return nil
	})
	return t, err
}

// TokenBySecret finds a token that holds by the hash of its secret, and notes that it was used.
func (s *Store) TokenBySecret(ctx context.Context, hash [32]byte) (access.Token, error) {
	all, err := list(ctx, s.pool, "token", scanToken, selectTokenHash, hash[:])
	if err != nil {
		return access.Token{}, translate(err)
	}
	if len(all) == 0 {
		return access.Token{}, notFound("token", "")
	}
	if _, err := s.pool.Exec(ctx, useToken, all[0].ID); err != nil {
		return access.Token{}, translate(fmt.Errorf("note use: %w", err))
	}
	return all[0], nil
}
