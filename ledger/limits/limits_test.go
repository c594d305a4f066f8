package limits_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/ledger/limits"
)

const (
	requests   = eventv1.LimitKind_LIMIT_KIND_REQUESTS
	units      = eventv1.LimitKind_LIMIT_KIND_UNITS
	concurrent = eventv1.LimitKind_LIMIT_KIND_CONCURRENT
)

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return start.Add(d) }

func rate(b *limits.Book, d time.Duration, inc, id, need, want int64) *eventv1.RateGrant {
	return b.Rates(at(d), inc, []*eventv1.RateLine{{Limit: id, Need: need, Want: want}})[0]
}

// Guarantee: a leader vends nothing of what another may have vended before it, and the whole burst of
// a limit that is new.
func TestBucketsBegin(t *testing.T) {
	t.Parallel()
	b := limits.New(start, 0)
	old := &eventv1.Limit{Id: 1, Kind: requests, Amount: 60, Burst: 10}
	b.Set([]*eventv1.Limit{old})
	if g := rate(b, 0, 1, 1, 1, 1); g.GetTokens() != 0 || g.GetRetryAfterMs() != 1000 {
		t.Errorf("at once: %v", g)
	}
	if g := rate(b, 2*time.Second, 1, 1, 5, 5); g.GetTokens() != 2 || g.GetTtlMs() != 1000 {
		t.Errorf("after 2 s: %v", g)
	}
	b.Set([]*eventv1.Limit{old, {Id: 2, Kind: requests, Amount: 60, Burst: 10}})
	if g := rate(b, 2*time.Second, 1, 2, 12, 12); g.GetTokens() != 10 || g.GetRetryAfterMs() != 2000 {
		t.Errorf("new: %v", g)
	}
	b.Set([]*eventv1.Limit{old})
	if g := rate(b, 2*time.Second, 1, 2, 1, 1); !g.GetUnknown() {
		t.Errorf("deleted: %v", g)
	}
	b.Set([]*eventv1.Limit{old, {Id: 2, Kind: requests, Amount: 60, Burst: 10}})
	if g := rate(b, 2*time.Second, 1, 2, 1, 1); g.GetTokens() != 0 {
		t.Errorf("back: %v", g)
	}
}

// Guarantee: an edit counts from now on, the lower of two rates for a time of which it is not known
// which it was, and a limit of nothing passes nothing.
func TestEdits(t *testing.T) {
	t.Parallel()
	b := limits.New(start, 0)
	set := func(amount, burst int64) {
		b.Set([]*eventv1.Limit{{Id: 1, Kind: requests, Amount: amount, Burst: burst}})
	}
	set(60, 100)
	rate(b, 10*time.Second, 1, 1, 10, 10)
	set(6000, 100)
	if g := rate(b, 11*time.Second, 1, 1, 100, 100); g.GetTokens() != 1 {
		t.Errorf("raised: %v", g)
	}
	if g := rate(b, 12*time.Second, 1, 1, 200, 200); g.GetTokens() != 100 {
		t.Errorf("later: %v", g)
	}
	set(6000, 5)
	if g := rate(b, 20*time.Second, 1, 1, 200, 200); g.GetTokens() != 5 {
		t.Errorf("a lower burst: %v", g)
	}
	set(0, 5)
	if g := rate(b, 30*time.Second, 1, 1, 1, 1); g.GetTokens() != 0 || g.GetRetryAfterMs() != 1<<32-1 {
		t.Errorf("nothing: %v", g)
	}
}

// Guarantee: of units, an edge gets as many as its first request needs or none, and is told when.
func TestUnitsAreNotFrittered(t *testing.T) {
	t.Parallel()
	b := limits.New(start, 0)
	b.Set([]*eventv1.Limit{{Id: 1, Kind: units, Amount: 600, Burst: 100}})
	if g := rate(b, 2*time.Second, 1, 1, 50, 80); g.GetTokens() != 0 || g.GetRetryAfterMs() != 3000 {
		t.Errorf("too few: %v", g)
	}
	if g := rate(b, 5*time.Second, 1, 1, 50, 80); g.GetTokens() != 50 {
		t.Errorf("as told: %v", g)
	}
	if g := rate(b, 60*time.Second, 1, 1, 101, 101); g.GetTokens() != 0 || g.GetRetryAfterMs() != 1<<32-1 {
		t.Errorf("more than ever: %v", g)
	}
}

// Guarantee: a limit's tokens are shared among who asks: no edge gets more than it needs of what others
// may need next, one alone gets what it wants, and an edge that stopped asking counts no more.
func TestSharing(t *testing.T) {
	t.Parallel()
	b := limits.New(start, 0)
	b.Set(nil)
	b.Set([]*eventv1.Limit{{Id: 1, Kind: requests, Amount: 60_000, Burst: 1000}})
	if g := rate(b, 0, 1, 1, 1, 100); g.GetTokens() != 100 || g.GetSharers() != 1 {
		t.Errorf("alone: %v", g)
	}
	for inc := range int64(9) {
		rate(b, time.Second, inc+2, 1, 0, 0)
	}
	if g := rate(b, time.Second, 1, 1, 1, 100); g.GetTokens() != 50 || g.GetSharers() != 10 {
		t.Errorf("among ten: %v", g)
	}
	if g := rate(b, time.Second, 1, 1, 80, 100); g.GetTokens() != 80 {
		t.Errorf("needed: %v", g)
	}
	if g := rate(b, 7*time.Second, 1, 1, 1, 100); g.GetTokens() != 100 || g.GetSharers() != 1 {
		t.Errorf("alone again: %v", g)
	}
}

// Guarantee: who has to wait behind others is told a time at which it is his turn.
func TestRetryAfterCountsWhoWaits(t *testing.T) {
	t.Parallel()
	b := limits.New(start, 0)
	b.Set([]*eventv1.Limit{{Id: 1, Kind: requests, Amount: 6000, Burst: 10}}) // one each 10 ms
	for i := range int64(4) {
		if g := rate(b, 0, i+1, 1, 1, 1); int64(g.GetRetryAfterMs()) != 10*(i+1) {
			t.Errorf("edge %d: %v", i, g)
		}
	}
	for i := range int64(4) {
		if g := rate(b, time.Duration(i+1)*10*time.Millisecond, i+1, 1, 1, 1); g.GetTokens() != 1 {
			t.Errorf("edge %d in its turn: %v", i, g)
		}
	}
}

// Guarantee: in no span of time is more vended than the burst and what flows in, whatever is asked and
// however limits are edited below their largest.
func TestVendsNoMoreThanFlowsIn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amount, burst := rapid.Int64Range(1, 10_000).Draw(t, "amount"), rapid.Int64Range(1, 300).Draw(t, "burst")
		kind := rapid.SampledFrom([]eventv1.LimitKind{requests, units}).Draw(t, "kind")
		b := limits.New(start, 0)
		b.Set([]*eventv1.Limit{{Id: 1, Kind: kind, Amount: amount, Burst: burst}})
		now, last, level := time.Duration(0), time.Duration(0), int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "later"))
			if rapid.IntRange(0, 9).Draw(t, "edit") == 0 {
				b.Set([]*eventv1.Limit{{Id: 1, Kind: kind, Amount: rapid.Int64Range(0, amount).Draw(t, "new amount"), Burst: rapid.Int64Range(0, burst).Draw(t, "new burst")}})
			}
			g := rate(b, now, rapid.Int64Range(1, 4).Draw(t, "inc"), 1, rapid.Int64Range(-5, 400).Draw(t, "need"), rapid.Int64Range(-5, 400).Draw(t, "want"))
			level = max(0, level-int64(now-last)*amount) + g.GetTokens()*int64(time.Minute)
			last = now
			if g.GetTokens() < 0 || level > (burst+1)*int64(time.Minute) {
				t.Fatalf("%d tokens of %d a minute and %d at once", g.GetTokens(), amount, burst)
			}
		}
	})
}

// Guarantee: only limits that edges asked for lately take memory.
func TestForgets(t *testing.T) {
	t.Parallel()
	b := limits.New(start, 0)
	var all []*eventv1.Limit
	for id := range int64(1000) {
		all = append(all, &eventv1.Limit{Id: 2 * id, Kind: requests, Amount: 60, Burst: 5}, &eventv1.Limit{Id: 2*id + 1, Kind: concurrent, Amount: 5})
	}
	b.Set(nil)
	b.Set(all)
	for id := range int64(1000) {
		rate(b, 0, 1, 2*id, 5, 5)
		b.Permits(start, 1, "a", []*eventv1.PermitLine{{Limit: 2*id + 1, Want: 1, Seq: 1}})
	}
	if b.Len() != 2000 {
		t.Fatalf("%d limits have state", b.Len())
	}
	for i := range 2000 {
		rate(b, time.Minute+time.Duration(i)*time.Millisecond, 1, 0, 1, 1)
	}
	if b.Len() != 1 {
		t.Errorf("%d limits have state", b.Len())
	}
}
