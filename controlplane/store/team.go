package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/access"
	"tollgate/controlplane/filter"
	"tollgate/controlplane/registry"
)

const (
	teamColumns = `t.id, t.name, t.description, t.restricted,
	ARRAY(SELECT e.name FROM control.team_endpoint te JOIN control.endpoint e ON e.id = te.endpoint_id WHERE te.team_id = t.id ORDER BY e.name),
	t.models, t.metadata, t.blocked, t.create_time, t.revision,
	(SELECT count(*) FROM control.key k WHERE k.team_id = t.id AND k.team_id IS NOT NULL AND k.revoke_time IS NULL),
	coalesce((SELECT m.owner FROM control.managed m WHERE m.kind = 'team' AND m.object_id = t.id), ''),
	ARRAY(SELECT p.id FROM control.team_member tm JOIN control.person p ON p.id = tm.person_id WHERE tm.team_id = t.id ORDER BY p.email),
	ARRAY(SELECT p.email FROM control.team_member tm JOIN control.person p ON p.id = tm.person_id WHERE tm.team_id = t.id ORDER BY p.email),
	ARRAY(SELECT tm.role FROM control.team_member tm JOIN control.person p ON p.id = tm.person_id WHERE tm.team_id = t.id ORDER BY p.email)`

	selectTeams   = `SELECT ` + teamColumns + ` FROM control.team t`
	selectTeam    = selectTeams + ` WHERE t.id = $1 OR t.name = $1`
	teamNameTaken = `SELECT EXISTS (SELECT FROM control.team t WHERE t.name = $1 AND t.id <> $2)`
)

func scanTeam(row pgx.CollectableRow) (registry.Team, error) {
	var t registry.Team
	var ids, emails []string
	var roles []int32
	err := row.Scan(&t.ID, &t.Name, &t.Description, &t.Restricted, &t.Endpoints, &t.Models, &t.Metadata, &t.Blocked,
		&t.Created, &t.Revision, &t.Keys, &t.ManagedBy, &ids, &emails, &roles)
	if err != nil {
		return t, err
	}
	for i := range ids {
		t.Members = append(t.Members, registry.TeamMember{PersonID: ids[i], Email: emails[i], Role: roles[i]})
	}
	return t, nil
}

// Team finds a team by id or name. One outside of the scope does not exist.
func (s *Store) Team(ctx context.Context, in access.Scope, ref string) (registry.Team, error) {
	t, err := findTeamIn(ctx, s.db(ctx), in, ref)
	return t, translate(err)
}

func findTeam(ctx context.Context, db querier, ref string) (registry.Team, error) {
	return findOne(ctx, db, "team", ref, selectTeam, scanTeam)
}

func findTeamIn(ctx context.Context, db querier, in access.Scope, ref string) (registry.Team, error) {
	t, err := findTeam(ctx, db, ref)
	if err == nil && !in.Covers(t.ID) {
		return registry.Team{}, notFound("team", ref)
	}
	return t, err
}

// Teams lists teams.
func (s *Store) Teams(ctx context.Context, in access.Scope, q ListQuery) ([]registry.Team, string, error) {
	return teams.read(ctx, s.db(ctx), q, within(in, `t.id`)...)
}

var teams = listing[registry.Team]{
	list: &filter.Teams, what: "teams", sql: selectTeams, scan: scanTeam, words: []string{`t.name`},
	unique: `t.name`, ident: func(t *registry.Team) string { return t.Name },
	fields: map[string]condition{
		"id": anyOf(`t.id`),
		"member": func(a *arguments, values []string) string {
			v := a.add(values)
			return `EXISTS (SELECT FROM control.team_member x JOIN control.person y ON y.id = x.person_id
				WHERE x.team_id = t.id AND (y.id = ANY(` + v + `::text[]) OR y.email = ANY(` + v + `::text[])))`
		},
		"blocked": yesOrNo(`t.blocked`),
		"managed": managed("team", `t.id`),
	},
	orders: map[string]ordering[registry.Team]{
		"name":        byText(`t.name`, func(t *registry.Team) string { return t.Name }),
		"create_time": byTime(`t.create_time`, func(t *registry.Team) time.Time { return t.Created }),
	},
}

// checkTeam runs the rules and returns the ids of the endpoints that were asked for.
func (c *change) checkTeam(ctx context.Context, t *registry.Team, p *registry.Problems) ([]string, error) {
	var facts registry.TeamFacts
	var ids []string
	var err error
	if !strings.ContainsRune(t.Name, 0) {
		if err := c.QueryRow(ctx, teamNameTaken, t.Name, t.ID).Scan(&facts.NameTaken); err != nil {
			return nil, fmt.Errorf("read team: %w", err)
		}
	}
	if ids, facts.Known, err = c.endpointsOf(ctx, t.Endpoints); err != nil {
		return nil, err
	}
	t.Check(p, facts)
	return ids, p.Err("the team")
}
