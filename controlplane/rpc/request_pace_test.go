package rpc

import (
	"testing"
	"time"
)

// Guarantee: a pace lets its number pass at once after a pause and from then on so many in each second, however they are spread, and
// no pace lets everything pass.
func TestPace(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_700_000_000, 0)
	p := pace{most: 20}
	if n := p.takes(at, 500); n != 20 {
		t.Errorf("%d pass at first, want 20", n)
	}
	passed := int64(0)
	for range 1000 {
		at = at.Add(10 * time.Millisecond)
		passed += p.takes(at, 5)
	}
	if passed != 200 {
		t.Errorf("%d pass in ten seconds, want 200", passed)
	}
	if n := p.takes(at.Add(time.Hour), 500); n != 20 {
		t.Errorf("%d pass after an hour, want 20", n)
	}
	p = pace{}
	if n := p.takes(at, 500); n != 500 {
		t.Errorf("%d of 500 pass without a pace", n)
	}
}
