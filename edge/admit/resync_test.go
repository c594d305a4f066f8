package admit

import (
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"tollgate/internal/fault"
)

// Guarantee: a ledger whose database went back hears of all that was granted and spent before, of budgets
// that are at rest too, within a tenth of a millisecond for each, and grants none of it again.
func TestResync(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	limits := map[int64]int64{}
	const budgets = 300
	for id := range int64(budgets) {
		limits[id+1] = 100
	}
	l := newLedger(limits)
	b := NewBook(Config{Now: func() time.Time { return now }, Jitter: rand.NewPCG(1, 1)}, nil, slog.New(slog.DiscardHandler))
	for id := range int64(budgets) {
		h := new(Hold)
		w := b.Begin(h, []*Account{accountOf(id + 1)}, moneyOf(90))
		for done := false; !done; {
			var err error
			if done, err = w.Try(); err != nil {
				t.Fatal(err)
			}
			exchange(b, l, 1)
		}
		if id%2 == 0 {
			h.Settle(90)
		}
	}
	for range 2 * timesIdle * ticksIdle { // what is settled is not looked at any more
		now = now.Add(b.cfg.sweepEvery())
		b.Sweep()
		exchange(b, l, 1)
	}

	restored := newLedger(limits)
	b.Resync(0)
	now = now.Add(budgets * resyncEach)
	exchange(b, restored, 1)
	for id := range int64(budgets) {
		w, _ := accountOf(id + 1).windowAt(now.Unix())
		if got := restored.taken(w); got != 90 {
			t.Fatalf("account %d: %d is known of 90", id+1, got)
		}
	}
	b.Resync(7) // of which nothing was drawn
	if x, _ := b.Next(7); x != nil {
		t.Errorf("tells partition 7 %v", x.Lines())
	}
}

// Guarantee: after all was given back nothing is spent without a new grant, nor what is refunded later.
func TestGiveBackKeepsRefundsAway(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	l := newLedger(map[int64]int64{1: 100})
	b := NewBook(Config{Now: func() time.Time { return now }, Jitter: rand.NewPCG(1, 1)}, nil, slog.New(slog.DiscardHandler))
	account, held := accountOf(1), new(Hold)
	w := b.Begin(held, []*Account{account}, 60)
	if _, err := w.Try(); err != nil {
		t.Fatal(err)
	}
	exchange(b, l, 1)
	if done, err := w.Try(); !done || err != nil {
		t.Fatal(done, err)
	}
	b.GiveBack()
	held.Release()
	again := b.Begin(new(Hold), []*Account{account}, 1)
	defer again.End()
	for range 300 { // no answer comes any more
		done, err := again.Try()
		if err == nil && done {
			t.Fatal("spends what it gave back")
		}
		if done {
			if code(err) != fault.BudgetUnavailable {
				t.Error(err)
			}
			return
		}
		if x, _ := b.Next(0); x != nil {
			x.Failed()
		}
		now = now.Add(10 * time.Millisecond)
	}
	t.Error("waits for ever")
}
