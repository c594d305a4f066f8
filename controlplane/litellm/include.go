package litellm

import (
	"path"
	"slices"

	"go.yaml.in/yaml/v3"

	"tollgate/internal/plan"
)

// fileLines sets the lines of files apart that are included: those of the second file begin behind a million.
const fileLines = 1_000_000

// include reads the files that a file includes. Lists of theirs are appended to those of the file, and what else they say takes the
// place of what the file says, as LiteLLM has it.
func (v *conversion) include(root *yaml.Node) error {
	top, err := v.fields(root, "")
	if err != nil {
		return err
	}
	i := slices.IndexFunc(top, func(f field) bool { return f.key == "include" })
	if i < 0 {
		return nil
	}
	list := resolve(top[i].value)
	if null(list) {
		return nil
	}
	if list.Kind != yaml.SequenceNode {
		v.note(top[i].line, plan.Refused, "include", "It is no list of files.")
		return nil
	}
	for _, item := range list.Content {
		name := scalar(item)
		var text []byte
		if v.readFile != nil && name != "" {
			text, err = v.readFile(path.Join(path.Dir(v.file), name))
		}
		if text == nil || err != nil {
			v.note(item.Line, plan.Refused, "include", "The file %s cannot be read here: name it as well, or put its contents into this file.", quote(name))
			continue
		}
		other, err := parse(name, text)
		if err != nil {
			return err
		}
		v.files = append(v.files, name)
		shift(other, len(v.files)*fileLines, map[*yaml.Node]bool{})
		if err := v.merge(root, other); err != nil {
			return err
		}
		v.note(item.Line, plan.Info, "include", "%s is read.", quote(name))
	}
	return nil
}

// shift moves the lines of a file.
func shift(n *yaml.Node, by int, done map[*yaml.Node]bool) {
	if n == nil || done[n] {
		return
	}
	done[n] = true
	n.Line += by
	shift(n.Alias, by, done)
	for _, c := range n.Content {
		shift(c, by, done)
	}
}

func (v *conversion) merge(root, other *yaml.Node) error {
	theirs, err := v.fields(other, "")
	if err != nil {
		return err
	}
	for _, f := range theirs {
		value := resolve(f.value)
		at := slices.IndexFunc(root.Content, func(n *yaml.Node) bool { return n.Value == f.key && n.Kind == yaml.ScalarNode })
		if at < 0 || at%2 != 0 {
			root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: f.key, Line: f.line}, f.value)
			continue
		}
		own := resolve(root.Content[at+1])
		if value != nil && value.Kind == yaml.SequenceNode && own != nil && own.Kind == yaml.SequenceNode {
			joined := *own
			joined.Content = slices.Concat(own.Content, value.Content)
			root.Content[at+1] = &joined
			continue
		}
		root.Content[at+1] = f.value
	}
	return nil
}

// places gives the notes the files that they are about.
func (v *conversion) places() {
	for i, n := range v.plan.Notes {
		if file := n.Line / fileLines; file > 0 && file <= len(v.files) {
			v.plan.Notes[i].File, v.plan.Notes[i].Line = v.files[file-1], n.Line%fileLines
		}
	}
}
