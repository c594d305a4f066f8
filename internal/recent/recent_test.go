package recent_test

import (
	"testing"

	"pgregory.net/rapid"

	"tollgate/internal/recent"
)

// Guarantee: what was used among the last keys is there with its newest value, and no more is kept than two
// generations.
func TestMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 8).Draw(t, "most")
		m := recent.New[int, int](most)
		values, used := map[int]int{}, []int(nil)
		for i, k := range rapid.SliceOfN(rapid.IntRange(0, 30), 0, 200).Draw(t, "keys") {
			if rapid.Bool().Draw(t, "put") {
				m.Put(k, i)
				values[k] = i
			} else if v, ok := m.Get(k); ok && v != values[k] {
				t.Fatalf("%d is %d, and was put as %d", k, v, values[k])
			} else if !ok {
				continue
			}
			used = append(used, k)
			if m.Len() > 2*most {
				t.Fatalf("%d values are kept, of at most %d", m.Len(), 2*most)
			}
		}
		others := map[int]bool{}
		for i := len(used) - 1; i >= 0 && len(others) < most; i-- {
			others[used[i]] = true
		}
		for k := range others {
			if v, ok := m.Get(k); !ok || v != values[k] {
				t.Fatalf("%d was used lately, and is %d, %v", k, v, ok)
			}
		}
	})
}
