package admit

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // the zones of accounts, wherever the test runs

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
)

const price = 12 * money.Dollar

var discard = slog.New(slog.DiscardHandler)

// running is a book under test with its way to the ledger.
type running struct {
	*Book
	link *link
}

// start runs a book until the test ends. It is for use in a synctest bubble.
func start(t *testing.T, l *ledger, inc int64, change ...func(*Config, *link)) *running {
	t.Helper()
	k := &link{ledger: l, inc: inc}
	var cfg Config
	for _, c := range change {
		c(&cfg, k)
	}
	b := NewBook(cfg, k, discard)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return &running{b, k}
}

// pushTo has what the ledger pushes arrive at books after a moment.
func pushTo(l *ledger, books ...*running) {
	l.freed = func(account int64) {
		for _, b := range books {
			time.AfterFunc(time.Millisecond, func() { b.Invalidate([]int64{account}) })
		}
	}
	l.recall = func(inc int64, w contract.Window) {
		for _, b := range books {
			if b.link.inc == inc {
				time.AfterFunc(time.Millisecond, func() { b.Recall([]contract.Window{w}) })
			}
		}
	}
}

// hold is Book.Hold into memory of its own.
func hold(ctx context.Context, b *Book, amount money.Nanos, accounts ...*Account) (*Hold, error) {
	h := new(Hold)
	return h, b.Hold(ctx, h, accounts, amount)
}

// windows are what a hold draws on.
func windows(h *Hold) []contract.Window {
	var out []contract.Window
	for _, d := range h.Draws(nil) {
		out = append(out, d.Window)
	}
	return out
}

func code(err error) fault.Code { return fault.From(err).Code }

func mustHold(t *testing.T, b *running, amount money.Nanos, accounts ...*Account) *Hold {
	t.Helper()
	h := new(Hold)
	if err := b.Hold(t.Context(), h, accounts, amount); err != nil {
		t.Fatal(err)
	}
	return h
}

func mustRefuse(t *testing.T, b *running, want fault.Code, amount money.Nanos, accounts ...*Account) {
	t.Helper()
	_ = refused(t, b, want, amount, accounts...) // what it says is another test's business
}

func refused(t *testing.T, b *running, want fault.Code, amount money.Nanos, accounts ...*Account) *fault.Error {
	t.Helper()
	h := new(Hold)
	err := b.Hold(t.Context(), h, accounts, amount)
	if code(err) != want || len(h.Draws(nil)) > 0 || h.Amount() != 0 {
		t.Fatalf("Hold = %v holding %s of %v; want %s", err, h.Amount(), h.Draws(nil), want)
	}
	return fault.From(err)
}

// Guarantee: of 40 calls at $12 that arrive at two edges at once, exactly 4 pass under a budget of
// $50, however the messages between the edges and the ledger interleave.
func TestExactlyFourOfForty(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			d := newDice(seed)
			l := newLedger(map[int64]int64{1: int64(50 * money.Dollar)})
			l.strict = seed%2 == 0
			slow := func(_ *Config, k *link) { k.delay = d.upTo(10 * time.Millisecond) }
			if seed%3 == 0 {
				slow = func(_ *Config, k *link) {
					k.delay = d.upTo(30 * time.Millisecond)
					n := atomic.Int32{}
					k.lost = func() bool { return n.Add(1)%4 == 0 }
				}
			}
			books := []*running{start(t, l, 1, slow), start(t, l, 2, slow)}
			pushTo(l, books...)
			arrive := d.upTo(20 * time.Millisecond)
			var passed atomic.Int32
			var wg sync.WaitGroup
			for i := range 40 {
				b, account, after := books[i%2], accountOf(1), arrive()
				wg.Go(func() {
					time.Sleep(after)
					h, err := hold(t.Context(), b.Book, price, account)
					if err != nil {
						if code(err) != fault.BudgetExhausted {
							t.Errorf("seed %d: %v", seed, err)
						}
						return
					}
					defer h.Release()
					passed.Add(1)
					time.Sleep(arrive())
					h.Settle(price)
				})
			}
			wg.Wait()
			if n := passed.Load(); n != 4 {
				t.Errorf("seed %d: %d passed", seed, n)
			}
		})
	}
}

// Guarantee: a call that fails leaves its money to be spent, here and on any other edge, at once.
func TestRefundsAreSpendableElsewhere(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := newLedger(map[int64]int64{1: int64(50 * money.Dollar)})
			l.strict = strict
			a, b := start(t, l, 1), start(t, l, 2)
			pushTo(l, a, b)
			for round := range 10 {
				from, to := a, b
				if round%2 == 1 {
					from, to = b, a
				}
				var holds []*Hold
				for range 4 {
					holds = append(holds, mustHold(t, from, price, accountOf(1)))
				}
				mustRefuse(t, to, fault.BudgetExhausted, price, accountOf(1))
				for _, h := range holds {
					h.Release()
				}
				time.Sleep(100 * time.Millisecond) // less than the time after which money is idle
				for range 4 {
					mustHold(t, to, price, accountOf(1)).Release()
				}
			}
		})
	}
}

// Guarantee: money that no request has asked for during ten seconds goes back, but for what one request
// needs, and that a minute later.
func TestIdleMoneyGoesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(1000 * money.Dollar)})
		b := start(t, l, 1)
		mustHold(t, b, price, accountOf(1)).Settle(price)
		for _, c := range []struct {
			after time.Duration
			least money.Nanos
			most  money.Nanos
		}{{9 * time.Second, 3 * price, 1000 * price}, {2 * time.Second, 2 * price, 2 * price}, {48 * time.Second, 2 * price, 2 * price}, {3 * time.Second, price, price}} {
			time.Sleep(c.after)
			if got := money.Nanos(l.taken(windowOf(1))); got < c.least || got > c.most {
				t.Errorf("another %s later %s are allocated; want %s to %s", c.after, got, c.least, c.most)
			}
		}
	})
}

// Guarantee: a stopping edge leaves nothing unspent with itself.
func TestReturnAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(1000 * money.Dollar), 2: int64(1000 * money.Dollar)})
		b := start(t, l, 1)
		h := mustHold(t, b, price, accountOf(1), accountOf(2))
		h.Settle(price)
		b.ReturnAll()
		for id := range int64(2) {
			w, _ := accountOf(id + 1).windowAt(time.Now().Unix())
			if got := l.taken(w); got != int64(price) {
				t.Errorf("account %d: %d are allocated", id+1, got)
			}
		}
	})
}

// Guarantee: a recall takes what is unspent at once, and what is refunded later as soon as it is.
func TestRecall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(1000 * money.Dollar)})
		b := start(t, l, 1)
		h := mustHold(t, b, price, accountOf(1))
		b.Recall(append(windows(h), contract.Window{Account: 99}))
		synctest.Wait()
		if got := l.taken(windows(h)[0]); got != int64(price) {
			t.Errorf("after the recall %d are allocated; want what is in flight", got)
		}
		h.Settle(price / 2)
		synctest.Wait()
		if got := l.taken(windows(h)[0]); got != int64(price/2) {
			t.Errorf("after the refund %d are allocated; want what was spent", got)
		}
	})
}

// Guarantee: every draw or none: where one budget refuses, no other is touched, and a request that
// waits for one budget keeps nobody from the money of another.
func TestAllOrNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(price), 2: 0, 3: int64(price)})
		b := start(t, l, 1)
		e := refused(t, b, fault.BudgetExhausted, price, accountOf(2), accountOf(1))
		if e.Message != "Key k2 has $0.00 left this month; this request needs $12.00." {
			t.Error(e.Message)
		}
		mustHold(t, b, price, accountOf(1)).Release()

		// One waits for 3, which is spoken for, and would need 1 as well.
		first := mustHold(t, b, price, accountOf(3))
		l.recall = func(int64, contract.Window) {}
		other := newWaiting(t, b, price, accountOf(1), accountOf(3))
		synctest.Wait()
		mustHold(t, b, price, accountOf(1)).Release()
		first.Release()
		if err := <-other; err != nil && code(err) != fault.BudgetExhausted {
			t.Error(err)
		}
	})
}

// newWaiting starts a request that will have to wait, and releases what it gets.
func newWaiting(t *testing.T, b *running, amount money.Nanos, accounts ...*Account) <-chan error {
	t.Helper()
	out := make(chan error, 1)
	go func() {
		h, err := hold(t.Context(), b.Book, amount, accounts...)
		if err == nil {
			h.Release()
		}
		out <- err
	}()
	return out
}

// Guarantee: many requests that wait for one budget cost one line of a lease request, and all are
// served by its answer.
func TestWaitersShareRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(1_000_000 * money.Dollar)})
		b := start(t, l, 1, func(_ *Config, k *link) { k.delay = func() time.Duration { return 20 * time.Millisecond } })
		var wg sync.WaitGroup
		for range 500 {
			wg.Go(func() { mustHold(t, b, price, accountOf(1)).Settle(price) })
		}
		wg.Wait()
		if l.asked > 3 {
			t.Errorf("the ledger was asked %d times", l.asked)
		}
	})
}

// Guarantee: where requests keep coming, none waits after the first: more is asked for ahead of need.
func TestAsksAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(1_000_000 * money.Dollar)})
		b := start(t, l, 1, func(_ *Config, k *link) { k.delay = func() time.Duration { return 5 * time.Millisecond } })
		account := accountOf(1)
		mustHold(t, b, price, account).Settle(price)
		for i := range 200 {
			begin := time.Now()
			mustHold(t, b, price, account).Settle(price)
			if d := time.Since(begin); d > 0 {
				t.Fatalf("request %d waited %s", i, d)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

// Guarantee: a request draws on the window of the edge's clock, and an edge never goes back to an
// earlier window; what was held in one is settled there.
func TestWindowsNeverGoBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var now atomic.Int64
		noon := time.Date(2026, 11, 30, 23, 59, 59, 0, time.UTC).Unix()
		now.Store(noon)
		l := newLedger(map[int64]int64{1: int64(20 * money.Dollar)})
		b := start(t, l, 1, func(c *Config, _ *link) { c.Now = func() time.Time { return time.Unix(now.Load(), 0) } })
		account := accountOf(1)
		old := mustHold(t, b, price, account)
		mustRefuse(t, b, fault.BudgetExhausted, price, account)
		now.Add(1)
		young := mustHold(t, b, price, account)
		if windows(old)[0] == windows(young)[0] || windows(young)[0].Start != noon+1 {
			t.Errorf("windows %v and %v", windows(old), windows(young))
		}
		young.Settle(price)
		now.Add(-3600)
		mustRefuse(t, b, fault.BudgetExhausted, price, accountOf(1)) // also through another snapshot
		mustRefuse(t, b, fault.BudgetExhausted, price, account)
		old.Settle(price)
		if got := b.lookup(windows(old)[0]).consumed.Load(); got != int64(price) {
			t.Errorf("%d were consumed in the old window", got)
		}

		// "Reset now" is a new generation, at once, and not undone by an older snapshot.
		reset := accountOf(1)
		reset.gen = 2
		h := mustHold(t, b, price, reset)
		if w := windows(h)[0]; w.Gen != 2 {
			t.Errorf("window %v", w)
		}
		h.Release()
		if w := windows(mustHold(t, b, price, accountOf(1)))[0]; w.Gen != 2 {
			t.Errorf("window %v", w)
		}
	})
}

// Guarantee: windows that are over and settled take no memory, and the ledger has all their money.
func TestForgetsWhatIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(1000 * money.Dollar)})
		b := start(t, l, 1)
		account := accountOf(1, func(a *eventv1.Account) { a.Period = eventv1.AccountPeriod_ACCOUNT_PERIOD_HOUR })
		h := mustHold(t, b, price, account)
		w := windows(h)[0]
		time.Sleep(3 * time.Hour)
		if b.lookup(w) == nil {
			t.Fatal("forgot a window with a request in flight")
		}
		h.Settle(price)
		time.Sleep(time.Minute)
		if b.lookup(w) != nil || len(b.watched) != 0 || len(b.current) != 0 || len(b.ends) != 0 {
			t.Errorf("remembers %v; watches %d", b.lookup(w), len(b.watched))
		}
		if got := l.taken(w); got != int64(price) {
			t.Errorf("%d are allocated", got)
		}
		mustHold(t, b, price, account).Settle(price)
	})
}

// Guarantee: a hold ends once, whatever comes after.
func TestSettleOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(50 * money.Dollar)})
		b := start(t, l, 1)
		h := mustHold(t, b, price, accountOf(1), accountOf(1)) // the same account twice is one draw
		if left, ok := h.Remaining(); !ok || left != 38*money.Dollar || h.Amount() != price || len(windows(h)) != 1 {
			t.Errorf("remaining %s, %v; amount %s; %v", left, ok, h.Amount(), windows(h))
		}
		h.Settle(2 * money.Dollar)
		h.Settle(price)
		h.Release()
		if left, ok := h.Remaining(); !ok || left != 48*money.Dollar {
			t.Errorf("remaining %s, %v", left, ok)
		}
		free, err := hold(t.Context(), b.Book, price)
		if err != nil || free.Amount() != 0 || windows(free) != nil {
			t.Errorf("free = %v, %v", free, err)
		}
		if _, ok := free.Remaining(); ok {
			t.Error("a request without budgets has something remaining")
		}
		free.Settle(1)
		if h, err := hold(t.Context(), b.Book, 0, accountOf(2)); err != nil || windows(h) != nil {
			t.Errorf("at no price = %v, %v", h, err)
		}
	})
}

// Guarantee: what remains is that of the scarcest budget, and counts what other edges have spent.
func TestRemaining(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(100 * money.Dollar), 2: int64(60 * money.Dollar)})
		a, b := start(t, l, 1), start(t, l, 2)
		mustHold(t, a, 30*money.Dollar, accountOf(2)).Settle(30 * money.Dollar)
		a.ReturnAll()
		h := mustHold(t, b, price, accountOf(1), accountOf(2))
		if left, ok := h.Remaining(); !ok || left != 18*money.Dollar {
			t.Errorf("remaining %s, %v", left, ok)
		}
	})
}

// Guarantee: under real concurrency no nano is made or lost: what was consumed is what was settled,
// and everything else is the ledger's again.
func TestConcurrentHoldAndSettle(t *testing.T) {
	t.Parallel()
	l := newLedger(map[int64]int64{1: 40_000, 2: 30_000, 3: 1 << 40})
	books := []*running{start(t, l, 1), start(t, l, 2)}
	pushTo(l, books...)
	var settled [4]atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		b := books[i%2]
		r := rand.New(rand.NewPCG(uint64(i), 0))
		accounts := []*Account{accountOf(1), accountOf(2), accountOf(3)}
		wg.Go(func() {
			for range 1500 {
				draws := accounts[r.IntN(3):]
				amount := 1 + r.Int64N(9)
				h, err := hold(t.Context(), b.Book, money.Nanos(amount), draws...)
				if err != nil {
					if code(err) != fault.BudgetExhausted {
						t.Error(err)
					}
					continue
				}
				actual := r.Int64N(amount + 1)
				for _, w := range windows(h) {
					settled[w.Account].Add(actual)
				}
				h.Settle(money.Nanos(actual))
			}
		})
	}
	wg.Wait()
	for _, b := range books {
		b.ReturnAll()
	}
	for id := range int64(3) {
		w := windowOf(id + 1)
		if got, want := l.taken(w), settled[w.Account].Load(); got != want || want > l.limits[w.Account] {
			t.Errorf("account %d: %d allocated, %d settled, limit %d", w.Account, got, want, l.limits[w.Account])
		}
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if err := (Config{}).Validate(); err == nil || strings.Count(err.Error(), "must be longer") != 3 {
		t.Errorf("Validate = %v", err)
	}
}
