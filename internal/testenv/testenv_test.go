package testenv_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"

	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

var migrations atomic.Int64

func migrate(ctx context.Context, url string) error {
	migrations.Add(1)
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, `CREATE TABLE thing (id int PRIMARY KEY)`)
	return err
}

// Guarantee: every test has a database of its own with the schema in it, and
// the migration runs once for all of them.
func TestPostgres(t *testing.T) {
	t.Parallel()
	t.Run("tests", func(t *testing.T) {
		for range 4 {
			t.Run("own database", func(t *testing.T) {
				t.Parallel()
				pool := testenv.Postgres(t, migrate)
				if _, err := pool.Exec(t.Context(), `INSERT INTO thing VALUES (1)`); err != nil {
					t.Fatal(err)
				}
				var n int
				if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM thing`).Scan(&n); err != nil || n != 1 {
					t.Errorf("%d rows, %v", n, err)
				}
			})
		}
	})
	if n := migrations.Load(); n != 1 {
		t.Errorf("migrated %d times", n)
	}
}

func TestEmptyDatabase(t *testing.T) {
	t.Parallel()
	var n int
	pool := testenv.Postgres(t, nil)
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d tables, %v", n, err)
	}
}

// fakeTB keeps a failure instead of failing.
type fakeTB struct {
	testing.TB
	fatal string
}

func (f *fakeTB) Helper() {}
func (f *fakeTB) Fatal(args ...any) {
	if err, ok := args[0].(error); ok {
		f.fatal = err.Error()
	}
	panic(f)
}
func (f *fakeTB) Fatalf(format string, _ ...any) { f.fatal = format; panic(f) }

func failing(t *testing.T, do func(tb testing.TB)) string {
	t.Helper()
	f := &fakeTB{TB: t}
	func() {
		defer func() { _ = recover() }()
		do(f)
	}()
	return f.fatal
}

// Guarantee: two closures never share a template by mistake.
func TestClosureIsRefused(t *testing.T) {
	t.Parallel()
	why := failing(t, func(tb testing.TB) {
		tb.Helper()
		testenv.PostgresURL(tb, func(context.Context, string) error { return nil })
	})
	if !strings.Contains(why, "pass a function with a name") {
		t.Errorf("got %q", why)
	}
}

func TestEventually(t *testing.T) {
	t.Parallel()
	calls := 0
	testenv.Eventually(t, 10*time.Second, func() error {
		if calls++; calls < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if calls != 3 {
		t.Errorf("%d calls", calls)
	}
	if why := failing(t, func(tb testing.TB) {
		tb.Helper()
		testenv.Eventually(tb, 20*time.Millisecond, func() error { return errors.New("never") })
	}); why == "" {
		t.Error("gave up in silence")
	}
}

func TestNATSAndVendor(t *testing.T) {
	t.Parallel()
	nc, err := nats.Connect(testenv.NATS(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	if testenv.Vendor(t).Count() != 0 {
		t.Error("a request before the first")
	}
	testenv.Logger(t).Info("shown on failure")
}
