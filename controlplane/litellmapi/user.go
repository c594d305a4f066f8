package litellmapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"tollgate/controlplane/litellm/mapping"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// LiteLLM's users are whom keys are charged to beside their teams, and at the same time people. Here the first is a tag, which has
// the personal budget, and the second a person, where the user has an e-mail address.

// userFields are what the tag of a user keeps in its description.
var userFields = []string{"user_id", "user_email", "user_alias", "user_role", "sso_user_id", "metadata", "models", "budget_duration", "soft_budget"}

var roles = map[string]controlv1.Role{
	"": controlv1.Role_ROLE_MEMBER, "internal_user": controlv1.Role_ROLE_MEMBER, "internal_user_viewer": controlv1.Role_ROLE_MEMBER,
	"proxy_admin": controlv1.Role_ROLE_ADMIN, "proxy_admin_viewer": controlv1.Role_ROLE_VIEWER,
}

// user finds what the tag of a user keeps. A tag that nobody has described is a user with nothing but an id.
func (c *call) user(ref string) (map[string]any, error) {
	if ref == "" {
		return nil, missing("user_id")
	}
	name := mapping.Tag(mapping.UserTag, ref)
	all, err := c.tagsWith(name)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		if t.GetName() == name {
			return userOf(t), nil
		}
	}
	return nil, notFound("User not found, passed user_id=%s", clip(ref))
}

func userOf(t *controlv1.Tag) map[string]any {
	fields := map[string]any{"user_id": strings.TrimPrefix(t.GetName(), mapping.UserTag)}
	if b, err := parseBody([]byte(t.GetDescription())); err == nil {
		maps.Copy(fields, b.fields)
	} else {
		fields["user_alias"] = t.GetDescription()
	}
	return fields
}

func (c *call) writeUser(fields map[string]any) error {
	for name, v := range fields {
		if empty(v) {
			delete(fields, name)
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	if len(text) > longestPlan {
		return invalid("metadata", "The user has more than %d bytes of settings.", longestPlan)
	}
	ref, _ := fields["user_id"].(string)
	_, err = c.tags.SetTag(c.ctx, &controlv1.SetTagRequest{Tag: &controlv1.Tag{Name: mapping.Tag(mapping.UserTag, ref), Description: string(text)}})
	return err
}

// personOf is the e-mail address or id of a person whom a member's user_id or user_email names. Who is new is invited.
func (c *call) personOf(ref string) (string, error) {
	if !strings.Contains(ref, "@") {
		if u, err := c.user(ref); err == nil {
			if email, _ := u["user_email"].(string); email != "" {
				ref = email
			}
		} else if !is(err, fault.ObjectNotFound) {
			return "", err
		}
	}
	_, err := c.people.GetPerson(c.ctx, &controlv1.GetPersonRequest{Person: ref})
	if is(err, fault.ObjectNotFound) && strings.Contains(ref, "@") {
		return ref, c.invite(ref, "", controlv1.Role_ROLE_MEMBER)
	}
	if is(err, fault.ObjectNotFound) {
		return "", invalid("user_id", "There is no person %s: a member needs a user_email, or a user that has one.", clip(ref))
	}
	return ref, err
}

func (c *call) invite(email, name string, role controlv1.Role) error {
	_, err := c.people.CreatePerson(c.ctx, &controlv1.CreatePersonRequest{Person: &controlv1.Person{Email: strings.ToLower(email), Name: name, Role: role}})
	return err
}

// userAsk reads what user/new and user/update have in common into the fields of a user.
func (b *body) userAsk(fields map[string]any) (*allowance, controlv1.Role, error) {
	a := b.allowance()
	for _, name := range []string{"user_email", "user_alias", "user_role", "sso_user_id"} {
		if b.has(name) {
			fields[name] = b.text(name)
		}
	}
	if b.has("metadata") {
		fields["metadata"] = b.object("metadata")
	}
	if names := mapping.Models(b.texts("models")); len(names) > 0 && !slices.Equal(names, []string{"no-default-models"}) {
		b.wrong("models", "models are allowed by key and team here, and not by user.")
	}
	kept := map[string]any{}
	a.keep(kept)
	for _, name := range []string{"budget_duration", "soft_budget"} {
		if a.sent[name] {
			delete(fields, name)
		}
	}
	maps.Copy(fields, kept)
	word, _ := fields["user_role"].(string)
	role, ok := roles[word]
	if !ok {
		b.wrong("user_role", "user_role %q has no counterpart here.", clip(word))
	}
	if n := b.amount("spend"); n != nil && *n != 0 {
		b.wrong("spend", "spend is what the ledger has booked and cannot be set.")
	}
	b.rest("send_invite_email", "key_alias", "team_id", "organization_id", "password_reset", "tpm_limit_type", "rpm_limit_type")
	return a, role, b.err()
}

func (c *call) userNew() (any, error) {
	b := c.body
	ref, auto, joins, duration := b.text("user_id"), b.flag("auto_create_key"), b.teamsOf(), b.text("duration")
	if ref == "" {
		ref = strings.TrimPrefix(id.New(id.Person), "usr_")
	}
	if _, err := c.user(ref); err == nil {
		return nil, fault.New(fault.AlreadyExists, "User already exists, passed user_id=%s", clip(ref))
	} else if !is(err, fault.ObjectNotFound) {
		return nil, err
	}
	fields := map[string]any{"user_id": ref}
	a, role, err := b.userAsk(fields)
	if err != nil {
		return nil, err
	}
	email, _ := fields["user_email"].(string)
	if email != "" {
		name, _ := fields["user_alias"].(string)
		if err := c.invite(email, name, role); err != nil {
			return nil, err
		}
	}
	if err := c.writeUser(fields); err != nil {
		return nil, err
	}
	for _, team := range joins {
		t, err := c.team(team)
		if err != nil {
			return nil, err
		}
		if err := c.join(t.GetName(), []member{{ref, controlv1.TeamRole_TEAM_ROLE_MEMBER}}); err != nil {
			return nil, err
		}
	}
	if err := c.allow(owner{"tag", mapping.Tag(mapping.UserTag, ref)}, a); err != nil {
		return nil, err
	}
	out := object{"key": nil}
	if auto == nil || *auto {
		if err := c.keyOfUser(out, ref, duration); err != nil {
			return nil, err
		}
	}
	return c.finishUser(out, ref), nil
}

// keyOfUser makes the key that comes with a new user.
func (c *call) keyOfUser(out object, ref, duration string) error {
	ask := map[string]any{"user_id": ref}
	if duration != "" {
		ask["duration"] = duration
	}
	if alias := c.body.fields["key_alias"]; alias != nil {
		ask["key_alias"] = alias
	}
	if team := c.body.fields["team_id"]; team != nil {
		ask["team_id"] = team
	}
	whole := c.body
	c.body = &body{fields: ask, taken: map[string]bool{}}
	made, err := c.keyGenerate()
	c.body = whole
	if made, ok := made.(object); ok {
		out["key"] = made["key"]
	}
	return err
}

// teamsOf are the ids of teams that a new user joins.
func (b *body) teamsOf() []string {
	if list, ok := b.fields["teams"].([]any); ok && len(list) > 0 {
		if _, ok := list[0].(string); !ok {
			b.taken["teams"] = true
			b.wrong("teams", "teams is a list of ids of teams.")
			return nil
		}
	}
	return b.texts("teams")
}

func (c *call) finishUser(out object, ref string) object {
	c.after = func() error {
		fields, err := c.user(ref)
		if err != nil {
			return err
		}
		info, err := c.describeUsers([]map[string]any{fields})
		if err != nil {
			return err
		}
		maps.Copy(out, info[0])
		return nil
	}
	return out
}

func (c *call) userUpdate() (any, error) {
	b := c.body
	ref, email := b.text("user_id"), b.text("user_email")
	if ref == "" && email != "" {
		all, err := c.allUsers()
		if err != nil {
			return nil, err
		}
		for _, u := range all {
			if u["user_email"] == email {
				ref, _ = u["user_id"].(string)
			}
		}
	}
	fields, err := c.user(ref)
	if err != nil {
		return nil, err
	}
	old, _ := fields["user_email"].(string)
	a, role, err := b.userAsk(fields)
	if err != nil {
		return nil, err
	}
	now, _ := fields["user_email"].(string)
	switch {
	case now != old && old != "":
		return nil, invalid("user_email", "The e-mail address of a user cannot be changed: delete the user and make a new one.")
	case now != old:
		if err := c.invite(now, "", role); err != nil {
			return nil, err
		}
	case now != "" && b.has("user_role"):
		if _, err := c.people.UpdatePerson(c.ctx, &controlv1.UpdatePersonRequest{Person: strings.ToLower(now), Role: role}); err != nil {
			return nil, err
		}
	}
	if err := c.writeUser(fields); err != nil {
		return nil, err
	}
	if err := c.allow(owner{"tag", mapping.Tag(mapping.UserTag, ref)}, a); err != nil {
		return nil, err
	}
	return object{"user_id": ref, "data": c.finishUser(object{}, ref)}, nil
}

// userDelete deletes users with their keys, as LiteLLM does.
func (c *call) userDelete() (any, error) {
	refs := c.body.texts("user_ids")
	c.body.rest()
	if err := c.body.err(); err != nil {
		return nil, err
	}
	if len(refs) == 0 {
		return nil, missing("user_ids")
	}
	for _, ref := range refs {
		fields, err := c.user(ref)
		if err != nil {
			return nil, err
		}
		tag := mapping.Tag(mapping.UserTag, ref)
		keys, err := c.listKeys("tag:"+quoted(tag), "")
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
		if err := c.disallow(owner{"tag", tag}); err != nil {
			return nil, err
		}
		if _, err := c.tags.DeleteTag(c.ctx, &controlv1.DeleteTagRequest{Tag: tag}); err != nil && !is(err, fault.ObjectNotFound) {
			return nil, err
		}
		if email, _ := fields["user_email"].(string); email != "" {
			if _, err := c.people.DeletePerson(c.ctx, &controlv1.DeletePersonRequest{Person: strings.ToLower(email)}); err != nil && !is(err, fault.ObjectNotFound) {
				return nil, err
			}
		}
	}
	return len(refs), nil
}

func (c *call) allUsers() ([]map[string]any, error) {
	tags, err := c.tagsWith(mapping.UserTag)
	if err != nil {
		return nil, err
	}
	out := make([]map[string]any, len(tags))
	for i, t := range tags {
		out[i] = userOf(t)
	}
	return out, nil
}

func (c *call) describeUsers(all []map[string]any) ([]object, error) {
	names := make([]string, len(all))
	for i, u := range all {
		ref, _ := u["user_id"].(string)
		names[i] = mapping.Tag(mapping.UserTag, ref)
	}
	holdings, err := c.holdings("tag", names, true)
	if err != nil {
		return nil, err
	}
	spent := &ever{c: c, by: controlv1.UsageDimension_USAGE_DIMENSION_TAG}
	out := make([]object, len(all))
	for i, u := range all {
		h := holdings[names[i]]
		n, err := spent.of(h, names[i])
		if err != nil {
			return nil, err
		}
		out[i] = object{"models": []any{}, "teams": []any{}, "spend": amountOf(n), "metadata": object{}}
		for _, name := range userFields {
			if v, ok := u[name]; ok {
				out[i][name] = v
			} else if _, ok := out[i][name]; !ok {
				out[i][name] = nil
			}
		}
		if err := h.describe(out[i], u); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *call) userInfo() (any, error) {
	ref := c.r.URL.Query().Get("user_id")
	fields, err := c.user(ref)
	if err != nil {
		return nil, err
	}
	info, err := c.describeUsers([]map[string]any{fields})
	if err != nil {
		return nil, err
	}
	keys, err := c.listKeys("tag:"+quoted(mapping.Tag(mapping.UserTag, ref)), "")
	if err != nil {
		return nil, err
	}
	described, err := c.describeKeys(keys)
	if err != nil {
		return nil, err
	}
	teams := []any{}
	if email, _ := fields["user_email"].(string); email != "" {
		all, err := c.allTeams()
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if slices.ContainsFunc(all[name].GetMembers(), func(m *controlv1.TeamMember) bool { return strings.EqualFold(m.GetEmail(), email) }) {
				teams = append(teams, object{"team_id": teamID(all[name]), "team_alias": name})
			}
		}
	}
	return object{"user_id": ref, "user_info": info[0], "keys": described, "teams": teams}, nil
}

func (c *call) userList() (any, error) {
	s, err := c.sheet(25, 100)
	if err != nil {
		return nil, err
	}
	all, err := c.allUsers()
	if err != nil {
		return nil, err
	}
	q := c.r.URL.Query()
	all = slices.DeleteFunc(all, func(u map[string]any) bool {
		for _, name := range []string{"user_email", "user_id", "role"} {
			field := name
			if name == "role" {
				field = "user_role"
			}
			have, _ := u[field].(string)
			if q.Get(name) != "" && !strings.Contains(have, q.Get(name)) {
				return true
			}
		}
		return false
	})
	users, err := c.describeUsers(cutOut(s, all))
	return object{"users": users, "total": len(all), "page": s.page, "page_size": s.size, "total_pages": s.pages(len(all))}, err
}
