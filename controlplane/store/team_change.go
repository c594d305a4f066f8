package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

const (
	insertTeam = `
		INSERT INTO control.team (id, name, revision, create_time, description, restricted, models, metadata, blocked)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	updateTeam          = `UPDATE control.team SET name = $2, revision = $3, description = $4, restricted = $5, models = $6, metadata = $7, blocked = $8 WHERE id = $1`
	insertTeamEndpoints = `INSERT INTO control.team_endpoint (team_id, endpoint_id) SELECT $1, unnest($2::text[])`
	deleteTeamEndpoints = `DELETE FROM control.team_endpoint WHERE team_id = $1`
	deleteTeam          = `DELETE FROM control.team WHERE id = $1`
	reviseTeam          = `UPDATE control.team SET revision = $2 WHERE id = $1`
	selectTeamKeys      = `SELECT k.name FROM control.key k WHERE k.team_id = $1 AND k.revoke_time IS NULL ORDER BY k.name`
	moveTeamKeys        = `UPDATE control.key SET team_id = $2, revision = $3 WHERE team_id = $1 AND revoke_time IS NULL RETURNING id, name`
	leaveTeam           = `UPDATE control.key SET team_id = NULL, revision = $2 WHERE team_id = $1`
	// Names are part of what the ledger and edges say in refusals.
	touchBudgetsOfTeam = `UPDATE control.budget SET revision = $2, update_time = $3 WHERE team_id = $1 RETURNING account_id`
	touchLimitsOfTeam  = `UPDATE control.traffic_limit SET revision = $2, update_time = $3 WHERE team_id = $1 RETURNING number`

	selectMember = `SELECT p.id, p.email FROM control.person p WHERE p.id = $1 OR p.email = lower($1)`
	setMember    = `
		INSERT INTO control.team_member (team_id, person_id, role) VALUES ($1, $2, $3)
		ON CONFLICT (team_id, person_id) DO UPDATE SET role = excluded.role`
	removeMember = `DELETE FROM control.team_member WHERE team_id = $1 AND person_id = $2`
)

// CreateTeam stores a new team. Its endpoints may be ids or names.
func (s *Store) CreateTeam(ctx context.Context, actor string, t registry.Team, p *registry.Problems) (registry.Team, error) {
	var made registry.Team
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		t.ID = id.New(id.Team)
		t.Normalize()
		endpoints, err := c.checkTeam(ctx, &t, p.Clone())
		if err != nil {
			return err
		}
		var b pgx.Batch
		b.Queue(insertTeam, t.ID, t.Name, c.revision, c.now, t.Description, t.Restricted, notNil(t.Models), t.Metadata, t.Blocked)
		b.Queue(insertTeamEndpoints, t.ID, endpoints)
		if err := c.SendBatch(ctx, &b).Close(); err != nil {
			return fmt.Errorf("write team: %w", err)
		}
		if made, err = findTeam(ctx, c, t.ID); err != nil {
			return err
		}
		c.record("create", "team", t.ID, nil, made)
		return nil
	})
	return made, err
}

// changeTeam runs f for a team, and records what became of it. Where f changes nothing it returns errNoChange.
func (s *Store) changeTeam(ctx context.Context, actor string, in access.Scope, action, ref, etag string,
	f func(context.Context, *change, registry.Team) error,
) (registry.Team, error) {
	var t registry.Team
	err := s.change(ctx, actor, func(ctx context.Context, c *change) (err error) {
		if t, err = findTeamIn(ctx, c, in, ref); err != nil {
			return err
		}
		if err := compareETag("team", t.Name, etag, t.ETag()); err != nil {
			return err
		}
		old := t
		if err := f(ctx, c, t); err != nil {
			return err
		}
		if t, err = findTeam(ctx, c, t.ID); err != nil {
			return err
		}
		c.record(action, "team", t.ID, old, t)
		return nil
	})
	return t, err
}

// UpdateTeam changes a team as edit says, which sees it as it is and may be called again. Its endpoints may be ids or names.
func (s *Store) UpdateTeam(ctx context.Context, actor, ref, etag string, edit func(*registry.Team), p *registry.Problems) (registry.Team, error) {
	return s.changeTeam(ctx, actor, Anywhere, "update", ref, etag, func(ctx context.Context, c *change, old registry.Team) error {
		t := old
		edit(&t)
		t.Normalize()
		endpoints, err := c.checkTeam(ctx, &t, p.Clone())
		if err != nil {
			return err
		}
		var b pgx.Batch
		b.Queue(updateTeam, t.ID, t.Name, c.revision, t.Description, t.Restricted, notNil(t.Models), t.Metadata, t.Blocked)
		b.Queue(deleteTeamEndpoints, t.ID)
		b.Queue(insertTeamEndpoints, t.ID, endpoints)
		if err := c.SendBatch(ctx, &b).Close(); err != nil {
			return fmt.Errorf("write team: %w", err)
		}
		if t.Name != old.Name {
			if err := c.renameTeam(ctx, t.ID); err != nil {
				return err
			}
		}
		return c.touchKeys(ctx, selectTeamShards, t.ID)
	})
}

// renameTeam marks what has the name of a team in it, beside its keys.
func (c *change) renameTeam(ctx context.Context, id string) error {
	for _, sql := range []string{touchBudgetsOfTeam, touchLimitsOfTeam} {
		numbers, err := list(ctx, c, "budgets and limits of team", pgx.RowTo[int64], sql, id, c.revision, c.now)
		if err != nil {
			return err
		}
		for _, n := range numbers {
			c.touch(contract.ConfigAccounts(contract.AccountShardOf(n)))
		}
	}
	return nil
}

// movedKey is what the audit says of a key that is moved with others.
type movedKey struct {
	Name string `json:"name"`
	Team string `json:"team"`
}

// DeleteTeam removes a team that nothing refers to but revoked keys, which leave it. Other keys can be moved to another team.
func (s *Store) DeleteTeam(ctx context.Context, actor, ref, etag, moveKeysTo string, p *registry.Problems) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		t, err := findTeam(ctx, c, ref)
		if err != nil {
			return err
		}
		if err := compareETag("team", t.Name, etag, t.ETag()); err != nil {
			return err
		}
		held, err := c.heldBy(ctx, "team_id", t.ID)
		if err != nil {
			return err
		}
		if held != "" {
			return fault.New(fault.FailedPrecondition, "Team %s has %s.", t.Name, held).WithHint("Delete them first.")
		}
		if err := c.touchKeys(ctx, selectTeamShards, t.ID); err != nil {
			return err
		}
		if moveKeysTo != "" {
			if err := c.moveKeys(ctx, &t, moveKeysTo, p.Clone()); err != nil {
				return err
			}
		}
		keys, err := list(ctx, c, "keys of the team", pgx.RowTo[string], selectTeamKeys, t.ID)
		if err != nil {
			return err
		}
		if len(keys) > 0 {
			return fault.New(fault.FailedPrecondition, "Team %s has keys: %s.", t.Name, names(keys)).
				WithHint("Revoke these keys, or move them to another team.")
		}
		var b pgx.Batch
		b.Queue(leaveTeam, t.ID, c.revision)
		b.Queue(deleteTeam, t.ID)
		if err := c.SendBatch(ctx, &b).Close(); err != nil {
			return fmt.Errorf("delete team: %w", err)
		}
		c.record("delete", "team", t.ID, t, nil)
		return nil
	})
}

// moveKeys gives the keys of a team to another one.
func (c *change) moveKeys(ctx context.Context, from *registry.Team, ref string, p *registry.Problems) error {
	to, err := findTeam(ctx, c, ref)
	if isNotFound(err) || err == nil && to.ID == from.ID {
		p.Add("move_keys_to", registry.Unknown, "There is no other team %.100q.", ref)
		return p.Err("the deletion")
	}
	if err != nil {
		return err
	}
	moved, err := list(ctx, c, "keys of the team", pgx.RowToStructByPos[named], moveTeamKeys, from.ID, to.ID, c.revision)
	if err != nil {
		return err
	}
	for _, k := range moved {
		c.record("update", "key", k.ID, movedKey{k.Name, from.Name}, movedKey{k.Name, to.Name})
	}
	return nil
}

// SetTeamMember adds a person to a team, or changes their role in it. It changes nothing where that is so.
func (s *Store) SetTeamMember(ctx context.Context, actor string, in access.Scope, ref, person string, role int32) (registry.Team, error) {
	return s.changeMember(ctx, actor, in, "set_member", ref, person, func(ctx context.Context, c *change, t *registry.Team, who named) error {
		for _, m := range t.Members {
			if m.PersonID == who.ID && m.Role == role {
				return errNoChange
			}
		}
		_, err := c.Exec(ctx, setMember, t.ID, who.ID, role)
		return err
	})
}

// RemoveTeamMember takes a person out of a team. It changes nothing where they are not in it.
func (s *Store) RemoveTeamMember(ctx context.Context, actor string, in access.Scope, ref, person string) (registry.Team, error) {
	return s.changeMember(ctx, actor, in, "remove_member", ref, person, func(ctx context.Context, c *change, t *registry.Team, who named) error {
		tag, err := c.Exec(ctx, removeMember, t.ID, who.ID)
		if err == nil && tag.RowsAffected() == 0 {
			return errNoChange
		}
		return err
	})
}

func (s *Store) changeMember(ctx context.Context, actor string, in access.Scope, action, ref, person string,
	f func(context.Context, *change, *registry.Team, named) error,
) (registry.Team, error) {
	return s.changeTeam(ctx, actor, in, action, ref, "", func(ctx context.Context, c *change, t registry.Team) error {
		who, err := findOne(ctx, c, "person", strings.TrimSpace(person), selectMember, pgx.RowToStructByPos[named])
		if err != nil {
			return err
		}
		if err := f(ctx, c, &t, who); err != nil {
			return err
		}
		if _, err := c.Exec(ctx, reviseTeam, t.ID, c.revision); err != nil {
			return fmt.Errorf("write team: %w", err)
		}
		return nil
	})
}
