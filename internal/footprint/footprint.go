// Package footprint has a server use as much memory as suits it: no more than its container has, and no less than what makes collecting
// garbage worth its while. What an operator has set with GOMEMLIMIT and GOGC stays.
package footprint

import (
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// share is how much of a container's memory the heap may have with all that belongs to it. The rest is for stacks of the
	// kernel, buffers of connections and files that are mapped.
	share = 0.9
	// floor is how large the heap may become before it is collected, however little of it is in use. Without it the collector of an
	// edge that holds 4 MB runs after each 4 MB of garbage, many times a second.
	floor = 64 << 20
)

// Fit applies to the process from now on.
func Fit(lookup func(name string) (string, bool), log *slog.Logger) {
	if text, ok := lookup("GOMEMLIMIT"); ok {
		log.Info("memory limit is that of GOMEMLIMIT", "limit", text)
	} else if limit, err := memlimit.SetGoMemLimitWithOpts(memlimit.WithRatio(share), memlimit.WithProvider(memlimit.FromCgroup)); err == nil && limit > 0 && limit < math.MaxInt64 {
		log.Info("memory limit is nine tenths of the container's", "bytes", limit)
	}
	if _, ok := lookup("GOGC"); !ok {
		keep(&collector{percent: usual}) // until the process ends
	}
}

// usual is Go's own: the heap is collected when it is twice what is in use.
const usual = 100

// collector keeps the heap from being collected below the floor. It looks after each collection.
type collector struct {
	percent int
	stopped atomic.Bool
}

// sentinel is garbage by which a collection shows.
type sentinel struct{ _ *byte }

func keep(c *collector) {
	if c.stopped.Load() {
		return
	}
	c.adjust()
	runtime.AddCleanup(&sentinel{}, keep, c)
}

func (c *collector) adjust() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	percent := percentFor(sample[0].Value.Uint64())
	// Setting it stops the world for an instant, so that it is not done for a trifle.
	if far := max(c.percent/8, 1); percent < c.percent-far || percent > c.percent+far || percent == usual && c.percent != usual {
		debug.SetGCPercent(percent)
		c.percent = percent
	}
}

// percentFor is by how much a heap of which so much is in use may grow.
func percentFor(live uint64) int {
	live = max(live, floor/64)
	if live >= floor/2 {
		return usual
	}
	return int((floor - live) * 100 / live)
}
