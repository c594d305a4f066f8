package document

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Line is where a document has a field, "meters[2].hold.least": the path of a complaint that was made after it was read.
// Where the document does not have the field, because it is missing there, it is the line of what should hold it; 0 if it has no
// part of the path.
func Line(n *yaml.Node, path string) int {
	line := 0
	for path != "" {
		for n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		var step string
		step, path = cut(path)
		found := at(n, step)
		if found == nil {
			return line
		}
		n, line = found, found.Line
	}
	return line
}

// cut takes the first step off a path: a name, or an index in brackets.
func cut(path string) (step, rest string) {
	if path[0] == '[' {
		if end := strings.IndexByte(path, ']'); end > 0 {
			return path[:end+1], strings.TrimPrefix(path[end+1:], ".")
		}
	}
	if end := strings.IndexAny(path[1:], ".["); end >= 0 {
		return path[:end+1], strings.TrimPrefix(path[end+1:], ".")
	}
	return path, ""
}

// at is the part of a node that a step leads to. The names of a message's fields have two forms.
func at(n *yaml.Node, step string) *yaml.Node {
	if n.Kind == yaml.SequenceNode {
		i, err := strconv.Atoi(strings.Trim(step, "[]"))
		if err != nil || i < 0 || i >= len(n.Content) {
			return nil
		}
		return n.Content[i]
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	name := strings.Trim(step, `[]"`)
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := n.Content[i].Value; key == name || plain(key) == plain(name) {
			return n.Content[i+1]
		}
	}
	return nil
}

// plain makes one of both forms of a field's name.
func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }
