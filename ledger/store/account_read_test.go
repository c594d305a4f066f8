package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
)

// Guarantee: the state of an account is that of its current window: of a rolling period all days that
// count together and no others, with the limit as it is raised at the moment, and the warnings.
func TestAccountStates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 10, 26, 9, 0, 0, 0, berlin) // the day after one of 25 hours
	rolling := store.Account{
		ID: 1, Gen: 1, Period: int32(eventv1.AccountPeriod_ACCOUNT_PERIOD_ROLLING), Days: 3, TimeZone: "Europe/Berlin", Limit: 1000, Version: 1,
		Raise: 500, RaiseUntil: now.Add(time.Hour).Unix(),
	}
	total := store.Account{ID: 2, Gen: 1, Period: int32(eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL), TimeZone: "UTC", Limit: 100, Version: 1}
	fresh := total
	fresh.ID = 3
	closed := total
	closed.ID, closed.Closed = 4, true
	var changes []store.AccountChange
	for _, a := range []store.Account{rolling, total, fresh, closed} {
		changes = append(changes, store.AccountChange{Account: a})
	}
	if ok, err := b.leader.ApplyShard(t.Context(), 0, version(1), changes, nil); err != nil || !ok {
		t.Fatal(ok, err)
	}
	// One more for each day, from four days ago on.
	spent := func(w contract.Window, nanos money.Nanos) *eventv1.SpendEvent {
		return ended(now, func(e *eventv1.SpendEvent) {
			e.CostNanos = int64(nanos)
			e.Draws = []*eventv1.SpendDraw{{Window: w.ToProto(), Nanos: int64(nanos)}}
		})
	}
	var events []*eventv1.SpendEvent
	for back := range 5 {
		day := time.Date(2026, 10, 26-back, 0, 0, 0, 0, berlin)
		events = append(events, spent(contract.Window{Account: 1, Gen: 1, Start: day.Unix()}, money.Nanos(1)<<back))
	}
	b.settle(t, 7, append(events, spent(win(2), 60))...)
	l := line(2, 8, 30)
	if _, err := b.leader.Lease(t.Context(), []escrow.Line{l}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.pool.Exec(t.Context(), `INSERT INTO ledger.account_warning (account_id, gen, start, percent, part, at, spent)
		VALUES (2, 1, 0, 50, 0, '2026-10-26T08:00:00Z', 55) ON CONFLICT DO NOTHING`); err != nil {
		t.Fatal(err)
	}
	states, err := b.db.AccountStates(t.Context(), []int64{1, 2, 3, 4, 5}, now)
	if err != nil {
		t.Fatal(err)
	}
	got := map[int64]store.AccountState{}
	for _, s := range states {
		id := s.Account.ID
		for i := range s.Warnings {
			s.Warnings[i].At = s.Warnings[i].At.UTC()
		}
		s.Account = store.Account{}
		got[id] = s
	}
	today := time.Date(2026, 10, 26, 0, 0, 0, 0, berlin)
	want := map[int64]store.AccountState{
		1: {Window: contract.Window{Account: 1, Gen: 1, Start: today.Unix()}, End: today.AddDate(0, 0, 1).Unix(), Limit: 1500, Spent: 1 + 2 + 4, Overrun: 1 + 2 + 4},
		2: {
			Window: win(2), Limit: 100, Spent: 60, Held: 30, Overrun: 60,
			Warnings: []store.AccountWarning{{Percent: 50, At: time.Date(2026, 10, 26, 8, 0, 0, 0, time.UTC), Spent: 55}},
		},
		3: {Window: win(3), Limit: 100},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	later, err := b.db.AccountStates(t.Context(), []int64{1}, now.Add(time.Hour))
	if err != nil || len(later) != 1 || later[0].Limit != 1000 {
		t.Errorf("after the raise: %+v, %v", later, err)
	}
}
