package store_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/internal/devpg"
	"tollgate/internal/pg"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
)

// Guarantee: what an edge is told, a grant or a mark, outlives a kill -9 of the database, also of one
// that is set up to write commits later.
func TestCommitsOutliveTheDatabase(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	var server *devpg.Server
	open := func() *pgxpool.Pool {
		t.Helper()
		var err error
		if server, err = devpg.Start(ctx, devpg.Options{Dir: dir}); err != nil { // Fsync is off, and commits are late
			t.Fatal(err)
		}
		pool, err := pg.Open(ctx, server.URL("tollgate"), 4)
		if err != nil {
			t.Fatal(err)
		}
		return pool
	}
	create := func() {
		t.Helper()
		conn, err := pgx.Connect(ctx, server.URL("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		if _, err := conn.Exec(ctx, "CREATE DATABASE tollgate"); err != nil {
			t.Fatal(err)
		}
	}
	kill := func() {
		t.Helper()
		raw, err := os.ReadFile(filepath.Join(server.Dir(), "data", "postmaster.pid"))
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(raw), "\n")
		pid, err := strconv.Atoi(first)
		if err != nil {
			t.Fatal(err)
		}
		proc, err := os.FindProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := proc.Kill(); err != nil {
			t.Fatal(err)
		}
		<-server.Done()
		_ = server.Stop() // gives the directory free
	}

	pool := open()
	t.Cleanup(func() { _ = server.Stop() })
	create()
	if err := store.Migrate(ctx, server.URL("tollgate"), nil); err != nil {
		t.Fatal(err)
	}
	b := &bench{pool: pool, db: store.New(pool)}
	b.leader = b.lead(t)
	b.account(t, budget(1, 1000))
	if _, err := b.leader.Lease(ctx, []escrow.Line{line(1, 7, 400)}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.leader.Book(ctx, store.Position{Stream: "SPEND_0", Seq: 1}, []store.Batch{spend(7, 1, 1, 300)}, nil); err != nil {
		t.Fatal(err)
	}
	kill()
	pool.Close()
	pool = open()
	defer pool.Close()
	book, err := store.New(pool).Load(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := book.Leases[win(1)][7]; got != (escrow.Lease{Granted: 400, Consumed: 300}) {
		t.Errorf("after a kill of the database the lease is %+v", got)
	}
	if got := book.Incs[7].HWM; got != 1 {
		t.Errorf("after a kill of the database the mark is %d, want 1", got)
	}
}
