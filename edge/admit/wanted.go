package admit

import (
	"context"
	"math"
	"slices"
	"time"

	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// Wanted is a request that wants money and waits for it. It holds none meanwhile. It is for one
// goroutine at a time.
type Wanted struct {
	book   *Book
	hold   *Hold
	lines  []*line
	amount int64
	grow   bool          // the hold is extended, not begun
	turn   chan struct{} // a try may succeed, or is not to be made any more
	until  int64         // by the book's clock
	late   bool          // it has waited long enough
	seen   []uint64      // answers of the ledger before it began to wait
	ended  bool
	err    error // with ended
}

// Begin has a request wait for money to be set aside in every account, or in none. What it gets is in
// h after a Try has said so.
func (b *Book) Begin(h *Hold, accounts []*Account, amount money.Nanos) *Wanted {
	w := &Wanted{book: b, hold: h, turn: make(chan struct{}, 1)}
	if w.lines, w.err = b.draw(h, accounts, amount, true); w.err != nil {
		w.ended = true
		return w
	}
	w.amount = int64(amount)
	w.join()
	return w
}

// BeginExtend is as Begin, for more to be set aside in every account of a hold.
func (h *Hold) BeginExtend(more money.Nanos) *Wanted {
	w := &Wanted{hold: h, lines: h.lines, amount: max(0, int64(more)), grow: true, turn: make(chan struct{}, 1)}
	if len(w.lines) == 0 || w.amount == 0 {
		w.ended = true
		return w
	}
	w.book = h.lines[0].book
	if w.amount > math.MaxInt64-h.amount {
		w.ended, w.err = true, exhausted(h.lines[0], w.amount)
		return w
	}
	w.join()
	return w
}

// Try says whether the request is done with waiting: with its money, or with the error for which it
// gets none. Otherwise the ledger is asked, and it is worth trying again after something has come of
// that.
func (w *Wanted) Try() (done bool, err error) {
	for !w.ended {
		// Only now that refunds and grants wake it: none can slip in between.
		if take(w.lines, w.amount) {
			if w.grow {
				w.hold.amount += w.amount
			} else {
				w.hold.begin(w.lines, w.amount)
			}
			w.end(nil)
			break
		}
		if err := w.refusal(); err != nil {
			w.end(err)
			break
		}
		if w.late || w.book.clock() >= w.until {
			w.end(w.tooLate())
			break
		}
		// It may sleep only while some line that it lacks money of has an answer to come, because
		// every answer wakes it. One that had enough before may have been drawn on since.
		asked := false
		for _, l := range w.lines {
			if l.lacks(w.amount) > 0 {
				l.sender.ask(l)
				asked = true
			}
		}
		if asked {
			return false, nil
		}
	}
	return true, w.err
}

// End gives up waiting, if that is not over.
func (w *Wanted) End() {
	if !w.ended {
		w.end(context.Canceled)
	}
}

func (w *Wanted) join() {
	w.until = w.book.clock() + int64(w.book.cfg.Wait)
	w.seen = make([]uint64, len(w.lines))
	for i, l := range w.lines {
		w.seen[i] = l.join(w)
	}
}

func (w *Wanted) end(err error) {
	w.ended, w.err = true, err
	for _, l := range w.lines {
		l.leave(w)
	}
}

// wait tries until it is done, or ctx is.
func (w *Wanted) wait(ctx context.Context) error {
	defer w.End()
	var timer *time.Timer
	for {
		done, err := w.Try()
		if done {
			return err
		}
		if timer == nil {
			timer = time.NewTimer(w.book.cfg.Wait)
			defer timer.Stop()
		}
		select {
		case <-w.turn:
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			w.late = true
		}
	}
}

// refusal is why waiting is in vain, if that is known.
func (w *Wanted) refusal() error {
	var away error
	for _, l := range w.lines {
		if l.lacks(w.amount) <= 0 {
			continue
		}
		l.mu.Lock()
		// The answer that there is no more may have come with the last money there was.
		lacks := l.lacks(w.amount)
		denied, unreachable := l.denies(lacks), l.book.before(l.away)
		l.mu.Unlock()
		switch {
		case lacks <= 0:
		case denied:
			return exhausted(l, w.amount)
		case unreachable && away == nil:
			away = unavailable(l, w.amount)
		}
	}
	return away
}

// tooLate is why a request did not get its money in time. Where the ledger was silent, requests do
// not wait for it again for a second: there would soon be many of them.
func (w *Wanted) tooLate() error {
	var pending *fault.Error
	for i, l := range w.lines {
		if l.lacks(w.amount) <= 0 {
			continue
		}
		l.mu.Lock()
		silent, unknown, ample := l.answers == w.seen[i], l.unknown, l.ample
		if silent {
			l.away = l.book.clock() + int64(retryAfter)
		}
		l.mu.Unlock()
		left, known := l.left()
		switch {
		case silent:
			return unavailable(l, w.amount)
		case unknown:
			return notKnown(l)
		case pending != nil:
		case ample && known && left >= w.amount:
			pending = overtaken(l, w.amount)
		default:
			pending = exhausted(l, w.amount)
		}
	}
	if pending == nil { // the money came and went while this was looked at
		pending = exhausted(w.lines[0], w.amount)
	}
	return pending.WithRetryAfter(retryAfter)
}

// wake has the requests that wait for this line try again.
func (l *line) wake() {
	if l.waiting.Load() == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiters {
		select {
		case w.turn <- struct{}{}:
		default: // told already
		}
	}
}

// join counts w among those who wait, and says how many answers there were so far.
func (l *line) join(w *Wanted) (answers uint64) {
	l.waiting.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters = append(l.waiters, w)
	l.unit.Store(max(l.unit.Load(), w.amount))
	return l.answers
}

func (l *line) leave(w *Wanted) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.waiters)
	l.waiters = slices.DeleteFunc(l.waiters, func(o *Wanted) bool { return o == w })
	l.waiting.Add(int32(len(l.waiters) - n))
}
