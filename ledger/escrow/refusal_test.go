package escrow_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
)

// Guarantee: where less is free than helps anybody, nothing is granted and whoever asked is told why;
// where it helps somebody, all of it is.
func TestNoPartOfWhatHelpsNobody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		free        money.Nanos
		need, least money.Nanos
		granted     money.Nanos
		state       escrow.State
	}{
		{"enough", 30, 30, 30, 30, escrow.Granted},
		{"one short", 29, 30, 30, 0, escrow.Exhausted},
		{"one of three", 29, 30, 10, 29, escrow.Exhausted},
		{"least exactly", 10, 30, 10, 10, escrow.Exhausted},
		{"below least", 9, 30, 10, 0, escrow.Exhausted},
		{"anything helps", 1, 30, 0, 1, escrow.Exhausted},
		{"least above need", 30, 20, 50, 20, escrow.Granted},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, 100)
			d.ask(7, 1, escrow.Ask{Need: 100 - c.free})
			d.ask(7, 1, escrow.Ask{Seen: 100 - c.free, Used: 100 - c.free}) // all of it is in flight
			for range 2 {
				if a, _ := d.ask(8, 1, escrow.Ask{Need: c.need, Least: c.least, Want: 16 * c.need}); a.Granted < c.granted || a.State != c.state ||
					c.state != escrow.Granted && a.Granted != c.granted {
					t.Errorf("%+v", a)
				}
			}
		})
	}
}

// Guarantee: an edge that needs more than is left does not get the rest, give it back, hear that
// something is free and ask again, for ever: nobody is told of less than would have helped.
func TestRemainderGoesRoundNoMore(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 100)
	lease := func(inc int64, q escrow.Ask) escrow.Outcome {
		out := d.book.Lease([]escrow.Line{{Window: window, Inc: inc, Edge: "e", Ask: q, Grantable: true, Active: 2}}, d.mem)
		d.mem.Told(out)
		return out
	}
	lease(7, escrow.Ask{Need: 97})
	lease(7, escrow.Ask{Seen: 97, Returned: 1, Used: 90}) // a leader that has just begun tells of anything
	for i := range 3 {
		if out := lease(8, escrow.Ask{Need: 10, Least: 10}); out.Answers[0].Granted != 0 || out.Freed != nil {
			t.Fatalf("ask %d with 4 left: %+v", i, out)
		}
	}
	if out := lease(9, escrow.Ask{Need: 8, Least: 8}); out.Answers[0].Granted != 0 {
		t.Fatalf("%+v", out)
	}
	for returned, told := range map[money.Nanos]bool{2: false, 4: false} {
		if out := lease(7, escrow.Ask{Seen: 97, Returned: returned, Used: 90}); (out.Freed != nil) != told {
			t.Errorf("%d returned: told %v", returned, out.Freed)
		}
	}
	// 3 + 5 are free: enough for one of the two that were refused.
	if out := lease(7, escrow.Ask{Seen: 97, Returned: 5, Used: 90}); !slices.Equal(out.Freed, []int64{1}) {
		t.Errorf("nobody was told that 8 are free: %+v", out)
	}
	// The other asks again, is refused again, and hears of what helps it.
	if out := lease(8, escrow.Ask{Need: 10, Least: 10}); out.Answers[0].Granted != 0 {
		t.Errorf("%+v", out)
	}
	if out := lease(7, escrow.Ask{Seen: 97, Returned: 6, Used: 90}); out.Freed != nil {
		t.Errorf("told of 9: %+v", out)
	}
	if out := lease(7, escrow.Ask{Seen: 97, Returned: 7, Used: 90}); !slices.Equal(out.Freed, []int64{1}) {
		t.Errorf("not told of 10: %+v", out)
	}
}

// Guarantee: what an edge has spent beyond its grants takes up the budget as soon as the edge says so,
// once, and its events add nothing to it when they come.
func TestOverrunIsKnownBeforeItsEvents(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 100)
	d.book.Incs[7] = escrow.Incarnation{Edge: "e"}
	d.ask(7, 1, escrow.Ask{Need: 40})
	for range 2 {
		d.ask(7, 1, escrow.Ask{Seen: 40, Used: 70, Consumed: 70})
		if a := d.book.Accounts[window]; a.Alloc != 70 || a.Overrun != 30 || d.book.Leases[window][7].Unspent() != 70 {
			t.Errorf("told: %+v", a)
		}
	}
	if a, _ := d.ask(8, 1, escrow.Ask{Need: 31, Least: 31}); a.State == escrow.Granted {
		t.Errorf("another was granted what was spent: %+v", a)
	}
	for seq, nanos := range []money.Nanos{30, 40} {
		d.book.Apply(escrow.Batch{Inc: 7, Edge: "e", First: uint64(seq) + 1, Events: []escrow.Event{{Draws: []escrow.Draw{{Window: window, Nanos: nanos}}}}})
	}
	if a := d.book.Accounts[window]; a.Alloc != 70 || a.Overrun != 30 || d.book.Leases[window][7].Unspent() != 0 {
		t.Errorf("booked: %+v", a)
	}
	if err := d.book.Check(); err != nil {
		t.Error(err)
	}
}

// Guarantee: lines that come late, in any order, never make the ledger believe that an edge spent what it
// had returned: without an overrun, what was spent and returned is no more than what was granted.
func TestReorderedLinesForceNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b, m := escrow.NewBook(), escrow.NewMemory()
		b.Open(window, 1000, 1)
		var g, r, c money.Nanos
		var sent []escrow.Ask
		deliver := func(q escrow.Ask) {
			out := b.Lease([]escrow.Line{{Window: window, Inc: 7, Edge: "e", Ask: q, Grantable: true, Active: 1}}, m)
			if out.Forced != 0 || len(out.Healed) != 0 {
				t.Fatalf("%+v forced %d, healed %v", q, out.Forced, out.Healed)
			}
			if rapid.Bool().Draw(t, "heard") {
				g = max(g, out.Answers[0].Granted)
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			avail := int64(g - r - c)
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				c += money.Nanos(rapid.Int64Range(0, avail).Draw(t, "spent"))
			case 1:
				r += money.Nanos(rapid.Int64Range(0, avail).Draw(t, "returned"))
			case 2:
				q := escrow.Ask{Seen: g, Returned: r, Used: c, Consumed: c, Need: money.Nanos(rapid.Int64Range(0, 50).Draw(t, "need"))}
				sent = append(sent, q)
			default:
				if len(sent) > 0 {
					deliver(rapid.SampledFrom(sent).Draw(t, "line"))
				}
			}
		}
	})
}

// Guarantee: what a lost machine holds stays taken and is shown, nobody waits for it, and it is live again
// when it speaks; what is released is free, and what it turns out to have spent is booked on top.
func TestLostMachine(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 100)
	d.book.Incs[7] = escrow.Incarnation{Edge: "e"}
	d.ask(7, 1, escrow.Ask{Need: 60})
	d.book.Apply(escrow.Batch{Inc: 7, Edge: "e", First: 1, Events: []escrow.Event{{Draws: []escrow.Draw{{Window: window, Nanos: 10}}}}})
	if _, _, ok := d.book.Release(7); ok {
		t.Error("a live incarnation was released")
	}
	if !d.book.MarkLost(7) || d.book.MarkLost(7) || d.book.MarkLost(99) {
		t.Error("MarkLost")
	}
	if d.book.Unaccounted(window) != 50 || d.book.Accounts[window].Alloc != 60 {
		t.Errorf("%d unaccounted, %+v", d.book.Unaccounted(window), d.book.Accounts[window])
	}
	if a, r := d.ask(8, 1, escrow.Ask{Need: 50, Least: 50}); a.State != escrow.Exhausted || r != nil {
		t.Errorf("somebody waits for a lost machine: %+v, %v", a, r)
	}
	d.ask(7, 1, escrow.Ask{Seen: 60, Used: 10, Consumed: 10})
	if d.book.Incs[7].State != escrow.Live || d.book.Unaccounted(window) != 0 {
		t.Errorf("it spoke: %+v", d.book.Incs[7])
	}
	d.book.MarkLost(7)
	if nanos, freed, ok := d.book.Release(7); nanos != 50 || !slices.Equal(freed, []int64{1}) || !ok {
		t.Errorf("released %d of %v, %v", nanos, freed, ok)
	}
	if a, _ := d.ask(7, 1, escrow.Ask{Seen: 60, Used: 60, Need: 5}); a.State != escrow.Dropped {
		t.Errorf("a released incarnation was answered: %+v", a)
	}
	if a, _ := d.ask(8, 1, escrow.Ask{Need: 90, Least: 90}); a.State != escrow.Granted {
		t.Errorf("%+v", a)
	}
	out := d.book.Apply(escrow.Batch{Inc: 7, Edge: "e", First: 2, Events: []escrow.Event{{Draws: []escrow.Draw{{Window: window, Nanos: 25}}}, {Close: true}}})
	if !out.Released || out.Forced != 25 || d.book.Accounts[window].Overrun != 25 || d.book.Accounts[window].Alloc != 125 || d.book.Incs[7].State != escrow.Closed {
		t.Errorf("its events came: %+v, %+v", out, d.book.Accounts[window])
	}
	if err := d.book.Check(); err != nil {
		t.Error(err)
	}
}

// Guarantee: a correction moves what was spent and what is taken by exactly its amount, up or down, and is
// nobody's money to give back.
func TestCorrections(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 100)
	d.book.Incs[7] = escrow.Incarnation{Edge: "e"}
	d.ask(7, 1, escrow.Ask{Need: 40})
	d.book.Apply(escrow.Batch{Inc: 7, Edge: "e", First: 1, Events: []escrow.Event{{Draws: []escrow.Draw{{Window: window, Nanos: 40}}}}})
	other := contract.Window{Account: 2, Gen: 1}
	for _, c := range []struct{ nanos, spent, alloc money.Nanos }{{-15, 25, 25}, {5, 30, 30}, {90, 120, 120}, {-80, 40, 40}} {
		if freed := d.book.Correct(window, c.nanos); freed != (c.nanos < 0) {
			t.Errorf("%d: freed %v", c.nanos, freed)
		}
		if a := d.book.Accounts[window]; d.book.Spent(window) != c.spent || a.Alloc != c.alloc || a.Overrun != 0 {
			t.Errorf("%d: spent %d, %+v", c.nanos, d.book.Spent(window), a)
		}
		if err := d.book.Check(); err != nil {
			t.Error(err)
		}
	}
	d.book.Open(other, 10, 1)
	d.book.Correct(other, -3)
	if d.book.Free(other) != 13 || d.book.Check() != nil {
		t.Errorf("%+v, %v", d.book.Accounts[other], d.book.Check())
	}
	if got := d.book.Holders(window); len(got) != 0 {
		t.Errorf("asked to give back: %v", got)
	}
}

// Guarantee: while a restored database waits for its edges, what they say is taken in and nothing new is
// granted; whoever needs nothing is not kept.
func TestHoldGrantsNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 100)
	out := d.book.Lease([]escrow.Line{
		{Window: window, Inc: 7, Edge: "e", Grantable: true, Hold: true, Ask: escrow.Ask{Seen: 60, Used: 20, Consumed: 20}},
		{Window: window, Inc: 8, Edge: "f", Grantable: true, Hold: true, Ask: escrow.Ask{Need: 30}},
	}, d.mem)
	if out.Answers[0].State != escrow.Granted || out.Answers[1].State != escrow.Pending || out.Answers[1].Granted != 0 || len(out.Recalls) != 0 {
		t.Errorf("%+v", out)
	}
	if len(out.Healed) != 1 || out.Healed[0].Nanos != 60 || d.book.Accounts[window].Alloc != 60 {
		t.Errorf("healed %+v, %+v", out.Healed, d.book.Accounts[window])
	}
}
