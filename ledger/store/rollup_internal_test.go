package store

import (
	"fmt"
	"testing"

	"tollgate/ledger/usage"
)

// Guarantee: a leader remembers the series that it has used last, and not more of them the more there are.
func TestSeriesMemoryIsBounded(t *testing.T) {
	t.Parallel()
	m := newSeriesMemory()
	series := func(i int64) usage.Series { return usage.Series{KeyID: fmt.Sprint("key-", i), Status: 200} }
	const n = 4 * maxSeries
	for i := range int64(n) {
		m.put(m.key(series(i)), i)
		if id, ok := m.get(m.key(series(0))); ok && id != 0 || !ok {
			t.Fatalf("one that is used all the time: %d, %v", id, ok)
		}
	}
	if have := len(m.now) + len(m.old); have > maxSeries {
		t.Errorf("remembers %d series, want no more than %d", have, maxSeries)
	}
	for i := int64(n - maxSeries/4); i < n; i++ {
		if id, ok := m.get(m.key(series(i))); !ok || id != i {
			t.Fatalf("series %d is %d, %v", i, id, ok)
		}
	}
	if _, ok := m.get(m.key(series(1))); ok {
		t.Error("remembers one that was not used for long")
	}
}
