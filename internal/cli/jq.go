package cli

import (
	"encoding/json"
	"fmt"

	"github.com/itchyny/gojq"

	"tollgate/internal/fault"
)

// badJQ is a mistake in what --jq says.
func badJQ(err error) error {
	return fault.New(fault.InvalidArgument, "--jq: %v.", err).WithHint("See what there is with -o json, and `tollgate help formatting`.")
}

// checkJQ finds mistakes before anything is done.
func (a *app) checkJQ() error {
	if a.jq == "" {
		return nil
	}
	if _, err := gojq.Parse(a.jq); err != nil {
		return badJQ(err)
	}
	return nil
}

// printJQ writes what --jq takes of the data: a text as it is, everything else as JSON on a line.
func (a *app) printJQ(data any) error {
	query, err := gojq.Parse(a.jq)
	if err != nil {
		return badJQ(err)
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return err
	}
	// Whole numbers that a float cannot hold are texts in this JSON already.
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return err
	}
	for found := query.Run(value); ; {
		v, ok := found.Next()
		if !ok {
			return nil
		}
		switch v := v.(type) {
		case error:
			return badJQ(v)
		case string:
			fmt.Fprintln(a.Stdout, v)
		default:
			line, err := gojq.Marshal(v)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "%s\n", line)
		}
	}
}
