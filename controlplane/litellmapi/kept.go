package litellmapi

import (
	"encoding/json"
	"maps"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"tollgate/controlplane/litellm/mapping"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// notes is the metadata of an object: what its owner keeps with it, and apart from that what LiteLLM was told of it and nothing
// here holds.
type notes struct {
	own  map[string]any
	kept map[string]any
}

func notesOf(m *structpb.Struct) notes {
	n := notes{own: map[string]any{}, kept: map[string]any{}}
	for name, v := range m.AsMap() {
		if kept, ok := v.(map[string]any); ok && name == mapping.Kept {
			n.kept = kept
			continue
		}
		n.own[name] = v
	}
	for name, v := range n.own { // as the importer keeps what it read, such as litellm_team_id
		if was, ok := strings.CutPrefix(name, mapping.Kept+"_"); ok {
			if delete(n.own, name); n.kept[was] == nil {
				n.kept[was] = v
			}
		}
	}
	return n
}

// read takes metadata from a request: it replaces what there was. What is kept beside it stays.
func (n *notes) read(b *body) {
	if !b.has("metadata") {
		return
	}
	n.own = map[string]any{}
	maps.Copy(n.own, b.object("metadata"))
	delete(n.own, mapping.Kept)
}

// proto is the metadata as the API has it; nil for none.
func (n notes) proto() (*structpb.Struct, error) {
	all := maps.Clone(n.own)
	if len(n.kept) > 0 {
		all[mapping.Kept] = n.kept
	}
	if len(all) == 0 {
		return nil, nil
	}
	raw, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	out := &structpb.Struct{}
	if err := protojson.Unmarshal(raw, out); err != nil {
		return nil, invalid("metadata", "metadata cannot be kept: %v.", err)
	}
	return out, nil
}

func (n notes) text(name string) string {
	s, _ := n.kept[name].(string)
	return s
}

// set keeps a text, or forgets it if it is empty.
func (n notes) set(name, text string) {
	if text == "" {
		delete(n.kept, name)
		return
	}
	n.kept[name] = text
}

// allTeams are all teams that the caller may see, by name.
func (c *call) allTeams() (map[string]*controlv1.Team, error) {
	if c.teamsByName != nil {
		return c.teamsByName, nil
	}
	all := map[string]*controlv1.Team{}
	req := &controlv1.ListTeamsRequest{PageSize: 1000}
	for range mostPages {
		page, err := c.teams.ListTeams(c.ctx, req)
		if err != nil {
			return nil, err
		}
		for _, t := range page.GetTeams() {
			all[t.GetName()] = t
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	c.teamsByName = all
	return all, nil
}

// teamID is what LiteLLM's clients know a team by: the id that they gave it or that it had there, or its name.
func teamID(t *controlv1.Team) string {
	if id := notesOf(t.GetMetadata()).text("team_id"); id != "" {
		return id
	}
	return t.GetName()
}

// team finds a team by the id that clients know it by, by its name or by ours.
func (c *call) team(ref string) (*controlv1.Team, error) {
	all, err := c.allTeams()
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		if teamID(t) == ref {
			return t, nil
		}
	}
	for _, t := range all {
		if t.GetName() == ref || t.GetId() == ref {
			return t, nil
		}
	}
	return nil, notFound("Team not found, passed team id: %s.", clip(ref))
}
