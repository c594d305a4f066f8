package admit

import (
	"context"
	"log/slog"
	"testing"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

func benchmarkHold(b *testing.B, accounts int, parallel bool) {
	b.Helper()
	l := newLedger(map[int64]int64{})
	k := &link{ledger: l, inc: 1}
	book := NewBook(Config{}, k, slog.New(slog.DiscardHandler))
	var draws []*Account
	for id := range int64(accounts) {
		a := accountOf(id + 1)
		line := book.find(a, time.Now())
		line.apply(&eventv1.GrantLine{GrantedTotal: 1 << 60, State: eventv1.LeaseState_LEASE_STATE_GRANTED})
		draws = append(draws, a)
	}
	one := func() {
		h, err := book.Hold(context.Background(), draws, 12)
		if err != nil {
			b.Fatal(err)
		}
		h.Settle(12)
	}
	b.ReportAllocs()
	if parallel {
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				one()
			}
		})
		return
	}
	for b.Loop() {
		one()
	}
}

func BenchmarkHoldSettle(b *testing.B) {
	b.Run("1 account", func(b *testing.B) { benchmarkHold(b, 1, false) })
	b.Run("4 accounts", func(b *testing.B) { benchmarkHold(b, 4, false) })
	b.Run("4 accounts, 2 cores", func(b *testing.B) { benchmarkHold(b, 4, true) })
	b.Run("clock alone", func(b *testing.B) {
		for b.Loop() {
			_ = time.Now()
		}
	})
}
