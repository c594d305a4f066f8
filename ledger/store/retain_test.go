package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
	"tollgate/ledger/usage"
)

// count is how many rows a table has where something holds.
func (b *bench) count(tb testing.TB, table, where string, args ...any) int {
	tb.Helper()
	var n int
	if err := b.pool.QueryRow(context.Background(), `SELECT count(*) FROM ledger.`+table+` WHERE `+where, args...).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

func (b *bench) exec(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	if _, err := b.pool.Exec(context.Background(), sql, args...); err != nil {
		tb.Fatal(err)
	}
}

// book books records as one batch of an incarnation.
func (b *bench) book(tb testing.TB, inc int64, first uint64, records ...*eventv1.SpendEvent) {
	tb.Helper()
	batch := store.Batch{Batch: escrow.Batch{Inc: inc, Edge: "edge", First: first, Events: make([]escrow.Event, len(records))}, Records: records}
	for i, r := range records {
		for _, d := range r.GetDraws() {
			batch.Events[i].Draws = append(batch.Events[i].Draws, escrow.Draw{Window: contract.WindowOf(d.GetWindow()), Nanos: money.Nanos(d.GetNanos())})
		}
	}
	out, err := b.leader.Book(context.Background(), store.Position{Stream: "s", Seq: first}, []store.Batch{batch}, nil)
	if err != nil || out.Events != len(records) {
		tb.Fatal(out, err)
	}
}

func keeper(t *testing.T, b *bench, r store.Retention) *store.Keeper {
	t.Helper()
	return b.db.NewKeeper(b.leader, r, testenv.Logger(t))
}

// Guarantee: folding usage changes no answer, whatever is booked meanwhile and however many fold at once,
// and leaves one row for each series and time.
func TestFold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var seq uint64
	add := func() {
		for i := range 6 {
			seq++
			a := attempt(1+i%2, "k", "e", 5)
			a.Tags = []string{"x", "y"}[:i%3]
			b.book(t, 7, seq, a)
		}
	}
	sum := func(dims ...usage.Dimension) []usage.Row {
		t.Helper()
		rows, err := b.db.Usage(t.Context(), usage.Query{From: "2026-11-01", To: "2026-11-02", GroupBy: dims})
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	for range 3 {
		add()
		days, tags, hours := sum(usage.ByDay), sum(usage.ByTag), sum(usage.ByHour)
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- b.db.Fold(context.Background(), 0) }()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if n := b.count(t, "usage_delta", "true"); n != 0 {
			t.Errorf("%d rows are not folded", n)
		}
		for i, pair := range [][2][]usage.Row{{days, sum(usage.ByDay)}, {tags, sum(usage.ByTag)}, {hours, sum(usage.ByHour)}} {
			if d := cmp.Diff(pair[0], pair[1]); d != "" {
				t.Errorf("answer %d changed:\n%s", i, d)
			}
		}
	}
	if days, hours := b.count(t, "usage_day_sums", "true"), b.count(t, "usage_hour_sums", "true"); days != 2 || hours != 2 {
		t.Errorf("%d rows by day and %d by hour, want 2 each", days, hours)
	}
	if n := b.count(t, "usage_tag_day_sums", "true"); n != 4 {
		t.Errorf("%d rows by tag and day, want two tags on two days", n)
	}
	if got := sum(); len(got) != 1 || got[0].Counts.Requests != 18 || got[0].Counts.Cost != 90 {
		t.Errorf("usage = %+v", got)
	}
}

// Guarantee: records find their way into the partition of their day, also those that came before there was
// one, and a day that never gets one is kept all the same.
func TestRecordsByDay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := time.Now().UTC()
	at := func(when time.Time) *eventv1.SpendEvent {
		a := attempt(1, "k", "e", 5)
		a.UnixMs = when.UnixMilli()
		return a
	}
	b.book(t, 7, 1, at(now), at(now.AddDate(0, 0, 1)), at(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), at(now.AddDate(0, 0, -1)))
	if n := b.count(t, "request_default", "true"); n != 4 {
		t.Fatalf("%d records in no partition, want 4", n)
	}
	k := keeper(t, b, store.Retention{})
	for range 2 { // once is enough, and twice does no harm
		if err := k.Retain(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	b.book(t, 7, 5, at(now))
	if n := b.count(t, "request_default", "true"); n != 1 {
		t.Errorf("%d records in no partition, want that of the clock that is off", n)
	}
	if n := b.count(t, "request_"+now.Format("20060102"), "true"); n != 2 {
		t.Errorf("%d records today, want 2", n)
	}
	if n := b.count(t, "request", "true"); n != 5 {
		t.Errorf("%d records in all, want 5", n)
	}
	if n := b.count(t, "ledger_part", "records_since = '-infinity'"); n != 1 {
		t.Error("records do not count as complete")
	}
}

// Guarantee: what is older than it has to be goes, each kind by its own age, and nothing else does.
func TestRetain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	var seq uint64
	for day := 1; day <= 19; day += 2 {
		seq++
		a := attempt(day, "k", "e", 5)
		a.Tags = []string{"x"}
		b.book(t, 7, seq, a)
	}
	if err := b.db.Fold(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	b.exec(t, `INSERT INTO ledger.anomaly (at, part, kind, detail) SELECT $1::timestamptz - n * interval '1 day', 0, 'test', '' FROM generate_series(0, 9) n`, now)
	const day = 24 * time.Hour
	counts := func() [6]int {
		return [6]int{
			b.count(t, "request", "true"), b.count(t, "usage_hour_sums", "true"), b.count(t, "usage_tag_hour_sums", "true"),
			b.count(t, "usage_day_sums", "true"), b.count(t, "usage_tag_day_sums", "true"), b.count(t, "anomaly", "kind = 'test'"),
		}
	}
	for _, c := range []struct {
		r    store.Retention
		want [6]int
	}{
		{store.Retention{}, [6]int{10, 10, 10, 10, 10, 10}},
		{store.Retention{Requests: 10 * day}, [6]int{5, 10, 10, 10, 10, 10}},
		{store.Retention{Hours: 8 * day}, [6]int{5, 4, 4, 10, 10, 10}},
		{store.Retention{Days: 12 * day}, [6]int{5, 4, 4, 6, 6, 10}},
		{store.Retention{Anomalies: 5*day + time.Hour}, [6]int{5, 4, 4, 6, 6, 6}},
	} {
		if err := keeper(t, b, c.r).Retain(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		if got := counts(); got != c.want {
			t.Errorf("%+v leaves %v, want %v", c.r, got, c.want)
		}
	}
	if n := b.count(t, "ledger_part", "records_since = '2026-11-10'"); n != 1 {
		t.Error("records count as complete from another day than the 10th on")
	}
	// The partition of a day goes whole.
	early := now.AddDate(0, 0, -30)
	if err := keeper(t, b, store.Retention{}).Retain(t.Context(), early); err != nil {
		t.Fatal(err)
	}
	name := "request_" + early.Format("20060102")
	if n := b.count(t, name, "true"); n != 0 {
		t.Errorf("%d records in %s", n, name)
	}
	if err := keeper(t, b, store.Retention{Requests: 20 * day}).Retain(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	var there bool
	if err := b.pool.QueryRow(t.Context(), `SELECT to_regclass('ledger.' || $1) IS NOT NULL`, name).Scan(&there); err != nil || there {
		t.Errorf("%s is still there: %v, %v", name, there, err)
	}
}

// Guarantee: the windows of a period that ended long ago go with their leases and warnings, but for those
// that an edge may still come back to; what a lost edge holds of one is written down before.
func TestRetainWindows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const day = 24 * time.Hour
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	midnight := func(days int) int64 { return now.Truncate(day).AddDate(0, 0, -days).Unix() }
	for id := int64(1); id <= 4; id++ {
		b.account(t, budget(id, 1000))
	}
	b.exec(t, `UPDATE ledger.account SET period = 3 WHERE account_id <= 3`)
	b.exec(t, `UPDATE ledger.account SET period = 6, days = 30 WHERE account_id = 3`)
	b.exec(t, `INSERT INTO ledger.incarnation (inc, part, edge, closed, fate, ended) VALUES
		(1, 0, 'live', false, 0, null), (2, 0, 'lost', false, 2, null), (3, 0, 'closed', true, 0, $1)`, now.Add(-40*day))
	for _, l := range []struct {
		account, start, inc int64
		granted, consumed   int
	}{
		{1, midnight(50), 1, 10, 10}, {1, midnight(50), 3, 5, 5}, // all spent
		{1, midnight(48), 1, 10, 9},                            // an edge that lives holds some
		{1, midnight(46), 2, 10, 4},                            // an edge that was lost does
		{1, midnight(10), 3, 7, 7},                             // young
		{2, midnight(45), 3, 7, 7},                             // old
		{3, midnight(45), 3, 7, 7}, {3, midnight(80), 3, 7, 7}, // counts for thirty days
		{4, 0, 1, 20, 3}, {4, 0, 3, 7, 7}, // never ends
	} {
		b.exec(t, `INSERT INTO ledger.account_window (account_id, gen, start, part, lim, alloc, version) VALUES ($1, 1, $2, 0, 1000, $3, 1)
			ON CONFLICT (account_id, gen, start) DO UPDATE SET alloc = ledger.account_window.alloc + excluded.alloc`, l.account, l.start, l.granted)
		b.exec(t, `INSERT INTO ledger.lease (account_id, gen, start, inc, granted, consumed) VALUES ($1, 1, $2, $3, $4, $5)`, l.account, l.start, l.inc, l.granted, l.consumed)
	}
	b.exec(t, `INSERT INTO ledger.account_warning (account_id, gen, start, percent, part, spent) VALUES (2, 1, $1, 50, 0, 7), (4, 1, 0, 50, 0, 7)`, midnight(45))
	b.audit(t)
	k := keeper(t, b, store.Retention{Leases: 35 * day, Incarnations: 39 * day})
	for range 2 {
		if err := k.Retain(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		b.audit(t)
		got, err := b.db.Load(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		spent := map[string]money.Nanos{}
		for w := range got.Accounts {
			spent[fmt.Sprint(w.Account, "/", (midnight(0)-w.Start)/86400)] = got.Spent(w)
		}
		want := map[string]money.Nanos{"1/48": 9, "1/10": 7, "3/45": 7, fmt.Sprint("4/", midnight(0)/86400): 10}
		if d := cmp.Diff(want, spent); d != "" {
			t.Errorf("windows (-want +got):\n%s", d)
		}
		if _, ok := got.Leases[win(4)][3]; ok || got.Leases[win(4)][0].Consumed != 7 {
			t.Errorf("the leases of the total are %+v", got.Leases[win(4)])
		}
	}
	if n := b.count(t, "account_warning", "true"); n != 1 {
		t.Errorf("%d warnings left, want that of the total", n)
	}
	if n := b.count(t, "anomaly", "kind = 'unaccounted' AND edge = 'lost' AND detail LIKE '%: 6 nano-dollars%'"); n != 1 {
		t.Errorf("%d notes of what the lost edge holds, want 1", n)
	}
	if n := b.count(t, "incarnation", "inc = 3"); n != 0 {
		t.Error("an incarnation that ended long ago and holds nothing is still there")
	}
}

// Guarantee: an age is refused at which something would be forgotten that is still needed.
func TestRetentionIsChecked(t *testing.T) {
	t.Parallel()
	if err := store.DefaultRetention().Validate(); err != nil {
		t.Error(err)
	}
	if err := (store.Retention{}).Validate(); err != nil {
		t.Error(err)
	}
	if err := (store.Retention{Requests: 1, Hours: 1, Days: 1, Leases: 1, Anomalies: 1, Incarnations: 1}).Validate(); err == nil {
		t.Error("a nanosecond is accepted")
	}
}
