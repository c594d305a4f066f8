package store

import (
	"context"
	"maps"
	"strconv"
	"time"

	"tollgate/controlplane/access"
	"tollgate/controlplane/filter"
	"tollgate/controlplane/registry"
	"tollgate/internal/fault"
	"tollgate/internal/period"
)

// reach narrows a list of what has a scope to what belongs to the teams of a caller: what applies to a team, and to its keys.
func reach(in access.Scope) []func(*arguments) string {
	if in.Everywhere {
		return nil
	}
	return []func(*arguments) string{func(a *arguments) string { return anyOf(scopeTeam)(a, append([]string{}, in.Teams...)) }}
}

// inReach lets a caller see what belongs to its teams. The rest is not there for it.
func inReach(in access.Scope, s *registry.Scoped, kind, ref string) error {
	if !in.Covers(s.TeamID) {
		return notFound(kind, ref)
	}
	return nil
}

// mayWrite keeps those whose rights end at teams from writing anything but what applies to keys of these teams: what bounds a team as a
// whole is not the team's to say.
func mayWrite(in access.Scope, s *registry.Scoped, what string) error {
	if in.Everywhere || s.Scope == registry.ScopeKey && in.Covers(s.TeamID) {
		return nil
	}
	return fault.New(fault.PermissionDenied, "Your rights end at teams: you may give %s to keys of these teams, and to nothing else.", what).
		WithHint("Ask somebody who may write budgets and limits everywhere.")
}

// scopeFields are conditions of what has a scope.
func scopeFields(kind string, more map[string]condition) map[string]condition {
	ref := func(id, name string) condition {
		return func(a *arguments, values []string) string {
			v := a.add(values)
			return id + ` IS NOT NULL AND (` + id + ` = ANY(` + v + `::text[]) OR ` + name + ` = ANY(` + v + `::text[]))`
		}
	}
	fields := map[string]condition{
		"id": anyOf(`o.id`), "scope": anyOf(scopeName), "customer": anyOf(`o.customer`), "tag": anyOf(`o.tag`),
		"key": ref(`o.key_id`, `k.name`), "team": ref(`o.team_id`, `t.name`), "endpoint": ref(`o.endpoint_id`, `e.name`),
		"managed": managed(kind, `o.id`),
	}
	maps.Copy(fields, more)
	return fields
}

// numbered are values that the database has as numbers.
func numbered[N ~uint8](column string, numbers map[string]N) condition {
	return func(a *arguments, values []string) string {
		var all []string
		for _, v := range values {
			all = append(all, strconv.Itoa(int(numbers[v])))
		}
		return column + `::text = ANY(` + a.add(all) + `::text[])`
	}
}

var budgets = listing[registry.Budget]{
	list: &filter.Budgets, what: "budgets", sql: `SELECT ` + budgetColumns + budgetTables, scan: scanBudget, words: []string{`o.name`},
	unique: `o.name`, ident: func(b *registry.Budget) string { return b.Name },
	fields: scopeFields("budget", map[string]condition{
		"period": numbered(`o.period`, map[string]period.Period{
			"total": period.Total, "hour": period.Hour, "day": period.Day, "week": period.Week, "month": period.Month, "rolling": period.Rolling,
		}),
		"enforcement": func(a *arguments, values []string) string {
			return `(CASE WHEN o.soft THEN 'soft' ELSE 'hard' END) = ANY(` + a.add(values) + `::text[])`
		},
	}),
	orders: map[string]ordering[registry.Budget]{
		"name":        byText(`o.name`, func(b *registry.Budget) string { return b.Name }),
		"create_time": byTime(`o.create_time`, func(b *registry.Budget) time.Time { return b.Created }),
		"update_time": byTime(`o.update_time`, func(b *registry.Budget) time.Time { return b.Updated }),
	},
}

// Budgets lists budgets.
func (s *Store) Budgets(ctx context.Context, in access.Scope, q ListQuery) ([]registry.Budget, string, error) {
	return budgets.read(ctx, s.db(ctx), q, reach(in)...)
}

var limits = listing[registry.Limit]{
	list: &filter.Limits, what: "limits", sql: `SELECT ` + limitColumns + limitTables, scan: scanLimit, words: []string{`o.name`},
	unique: `o.name`, ident: func(l *registry.Limit) string { return l.Name },
	fields: scopeFields("limit", map[string]condition{
		"kind": numbered(`o.kind`, map[string]registry.LimitKind{
			"requests": registry.LimitRequests, "units": registry.LimitUnits, "concurrent": registry.LimitConcurrent,
		}),
	}),
	orders: map[string]ordering[registry.Limit]{
		"name":        byText(`o.name`, func(l *registry.Limit) string { return l.Name }),
		"create_time": byTime(`o.create_time`, func(l *registry.Limit) time.Time { return l.Created }),
		"update_time": byTime(`o.update_time`, func(l *registry.Limit) time.Time { return l.Updated }),
	},
}

// Limits lists limits.
func (s *Store) Limits(ctx context.Context, in access.Scope, q ListQuery) ([]registry.Limit, string, error) {
	return limits.read(ctx, s.db(ctx), q, reach(in)...)
}

var customers = listing[registry.Customer]{
	list: &filter.Customers, what: "customers", sql: `SELECT ` + customerColumns + ` FROM control.customer o`, scan: scanCustomer,
	words: []string{`lower(o.name)`, `lower(o.display_name)`}, unique: `o.name`, ident: func(v *registry.Customer) string { return v.Name },
	fields: map[string]condition{
		"blocked": yesOrNo(`o.blocked`), "first_sight": yesOrNo(`o.first_sight`), "managed": managed("customer", `o.name`),
	},
	orders: map[string]ordering[registry.Customer]{"name": byText(`o.name`, func(v *registry.Customer) string { return v.Name })},
}

// Customers lists customers.
func (s *Store) Customers(ctx context.Context, q ListQuery) ([]registry.Customer, string, error) {
	return customers.read(ctx, s.db(ctx), q)
}

var tagList = listing[registry.Tag]{
	list: &filter.Tags, what: "tags", sql: `SELECT ` + tagColumns + ` FROM ` + tagRows, scan: scanTag,
	words: []string{`lower(o.name)`, `lower(o.description)`}, unique: `o.name`, ident: func(t *registry.Tag) string { return t.Name },
	fields: map[string]condition{"used": yesOrNo(`o.keys + o.budgets + o.limits > 0`), "managed": managed("tag", `o.name`)},
	orders: map[string]ordering[registry.Tag]{"name": byText(`o.name`, func(t *registry.Tag) string { return t.Name })},
}

// Tags lists tags.
func (s *Store) Tags(ctx context.Context, q ListQuery) ([]registry.Tag, string, error) {
	return tagList.read(ctx, s.db(ctx), q)
}
