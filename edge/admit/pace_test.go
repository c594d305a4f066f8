package admit

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/internal/money"
)

// Guarantee: a budget that is spent steadily costs the ledger a few requests a minute, however many
// requests are charged to it, and none of them waits once the pace is known.
func TestSteadyPaceAsksSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: 1 << 60})
		b := start(t, l, 1, func(_ *Config, k *link) { k.delay = func() time.Duration { return 2 * time.Millisecond } })
		account := accountOf(1)
		second := func(perSecond int) {
			for range perSecond {
				begin := time.Now()
				mustHold(t, b, price, account).Settle(price)
				if d := time.Since(begin); d > 0 && l.asked > 5 {
					t.Fatalf("a request waited %s", d)
				}
				time.Sleep(time.Second / time.Duration(perSecond))
			}
		}
		for range 20 {
			second(1000)
		}
		asked := l.asked
		for range 60 {
			second(1000)
		}
		if n := l.asked - asked; n > 12 {
			t.Errorf("60000 requests in a minute have asked the ledger %d times", n)
		}
		if got := money.Nanos(l.taken(windowOf(1))) - 80*1000*price; got > 13*1000*price {
			t.Errorf("%s are held; that is %d seconds' worth", got, got/(1000*price))
		}

		// Slower, leases last longer: a request every two seconds.
		for range 120 {
			mustHold(t, b, price, account).Settle(price)
			time.Sleep(2 * time.Second)
		}
		asked = l.asked
		for range 300 {
			mustHold(t, b, price, account).Settle(price)
			time.Sleep(2 * time.Second)
		}
		if n := l.asked - asked; n > 40 { // twenty of them only repeat what is held
			t.Errorf("300 requests in ten minutes have asked the ledger %d times", n)
		}

		// Seldom: what the next request needs is there before it.
		for range 10 {
			begin := time.Now()
			mustHold(t, b, price, account).Settle(price)
			if d := time.Since(begin); d > 0 {
				t.Errorf("a request waited %s", d)
			}
			time.Sleep(45 * time.Second)
		}
	})
}

// Guarantee: where little is left, edges hold little: all of it is spent, by whichever edge requests
// reach, and the money that lies on edges shrinks with what is left.
func TestGrantsShrinkNearTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 20_000
		l := newLedger(map[int64]int64{1: limit * int64(price)})
		var books []*running
		for inc := range int64(3) {
			books = append(books, start(t, l, inc+1, func(_ *Config, k *link) { k.delay = func() time.Duration { return time.Millisecond } }))
		}
		pushTo(l, books...)
		r, account := rand.New(rand.NewPCG(1, 1)), make([]*Account, len(books))
		for i := range account {
			account[i] = accountOf(1)
		}
		passed := 0
		for range limit + 50 {
			i := r.IntN(len(books))
			h, err := hold(t.Context(), books[i].Book, price, account[i])
			if err == nil {
				passed++
				h.Settle(price)
			}
			time.Sleep(time.Millisecond)
			spent := int64(passed) * int64(price)
			if left, held := limit*int64(price)-spent, l.taken(windowOf(1))-spent; held > left*3/4+3*int64(price) {
				t.Fatalf("%s are left, and edges hold %s", money.Nanos(left), money.Nanos(held))
			}
		}
		if passed != limit {
			t.Errorf("%d of %d passed", passed, limit)
		}
		if l.asked > 600 {
			t.Errorf("the ledger was asked %d times", l.asked)
		}
	})
}
