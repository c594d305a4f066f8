package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
)

func line(account, inc int64, need money.Nanos) escrow.Line {
	return escrow.Line{Window: win(account), Inc: inc, Edge: "edge", Ask: escrow.Ask{Need: need}, Grantable: true, Active: 1}
}

func spend(inc int64, first uint64, account int64, nanos ...money.Nanos) store.Batch {
	b := store.Batch{Batch: escrow.Batch{Inc: inc, Edge: "edge", First: first}}
	for _, n := range nanos {
		b.Events = append(b.Events, escrow.Event{Draws: []escrow.Draw{{Window: win(account), Nanos: n}}})
	}
	b.Records = make([]*eventv1.SpendEvent, len(b.Events))
	return b
}

// Guarantee: one ledger leads a partition at a time, and another one takes over as soon as the
// first one's connection is gone.
func TestOneLeads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.db.Lead(t.Context(), 0, "second"); !errors.Is(err, store.ErrTaken) {
		t.Fatalf("second leader: %v", err)
	}
	if other, err := b.db.Lead(t.Context(), 1, "second"); err != nil {
		t.Fatalf("another partition: %v", err)
	} else {
		other.Close()
	}
	if err := b.leader.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	killLeaders(t, b)
	if err := b.leader.Check(t.Context()); !errors.Is(err, store.ErrLost) {
		t.Fatalf("Check without a connection: %v", err)
	}
	testenv.Eventually(t, 5*time.Second, func() error {
		l, err := b.db.Lead(t.Context(), 0, "second")
		if err == nil {
			if l.Epoch() != b.leader.Epoch()+1 {
				t.Errorf("epoch %d after %d", l.Epoch(), b.leader.Epoch())
			}
			l.Close()
		}
		return err
	})
}

// Guarantee: a leader that was replaced without noticing changes nothing, whatever it tries.
func TestReplacedLeaderChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, 100))
	stale := b.leader
	if _, err := stale.Lease(t.Context(), []escrow.Line{line(1, 7, 10)}, nil); err != nil {
		t.Fatal(err)
	}
	// The lock is lost while the connection lives, as if a pooler were in between.
	if _, err := b.pool.Exec(t.Context(), `UPDATE ledger.ledger_part SET epoch = epoch + 1`); err != nil {
		t.Fatal(err)
	}
	before, err := b.db.Load(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	_, leaseErr := stale.Lease(t.Context(), []escrow.Line{line(1, 7, 50), line(1, 8, 50)}, nil)
	_, bookErr := stale.Book(t.Context(), store.Position{Stream: "s", Seq: 9}, []store.Batch{spend(7, 1, 1, 5)}, nil)
	_, shardErr := stale.ApplyShard(t.Context(), 3, version(99), []store.AccountChange{{Account: budget(1, 1)}}, nil)
	for what, err := range map[string]error{"lease": leaseErr, "book": bookErr, "shard": shardErr, "check": stale.Check(t.Context())} {
		if !errors.Is(err, store.ErrLost) {
			t.Errorf("%s by a replaced leader: %v", what, err)
		}
	}
	after, err := b.db.Load(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(before, after); d != "" {
		t.Errorf("a replaced leader changed:\n%s", d)
	}
}

// Guarantee: two ledgers that both believe to lead, and take turns at random, never grant more than
// the limit together: exactly one of them does at a time.
func TestTwoLedgersNeverOverspend(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const limit = 1000
	b.account(t, budget(1, limit))
	b.leader.Close()
	var mu sync.Mutex
	granted := map[int64]money.Nanos{}
	var wg sync.WaitGroup
	for who := range int64(2) {
		wg.Go(func() {
			for i := range int64(120) {
				l, err := b.db.Lead(t.Context(), 0, "racer")
				if err != nil {
					continue
				}
				inc := 1 + who*1000 + i
				out, err := l.Lease(t.Context(), []escrow.Line{line(1, inc, 17)}, nil)
				if i%3 == 0 { // the other one takes the row away under this one
					_, _ = b.pool.Exec(t.Context(), `UPDATE ledger.ledger_part SET epoch = epoch + 1`)
					if _, err := l.Lease(t.Context(), []escrow.Line{line(1, inc+500, 17)}, nil); !errors.Is(err, store.ErrLost) {
						t.Errorf("replaced: %v", err)
					}
				}
				l.Close()
				if err == nil {
					mu.Lock()
					granted[inc] = out.Answers[0].Granted
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	var sum money.Nanos
	for _, g := range granted {
		sum += g
	}
	if sum > limit {
		t.Errorf("told edges of %d, the limit is %d", sum, limit)
	}
	if sum == 0 {
		t.Error("nothing was granted, so nothing was tested")
	}
	b.audit(t)
}

// Guarantee: a flush or a grant that is cut off in the middle is done whole or not at all.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, money.Nanos(1)<<40))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(7 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				killLeaders(t, b)
			}
		}
	})
	l := b.leader
	ctx := context.Background()
	killed := 0
	var next uint64 = 1
	for next <= 600 {
		_, err := l.Book(ctx, store.Position{Stream: "s", Created: 1, Seq: next}, []store.Batch{spend(7, next, 1, 3, 4)}, nil)
		if err == nil {
			next += 2
			continue
		}
		killed++
		for {
			if l, err = b.db.Lead(ctx, 0, "again"); err == nil {
				break
			}
		}
		// Whether the commit took effect is unknown. The edge sends again; the mark decides.
	}
	close(stop)
	wg.Wait()
	defer l.Close()
	book, err := b.db.Load(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := book.Leases[win(1)][7].Consumed; got != 300*7 {
		t.Errorf("booked %d, want %d", got, 300*7)
	}
	if killed == 0 {
		t.Error("nothing was killed, so nothing was tested")
	}
	if err := book.Check(); err != nil {
		t.Error(err)
	}
	t.Logf("killed %d times", killed)
}

// killLeaders ends the connections of leaders, as a restart of the database would.
func killLeaders(t *testing.T, b *bench) {
	t.Helper()
	_, err := b.pool.Exec(context.Background(), `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = 'tollgate-ledger-leader'`)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Error(err)
	}
}
