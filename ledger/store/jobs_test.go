package store_test

import (
	"context"
	"slices"
	"testing"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/ledger/store"
	"tollgate/ledger/usage"
)

const (
	running = eventv1.SpendJobState_SPEND_JOB_STATE_RUNNING
	done    = eventv1.SpendJobState_SPEND_JOB_STATE_DONE
	failed  = eventv1.SpendJobState_SPEND_JOB_STATE_FAILED
)

// begins has an event begin a job and be charged a hold.
func begins(id string, held int64) func(*eventv1.SpendEvent) {
	return func(e *eventv1.SpendEvent) {
		e.CostNanos, e.Units, e.Meter = held, 0, "submit"
		e.Job = &eventv1.SpendJob{Id: id, State: running, Begins: true, TtlSeconds: 3600}
	}
}

// tells has an event say something of a job; it costs nothing itself.
func tells(id string, state eventv1.SpendJobState, cost int64) func(*eventv1.SpendEvent) {
	return func(e *eventv1.SpendEvent) {
		e.CostNanos, e.Units, e.KeyId = 0, 0, "key_poll"
		e.Job = &eventv1.SpendJob{Id: id, State: state, CostNanos: cost, Units: 9, Counts: "seconds=1.5"}
	}
}

// settleJobs does what the ledgers of all partitions do.
func (b *bench) settleJobs(tb testing.TB, now time.Time, parts ...uint32) (sum store.SettledJobs) {
	tb.Helper()
	for _, part := range append([]uint32{b.part}, parts...) {
		got, err := b.db.SettleJobs(context.Background(), part, now)
		if err != nil {
			tb.Fatal(err)
		}
		sum.Told, sum.Expired, sum.Again, sum.Refused = sum.Told+got.Told, sum.Expired+got.Expired, sum.Again+got.Again, sum.Refused+got.Refused
		sum.Freed, sum.Corrected = append(sum.Freed, got.Freed...), sum.Corrected || got.Corrected
	}
	if _, err := b.db.FinishCorrections(context.Background()); err != nil {
		tb.Fatal(err)
	}
	return sum
}

// verified says that every check of the books holds.
func (b *bench) verified(tb testing.TB) {
	tb.Helper()
	err := b.db.Audit(context.Background(), func(ctx context.Context, a *store.Audit) error {
		for _, c := range store.Checks() {
			if err := a.Run(ctx, c, func(d store.Discrepancy) error {
				tb.Errorf("%s: %s: %s", c.Name, d.Subject, d.Detail)
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	if rows, err := b.db.Rebuild(context.Background(), time.Time{}, time.Time{}, true); err != nil || rows.Rows > 0 {
		tb.Errorf("rebuilding would change %d sums, %v", rows.Rows, err)
	}
}

// Guarantee: a job that three keys ask after fifty times is charged once, what it costs in the end, to the key
// that began it and to the accounts that this one drew on; what it used is added to usage.
func TestJobIsChargedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, 1000), budget(2, 1000))
	b.settle(t, 7, ended(first, begins("j1", 100), drawing(0, 1, 2), func(e *eventv1.SpendEvent) { e.Tags = []string{"x"} }))
	b.settleJobs(t, time.Time{})
	for i := range 50 {
		state, cost := running, int64(0)
		if i >= 20 {
			state, cost = done, int64(70+i) // only the first to say so counts
		}
		poll := ended(first.Add(time.Duration(i)*time.Minute), tells("j1", state, cost))
		poll.KeyId = []string{"key_x", "key_y", "key_z"}[i%3]
		b.settle(t, 7+int64(i%4), poll)
		if i%7 == 0 {
			b.settleJobs(t, time.Time{})
		}
	}
	b.settleJobs(t, time.Now().Add(1000*time.Hour))
	if got := b.spent(t, 1, 2); !slices.Equal(got, []money.Nanos{90, 90}) {
		t.Errorf("spent %v", got)
	}
	list := all(t, b.db, usage.Filter{Job: "j1", KeyID: "key_a"}, true, 10)
	if len(list) != 2 {
		t.Fatalf("%d records", len(list))
	}
	fix := list[slices.IndexFunc(list, func(r usage.Record) bool { return r.Corrects != nil })].Event
	if fix.GetCostNanos() != -10 || fix.GetUnits() != 9 || fix.GetCounts() != "seconds=1.5" || fix.GetMeter() != "submit" || fix.GetJob().GetState() != done || fix.GetUnpriced() {
		t.Errorf("correction: %v", fix)
	}
	for _, q := range []usage.Query{{KeyID: "key_a"}, {KeyID: "key_a", Tag: "x"}} {
		if got, want := b.total(t, q), (usage.Counts{Requests: 1, Units: 9, Cost: 90}); got != want {
			t.Errorf("usage %+v: %+v", q, got)
		}
	}
	b.audit(t)
	b.verified(t)
}

// Guarantee: what a job costs in the end follows from what was told of it, whether that comes before or after
// what began it or with it; a request that began a job again costs nothing.
func TestJobEnds(t *testing.T) {
	t.Parallel()
	change := func(f func(*eventv1.SpendJob)) func(*eventv1.SpendEvent) {
		return func(e *eventv1.SpendEvent) { f(e.GetJob()) }
	}
	free := change(func(j *eventv1.SpendJob) { j.ExpiresFree = true })
	asBegun := change(func(j *eventv1.SpendJob) { j.AsBegun, j.Units, j.Counts = true, 0, "" })
	guess := change(func(j *eventv1.SpendJob) { j.Unpriced = true })
	at := func(changes ...func(*eventv1.SpendEvent)) *eventv1.SpendEvent {
		return ended(first, append(changes, drawing(0, 1))...)
	}
	for name, c := range map[string]struct {
		events   []*eventv1.SpendEvent
		late     bool
		want     usage.Counts // but for requests
		records  int
		unpriced int
	}{
		"done":            {[]*eventv1.SpendEvent{at(begins("j", 100)), at(tells("j", done, 70))}, false, usage.Counts{Cost: 70, Units: 9}, 3, 0},
		"told before":     {[]*eventv1.SpendEvent{at(tells("j", done, 170)), at(begins("j", 100))}, true, usage.Counts{Cost: 170, Units: 9}, 3, 0},
		"failed":          {[]*eventv1.SpendEvent{at(begins("j", 100)), at(tells("j", failed, 70))}, false, usage.Counts{}, 3, 0},
		"as it began":     {[]*eventv1.SpendEvent{at(begins("j", 100)), at(tells("j", done, 70), asBegun)}, false, usage.Counts{Cost: 100}, 2, 0},
		"not known":       {[]*eventv1.SpendEvent{at(begins("j", 100)), at(tells("j", done, 70), guess)}, false, usage.Counts{Cost: 70, Units: 9, Unpriced: 1}, 3, 1},
		"it goes on":      {[]*eventv1.SpendEvent{at(begins("j", 100)), at(tells("j", running, 0))}, false, usage.Counts{Cost: 100}, 2, 0},
		"nobody tells":    {[]*eventv1.SpendEvent{at(begins("j", 100))}, true, usage.Counts{Cost: 100, Unpriced: 1}, 2, 1},
		"expires free":    {[]*eventv1.SpendEvent{at(begins("j", 100), free)}, true, usage.Counts{Unpriced: 1}, 2, 1},
		"begun unpriced":  {[]*eventv1.SpendEvent{at(begins("j", 100), unpriced), at(tells("j", done, 100))}, false, usage.Counts{Cost: 100, Units: 9}, 3, 0},
		"another's job":   {[]*eventv1.SpendEvent{at(begins("j", 100)), at(tells("j", done, 70), func(e *eventv1.SpendEvent) { e.EndpointId = "ep_b" })}, false, usage.Counts{Cost: 100}, 2, 0},
		"begun again":     {[]*eventv1.SpendEvent{at(begins("j", 100)), at(begins("j", 100)), at(tells("j", done, 70)), at(begins("j", 30))}, false, usage.Counts{Cost: 70, Units: 9}, 7, 0},
		"never begun":     {[]*eventv1.SpendEvent{at(tells("j", done, 70))}, true, usage.Counts{}, 1, 0},
		"told and begun":  {[]*eventv1.SpendEvent{at(tells("j", done, 70), change(func(j *eventv1.SpendJob) { j.Begins = true }), func(e *eventv1.SpendEvent) { e.CostNanos = 70 })}, false, usage.Counts{Cost: 70, Units: 9}, 2, 0},
		"waited for it":   {[]*eventv1.SpendEvent{at(tells("j", done, 70), change(func(j *eventv1.SpendJob) { j.Begins = true }), func(e *eventv1.SpendEvent) { e.CostNanos, e.Units, e.Counts = 70, 9, "seconds=1.5" })}, true, usage.Counts{Cost: 70, Units: 9}, 1, 0},
		"a state to come": {[]*eventv1.SpendEvent{at(begins("j", 100)), at(tells("j", 17, 70))}, false, usage.Counts{Cost: 100}, 2, 0},
	} {
		for _, together := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				b.account(t, budget(1, 1000))
				if together {
					b.settle(t, 7, c.events...)
				} else {
					for _, e := range c.events {
						b.settle(t, 7, e)
						b.settleJobs(t, time.Time{})
					}
				}
				now := time.Time{}
				if c.late {
					now = time.Now().Add(2 * time.Hour)
				}
				for range 2 {
					b.settleJobs(t, now)
				}
				want := c.want
				want.Requests = int64(len(c.events))
				if got := b.total(t, usage.Query{}); got != want {
					t.Errorf("usage: %+v instead of %+v", got, want)
				}
				if got := b.spent(t, 1)[0]; got != want.Cost {
					t.Errorf("spent %s", got)
				}
				if got := all(t, b.db, usage.Filter{}, true, 10); len(got) != c.records {
					t.Errorf("%d records instead of %d", len(got), c.records)
				}
				if got := all(t, b.db, usage.Filter{Unpriced: true}, true, 10); len(got) != c.unpriced {
					t.Errorf("%d are unpriced", len(got))
				}
				b.verified(t)
			})
		}
	}
}

// Guarantee: a job that expired can be priced by hand, for all that it used and once; and one that was priced
// by hand before it ended costs what is told of it.
func TestJobIsRepriced(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, 1000))
	b.settle(t, 7, ended(first, begins("late", 100), func(e *eventv1.SpendEvent) { e.Units = 3 }, drawing(0, 1)))
	b.settleJobs(t, time.Now().Add(2*time.Hour))
	b.settle(t, 7, ended(first, tells("late", done, 999)), ended(first, begins("early", 100), unpriced, drawing(0, 1)))
	b.settleJobs(t, time.Time{})
	price := usage.Price{PerRequest: 20, PerMillionUnits: 1_000_000}
	if got := b.reprice(t, usage.Filter{}, price, false); got.Corrected != 2 || got.Difference != -77-80 {
		t.Errorf("%+v", got)
	}
	b.settle(t, 7, ended(first, tells("early", done, 50)))
	b.settleJobs(t, time.Time{})
	if got := b.reprice(t, usage.Filter{}, price, false); got.Corrected != 0 {
		t.Errorf("once more: %+v", got)
	}
	if got := b.spent(t, 1)[0]; got != 23+50 {
		t.Errorf("spent %s", got)
	}
	if got := b.total(t, usage.Query{}); got != (usage.Counts{Requests: 4, Units: 3 + 9, Cost: 73}) {
		t.Errorf("usage: %+v", got)
	}
	b.audit(t)
	b.verified(t)
}

// Guarantee: a job whose record is gone is noted, and neither it nor jobs that together cost more than an amount
// can be keep another from being settled.
func TestJobCannotBeSettled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, money.Max))
	most := int64(money.Max)
	b.settle(t, 7,
		ended(first.Add(-240*time.Hour), begins("gone", 10)), ended(first, begins("a", 100), drawing(0, 1)), ended(first, begins("b", 100), drawing(0, 1)),
		ended(first, begins("c", 100), drawing(0, 1)), ended(first, tells("gone", done, 7)), ended(first, tells("a", done, most)),
		ended(first, tells("b", done, most)), ended(first, tells("c", failed, 0)))
	if _, err := b.pool.Exec(t.Context(), `DELETE FROM ledger.request r WHERE r.job = 'gone'`); err != nil {
		t.Fatal(err)
	}
	if got := b.settleJobs(t, time.Time{}); got.Told != 3 || got.Refused != 1 {
		t.Errorf("%+v", got)
	}
	if got := b.settleJobs(t, time.Time{}); got.Told != 0 || got.Refused != 0 {
		t.Errorf("once more: %+v", got)
	}
	var notes int
	if err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM ledger.anomaly a WHERE a.kind = 'job_unrecorded'`).Scan(&notes); err != nil || notes != 1 {
		t.Errorf("%d anomalies, %v", notes, err)
	}
}

// Guarantee: jobs are corrected also where records of other requests are not kept.
func TestJobWithoutRecords(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.db = store.New(b.pool, store.WithoutRecords())
	b.restart(t)
	b.account(t, budget(1, 1000))
	b.settle(t, 7, ended(first, begins("j", 100), drawing(0, 1)), ended(first, drawing(0, 1)), ended(first, tells("j", done, 70)))
	b.settleJobs(t, time.Time{})
	if got := b.spent(t, 1)[0]; got != 80 {
		t.Errorf("spent %s", got)
	}
	if got := all(t, b.db, usage.Filter{}, true, 10); len(got) != 2 {
		t.Errorf("%d records", len(got))
	}
	b.verified(t)
}

// Guarantee: how a job was settled is forgotten after thirty days, and so is what was told of one that nobody
// began; one that goes on is not.
func TestJobsAreForgotten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.settle(t, 7, ended(first, begins("over", 100)), ended(first, tells("over", failed, 0)), ended(first, begins("on", 100)), ended(first, tells("stray", done, 5)))
	b.settleJobs(t, time.Time{})
	count := func() (n int) {
		if err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM ledger.job`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	k := b.db.NewKeeper(b.leader, store.Retention{}, testenv.Logger(t))
	for _, c := range []struct{ days, left int }{{29, 3}, {31, 1}} {
		if err := k.Retain(t.Context(), time.Now().AddDate(0, 0, c.days)); err != nil {
			t.Fatal(err)
		}
		if got := count(); got != c.left {
			t.Errorf("after %d days %d jobs are known", c.days, got)
		}
	}
}

// Guarantee: the day of a record that a job will correct is not dropped before the job has ended.
func TestJobKeepsItsRecord(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := time.Now()
	k := b.db.NewKeeper(b.leader, store.Retention{Requests: 24 * time.Hour}, testenv.Logger(t))
	retain := func(now time.Time) (records int) {
		if err := k.Retain(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		return len(all(t, b.db, usage.Filter{}, true, 10))
	}
	retain(now)
	b.settle(t, 7, ended(now, begins("long", 100)), ended(now.AddDate(0, 0, 1)))
	if got := retain(now.AddDate(0, 0, 10)); got != 1 {
		t.Errorf("%d records are left while the job goes on", got)
	}
	b.settle(t, 7, ended(now, tells("long", done, 30)))
	if got := b.settleJobs(t, time.Time{}); got.Told != 1 || got.Refused != 0 {
		t.Errorf("%+v", got)
	}
	if got := retain(now.AddDate(0, 0, 10)); got != 0 {
		t.Errorf("%d records are left after it", got)
	}
}
