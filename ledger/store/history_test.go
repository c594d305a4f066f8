package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5/pgxpool"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
	"tollgate/ledger/usage"
)

// open is a pool of its own.
func open(tb testing.TB, cfg *pgxpool.Config) *pgxpool.Pool {
	tb.Helper()
	pool, err := pgxpool.NewWithConfig(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	return pool
}

// day is the window of an account on a day of October 2026 in Berlin.
func day(account int64, n int) contract.Window {
	return contract.Window{Account: account, Gen: 1, Start: time.Date(2026, 10, n, 0, 0, 0, 0, berlin()).Unix()}
}

func berlin() *time.Location {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	return zone
}

// relead ends the leadership and begins another one.
func (b *bench) relead(tb testing.TB) *store.Leader {
	tb.Helper()
	b.leader.Close()
	var l *store.Leader
	testenv.Eventually(tb, 5*time.Second, func() (err error) {
		l, err = b.db.Lead(tb.Context(), b.part, "next")
		return err
	})
	tb.Cleanup(l.Close)
	stayAwake(tb, l)
	b.leader = l
	return l
}

// Guarantee: a leader knows when the database is another one than the leader before had, or an earlier
// state of it: a server that stands in for one that failed, one that was restored elsewhere, or an
// operator who says so. Otherwise the history goes on.
func TestHistory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if b.leader.History() != 1 || b.leader.NewHistory() {
		t.Errorf("an empty database begins with history %d, new: %v", b.leader.History(), b.leader.NewHistory())
	}
	want := int64(1)
	for name, c := range map[string]struct {
		sql string
		new bool
	}{
		"the same":            {`SELECT 1`, false},
		"another timeline":    {`UPDATE ledger.ledger_part SET timeline = timeline + 1`, true},
		"an earlier timeline": {`UPDATE ledger.ledger_part SET timeline = 7`, true},
		"another system":      {`UPDATE ledger.ledger_part SET system_identifier = 12345`, true},
		"not known before":    {`UPDATE ledger.ledger_part SET system_identifier = 0, timeline = 0`, false},
		"an operator":         {`UPDATE ledger.ledger_part SET history = history + 1`, true},
	} {
		b.exec(t, c.sql)
		if c.new {
			want++
		}
		if l := b.relead(t); l.History() != want || l.NewHistory() != c.new {
			t.Errorf("%s: history %d, new: %v; want %d, %v", name, l.History(), l.NewHistory(), want, c.new)
		}
	}
	if n := b.count(t, "anomaly", "kind = 'database_restored'"); n != int(want)-1 {
		t.Errorf("%d notes, want %d", n, want-1)
	}
}

// Guarantee: a user of the database who may not ask which one it is leads all the same.
func TestHistoryWithoutRights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.leader.Close()
	b.exec(t, `REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_walfile_name(pg_lsn) FROM PUBLIC`)
	role := "plain_" + time.Now().Format("150405000000")
	b.exec(t, `CREATE ROLE `+role)
	t.Cleanup(func() { b.exec(t, `DROP OWNED BY `+role+`; DROP ROLE `+role) })
	b.exec(t, `GRANT USAGE ON SCHEMA ledger TO `+role+`; GRANT ALL ON ALL TABLES IN SCHEMA ledger TO `+role)
	cfg := b.pool.Config()
	cfg.ConnConfig.RuntimeParams["role"] = role
	b.db = store.New(open(t, cfg))
	if l := b.relead(t); l.History() != 1 || l.NewHistory() {
		t.Errorf("history %d, new: %v", l.History(), l.NewHistory())
	}
	b.book(t, 7, 1, attempt(1, "k", "e", 5))
}

// Guarantee: marks are told again to whoever asks, and an edge that knows of more than there is, or of a
// later history, shows that the database has gone back; the history after that is later than both.
func TestMarks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.book(t, 7, 1, attempt(1, "k", "e", 5), attempt(1, "k", "e", 5))
	for name, c := range map[string]struct {
		states   []*eventv1.SpoolState
		want     []store.Mark
		restored bool
	}{
		"none":             {nil, nil, false},
		"behind":           {[]*eventv1.SpoolState{{Inc: 7, Hwm: 1, History: 1, LastSeq: 9}}, []store.Mark{{Inc: 7, Edge: "edge", HWM: 2}}, false},
		"the same":         {[]*eventv1.SpoolState{{Inc: 7, Hwm: 2, History: 1, LastSeq: 9}}, []store.Mark{{Inc: 7, Edge: "edge", HWM: 2}}, false},
		"unknown":          {[]*eventv1.SpoolState{{Inc: 8, LastSeq: 9}}, []store.Mark{{Inc: 8, Edge: "edge-9"}}, false},
		"lost events":      {[]*eventv1.SpoolState{{Inc: 7, Hwm: 3, History: 1, LastSeq: 9}}, []store.Mark{{Inc: 7, Edge: "edge", HWM: 2}}, true},
		"lost incarnation": {[]*eventv1.SpoolState{{Inc: 8, Hwm: 3, History: 1, LastSeq: 9}}, []store.Mark{{Inc: 8, Edge: "edge-9"}}, true},
		"later history":    {[]*eventv1.SpoolState{{Inc: 7, Hwm: 1, History: 4, LastSeq: 9}}, []store.Mark{{Inc: 7, Edge: "edge", HWM: 2}}, true},
	} {
		got, restored, err := b.leader.Marks(t.Context(), "edge-9", c.states)
		if d := cmp.Diff(c.want, got); err != nil || d != "" || restored != c.restored {
			t.Errorf("%s: restored %v, %v\n%s", name, restored, err, d)
		}
	}
	if err := b.leader.Restored(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := b.relead(t)
	if l.History() != 5 || !l.NewHistory() {
		t.Errorf("history %d, new: %v", l.History(), l.NewHistory())
	}
	if _, restored, err := l.Marks(t.Context(), "edge-9", []*eventv1.SpoolState{{Inc: 7, Hwm: 3, History: 1}}); restored || err != nil {
		t.Errorf("a mark of an earlier history: %v, %v", restored, err)
	}
	if l := b.relead(t); l.History() != 5 || l.NewHistory() {
		t.Errorf("the leader after that: history %d, new: %v", l.History(), l.NewHistory())
	}
}

// Guarantee: those count as living that have not ended and are not known to be lost; one that was lost lives
// again when it asks for money.
func TestLive(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, 100))
	live := func(want ...int64) {
		t.Helper()
		if got, err := b.leader.Live(t.Context()); err != nil || !cmp.Equal(got, want) {
			t.Errorf("Live = %v, %v, want %v", got, err, want)
		}
	}
	for inc := range int64(4) {
		if _, err := b.leader.Lease(t.Context(), []escrow.Line{line(1, inc+5, 1)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	b.exec(t, `UPDATE ledger.incarnation SET fate = 2 WHERE inc IN (6, 7); UPDATE ledger.incarnation SET fate = 3 WHERE inc = 8;
		UPDATE ledger.lease SET returned = granted WHERE inc = 8; UPDATE ledger.account_window SET alloc = alloc - 1`)
	live(5)
	if _, err := b.leader.Lease(t.Context(), []escrow.Line{line(1, 6, 1), line(1, 8, 1)}, nil); err != nil {
		t.Fatal(err)
	}
	live(5, 6)
	last := store.Batch{Batch: escrow.Batch{Inc: 5, Edge: "edge", First: 1, Events: []escrow.Event{{Close: true}}}, Records: []*eventv1.SpendEvent{nil}}
	if _, err := b.leader.Book(t.Context(), store.Position{Stream: "s", Seq: 1}, []store.Batch{last}, nil); err != nil {
		t.Fatal(err)
	}
	live(6)
	if n := b.count(t, "incarnation", "inc = 5 AND state = 1 AND ended IS NOT NULL"); n != 1 {
		t.Error("it is not noted when an incarnation ended")
	}
	b.audit(t)
}

// Guarantee: a leader that stands still gives way within seconds, though its connection lives; and as long
// as it is answered it knows that no other leads.
func TestStoppedLeaderGivesWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.leader.Close()
	leader, err := b.db.Lead(t.Context(), 1, "first")
	if err != nil {
		t.Fatal(err)
	}
	defer leader.Close()
	before := time.Now()
	if err := leader.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if at := leader.AliveAt(); at.Before(before) || at.After(time.Now()) {
		t.Errorf("alive at %v", at)
	}
	began := time.Now()
	testenv.Eventually(t, 15*time.Second, func() error {
		l, err := b.db.Lead(t.Context(), 1, "second")
		if err == nil {
			l.Close()
		}
		return err
	})
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %s", took)
	}
	if err := leader.Check(t.Context()); !errors.Is(err, store.ErrLost) {
		t.Errorf("Check = %v", err)
	}
	if at := leader.AliveAt(); at.After(began) {
		t.Errorf("alive at %v, though nothing answered after %v", at, began)
	}
}

// Guarantee: a share of a limit is warned of once in a window, when it is reached; in a rolling period what
// was spent on the days before counts, and on no others.
func TestWarn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	total, quiet, rolling := budget(1, 100), budget(2, 100), budget(3, 100)
	total.Warn, rolling.Warn = []uint32{50, 80, 120}, []uint32{50}
	total.BudgetID = "bud_1"
	b.account(t, total, quiet, rolling)
	b.exec(t, `UPDATE ledger.account SET period = 6, days = 3, time_zone = 'Europe/Berlin' WHERE account_id = 3`)
	warn := func(want ...store.Warning) {
		t.Helper()
		got, err := b.db.Warn(t.Context(), []contract.Window{win(1), win(2), day(3, 25), day(3, 26), day(3, 27), day(3, 28)})
		for i := range got {
			got[i].At = time.Time{}
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Errorf("Warn: %v\n%s", err, d)
		}
	}
	var seq uint64
	spendOn := func(w contract.Window, n money.Nanos) {
		t.Helper()
		seq++
		batch := spend(7, seq, 1, n)
		batch.Events[0].Draws[0].Window = w
		if _, err := b.leader.Book(t.Context(), store.Position{Stream: "s", Seq: seq}, []store.Batch{batch}, nil); err != nil {
			t.Fatal(err)
		}
	}
	first := store.Warning{Window: win(1), BudgetID: "bud_1", Limit: 100}
	warn()
	spendOn(win(1), 49)
	spendOn(win(2), 99)
	warn()
	spendOn(win(1), 1)
	first.Percent, first.Spent = 50, 50
	warn(first)
	warn()
	spendOn(win(1), 90)
	first.Percent, first.Spent = 80, 140
	second := first
	second.Percent = 120
	warn(first, second)
	warn()

	// 25 October 2026 has 25 hours there.
	spendOn(day(3, 25), 20)
	spendOn(day(3, 26), 29)
	warn()
	spendOn(day(3, 27), 1)
	warn(store.Warning{Window: day(3, 27), Limit: 100, Percent: 50, Spent: 50})
	spendOn(day(3, 28), 19)
	warn()
	spendOn(day(3, 28), 1)
	if got, err := b.db.WarnAll(t.Context(), 0); err != nil || len(got) != 1 || got[0].Window != day(3, 28) || got[0].Spent != 50 {
		t.Errorf("WarnAll = %+v, %v", got, err)
	}
	warn()
}

// Guarantee: what a ledger of the release before has added to its table of usage counts once a leader of
// this one has taken over.
func TestUsageOfTheReleaseBefore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.book(t, 7, 1, attempt(1, "k", "e", 5))
	b.exec(t, `INSERT INTO ledger.usage_day (day, key_id, endpoint_id, part, requests, failed, abandoned, cost_nanos)
		VALUES ('2026-11-01', 'k', 'e', 0, 3, 2, 1, 30), ('2026-11-02', 'k', 'e', 0, 1, 0, 0, 7), ('2026-11-01', 'other', 'e', 1, 1, 0, 0, 100)`)
	for range 2 {
		b.relead(t)
		rows, err := b.db.Usage(t.Context(), usage.Query{From: "2026-11-01", To: "2026-11-02", GroupBy: []usage.Dimension{usage.ByDay}})
		if err != nil || len(rows) != 2 || rows[0].Counts != (usage.Counts{Requests: 4, Failed: 2, Abandoned: 1, Units: 4, Cost: 35}) || rows[1].Counts.Cost != 7 {
			t.Errorf("usage = %+v, %v", rows, err)
		}
	}
}
