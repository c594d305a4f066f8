package pg_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/pg"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/pgbouncer"
)

// durable sets a database up as one behind a pooler has to be.
func durable(t *testing.T, address string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), "ALTER DATABASE "+conn.Config().Database+" SET synchronous_commit = on"); err != nil {
		t.Fatal(err)
	}
}

// Guarantee: through a pooler of transactions, statements, batches and transactions of many clients
// work as they do without one, values are those that were sent, and connections with a lock of their
// own go past it.
func TestOpenWithPooler(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	direct := testenv.PostgresURL(t, migrateTwo)
	durable(t, direct)
	pool, own, err := pg.OpenWith(ctx, pgbouncer.Start(t, direct), direct, 12)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, `INSERT INTO control.thing (id, n) SELECT i, 0 FROM generate_series(1, 8) AS i`); err != nil {
		t.Fatal(err)
	}
	// More clients than the pooler has sessions, each with statements that the others know too.
	const clients, rounds = 12, 20
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for r := range rounds {
				if err := pg.InTx(ctx, pool, func(tx pgx.Tx) error {
					var b pgx.Batch
					b.Queue(`UPDATE control.thing SET n = n + $2 WHERE id = $1`, 1+c%8, 1)
					b.Queue(`SELECT n FROM control.thing WHERE id = ANY($1)`, []int{1 + c%8})
					return tx.SendBatch(ctx, &b).Close()
				}); err != nil {
					t.Error(err)
					return
				}
				at := time.Unix(int64(r), 5000).UTC()
				var gotAt time.Time
				var gotText []string
				var gotJSON map[string]any
				err := pool.QueryRow(ctx, `SELECT $1::timestamptz, $2::text[], $3::jsonb`, at, []string{"a,b", `"`}, []byte(`{"n": 1}`)).Scan(&gotAt, &gotText, &gotJSON)
				if err != nil || !gotAt.Equal(at) || fmt.Sprint(gotText, gotJSON) != `[a,b "] map[n:1]` {
					t.Errorf("%v %v %v, %v", gotAt, gotText, gotJSON, err)
					return
				}
			}
		})
	}
	wg.Wait()
	var sum int
	if err := pool.QueryRow(ctx, `SELECT sum(n) FROM control.thing`).Scan(&sum); err != nil || sum != clients*rounds {
		t.Errorf("%d updates of %d, %v", sum, clients*rounds, err)
	}
	var sessions int
	if err := pool.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()`).Scan(&sessions); err != nil || sessions >= clients {
		t.Errorf("%d sessions for %d clients, %v: the pooler did nothing", sessions, clients, err)
	}
	lock, err := pgx.ConnectConfig(ctx, own)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close(context.WithoutCancel(ctx)) }()
	var pid uint32
	if err := lock.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid); err != nil || pid != lock.PgConn().PID() {
		t.Errorf("the session is %d, the connection's %d, %v", pid, lock.PgConn().PID(), err)
	}
}

// Guarantee: behind a pooler, where it cannot be mended, a database that tells of commits before they are safe is not
// worked with, and the operator reads what to do; and no malformed URL shows its password.
func TestOpenWithRefuses(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	direct := testenv.PostgresURL(t, nil)
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, direct)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, "ALTER DATABASE "+strings.TrimPrefix(u.Path, "/")+" SET synchronous_commit = off"); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(ctx)
	pool, _, err := pg.OpenWith(ctx, pgbouncer.Start(t, direct), direct, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := pool.Ping(ctx); err == nil || !strings.Contains(err.Error(), "SET synchronous_commit = on") || !pg.IsUnavailable(err) {
		t.Errorf("got %v", err)
	}
	if _, _, err := pg.OpenWith(ctx, direct, "postgres://u:sekret@h:port/x", 2); err == nil || strings.Contains(err.Error(), "sekret") {
		t.Errorf("got %v", err)
	}
}
