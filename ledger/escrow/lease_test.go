package escrow_test

import (
	"testing"

	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
)

var window = contract.Window{Account: 1, Gen: 1}

// desk is a book with one account-window, asked by numbered incarnations.
type desk struct {
	t    *testing.T
	book *escrow.Book
	mem  *escrow.Memory
}

func newDesk(t *testing.T, limit money.Nanos) *desk {
	t.Helper()
	d := &desk{t, escrow.NewBook(), escrow.NewMemory()}
	d.book.Open(window, limit, 1)
	return d
}

func (d *desk) ask(inc int64, active int, q escrow.Ask) (escrow.Answer, []escrow.Recall) {
	d.t.Helper()
	before := d.book.Clone()
	out := d.book.Lease([]escrow.Line{{Window: window, Inc: inc, Edge: "e", Ask: q, Grantable: true, Active: active}}, d.mem)
	if err := d.book.CheckGrants(before, out); err != nil {
		d.t.Error(err)
	}
	if err := d.book.Check(); err != nil {
		d.t.Error(err)
	}
	for _, r := range out.Recalls {
		d.mem.Recalled(r)
	}
	return out.Answers[0], out.Recalls
}

// Guarantee: a grant covers the need, and goes beyond it by no more than a fair share of half of what
// is free; the same line again grants nothing.
func TestGuidedGrants(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		limit       money.Nanos
		active      int
		need, want  money.Nanos
		total       money.Nanos
		state       escrow.State
		exhaustLeft money.Nanos
	}{
		{"wanted", 1000, 1, 10, 100, 100, escrow.Granted, 900},
		{"share of one", 1000, 1, 10, 900, 500, escrow.Granted, 500},
		{"share of four", 1000, 4, 10, 900, 125, escrow.Granted, 875},
		{"need above the share", 1000, 4, 300, 900, 300, escrow.Granted, 700},
		{"need is all", 1000, 4, 1000, 0, 1000, escrow.Granted, 0},
		{"need is more than all", 1000, 4, 1001, 0, 1000, escrow.Exhausted, 0},
		{"only wanted", 1000, 1, 0, 100, 100, escrow.Granted, 900},
		{"nothing", 1000, 1, 0, 0, 0, escrow.Granted, 1000},
		{"limit of nothing", 0, 1, 1, 1, 0, escrow.Exhausted, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, c.limit)
			for range 2 {
				a, _ := d.ask(7, c.active, escrow.Ask{Need: c.need, Want: c.want})
				if a.Granted != c.total || a.State != c.state || d.book.Accounts[window].Free() != c.exhaustLeft {
					t.Errorf("%+v, free %d", a, d.book.Accounts[window].Free())
				}
			}
		})
	}
}

// Guarantee: whoever waits for another to give back waits while that can help and not longer: an
// edge that has nothing idle, or does not answer, makes the budget exhausted.
func TestPendingEnds(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 100)
	d.ask(7, 1, escrow.Ask{Need: 100})
	for i := range 5 {
		if a, r := d.ask(8, 2, escrow.Ask{Need: 10}); a.State != escrow.Pending || len(r) != 1 || r[0].Inc != 7 {
			t.Fatalf("ask %d while the other has not answered: %+v, %v", i, a, r)
		}
	}
	if a, r := d.ask(8, 2, escrow.Ask{Need: 10}); a.State != escrow.Exhausted || len(r) != 1 {
		t.Errorf("after five recalls without an answer: %+v, %v", a, r)
	}
	// It answers: half of it is in flight, the rest idle.
	d.ask(7, 2, escrow.Ask{Seen: 100, Used: 50})
	if a, _ := d.ask(8, 2, escrow.Ask{Need: 10}); a.State != escrow.Pending {
		t.Errorf("after an answer with something idle: %+v", a)
	}
	d.ask(7, 2, escrow.Ask{Seen: 100, Used: 50, Returned: 45})
	if a, r := d.ask(8, 2, escrow.Ask{Need: 10}); a.State != escrow.Granted || a.Granted != 10 || r != nil {
		t.Errorf("after a return: %+v, %v", a, r)
	}
	d.ask(7, 2, escrow.Ask{Seen: 100, Used: 55, Returned: 45})
	if a, _ := d.ask(8, 2, escrow.Ask{Seen: 10, Used: 10, Need: 60}); a.State != escrow.Exhausted || a.Granted != 45 {
		t.Errorf("with all of the rest in flight: %+v", a)
	}
}

// Guarantee: amounts that no correct edge sends move nothing.
func TestSillyAmounts(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]escrow.Ask{
		"negative":           {Seen: -1},
		"returned unseen":    {Seen: 5, Returned: 6},
		"beyond all budgets": {Seen: money.Max},
		"negative need":      {Need: -5},
	} {
		d := newDesk(t, 100)
		before := d.book.Clone()
		if a, _ := d.ask(7, 1, q); a.State != escrow.Unknown || d.book.Accounts[window] != before.Accounts[window] {
			t.Errorf("%s: %+v, %+v", name, a, d.book.Accounts[window])
		}
	}
}

// Guarantee: what was spent beyond a grant is in the books, above the limit if it has to be, and
// gives the edge no new money.
func TestOverrun(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 100)
	d.book.Incs[7] = escrow.Incarnation{Edge: "e"}
	d.ask(7, 1, escrow.Ask{Need: 100})
	d.book.Apply(escrow.Batch{Inc: 7, Edge: "e", First: 1, Events: []escrow.Event{{Draws: []escrow.Draw{{Window: window, Nanos: 130}}}}})
	if a := d.book.Accounts[window]; a.Alloc != 130 || a.Overrun != 30 {
		t.Errorf("%+v", a)
	}
	if err := d.book.Check(); err != nil {
		t.Error(err)
	}
	if a, _ := d.ask(7, 1, escrow.Ask{Seen: 100, Used: 130, Need: 1}); a.State != escrow.Granted && a.State != escrow.Exhausted || d.book.Leases[window][7].Unspent() != 0 {
		t.Errorf("%+v", a)
	}
}

// Guarantee: an edge that has been granted and has returned money for years gets more of it, and a
// budget of nine billion dollars is granted to its last dollar without any sum overflowing.
func TestTotalsOfYears(t *testing.T) {
	t.Parallel()
	const amount = money.Max >> 9 // more than an edge asks for at a time
	d := newDesk(t, money.Max)
	var total money.Nanos
	for range 200 {
		a, _ := d.ask(7, 1, escrow.Ask{Seen: total, Returned: total, Need: amount})
		if a.State != escrow.Granted || a.Granted != total+amount {
			t.Fatalf("after %s were granted and returned: %+v", total, a)
		}
		total = a.Granted
	}
	d.ask(7, 1, escrow.Ask{Seen: total, Returned: total})
	for inc := int64(8); d.book.Accounts[window].Free() > 0; inc++ {
		if a, _ := d.ask(inc, 1, escrow.Ask{Need: escrow.MaxTotal}); a.Granted == 0 || inc > 20 {
			t.Fatalf("%s of the budget are not granted: %+v", d.book.Accounts[window].Free(), a)
		}
	}
	if a, _ := d.ask(30, 1, escrow.Ask{Need: 1}); a.State == escrow.Granted {
		t.Errorf("more than the budget was granted: %+v", a)
	}
}

// Guarantee: spend that no number can hold any more is booked as the largest one, so that the edge
// gets rid of its events.
func TestSpendStopsAtTheLargestAmount(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 100)
	d.ask(7, 1, escrow.Ask{Need: 40})
	d.ask(7, 1, escrow.Ask{Seen: 40, Returned: 40})
	for seq := range uint64(3) {
		b := escrow.Batch{Inc: 7, Edge: "e", First: seq + 1, Events: []escrow.Event{{Draws: []escrow.Draw{{Window: window, Nanos: money.Max - 5}}}}}
		if err := b.Validate(); err != nil {
			t.Fatal(err)
		}
		if got := d.book.Apply(b); got.Verdict != escrow.Accepted {
			t.Fatalf("%+v", got)
		}
		if err := d.book.Check(); err != nil {
			t.Error(err)
		}
	}
	if got := d.book.Spent(window); got != money.Max {
		t.Errorf("spent %d", got)
	}
}

// Guarantee: days of a rolling period that together took more than a number can hold leave nothing.
func TestNothingIsFreeBeyondTheLargestAmount(t *testing.T) {
	t.Parallel()
	a := escrow.Account{Limit: 100, Alloc: money.Max, Prior: money.Max, Days: 3}
	if free := a.Free(); free >= 0 {
		t.Errorf("%d is free", free)
	}
}
