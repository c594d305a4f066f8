package admit

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// Guarantee: money that goes back and forth for years does not use up what totals can hold: after a
// lot of it an edge asks for what requests need, and they still get it.
func TestTotalsOfYears(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: math.MaxInt64})
		b := start(t, l, 1)
		account := accountOf(1)
		mustHold(t, b, price, account).Settle(price)
		ln := b.lookup(windows(mustHold(t, b, price, account))[0])

		// Years later:
		ln.mu.Lock()
		l.mu.Lock()
		le := l.of(ln.window, 1)
		for _, total := range []*int64{&ln.granted, &ln.returned, &ln.told, &le.granted, &le.returned} {
			*total += manyTotal
		}
		l.mu.Unlock()
		ln.mu.Unlock()
		for range 100 {
			mustHold(t, b, price, account).Release()
			time.Sleep(time.Minute) // what is unspent goes back
		}
		ln.mu.Lock()
		defer ln.mu.Unlock()
		if grown := ln.granted - manyTotal; grown > int64(200*price) {
			t.Errorf("100 requests at %s have grown what was granted by %s", price, money.Nanos(grown))
		}
	})
}

// Guarantee: requests whose prices together are more than a number holds are granted one by one as
// far as the budget goes, and the others are refused.
func TestEnormousPrices(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const enormous = 2_000_000_000 * money.Dollar
		l := newLedger(map[int64]int64{1: math.MaxInt64})
		b := start(t, l, 1)
		var passed, refused atomic.Int32
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				switch _, err := hold(t.Context(), b.Book, enormous, accountOf(1)); {
				case err == nil:
					passed.Add(1)
				case code(err) == fault.BudgetExhausted:
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if passed.Load() != 4 || refused.Load() != 16 {
			t.Errorf("%d passed and %d were refused; want 4 and 16", passed.Load(), refused.Load())
		}
	})
}
