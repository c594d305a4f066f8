package rpc

import (
	"context"
	"slices"
	"strings"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// reach is of which teams a caller may see money, by the names that the books have.
type reach struct {
	everywhere bool
	teams      []string
}

func (r reach) covers(team string) bool {
	return r.everywhere || team != "" && slices.Contains(r.teams, team)
}

func teamsOf(ctx context.Context, st *store.Store) (reach, error) {
	scope := access.From(ctx).Scope(access.MoneyRead)
	out := reach{everywhere: scope.Everywhere}
	for _, ref := range scope.Teams {
		t, err := st.Team(ctx, store.Anywhere, ref)
		switch {
		case err == nil:
			out.teams = append(out.teams, t.Name)
		case fault.From(err).Code != fault.ObjectNotFound: // it may have been deleted a moment ago
			return out, err
		}
	}
	slices.Sort(out.teams)
	return out, nil
}

func otherTeam(name string) error {
	return fault.New(fault.PermissionDenied, "Your rights end at your teams, and %.63q is not one of them.", name)
}

// ownTeam is the name of the team that a question about money is about: the one that is named, if the caller may see that, and
// otherwise the only one that they may see. Whoever may see everything need not name any.
func (s *usageService) ownTeam(ctx context.Context, ref, field string) (string, error) {
	name, err := s.teamName(ctx, ref)
	if err != nil {
		return "", err
	}
	reach, err := teamsOf(ctx, s.store)
	switch {
	case err != nil:
		return "", err
	case reach.everywhere || reach.covers(name):
		return name, nil
	case name != "":
		return "", otherTeam(ref)
	case len(reach.teams) == 1:
		return reach.teams[0], nil
	case len(reach.teams) == 0:
		return "", fault.New(fault.PermissionDenied, "You may see the money of no team.")
	}
	p := problems("")
	p.Add(field, registry.Required, "Name one of your teams: %s.", strings.Join(reach.teams, ", "))
	return "", p.Err("the call")
}

// teamName is the name by which the books know a team.
func (s *usageService) teamName(ctx context.Context, ref string) (string, error) {
	if !id.Is(id.Team, ref) {
		return ref, nil // also of a team that was deleted since: its usage stays
	}
	t, err := s.store.Team(ctx, store.Anywhere, ref)
	return t.Name, err
}
