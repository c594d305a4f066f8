package proxy

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"tollgate/internal/money"
)

// Guarantee: what is said to be likely is no less than what 999 of a thousand requests have cost, and less than half as
// much again as the dearest of them; before two hundred are known nothing is said.
func TestLikelyCost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3000).Draw(t, "requests")
		most := rapid.Int64Range(1, 2000*int64(money.Dollar)).Draw(t, "dearest")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		var l costs
		key := costKey{"ep", "chat", "m"}
		all := make([]money.Nanos, n)
		for i := range all {
			all[i] = money.Nanos(random.Int64N(most) + 1)
			l.learn(key, all[i])
		}
		likely, ok := l.likely(key)
		if ok != (n >= 200) {
			t.Fatalf("after %d requests: %v", n, ok)
		}
		if !ok {
			return
		}
		above, dearest := 0, money.Nanos(0)
		for _, cost := range all {
			if dearest = max(dearest, cost); cost > likely {
				above++
			}
		}
		if above*1000 > n || likely > max(dearest*3/2, firstStep) {
			t.Fatalf("%s: %d of %d cost more, the dearest %s", likely, above, n, dearest)
		}
	})
}

// Guarantee: what was long ago is forgotten, and so are endpoints that are gone; what callers name does not fill the memory.
func TestLikelyCostForgets(t *testing.T) {
	t.Parallel()
	var l costs
	key := costKey{"ep", "chat", "m"}
	for range 300 {
		l.learn(key, money.Dollar)
	}
	for range 100_000 {
		l.learn(key, 2000)
	}
	if got, ok := l.likely(key); !ok || got != 2048 {
		t.Errorf("likely %s, %v", got, ok)
	}
	for i := range 2 * mostSpreads {
		l.learn(costKey{"other", "chat", strconv.Itoa(i)}, 1)
	}
	if n := l.kept.Load(); n != mostSpreads {
		t.Errorf("%d are kept", n)
	}
	l.forget(func(endpoint string) bool { return endpoint == "ep" })
	if _, ok := l.likely(key); !ok || l.kept.Load() != 1 {
		t.Errorf("%d are kept", l.kept.Load())
	}
	for range 300 {
		l.learn(costKey{"ep", "dear", ""}, mostCost)
	}
	if got, ok := l.likely(costKey{"ep", "dear", ""}); ok {
		t.Errorf("what is beyond all steps is likely %s", got)
	}
}
