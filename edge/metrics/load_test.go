package metrics

import (
	"math"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Guarantee: a time is read back at most an eighth off, and longer times never as shorter ones.
func TestBuckets(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		us := rapid.Int64Range(0, math.MaxInt32).Draw(t, "µs")
		b := bucketOf(us)
		if low, high := bucketStart(b), bucketStart(b+1); us < low || us >= high || high-low > max(low/4, 1) {
			t.Fatalf("%d is in bucket %d from %d to %d", us, b, low, high)
		}
		if next := bucketOf(us + 1); next < b || next > b+1 {
			t.Fatalf("bucket %d is followed by %d", b, next)
		}
	})
	if b := bucketOf(math.MaxInt64); b != bucketCount-1 {
		t.Errorf("the longest time is in bucket %d", b)
	}
	if b := bucketOf(-5); b != 0 {
		t.Errorf("a negative time is in bucket %d", b)
	}
}

// Guarantee: what is recent are the last ten whole seconds, what is counted in total stays, and half and 99 of 100 are what they say.
func TestRecent(t *testing.T) {
	t.Parallel()
	l := newLoad()
	for i := range 100 {
		took, status := 200*time.Microsecond, 200
		if i >= 98 {
			took, status = 50*time.Millisecond, 503
		}
		l.Done(status, took)
	}
	if n, _, _ := l.Recent(); n != 0 {
		t.Errorf("%d in a second that is not over", n)
	}
	l.Turn()
	n, p50, p99 := l.Recent()
	if n != 100 || p50 < 175*time.Microsecond || p50 > 225*time.Microsecond || p99 < 44*time.Millisecond || p99 > 56*time.Millisecond {
		t.Errorf("%d requests, half in %s and 99 in %s", n, p50, p99)
	}
	for range loadSeconds - 1 {
		l.Turn()
	}
	if n, _, _ := l.Recent(); n != 100 {
		t.Errorf("%d after ten seconds", n)
	}
	l.Turn()
	if n, p50, p99 := l.Recent(); n != 0 || p50 != 0 || p99 != 0 {
		t.Errorf("%d, %s, %s after eleven seconds", n, p50, p99)
	}
	if all, errors := l.Total(); all != 100 || errors != 2 {
		t.Errorf("%d and %d errors in total", all, errors)
	}
}

// Guarantee: counting from many goroutines while seconds end loses nothing of the total.
func TestLoadTogether(t *testing.T) {
	t.Parallel()
	l := newLoad()
	var g sync.WaitGroup
	for range 8 {
		g.Go(func() {
			for range 1000 {
				l.Done(500, time.Millisecond)
			}
		})
	}
	for range 50 {
		l.Turn()
		l.Recent()
	}
	g.Wait()
	if all, errors := l.Total(); all != 8000 || errors != 8000 {
		t.Errorf("%d and %d", all, errors)
	}
}
