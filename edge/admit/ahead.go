package admit

import (
	"time"

	"tollgate/internal/contract"
	"tollgate/internal/period"
)

// The next window is asked for at some moment of the last leadSeconds of the one that is spent, so
// that neither requests wait when it begins nor all edges ask at once. Windows that are not many
// times as long end too often for that. A ledger that is not ready to give of it that early is asked
// again in the last lastSeconds.
const (
	leadSeconds = 30
	lastSeconds = 5
	manyLeads   = 4
)

// early says whether the window of a line has yet to begin.
func (l *line) early() bool { return l.window.Start > l.book.latest.Load() }

// prepare asks for the next window of a line that is spent and will soon be over.
func (b *Book) prepare(l *line) {
	if p := l.calendar.period; p == period.Total || p == period.Rolling {
		return
	}
	left := l.end - b.latest.Load()
	if left <= 0 || left > leadSeconds || l.end-l.window.Start < manyLeads*leadSeconds {
		return
	}
	l.mu.Lock()
	planned, spent := l.planned, l.burn > 0 && b.tick.Load()-l.tick.Load() <= timesIdle*ticksIdle
	l.planned = planned || spent
	l.mu.Unlock()
	if planned || !spent {
		return
	}
	next := b.next(l)
	if next == nil {
		return
	}
	// Not at the very end: the answer has to be here when the window begins.
	next.sender.put(next, b.upTo(time.Duration(max(0, left-lastSeconds))*time.Second), false)
}

// next opens the line of the window that follows, as fast as it is spent now; nil if it is open.
func (b *Book) next(l *line) *line {
	span := l.calendar.at(l.end)
	w := contract.Window{Account: l.window.Account, Gen: l.window.Gen, Start: span.Start}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lines[w] != nil || b.current[w.Account] != l {
		return nil
	}
	next := b.open(w, span.End, l.calendar, l.sender.part)
	next.unit.Store(l.unit.Load())
	l.mu.Lock()
	terms, burn, cold := l.terms, l.burn, l.cold
	l.mu.Unlock()
	next.mu.Lock()
	defer next.mu.Unlock()
	next.terms, next.burn, next.cold, next.more = terms, burn, cold, true
	next.setFloor()
	return next
}

// untilGiven is when to ask again for a window that begins at a time and that the ledger does not give
// of yet.
func (b *Book) untilGiven(start int64) time.Duration {
	left := time.Duration(start-b.latest.Load()) * time.Second
	return max(time.Second, left-time.Second-b.upTo((lastSeconds-1)*time.Second))
}
