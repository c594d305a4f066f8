package proxy

import "testing"

// Guarantee: what waits holds little, and what much comes through is read in large pieces.
func TestRoom(t *testing.T) {
	t.Parallel()
	for length, want := range map[int64]int{-1: littleBuffer, 1: littleBuffer, littleBuffer: littleBuffer, littleBuffer + 1: muchBuffer} {
		r := bufferFor(length)
		if len(*r.buf) != want {
			t.Errorf("for %d bytes there is buffer for %d", length, len(*r.buf))
		}
		r.leave()
	}
	r := bufferFor(-1)
	defer func() { r.leave() }()
	steps := []struct{ came, want int }{
		{10, littleBuffer},
		{littleBuffer - 1, littleBuffer},
		{littleBuffer, muchBuffer},
		{muchBuffer, muchBuffer},
		{littleBuffer, muchBuffer},
		{littleBuffer - 1, littleBuffer},
		{littleBuffer, muchBuffer},
		{0, littleBuffer},
	}
	for _, step := range steps {
		if r.after(step.came); len(*r.buf) != step.want {
			t.Fatalf("after %d bytes there is buffer for %d, not %d", step.came, len(*r.buf), step.want)
		}
	}
}
