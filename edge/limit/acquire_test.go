package limit_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tollgate/edge/limit"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bucket"
	"tollgate/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ledger is one that knows one rate, and permits for whoever asks.
type ledger struct {
	mu      sync.Mutex
	start   time.Time
	amount  int64
	burst   int64
	permits int64
	bucket  bucket.Bucket
	asked   atomic.Int64
	silent  atomic.Bool
	unknown atomic.Bool
	epoch   int64
	sharers uint32
	last    []*eventv1.PermitLine
}

func newLedger(amount, burst int64) *ledger {
	return &ledger{start: time.Now(), amount: amount, burst: burst, bucket: bucket.Bucket{Tokens: burst}, permits: 2, epoch: 1, sharers: 1}
}

var errAway = errors.New("no answer")

func (l *ledger) Limits(ctx context.Context, _ uint32, rates []*eventv1.RateLine, permits []*eventv1.PermitLine) (*eventv1.LeaseReply, error) {
	l.asked.Add(1)
	select {
	case <-time.After(time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l.silent.Load() {
		return nil, errAway
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	reply := &eventv1.LeaseReply{LeaderEpoch: l.epoch}
	rate := bucket.Rate{Amount: l.amount, Among: 1}
	for _, q := range rates {
		l.bucket.Fill(int64(time.Since(l.start)), rate, l.burst)
		g := &eventv1.RateGrant{Limit: q.GetLimit(), TtlMs: 1000, Sharers: l.sharers, Unknown: l.unknown.Load()}
		if g.Tokens = min(l.bucket.Tokens, q.GetWant()); g.Tokens < q.GetNeed() {
			wait := time.Duration(l.bucket.Until(q.GetNeed(), rate))
			g.RetryAfterMs = uint32((wait + time.Millisecond - 1) / time.Millisecond)
			g.Tokens = 0
		}
		l.bucket.Tokens -= g.Tokens
		reply.Rates = append(reply.Rates, g)
	}
	for _, q := range permits {
		g := &eventv1.PermitGrant{Limit: q.GetLimit(), Seq: q.GetSeq(), Permits: min(l.permits, q.GetWant()), SessionTtlMs: 8000, Sharers: l.sharers}
		if g.Permits < q.GetWant() {
			g.RetryAfterMs = 50
		}
		reply.Permits = append(reply.Permits, g)
	}
	if len(permits) > 0 {
		l.last = permits
	}
	return reply, nil
}

// serve runs a set until the test ends.
func serve(t *testing.T, amount, burst int64) (*limit.Set, *ledger) {
	t.Helper()
	l := newLedger(amount, burst)
	s := limit.New(limit.DefaultConfig(), l, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s, l
}

func acquire(t *testing.T, s *limit.Set, n int64, limits ...*limit.Limit) (*limit.Pass, *fault.Error) {
	t.Helper()
	p := new(limit.Pass)
	if err := s.Acquire(t.Context(), p, limits, n); err != nil {
		return nil, fault.From(err)
	}
	return p, nil
}

// Guarantee: the refusal of a rate says when the next may pass, a caller who waits exactly that long
// passes, and refusing costs no round trips meanwhile.
func TestRetryAfterIsTrue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, l := serve(t, 90, 3)
		of := newLimit(t, 1, requests, 90, 3)
		for range 3 {
			if _, err := acquire(t, s, 1, of); err != nil {
				t.Fatal(err)
			}
		}
		for range 50 {
			_, err := acquire(t, s, 1, of)
			if err == nil || err.Code != fault.RateLimited || err.RetryAfter <= 0 || err.RetryAfter > 667*time.Millisecond {
				t.Fatalf("refusal: %v", err)
			}
			if want := "Limit search: team search has at most 90 requests a minute; the next may pass in 1 s."; err.Message != want {
				t.Fatalf("%q, not %q", err.Message, want)
			}
			asked := l.asked.Load()
			if _, err := acquire(t, s, 1, of); err == nil || l.asked.Load() != asked {
				t.Fatalf("asked %d times more", l.asked.Load()-asked)
			}
			time.Sleep(err.RetryAfter)
			if _, err := acquire(t, s, 1, of); err != nil {
				t.Fatalf("after waiting as told: %v", err)
			}
		}
	})
}

// Guarantee: a request that would have to wait longer than the configuration allows is refused at
// once, and one that need not passes after its wait.
func TestWaitsOnlyAsLongAsItMay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := serve(t, 6000, 1) // one each 10 ms
		of := newLimit(t, 1, requests, 6000, 1)
		if _, err := acquire(t, s, 1, of); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		if _, err := acquire(t, s, 1, of); err != nil || time.Since(before) > 15*time.Millisecond {
			t.Fatalf("after %v: %v", time.Since(before), err)
		}
	})
}

// Guarantee: units that were not used pass other requests, and units that were used beyond what was
// taken are paid before others pass.
func TestUnitsSettle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := serve(t, 600, 100) // ten a second
		of := newLimit(t, 1, units, 600, 100)
		p, err := acquire(t, s, 100, of)
		if err != nil {
			t.Fatal(err)
		}
		p.Settle(40)
		p.Settle(0)
		p.Release()
		if p, err = acquire(t, s, 60, of); err != nil {
			t.Fatalf("what was not used: %v", err)
		}
		p.Settle(80) // 20 too many: two seconds
		p.Release()
		_, err = acquire(t, s, 10, of)
		if err == nil || err.RetryAfter < 2900*time.Millisecond || err.RetryAfter > 3*time.Second {
			t.Fatalf("with debts: %v in %v", err, err.RetryAfter)
		}
		time.Sleep(err.RetryAfter)
		if _, err = acquire(t, s, 10, of); err != nil {
			t.Fatalf("after waiting as told: %v", err)
		}
		if _, err = acquire(t, s, 101, of); err == nil || err.RetryAfter != 0 || !strings.Contains(err.Message, "may use 100 units at once; this request needs 101") {
			t.Errorf("more than ever passes: %v", err)
		}
	})
}

// Guarantee: a request takes of all its limits or of none.
func TestAllOrNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := serve(t, 60, 5)
		wide, none, at := newLimit(t, 1, requests, 60, 5), newLimit(t, 2, requests, 0, 0), newLimit(t, 3, concurrent, 2, 0)
		var held []*limit.Pass
		for range 2 {
			p, err := acquire(t, s, 1, at, wide, at)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, p)
		}
		for range 10 {
			if _, err := acquire(t, s, 1, wide, none); err == nil || err.RetryAfter != 0 || !strings.HasSuffix(err.Message, "team search may send no requests.") {
				t.Fatalf("limit of nothing: %v", err)
			}
			_, err := acquire(t, s, 1, wide, at)
			if err == nil || err.RetryAfter != time.Second || err.Message != "Limit search: team search may have 2 requests in flight at a time." {
				t.Fatalf("third at a time: %v", err)
			}
		}
		for _, p := range held {
			p.Settle(0)
			p.Release()
			p.Release()
		}
		for range 3 {
			if _, err := acquire(t, s, 1, wide); err != nil {
				t.Fatalf("a refusal took tokens: %v", err)
			}
		}
	})
}

// Guarantee: without the ledger a limit admits this edge's share, everything or nothing, as it is
// configured, and once the ledger answers again its word counts.
func TestFallback(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, l := serve(t, 600, 10)
		limits := map[eventv1.LimitFallback]*limit.Limit{}
		for i, f := range []eventv1.LimitFallback{eventv1.LimitFallback_LIMIT_FALLBACK_SHARE, eventv1.LimitFallback_LIMIT_FALLBACK_OPEN, eventv1.LimitFallback_LIMIT_FALLBACK_CLOSED} {
			read, err := limit.NewLimit(&eventv1.Limit{Id: int64(i + 1), Kind: requests, Amount: 600, Burst: 10, Fallback: f, Name: "n", Subject: "key k"})
			if err != nil {
				t.Fatal(err)
			}
			limits[f] = read
		}
		l.sharers = 5
		share := limits[eventv1.LimitFallback_LIMIT_FALLBACK_SHARE]
		if _, err := acquire(t, s, 1, share); err != nil {
			t.Fatal(err)
		}
		l.silent.Store(true)
		time.Sleep(2 * time.Second)
		passed := 0
		for range 1000 { // ten seconds, of which two a second are its own
			if _, err := acquire(t, s, 1, share); err == nil {
				passed++
			} else if err.Code != fault.RateLimited || err.RetryAfter > 500*time.Millisecond {
				t.Fatalf("share: %v", err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if passed < 20 || passed > 24 {
			t.Errorf("%d passed in ten seconds, not two a second", passed)
		}
		for range 100 {
			if _, err := acquire(t, s, 1, limits[eventv1.LimitFallback_LIMIT_FALLBACK_OPEN]); err != nil {
				t.Fatalf("open: %v", err)
			}
		}
		if _, err := acquire(t, s, 1, limits[eventv1.LimitFallback_LIMIT_FALLBACK_CLOSED]); err == nil || err.Code != fault.LimitUnavailable {
			t.Errorf("closed: %v", err)
		}
		l.silent.Store(false)
		time.Sleep(2 * time.Second)
		if _, err := acquire(t, s, 1, limits[eventv1.LimitFallback_LIMIT_FALLBACK_CLOSED]); err != nil {
			t.Errorf("the ledger is back: %v", err)
		}
	})
}

// Guarantee: permits are returned when they are idle, at the end, and when others want them; while
// requests run they are renewed; and nothing new begins when they are not confirmed.
func TestPermitsAreKeptAndReturned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, l := serve(t, 0, 0)
		of, err := limit.NewLimit(&eventv1.Limit{Id: 3, Kind: concurrent, Amount: 2, Fallback: eventv1.LimitFallback_LIMIT_FALLBACK_CLOSED})
		if err != nil {
			t.Fatal(err)
		}
		told := func() int64 {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.last[0].GetHeld()
		}
		one, refused := acquire(t, s, 1, of)
		if refused != nil {
			t.Fatal(refused)
		}
		two, refused := acquire(t, s, 1, of)
		if refused != nil {
			t.Fatal(refused)
		}
		asked := l.asked.Load()
		time.Sleep(20 * time.Second)
		if n := l.asked.Load() - asked; n < 10 || n > 20 || told() != 2 {
			t.Errorf("%d renewals of %d permits in 20 s", n, told())
		}
		two.Release()
		time.Sleep(1500 * time.Millisecond)
		if told() != 1 {
			t.Errorf("%d held after one was idle", told())
		}
		l.silent.Store(true)
		time.Sleep(7 * time.Second)
		one.Release()
		if one, refused = acquire(t, s, 1, of); refused != nil {
			t.Fatalf("confirmed 7 s ago: %v", refused)
		}
		time.Sleep(3 * time.Second)
		one.Release()
		if _, refused = acquire(t, s, 1, of); refused == nil || refused.Code != fault.LimitUnavailable {
			t.Errorf("not confirmed for 10 s: %v", refused)
		}
		l.silent.Store(false)
		time.Sleep(time.Second)
		if one, refused = acquire(t, s, 1, of); refused != nil {
			t.Fatal(refused)
		}
		one.Release()
		s.Recall([]int64{3, 99})
		time.Sleep(10 * time.Millisecond)
		if told() != 0 {
			t.Errorf("%d held after a recall", told())
		}
		if one, refused = acquire(t, s, 1, of); refused != nil {
			t.Fatal(refused)
		}
		one.Release()
		s.ReturnAll()
		if told() != 0 {
			t.Errorf("%d held at the end", told())
		}
	})
}

// Guarantee: any number of goroutines may use a set, nothing is lost between them, and a set that is
// stopped leaves nothing behind.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	l := newLedger(600_000, 10_000)
	l.permits = 8
	s := limit.New(limit.DefaultConfig(), l, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	limits := []*limit.Limit{newLimit(t, 1, requests, 600_000, 10_000), newLimit(t, 2, units, 600_000, 10_000), newLimit(t, 3, concurrent, 8, 0)}
	var running, most, passed atomic.Int64
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			var p limit.Pass
			for i := range 500 {
				if i%100 == 0 {
					s.Recall([]int64{3})
				}
				if s.Acquire(ctx, &p, limits, 1+rng.Int64N(4)) != nil {
					continue
				}
				passed.Add(1)
				n := running.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				running.Add(-1)
				if rng.IntN(3) > 0 {
					p.Settle(rng.Int64N(6))
				}
				p.Release()
			}
		})
	}
	wg.Wait()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if most.Load() > 8 || passed.Load() == 0 {
		t.Errorf("%d at once, %d passed", most.Load(), passed.Load())
	}
}
