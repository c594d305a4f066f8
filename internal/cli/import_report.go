package cli

import (
	"strconv"
	"strings"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/plan"
)

// imported is what became of one object.
type imported struct{ kind, name, result, note string }

var importResults = map[controlv1.ChangeKind]string{
	controlv1.ChangeKind_CHANGE_KIND_CREATE: "created",
	controlv1.ChangeKind_CHANGE_KIND_UPDATE: "updated",
	controlv1.ChangeKind_CHANGE_KIND_DELETE: "deleted",
}

// changesOf is what the server did, and what it has to say beside.
func changesOf(changes []*controlv1.ConfigChange, notes []*controlv1.ConfigNote, before string) (out []imported) {
	for _, c := range changes {
		if result, ok := importResults[c.GetChange()]; ok {
			out = append(out, imported{kind: kindWord(c.GetKind()), name: c.GetName(), result: before + result})
		}
	}
	for _, n := range notes {
		kind, name, _ := strings.Cut(n.GetPath(), " ")
		out = append(out, imported{kind: kind, name: name, result: "unchanged", note: n.GetText()})
	}
	return out
}

// planned is the report of a dry run: what is there already is not known without a server.
func planned(p *plan.Plan) (out []imported) {
	add := func(kind, name string) { out = append(out, imported{kind: kind, name: name, result: "planned"}) }
	for _, s := range p.Secrets {
		add("secret", s.Name)
	}
	for _, one := range p.Adapters {
		add("adapter", one.GetName())
	}
	for _, m := range p.Models {
		add("model", m.GetName())
	}
	for _, e := range p.Endpoints {
		add("endpoint", e.GetName())
	}
	for _, t := range p.Teams {
		add("team", t.GetName())
	}
	for _, c := range p.Customers {
		add("customer", c.GetName())
	}
	for _, t := range p.Tags {
		add("tag", t.GetName())
	}
	for _, k := range p.Keys {
		add("key", k.Name)
	}
	for _, b := range p.Budgets {
		add("budget", b.GetName())
	}
	for _, l := range p.Limits {
		add("limit", l.GetName())
	}
	if p.Settings.Values != nil {
		add("settings", strings.Join(p.Settings.Given, ","))
	}
	for _, one := range p.People {
		add("person", one.Email)
	}
	return out
}

func (a *app) printReport(file string, p *plan.Plan, report []imported, withPlan bool) error {
	actions, notes, models, endpoints := []any{}, []any{}, []any{}, []any{}
	r := result{table: table{head: []string{"KIND", "NAME", "RESULT"}}}
	for _, action := range report {
		one := &object{}
		one.set("kind", action.kind)
		one.set("name", action.name)
		one.set("result", action.result)
		if action.note != "" {
			one.set("note", action.note)
		}
		actions = append(actions, one)
		r.names = append(r.names, action.kind+"/"+action.name)
		r.table.add(action.kind, action.name, action.result)
	}
	for _, n := range p.Notes {
		one := &object{}
		if n.File != "" {
			one.set("file", n.File)
		}
		one.set("line", n.Line)
		one.set("level", n.Level.String())
		one.set("path", n.Path)
		one.set("text", n.Text)
		notes = append(notes, one)
	}
	data := &object{}
	data.set("actions", actions)
	if withPlan {
		for _, m := range p.Models {
			models = append(models, view(m))
		}
		for _, e := range p.Endpoints {
			endpoints = append(endpoints, view(e))
		}
		data.set("models", models)
		data.set("endpoints", endpoints)
	}
	data.set("notes", notes)
	r.data = data
	if a.forPeople() || a.format() == formatName {
		a.notes(file, p)
	}
	for _, action := range report {
		if action.note != "" && a.forPeople() {
			a.say("! %s %s: %s", action.kind, action.name, action.note)
		}
	}
	if len(report) == 0 && a.forPeople() {
		a.say("%s nothing to do: all of it is there", a.mark(true))
		return nil
	}
	return a.print(r)
}

// notes names everything about the file, as compilers do: an editor can jump to it.
func (a *app) notes(file string, p *plan.Plan) {
	for _, n := range p.Notes {
		place := first(n.File, file)
		if n.Line > 0 {
			place += ":" + strconv.Itoa(n.Line)
		}
		a.say("%s: %s: %s: %s", place, n.Level, first(n.Path, "file"), n.Text)
	}
	parts := []string{}
	for _, c := range []struct {
		n     int
		thing string
	}{
		{len(p.Models), "model"},
		{len(p.Endpoints), "endpoint"},
		{len(p.Secrets), "secret"},
		{len(p.Teams), "team"},
		{len(p.Customers), "customer"},
		{len(p.Keys), "key"},
		{len(p.Budgets), "budget"},
		{len(p.Limits), "limit"},
	} {
		if c.n > 0 {
			parts = append(parts, several(c.n, c.thing))
		}
	}
	if len(p.People) == 1 {
		parts = append(parts, "1 person")
	} else if len(p.People) > 1 {
		parts = append(parts, strconv.Itoa(len(p.People))+" people")
	}
	a.say("%s: %s; %d refused, %s", file, first(strings.Join(parts, ", "), "nothing"), p.Count(plan.Refused), several(p.Count(plan.Warning), "warning"))
}
