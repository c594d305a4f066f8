package footprint

import (
	"bytes"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

var kept []byte

// Guarantee: garbage that a small heap makes is collected once for each 64 MB of it, not each 4.
//
//nolint:paralleltest // it changes the collector of the process
func TestFloor(t *testing.T) {
	cycles := func() uint32 {
		runtime.GC()
		runtime.GC() // the cleanup of the first has run when garbage is made
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 48 << 10 {
			kept = make([]byte, 1<<10)
		}
		runtime.ReadMemStats(&after)
		return after.NumGC - before.NumGC
	}
	if n := cycles(); n < 4 {
		t.Fatalf("48 MB of garbage were collected %d times without a floor: this test shows nothing", n)
	}
	c := &collector{percent: usual}
	t.Cleanup(func() {
		c.stopped.Store(true)
		debug.SetGCPercent(usual)
	})
	keep(c)
	if n := cycles(); n > 2 {
		t.Errorf("48 MB of garbage were collected %d times", n)
	}
}

// Guarantee: a heap grows to 64 MB before it is collected, and one that is in use to a greater part to twice its size.
func TestPercent(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 6300, 1 << 20: 6300, 4 << 20: 1500, 16 << 20: 300, 32 << 20: 100, 1 << 30: 100} {
		if got := percentFor(live); got != want {
			t.Errorf("%d in use: %d, want %d", live, got, want)
		}
	}
}

// Guarantee: a limit that the operator has set is said to hold, and no other is set.
//
//nolint:paralleltest // it looks at the limit of the process
func TestLimitOfTheOperator(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	var log bytes.Buffer
	Fit(func(string) (string, bool) { return "1GiB", true }, slog.New(slog.NewTextHandler(&log, nil)))
	if after := debug.SetMemoryLimit(-1); after != before || !strings.Contains(log.String(), "limit=1GiB") {
		t.Errorf("%d became %d: %s", before, after, &log)
	}
}
