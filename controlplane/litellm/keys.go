package litellm

import (
	"cmp"
	"encoding/hex"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/declare"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/plan"
)

var modelForm = regexp.MustCompile(`^[A-Za-z0-9*@][A-Za-z0-9._:/@*+ -]{0,254}$`)

// maxTags is how many tags a key may have.
const maxTags = 4

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// keys takes callers' keys over by their hashes, which LiteLLM makes as Tollgate does: callers keep what they hold.
func (v *conversion) keys(r *Records) {
	counts := map[string]int{}
	for _, row := range sortedBy(r.Keys, "token") {
		token := row.Text("token")
		shown := cmp.Or(row.Text("key_alias"), row.Text("key_name"), token[:min(len(token), 12)])
		hash, err := hex.DecodeString(token)
		switch {
		case row.Text("team_id") == "litellm-dashboard":
			counts["session"]++
			continue
		case err != nil || len(hash) != 32:
			v.about(plan.Refused, "key", shown, "It is not imported: LiteLLM does not have its SHA-256.")
			continue
		case !row.Time("expires").IsZero() && !row.Time("expires").After(v.at):
			counts["expired"]++
			continue
		case managementOnly(row):
			counts["management"]++
			continue
		}
		v.key(row, shown, token, hash)
	}
	for _, c := range []struct{ kind, text string }{
		{"session", "Keys of sessions of LiteLLM's UI are not imported: %d."},
		{"expired", "Keys that expired are not imported: %d. Whoever presents one is answered 401, as before."},
		{"management", "Keys that may call nothing but LiteLLM's own management are not imported: %d. That takes a token of Tollgate's."},
	} {
		if counts[c.kind] > 0 {
			v.note(0, plan.Info, "keys", c.text, counts[c.kind])
		}
	}
}

// managementOnly says whether a key calls LiteLLM itself and nothing behind it.
func managementOnly(row Row) bool {
	routes := row.List("allowed_routes")
	return len(routes) > 0 && !slices.ContainsFunc(routes, func(s string) bool {
		return s != "management_routes" && s != "info_routes" && s != "ui_routes" && s != "self_managed_routes"
	})
}

func (v *conversion) key(row Row, shown, token string, hash []byte) {
	name, same := objectName(row.Text("key_alias"), "key-"+token[:12])
	if v.keyNames[name] {
		name, same = objectName(row.Text("key_alias")+" "+token, "key-"+token[:12])
	}
	v.keyNames[name] = true
	if !same && row.Text("key_alias") != "" {
		v.about(plan.Info, "key", shown, "It is called %s here: names have lower-case letters, digits and . _ - only.", name)
	}
	metadata := row.Object("metadata")
	k := &controlv1.Key{Team: v.teamName[row.Text("team_id")], Blocked: row.Truth("blocked"), Networks: slices.Clone(v.networks)}
	k.Metadata = v.keep("key", shown, row, Row{"litellm_user_id": row.Text("user_id")}, metadata)
	if t := row.Time("expires"); !t.IsZero() {
		k.ExpireTime = timestamppb.New(t)
	}
	if team := row.Text("team_id"); team != "" && k.GetTeam() == "" {
		v.about(plan.Warning, "key", shown, "Its team %s is not there, so it belongs to none.", quote(team))
	}
	k.Models = v.allowedModels("key", shown, row.List("models"))
	v.routes(k, shown, row, metadata)
	k.Tags = v.tagsOf(shown, row, metadata)
	v.unlike(shown, row)
	v.plan.Keys = append(v.plan.Keys, plan.Key{Name: name, SHA256: hash, Settings: k})
	s := subject{declare.Key, name, "key", shown}
	if row.Text("max_parallel_requests") == "" && v.parallel != "" {
		row = maps.Clone(row)
		row["max_parallel_requests"] = v.parallel
	}
	v.spending(s, row)
	v.raise(s, metadata)
}

// routes makes of LiteLLM's routes the endpoints that a key may call.
func (v *conversion) routes(k *controlv1.Key, shown string, row, metadata Row) {
	routes, open := row.List("allowed_routes"), false
	for _, r := range routes {
		open = open || r == "llm_api_routes" || r == "openai_routes" || r == "anthropic_routes" || r == "/*" || r == "*"
	}
	if len(routes) > 0 && !open {
		k.Endpoints, k.Restricted = v.reach("key", shown, routes, false), true
	}
	if through := slices.Concat(row.List("allowed_passthrough_routes"), metadata.List("allowed_passthrough_routes")); len(through) > 0 && !k.GetRestricted() {
		k.Endpoints, k.Restricted = v.reach("key", shown, through, true), true
	}
}

// reach are the names of the endpoints at routes. A grant of pass-through routes takes no model away.
func (v *conversion) reach(what, shown string, routes []string, models bool) (out []string) {
	all := slices.Concat(v.plan.Endpoints, v.known)
	for _, r := range routes {
		base, wide := strings.CutSuffix(r, "*")
		base = strings.TrimSuffix(base, "/")
		found := false
		for _, e := range all {
			if e.GetPath() == base || wide && strings.HasPrefix(e.GetPath(), base+"/") {
				out, found = append(out, e.GetName()), true
			}
		}
		if !found {
			v.about(plan.Warning, what, shown, "No endpoint answers %s, which it may call in LiteLLM.", quote(r))
		}
	}
	if models {
		for _, e := range all {
			if e.GetModels() != nil {
				out = append(out, e.GetName())
			}
		}
	}
	out = dedupe(out)
	slices.Sort(out)
	if len(out) == 0 {
		v.about(plan.Warning, what, shown, "It may call no endpoint: none of its routes is here.")
	}
	return out
}

// tagsOf are the tags of a key: its user, its place in its team and its organization, which may have budgets, and its own.
func (v *conversion) tagsOf(shown string, row, metadata Row) []string {
	var tags []string
	user, team := row.Text("user_id"), row.Text("team_id")
	if user != "" && user != "default_user_id" && (team == "" || !v.userOnly) {
		tag, _ := label("user:" + user)
		tags = append(tags, tag)
	}
	if tag := v.members[team+"\x00"+user]; tag != "" {
		tags = append(tags, tag)
	}
	org := cmp.Or(row.Text("organization_id"), row.Text("org_id"), v.teamOf[team].Text("organization_id"))
	if tag := v.orgTag[org]; tag != "" {
		tags = append(tags, tag)
	}
	for _, t := range slices.Concat(row.List("tags"), metadata.List("tags")) {
		tag, same := label(t)
		if !same {
			v.about(plan.Warning, "key", shown, "Its tag %s is called %s here.", quote(t), tag)
		}
		tags = append(tags, tag)
	}
	tags = dedupe(tags)
	if len(tags) > maxTags {
		v.about(plan.Refused, "key", shown, "It has %d tags, of which a key has at most %d: %s are left out.", len(tags), maxTags, strings.Join(tags[maxTags:], ", "))
		tags = tags[:maxTags]
	}
	return tags
}

// unlike notes what a key has in LiteLLM and not here.
func (v *conversion) unlike(shown string, row Row) {
	v.guarded("key", shown, row)
	for _, c := range []struct{ name, text string }{
		{"aliases", "Its own names of models (aliases) are not imported: give the models these names with `tollgate model update --alias`."},
		{"permissions", "Its permissions are not imported."},
		{"object_permission_id", "What it may use of MCP servers and vector stores is not imported."},
		{"allowed_cache_controls", "Its cache controls are not imported: Tollgate caches no responses."},
		{"router_settings", "Its router_settings are not imported."},
		{"budget_fallbacks", "Its budget_fallbacks are not imported: a request beyond a budget is refused."},
		{"auto_rotate", "It is rotated by nobody: `tollgate key rotate` does."},
	} {
		if row.has(c.name) && row.Text(c.name) != "false" && row.Text(c.name) != "f" {
			v.about(plan.Warning, "key", shown, "%s", c.text)
		}
	}
	if row.Object("metadata").has("enforced_params") {
		v.about(plan.Refused, "key", shown, "enforced_params is not imported: requests without these parameters are let through.")
	}
	if kind := row.Text("key_type"); kind == "read_only" {
		v.about(plan.Warning, "key", shown, "It may only read in LiteLLM; here it may call what its endpoints say.")
	}
}

// raise takes over what is added to a key's budget for a while.
func (v *conversion) raise(s subject, metadata Row) {
	by := metadata.Text("temp_budget_increase")
	until := metadata.Time("temp_budget_expiry")
	if by == "" || !until.After(v.at) {
		return
	}
	nanos, err := dollars(by, false)
	i := slices.IndexFunc(v.plan.Budgets, s.same)
	if err != nil || nanos <= 0 || i < 0 {
		v.about(plan.Warning, s.what, s.row, "Its temp_budget_increase is not imported.")
		return
	}
	v.plan.Raises = append(v.plan.Raises, plan.Raise{Budget: v.plan.Budgets[i].GetName(), By: nanos, Until: until.Truncate(time.Second)})
}
