package admit

// pace is how fast a line is spent, and with that how much of it is worth holding. It is guarded by
// the line's lock.
type pace struct {
	burn     int64 // nano-dollars a second, averaged over about burnOver
	measured int64 // when, in milliseconds of the book's clock
	spent    int64 // what was used then
}

// Leases last for so long at the pace at which they are spent: longer where that is slow, because
// asking often would cost the ledger more than the money is worth to others.
const (
	holdSeconds     = 10
	holdSlowSeconds = 60
	slowest         = 4 // times Config.Ahead requests, held at most for the longer time
)

const (
	burnOver = 10_000              // milliseconds
	mostBurn = 100_000_000_000_000 // a hundred thousand dollars; what is faster is not told apart
)

// measure brings burn up to now. The caller holds the lock.
func (l *line) measure() {
	now := l.book.clock() / millisecond
	if l.early() { // it has the pace of the window before
		l.measured = now
		return
	}
	used := l.granted - l.returned - l.avail.Load()
	passed := min(max(now-l.measured, 0), burnOver)
	spent := min(max(used-l.spent, -mostBurn), mostBurn)
	l.burn += (spent*1000 - l.burn*passed) / burnOver
	if spent == 0 && passed > 0 {
		l.burn-- // the last of it does not divide
	}
	l.burn = min(max(0, l.burn), mostBurn)
	l.measured, l.spent = now, used
}

// ahead is what is worth holding unspent, or being asked for at least when requests wait. The caller
// holds the lock.
func (l *line) ahead(wait bool) int64 {
	unit := l.unit.Load()
	want := l.burn * holdSeconds
	if l.cold && !wait {
		return max(want, unit)
	}
	few := times(unit, l.book.cfg.Ahead)
	return max(want, few, min(l.burn*holdSlowSeconds, times(few, slowest)))
}

// setLow says below what more is asked for: less than a third of what there is, or what is spent
// while the ledger takes its time to answer a few times over. Near a limit nothing is asked for ahead
// of need, but an account that only warns has the ledger know when it spends what it was not granted.
// The caller holds the lock.
func (l *line) setLow() {
	switch {
	case l.short.Load() && l.floor.Load() < 0 && !l.book.before(l.denied):
		l.low.Store(0)
		return
	case l.short.Load():
		l.low.Store(off)
		return
	}
	const most = holdSeconds * 1000 / 4
	answer := min(l.sender.answerTime.Load()/millisecond, most)
	l.low.Store(max(l.avail.Load()/10*3, l.burn*4*answer/1000))
}
