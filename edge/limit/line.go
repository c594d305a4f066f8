package limit

import (
	"sync"
	"sync/atomic"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bucket"
)

// line is what this edge has of one limit. Requests that find tokens or a permit take no lock.
type line struct {
	set  *Set
	part *part
	id   int64
	kind eventv1.LimitKind

	gone    atomic.Bool // out of the set: whoever comes later is to find it anew
	waiting atomic.Int32
	current atomic.Pointer[chunk] // where most requests find their tokens
	asking  atomic.Bool           // tokens were asked for ahead

	slots    atomic.Uint64 // requests that run and permits that are held; see slots
	valid    atomic.Int64  // until then permits allow new requests
	peak     atomic.Int64  // most requests that ran at once since it was last looked at
	recalled atomic.Int64  // until then a permit is returned as soon as its request ends

	mu      sync.Mutex // guards the fields below
	version int64      // of the limit that requests brought
	waiters []waiter   // in the order in which they came
	answers uint64     // how often the ledger has answered
	seen    int64      // when it was last of use
	unknown int64      // until then the ledger is taken not to know the limit
	heard   int64      // when the ledger last knew it
	sharers int64      // how many edges share it, as last heard
	denied  denial
	share   bucket.Bucket // what this edge admits without the ledger
	shareOf int64         // when the ledger was last heard before

	chunks []*chunk // that are alive, those first that end first
	debt   int64    // tokens that were used before they were given
	bite   int64    // how much of it is paid at a time
	burn   burn

	told   int64    // permits when the ledger was last told
	toldAt int64    // when that was
	peaks  [4]int64 // of the last quarters of idle
	peakAt int64    // when the last of them began

	due    int64 // guarded by the part: when it is to be told
	queued bool  // likewise: whether it is
}

// chunk is tokens that the ledger gave. Past its end they are void, and so is what goes back into it.
type chunk struct {
	left atomic.Int64
	low  atomic.Int64 // with fewer left, more are asked for
	end  int64
}

// take takes n tokens, if there are as many and they are alive.
func (c *chunk) take(n, now int64) (low, ok bool) {
	if now >= c.end {
		return false, false
	}
	for {
		left := c.left.Load()
		if left < n {
			return false, false
		}
		if c.left.CompareAndSwap(left, left-n) {
			return left-n < c.low.Load(), true
		}
	}
}

// denial is a refusal of the ledger: that lack tokens may be there at a time, and no sooner.
type denial struct {
	lack, at int64
	until    int64 // for how long to believe it; 0 for no refusal
}

// when is the time at which n tokens may be there.
func (d denial) when(n, amount, now int64) int64 {
	if now >= d.until {
		return 0
	}
	r := bucket.Rate{Amount: amount, Among: 1}
	if n >= d.lack {
		t := bucket.Time(n-d.lack, 0, r)
		return d.at + min(t, never-d.at)
	}
	return d.at - min(bucket.Time(d.lack-n, 0, r), d.at)
}

// never is a time that does not come.
const never = 1<<62 - 1

// take takes of the limit what h asks for.
func (l *line) take(h *hold, now int64) bool {
	if l.kind == eventv1.LimitKind_LIMIT_KIND_CONCURRENT {
		if !l.enter(now) {
			return false
		}
		h.taken = permit
		return true
	}
	if h.n == 0 {
		h.taken = nothing
		return true
	}
	if c := l.current.Load(); c != nil {
		if low, ok := c.take(h.n, now); ok {
			h.chunk, h.taken = c, tokens
			if low {
				l.askAhead(now)
			}
			return true
		}
	}
	c := l.search(h.n, now)
	if c == nil {
		return false
	}
	h.chunk, h.taken = c, tokens
	return true
}

// search finds n tokens where the current chunk has too few.
func (l *line) search(n, now int64) *chunk {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bury(now)
	var first *chunk // that has any
	for _, c := range l.chunks {
		left := c.left.Load()
		if first == nil && left > 0 {
			first = c
			l.current.Store(c)
		}
		if left < n {
			continue
		}
		if _, ok := c.take(n, now); ok {
			return c
		}
	}
	if first == nil {
		return nil
	}
	// Several chunks together may have enough. What moves to another ends no later than before.
	for i := len(l.chunks) - 1; i >= 0 && l.chunks[i] != first; i-- {
		c := l.chunks[i]
		for {
			left := c.left.Load()
			move := min(left, n-first.left.Load())
			if move <= 0 {
				break
			}
			if c.left.CompareAndSwap(left, left-move) {
				first.left.Add(move)
				break
			}
		}
	}
	if _, ok := first.take(n, now); ok {
		return first
	}
	return nil
}

// bury drops chunks that have ended. The caller holds mu.
func (l *line) bury(now int64) {
	n := 0
	for n < len(l.chunks) && now >= l.chunks[n].end {
		l.burn.lost += l.chunks[n].left.Load()
		n++
	}
	if n == 0 {
		return
	}
	clear(l.chunks[:n])
	if l.chunks = l.chunks[n:]; len(l.chunks) == 0 {
		l.chunks = nil
		l.current.Store(nil)
	}
}

// left is how many tokens are alive. The caller holds mu.
func (l *line) left(now int64) int64 {
	l.bury(now)
	sum := int64(0)
	for _, c := range l.chunks {
		sum += max(0, c.left.Load())
	}
	return sum
}

// put gives back what was taken.
func (l *line) put(h *hold) {
	switch h.taken {
	case tokens:
		h.chunk.left.Add(h.n)
	case permit:
		l.leave()
	case share:
		l.mu.Lock()
		l.share.Tokens += h.n // the next look caps it
		l.mu.Unlock()
	case nothing, freely:
	}
	l.wake()
}

// owe pays for n tokens that were used before they were given: out of what is there, or out of what
// comes next.
func (l *line) owe(n int64, of *Limit) {
	const bites = 600 // in a minute
	now := l.set.now()
	l.mu.Lock()
	l.bury(now)
	for _, c := range l.chunks {
		for n > 0 {
			left := c.left.Load()
			pay := min(n, left)
			if pay <= 0 {
				break
			}
			if c.left.CompareAndSwap(left, left-pay) {
				n -= pay
			}
		}
	}
	l.debt, l.bite = min(l.debt+n, mostOwed), of.amount/bites
	owed := l.debt > 0
	l.seen = now
	l.mu.Unlock()
	if owed {
		l.part.ask(l, now)
	}
}

// mostOwed bounds debts, so that sums of them cannot overflow.
const mostOwed = 1 << 40

// wake has the requests that wait for this limit try again.
func (l *line) wake() {
	if l.waiting.Load() == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiters {
		select {
		case w.who.turn <- struct{}{}:
		default: // told already
		}
	}
}

// askAhead asks for more tokens while there are some.
func (l *line) askAhead(now int64) {
	if l.asking.Swap(true) {
		return
	}
	l.mu.Lock()
	at := max(now, l.toldAt+int64(paceAhead))
	l.mu.Unlock()
	l.part.ask(l, at)
}
