package admit

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/internal/contract"
	"tollgate/internal/period"
)

// line is one account-window as this edge holds it. Four totals that only grow say everything:
// granted, returned, consumed, and what is held for requests in flight, which is the rest. What may
// still be held is kept apart, so that the hot path is one atomic operation:
//
//	avail = granted - returned - consumed - held, and never below 0
//
// Granted rises before avail does and returned after it fell, so that at every instant the money
// that this edge can spend is covered by what the ledger knows it to have.
type line struct {
	book    *Book
	window  contract.Window
	part    uint32
	period  period.Period
	end     int64 // Unix seconds
	subject string

	avail    atomic.Int64
	consumed atomic.Int64
	low      atomic.Int64  // avail below which more is asked for ahead of need
	tick     atomic.Uint32 // when it was last drawn on, in ticks of the book
	waiting  atomic.Int32  // requests that wait for money of it
	short    atomic.Bool   // others want it too: what is refunded is returned at once
	gone     atomic.Bool   // the book has forgotten it

	limit     atomic.Int64 // of the window; -1 until the ledger has said
	elsewhere atomic.Int64 // spent by other incarnations

	mu       sync.Mutex // guards the fields below; no other lock is taken under it
	granted  int64
	returned int64
	told     int64 // returned, as far as the ledger has confirmed it
	toldTick uint32
	owed     bool  // a request is unanswered: its grant may have been lost
	void     bool  // its budget was changed since the last request went out
	tell     bool  // the ledger wants to hear, whatever there is to say
	want     int64 // what the next request asks to hold unspent, beyond need
	waiters  []*waiter
	answers  uint64    // from the ledger
	unknown  bool      // its last answer was that it knows no such window
	version  int64     // of the limit
	asked    int64     // version when the last request went out
	denied   time.Time // until when its word is taken that the budget is used up
	away     time.Time // until when it is taken for unreachable
	fails    int       // requests without an answer, in a row

	// Guarded by the sender's lock.
	queued bool
	due    time.Time

	active bool // in the book's list of lines that need a look now and then; guarded by its lock
}

// take holds amount, or does nothing.
func (l *line) take(amount int64) bool {
	for {
		have := l.avail.Load()
		if have < amount {
			return false
		}
		if !l.avail.CompareAndSwap(have, have-amount) {
			continue
		}
		if tick := l.book.tick.Load(); l.tick.Load() != tick {
			l.tick.Store(tick)
		}
		if low := l.low.Load(); have-amount < low && l.low.CompareAndSwap(low, 0) {
			l.refill(amount)
		}
		return true
	}
}

// put makes amount available again that was held.
func (l *line) put(amount int64) {
	l.avail.Add(amount)
	if l.waiting.Load() > 0 {
		l.wake()
	}
}

// settle turns amount that was held into actual that is spent.
func (l *line) settle(amount, actual int64) {
	// Consumed first: what is held is the rest, and must not be seen as settled before it is.
	l.consumed.Add(actual)
	if actual == amount {
		return
	}
	l.avail.Add(amount - actual)
	switch {
	case l.waiting.Load() > 0:
		l.wake()
	case l.short.Load():
		l.giveBack(false)
	}
}

// refill asks for more while there is some left.
func (l *line) refill(amount int64) {
	l.mu.Lock()
	l.want = max(l.want, times(amount, l.book.cfg.Ahead))
	l.mu.Unlock()
	l.book.sender(l.part).ask(l)
}

// giveBack returns what is unspent. The ledger hears of it even if that is nothing, if tell is set.
func (l *line) giveBack(tell bool) {
	l.mu.Lock()
	n := l.book.lower(l)
	l.returned += n
	l.want = 0
	l.tell = l.tell || tell
	if n > 0 {
		// The ledger has money again: ours.
		l.denied = time.Time{}
	}
	ask := n > 0 || tell
	l.mu.Unlock()
	if ask {
		l.low.Store(0)
		l.book.sender(l.part).ask(l)
	}
}

// lower takes all that is unspent out of reach of requests. It comes before anybody is told.
func lower(l *line) int64 {
	for {
		have := l.avail.Load()
		if have <= 0 {
			return 0
		}
		if l.avail.CompareAndSwap(have, 0) {
			return have
		}
	}
}

// used is what requests of this edge have spent or hold.
func (l *line) used() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.granted - l.returned - l.avail.Load()
}

// left is what remains of the limit, as far as is known here.
func (l *line) left() (int64, bool) {
	limit := l.limit.Load()
	if limit < 0 {
		return 0, false
	}
	return limit - l.elsewhere.Load() - l.used(), true
}

// demand is the sum of what the waiting requests ask for. The caller holds the lock.
func (l *line) demand() int64 {
	sum := int64(0)
	for _, w := range l.waiters {
		if sum > math.MaxInt64-w.amount {
			return math.MaxInt64
		}
		sum += w.amount
	}
	return sum
}

func times(amount int64, n int64) int64 {
	if amount > math.MaxInt64/n {
		return math.MaxInt64
	}
	return amount * n
}
