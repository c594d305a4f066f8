package litellmapi

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"tollgate/controlplane/litellm/mapping"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// teamKept are fields of teams that change nothing here.
var teamKept = []string{"tpm_limit_type", "rpm_limit_type", "admins", "members", "team_member_key_duration", "team_member_permissions", "prompts", "disable_global_guardrails"}

// member is a person whom a request puts into a team.
type member struct {
	ref  string
	role controlv1.TeamRole
}

// members reads one member or a list of them.
func (b *body) members(field string) []member {
	var all []any
	switch v := b.value(field).(type) {
	case nil:
	case []any:
		all = v
	case map[string]any:
		all = []any{v}
	default:
		b.wrong(field, "%s is a member or a list of members.", field)
	}
	var out []member
	for _, item := range all {
		fields, ok := item.(map[string]any)
		if !ok {
			b.wrong(field, "%s is a member or a list of members.", field)
			break
		}
		one := &body{fields: fields, taken: map[string]bool{}}
		m := member{ref: one.text("user_email"), role: controlv1.TeamRole_TEAM_ROLE_MEMBER}
		if userID := one.text("user_id"); m.ref == "" {
			m.ref = userID
		}
		switch role := one.text("role"); role {
		case "admin":
			m.role = controlv1.TeamRole_TEAM_ROLE_ADMIN
		case "user", "":
		default:
			one.wrong("role", "role is admin or user.")
		}
		if m.ref == "" {
			one.wrong("user_id", "a member has a user_id or a user_email.")
		}
		one.rest()
		for _, v := range one.bad {
			b.wrong(field, "%s", v.Reason)
		}
		out = append(out, m)
	}
	return out
}

// teamAsk reads what team/new and team/update have in common.
func (c *call) teamAsk(old *controlv1.Team, a *allowance) (*controlv1.UpdateTeamRequest, notes, error) {
	b := c.body
	u, note := &controlv1.UpdateTeamRequest{UpdateMask: &fieldmaskpb.FieldMask{}}, notesOf(old.GetMetadata())
	set := func(field string) { u.UpdateMask.Paths = append(u.UpdateMask.Paths, field) }
	if b.has("models") {
		u.Models = mapping.Models(b.texts("models"))
		set("models")
	}
	if b.has("allowed_routes") || b.has("allowed_passthrough_routes") {
		names, restricted, err := c.routes(b)
		if err != nil {
			return nil, note, err
		}
		for _, field := range routeFields {
			if delete(note.kept, field); !empty(b.fields[field]) {
				note.kept[field] = b.fields[field]
			}
		}
		u.Endpoints, u.Restricted = names, restricted
		set("endpoints")
		set("restricted")
	}
	if b.has("blocked") {
		if blocked := b.flag("blocked"); blocked != nil {
			u.Blocked = *blocked
		}
		set("blocked")
	}
	if b.has("team_alias") {
		note.set("team_alias", b.text("team_alias"))
	}
	if b.has("organization_id") {
		note.set("organization_id", b.text("organization_id"))
	}
	if !empty(b.value("tags")) {
		b.wrong("tags", "tags are on keys here, not on teams.")
	}
	note.read(b)
	a.keep(note.kept)
	maps.Copy(note.kept, b.rest(teamKept...))
	return u, note, b.err()
}

func (c *call) teamNew() (any, error) {
	b := c.body
	ref, alias, people, a := b.text("team_id"), b.text("team_alias"), b.members("members_with_roles"), b.allowance()
	u, note, err := c.teamAsk(nil, a)
	if err != nil {
		return nil, err
	}
	if ref != "" {
		if t, err := c.team(ref); err == nil {
			return nil, fault.New(fault.AlreadyExists, "Team id = %s already exists. Please use a different team id.", clip(teamID(t)))
		} else if !is(err, fault.ObjectNotFound) {
			return nil, err
		}
		note.set("team_id", ref)
	}
	name := mapping.Name(alias)
	if name == "" {
		name = mapping.Name(ref)
	}
	if name == "" {
		name = strings.ReplaceAll(id.New(id.Team), "_", "-")
	}
	if name, err = c.freeTeam(name); err != nil {
		return nil, err
	}
	made := &controlv1.CreateTeamRequest{Name: name, Models: u.GetModels(), Endpoints: u.GetEndpoints(), Restricted: u.GetRestricted()}
	if made.Metadata, err = note.proto(); err != nil {
		return nil, err
	}
	if _, err = c.teams.CreateTeam(c.ctx, made); err != nil {
		return nil, err
	}
	if u.GetBlocked() {
		if _, err := c.teams.UpdateTeam(c.ctx, &controlv1.UpdateTeamRequest{Team: name, Blocked: true, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"blocked"}}}); err != nil {
			return nil, err
		}
	}
	if err := c.join(name, people); err != nil {
		return nil, err
	}
	if err := c.allow(owner{"team", name}, a); err != nil {
		return nil, err
	}
	return c.finishTeam(name)
}

// freeTeam is a name for a team. LiteLLM lets teams share an alias.
func (c *call) freeTeam(name string) (string, error) {
	all, err := c.allTeams()
	if err != nil {
		return "", err
	}
	for n := 1; ; n++ {
		if candidate := mapping.Numbered(name, n); all[candidate] == nil {
			return candidate, nil
		}
	}
}

func (c *call) finishTeam(name string) (any, error) {
	out := object{}
	c.after = func() error {
		c.teamsByName = nil
		t, err := c.team(name)
		if err != nil {
			return err
		}
		info, err := c.describeTeams([]*controlv1.Team{t})
		if err != nil {
			return err
		}
		c.etag = t.GetEtag()
		maps.Copy(out, info[0])
		return nil
	}
	return out, nil
}

func (c *call) teamUpdate() (any, error) {
	t, err := c.team(c.body.text("team_id"))
	if err != nil {
		return nil, err
	}
	a := c.body.allowance()
	u, note, err := c.teamAsk(t, a)
	if err != nil {
		return nil, err
	}
	u.Team, u.Etag = t.GetId(), c.match()
	u.UpdateMask.Paths = append(u.UpdateMask.Paths, "metadata")
	if u.Metadata, err = note.proto(); err != nil {
		return nil, err
	}
	if _, err := c.teams.UpdateTeam(c.ctx, u); err != nil {
		return nil, err
	}
	if err := c.allow(owner{"team", t.GetName()}, a); err != nil {
		return nil, err
	}
	data, err := c.finishTeam(t.GetName())
	return object{"team_id": teamID(t), "data": data}, err
}

func (c *call) teamDelete() (any, error) {
	refs := c.body.texts("team_ids")
	c.body.rest()
	if err := c.body.err(); err != nil {
		return nil, err
	}
	if len(refs) == 0 {
		return nil, missing("team_ids")
	}
	for _, ref := range refs {
		t, err := c.team(ref)
		if err != nil {
			return nil, err
		}
		// LiteLLM deletes a team's keys with it.
		keys, err := c.listKeys("team:"+quoted(t.GetName()), "")
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			if err := c.disallow(owner{"key", k.GetName()}); err != nil {
				return nil, err
			}
			if _, err := c.keys.RevokeKey(c.ctx, &controlv1.RevokeKeyRequest{Key: k.GetId()}); err != nil {
				return nil, err
			}
		}
		if err := c.disallow(owner{"team", t.GetName()}); err != nil {
			return nil, err
		}
		if _, err := c.teams.DeleteTeam(c.ctx, &controlv1.DeleteTeamRequest{Team: t.GetId(), Etag: c.match()}); err != nil {
			return nil, err
		}
	}
	return object{"deleted_teams": refs}, nil
}

func teamBlock(blocked bool) func(*call) (any, error) {
	return func(c *call) (any, error) {
		t, err := c.team(c.body.text("team_id"))
		if err != nil {
			return nil, err
		}
		if _, err := c.teams.UpdateTeam(c.ctx, &controlv1.UpdateTeamRequest{
			Team: t.GetId(), Blocked: blocked, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"blocked"}},
		}); err != nil {
			return nil, err
		}
		return c.finishTeam(t.GetName())
	}
}

// join puts people into a team.
func (c *call) join(team string, people []member) error {
	for _, m := range people {
		ref, err := c.personOf(m.ref)
		if err != nil {
			return err
		}
		if _, err := c.teams.SetTeamMember(c.ctx, &controlv1.SetTeamMemberRequest{Team: team, Person: ref, Role: m.role}); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) teamMemberAdd() (any, error) {
	t, err := c.team(c.body.text("team_id"))
	if err != nil {
		return nil, err
	}
	people := c.body.members("member")
	c.body.rest()
	if err := c.body.err(); err != nil {
		return nil, err
	}
	if len(people) == 0 {
		return nil, missing("member")
	}
	if err := c.join(t.GetName(), people); err != nil {
		return nil, err
	}
	return c.finishTeam(t.GetName())
}

func (c *call) teamMemberDelete() (any, error) {
	t, err := c.team(c.body.text("team_id"))
	if err != nil {
		return nil, err
	}
	ref := c.body.text("user_email")
	if userID := c.body.text("user_id"); ref == "" {
		ref = userID
	}
	c.body.rest()
	if err := c.body.err(); err != nil {
		return nil, err
	}
	if ref == "" {
		return nil, missing("user_id")
	}
	if ref, err = c.personOf(ref); err != nil {
		return nil, err
	}
	if _, err := c.teams.RemoveTeamMember(c.ctx, &controlv1.RemoveTeamMemberRequest{Team: t.GetId(), Person: ref}); err != nil {
		return nil, err
	}
	return c.finishTeam(t.GetName())
}

func (c *call) describeTeams(all []*controlv1.Team) ([]object, error) {
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = t.GetName()
	}
	holdings, err := c.holdings("team", names, true)
	if err != nil {
		return nil, err
	}
	spent := &ever{c: c, by: controlv1.UsageDimension_USAGE_DIMENSION_TEAM}
	out := make([]object, len(all))
	for i, t := range all {
		h, note := holdings[t.GetName()], notesOf(t.GetMetadata())
		n, err := spent.of(h, t.GetName())
		if err != nil {
			return nil, err
		}
		alias := note.text("team_alias")
		if alias == "" {
			alias = t.GetName()
		}
		people := []any{}
		for _, m := range t.GetMembers() {
			role := "user"
			if m.GetRole() == controlv1.TeamRole_TEAM_ROLE_ADMIN {
				role = "admin"
			}
			people = append(people, object{"user_id": m.GetPersonId(), "user_email": m.GetEmail(), "role": role})
		}
		out[i] = object{
			"team_id": teamID(t), "team_alias": alias, "organization_id": nil, "admins": []any{}, "members": []any{}, "members_with_roles": people,
			"metadata": note.own, "models": texts(t.GetModels()), "blocked": t.GetBlocked(), "spend": amountOf(n),
			"created_at": stamp(t.GetCreateTime().AsTime()), "model_id": nil, "litellm_model_table": nil, "object_permission": nil, "tollgate_id": t.GetId(),
		}
		if org := note.text("organization_id"); org != "" {
			out[i]["organization_id"] = org
		}
		describeRoutes(out[i], note, t.GetRestricted(), t.GetEndpoints())
		if err := h.describe(out[i], note.kept); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *call) teamInfo() (any, error) {
	ref := c.r.URL.Query().Get("team_id")
	if ref == "" {
		return nil, missing("team_id")
	}
	t, err := c.team(ref)
	if err != nil {
		return nil, err
	}
	info, err := c.describeTeams([]*controlv1.Team{t})
	if err != nil {
		return nil, err
	}
	keys, err := c.listKeys("team:"+quoted(t.GetName()), "")
	if err != nil {
		return nil, err
	}
	described, err := c.describeKeys(keys)
	c.etag = t.GetEtag()
	return object{"team_id": teamID(t), "team_info": info[0], "keys": described, "team_memberships": []any{}}, err
}

func (c *call) teamList() (any, error) {
	all, err := c.allTeams()
	if err != nil {
		return nil, err
	}
	user := c.r.URL.Query().Get("user_id")
	var teams []*controlv1.Team
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t := all[name]
		if user == "" || slices.ContainsFunc(t.GetMembers(), func(m *controlv1.TeamMember) bool { return m.GetPersonId() == user || m.GetEmail() == user }) {
			teams = append(teams, t)
		}
	}
	return c.describeTeams(teams)
}
