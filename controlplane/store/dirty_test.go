package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	"tollgate/internal/contract"
	"tollgate/internal/testenv"
)

// Guarantee: a change of many subjects and the publisher, which strikes the same ones off, lock them in
// one order: whoever waits for the first holds none of the others, so that neither waits for the other
// in turn.
func TestDirtySubjectsAreLockedInOrder(t *testing.T) {
	t.Parallel()
	pool, ctx := testenv.Postgres(t, migrate), t.Context()
	s := store.New(pool)
	l, err := s.Lead(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	e := registry.Endpoint{Name: "bria", Path: "/bria", Targets: []registry.Target{{URL: "https://api.example.com"}}, Price: registry.Price{Free: true}}
	if e, err = s.CreateEndpoint(ctx, "test", e, nil); err != nil {
		t.Fatal(err)
	}
	for i := range 24 {
		k, hash := newKey(fmt.Sprintf("k%d", i))
		k.Restricted, k.Endpoints = true, []string{e.Name}
		if _, err := s.CreateKey(ctx, "test", store.Anywhere, store.NewKey{Key: k, Hash: hash}, nil); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := l.Read(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, done := range map[string]func() error{
		"everything": func() error { return l.DoneAll(ctx, cfg.Current) },
		"a list":     func() error { return l.Done(ctx, cfg.Current, cfg.Dirty) },
		"a change":   func() error { return s.DeleteEndpoint(ctx, "test", e.Name, "") },
	} {
		// The order of the table is not that of the subjects.
		if _, err := pool.Exec(ctx, `DELETE FROM control.dirty`); err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Exec(ctx, `INSERT INTO control.dirty SELECT s, 1 FROM unnest($1::text[]) s ORDER BY s COLLATE "C" DESC`, cfg.Dirty); err != nil {
			t.Fatal(err)
		}
		holder, err := pool.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = holder.Rollback(context.WithoutCancel(ctx)) })
		// The first in the order of bytes.
		if _, err := holder.Exec(ctx, `SELECT FROM control.dirty WHERE subject = $1 FOR UPDATE`, contract.ConfigHead); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- done() }()
		testenv.Eventually(t, 10*time.Second, func() error {
			var waiting int
			err := pool.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
			if err == nil && waiting == 0 {
				err = fmt.Errorf("%s does not wait", name)
			}
			return err
		})
		rows, err := holder.Query(ctx, `SELECT subject FROM control.dirty FOR UPDATE SKIP LOCKED`)
		if err != nil {
			t.Fatal(err)
		}
		free, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(free) != len(cfg.Dirty) {
			t.Errorf("while %s waits for the first of %d subjects, %d are free: %v", name, len(cfg.Dirty), len(free), err)
		}
		if err := errors.Join(holder.Rollback(ctx), <-ended); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
