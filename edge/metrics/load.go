package metrics

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Load is what an edge has to do at present: requests, and how long the gateway itself needs for each. Counting takes no lock and
// allocates nothing; what is read of it are the last whole seconds, and a request that ends just between two of them may
// count in either.
type Load struct {
	requests, errors atomic.Int64
	now              atomic.Pointer[second]

	// Of the one goroutine that turns and reads.
	ring [loadSeconds + 1]second
	at   int
}

// loadSeconds is how far back Recent looks.
const loadSeconds = 10

// Times are sorted into buckets of a quarter of a power of two each: what is read of them is at most an eighth off.
const (
	bucketBits  = 2
	bucketCount = (40 - bucketBits) << bucketBits
)

type second struct {
	requests atomic.Int64
	took     [bucketCount]atomic.Uint32
}

// newLoad begins to count.
func newLoad() *Load {
	l := &Load{}
	l.now.Store(&l.ring[0])
	return l
}

// Done counts a request that is over: the status that its caller got, and the time that the gateway needed itself.
func (l *Load) Done(status int, took time.Duration) {
	l.requests.Add(1)
	if status >= 500 {
		l.errors.Add(1)
	}
	s := l.now.Load()
	s.requests.Add(1)
	s.took[bucketOf(took.Microseconds())].Add(1)
}

// Total is how many requests there were since the start, and how many of them were answered with 5xx.
func (l *Load) Total() (requests, errors int64) { return l.requests.Load(), l.errors.Load() }

// Turn ends a second. It and Recent are called by one goroutine.
func (l *Load) Turn() {
	l.at = (l.at + 1) % len(l.ring)
	s := &l.ring[l.at]
	s.requests.Store(0)
	for i := range s.took {
		s.took[i].Store(0)
	}
	l.now.Store(s)
}

// Recent is what the last ten whole seconds had: how many requests, and the times of the gateway that half of them and 99 of 100
// needed at most.
func (l *Load) Recent() (requests int64, p50, p99 time.Duration) {
	var took [bucketCount]int64
	var all int64
	for i := range l.ring {
		if i == l.at {
			continue
		}
		s := &l.ring[i]
		requests += s.requests.Load()
		for b := range s.took {
			n := int64(s.took[b].Load())
			took[b] += n
			all += n
		}
	}
	return requests, quantile(&took, all, 50), quantile(&took, all, 99)
}

// quantile is the middle of the bucket in which the wanted one of a hundred is.
func quantile(took *[bucketCount]int64, all, percent int64) time.Duration {
	rank := (all*percent + 99) / 100
	for b, n := range took {
		if rank -= n; rank <= 0 && n > 0 {
			low, high := bucketStart(b), bucketStart(b+1)
			return time.Duration((low+high)/2) * time.Microsecond
		}
	}
	return 0
}

// bucketOf is the bucket of a time in microseconds. Below four each has its own.
func bucketOf(us int64) int {
	us = max(us, 0)
	if us < 1<<bucketBits {
		return int(us)
	}
	exp := bits.Len64(uint64(us)) - 1 - bucketBits
	return min(exp<<bucketBits+int(us>>exp), bucketCount-1)
}

// bucketStart is the least time that is in a bucket.
func bucketStart(b int) int64 {
	if b < 2<<bucketBits {
		return int64(b)
	}
	exp := b>>bucketBits - 1
	return int64(b-exp<<bucketBits) << exp
}
