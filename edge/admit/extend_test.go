package admit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// Guarantee: a hold is extended in all of its budgets or in none, waits for the ledger as a request
// does, and keeps what it had when it gets no more.
func TestExtend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(100 * money.Dollar), 2: int64(30 * money.Dollar)})
		b := start(t, l, 1)
		h := mustHold(t, b, price, accountOf(1), accountOf(2))
		for _, more := range []money.Nanos{10 * money.Dollar, 0, 8 * money.Dollar} {
			if err := h.Extend(t.Context(), more); err != nil {
				t.Fatal(err)
			}
		}
		err := h.Extend(t.Context(), 1)
		if code(err) != fault.BudgetExhausted || fault.From(err).Message != "Key k2 has $0.00 left this month; this request needs $0.000000001." {
			t.Errorf("Extend = %v", err)
		}
		if err := h.Extend(t.Context(), math.MaxInt64); code(err) != fault.BudgetExhausted {
			t.Errorf("Extend = %v", err)
		}
		if left, ok := h.Remaining(); h.Amount() != 30*money.Dollar || !ok || left != 0 {
			t.Errorf("it holds %s, and %s, %v remain", h.Amount(), left, ok)
		}
		l.mu.Lock()
		l.limits[2] += int64(5 * money.Dollar)
		l.version++
		l.mu.Unlock()
		b.Invalidate([]int64{2})
		if err := h.Extend(t.Context(), 5*money.Dollar); err != nil {
			t.Error(err)
		}
		b.link.down.Store(true)
		begin := time.Now()
		if err := h.Extend(t.Context(), price); code(err) != fault.BudgetUnavailable || time.Since(begin) != time.Second {
			t.Errorf("Extend = %v after %s", err, time.Since(begin))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		time.Sleep(time.Second) // the ledger is worth asking again
		if err := h.Extend(ctx, price); !errors.Is(err, context.Canceled) {
			t.Errorf("Extend = %v", err)
		}
		b.link.down.Store(false)
		h.Settle(20 * money.Dollar)
		if err := h.Extend(t.Context(), 1); code(err) != fault.InternalError {
			t.Errorf("Extend = %v", err)
		}
		if err := new(Hold).Extend(t.Context(), price); err != nil {
			t.Errorf("Extend of nothing = %v", err)
		}
		b.ReturnAll()
		for id := range int64(2) {
			if got := money.Nanos(l.taken(windowOf(id + 1))); got != 20*money.Dollar {
				t.Errorf("account %d: %s are allocated", id+1, got)
			}
		}
	})
}

// Guarantee: the memory of a hold can be used again and again, any number of draws is right, those of
// one account are one, and too many are refused.
func TestDraws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b, accounts := rich(MostDraws + 3)
		h := new(Hold)
		for range 3 {
			draws := rapid.SliceOfN(rapid.SampledFrom(accounts), 0, 60).Draw(t, "draws")
			distinct := map[int64]bool{}
			for _, a := range draws {
				distinct[a.ID()] = true
			}
			err := b.Hold(t.Context(), h, draws, 7)
			if many := len(distinct) > MostDraws; many != (err != nil) {
				t.Fatalf("%d draws: %v", len(distinct), err)
			} else if many {
				distinct = nil
			}
			last := int64(0)
			for _, d := range h.Draws(nil) {
				if d.Window.Account <= last || !distinct[d.Window.Account] {
					t.Fatalf("draws on %v", h.Draws(nil))
				}
				last = d.Window.Account
			}
			if len(h.Draws(nil)) != len(distinct) {
				t.Fatalf("draws on %v of %v", h.Draws(nil), distinct)
			}
			if len(distinct) == 0 && h.Amount() != 0 || len(distinct) > 0 && h.Amount() != 7 {
				t.Fatalf("holds %d", h.Amount())
			}
			h.Settle(5)
			h.Release()
		}
	})
}

// Guarantee: neither holding in up to eight budgets, nor naming them, nor extending and settling
// takes memory.
func TestHoldTakesNoMemory(t *testing.T) {
	room := make([]contract.Draw, 0, MostDraws)
	b, accounts := rich(fewDraws)
	ctx, h := t.Context(), new(Hold)
	for n := range accounts {
		if got := testing.AllocsPerRun(100, func() {
			if err := b.Hold(ctx, h, accounts[:n+1], 12); err != nil || len(h.Draws(room[:0])) != n+1 {
				t.Error(err, h.Draws(nil))
			}
			if err := h.Extend(ctx, 5); err != nil {
				t.Error(err)
			}
			h.Settle(15)
		}); got != 0 {
			t.Errorf("%d accounts: %.0f allocations", n+1, got)
		}
	}
}

// Guarantee: with eight budgets under many goroutines at once, each request holds in all or in none: at
// the end every budget was charged exactly what the requests that drew on it cost, and none beyond its
// limit.
func TestEightBudgetsAtOnce(t *testing.T) {
	t.Parallel()
	const accounts = 8
	limits := map[int64]int64{}
	for id := range int64(accounts) {
		limits[id+1] = 3000 + 2500*id
	}
	l := newLedger(limits)
	b := start(t, l, 1)
	var charged [accounts + 1]atomic.Int64
	var wg sync.WaitGroup
	for i := range 24 {
		r := rand.New(rand.NewPCG(uint64(i), 8))
		var draws []*Account
		for id := range int64(accounts) {
			draws = append(draws, accountOf(id+1))
		}
		wg.Go(func() {
			var h Hold
			for range 300 {
				some := draws[r.IntN(accounts):]
				amount := 1 + r.Int64N(9)
				if err := b.Hold(t.Context(), &h, some, moneyOf(amount)); err != nil {
					if code(err) != fault.BudgetExhausted {
						t.Error(err)
					}
					continue
				}
				if r.IntN(4) == 0 {
					if err := h.Extend(t.Context(), 3); err == nil {
						amount += 3
					} else if code(err) != fault.BudgetExhausted {
						t.Error(err)
					}
				}
				if h.Amount() != moneyOf(amount) || len(h.Draws(nil)) != len(some) {
					t.Errorf("holds %d in %v", h.Amount(), h.Draws(nil))
				}
				cost := r.Int64N(amount + 1)
				for _, d := range h.Draws(nil) {
					charged[d.Window.Account].Add(cost)
				}
				h.Settle(moneyOf(cost))
			}
		})
	}
	wg.Wait()
	b.ReturnAll()
	for id := range int64(accounts) {
		got, want := l.taken(windowOf(id+1)), charged[id+1].Load()
		if got != want || want > limits[id+1] {
			t.Errorf("account %d of %d: %d allocated, %d charged", id+1, limits[id+1], got, want)
		}
	}
}

func softOf(id, overdraft int64) *Account {
	return accountOf(id, func(a *eventv1.Account) { a.Soft, a.OverdraftNanos = true, overdraft })
}

// Guarantee: a budget that only warns keeps no request waiting and refuses none, whether the ledger has
// nothing left or does not answer; what was spent beyond the limit is told. With a bound it refuses
// where that is reached.
func TestSoftBudgets(t *testing.T) {
	t.Parallel()
	for _, down := range []bool{false, true} {
		for _, bound := range []money.Nanos{0, 50 * money.Dollar} {
			synctest.Test(t, func(t *testing.T) {
				l := newLedger(map[int64]int64{1: int64(20 * money.Dollar)})
				b := start(t, l, 1, func(_ *Config, k *link) {
					k.delay = func() time.Duration { return 30 * time.Millisecond }
					k.down.Store(down)
				})
				account, passed, begin := softOf(1, int64(bound)), money.Nanos(0), time.Now()
				for range 30 {
					waited := time.Now()
					h, err := hold(t.Context(), b.Book, money.Dollar*4, account)
					switch {
					case err == nil:
						passed += h.Amount()
						h.Settle(h.Amount())
						if d := time.Since(waited); d > 0 {
							t.Errorf("a request waited %s", d)
						}
					case bound == 0 || code(err) != fault.BudgetExhausted && code(err) != fault.BudgetUnavailable:
						t.Fatal(err)
					}
					time.Sleep(200 * time.Millisecond)
				}
				limit := 20*money.Dollar + bound
				if down {
					limit = bound
				}
				if want := limit / (4 * money.Dollar) * (4 * money.Dollar); bound > 0 && passed != want || bound == 0 && passed != 120*money.Dollar {
					t.Errorf("%s were spent; want %s", passed, want)
				}
				b.link.down.Store(false)
				time.Sleep(2 * time.Minute)
				if got := money.Nanos(l.taken(windowOf(1))); got != passed {
					t.Errorf("%s are allocated, %s were spent", got, passed)
				}
				if asked := l.asked; asked > 60 {
					t.Errorf("the ledger was asked %d times in %s", asked, time.Since(begin))
				}
			})
		}
	}
}

// Guarantee: a budget that only warns and that reached its bound is not refused for ever: what the ledger has
// again, by a raise of which the edge did not hear, is given within the time for which a refusal is believed,
// however often what is held is told meanwhile.
func TestSoftBudgetIsAskedForAgain(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	l := newLedger(map[int64]int64{1: 0})
	b := NewBook(Config{Now: func() time.Time { return now }, Jitter: rand.NewPCG(1, 1)}, nil, slog.New(slog.DiscardHandler))
	account := softOf(1, 10)
	try := func(amount money.Nanos) error {
		h := new(Hold)
		w := b.Begin(h, []*Account{account}, amount)
		defer w.End()
		for range 5 {
			done, err := w.Try()
			if err == nil {
				h.Settle(h.Amount())
			}
			if done {
				return err
			}
			exchange(b, l, 1)
			now = now.Add(20 * time.Millisecond)
		}
		t.Fatal("waits")
		return nil
	}
	sweep := func(d time.Duration) {
		for range d / b.cfg.sweepEvery() {
			now = now.Add(b.cfg.sweepEvery())
			b.Sweep()
			exchange(b, l, 1)
		}
	}
	if err := try(10); err != nil { // all that it may be overspent
		t.Fatal(err)
	}
	sweep(time.Minute)
	if err := try(1); code(err) != fault.BudgetExhausted {
		t.Fatalf("beyond the bound: %v", err)
	}
	l.limits[1] = 100
	sweep(time.Minute)
	if err := try(20); err != nil {
		t.Errorf("a minute after the ledger had more: %v", err)
	}
}

// Guarantee: an edge joins a partition before it leases or spends anything of it, once; while that
// fails nothing is granted, and also a budget that only warns is not spent.
func TestJoinsBeforeTheFirstLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(50 * money.Dollar), 2: int64(50 * money.Dollar), 3: 0})
		var joined []uint32
		var mu sync.Mutex
		broken := errors.New("no space left")
		b := start(t, l, 1, func(c *Config, k *link) {
			c.Join = func(part uint32) error {
				mu.Lock()
				defer mu.Unlock()
				if broken != nil {
					return broken
				}
				l.mu.Lock()
				asked := l.asked
				l.mu.Unlock()
				if asked > 0 && part == 7 {
					t.Errorf("partition %d is joined after it was asked", part)
				}
				joined = append(joined, part)
				return nil
			}
		})
		on := func(part uint32) func(*eventv1.Account) { return func(a *eventv1.Account) { a.Part = part } }
		mustRefuse(t, b, fault.BudgetUnavailable, price, accountOf(1, on(7)))
		mustRefuse(t, b, fault.BudgetUnavailable, price, accountOf(3, on(9), func(a *eventv1.Account) { a.Soft = true }))
		if l.asked != 0 {
			t.Errorf("the ledger was asked %d times", l.asked)
		}
		mu.Lock()
		broken = nil
		mu.Unlock()
		time.Sleep(2 * time.Second)
		h := mustHold(t, b, price, accountOf(1, on(7)), accountOf(2, on(8)), accountOf(3, on(9), func(a *eventv1.Account) { a.Soft = true }))
		mustHold(t, b, price, accountOf(1, on(7))).Settle(price)
		for i, d := range h.Draws(nil) {
			if d.Part != uint32(7+i) {
				t.Errorf("draws on %v", h.Draws(nil))
			}
		}
		h.Settle(price)
		if got := fmt.Sprint(b.Parts()); got != "[7 8 9]" || len(joined) != 3 {
			t.Errorf("partitions %s, joined %v", got, joined)
		}
	})
}
