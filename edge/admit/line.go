package admit

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"tollgate/internal/contract"
)

// line is one account-window as this edge holds it. Four totals that only grow say everything:
// granted, returned, consumed, and what is held for requests in flight, which is the rest. What may
// still be held is kept apart, so that the hot path is one atomic operation:
//
//	avail = granted - returned - consumed - held, and never below floor
//
// Granted rises before avail does and returned after it fell, so that at every instant the money
// that this edge can spend is covered by what the ledger knows it to have. The floor is 0 but for
// accounts that only warn.
type line struct {
	book     *Book
	sender   *sender
	window   contract.Window
	calendar *calendar
	end      int64 // Unix seconds

	// What hardly changes is apart from what every request changes, for the sake of processors that
	// share a line.
	floor     atomic.Int64
	low       atomic.Int64  // avail below which more is asked for ahead of need; off for never
	unit      atomic.Int64  // what one request takes, the largest of late
	limit     atomic.Int64  // of the window; -1 until the ledger has said
	elsewhere atomic.Int64  // spent by other incarnations
	tick      atomic.Uint32 // when it was last drawn on, in ticks of the book
	waiting   atomic.Int32  // requests that wait for money of it
	short     atomic.Bool   // others want it too: what is refunded is returned at once
	gone      atomic.Bool   // the book has forgotten it
	ours      atomic.Int64  // granted - returned
	moves     atomic.Uint32 // odd while that and avail move together
	_         [4]byte

	avail    atomic.Int64
	consumed atomic.Int64

	mu       sync.Mutex // guards the fields below; no other lock is taken under it but that of the jitter
	owed     bool       // a request is unanswered: its grant may have been lost
	void     bool       // its budget was changed since the last request went out
	tell     bool       // the ledger wants to hear, whatever there is to say
	more     bool       // more is to be asked for ahead of need
	ample    bool       // the ledger's last answer was that it has enough
	unknown  bool       // the ledger's last answer was that it knows no such window
	planned  bool       // the next window is being asked for
	cold     bool       // it has been idle of late: one request's worth is all that is kept ready
	warm     uint8      // sweeps since, in which it was not
	toldTick uint32
	fails    int32 // requests without an answer, in a row
	terms    terms
	granted  int64
	returned int64
	told     int64 // returned, as far as the ledger has confirmed it
	waiters  []*Wanted
	answers  uint64 // from the ledger
	version  int64  // of the limit
	asked    int64  // version when the last request went out
	denied   int64  // until when, by the book's clock, the ledger is known to have too little
	refused  int64  // what the ledger has less of to give, while denied
	away     int64  // until when the ledger is taken for unreachable
	over     int64  // spent beyond grants, of what the ledger has taken into its books
	pace

	// Guarded by the sender's lock.
	due    int64
	queued bool

	active bool // in the book's list of lines that need a look now and then; guarded by its lock
}

// off is a low mark that is never reached.
const off = math.MinInt64

// mostOver is how far an account that only warns may be overspent if no bound is set.
const mostOver = 1 << 61

// terms is what is known of an account besides its window. Texts are copies: a line must not keep a
// snapshot in memory.
type terms struct {
	version   int64 // of the account that they are of
	name      string
	subject   string
	soft      bool
	overdraft int64
}

// learn takes in the terms of an account, unless newer ones are known. The caller holds the lock.
func (l *line) learn(a *Account) {
	if a.version > l.version {
		l.denied = 0 // the limit was changed since the ledger refused
	}
	if a.version >= l.terms.version {
		l.terms = terms{a.version, strings.Clone(a.Name()), strings.Clone(a.Subject()), a.soft, a.overdraft}
		l.setFloor()
	}
}

// setFloor says how far avail may fall. Before the partition is joined there is nowhere to book what
// was never granted. The caller holds the lock.
func (l *line) setFloor() {
	floor := int64(0)
	if l.terms.soft && l.sender.joined.Load() {
		if floor = -mostOver; l.terms.overdraft > 0 {
			floor = -max(0, l.terms.overdraft-l.over)
		}
	}
	l.floor.Store(floor)
}

// lacks is how much has to come before amount can be held; 0 or less if it can be now.
func (l *line) lacks(amount int64) int64 {
	have := l.avail.Load() - l.floor.Load()
	if have < 0 && amount > math.MaxInt64+have {
		return math.MaxInt64
	}
	return amount - have
}

// take holds amount, or does nothing.
func (l *line) take(amount int64) bool {
	for {
		have := l.avail.Load()
		if have-l.floor.Load() < amount {
			return false
		}
		if l.avail.CompareAndSwap(have, have-amount) {
			l.drawn(amount, have-amount)
			return true
		}
	}
}

// drawn follows a take that left so much.
func (l *line) drawn(amount, left int64) {
	if tick := l.book.tick.Load(); l.tick.Load() != tick {
		l.tick.Store(tick)
		l.unit.Store(amount)
	} else if amount > l.unit.Load() {
		l.unit.Store(amount)
	}
	if low := l.low.Load(); left < low && l.low.CompareAndSwap(low, off) {
		l.refill()
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
		l.giveBack(0, false)
	}
}

// refill asks for more while there is some left.
func (l *line) refill() {
	l.mu.Lock()
	l.more = true
	l.mu.Unlock()
	l.sender.ask(l)
}

// giveBack returns what is unspent but for keep. The ledger hears of it even if that is nothing, if
// tell is set.
func (l *line) giveBack(keep int64, tell bool) {
	l.mu.Lock()
	n := l.lose(keep)
	l.more = false
	l.tell = l.tell || tell
	// The ledger has so much more to give: ours.
	l.refused = sum(l.refused, n)
	ask := n > 0 || tell
	if n > 0 {
		l.setLow()
	}
	l.mu.Unlock()
	if ask {
		l.sender.ask(l)
	}
}

// lower takes what is unspent beyond keep out of reach of requests. It comes before anybody is told.
func lower(l *line, keep int64) int64 {
	for {
		have := l.avail.Load()
		if have <= keep {
			return 0
		}
		if l.avail.CompareAndSwap(have, keep) {
			return have - keep
		}
	}
}

// gain takes in what was granted. The caller holds the lock.
func (l *line) gain(more int64) {
	l.moves.Add(1)
	l.granted += more
	l.ours.Add(more)
	l.avail.Add(more)
	l.moves.Add(1)
}

// lose gives up what is unspent beyond keep. The caller holds the lock.
func (l *line) lose(keep int64) (n int64) {
	l.moves.Add(1)
	n = l.book.lower(l, keep)
	l.returned += n
	l.ours.Add(-n)
	l.moves.Add(1)
	return n
}

// used is what requests of this edge have spent or hold. Every request asks, so that it takes the lock only while money comes
// or goes.
func (l *line) used() int64 {
	if moves := l.moves.Load(); moves&1 == 0 {
		if used := l.ours.Load() - l.avail.Load(); l.moves.Load() == moves {
			return used
		}
	}
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

// demand is what the waiting requests ask for together, and the least that has to come before another
// of them can go on. The caller holds the lock.
func (l *line) demand() (all, least int64) {
	lacking, smallest := int64(math.MaxInt64), int64(math.MaxInt64)
	for _, w := range l.waiters {
		all = sum(all, w.amount)
		smallest = min(smallest, w.amount)
		if lacks := l.lacks(w.amount); lacks > 0 {
			lacking = min(lacking, lacks)
		}
	}
	switch {
	case len(l.waiters) == 0:
		return 0, 0
	case lacking < math.MaxInt64:
		return all, lacking
	default: // each can go on, but not all
		return all, smallest
	}
}

// hopes says whether a request waits that lacks money which the ledger may have. The caller holds the
// lock.
func (l *line) hopes() bool {
	for _, w := range l.waiters {
		if lacks := l.lacks(w.amount); lacks > 0 && !l.denies(lacks) {
			return true
		}
	}
	return false
}

// helps says whether what is left is enough for a request that waits. The caller holds the lock.
func (l *line) helps() bool {
	for _, w := range l.waiters {
		if l.lacks(w.amount) <= 0 {
			return true
		}
	}
	return false
}

// sum adds what is not negative, up to the largest number.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// times multiplies what is not negative, up to the largest number.
func times(amount, n int64) int64 {
	if amount > math.MaxInt64/n {
		return math.MaxInt64
	}
	return amount * n
}
