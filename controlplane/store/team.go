package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

const teamColumns = `t.id, t.name, t.create_time, t.revision`

const (
	selectTeam     = `SELECT ` + teamColumns + ` FROM control.team t WHERE t.id = $1 OR t.name = $1`
	selectTeamPage = `SELECT ` + teamColumns + ` FROM control.team t WHERE t.name > $1 ORDER BY t.name LIMIT $2`
	teamNameTaken  = `SELECT EXISTS (SELECT FROM control.team t WHERE t.name = $1)`
	insertTeam     = `INSERT INTO control.team (id, name, revision, create_time) VALUES ($1, $2, $3, $4)`
	deleteTeam     = `DELETE FROM control.team WHERE id = $1`
	selectTeamKeys = `SELECT k.name FROM control.key k WHERE k.team_id = $1 AND k.revoke_time IS NULL ORDER BY k.name`
	leaveTeam      = `UPDATE control.key SET team_id = NULL, revision = $2 WHERE team_id = $1 RETURNING shard`
)

func scanTeam(row pgx.CollectableRow) (registry.Team, error) {
	var t registry.Team
	err := row.Scan(&t.ID, &t.Name, &t.Created, &t.Revision)
	return t, err
}

// Team finds a team by id or name.
func (s *Store) Team(ctx context.Context, ref string) (registry.Team, error) {
	t, err := findTeam(ctx, s.pool, ref)
	return t, translate(err)
}

func findTeam(ctx context.Context, db querier, ref string) (registry.Team, error) {
	return findOne(ctx, db, "team", ref, selectTeam, scanTeam)
}

// Teams lists teams by name.
func (s *Store) Teams(ctx context.Context, page Page) ([]registry.Team, string, error) {
	after, limit, err := page.open()
	if err != nil {
		return nil, "", err
	}
	all, err := list(ctx, s.pool, "teams", scanTeam, selectTeamPage, after, limit)
	if err != nil {
		return nil, "", translate(err)
	}
	all, next := closePage(all, limit, func(t *registry.Team) string { return t.Name })
	return all, next, nil
}

// CreateTeam stores a new team.
func (s *Store) CreateTeam(ctx context.Context, actor, name string) (registry.Team, error) {
	var t registry.Team
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		var taken bool
		if !strings.ContainsRune(name, 0) {
			if err := c.QueryRow(ctx, teamNameTaken, name).Scan(&taken); err != nil {
				return fmt.Errorf("read team: %w", err)
			}
		}
		var p registry.Problems
		registry.CheckTeamName(&p, name, taken)
		if err := p.Err("the team"); err != nil {
			return err
		}
		t = registry.Team{ID: id.New(id.Team), Name: name, Created: c.now, Revision: c.revision}
		if _, err := c.Exec(ctx, insertTeam, t.ID, t.Name, t.Revision, t.Created); err != nil {
			return fmt.Errorf("write team: %w", err)
		}
		c.record("create", "team", t.ID, nil, t)
		return nil
	})
	return t, err
}

// DeleteTeam removes a team that nothing refers to but revoked keys, which leave it.
func (s *Store) DeleteTeam(ctx context.Context, actor, ref string) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		t, err := findTeam(ctx, c, ref)
		if err != nil {
			return err
		}
		held, err := c.heldBy(ctx, "team_id", t.ID)
		if err != nil {
			return err
		}
		if held != "" {
			return fault.New(fault.FailedPrecondition, "Team %s has %s.", t.Name, held).WithHint("Delete them first.")
		}
		keys, err := list(ctx, c, "keys of the team", pgx.RowTo[string], selectTeamKeys, t.ID)
		if err != nil {
			return err
		}
		if len(keys) > 0 {
			return fault.New(fault.FailedPrecondition, "Team %s has keys: %s.", t.Name, names(keys)).
				WithHint("Revoke these keys, or give them another team.")
		}
		if err := c.touchKeys(ctx, leaveTeam, t.ID, c.revision); err != nil {
			return err
		}
		if _, err := c.Exec(ctx, deleteTeam, t.ID); err != nil {
			return fmt.Errorf("delete team: %w", err)
		}
		c.record("delete", "team", t.ID, t, nil)
		return nil
	})
}
