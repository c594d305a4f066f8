package rpc_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/controlplane/rpc"
)

// manyFile is a file of so many endpoints, teams and keys.
func manyFile(endpoints, keys int) string {
	var b strings.Builder
	b.WriteString("version: 1\nowner: many\nendpoints:\n")
	for i := range endpoints {
		fmt.Fprintf(&b, "  - {name: e%d, path: /e%d, target: \"https://e%d.example.com\", price: {per_request: 0.0%d}}\n", i, i, i, i%9+1)
	}
	b.WriteString("keys:\n")
	for i := range keys {
		fmt.Fprintf(&b, "  - {name: k%d, endpoints: [e%d]}\n", i, i%endpoints)
	}
	return b.String()
}

// cutter ends the database's connection of the change that is being made, before one of its statements or after its commit.
type cutter struct {
	admin *pgxpool.Pool

	mu     sync.Mutex // guards what follows
	at     int        // before which step; -1 for never
	seen   int
	holder uint32 // the backend that holds the lock of a change
}

func (c *cutter) arm(at int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.seen, c.holder = at, 0, 0
}

// used says whether the change had so many steps that it was cut.
func (c *cutter) used() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at < 0
}

func (c *cutter) step(ctx context.Context, conn *pgx.Conn, sql string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pid := conn.PgConn().PID()
	if strings.Contains(sql, "control.revision FOR UPDATE") {
		c.holder = pid
	}
	if c.at < 0 || pid != c.holder {
		return
	}
	if c.seen++; c.seen <= c.at {
		return
	}
	c.at = -1
	// With a time to wait it returns when the backend is gone.
	if _, err := c.admin.Exec(context.WithoutCancel(ctx), `SELECT pg_terminate_backend($1, 10000)`, pid); err != nil {
		panic(err)
	}
}

type statement struct{}

func (c *cutter) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	c.step(ctx, conn, data.SQL)
	return context.WithValue(ctx, statement{}, data.SQL)
}

func (c *cutter) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, _ pgx.TraceQueryEndData) {
	if sql, _ := ctx.Value(statement{}).(string); sql == "commit" {
		c.step(ctx, conn, "")
	}
}

func (c *cutter) TraceBatchStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	c.step(ctx, conn, "")
	return ctx
}

func (*cutter) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*cutter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// Guarantee: an apply whose connection to the database is cut before any of its statements, or after its commit, leaves what was,
// or all of what was asked for.
func TestInterruptedApplyLeavesTheOldOrTheNew(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	cut := &cutter{admin: b.pool, at: -1}
	cfg := b.pool.Config()
	cfg.ConnConfig.Tracer = cut
	fragile, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fragile.Close)
	victim := setupWith(t, fragile, &rpc.Ledger{})
	old, next := manyFile(1, 2), strings.ReplaceAll(manyFile(2, 2), "https://e", "https://new")
	b.apply(files(old))
	was := b.plan(files(next)).GetChanges()
	var olds, news int
	for at := 0; ; at++ {
		fragile.Reset() // what was cut after its commit lies there as if it could be used
		cut.arm(at)
		_, err := victim.config().Apply(ctx, applies(files(next)))
		if !cut.used() {
			if err != nil {
				t.Errorf("an apply that was not cut: %v", err)
			}
			t.Logf("cut at %d places: %d left the old, %d the new", at, olds, news)
			break
		}
		left := b.plan(files(next)).GetChanges()
		switch len(left) {
		case 0:
			news++
			b.apply(files(old, prune))
		case len(was):
			if olds++; err == nil {
				t.Fatalf("cut at %d: it was said to be done, and was not", at)
			}
		default:
			t.Fatalf("cut at %d: %d of %d changes are left: %q", at, len(left), len(was), summary(left))
		}
	}
	if olds == 0 || news == 0 {
		t.Errorf("%d left the old, %d the new", olds, news)
	}
}

// Guarantee: two files that are applied at once are applied one after the other.
func TestAppliesAtOnceAreOneAfterTheOther(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	texts := []string{manyFile(5, 5), strings.ReplaceAll(manyFile(5, 5), "https://e", "https://other")}
	var all sync.WaitGroup
	for range 3 {
		for _, text := range texts {
			all.Go(func() {
				if _, err := b.config().Apply(ctx, applies(files(text))); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	one, other := len(b.plan(files(texts[0])).GetChanges()), len(b.plan(files(texts[1])).GetChanges())
	if one+other != 5 || one*other != 0 {
		t.Errorf("%d differ from the one, %d from the other", one, other)
	}
}

// Guarantee: a thousand endpoints and ten thousand keys are applied whole, and then again without a change.
func TestManyObjectsAreApplied(t *testing.T) {
	t.Parallel()
	endpoints, keys := 30, 300
	if os.Getenv("TOLLGATE_TEST_MANY") != "" {
		endpoints, keys = 1000, 10000
	}
	b := setup(t)
	text := manyFile(endpoints, keys)
	begin := time.Now()
	made := b.apply(files(text))
	t.Logf("%d objects were made in %s", len(made.GetChanges()), time.Since(begin))
	if len(made.GetChanges()) != endpoints+keys || len(made.GetKeySecrets()) != keys {
		t.Errorf("%d changes, %d keys", len(made.GetChanges()), len(made.GetKeySecrets()))
	}
	begin = time.Now()
	again := b.apply(files(text))
	t.Logf("and again in %s", time.Since(begin))
	if len(again.GetChanges()) != 0 || again.GetRevision() != made.GetRevision() {
		t.Errorf("again: %d changes", len(again.GetChanges()))
	}
}
