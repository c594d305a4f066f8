package routing_test

import (
	"testing"

	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// Guarantee: a table with a draft in it matches as one would that was compiled with it, the table that it was made of stays as it is,
// and a draft that could not be served is refused.
func TestTableWithDraft(t *testing.T) {
	t.Parallel()
	endpoint := func(id, path string, methods ...string) *eventv1.RouteEndpoint {
		return &eventv1.RouteEndpoint{Id: id, Name: id, Path: path, Methods: methods, Targets: []string{"https://x.example"}, Free: true}
	}
	table, err := routing.Compile(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{endpoint("a", "/a"), endpoint("b", "/b", "GET")}},
		contract.Version{Epoch: 1, Revision: 4}, routing.Lookups{})
	if err != nil {
		t.Fatal(err)
	}
	match := func(table *routing.Table, method, path, want string) {
		t.Helper()
		got := ""
		if e, _, err := table.Match(method, path); err == nil {
			got = e.ID
		}
		if got != want {
			t.Errorf("%s %s is for %q, want %q", method, path, got, want)
		}
	}
	added, err := table.With(endpoint("c", "/a/c"), nil, routing.Lookups{})
	if err != nil {
		t.Fatal(err)
	}
	match(added, "GET", "/a/c/d", "c")
	match(added, "GET", "/a/x", "a")
	match(table, "GET", "/a/c/d", "a")
	moved, err := table.With(endpoint("a", "/moved"), nil, routing.Lookups{})
	if err != nil {
		t.Fatal(err)
	}
	match(moved, "GET", "/moved", "a")
	match(moved, "GET", "/a", "")
	match(moved, "GET", "/b", "b")
	match(table, "GET", "/a", "a")
	if len(moved.Endpoints()) != 2 || len(moved.Upstreams()) != 2 || len(moved.Destinations()) != 2 || moved.Version() != table.Version() {
		t.Errorf("%d endpoints, %d upstreams", len(moved.Endpoints()), len(moved.Upstreams()))
	}
	for what, draft := range map[string]*eventv1.RouteEndpoint{
		"in the way": endpoint("c", "/b", "GET", "PUT"), "no path": endpoint("c", ""), "reserved": endpoint("c", "/-/x"),
		"no adapter": {Id: "c", Name: "c", Path: "/c", Free: true, Models: &eventv1.RouteModels{Adapter: "none"}},
	} {
		if _, err := table.With(draft, nil, routing.Lookups{}); err == nil {
			t.Errorf("%s: served", what)
		}
	}
	match(table, "PUT", "/b", "")
}
