package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/pg"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func migrate(ctx context.Context, url string) error { return store.Migrate(ctx, url, nil) }

// Guarantee: a migration that may have been applied somewhere is never edited: a change to the
// schema is a new file, with a new line in migrations.sha256 (sha256sum *.sql).
func TestMigrationsAreNotEdited(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("migrations.sha256")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		listed[name] = sum
	}
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d migrations, %v", len(files), err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		name := filepath.Base(path)
		switch want, ok := listed[name]; {
		case !ok:
			t.Errorf("%s is not in migrations.sha256", name)
		case want != hex.EncodeToString(sum[:]):
			t.Errorf("%s was edited: add a new migration instead", name)
		}
		delete(listed, name)
	}
	for name := range listed {
		t.Errorf("%s is in migrations.sha256 and nowhere else", name)
	}
}

// Guarantee: a store knows a database without its schema from one with it.
func TestCheckSchema(t *testing.T) {
	t.Parallel()
	empty := store.New(testenv.Postgres(t, nil))
	if _, ok := errors.AsType[*pg.BehindError](empty.CheckSchema(t.Context())); !ok {
		t.Errorf("empty: %v", empty.CheckSchema(t.Context()))
	}
	if err := store.New(testenv.Postgres(t, migrate)).CheckSchema(t.Context()); err != nil {
		t.Error(err)
	}
}

func newKey(name string) (registry.Key, [32]byte) {
	return registry.Key{Name: name}, contract.KeyHash([]byte(name))
}

// Guarantee: one process at a time has the right to publish, and the next has it as soon as the
// first is gone.
func TestLead(t *testing.T) {
	t.Parallel()
	s, ctx := store.New(testenv.Postgres(t, migrate)), t.Context()
	first, err := s.Lead(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lead(ctx); !errors.Is(err, store.ErrNotLeader) {
		t.Fatalf("second: %v", err)
	}
	first.Close()
	testenv.Eventually(t, 10*time.Second, func() error {
		second, err := s.Lead(ctx)
		if err == nil {
			second.Close()
		}
		return err
	})
}

// Guarantee: a commit wakes the publisher, the time passing does too, neither costs it its
// connection, and the end of its context ends the wait.
func TestWait(t *testing.T) {
	t.Parallel()
	s, ctx := store.New(testenv.Postgres(t, migrate)), t.Context()
	l, err := s.Lead(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 3 {
		if err := l.Wait(ctx, 20*time.Millisecond); err != nil {
			t.Fatalf("nothing happened: %v", err)
		}
	}
	k, hash := newKey("a")
	if _, err := s.CreateKey(ctx, "test", store.Anywhere, store.NewKey{Key: k, Hash: hash}, nil); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := l.Wait(ctx, time.Minute); err != nil || time.Since(began) > 30*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	ended, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := l.Wait(ended, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ended: %v", err)
	}
	if _, err := l.State(ctx); err != nil {
		t.Errorf("the connection is gone: %v", err)
	}
}

// Guarantee: what changed again after it was read stays dirty; the rest is struck off.
func TestDoneKeepsNewerChanges(t *testing.T) {
	t.Parallel()
	s, ctx := store.New(testenv.Postgres(t, migrate)), t.Context()
	l, err := s.Lead(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, hashA := newKey("a")
	if _, err := s.CreateKey(ctx, "test", store.Anywhere, store.NewKey{Key: a, Hash: hashA}, nil); err != nil {
		t.Fatal(err)
	}
	cfg, err := l.Read(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []uint32{contract.KeyShardOf(hashA)}; !slices.Equal(cfg.KeyShards, want) || len(cfg.Keys) != 1 || cfg.Routes {
		t.Errorf("read %+v", cfg)
	}
	b, hashB := newKey("b")
	if _, err := s.CreateKey(ctx, "test", store.Anywhere, store.NewKey{Key: b, Hash: hashB}, nil); err != nil {
		t.Fatal(err)
	}
	if err := l.Done(ctx, cfg.Current, cfg.Dirty); err != nil {
		t.Fatal(err)
	}
	again, err := l.Read(ctx, []string{contract.ConfigRoutes, "tollgate.v1.config.keys.1024", "tollgate.v1.config.keys.01", "other"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{contract.ConfigHead, contract.ConfigKeys(contract.KeyShardOf(hashB))}
	if !slices.Equal(again.Dirty, want) || again.Published.Revision != 1 || again.Current.Revision != 2 || !again.Routes || len(again.KeyShards) != 1 {
		t.Errorf("read %+v, want %v", again, want)
	}
}

// Guarantee: readers see all of a revision or nothing of it, while others change things.
func TestReadsAreOfOneRevision(t *testing.T) {
	t.Parallel()
	s, ctx := store.New(testenv.Postgres(t, migrate)), t.Context()
	l, err := s.Lead(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	const n = 60
	go func() {
		var err error
		for i := range n {
			name := "k" + string(rune('a'+i%26)) + string(rune('a'+i/26))
			k, hash := newKey(name)
			if _, err = s.CreateKey(ctx, "test", store.Anywhere, store.NewKey{Key: k, Hash: hash}, nil); err != nil {
				break
			}
		}
		done <- err
	}()
	all := make([]string, contract.KeyShards)
	for i := range all {
		all[i] = contract.ConfigKeys(uint32(i))
	}
	for last := int64(0); last < n; {
		cfg, err := l.Read(ctx, all)
		if err != nil {
			t.Fatal(err)
		}
		if last = cfg.Current.Revision; int64(len(cfg.Keys)) != last {
			t.Fatalf("%d keys at revision %d", len(cfg.Keys), last)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// Guarantee: names are found for what exists, in one question.
func TestNames(t *testing.T) {
	t.Parallel()
	s, ctx := store.New(testenv.Postgres(t, migrate)), t.Context()
	k, hash := newKey("a")
	stored, err := s.CreateKey(ctx, "test", store.Anywhere, store.NewKey{Key: k, Hash: hash}, nil)
	if err != nil {
		t.Fatal(err)
	}
	names, err := s.Names(ctx, []string{stored.ID, "key_gone"})
	if err != nil || len(names) != 1 || names[stored.ID] != "a" {
		t.Errorf("%v %v", names, err)
	}
	if _, err := s.Key(ctx, store.Anywhere, "nope"); !errors.Is(err, fault.New(fault.ObjectNotFound, "")) {
		t.Errorf("%v", err)
	}
}
