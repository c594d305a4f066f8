package load

import (
	"testing"
	"time"
)

// Guarantee: requests of all connections together are due at even distances, at the rate that was asked for.
func TestScheduleSpreadsEvenly(t *testing.T) {
	t.Parallel()
	const rate, connections = 1000, 4
	due := map[time.Duration]bool{}
	for number := range connections {
		s := newSchedule(rate, connections, number)
		for n := range int64(5) {
			due[s.due(n)] = true
		}
	}
	for i := range 5 * connections {
		if at := time.Duration(i) * time.Millisecond; !due[at] {
			t.Errorf("nothing is due after %s", at)
		}
	}
	if len(due) != 5*connections {
		t.Errorf("%d are due, want %d", len(due), 5*connections)
	}
}

// Guarantee: a body is as long as it was asked for.
func TestBodyLength(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 100, 1 << 10, 1 << 20} {
		if got := len(body(size)); got != size {
			t.Errorf("%d bytes, want %d", got, size)
		}
	}
}
