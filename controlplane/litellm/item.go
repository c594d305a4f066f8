package litellm

import (
	"slices"

	"tollgate/internal/config"
	"tollgate/internal/plan"
)

// item is one thing of a list while it is read: an endpoint, or a deployment of a model. It is carried over whole
// or not at all.
type item struct {
	v       *conversion
	kind    string // "endpoint", "deployment"
	line    int
	path    string        // where it stands, for notes
	name    string        // after which its secrets are named
	made    []plan.Secret // secrets that go with it
	uses    []string      // environment_variables that go with it
	refused bool
}

// refuse leaves the item out: one with a setting missing would do something else than what was asked for.
func (e *item) refuse(line int, path, format string, args ...any) {
	e.refused = true
	e.v.note(line, plan.Refused, path, "The "+e.kind+" is not imported. "+format, args...)
}

// onlyReasons takes away what was noted of an item that is left out, from a number of notes on: what would be
// different about it only hides why it is.
func (e *item) onlyReasons(before int) {
	if !e.refused {
		return
	}
	notes := slices.DeleteFunc(e.v.plan.Notes[before:], func(n plan.Note) bool { return n.Level != plan.Refused })
	e.v.plan.Notes = e.v.plan.Notes[:before+len(notes)]
}

// give puts the item's secrets into the plan.
func (e *item) give() {
	for _, variable := range e.uses {
		if shared := e.v.shared[variable]; !e.v.given[shared] {
			e.v.given[shared] = true
			literal, _, _ := e.v.variable(variable)
			e.v.plan.Secrets = append(e.v.plan.Secrets, plan.Secret{Name: shared, Value: config.Secret(literal)})
		}
	}
	e.v.plan.Secrets = append(e.v.plan.Secrets, e.made...)
}

// secret stores a literal credential of this item and answers with the secret's name. It is given
// to the plan when the entry is.
func (e *item) secret(header, value string) string {
	name := unique(slug(e.name+"-"+header, "secret"), e.v.secrets)
	e.v.secrets[name] = true
	e.made = append(e.made, plan.Secret{Name: name, Value: config.Secret(value)})
	return name
}

// sharedSecret stores one of environment_variables once, whichever entries refer to it.
func (e *item) sharedSecret(variable string) string {
	if name, ok := e.v.shared[variable]; ok {
		e.uses = append(e.uses, variable)
		return name
	}
	name := unique(slug(variable, "variable"), e.v.secrets)
	e.v.secrets[name] = true
	e.v.shared[variable] = name
	e.uses = append(e.uses, variable)
	return name
}
