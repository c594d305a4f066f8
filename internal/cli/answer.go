package cli

import (
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Answer is what a command found out that others added, in all its forms.
type Answer struct {
	Data  any      // for json and yaml, both by its json tags
	Names []string // for name
	Text  string   // for people, in place of a table

	Head, Right []string // of the table; columns in Right are aligned to the right
	Rows        [][]string
}

// Print writes an answer to stdout in the form that was asked for.
func (r *Root) Print(answer Answer) error {
	a := r.app
	out := result{data: answer.Data, names: answer.Names, table: table{head: answer.Head, right: answer.Right, rows: answer.Rows}}
	switch {
	case a.forPeople():
		if answer.Text != "" {
			_, err := fmt.Fprint(a.Stdout, answer.Text)
			return err
		}
	case a.format() == formatYAML:
		raw, err := json.Marshal(answer.Data)
		if err != nil {
			return err
		}
		var doc yaml.Node // JSON is YAML in another style
		if err := yaml.Unmarshal(raw, &doc); err != nil {
			return err
		}
		plainStyle(&doc)
		out.data = &doc
	}
	return a.print(out)
}

// plainStyle has a document written as people write YAML. Texts that would be read as something else stay
// quoted.
func plainStyle(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plainStyle(c)
	}
}
