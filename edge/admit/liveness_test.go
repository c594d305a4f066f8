package admit

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// Guarantee: while the ledger has money no request waits longer than a few answers take, whatever
// others hold, refund, wait for or have recalled meanwhile.
func TestNobodyIsForgotten(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			d := newDice(seed)
			l := newLedger(map[int64]int64{1: 1 << 40, 2: 1 << 40, 3: 1 << 40})
			b := start(t, l, 1, func(_ *Config, k *link) { k.delay = d.upTo(5 * time.Millisecond) })
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var wg sync.WaitGroup
			for i := range 30 {
				r := rand.New(rand.NewPCG(seed, uint64(i)))
				accounts := []*Account{accountOf(1), accountOf(2), accountOf(3)}
				wg.Go(func() {
					for range 60 {
						begin := time.Now()
						amount := money.Nanos(1 + r.Int64N(100))
						h, err := hold(ctx, b.Book, amount, accounts[r.IntN(3):]...)
						if err != nil {
							t.Errorf("seed %d: %v", seed, err)
							return
						}
						if waited := time.Since(begin); waited > 100*time.Millisecond {
							t.Errorf("seed %d: waited %s", seed, waited)
						}
						time.Sleep(time.Duration(r.Int64N(int64(3 * time.Millisecond))))
						h.Settle(money.Nanos(r.Int64N(int64(amount) + 1)))
					}
				})
			}
			var recalls sync.WaitGroup
			recalls.Go(func() {
				for ctx.Err() == nil {
					time.Sleep(7 * time.Millisecond)
					b.Recall([]contract.Window{windowOf(1), windowOf(3)})
				}
			})
			wg.Wait()
			cancel()
			recalls.Wait()
		})
	}
}
