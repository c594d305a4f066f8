package admit

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// rich is a book that holds as much of so many accounts as a test can spend.
func rich(count int64) (*Book, []*Account) {
	b := NewBook(Config{}, nil, slog.New(slog.DiscardHandler))
	var accounts []*Account
	for id := range count {
		a := accountOf(id + 1)
		b.find(a).apply(&eventv1.GrantLine{GrantedTotal: 1 << 60, State: eventv1.LeaseState_LEASE_STATE_GRANTED})
		accounts = append(accounts, a)
	}
	b.Sweep()
	return b, accounts
}

func BenchmarkHoldSettle(b *testing.B) {
	ctx := context.Background()
	for _, n := range []int64{1, 4, 8} {
		book, accounts := rich(n)
		b.Run(fmt.Sprintf("%d accounts", n), func(b *testing.B) {
			var h Hold
			b.ReportAllocs()
			for b.Loop() {
				if err := book.Hold(ctx, &h, accounts, 12); err != nil {
					b.Fatal(err)
				}
				h.Settle(12)
			}
		})
		b.Run(fmt.Sprintf("%d accounts, 2 goroutines", n), func(b *testing.B) {
			b.SetParallelism(1)
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				var h Hold
				for p.Next() {
					if err := book.Hold(ctx, &h, accounts, 12); err != nil {
						b.Error(err)
						return
					}
					h.Settle(12)
				}
			})
		})
	}
	b.Run("clock alone", func(b *testing.B) {
		for b.Loop() {
			_ = time.Now()
		}
	})
}
