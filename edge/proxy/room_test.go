package proxy

import "testing"

// Guarantee: what waits holds little, and what much comes through is read in large pieces.
func TestRoom(t *testing.T) {
	t.Parallel()
	for length, want := range map[int64]int{-1: littleRoom, 1: littleRoom, littleRoom: littleRoom, littleRoom + 1: muchRoom} {
		r := roomFor(length)
		if len(*r.buf) != want {
			t.Errorf("for %d bytes there is room for %d", length, len(*r.buf))
		}
		r.leave()
	}
	r := roomFor(-1)
	defer func() { r.leave() }()
	steps := []struct{ came, want int }{
		{10, littleRoom},
		{littleRoom - 1, littleRoom},
		{littleRoom, muchRoom},
		{muchRoom, muchRoom},
		{littleRoom, muchRoom},
		{littleRoom - 1, littleRoom},
		{littleRoom, muchRoom},
		{0, littleRoom},
	}
	for _, step := range steps {
		if r.after(step.came); len(*r.buf) != step.want {
			t.Fatalf("after %d bytes there is room for %d, not %d", step.came, len(*r.buf), step.want)
		}
	}
}
