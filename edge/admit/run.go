package admit

import (
	"context"
	"slices"
	"sync"
	"time"

	"tollgate/internal/lifecycle"
)

// Run asks the ledger for what requests need, repeats what is held, and returns what is idle, until
// ctx ends. It runs once.
func (b *Book) Run(ctx context.Context) error {
	var group lifecycle.Group
	defer group.Stop()
	b.mu.Lock()
	b.start = func(s *sender) { group.Go("lease sender", s.run) }
	b.mu.Unlock()
	for _, s := range b.allSenders() {
		b.start(s)
	}
	ticker := time.NewTicker(b.cfg.sweepEvery())
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			b.Sweep()
		}
	}
}

// run sends until ctx ends.
func (s *sender) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		s.busy <- struct{}{}
		x, wait := s.next()
		if x != nil {
			s.send(ctx, x)
		}
		<-s.busy
		if x != nil {
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// send makes an exchange with the ledger. It says whether there was an answer.
func (s *sender) send(ctx context.Context, x *Exchange) bool {
	answer, err := s.book.leaser.Lease(ctx, s.part, x.sent)
	if err != nil {
		x.Failed()
		if ctx.Err() == nil {
			s.report(err)
		}
		return false
	}
	x.Done(answer)
	s.report(nil)
	return true
}

// ReturnAll returns everything that is unspent and waits, not for long, until the ledger has heard
// of it. It is for the end of a process, after its requests.
func (b *Book) ReturnAll() {
	ctx, cancel := context.WithTimeout(context.Background(), b.cfg.Wait)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, s := range b.allSenders() {
		wg.Go(func() {
			// What a request under way brings is to be returned as well.
			select {
			case s.busy <- struct{}{}:
				defer func() { <-s.busy }()
			case <-ctx.Done():
				return
			}
			b.giveBack(s)
			for {
				x, _ := s.next()
				if x == nil || !s.send(ctx, x) {
					return
				}
			}
		})
	}
}

// GiveBack puts everything that is unspent out of reach of requests, and has the ledger told by the
// next exchanges. It is ReturnAll without the exchanges.
func (b *Book) GiveBack() {
	for _, s := range b.allSenders() {
		b.giveBack(s)
	}
}

func (b *Book) giveBack(s *sender) {
	b.mu.Lock()
	var lines []*line
	for _, l := range b.watched {
		if l.sender == s {
			lines = append(lines, l)
		}
	}
	b.mu.Unlock()
	for _, l := range lines {
		l.short.Store(true) // what is refunded later goes back, too
		l.giveBack(0, true)
		s.hurry(l)
	}
}

// A partition is told of all lines not faster than so, so that requests which wait for money meanwhile do
// not wait behind them.
const (
	resyncEach = 100 * time.Microsecond
	resyncMost = 50 * time.Second
)

// Resync tells a partition soon of everything that was granted here: its database went back, and may know
// neither of the grants nor of what was spent.
func (b *Book) Resync(part uint32) {
	s := b.sender(part)
	b.mu.Lock()
	var lines []*line
	for _, l := range b.lines {
		if l.sender == s {
			lines = append(lines, l)
		}
	}
	b.mu.Unlock()
	slices.SortFunc(lines, func(x, y *line) int {
		return x.window.Compare(y.window)
	})
	for i, l := range lines {
		l.mu.Lock()
		known := l.granted > 0 || l.consumed.Load() > 0
		l.tell = l.tell || known
		l.mu.Unlock()
		if known {
			s.put(l, min(time.Duration(i)*resyncEach, resyncMost), true)
		}
	}
}
