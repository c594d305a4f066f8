package store_test

import (
	"fmt"
	"reflect"
	"testing"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	"tollgate/internal/contract"
	"tollgate/internal/testenv"
)

// Guarantee: a publisher, which keeps endpoints that it has read, has them as they are now, whatever has changed them, and reads again only
// those that were changed.
func TestPublisherHasEndpointsAsTheyAre(t *testing.T) {
	t.Parallel()
	pool, ctx := testenv.Postgres(t, migrate), t.Context()
	s := store.New(pool)
	l, err := s.Lead(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	endpoint := func(name string) registry.Endpoint {
		return registry.Endpoint{Name: name, Path: "/" + name, Targets: []registry.Target{{URL: "https://api.example.com"}}, Price: registry.Price{Free: true}}
	}
	create := func(name string) func() error {
		return func() error {
			_, err := s.CreateEndpoint(ctx, "test", endpoint(name), nil)
			return err
		}
	}
	for i := range 5 {
		if err := create(fmt.Sprint("e", i))(); err != nil {
			t.Fatal(err)
		}
	}
	before := map[string]*registry.Endpoint{}
	for _, step := range []struct {
		what string
		do   func() error
		read int // anew
	}{
		{"nothing was read", func() error { return nil }, 5},
		{"nothing changes", func() error { return nil }, 0},
		{"one is changed", func() error {
			e := endpoint("e1")
			e.Path = "/elsewhere"
			_, err := s.UpdateEndpoint(ctx, "test", e, "", nil)
			return err
		}, 1},
		{"one is switched off", func() error {
			_, err := s.SetEndpointEnabled(ctx, "test", "e2", false, "")
			return err
		}, 1},
		{"a row changes and its revision does not", func() error {
			_, err := pool.Exec(ctx, `UPDATE control.endpoint SET price_version = price_version + 100 WHERE name = 'e3'`)
			return err
		}, 1},
		{"one changes twice at once", func() error {
			_, err := pool.Exec(ctx, `UPDATE control.endpoint SET timeout_ms = 5000 WHERE name = 'e3'; UPDATE control.endpoint SET timeout_ms = 6000 WHERE name = 'e3'`)
			return err
		}, 1},
		{"one goes", func() error { return s.DeleteEndpoint(ctx, "test", "e0", "") }, 0},
		{"one comes", create("e9"), 1},
		{"one comes in place of another", func() error {
			if err := s.DeleteEndpoint(ctx, "test", "e4", ""); err != nil {
				return err
			}
			return create("e4")()
		}, 1},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		kept, err := l.Read(ctx, []string{contract.ConfigRoutes})
		if err != nil {
			t.Fatal(err)
		}
		whole, err := s.Routes(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(kept.Endpoints, whole.Endpoints) {
			t.Errorf("%s: %+v, not %+v", step.what, kept.Endpoints, whole.Endpoints)
		}
		read, now := 0, map[string]*registry.Endpoint{}
		for _, e := range kept.Endpoints {
			if now[e.ID] = e; before[e.ID] != e {
				read++
			}
		}
		if read != step.read {
			t.Errorf("%s: %d endpoints were read, not %d", step.what, read, step.read)
		}
		before = now
	}
}
