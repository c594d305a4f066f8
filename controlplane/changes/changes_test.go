package changes

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

const within = 10 * time.Second

func migrate(ctx context.Context, url string) error { return store.Migrate(ctx, url, nil) }

// follow runs a hub until the test ends, and returns once it follows.
func follow(t *testing.T, s *store.Store, keeps int) *Hub {
	t.Helper()
	h := New(s, slog.New(slog.DiscardHandler))
	h.keeps = keeps
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	testenv.Eventually(t, within, func() error {
		if _, ready := h.After(0); !ready {
			return fmt.Errorf("not ready")
		}
		return nil
	})
	return h
}

func create(t *testing.T, s *store.Store, name string) {
	t.Helper()
	_, err := s.CreateSecret(t.Context(), "ann", registry.Secret{Name: name}, func(string) ([]byte, error) { return []byte("x"), nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// names waits for as many changes after a revision, and names their objects.
func names(t *testing.T, h *Hub, after int64, want int) (all []string) {
	t.Helper()
	deadline := time.After(within)
	for {
		n, _ := h.After(after)
		if len(n.Changes) >= want {
			for _, c := range n.Changes {
				all = append(all, c.Action+" "+c.Kind+" "+c.Name+" by "+c.Actor)
			}
			if last := n.Changes[len(n.Changes)-1]; last.Revision != n.UpTo {
				t.Errorf("the last is of revision %d, all up to %d", last.Revision, n.UpTo)
			}
			return all
		}
		select {
		case <-n.Waits:
		case <-deadline:
			t.Fatalf("%d changes after %d, want %d", len(n.Changes), after, want)
		}
	}
}

// Guarantee: a change that one control plane makes is heard by the others as well, each once, in order, and from any revision on.
func TestAllHearOfAll(t *testing.T) {
	t.Parallel()
	pool := testenv.Postgres(t, migrate)
	here, there := store.New(pool), store.New(pool)
	a, b := follow(t, here, keeps), follow(t, there, keeps)
	create(t, here, "one")
	create(t, there, "two")
	create(t, here, "three")
	want := []string{"create secret one by ann", "create secret two by ann", "create secret three by ann"}
	for _, h := range []*Hub{a, b} {
		if got := names(t, h, 0, 3); !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		if got := names(t, h, 1, 2); !slices.Equal(got, want[1:]) {
			t.Errorf("after 1: %q", got)
		}
		if n, _ := h.After(3); len(n.Changes) != 0 || n.Missing || n.UpTo != 3 {
			t.Errorf("after all: %+v", n)
		}
	}
}

// Guarantee: what is too old for the memory is said to be missing, and can be read; a revision is never there in part.
func TestOldChanges(t *testing.T) {
	t.Parallel()
	s := store.New(testenv.Postgres(t, migrate))
	create(t, s, "before")
	h := follow(t, s, 2)
	if n, _ := h.After(0); !n.Missing || n.UpTo != 1 {
		t.Errorf("%+v", n)
	}
	if n, _ := h.After(1); n.Missing {
		t.Errorf("%+v", n)
	}
	err := s.Together(t.Context(), "ann", false, func(ctx context.Context) error {
		for i := range 5 {
			_, err := s.CreateSecret(ctx, "ann", registry.Secret{Name: fmt.Sprint("t", i)}, func(string) ([]byte, error) { return []byte("x"), nil }, nil)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, within, func() error {
		if n, _ := h.After(1); !n.Missing || n.UpTo != 2 {
			return fmt.Errorf("%+v", n)
		}
		return nil
	})
	if n, _ := h.After(2); n.Missing || len(n.Changes) != 0 {
		t.Errorf("%+v", n)
	}
	all, err := s.Changes(t.Context(), 0, 2)
	if err != nil || len(all) != 6 {
		t.Errorf("%v, %v", all, err)
	}
}

// Guarantee: a database that was restored, or began another epoch, is another history, of which nothing before is told.
func TestAnotherHistory(t *testing.T) {
	t.Parallel()
	pool := testenv.Postgres(t, migrate)
	s := store.New(pool)
	h := follow(t, s, keeps)
	create(t, s, "one")
	names(t, h, 0, 1)
	if _, err := pool.Exec(t.Context(), `UPDATE control.revision SET epoch = epoch + 1, n = 7`); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, within, func() error {
		if n, _ := h.After(7); n.UpTo != 7 || n.Epoch < 2 || n.Missing || len(n.Changes) != 0 {
			return fmt.Errorf("%+v", n)
		}
		return nil
	})
	if n, _ := h.After(1); !n.Missing {
		t.Errorf("%+v", n)
	}
}

// Guarantee: a listener that loses its connection gets another, and what happened meanwhile is told.
func TestConnectionLost(t *testing.T) {
	t.Parallel()
	pool := testenv.Postgres(t, migrate)
	s := store.New(pool)
	h := follow(t, s, keeps)
	create(t, s, "one")
	names(t, h, 0, 1)
	if _, err := pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'`); err != nil {
		t.Fatal(err)
	}
	create(t, s, "two")
	names(t, h, 1, 1)
}
