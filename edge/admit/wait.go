package admit

import (
	"context"
	"slices"
	"time"
)

// waiter is a request that waits for money. It holds none.
type waiter struct {
	*Hold
	turn chan struct{} // a try may succeed, or is not to be made any more
}

// wait returns once the hold has its money, or with the reason why it will not get any.
func (b *Book) wait(ctx context.Context, h *Hold) error {
	if err := b.refusal(h); err != nil {
		return err
	}
	w := &waiter{h, make(chan struct{}, 1)}
	seen := make([]uint64, len(h.lines))
	for i, l := range h.lines {
		seen[i] = l.join(w)
	}
	defer func() {
		for _, l := range h.lines {
			l.leave(w)
		}
	}()
	timer := time.NewTimer(b.cfg.Wait)
	defer timer.Stop()
	for {
		// Only now that refunds and grants wake it: none can slip in between.
		if h.take() {
			return nil
		}
		if err := b.refusal(h); err != nil {
			return err
		}
		// It may sleep only while some line that it lacks money of has an answer to come, because
		// every answer wakes it. One that had enough before may have been drawn on since.
		asked := false
		for _, l := range h.lines {
			if l.avail.Load() < h.amount {
				b.sender(l.part).ask(l)
				asked = true
			}
		}
		if !asked {
			continue
		}
		select {
		case <-w.turn:
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			if h.take() {
				return nil
			}
			return b.tooLate(h, seen)
		}
	}
}

// refusal is why waiting is in vain, if that is known.
func (b *Book) refusal(h *Hold) error {
	now := time.Now()
	var away error
	for _, l := range h.lines {
		if l.avail.Load() >= h.amount {
			continue
		}
		l.mu.Lock()
		denied, unreachable := now.Before(l.denied), now.Before(l.away)
		// The answer that there is no more may have come with the last money there was.
		enough := l.avail.Load() >= h.amount
		l.mu.Unlock()
		switch {
		case enough:
		case denied:
			return exhausted(l, h.amount)
		case unreachable && away == nil:
			away = unavailable(l, h.amount)
		}
	}
	return away
}

// tooLate is why a hold did not get its money in time. Where the ledger was silent, requests do not
// wait for it again for a second: there would soon be many of them.
func (b *Book) tooLate(h *Hold, seen []uint64) error {
	var pending error
	for i, l := range h.lines {
		if l.avail.Load() >= h.amount {
			continue
		}
		l.mu.Lock()
		silent, unknown := l.answers == seen[i], l.unknown
		if silent {
			l.away = time.Now().Add(retryAfter)
		}
		l.mu.Unlock()
		switch {
		case silent:
			return unavailable(l, h.amount)
		case unknown:
			return notKnown(l)
		case pending == nil:
			pending = exhausted(l, h.amount).WithRetryAfter(retryAfter)
		}
	}
	if pending == nil { // the money came and went while this was looked at
		pending = exhausted(h.lines[0], h.amount).WithRetryAfter(retryAfter)
	}
	return pending
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
func (l *line) join(w *waiter) (answers uint64) {
	l.waiting.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters = append(l.waiters, w)
	return l.answers
}

func (l *line) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters = slices.DeleteFunc(l.waiters, func(o *waiter) bool { return o == w })
	l.waiting.Add(-1)
}
