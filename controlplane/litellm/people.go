package litellm

import (
	"net/mail"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	"tollgate/controlplane/declare"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/plan"
)

// teams makes teams of LiteLLM's, and remembers their names by their ids.
func (v *conversion) teams(r *Records) {
	for _, row := range sortedBy(r.Teams, "team_id") {
		id := row.Text("team_id")
		shown := row.Text("team_alias")
		if shown == "" {
			shown = id
		}
		name, same := objectName(shown, "team")
		if v.teamNames[name] {
			name, same = objectName(shown+" "+id, "team")
		}
		v.teamNames[name], v.teamOf[id] = true, row
		v.teamName[id] = name
		if !same {
			v.about(plan.Info, "team", shown, "It is called %s here: names have lower-case letters, digits and . _ - only.", name)
		}
		t := &controlv1.Team{Name: name, Blocked: row.Truth("blocked")}
		metadata := row.Object("metadata")
		t.Metadata = v.keep("team", shown, row, Row{"litellm_team_id": id}, metadata)
		t.Models = v.allowedModels("team", shown, row.List("models"))
		if routes := metadata.List("allowed_passthrough_routes"); len(routes) > 0 {
			t.Endpoints, t.Restricted = v.reach("team", shown, routes, true), true
		}
		v.guarded("team", shown, row)
		v.plan.Teams = append(v.plan.Teams, t)
		s := subject{declare.Team, name, "team", shown}
		v.spending(s, row)
		v.memberKeys(shown, row)
	}
}

// memberKeys notes what LiteLLM gives each member of a team.
func (v *conversion) memberKeys(shown string, row Row) {
	m := row.Object("metadata")
	for _, name := range []string{"team_member_budget_id", "team_member_key_duration"} {
		if m.has(name) || row.has(name) {
			v.about(plan.Warning, "team", shown, "%s is for members who join later, and is not imported; what present members may spend is.", name)
		}
	}
}

// keep is the metadata that goes along.
func (v *conversion) keep(what, shown string, row, more, metadata Row) *structpb.Struct {
	out := map[string]any{}
	for name, value := range metadata {
		if strings.Contains(name, "temp_budget") || slices.Contains([]string{"tags", "allowed_passthrough_routes", "guardrails", "logging"}, name) {
			continue
		}
		out[name] = value
	}
	for name, value := range more {
		if value != "" {
			out[name] = value
		}
	}
	if alias := row.Text("key_alias"); alias != "" && what == "key" {
		out["litellm_key_alias"] = alias
	}
	if len(out) == 0 {
		return nil
	}
	s, err := structpb.NewStruct(plainNumbers(out))
	if err != nil {
		v.about(plan.Warning, what, shown, "Its metadata are not imported: %v.", err)
		return nil
	}
	return s
}

// plainNumbers makes numbers of metadata texts: they are no amounts, and none is changed by how it is kept.
func plainNumbers(in map[string]any) map[string]any {
	out := make(map[string]any, len(in))
	for k, value := range in {
		out[k] = plainNumber(value)
	}
	return out
}

func plainNumber(value any) any {
	switch t := value.(type) {
	case map[string]any:
		return plainNumbers(t)
	case Row:
		return plainNumbers(t)
	case []any:
		out := make([]any, len(t))
		for i, one := range t {
			out[i] = plainNumber(one)
		}
		return out
	case interface{ String() string }:
		return t.String()
	default:
		return t
	}
}

// guarded notes guardrails, without which content passes that LiteLLM blocks.
func (v *conversion) guarded(what, shown string, row Row) {
	if row.has("guardrails") || row.Object("metadata").has("guardrails") || row.has("policies") {
		v.guardrails++
		v.about(plan.Refused, what, shown, "Its guardrails are not imported: nothing inspects or blocks the content of its requests any more.")
	}
}

// allowedModels are the models that may be asked for; none means all.
func (v *conversion) allowedModels(what, shown string, models []string) (out []string) {
	for _, m := range models {
		switch m {
		case "all-proxy-models", "*":
			return nil
		case "all-team-models": // the team says which
		case "no-default-models":
			v.about(plan.Warning, what, shown, "It may ask for no model by default (no-default-models); here a list that is empty means all, so it gets one that no model has.")
			out = append(out, "no-default-models")
		default:
			if !modelForm.MatchString(m) {
				v.about(plan.Warning, what, shown, "%s cannot be the name of a model, and is left out of those that it may ask for.", quote(m))
				if len(out) == 0 {
					out = append(out, "no-default-models")
				}
				continue
			}
			out = append(out, m)
		}
	}
	return dedupe(out)
}

// users notes people and what each may spend, which becomes a budget on the tag that their keys have.
func (v *conversion) users(r *Records) {
	rows := by(r.Users, "user_id")
	for _, row := range sortedBy(r.Users, "user_id") {
		id := row.Text("user_id")
		if id == "" || id == "default_user_id" || id == "litellm-proxy-budget" {
			if id == "litellm-proxy-budget" {
				v.proxySpent = spent{row.Text("spend"), row.Time("budget_reset_at")}
			}
			continue
		}
		tag, _ := label("user:" + id)
		s := subject{declare.Tag, tag, "user", id}
		own := row
		if a := v.allowance(row); a.text("max_budget") == "" && v.userBudget != "" {
			own = Row{"max_budget": v.userBudget, "budget_duration": v.userEvery}
			for _, name := range []string{"user_id", "spend", "budget_reset_at", "rpm_limit", "tpm_limit", "max_parallel_requests"} {
				own[name] = row[name]
			}
		}
		before := len(v.plan.Budgets) + len(v.plan.Limits)
		v.spending(s, own)
		if len(v.plan.Budgets)+len(v.plan.Limits) > before {
			v.taggedUsers++
			shown := row.Text("user_email")
			if shown == "" {
				shown = id
			}
			v.tag(tag, "The user "+shown+" of LiteLLM")
		}
		if models := row.List("models"); len(models) > 0 && !slices.Contains(models, "all-proxy-models") {
			v.about(plan.Warning, "user", id, "The models that the user may ask for are not imported: a key or a team says which.")
		}
		v.person(id, row, nil)
	}
	for _, row := range sortedBy(r.Memberships, "user_id") {
		v.membership(row)
	}
	for _, id := range sortedKeys(v.teamOf) {
		for _, m := range v.teamOf[id].Rows("members_with_roles") {
			row := rows[m.Text("user_id")]
			if row == nil {
				row = m
			}
			role := controlv1.TeamRole_TEAM_ROLE_MEMBER
			if m.Text("role") == "admin" {
				role = controlv1.TeamRole_TEAM_ROLE_ADMIN
			}
			v.person(m.Text("user_id"), row, &controlv1.TeamMembership{Team: v.teamName[id], Role: role})
		}
	}
}

// membership makes a budget of what a person may spend in a team, on a tag that their keys in it have.
func (v *conversion) membership(row Row) {
	team, user := row.Text("team_id"), row.Text("user_id")
	if v.teamName[team] == "" || user == "" {
		return
	}
	if a := v.allowance(row); a.text("max_budget") == "" && a.text("rpm_limit") == "" && a.text("tpm_limit") == "" {
		return
	}
	tag, _ := label("member:" + v.teamName[team] + ":" + user)
	v.spending(subject{declare.Tag, tag, "member", user + " of " + v.teamName[team]}, row)
	v.tag(tag, "The member "+user+" of the team "+v.teamName[team])
	v.members[team+"\x00"+user] = tag
}

// person makes somebody who may sign in of a user with an address.
func (v *conversion) person(id string, row Row, in *controlv1.TeamMembership) {
	address := strings.ToLower(row.Text("user_email"))
	if address == "" && strings.Contains(id, "@") {
		address = strings.ToLower(id)
	}
	if a, err := mail.ParseAddress(address); err != nil || a.Address != address {
		if in != nil {
			v.nameless++
		}
		return
	}
	i := slices.IndexFunc(v.plan.People, func(p plan.Person) bool { return p.Email == address })
	if i < 0 {
		p := plan.Person{Email: address, Name: row.Text("user_alias"), Role: controlv1.Role_ROLE_MEMBER}
		switch row.Text("user_role") {
		case "proxy_admin":
			v.about(plan.Warning, "user", id, "An administrator of LiteLLM is invited as one who may do nothing but what teams allow: `tollgate person update %s --role admin` makes an administrator.", address)
		case "proxy_admin_viewer":
			p.Role = controlv1.Role_ROLE_VIEWER
		}
		v.plan.People = append(v.plan.People, p)
		i = len(v.plan.People) - 1
	}
	if in != nil && !slices.ContainsFunc(v.plan.People[i].Teams, func(m *controlv1.TeamMembership) bool { return m.GetTeam() == in.GetTeam() }) {
		v.plan.People[i].Teams = append(v.plan.People[i].Teams, in)
	}
}

// organizations become tags that the keys of their teams have, with what they may spend.
func (v *conversion) organizations(r *Records) {
	for _, row := range sortedBy(r.Organizations, "organization_id") {
		id := row.Text("organization_id")
		shown := row.Text("organization_alias")
		if shown == "" {
			shown = id
		}
		tag, _ := label("org:" + shown)
		v.orgTag[id] = tag
		v.spending(subject{declare.Tag, tag, "organization", shown}, row)
		v.tag(tag, "The organization "+shown+" of LiteLLM")
		v.about(plan.Warning, "organization", shown, "Tollgate has no organizations: keys of its teams have the tag %s, on which its budget and its limits are.", tag)
	}
}

// tag describes a tag once.
func (v *conversion) tag(name, description string) {
	if slices.ContainsFunc(v.plan.Tags, func(t *controlv1.Tag) bool { return t.GetName() == name }) {
		return
	}
	v.plan.Tags = append(v.plan.Tags, &controlv1.Tag{Name: name, Description: description[:min(len(description), 1000)]})
}

// tags makes tags of LiteLLM's.
func (v *conversion) tags(r *Records) {
	for _, row := range sortedBy(r.Tags, nameOfTag(r.Tags)) {
		shown := row.Text(nameOfTag(r.Tags))
		name, same := label(shown)
		if !same {
			v.about(plan.Warning, "tag", shown, "It is called %s here; requests that name it otherwise are not counted there.", name)
		}
		description := row.Text("description")
		if description == "" {
			description = "A tag of LiteLLM"
		}
		v.tag(name, description)
		v.spending(subject{declare.Tag, name, "tag", shown}, row)
	}
}

func nameOfTag(rows []Row) string {
	if len(rows) > 0 && rows[0].Text("tag_name") == "" {
		return "name"
	}
	return "tag_name"
}

// customers makes customers, which LiteLLM calls end users.
func (v *conversion) customers(r *Records) {
	for _, row := range sortedBy(r.Customers, "user_id") {
		id := row.Text("user_id")
		name, same := label(id)
		if !same {
			v.about(plan.Refused, "customer", id, "It is not imported: requests could not name it, because names of customers have letters, digits and . _ @ : - only.")
			continue
		}
		c := &controlv1.Customer{Name: name, DisplayName: row.Text("alias"), Blocked: row.Truth("blocked")}
		if row.has("allowed_model_region") || row.has("default_model") {
			v.about(plan.Warning, "customer", id, "allowed_model_region and default_model are not imported.")
		}
		v.plan.Customers = append(v.plan.Customers, c)
		v.spending(subject{declare.Customer, name, "customer", id}, row)
	}
	if len(r.Customers) > 0 {
		v.namesCustomers(0, "customers")
	}
}
