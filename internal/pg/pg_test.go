package pg_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/internal/pg"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

var (
	one = fstest.MapFS{"0001_thing.sql": {Data: []byte("-- +goose Up\nCREATE TABLE control.thing (id int PRIMARY KEY, n int NOT NULL CHECK (n >= 0));\n")}}
	two = fstest.MapFS{
		"0001_thing.sql": one["0001_thing.sql"],
		"0002_part.sql":  {Data: []byte("-- +goose Up\nCREATE TABLE control.part (thing_id int CONSTRAINT part_thing REFERENCES control.thing);\n")},
	}
)

func migrateTwo(ctx context.Context, url string) error {
	return pg.Migrate(ctx, url, two, "control", nil)
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := testenv.PostgresURL(t, nil)
	pool, err := pg.Open(ctx, url, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()

	// Guarantee: a schema that was never migrated lacks everything, one that is
	// behind says what to run, and looking changes nothing.
	if missing, err := pg.Pending(ctx, pool, two, "control"); err != nil || !slices.Equal(missing, []int64{1, 2}) {
		t.Errorf("missing %v, %v", missing, err)
	}
	if err := pg.Migrate(ctx, url, one, "control", testenv.Logger(t)); err != nil {
		t.Fatal(err)
	}
	err = pg.CheckSchema(ctx, pool, two, "control")
	if behind, ok := errors.AsType[*pg.BehindError](err); !ok || behind.Schema != "control" ||
		err.Error() != "schema control lacks migration 2: run tollgate migrate" {
		t.Errorf("got %v", err)
	}

	// Guarantee: several at once apply each migration once, and none fails.
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := pg.Migrate(ctx, url, two, "control", nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := pg.CheckSchema(ctx, pool, two, "control"); err != nil {
		t.Error(err)
	}
	// Guarantee: a schema ahead of the binary is fine.
	if err := pg.CheckSchema(ctx, pool, one, "control"); err != nil {
		t.Error(err)
	}
	var own bool
	if err := pool.QueryRow(ctx, `SELECT to_regclass('control.goose_version') IS NOT NULL AND to_regclass('public.goose_version') IS NULL AND to_regclass('public.goose_db_version') IS NULL`).Scan(&own); err != nil || !own {
		t.Errorf("the history is not in the schema: %v", err)
	}
}

// Guarantee: a new schema may be migrated by several at the same moment.
func TestMigrateTogetherFromNothing(t *testing.T) {
	t.Parallel()
	url := testenv.PostgresURL(t, nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := pg.Migrate(t.Context(), url, one, "control", nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestMigrateReportsBrokenSQL(t *testing.T) {
	t.Parallel()
	broken := fstest.MapFS{"0001_bad.sql": {Data: []byte("-- +goose Up\nCREATE TABEL x;\n")}}
	err := pg.Migrate(t.Context(), testenv.PostgresURL(t, nil), broken, "control", nil)
	if err == nil || !strings.Contains(err.Error(), "migrate control") || !strings.Contains(err.Error(), "0001_bad.sql") {
		t.Errorf("got %v", err)
	}
}

func TestInTx(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := testenv.Postgres(t, migrateTwo)
	if _, err := pool.Exec(ctx, `INSERT INTO control.thing (id, n) VALUES (1, 0), (2, 0)`); err != nil {
		t.Fatal(err)
	}

	// Guarantee: transactions that the database ends over a conflict are run
	// again, so that no update is lost.
	t.Run("serialization failures are repeated", func(t *testing.T) {
		const workers = 4
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				err := pg.InTxWith(ctx, pool, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(tx pgx.Tx) error {
					var n int
					if err := tx.QueryRow(ctx, `SELECT n FROM control.thing WHERE id = 1`).Scan(&n); err != nil {
						return err
					}
					_, err := tx.Exec(ctx, `UPDATE control.thing SET n = $1 WHERE id = 1`, n+1)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var n int
		if err := pool.QueryRow(ctx, `SELECT n FROM control.thing WHERE id = 1`).Scan(&n); err != nil || n != workers {
			t.Errorf("n = %d, %v", n, err)
		}
	})
	t.Run("deadlocks are repeated", func(t *testing.T) {
		var wg sync.WaitGroup
		locked := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
		var once [2]sync.Once
		for i := range 2 {
			wg.Go(func() {
				err := pg.InTx(ctx, pool, func(tx pgx.Tx) error {
					if _, err := tx.Exec(ctx, `UPDATE control.thing SET n = n + 1 WHERE id = $1`, 1+i); err != nil {
						return err
					}
					once[i].Do(func() { close(locked[i]) })
					<-locked[1-i]
					_, err := tx.Exec(ctx, `UPDATE control.thing SET n = n + 1 WHERE id = $1`, 2-i)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
	t.Run("repeating is bounded", func(t *testing.T) {
		runs := 0
		err := pg.InTx(ctx, pool, func(pgx.Tx) error { runs++; return &pgconn.PgError{Code: "40001"} })
		if !pg.IsConflict(err) || runs != 8 || !strings.Contains(err.Error(), "gave up after 8 attempts") {
			t.Errorf("%d runs, %v", runs, err)
		}
	})
	t.Run("an error rolls back and is returned as it is", func(t *testing.T) {
		stop := errors.New("changed my mind")
		err := pg.InTx(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO control.thing (id, n) VALUES (9, 0)`); err != nil {
				return err
			}
			return stop
		})
		var n int
		if e := pool.QueryRow(ctx, `SELECT count(*) FROM control.thing WHERE id = 9`).Scan(&n); e != nil || n != 0 || !errors.Is(err, stop) {
			t.Errorf("%d rows, %v, %v", n, err, e)
		}
	})
	t.Run("a panic gives the connection back", func(t *testing.T) {
		func() {
			defer func() { _ = recover() }()
			_ = pg.InTx(ctx, pool, func(pgx.Tx) error { panic("bug") })
		}()
		if n := pool.Stat().AcquiredConns(); n != 0 {
			t.Errorf("%d connections are lost", n)
		}
	})
}

func TestErrors(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := testenv.Postgres(t, migrateTwo)
	do := func(sql string) error { _, err := pool.Exec(ctx, sql); return fmt.Errorf("store: %w", err) }
	if _, err := pool.Exec(ctx, `INSERT INTO control.thing (id, n) VALUES (1, 0)`); err != nil {
		t.Fatal(err)
	}
	if c, ok := pg.IsUnique(do(`INSERT INTO control.thing (id, n) VALUES (1, 0)`)); !ok || c != "thing_pkey" {
		t.Errorf("unique: %s %v", c, ok)
	}
	if c, ok := pg.IsForeignKey(do(`INSERT INTO control.part (thing_id) VALUES (5)`)); !ok || c != "part_thing" {
		t.Errorf("foreign key: %s %v", c, ok)
	}
	if c, ok := pg.IsCheck(do(`INSERT INTO control.thing (id, n) VALUES (2, -1)`)); !ok || c != "thing_n_check" {
		t.Errorf("check: %s %v", c, ok)
	}
	if _, ok := pg.IsUnique(errors.New("other")); ok || pg.IsUnavailable(do(`SELECT wrong`)) || pg.IsUnavailable(nil) || pg.IsUnavailable(context.DeadlineExceeded) {
		t.Error("saw what is not there")
	}
	if err := do(`SELECT pg_terminate_backend(pg_backend_pid())`); !pg.IsUnavailable(err) {
		t.Errorf("terminated: %v", err)
	}
}

// Guarantee: a pool opens with the database away, and using it tells so; a
// malformed URL is refused without showing its password.
func TestOpen(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	pool, err := pg.Open(ctx, "postgres://u:sekret@127.0.0.1:1/x?sslmode=disable", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := pool.Ping(ctx); !pg.IsUnavailable(err) {
		t.Errorf("got %v", err)
	}
	for _, url := range []string{"postgres://u:sekret@h:port/x", "postgres://u:sekret@h/x?sslmode=nonsense", "host=h password=sekret port=x"} {
		if _, err := pg.Open(ctx, url, 2); err == nil || strings.Contains(err.Error(), "sekret") {
			t.Errorf("%s: got %v", url, err)
		}
	}
}

// Guarantee: a server that follows another one, or goes away or comes, is one that is away for a moment; a mistake is not.
func TestIsUnavailable(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{"25006": true, "57P01": true, "57P03": true, "08006": true, "53300": true, "23505": false, "42601": false, "57014": false} {
		if got := pg.IsUnavailable(fmt.Errorf("asked: %w", &pgconn.PgError{Code: code})); got != want {
			t.Errorf("%s: %v", code, got)
		}
	}
}
