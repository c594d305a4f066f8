package store_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
	"tollgate/ledger/usage"
)

// twin runs commands on a book in memory and on the database.
type twin struct {
	key      string
	b        *bench
	book     *escrow.Book
	accounts map[int64]store.Account
	mems     [2]*escrow.Memory
	seq      uint64
	sum      money.Nanos
}

// win is a window of this twin's own account.
func (d *twin) win(account int64) contract.Window { return win(account + 100*int64(d.b.part)) }

// inc is an incarnation of its own.
func (d *twin) inc(t *rapid.T) int64 {
	return rapid.Int64Range(1, 4).Draw(t, "inc") + 100*int64(d.b.part)
}

// rollingAccount has a window on each day, of which three count together.
const rollingAccount = 6

// draw is a window of one of the accounts from 1 on, up to most, or a day of the rolling account around
// one of 25 hours.
func (d *twin) draw(t *rapid.T, most int64) contract.Window {
	if n := rapid.Int64Range(1, most+1).Draw(t, "account"); n <= most {
		return d.win(n)
	}
	return day(d.win(rollingAccount).Account, int(rapid.Int64Range(23, 28).Draw(t, "day")))
}

// open does in memory what the database does with a window that it is asked for.
func (d *twin) open(w contract.Window, a store.Account) {
	if a.Days == 0 {
		d.book.Open(w, a.Limit, a.Version)
		return
	}
	d.book.OpenDay(w, a.Limit, a.Version, a.Days, d.day(w))
}

func (d *twin) day(w contract.Window) int64 { return escrow.DayOf(w.Start, berlin()) }

func (d *twin) lease(t *rapid.T) {
	var lines []escrow.Line
	for range rapid.IntRange(1, 6).Draw(t, "lines") {
		inc, w := d.inc(t), d.draw(t, 4)
		l := d.book.Leases[w][inc]
		seen := l.Granted
		if rapid.IntRange(0, 9).Draw(t, "loses a grant") == 0 {
			seen = money.Nanos(rapid.Int64Range(0, 300).Draw(t, "seen"))
		}
		back := money.Nanos(rapid.Int64Range(0, int64(min(seen, l.Returned+l.Unspent()))).Draw(t, "returned"))
		consumed := l.Consumed // and perhaps what is not booked yet
		if rapid.IntRange(0, 4).Draw(t, "is ahead") == 0 {
			consumed += money.Nanos(rapid.Int64Range(0, 30).Draw(t, "ahead"))
		}
		lines = append(lines, escrow.Line{
			Window: w, Inc: inc, Edge: fmt.Sprintf("edge-%d", inc),
			Ask: escrow.Ask{
				Seen: seen, Returned: back, Used: consumed + money.Nanos(rapid.Int64Range(0, 5).Draw(t, "in flight")), Consumed: consumed,
				Need:  money.Nanos(rapid.Int64Range(-1, 40).Draw(t, "need")),
				Want:  money.Nanos(rapid.Int64Range(0, 200).Draw(t, "want")),
				Least: money.Nanos(rapid.Int64Range(0, 40).Draw(t, "least")),
			},
			Grantable: rapid.IntRange(0, 9).Draw(t, "grantable") > 0,
			Active:    rapid.IntRange(1, 3).Draw(t, "active"),
		})
	}
	got, err := d.b.leader.Lease(context.Background(), lines, d.mems[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range lines {
		if _, ok := d.book.Incs[q.Inc]; !ok {
			d.book.Incs[q.Inc] = escrow.Incarnation{Edge: q.Edge}
		}
		if a, ok := d.accounts[q.Window.Account]; ok && q.Grantable && !a.Closed {
			d.open(q.Window, a)
		}
	}
	before := d.book.Clone()
	want := d.book.Lease(lines, d.mems[1])
	if err := d.book.CheckGrants(before, want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(escrow.Outcome{})); diff != "" {
		t.Fatalf("outcome (-memory +database):\n%s", diff)
	}
	for _, r := range got.Recalls {
		d.mems[0].Recalled(r)
		d.mems[1].Recalled(r)
	}
}

func (d *twin) events(t *rapid.T) {
	var batches []store.Batch
	for range rapid.IntRange(1, 4).Draw(t, "batches") {
		inc := d.inc(t)
		hwm := d.book.Incs[inc].HWM
		for _, b := range batches { // go on behind what this flush holds already
			if b.Inc == inc {
				hwm = max(hwm, b.Last())
			}
		}
		b := store.Batch{Batch: escrow.Batch{
			Inc: inc, Edge: fmt.Sprintf("edge-%d", inc),
			First: uint64(max(1, int64(hwm)+1+rapid.Int64Range(-2, 1).Draw(t, "skew"))),
		}}
		for range rapid.IntRange(1, 4).Draw(t, "events") {
			var e escrow.Event
			for range rapid.IntRange(0, 3).Draw(t, "draws") {
				e.Draws = append(e.Draws, escrow.Draw{Window: d.draw(t, 5), Nanos: money.Nanos(rapid.Int64Range(0, 30).Draw(t, "nanos"))})
			}
			cost := money.Nanos(rapid.Int64Range(0, 30).Draw(t, "cost"))
			b.Events = append(b.Events, e)
			b.Records = append(b.Records, attempt(1, d.key, fmt.Sprint(cost%2), cost))
		}
		batches = append(batches, b)
		if rapid.IntRange(0, 9).Draw(t, "closes") == 0 && !d.book.Incs[inc].State.Ended() {
			last := store.Batch{Batch: escrow.Batch{Inc: inc, Edge: b.Edge, First: b.Last() + 1, Events: []escrow.Event{{Close: true}}}, Records: []*eventv1.SpendEvent{nil}}
			batches = append(batches, last)
		}
	}
	d.seq++
	got, err := d.b.leader.Book(context.Background(), store.Position{Stream: "s", Created: 1, Seq: d.seq}, batches, nil)
	if err != nil {
		t.Fatal(err)
	}
	booked := 0
	marks := map[int64]bool{}
	for _, b := range batches {
		known := map[contract.Window]bool{}
		for w := range d.book.Accounts {
			known[w] = true
		}
		res := d.book.Apply(b.Batch)
		marks[b.Inc] = true
		if res.Verdict == escrow.Accepted {
			for _, r := range b.Records[res.From:] {
				booked++
				d.sum += money.Nanos(r.GetCostNanos())
			}
		}
		for w := range d.book.Accounts {
			if a, ok := d.accounts[w.Account]; ok && !known[w] && !a.Closed {
				d.book.SetLimit(w, a.Limit, a.Version, false)
			}
			if a := d.book.Accounts[w]; !known[w] && w.Start > 0 {
				a.Days, a.Day = 3, d.day(w)
				d.book.Accounts[w] = a
			}
		}
	}
	if got.Events != booked || len(got.Marks) != len(marks) {
		t.Fatalf("booked %d events with %d marks, want %d with %d", got.Events, len(got.Marks), booked, len(marks))
	}
	for _, m := range got.Marks {
		if m.HWM != d.book.Incs[m.Inc].HWM {
			t.Fatalf("mark %+v, want %d", m, d.book.Incs[m.Inc].HWM)
		}
	}
}

func (d *twin) edit(tb testing.TB, t *rapid.T) {
	tb.Helper()
	id := d.win(rapid.Int64Range(1, 4).Draw(t, "account")).Account
	a := budget(id, money.Nanos(rapid.Int64Range(0, 400).Draw(t, "limit")))
	a.Version = d.b.shards + 2
	a.Closed = rapid.IntRange(0, 4).Draw(t, "closed") == 0
	d.b.account(tb, a)
	d.accounts[id] = a
	d.book.SetLimit(win(id), a.Limit, a.Version, a.Closed)
}

// lose gives an incarnation up, and perhaps what it holds.
func (d *twin) lose(t *rapid.T) {
	inc := d.inc(t)
	if _, err := d.b.pool.Exec(context.Background(), `UPDATE ledger.incarnation SET fate = 2 WHERE inc = $1 AND state = 0`, inc); err != nil {
		t.Fatal(err)
	}
	d.book.MarkLost(inc)
	if d.book.Incs[inc].State != escrow.Lost || rapid.Bool().Draw(t, "waits") {
		return
	}
	got, err := d.b.db.Release(context.Background(), inc)
	if want, _, _ := d.book.Release(inc); err != nil || got != want {
		t.Fatalf("released %d, %v, want %d", got, err, want)
	}
}

// Guarantee: what escrow decides on a whole book in memory, where it is simulated, is what the
// database holds after the same commands, overruns, duplicates, gaps, lost grants,
// rolling periods and edges that were given up included.
func TestDatabaseIsTheBook(t *testing.T) {
	t.Parallel()
	shared := setup(t)
	part := uint32(0)
	rapid.Check(t, func(rt *rapid.T) {
		part++
		b := shared.partition(t, part)
		defer b.leader.Close()
		d := &twin{key: fmt.Sprint("key-", part), b: b, book: escrow.NewBook(), accounts: map[int64]store.Account{}, mems: [2]*escrow.Memory{escrow.NewMemory(), escrow.NewMemory()}}
		for id := int64(1); id <= 3; id++ { // 4 is known later, 5 never
			a := budget(d.win(id).Account, 200)
			d.accounts[a.ID] = a
			b.account(t, a)
		}
		rolling := budget(d.win(rollingAccount).Account, 150)
		rolling.Period, rolling.TimeZone, rolling.Days = 6, "Europe/Berlin", 3
		d.accounts[rolling.ID] = rolling
		b.account(t, rolling)
		for range rapid.IntRange(5, 40).Draw(rt, "commands") {
			switch rapid.IntRange(0, 19).Draw(rt, "command") {
			case 0, 1:
				d.edit(t, rt)
			case 2, 3, 4, 5, 6, 7:
				d.events(rt)
			case 8:
				d.lose(rt)
			default:
				d.lease(rt)
			}
		}
		got, err := b.db.Load(context.Background(), part)
		if err != nil {
			rt.Fatal(err)
		}
		if err := got.Check(); err != nil {
			rt.Fatal(err)
		}
		// Prior is worked out when it is needed.
		if diff := cmp.Diff(d.book, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(escrow.Account{}, "Prior")); diff != "" {
			rt.Fatalf("book (-memory +database):\n%s", diff)
		}
		rows, err := b.db.Usage(context.Background(), usage.Query{From: "2026-11-01", To: "2026-11-01", KeyID: d.key})
		if err != nil {
			rt.Fatal(err)
		}
		var cost money.Nanos
		for _, r := range rows {
			cost += r.Counts.Cost
		}
		if cost != d.sum {
			rt.Fatalf("usage has %d, %d were booked", cost, d.sum)
		}
	})
}
