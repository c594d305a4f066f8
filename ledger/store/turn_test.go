package store_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
)

// execAll runs statements on the database beside the leader.
func (b *bench) execAll(tb testing.TB, statements ...string) {
	tb.Helper()
	for _, sql := range statements {
		if _, err := b.pool.Exec(context.Background(), sql); err != nil {
			tb.Fatal(err)
		}
	}
}

// unchanged runs f and fails if the book is not what it was before.
func (b *bench) unchanged(tb testing.TB, f func()) {
	tb.Helper()
	load := func() *escrow.Book {
		book, err := b.db.Load(context.Background(), b.part)
		if err != nil {
			tb.Fatal(err)
		}
		return book
	}
	before := load()
	f()
	if d := diff(before, load()); d != "" {
		tb.Errorf("something was changed:\n%s", d)
	}
}

// begun is a bench on which money was granted.
func begun(tb testing.TB) *bench {
	tb.Helper()
	b := setup(tb)
	b.account(tb, budget(1, 1000), budget(2, 1000))
	lines := []escrow.Line{line(1, 7, 10), line(2, 7, 10), line(2, 9, 10)}
	if _, err := b.leader.Lease(context.Background(), lines, nil); err != nil {
		tb.Fatal(err)
	}
	return b
}

// lease and book each change accounts, leases and incarnations.
func lease(l *store.Leader) error {
	_, err := l.Lease(context.Background(), []escrow.Line{line(1, 7, 50), line(2, 7, 50), line(1, 8, 50)}, nil)
	return err
}

func book(l *store.Leader) error {
	_, err := l.Book(context.Background(), store.Position{Stream: "s", Seq: 3}, []store.Batch{spend(7, 1, 1, 5), spend(9, 1, 2, 500)}, nil)
	return err
}

// Guarantee: where a statement finds other rows than it must, nothing of the transaction is done, although
// its commit has been sent with it, and the leader goes on.
func TestMovedRowsChangeNothing(t *testing.T) {
	t.Parallel()
	for what, do := range map[string]func(*store.Leader) error{"lease": lease, "book": book} {
		for _, table := range []string{"account_window", "lease", "incarnation", "ledger_part"} {
			if what == "lease" && table == "ledger_part" { // which it does not write
				continue
			}
			t.Run(what+"/"+table, func(t *testing.T) {
				t.Parallel()
				b := begun(t)
				b.execAll(t, `CREATE FUNCTION ledger.pass_over() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`,
					`CREATE TRIGGER pass_over BEFORE INSERT OR UPDATE ON ledger.`+table+` FOR EACH ROW EXECUTE FUNCTION ledger.pass_over()`)
				b.unchanged(t, func() {
					if err := do(b.leader); err == nil || errors.Is(err, store.ErrLost) {
						t.Errorf("while no row can be written: %v", err)
					}
				})
				b.execAll(t, `DROP TRIGGER pass_over ON ledger.`+table)
				if err := do(b.leader); err != nil {
					t.Errorf("after that: %v", err)
				}
				b.audit(t)
			})
		}
	}
}

// Guarantee: a leader that is replaced while it waits for its turn at the database does nothing.
func TestReplacedWhileWaiting(t *testing.T) {
	t.Parallel()
	for what, do := range map[string]func(*store.Leader) error{"lease": lease, "book": book} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := begun(t)
			b.unchanged(t, func() {
				tx, err := b.pool.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := tx.Exec(t.Context(), `UPDATE ledger.ledger_part SET epoch = epoch + 1`); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- do(b.leader) }()
				b.waits(t)
				if err := tx.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := <-ended; !errors.Is(err, store.ErrLost) {
					t.Errorf("replaced: %v", err)
				}
			})
		})
	}
}

// waits returns once the leader waits for a lock.
func (b *bench) waits(tb testing.TB) {
	tb.Helper()
	testenv.Eventually(tb, 10*time.Second, func() error {
		var n int
		err := b.pool.QueryRow(context.Background(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'tollgate-ledger-leader' AND wait_event_type = 'Lock'`).Scan(&n)
		if err == nil && n == 0 {
			err = errors.New("the leader does not wait")
		}
		return err
	})
}

// atCommit has the database run something when a transaction commits that wrote a lease.
func (b *bench) atCommit(tb testing.TB, body string) {
	tb.Helper()
	b.execAll(tb, `CREATE SEQUENCE ledger.times`,
		`CREATE FUNCTION ledger.at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN `+body+` RETURN NULL; END $$`,
		`CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT OR UPDATE ON ledger.lease DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION ledger.at_commit()`)
}

// Guarantee: a connection that ends after everything was read, or while the commit runs, costs the lead, and
// nothing was done.
func TestKilledBeforeCommit(t *testing.T) {
	t.Parallel()
	for what, do := range map[string]func(*store.Leader) error{"lease": lease, "book": book} {
		for _, when := range []string{"change", "commit"} {
			t.Run(what+"/"+when, func(t *testing.T) {
				t.Parallel()
				b := begun(t)
				const kill = `PERFORM pg_terminate_backend(pg_backend_pid());`
				if when == "commit" {
					b.atCommit(t, kill)
				} else {
					b.execAll(t, `CREATE FUNCTION ledger.kill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN `+kill+` RETURN NEW; END $$`,
						`CREATE TRIGGER kill BEFORE INSERT OR UPDATE ON ledger.lease FOR EACH ROW EXECUTE FUNCTION ledger.kill()`)
				}
				b.unchanged(t, func() {
					if err := do(b.leader); !errors.Is(err, store.ErrLost) {
						t.Errorf("killed: %v", err)
					}
				})
			})
		}
	}
}

// Guarantee: a commit that the database refuses has done nothing, and the leader goes on. One that it refuses
// over a conflict is tried again and done once.
func TestRefusedCommit(t *testing.T) {
	t.Parallel()
	for what, do := range map[string]func(*store.Leader) error{"lease": lease, "book": book} {
		t.Run(what+"/constraint", func(t *testing.T) {
			t.Parallel()
			b := begun(t)
			b.atCommit(t, `RAISE EXCEPTION 'never';`)
			b.unchanged(t, func() {
				if err := do(b.leader); err == nil || errors.Is(err, store.ErrLost) {
					t.Errorf("refused: %v", err)
				}
			})
			b.execAll(t, `DROP TRIGGER at_commit ON ledger.lease`)
			if err := do(b.leader); err != nil {
				t.Errorf("after that: %v", err)
			}
			b.audit(t)
		})
		t.Run(what+"/conflict", func(t *testing.T) {
			t.Parallel()
			b, plain := begun(t), begun(t)
			b.atCommit(t, `IF nextval('ledger.times') <= 2 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF;`)
			if err := errors.Join(do(b.leader), do(plain.leader)); err != nil {
				t.Fatal(err)
			}
			got, err := b.db.Load(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			want, err := plain.db.Load(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			if d := diff(want, got); d != "" {
				t.Errorf("after two conflicts:\n%s", d)
			}
		})
	}
}

// muffler is between a leader and the database, and can keep answers back.
type muffler struct {
	addr  string
	muted atomic.Bool
	conns chan net.Conn
}

func muffle(t *testing.T, network, to string) *muffler {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &muffler{addr: l.Addr().String(), conns: make(chan net.Conn, 16)}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial(network, to)
			if err != nil {
				_ = near.Close()
				continue
			}
			m.conns <- near
			wg.Go(func() {
				_, _ = io.Copy(far, near)
				_ = far.Close()
			})
			wg.Go(func() {
				defer near.Close()
				buf := make([]byte, 1<<16)
				for {
					n, err := far.Read(buf)
					if err == nil && !m.muted.Load() {
						_, err = near.Write(buf[:n])
					}
					if err != nil {
						return
					}
				}
			})
		}
	})
	return m
}

// Guarantee: a leader that does not hear what became of a commit leads no more, and whoever leads next goes on
// from what is there: asking again for the same grants nothing more.
func TestUnknownCommit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, 1000))
	b.leader.Close()
	testenv.Eventually(t, 10*time.Second, func() error { // the server notices a moment later
		var held int
		err := b.pool.QueryRow(context.Background(), `SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
			WHERE l.locktype = 'advisory' AND d.datname = current_database()`).Scan(&held)
		if err == nil && held > 0 {
			err = errors.New("the lock is still held")
		}
		return err
	})

	cfg := b.pool.Config()
	network, to := pgconn.NetworkAddress(cfg.ConnConfig.Host, cfg.ConnConfig.Port)
	m := muffle(t, network, to)
	host, port, err := net.SplitHostPort(m.addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	cfg.ConnConfig.Host, cfg.ConnConfig.Port, cfg.ConnConfig.Fallbacks = host, uint16(n), nil
	far, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	l, err := store.New(far).Lead(t.Context(), 0, "far")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near := <-m.conns

	b.atCommit(t, `PERFORM pg_advisory_xact_lock(1);`)
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(1)`); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ask := []escrow.Line{line(1, 7, 300)}
	go func() {
		_, err := l.Lease(context.Background(), ask, nil)
		ended <- err
	}()
	b.waits(t) // it commits
	m.muted.Store(true)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 10*time.Second, func() error {
		book, err := b.db.Load(context.Background(), 0)
		if err == nil && book.Leases[win(1)][7].Granted != 300 {
			err = errors.New("nothing is committed")
		}
		return err
	})
	_ = near.Close()
	if err := <-ended; !errors.Is(err, store.ErrLost) {
		t.Errorf("an answer that never came: %v", err)
	}
	testenv.Eventually(t, 10*time.Second, func() (err error) {
		b.leader, err = b.db.Lead(context.Background(), 0, "next")
		return err
	})
	defer b.leader.Close()
	out, err := b.leader.Lease(t.Context(), ask, nil)
	if err != nil || out.Answers[0].Granted != 300 {
		t.Errorf("asked again: %+v, %v", out, err)
	}
	b.audit(t)
}

// Guarantee: while leases are asked for, what is booked is booked in parts, and comes to the same as in one.
func TestBookedInParts(t *testing.T) {
	t.Parallel()
	var batches []store.Batch
	for i := range uint64(3) {
		nanos := make([]money.Nanos, 700)
		for j := range nanos {
			nanos[j] = money.Nanos(j % 5)
		}
		batches = append(batches, spend(7, 1+700*i, 1, nanos...), spend(9, 1+700*i, 2, nanos...))
	}
	batches = append(batches, spend(7, 9000, 1, 1)) // which lacks what comes before
	run := func(leasing bool) (store.Booked, *escrow.Book, store.Position) {
		b := setup(t)
		b.account(t, budget(1, 1e9), budget(2, 1e9))
		lines := []escrow.Line{line(1, 7, 2000), line(2, 9, 1e6)}
		if _, err := b.leader.Lease(t.Context(), lines, nil); err != nil {
			t.Fatal(err)
		}
		if !leasing {
			b.leader.Close()
			b.leader = b.lead(t)
		}
		out, err := b.leader.Book(t.Context(), store.Position{Stream: "s", Created: 1, Seq: 9}, batches, nil)
		if err != nil {
			t.Fatal(err)
		}
		book, err := b.db.Load(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		at, err := b.leader.Position(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return out, book, at
	}
	parts, partsBook, partsAt := run(true)
	whole, wholeBook, wholeAt := run(false)
	if d := cmp.Diff(whole, parts); d != "" {
		t.Errorf("outcome (-whole +parts):\n%s", d)
	}
	if d := diff(wholeBook, partsBook); d != "" {
		t.Errorf("book:\n%s", d)
	}
	if partsAt != wholeAt || partsAt.Seq != 9 {
		t.Errorf("position %+v, and %+v as a whole", partsAt, wholeAt)
	}
}
