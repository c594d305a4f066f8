package store_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/ledger/escrow"
	"tollgate/ledger/usage"
)

func unpriced(e *eventv1.SpendEvent) { e.Unpriced = true }

// spent is what was booked of total accounts.
func (b *bench) spent(t *testing.T, accounts ...int64) []money.Nanos {
	t.Helper()
	var windows []contract.Window
	for _, a := range accounts {
		windows = append(windows, win(a))
	}
	states, err := b.db.WindowStates(t.Context(), windows)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]money.Nanos, len(accounts))
	for _, s := range states {
		out[slices.Index(accounts, s.Window.Account)] = s.Spent
	}
	return out
}

func (b *bench) reprice(t *testing.T, f usage.Filter, p usage.Repricing, dry bool) usage.Repriced {
	t.Helper()
	out, err := b.db.Reprice(t.Context(), f, p, dry)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (b *bench) total(t *testing.T, q usage.Query) usage.Counts {
	t.Helper()
	q.From, q.To = "2026-11-01", "2026-11-30"
	rows, err := b.db.Usage(t.Context(), q)
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	return rows[0].Counts
}

// Guarantee: pricing a record adds a record of the difference, charges it to every account that was
// drawn on and to usage in every dimension, and leaves the record as it was; once, and less if it was
// charged too much.
func TestReprice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, 1000), budget(2, 100))
	told := ended(first.Add(time.Hour), unpriced, drawing(0, 1, 2), func(e *eventv1.SpendEvent) {
		e.Tags, e.Team, e.Units, e.CostNanos = []string{"x", "y"}, "ops", 7, 40
		for _, d := range e.Draws {
			d.Nanos = 40
		}
	})
	dear := ended(first.Add(26*time.Hour), unpriced, drawing(0, 1), func(e *eventv1.SpendEvent) { e.Units = 1_000_000_000 })
	b.settle(t, 7, told, dear, ended(first, drawing(0, 1)))
	price := usage.Price{PerRequest: 20, PerMillionUnits: 1_000_000}

	f := usage.Filter{Team: "ops"}
	if got := b.reprice(t, f, price, true); got.Corrected != 1 || got.Difference != -13 || got.Freed != nil {
		t.Errorf("dry run: %+v", got)
	}
	if got := b.spent(t, 1, 2); !slices.Equal(got, []money.Nanos{60, 40}) {
		t.Errorf("after a dry run: spent %v", got)
	}
	if got := b.reprice(t, f, price, false); got.Corrected != 1 || got.Difference != -13 || !slices.Equal(got.Freed, []int64{1, 2}) {
		t.Errorf("%+v", got)
	}
	if got := b.reprice(t, f, price, false); got.Corrected != 0 || got.Difference != 0 {
		t.Errorf("once more: %+v", got)
	}
	if got := b.spent(t, 1, 2); !slices.Equal(got, []money.Nanos{47, 27}) {
		t.Errorf("spent %v", got)
	}
	b.audit(t)

	want := usage.Record{
		Position: usage.Position{Inc: escrow.Corrections, Seq: 1}, Corrects: &usage.Position{Inc: 7, Seq: 1}, Edge: "edge",
		Event: ended(first.Add(time.Hour), func(e *eventv1.SpendEvent) {
			e.Tags, e.Team, e.Units, e.CostNanos, e.ReservedNanos, e.DurationUs = told.GetTags(), "ops", 0, -13, 0, 0
		}, drawing(0, 1, 2)),
	}
	for _, d := range want.Event.GetDraws() {
		d.Nanos = -13
	}
	got := all(t, b.db, f, true, 10)
	if len(got) != 2 || cmp.Diff(want, got[0], protocmp.Transform()) != "" || cmp.Diff(told, got[1].Event, protocmp.Transform()) != "" {
		t.Errorf("records: %s", cmp.Diff(want, got[0], protocmp.Transform()))
	}
	if left := all(t, b.db, usage.Filter{Unpriced: true}, true, 10); len(left) != 1 || left[0].Position.Seq != 2 {
		t.Errorf("unpriced: %v", positions(left))
	}
	if got, want := b.total(t, usage.Query{Team: "ops"}), (usage.Counts{Requests: 1, Units: 7, Cost: 27}); got != want {
		t.Errorf("usage: %+v", got)
	}
	for _, q := range []usage.Query{
		{Tag: "x"}, {Tag: "y", GroupBy: []usage.Dimension{usage.ByHour}}, {Team: "ops", GroupBy: []usage.Dimension{usage.ByHour}},
	} {
		if got, want := b.total(t, q), (usage.Counts{Requests: 1, Units: 7, Cost: 27}); got != want {
			t.Errorf("usage %+v: %+v", q, got)
		}
	}

	// What a thing costs is a fact, also where no budget has room for it.
	if got := b.reprice(t, usage.Filter{}, price, false); got.Corrected != 1 || got.Difference != 1_000_000_010 {
		t.Errorf("%+v", got)
	}
	if got := b.spent(t, 1); got[0] != 1_000_000_057 {
		t.Errorf("spent %v", got)
	}
	if got := b.total(t, usage.Query{}); got != (usage.Counts{Requests: 3, Units: 1_000_000_009, Cost: 27 + 10 + 1_000_000_020}) {
		t.Errorf("usage: %+v", got)
	}
	b.audit(t)
	// Edges may go on settling and leasing on what was corrected.
	b.settle(t, 7, ended(first, drawing(0, 1, 2)))
	if a := mustLease(t, b, line(1, 9, 5)); a.State != escrow.Exhausted {
		t.Errorf("lease on what is overspent: %+v", a)
	}
	b.audit(t)
}

func mustLease(t *testing.T, b *bench, l escrow.Line) escrow.Answer {
	t.Helper()
	out, err := b.leader.Lease(t.Context(), []escrow.Line{l}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out.Answers[0]
}

// Guarantee: any number of processes that price the same records at once, in any number of steps,
// correct each of them once, while edges go on settling.
func TestRepriceTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, money.Dollar))
	const records = 1200 // several transactions
	var list []*eventv1.SpendEvent
	for i := range records {
		list = append(list, ended(first.Add(time.Duration(i)*time.Minute), unpriced, drawing(0, 1)))
	}
	b.settle(t, 7, list...)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var sum usage.Repriced
	for range 3 {
		wg.Go(func() {
			got, err := b.db.Reprice(t.Context(), usage.Filter{}, usage.Price{PerRequest: 11}, false)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			sum.Corrected, sum.Difference = sum.Corrected+got.Corrected, sum.Difference+got.Difference
		})
	}
	for i := range 20 {
		b.settle(t, 8, ended(first.Add(time.Duration(i)*time.Hour), drawing(0, 1)))
	}
	wg.Wait()
	if sum.Corrected != records || sum.Difference != records {
		t.Errorf("%+v", sum)
	}
	if got := b.spent(t, 1)[0]; got != records*11+20*10 {
		t.Errorf("spent %s", got)
	}
	if got := all(t, b.db, usage.Filter{}, true, 500); len(got) != 2*records+20 {
		t.Errorf("%d records", len(got))
	}
	b.audit(t)
}

// Guarantee: accounts of other partitions are charged exactly once, also if whoever prices is stopped
// between the partitions and somebody else does it again.
func TestRepriceOverPartitions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, 1000))
	other := b.partition(t, 1)
	other.account(t, budget(2, 1000))
	e := ended(first, unpriced, drawing(0, 1), drawing(1, 2))
	b.settle(t, 7, e)
	other.settle(t, 7, &eventv1.SpendEvent{UnixMs: e.GetUnixMs(), Draws: e.GetDraws(), DrawsOnly: true})

	// The other partition does not let anybody in for a while.
	hold, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Rollback(context.Background())
	if _, err := hold.Exec(t.Context(), `SELECT FROM ledger.ledger_part p WHERE p.part = 1 FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	// The caller gives up once everything but that is done.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got usage.Repriced
	repriced := make(chan error, 1)
	go func() {
		var err error
		got, err = b.db.Reprice(ctx, usage.Filter{}, usage.Price{PerRequest: 15}, false)
		repriced <- err
	}()
	testenv.Eventually(t, 10*time.Second, func() error {
		var waiting int
		err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
		if err == nil && waiting == 0 {
			err = errors.New("it does not wait for the other partition")
		}
		return err
	})
	cancel()
	if err := <-repriced; err == nil || got.Corrected != 1 || got.Difference != 5 {
		t.Fatalf("%+v, %v", got, err)
	}
	if got := b.spent(t, 1, 2); !slices.Equal(got, []money.Nanos{15, 10}) {
		t.Fatalf("spent %v", got)
	}
	if err := hold.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := b.reprice(t, usage.Filter{}, usage.Price{PerRequest: 99}, false); got.Corrected != 0 {
			t.Errorf("%+v", got)
		}
		if got := b.spent(t, 1, 2); !slices.Equal(got, []money.Nanos{15, 15}) {
			t.Errorf("spent %v", got)
		}
	}
	if freed, err := b.db.FinishCorrections(t.Context()); err != nil || len(freed) > 0 {
		t.Errorf("%v, %v", freed, err)
	}
	b.audit(t)
}

// Guarantee: a price at which a record would cost more than an amount can be changes nothing.
func TestRepriceRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, 1000))
	b.settle(t, 7, ended(first, unpriced, drawing(0, 1)), ended(first, unpriced, drawing(0, 1), func(e *eventv1.SpendEvent) { e.Units = 1 << 62 }))
	_, err := b.db.Reprice(t.Context(), usage.Filter{}, usage.Price{PerMillionUnits: money.Max}, false)
	if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != fault.InvalidArgument {
		t.Errorf("got %v", err)
	}
	if got := b.spent(t, 1)[0]; got != 20 {
		t.Errorf("spent %s", got)
	}
	if left := all(t, b.db, usage.Filter{Unpriced: true}, true, 10); len(left) != 2 {
		t.Errorf("%d are unpriced", len(left))
	}
}
