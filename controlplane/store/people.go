package store

import (
	"context"

	"tollgate/controlplane/access"
	"tollgate/controlplane/filter"
)

// People lists people by e-mail address.
func (s *Store) People(ctx context.Context, q ListQuery) ([]access.Person, string, error) {
	return people.read(ctx, s.db(ctx), q)
}

var people = listing[access.Person]{
	list: &filter.People, what: "people", sql: `SELECT ` + personColumns + ` FROM control.person p`, scan: scanPerson,
	words: []string{`p.email`, `lower(p.name)`}, unique: `p.email`, ident: func(p *access.Person) string { return p.Email },
	fields: map[string]condition{
		"role": func(a *arguments, values []string) string {
			roles := make([]int16, len(values))
			for i, word := range values {
				roles[i] = int16(access.RoleOf(word))
			}
			return `p.role = ANY(` + a.add(roles) + `::smallint[])`
		},
		"team": func(a *arguments, values []string) string {
			v := a.add(values)
			return `EXISTS (SELECT FROM control.team_member x JOIN control.team y ON y.id = x.team_id
				WHERE x.person_id = p.id AND (y.id = ANY(` + v + `::text[]) OR y.name = ANY(` + v + `::text[])))`
		},
		"disabled": yesOrNo(`p.disabled`),
	},
	orders: map[string]ordering[access.Person]{
		"email": byText(`p.email`, func(p *access.Person) string { return p.Email }),
	},
}
