package store_test

import (
	"context"
	"testing"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
	"tollgate/ledger/usage"
)

// opened is a total budget of which something was spent before.
func opened(id int64, limit, spent money.Nanos, at time.Time) store.Account {
	a := budget(id, limit)
	a.Opening, a.OpeningUnix = spent, at.Unix()
	return a
}

func (b *bench) verify(t *testing.T) {
	t.Helper()
	b.audit(t)
	err := b.db.Audit(t.Context(), func(ctx context.Context, a *store.Audit) error {
		for _, c := range store.Checks() {
			err := a.Run(ctx, c, func(d store.Discrepancy) error {
				t.Errorf("%s: %s: %s", c.Name, d.Subject, d.Detail)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) spentOf(t *testing.T, w contract.Window) money.Nanos {
	t.Helper()
	all, err := b.db.WindowStates(t.Context(), []contract.Window{w})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		return 0
	}
	return all[0].Spent
}

// Guarantee: what was spent of a budget elsewhere is spent from the moment in which its account appears, so that edges get no more
// than the rest; it is booked once, however often the account is published, and the books agree with it.
func TestOpeningIsBookedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.partition(t, 1)
	b.account(t, opened(1, 100, 70, time.Now()), opened(2, 100, 130, time.Now()), budget(3, 100))
	b.account(t, opened(1, 100, 70, time.Now()))
	raised := opened(1, 120, 70, time.Now())
	raised.Version = 2
	b.account(t, raised)
	if got := b.spentOf(t, win(1)); got != 70 {
		t.Errorf("spent = %d, want 70", got)
	}
	if got := b.spentOf(t, win(2)); got != 130 {
		t.Errorf("spent = %d, want 130: more than the limit was spent", got)
	}
	if got := b.spentOf(t, win(3)); got != 0 {
		t.Errorf("spent = %d of a budget without an opening", got)
	}
	out, err := b.leader.Lease(t.Context(), []escrow.Line{line(1, 7, 200), line(2, 7, 1)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := out.Answers[0]; got.Granted != 50 {
		t.Errorf("granted %d of what is left, want 50", got.Granted)
	}
	if got := out.Answers[1]; got.Granted != 0 {
		t.Errorf("granted %d of a budget that was overspent before", got.Granted)
	}
	b.verify(t)
	other.account(t, store.Account{ID: 4, Gen: 1, Limit: 10, Version: 1, Opening: 3, OpeningUnix: time.Now().Unix()})
	b.verify(t)
}

// Guarantee: an opening is a record of its own kind, that lists can leave out, and counts in no usage.
func TestOpeningIsNoRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, opened(1, 100, 70, time.Now()))
	request := id.NewBytes()
	b.book(t, 7, 1, &eventv1.SpendEvent{
		RequestId: request[:], UnixMs: time.Now().UnixMilli(), KeyId: "key_1", EndpointId: "ep_1", Status: 200, CostNanos: 5, Units: 1,
		Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_OK,
	})
	list := func(f usage.Filter) []usage.Record {
		t.Helper()
		page, err := b.db.Requests(t.Context(), usage.Listing{Filter: f, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return page.Records
	}
	opening := list(usage.Filter{Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_OPENING})
	if len(opening) != 1 || opening[0].Event.GetCostNanos() != 70 || len(opening[0].Event.GetRequestId()) != 16 || opening[0].Corrects != nil {
		t.Errorf("openings = %v", opening)
	}
	if all := list(usage.Filter{}); len(all) != 2 {
		t.Errorf("%d records, want the opening and one request", len(all))
	}
	if _, err := b.db.Rebuild(t.Context(), time.Time{}, time.Time{}, false); err != nil {
		t.Fatal(err)
	}
	var cost int64
	if err := b.pool.QueryRow(t.Context(), `SELECT coalesce(sum(u.cost_nanos), 0) FROM ledger.usage_by_hour u`).Scan(&cost); err != nil || cost != 5 {
		t.Errorf("usage is %d, %v; want 5", cost, err)
	}
}

// Guarantee: what was spent counts in the period in which it was spent, and in none after it; in a rolling one for as many days.
func TestOpeningOfAnotherPeriod(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := time.Now().UTC()
	month := store.Account{ID: 1, Gen: 1, Period: 5, TimeZone: "UTC", Limit: 100, Version: 1, Opening: 70, OpeningUnix: now.Unix()}
	past := month
	past.ID, past.OpeningUnix = 2, now.AddDate(0, -2, 0).Unix()
	rolling := month
	rolling.ID, rolling.Period, rolling.Days, rolling.OpeningUnix = 3, 6, 10, now.AddDate(0, 0, -5).Unix()
	gone := rolling
	gone.ID, gone.OpeningUnix = 4, now.AddDate(0, 0, -15).Unix()
	b.account(t, month, past, rolling, gone)
	for i, a := range []store.Account{month, past, rolling, gone} {
		w, _, err := a.WindowAt(time.Unix(a.OpeningUnix, 0))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := b.spentOf(t, w), []money.Nanos{70, 0, 70, 0}[i]; got != want {
			t.Errorf("account %d: spent %d, want %d", a.ID, got, want)
		}
	}
	w, _, err := rolling.WindowAt(now)
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.leader.Lease(t.Context(), []escrow.Line{{Window: w, Inc: 7, Edge: "edge", Grantable: true, Ask: line(3, 7, 200).Ask}}, nil)
	if err != nil || out.Answers[0].Granted != 30 {
		t.Errorf("granted %+v, %v; want the 30 that are left of ten days", out.Answers, err)
	}
	b.verify(t)
}
