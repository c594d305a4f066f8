package litellm

import (
	"encoding/json"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"tollgate/internal/plan"
)

// stored makes of records alone what a file would say: the settings that were changed in LiteLLM's UI.
func (v *conversion) stored(r *Records) error {
	v.note(0, plan.Info, "", "There is no config.yaml: models and settings that stand there are not imported. Name the file as well to have both.")
	root := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	v.override(root, r)
	if len(root.Content) == 0 {
		return nil
	}
	return v.document(root)
}

// override puts what was changed in LiteLLM's UI into a file, over which it counts at run time.
func (v *conversion) override(root *yaml.Node, r *Records) {
	for _, section := range sortedKeys(r.Settings) {
		settings := r.Settings[section]
		for _, name := range sortedKeys(settings) {
			if name == "pass_through_endpoints" {
				continue // they are among the records
			}
			node, err := nodeOf(settings[name])
			if err != nil {
				continue
			}
			if set(root, section, name, node) {
				v.note(0, plan.Warning, section+"."+name, "It is another value in LiteLLM's database than in the file. The database counts, as it does for LiteLLM.")
			}
		}
	}
	var entries []*yaml.Node
	paths := map[string]bool{}
	for _, row := range r.Endpoints {
		if row.Truth("is_from_config") && !v.alone(root) {
			continue // the file says it
		}
		node, err := nodeOf(map[string]any(row))
		if err != nil {
			continue
		}
		entries = append(entries, node)
		paths[row.Text("path")] = true
	}
	if len(entries) == 0 {
		return
	}
	if old := get(root, "general_settings", "pass_through_endpoints"); old != nil && old.Kind == yaml.SequenceNode {
		for _, item := range old.Content {
			m := resolve(item)
			if m != nil && m.Kind == yaml.MappingNode {
				if path := get(m, "path"); path != nil && paths[path.Value] {
					v.note(item.Line, plan.Warning, "general_settings.pass_through_endpoints", "The endpoint %s is in LiteLLM's database too, which counts, as it does for LiteLLM.", quote(path.Value))
					continue
				}
			}
			entries = append(entries, item)
		}
	}
	set(root, "general_settings", "pass_through_endpoints", &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: entries})
}

// alone says whether there is no file.
func (v *conversion) alone(root *yaml.Node) bool {
	return !slices.ContainsFunc(root.Content, func(n *yaml.Node) bool { return n.Line > 0 })
}

// nodeOf is a value of a record as a file says it, without lines.
func nodeOf(value any) (*yaml.Node, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("write a record: %w", err)
	}
	var n yaml.Node
	if err := yaml.Unmarshal(raw, &n); err != nil {
		return nil, fmt.Errorf("read a record: %w", err)
	}
	withoutLines(&n)
	return resolve(&n), nil
}

func withoutLines(n *yaml.Node) {
	n.Line, n.Column = 0, 0
	for _, c := range n.Content {
		withoutLines(c)
	}
}

// get is a value in a mapping of mappings.
func get(n *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		n = resolve(n)
		if n == nil || n.Kind != yaml.MappingNode {
			return nil
		}
		i := slices.IndexFunc(n.Content, func(c *yaml.Node) bool { return c.Value == key })
		if i < 0 || i%2 != 0 {
			return nil
		}
		n = n.Content[i+1]
	}
	return resolve(n)
}

// set puts a value into a section, and says whether another was there.
func set(root *yaml.Node, section, name string, value *yaml.Node) bool {
	s := get(root, section)
	if s == nil || s.Kind != yaml.MappingNode {
		s = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: section}, s)
	}
	if old := get(s, name); old != nil {
		i := slices.IndexFunc(s.Content, func(c *yaml.Node) bool { return c.Value == name })
		differs := old.Value != value.Value || old.Kind != value.Kind
		s.Content[i+1] = value
		return differs
	}
	s.Content = append(s.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, value)
	return false
}

// records reads what LiteLLM keeps beside its file. Budgets and teams come before the keys that refer to them.
func (v *conversion) records(r *Records) {
	v.recorded = true
	for _, text := range r.Missing {
		v.note(0, plan.Refused, r.From, "%s", text)
	}
	v.budgets = by(r.Budgets, "budget_id")
	v.organizations(r)
	v.teams(r)
	v.tags(r)
	v.users(r)
	v.customers(r)
	v.keys(r)
}

// guardrailList reads the guardrails that the file has. Those that are always on guard every request.
func (v *conversion) guardrailList(f field) {
	list := resolve(f.value)
	if null(list) {
		return
	}
	always := 0
	for _, item := range list.Content {
		if on := get(item, "litellm_params", "default_on"); on != nil {
			if yes, _ := truth(on); yes {
				always++
			}
		}
	}
	v.remark(f, f.key, topLevel)
	if always > 0 {
		v.guardrails += always
		v.note(f.line, plan.Refused, f.key, "%d of them guard every request (default_on).", always)
	}
}
