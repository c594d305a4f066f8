package admit

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// Guarantee: while the ledger is silent a request waits no longer than it is told to, and those after
// it do not wait at all; when the ledger is back, so is the money.
func TestSilentLedger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(50 * money.Dollar)})
		b := start(t, l, 1, func(_ *Config, k *link) { k.down.Store(true) })
		begin := time.Now()
		e := refused(t, b, fault.BudgetUnavailable, price, accountOf(1))
		if d := time.Since(begin); d != time.Second || e.RetryAfter != time.Second {
			t.Errorf("waited %s, retry after %s", d, e.RetryAfter)
		}
		begin = time.Now()
		for range 100 {
			mustRefuse(t, b, fault.BudgetUnavailable, price, accountOf(1))
		}
		if d := time.Since(begin); d > 0 {
			t.Errorf("the next ones waited %s", d)
		}
		b.link.down.Store(false)
		time.Sleep(time.Second)
		mustHold(t, b, price, accountOf(1)).Settle(price)
	})
}

// Guarantee: a caller that goes away does not wait on.
func TestWaitEndsWithContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(50 * money.Dollar)})
		b := start(t, l, 1, func(_ *Config, k *link) { k.down.Store(true) })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if h, err := hold(ctx, b.Book, price, accountOf(1)); h.Amount() != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Hold = %v, %v", h, err)
		}
		line := b.lookup(windowOf(1))
		if line.waiting.Load() != 0 || len(line.waiters) != 0 {
			t.Error("it is still waited for")
		}
	})
}

func windowOf(id int64) contract.Window {
	w, _ := accountOf(id).windowAt(time.Now().Unix())
	return w
}

// Guarantee: a used-up budget is refused without asking the ledger again, until its limit changes;
// the refusal says what is left, what is needed and when it resets.
func TestExhaustedIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(16 * money.Dollar)})
		b := start(t, l, 1)
		mustHold(t, b, price, accountOf(1)).Settle(price)
		e := refused(t, b, fault.BudgetExhausted, price, accountOf(1))
		want := "Key k1 has $4.00 left this month; this request needs $12.00."
		if e.Message != want || !strings.Contains(e.Hint, "It resets 2000-02-01T00:00:00Z.") {
			t.Errorf("%s / %s", e.Message, e.Hint)
		}
		before := l.asked
		for range 100 {
			mustRefuse(t, b, fault.BudgetExhausted, price, accountOf(1))
		}
		if l.asked != before {
			t.Errorf("the ledger was asked %d times more", l.asked-before)
		}
		mustHold(t, b, 4*money.Dollar, accountOf(1)).Release() // there is enough for less

		raise := func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.limits[1] += int64(price)
			l.version++
		}
		raise()
		b.Invalidate([]int64{1, 2})
		mustHold(t, b, price, accountOf(1)).Settle(price)
		mustRefuse(t, b, fault.BudgetExhausted, price, accountOf(1))

		// Lost, that message is made up for by the next snapshot of the account …
		raise()
		newer := accountOf(1)
		newer.version = l.version
		mustHold(t, b, price, newer).Settle(price)
		mustRefuse(t, b, fault.BudgetExhausted, price, newer)

		// … and by what the ledger says unasked or when it is told again what is held.
		raise()
		b.Apply([]*eventv1.GrantLine{l.answer(1, &eventv1.LeaseLine{Window: windowOf(1).ToProto()})})
		mustHold(t, b, price, newer).Settle(price)
		mustRefuse(t, b, fault.BudgetExhausted, price, newer)
		raise()
		time.Sleep(31 * time.Second)
		mustHold(t, b, price, newer).Settle(price)
	})
}

// Guarantee: where others hold the money, the refusal comes when the wait is over, and says that it
// is worth trying again.
func TestPendingEndsInRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(12 * money.Dollar)})
		a, b := start(t, l, 1), start(t, l, 2)
		pushTo(l, a, b)
		h := mustHold(t, a, price, accountOf(1))
		begin := time.Now()
		e := refused(t, b, fault.BudgetExhausted, price, accountOf(1))
		if d := time.Since(begin); d != time.Second || e.RetryAfter != time.Second {
			t.Errorf("waited %s, retry after %s", d, e.RetryAfter)
		}
		if want := "Key k1 has $12.00 left this month, but other requests hold it; this request needs $12.00."; e.Message != want {
			t.Error(e.Message)
		}
		waiting := newWaiting(t, b, price, accountOf(1))
		time.Sleep(100 * time.Millisecond)
		h.Release()
		if err := <-waiting; err != nil {
			t.Errorf("the refund did not reach it: %v", err)
		}
	})
}

// Guarantee: what the ledger does not know is not refused as used up.
func TestUnknownWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{})
		b := start(t, l, 1)
		waiting := newWaiting(t, b, price, accountOf(1))
		time.Sleep(100 * time.Millisecond)
		l.mu.Lock()
		l.limits[1] = int64(price)
		l.mu.Unlock()
		if err := <-waiting; err != nil {
			t.Error(err)
		}
		mustRefuse(t, b, fault.BudgetUnavailable, price, accountOf(2))
	})
}

// Guarantee: what the ledger tells unasked of others' spending does not pass for an answer: it opens
// no used-up budget again, and makes no silence of the ledger look like a budget that is used up.
func TestProgressIsNoAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(price), 2: int64(5 * price)})
		b := start(t, l, 1)
		progress := func(h *Hold) {
			w := windows(h)[0]
			line := b.lookup(w)
			line.mu.Lock()
			g := &eventv1.GrantLine{Window: w.ToProto(), GrantedTotal: line.granted, Limit: line.limit.Load(), LimitVersion: line.version, SpentElsewhere: 1}
			line.mu.Unlock()
			b.Apply([]*eventv1.GrantLine{g})
		}
		h := mustHold(t, b, price, accountOf(1))
		mustRefuse(t, b, fault.BudgetExhausted, price, accountOf(1))
		synctest.Wait()
		asked := l.asked
		for range 10 {
			progress(h)
			mustRefuse(t, b, fault.BudgetExhausted, price, accountOf(1))
		}
		if n := l.asked - asked; n > 0 {
			t.Errorf("the ledger was asked %d times for a budget that is used up", n)
		}

		other := mustHold(t, b, price, accountOf(2))
		b.Recall(windows(other))
		synctest.Wait()
		b.link.down.Store(true)
		time.AfterFunc(b.cfg.Wait/2, func() { progress(other) })
		mustRefuse(t, b, fault.BudgetUnavailable, price, accountOf(2))
	})
}

// Guarantee: after the configuration was restored from an older state, whose versions are smaller, a
// budget that is used up is refused at once as before, and a limit that is raised counts.
func TestRestoredVersions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: int64(price)})
		l.version = 500
		b := start(t, l, 1)
		mustHold(t, b, price, accountOf(1)).Settle(price)
		mustRefuse(t, b, fault.BudgetExhausted, price, accountOf(1))
		l.mu.Lock()
		l.version = 450
		l.mu.Unlock()
		b.Invalidate([]int64{1})
		mustRefuse(t, b, fault.BudgetExhausted, price, accountOf(1))
		begin := time.Now()
		mustRefuse(t, b, fault.BudgetExhausted, price, accountOf(1))
		if d := time.Since(begin); d > 0 {
			t.Errorf("a refusal took %s", d)
		}
		l.mu.Lock()
		l.version, l.limits[1] = 451, int64(2*price)
		l.mu.Unlock()
		b.Invalidate([]int64{1})
		if left, ok := mustHold(t, b, price, accountOf(1)).Remaining(); !ok || left != 0 {
			t.Errorf("remaining %s, %v", left, ok)
		}
	})
}

// Guarantee: where less is left than a request costs, that is found out once: such requests are
// refused from memory and move no money, while smaller ones still get what there is.
func TestUselessRemainderIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, spentElsewhere := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := newLedger(map[int64]int64{1: int64(16 * money.Dollar)})
			a, b := start(t, l, 1), start(t, l, 2)
			pushTo(l, a, b)
			first := a
			if spentElsewhere {
				first = b
			}
			mustHold(t, first, price, accountOf(1)).Settle(price)
			mustRefuse(t, a, fault.BudgetExhausted, price, accountOf(1))
			time.Sleep(100 * time.Millisecond) // what was left of the first lease is back
			mustRefuse(t, a, fault.BudgetExhausted, price, accountOf(1))
			if got := l.taken(windowOf(1)); got != int64(price) {
				t.Errorf("%s are allocated", money.Nanos(got))
			}
			asked, begin := l.asked, time.Now()
			for range 1000 {
				mustRefuse(t, a, fault.BudgetExhausted, price, accountOf(1))
				mustRefuse(t, a, fault.BudgetExhausted, 5*money.Dollar, accountOf(1), accountOf(2))
			}
			if n := l.asked - asked; n > 4 {
				t.Errorf("2000 refusals have asked the ledger %d times", n)
			}
			if d := time.Since(begin); d > time.Millisecond {
				t.Errorf("2000 refusals took %s", d)
			}
			// Again every half minute, in case that a message was lost.
			asked = l.asked
			for range 600 {
				time.Sleep(time.Second)
				mustRefuse(t, a, fault.BudgetExhausted, price, accountOf(1))
			}
			if n := l.asked - asked; n > 21 {
				t.Errorf("in ten minutes the ledger was asked %d times", n)
			}
			if got := l.taken(windowOf(1)); got != int64(price) {
				t.Errorf("%s are allocated", money.Nanos(got))
			}
			mustHold(t, a, 4*money.Dollar, accountOf(1)).Settle(4 * money.Dollar)
		})
	}
}

// Guarantee: a refusal names the budget, and says when money comes back.
func TestRefusalTexts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // it is midnight of 1 January 2000
		for _, c := range []struct {
			period  eventv1.AccountPeriod
			days    uint32
			message string
			hint    string
		}{
			{eventv1.AccountPeriod_ACCOUNT_PERIOD_MONTH, 0, "Budget team-monthly: team search has $4.00 left this month; this request needs $12.00.", "It resets 2000-02-01T00:00:00Z."},
			{eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL, 0, "Budget team-monthly: team search has $4.00 left; this request needs $12.00.", "It does not reset by itself."},
			{eventv1.AccountPeriod_ACCOUNT_PERIOD_ROLLING, 7, "Budget team-monthly: team search has $4.00 left for these 7 days; this request needs $12.00.", "What is spent counts for 7 days; the oldest of them is over at 2000-01-02T00:00:00Z."},
		} {
			a := accountOf(1, func(a *eventv1.Account) {
				a.Period, a.Days, a.Subject, a.BudgetName = c.period, c.days, "team search", "team-monthly"
				a.Scope, a.ScopeName = eventv1.AccountScope_ACCOUNT_SCOPE_TEAM, "search"
			})
			if a.Name() != "team-monthly" || a.Subject() != "team search" || a.ScopeName() != "search" || a.Scope() != eventv1.AccountScope_ACCOUNT_SCOPE_TEAM {
				t.Errorf("account %+v", a)
			}
			b := start(t, newLedger(map[int64]int64{1: int64(4 * money.Dollar)}), 1)
			e := refused(t, b, fault.BudgetExhausted, price, a)
			if e.Message != c.message || !strings.HasSuffix(e.Hint, c.hint) {
				t.Errorf("%s / %s", e.Message, e.Hint)
			}
		}
	})
}

// failing is a ledger that cannot be asked, which shows at once.
type failing struct{ asked atomic.Int64 }

func (f *failing) Lease(context.Context, uint32, []*eventv1.LeaseLine) ([]*eventv1.GrantLine, error) {
	f.asked.Add(1)
	return nil, errors.New("no responders")
}

// Guarantee: however many budgets are asked for, a ledger that is away is asked a few times a second.
func TestAwayLedgerIsAskedSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &failing{}
		b := NewBook(DefaultConfig(), f, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = b.Run(ctx) })
		for id := range int64(1000) {
			wg.Go(func() {
				if _, err := hold(ctx, b, 1, accountOf(id+1)); code(err) != fault.BudgetUnavailable {
					t.Error(err)
				}
			})
			time.Sleep(7 * time.Millisecond)
		}
		time.Sleep(3 * time.Second)
		if n := f.asked.Load(); n > 50 {
			t.Errorf("asked %d times in ten seconds", n)
		}
		cancel()
		wg.Wait()
	})
}

// sips is a ledger with ample money that is slow to give it: the worth of a request at a time.
type sips struct{ granted atomic.Int64 }

func (s *sips) Lease(ctx context.Context, _ uint32, lines []*eventv1.LeaseLine) ([]*eventv1.GrantLine, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(300 * time.Millisecond):
	}
	out := make([]*eventv1.GrantLine, 0, len(lines))
	for _, in := range lines {
		if in.GetNeed() > 0 {
			s.granted.Add(int64(price))
		}
		out = append(out, &eventv1.GrantLine{
			Window: in.GetWindow(), GrantedTotal: s.granted.Load(), State: eventv1.LeaseState_LEASE_STATE_GRANTED, Limit: int64(1e6 * money.Dollar), LimitVersion: 1,
		})
	}
	return out, nil
}

// Guarantee: a budget that has ample money is not called exhausted because others who wait were quicker
// to take what came in time.
func TestOvertakenIsNotExhausted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBook(Config{}, &sips{}, discard)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		const callers = 10
		results := make(chan error, callers)
		for range callers {
			go func() {
				_, err := hold(ctx, b, price, accountOf(1))
				results <- err
			}()
		}
		passed := 0
		for range callers {
			switch err := <-results; {
			case err == nil:
				passed++
			case code(err) != fault.BudgetUnavailable:
				t.Error(err)
			}
		}
		if passed == 0 || passed == callers {
			t.Errorf("%d of %d passed", passed, callers)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
