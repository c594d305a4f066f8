package routing

import (
	"fmt"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// With is a table in which an endpoint takes the place of the one with its id, or is added where there is none. Its price finds models
// in the lists of the given book. Everything else is shared with t, which stays as it is.
func (t *Table) With(from *eventv1.RouteEndpoint, book []*eventv1.BookList, l Lookups) (*Table, error) {
	c := compiler{
		lookups: l, missing: map[string]bool{}, scopes: t.scopes, adapters: map[string]*Adapter{},
		book: bookOf(&eventv1.RouteSnapshot{Book: book}),
	}
	for _, a := range t.adapters {
		c.adapters[a.Name] = a
	}
	e, err := c.endpoint(from)
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", from.GetName(), err)
	}
	out := newTable(t.version, t.scopes)
	out.missingEnv, out.models, out.names, out.patterns, out.adapters = t.missingEnv, t.models, t.names, t.patterns, t.adapters
	own := make(map[*Endpoint]bool, len(t.endpoints))
	for _, other := range t.endpoints {
		own[other] = true
	}
	for _, other := range t.upstreams {
		if !own[other] {
			out.upstreams = append(out.upstreams, other)
		}
	}
	for _, other := range t.destinations {
		if !own[other] {
			out.destinations = append(out.destinations, other)
		}
	}
	for _, other := range t.endpoints {
		if other.ID == e.ID {
			continue
		}
		if err := out.add(other); err != nil {
			return nil, fmt.Errorf("endpoint %q: %w", other.Name, err)
		}
	}
	if err := out.add(e); err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", e.Name, err)
	}
	return out, nil
}
