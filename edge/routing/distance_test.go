package routing

import (
	"testing"

	"pgregory.net/rapid"
)

// Guarantee: the quick distance is the distance, wherever that is small enough to matter.
func TestDistance(t *testing.T) {
	t.Parallel()
	word := rapid.StringOfN(rapid.RuneFrom([]rune("ab/")), 0, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		if max(len(a)-len(b), len(b)-len(a)) >= 3 {
			return // nearest does not ask
		}
		if got, want := distance(a, b, 3), min(alignment(a, b), 3); got != want {
			t.Fatalf("distance(%q, %q) = %d; want %d", a, b, got, want)
		}
	})
}

// alignment is the definition.
func alignment(a, b string) int {
	if a == "" || b == "" {
		return len(a) + len(b)
	}
	cost := 1
	if a[len(a)-1] == b[len(b)-1] {
		cost = 0
	}
	i, j := len(a)-1, len(b)-1
	d := min(alignmentMemo(a[:i], b)+1, alignmentMemo(a, b[:j])+1, alignmentMemo(a[:i], b[:j])+cost)
	if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
		d = min(d, alignmentMemo(a[:i-1], b[:j-1])+1)
	}
	return d
}

var memo = map[[2]string]int{}

func alignmentMemo(a, b string) int {
	k := [2]string{a, b}
	d, ok := memo[k]
	if !ok {
		d = alignment(a, b)
		memo[k] = d
	}
	return d
}
