package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
	"tollgate/ledger/usage"
)

// attempt is the record of a settled attempt on a day of November 2026.
func attempt(day int, key, endpoint string, cost money.Nanos) *eventv1.SpendEvent {
	return &eventv1.SpendEvent{
		UnixMs: time.Date(2026, 11, day, 12, 30, 0, 0, time.UTC).UnixMilli(), KeyId: key, EndpointId: endpoint,
		Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_OK, Status: 200, CostNanos: int64(cost), Units: 1,
	}
}

func version(n int64) contract.Version { return contract.Version{Epoch: 1, Revision: n} }

func diff(a, b *escrow.Book) string { return cmp.Diff(a, b, cmpopts.EquateEmpty()) }

// Guarantee: the marks, the money, the usage and the position advance together, and a batch that
// comes again, too early or in parts is booked as if it had come once and in order.
func TestBook(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, 1000))
	seq := uint64(0)
	book := func(want store.Mark, events int, batches ...store.Batch) {
		t.Helper()
		seq++
		got, err := b.leader.Book(t.Context(), store.Position{Stream: "s", Created: 5, Seq: seq}, batches, nil)
		if err != nil {
			t.Fatal(err)
		}
		want.Inc, want.Edge = 7, "edge"
		if got.Events != events || len(got.Marks) != 1 || got.Marks[0] != want {
			t.Errorf("Book = %+v, want %d events and %+v", got, events, want)
		}
	}
	book(store.Mark{HWM: 0, Gap: true}, 0, spend(7, 3, 1, 1, 1))
	book(store.Mark{HWM: 2}, 2, spend(7, 1, 1, 10, 20))
	book(store.Mark{HWM: 2}, 0, spend(7, 1, 1, 10, 20))
	book(store.Mark{HWM: 4}, 2, spend(7, 1, 1, 10, 20, 30, 40))
	book(store.Mark{HWM: 6}, 2, spend(7, 8, 1, 99), spend(7, 5, 1, 50, 60))
	book(store.Mark{HWM: 6, Gap: true}, 0, spend(7, 5, 1, 50, 60), spend(7, 9, 1, 1))
	pos, err := b.leader.Position(t.Context())
	if err != nil || pos != (store.Position{Stream: "s", Created: 5, Seq: seq}) {
		t.Errorf("Position = %+v, %v", pos, err)
	}
	state, err := b.db.WindowStates(t.Context(), []contract.Window{win(1), win(2)})
	if err != nil || len(state) != 1 || state[0] != (store.WindowState{Window: win(1), Limit: 1000, Spent: 210}) {
		t.Errorf("WindowStates = %+v, %v", state, err)
	}
	b.audit(t)
}

// Guarantee: what a killed edge held comes back exactly when its last event is booked, and then
// somebody who was refused is told.
func TestCloseFrees(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, 100))
	lease := func(l escrow.Line) escrow.Answer {
		t.Helper()
		out, err := b.leader.Lease(t.Context(), []escrow.Line{l}, escrow.NewMemory())
		if err != nil {
			t.Fatal(err)
		}
		return out.Answers[0]
	}
	if a := lease(line(1, 7, 100)); a.State != escrow.Granted || a.Granted != 100 {
		t.Fatalf("first: %+v", a)
	}
	if a := lease(line(1, 8, 40)); a.State != escrow.Pending || a.Granted != 0 {
		t.Fatalf("second, while the first holds all: %+v", a)
	}
	last := spend(7, 1, 1, 70)
	last.Events, last.Records = append(last.Events, escrow.Event{Close: true}), append(last.Records, nil)
	got, err := b.leader.Book(t.Context(), store.Position{Stream: "s", Seq: 1}, []store.Batch{last}, nil)
	if err != nil || len(got.Freed) != 1 || got.Freed[0] != 1 {
		t.Fatalf("Book = %+v, %v", got, err)
	}
	if a := lease(line(1, 8, 40)); a.State != escrow.Exhausted || a.Granted != 30 || a.SpentElsewhere != 70 {
		t.Errorf("second, after the close: %+v", a)
	}
	if a := lease(line(1, 7, 10)); a.State != escrow.Dropped {
		t.Errorf("the closed one: %+v", a)
	}
	b.audit(t)
}

// Guarantee: a lowered limit takes nothing back and stops grants; a raised one allows them; a closed
// account gets nothing more; and windows before the current one keep the limit that they had.
func TestLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, 100))
	ask := func(seen, need money.Nanos) escrow.Answer {
		t.Helper()
		l := line(1, 7, need)
		l.Ask.Seen, l.Ask.Used = seen, seen
		out, err := b.leader.Lease(t.Context(), []escrow.Line{l}, nil)
		if err != nil {
			t.Fatal(err)
		}
		b.audit(t)
		return out.Answers[0]
	}
	ask(0, 60)
	lowered := budget(1, 50)
	lowered.Version = 2
	b.account(t, lowered)
	if a := ask(60, 5); a.Granted != 60 || a.Limit != 50 || a.Version != 2 || a.State != escrow.Exhausted {
		t.Errorf("after lowering: %+v", a)
	}
	raised := budget(1, 70)
	raised.Version = 3
	b.account(t, raised)
	if a := ask(60, 5); a.Granted != 65 || a.State != escrow.Granted {
		t.Errorf("after raising: %+v", a)
	}
	raised.Closed = true
	b.account(t, raised)
	if a := ask(65, 5); a.Granted != 65 || a.State != escrow.Unknown {
		t.Errorf("after closing: %+v", a)
	}
	if found, err := b.db.FindAccounts(t.Context(), []int64{1}); err != nil || len(found) != 0 {
		t.Errorf("FindAccounts = %v, %v", found, err)
	}
}

// Guarantee: an older version of a shard changes nothing.
func TestShardOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	apply := func(v contract.Version, limit money.Nanos) bool {
		t.Helper()
		a := budget(1, limit)
		a.Period, a.TimeZone = 1, "UTC"
		ok, err := b.leader.ApplyShard(t.Context(), 1, v, []store.AccountChange{{Account: a}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if !apply(version(5), 10) || apply(version(5), 20) || apply(version(4), 30) || !apply(contract.Version{Epoch: 2, Revision: 1}, 40) {
		t.Error("versions are not ordered")
	}
	accounts, versions, err := b.leader.Accounts(t.Context())
	if err != nil || len(accounts) != 1 || accounts[0].Limit != 40 || versions[1] != (contract.Version{Epoch: 2, Revision: 1}) {
		t.Errorf("Accounts = %+v, %v, %v", accounts, versions, err)
	}
}

// Guarantee: usage adds up over days and groups, largest cost first.
func TestUsage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	batch := store.Batch{Batch: escrow.Batch{Inc: 7, Edge: "edge", First: 1}}
	for i := range 12 {
		batch.Events = append(batch.Events, escrow.Event{})
		a := attempt(1+i%3, fmt.Sprint("k", i%2), "e", money.Nanos(i*i))
		if i == 7 {
			a.Outcome, a.CostNanos = eventv1.SpendOutcome_SPEND_OUTCOME_UNREACHABLE, 0
		}
		batch.Records = append(batch.Records, a)
	}
	if _, err := b.leader.Book(t.Context(), store.Position{Stream: "s", Seq: 1}, []store.Batch{batch}, nil); err != nil {
		t.Fatal(err)
	}
	got, err := b.db.Usage(t.Context(), usage.Query{From: "2026-11-01", To: "2026-11-02", GroupBy: []usage.Dimension{usage.ByKey}})
	want := []usage.Row{
		{Bucket: usage.Bucket{Series: usage.Series{KeyID: "k0"}}, Counts: usage.Counts{Requests: 4, Units: 4, Cost: 0 + 16 + 36 + 100}},
		{Bucket: usage.Bucket{Series: usage.Series{KeyID: "k1"}}, Counts: usage.Counts{Requests: 4, Failed: 1, Units: 4, Cost: 1 + 9 + 81}},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("Usage: %v\n%s", err, d)
	}
	got, err = b.db.Usage(t.Context(), usage.Query{From: "2026-11-01", To: "2026-11-30", KeyID: "k1", GroupBy: []usage.Dimension{usage.ByDay, usage.ByEndpoint}})
	if err != nil || len(got) != 3 || got[0].Bucket != (usage.Bucket{Day: "2026-11-03", Series: usage.Series{EndpointID: "e"}}) || got[0].Counts.Cost != 25+121 {
		t.Errorf("Usage = %+v, %v", got, err)
	}
}

// Guarantee: spend beyond what a number holds neither keeps an edge's events from being booked nor
// the usage from being read.
func TestSumsStopAtTheLargestAmount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, 100))
	for i := range uint64(2) {
		batch := spend(7, 2*i+1, 1, money.Max-1, money.Max-2)
		for k := range batch.Records {
			batch.Records[k] = attempt(1+k, "k", "e", money.Max-1)
			batch.Records[k].Units = int64(money.Max)
		}
		out, err := b.leader.Book(t.Context(), store.Position{Stream: "s", Seq: i + 1}, []store.Batch{batch}, nil)
		if err != nil || out.Events != 2 {
			t.Fatalf("Book = %+v, %v", out, err)
		}
	}
	got, err := b.db.Usage(t.Context(), usage.Query{From: "2026-11-01", To: "2026-11-30"})
	if err != nil || len(got) != 1 || got[0].Counts != (usage.Counts{Requests: 4, Units: int64(money.Max), Cost: money.Max}) {
		t.Errorf("Usage = %+v, %v", got, err)
	}
	states, err := b.db.WindowStates(t.Context(), []contract.Window{win(1)})
	if err != nil || len(states) != 1 || states[0].Spent != money.Max {
		t.Errorf("WindowStates = %+v, %v", states, err)
	}
	b.audit(t)
}
