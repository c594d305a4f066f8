package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/testing/protocmp"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
)

// Guarantee: an account comes back from the database as it was published, and any difference counts as one.
func TestAccountComesBackWhole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	full := store.Account{
		ID: 1, Shard: 1, Gen: 2, Period: 6, TimeZone: "Europe/Berlin", Days: 30, Limit: 100, Version: 9, BudgetID: "bud_1",
		Warn: []uint32{50, 80}, Raise: 40, RaiseUntil: 1_800_000_000,
	}
	plain := store.Account{ID: 65, Shard: 1, Gen: 1, Period: 1, TimeZone: "UTC", Limit: 5, Version: 9}
	if _, err := b.leader.ApplyShard(t.Context(), 1, version(1), []store.AccountChange{{Account: plain}, {Account: full}}, nil); err != nil {
		t.Fatal(err)
	}
	got, _, err := b.leader.Accounts(t.Context())
	byID := cmpopts.SortSlices(func(a, b store.Account) bool { return a.ID < b.ID })
	if d := cmp.Diff([]store.Account{full, plain}, got, byID, cmpopts.EquateEmpty()); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	if !full.Same(full) || full.Same(plain) {
		t.Error("Same does not tell accounts apart")
	}
	for name, change := range map[string]func(*store.Account){
		"warnings": func(a *store.Account) { a.Warn = []uint32{50} }, "days": func(a *store.Account) { a.Days++ },
		"raise": func(a *store.Account) { a.Raise++ }, "its end": func(a *store.Account) { a.RaiseUntil++ }, "limit": func(a *store.Account) { a.Limit++ },
	} {
		other := full
		if change(&other); full.Same(other) {
			t.Errorf("%s: the same", name)
		}
	}
}

// Guarantee: a limit that is raised for a while is what windows may cost until the raise ends, those that
// begin meanwhile included; then it is the limit itself.
func TestRaise(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := time.Now()
	a := budget(1, 100)
	a.Raise, a.RaiseUntil = 50, now.Add(time.Hour).Unix()
	if a.LimitAt(now) != 150 || a.LimitAt(time.Unix(a.RaiseUntil, 0)) != 100 || a.LimitAt(time.Unix(a.RaiseUntil-1, 0)) != 150 {
		t.Error("LimitAt is not the limit with the raise before its end")
	}
	if huge := (store.Account{Limit: money.Max - 1, Raise: 2, RaiseUntil: 1 << 40}); huge.LimitAt(now) != money.Max {
		t.Errorf("LimitAt = %d", huge.LimitAt(now))
	}
	ask := func(account int64, need money.Nanos) escrow.Answer {
		t.Helper()
		out, err := b.leader.Lease(t.Context(), []escrow.Line{line(account, 7, need)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out.Answers[0]
	}
	b.account(t, a)
	if got := ask(1, 150); got.State != escrow.Granted || got.Granted != 150 || got.Limit != 150 {
		t.Errorf("while it is raised: %+v", got)
	}
	other := budget(2, 100)
	b.account(t, other)
	ask(2, 1)
	other.Raise, other.RaiseUntil = 50, now.Add(time.Hour).Unix()
	b.account(t, other)
	if got := ask(2, 150); got.Granted != 150 || got.Limit != 150 {
		t.Errorf("a window that was there before: %+v", got)
	}
	a.RaiseUntil = now.Unix() // as when it has come
	b.account(t, a)
	if err := b.leader.ApplyLimits(t.Context(), []store.AccountChange{{Account: a}}); err != nil {
		t.Fatal(err)
	}
	if got := ask(1, 1); got.Limit != 100 || got.Granted != 150 {
		t.Errorf("after its end: %+v", got)
	}
	b.audit(t)
}

// Guarantee: a leader has the limits of its partition from the database, as they were in the newest version
// of each shard.
func TestLimitsOfRatesAreKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	limit := func(id, amount int64) *eventv1.Limit {
		return &eventv1.Limit{Id: id, Kind: eventv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: amount, Name: "limit", Scope: eventv1.AccountScope_ACCOUNT_SCOPE_TEAM, ScopeName: "a"}
	}
	apply := func(shard uint32, v int64, limits ...*eventv1.Limit) bool {
		t.Helper()
		ok, err := b.leader.ApplyShard(t.Context(), shard, contract.Version{Epoch: 1, Revision: v}, nil, limits)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	want := func(limits ...*eventv1.Limit) {
		t.Helper()
		got, err := b.relead(t).Limits(t.Context())
		if d := cmp.Diff(limits, got, protocmp.Transform(), cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Errorf("%v\n%s", err, d)
		}
	}
	want()
	apply(1, 5, limit(65, 7), limit(1, 6))
	apply(2, 5, limit(2, 9))
	want(limit(1, 6), limit(2, 9), limit(65, 7))
	if apply(1, 4, limit(1, 1)) {
		t.Error("an older version is applied")
	}
	apply(1, 6, limit(1, 8), limit(129, 1))
	want(limit(1, 8), limit(2, 9), limit(129, 1))
	apply(1, 7)
	want(limit(2, 9))
}
