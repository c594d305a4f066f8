package store

import (
	"context"
	"strings"
	"time"

	"tollgate/controlplane/filter"
	"tollgate/controlplane/registry"
)

// anyLike holds if SQL does for a pattern, $ in it, that fits a value.
func anyLike(sql string, pattern func(string) string) condition {
	return func(a *arguments, values []string) string {
		parts := make([]string, len(values))
		for i, v := range values {
			parts[i] = strings.ReplaceAll(sql, "$", a.add(pattern(v)))
		}
		return strings.Join(parts, ` OR `)
	}
}

// begins is a pattern for LIKE that fits every text that begins so.
func begins(word string) string { return strings.TrimPrefix(contains(word), "%") }

// kindOfPrice is what package filter calls the price of an endpoint.
const kindOfPrice = `CASE WHEN e.models IS NOT NULL THEN 'models' WHEN e.free THEN 'free' WHEN e.usage IS NOT NULL THEN 'usage'
	WHEN e.price ? 'metered' THEN 'meters' WHEN e.price ? 'reported' THEN 'reported' WHEN e.price_nanos > 0 THEN 'fixed' ELSE 'none' END`

var endpointList = listing[registry.Endpoint]{
	list: &filter.Endpoints, what: "endpoints", sql: `SELECT ` + endpointColumns + ` FROM control.endpoint e`, scan: scanEndpoint,
	words: []string{`e.name`, `lower(e.description)`},
	fields: map[string]condition{
		"id":       anyOf(`e.id`),
		"path":     anyLike(`lower(e.path) LIKE $`, begins),
		"target":   anyLike(`EXISTS (SELECT FROM unnest(e.targets) u WHERE lower(u) LIKE $)`, contains),
		"price":    anyOf(kindOfPrice),
		"public":   yesOrNo(`e.public IS NOT NULL`),
		"disabled": yesOrNo(`e.disabled`),
		"model": func(a *arguments, values []string) string {
			given := a.add(values)
			return `e.models IS NOT NULL AND ('any' = ANY(` + given + `::text[]) OR e.models->>'default_model' = ANY(` + given + `::text[]))`
		},
		"secret": func(a *arguments, values []string) string {
			return `EXISTS (SELECT FROM control.endpoint_secret r JOIN control.secret s ON s.id = r.secret_id WHERE r.endpoint_id = e.id AND s.name = ANY(` + a.add(values) + `::text[]))`
		},
		"managed": managed("endpoint", `e.id`),
	},
	orders: map[string]ordering[registry.Endpoint]{
		"name":        byText(`e.name`, func(e *registry.Endpoint) string { return e.Name }),
		"path":        byText(`e.path`, func(e *registry.Endpoint) string { return e.Path }),
		"create_time": byTime(`e.create_time`, func(e *registry.Endpoint) time.Time { return e.Created }),
		"update_time": byTime(`e.update_time`, func(e *registry.Endpoint) time.Time { return e.Updated }),
	},
	unique: `e.id`,
	ident:  func(e *registry.Endpoint) string { return e.ID },
}

// Endpoints lists endpoints.
func (s *Store) Endpoints(ctx context.Context, q ListQuery) ([]registry.Endpoint, string, error) {
	return endpointList.read(ctx, s.db(ctx), q)
}

var modelList = listing[registry.Model]{
	list: &filter.Models, what: "models", sql: `SELECT ` + modelColumns + ` FROM control.model m`, scan: scanModel,
	words: []string{`lower(m.name)`},
	fields: map[string]condition{
		"id": anyOf(`m.id`),
		"alias": func(a *arguments, values []string) string {
			return `EXISTS (SELECT FROM control.model_name n WHERE n.model_id = m.id AND n.name <> m.name AND n.name = ANY(` + a.add(values) + `::text[]))`
		},
		"target": anyLike(`EXISTS (SELECT FROM jsonb_array_elements(m.settings->'deployments') d WHERE lower(d->'target'->>'url') LIKE $)`, contains),
		"secret": func(a *arguments, values []string) string {
			return `EXISTS (SELECT FROM control.model_secret r JOIN control.secret s ON s.id = r.secret_id WHERE r.model_id = m.id AND s.name = ANY(` + a.add(values) + `::text[]))`
		},
		"managed": yesOrNo(`EXISTS (SELECT FROM control.managed g WHERE g.kind = 'model' AND g.object_id = m.id)`),
	},
	orders: map[string]ordering[registry.Model]{
		"name":        byText(`m.name`, func(m *registry.Model) string { return m.Name }),
		"create_time": byTime(`m.create_time`, func(m *registry.Model) time.Time { return m.Created }),
		"update_time": byTime(`m.update_time`, func(m *registry.Model) time.Time { return m.Updated }),
	},
	unique: `m.id`,
	ident:  func(m *registry.Model) string { return m.ID },
}

// Models lists models.
func (s *Store) Models(ctx context.Context, q ListQuery) ([]registry.Model, string, error) {
	return modelList.read(ctx, s.db(ctx), q)
}

var adapterList = listing[registry.Adapter]{
	list: &filter.Adapters, what: "adapters", sql: `SELECT ` + adapterColumns + ` FROM control.adapter a`, scan: scanAdapter,
	words: []string{`a.name`},
	fields: map[string]condition{
		"id":      anyOf(`a.id`),
		"target":  anyLike(`lower(a.settings->'target'->>'url') LIKE $`, contains),
		"used":    yesOrNo(usedAdapter),
		"managed": managed("adapter", `a.id`),
	},
	orders: map[string]ordering[registry.Adapter]{
		"name":        byText(`a.name`, func(a *registry.Adapter) string { return a.Name }),
		"create_time": byTime(`a.create_time`, func(a *registry.Adapter) time.Time { return a.Created }),
		"update_time": byTime(`a.update_time`, func(a *registry.Adapter) time.Time { return a.Updated }),
	},
	unique: `a.id`,
	ident:  func(a *registry.Adapter) string { return a.ID },
}

// Adapters lists adapters.
func (s *Store) Adapters(ctx context.Context, q ListQuery) ([]registry.Adapter, string, error) {
	return adapterList.read(ctx, s.db(ctx), q)
}
