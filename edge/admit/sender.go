package admit

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// mostLines bounds a lease request.
const mostLines = 500

// sender asks the ledger of one partition: one request at a time, so that everything that comes up
// while one is under way goes along with the next.
type sender struct {
	book *Book
	part uint32
	wake chan struct{}

	busy   sync.Mutex  // held while a request is under way
	silent atomic.Bool // the last request had no answer

	mu    sync.Mutex // guards queue and the lines' queued and due
	queue []*line
}

// ask has a line told to the ledger. One that waits for its turn to ask again keeps waiting.
func (s *sender) ask(l *line) { s.put(l, 0, false) }

// hurry is ask, now.
func (s *sender) hurry(l *line) { s.put(l, 0, true) }

func (s *sender) put(l *line, after time.Duration, sooner bool) {
	s.mu.Lock()
	due := time.Time{}
	if after > 0 {
		due = time.Now().Add(after)
	}
	switch {
	case !l.queued:
		l.queued, l.due = true, due
		s.queue = append(s.queue, l)
	case sooner && due.Before(l.due):
		l.due = due
	}
	s.mu.Unlock()
	s.book.activate(l)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// next takes what is due out of the queue, and says when the rest will be.
func (s *sender) next() (batch []*line, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	wait = time.Hour
	rest := s.queue[:0]
	for _, l := range s.queue {
		if d := l.due.Sub(now); d > 0 || len(batch) == mostLines {
			wait = min(wait, max(d, 0))
			rest = append(rest, l)
			continue
		}
		l.queued = false
		batch = append(batch, l)
	}
	clear(s.queue[len(rest):])
	s.queue = rest
	return batch, wait
}

// run sends until ctx ends.
func (s *sender) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		batch, wait := s.next()
		if len(batch) > 0 {
			s.busy.Lock()
			s.exchange(ctx, batch, false)
			s.busy.Unlock()
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

// exchange tells the ledger of the lines that have something to say, or of all with tell, and takes
// in its answer. The caller holds busy.
func (s *sender) exchange(ctx context.Context, batch []*line, tell bool) {
	var lines []*line
	var request []*eventv1.LeaseLine
	for _, l := range batch {
		if r := l.request(tell); r != nil {
			lines, request = append(lines, l), append(request, r)
		} else {
			// There seems to be enough by now. Whoever waits is to see for himself, and ask again if
			// it is gone by then: nobody else would.
			l.wake()
		}
	}
	if len(request) == 0 {
		return
	}
	answer, err := s.book.leaser.Lease(ctx, s.part, request)
	if err != nil && ctx.Err() != nil {
		return
	}
	s.report(err)
	grants := make(map[contract.Window]*eventv1.GrantLine, len(answer))
	for _, g := range answer {
		grants[contract.WindowOf(g.GetWindow())] = g
	}
	for i, l := range lines {
		g, ok := grants[l.window]
		if !ok || err != nil {
			s.put(l, l.failed(), false)
			continue
		}
		news, after, again := l.answered(request[i], g)
		if again {
			// Before anybody is woken who would ask sooner.
			s.put(l, after, false)
		}
		if news || !again {
			l.wake()
		}
	}
}

// report logs when the ledger stops answering and when it answers again.
func (s *sender) report(err error) {
	silent := err != nil
	if s.silent.Swap(silent) == silent {
		return
	}
	if silent {
		s.book.log.Warn("ledger does not answer lease requests", "part", s.part, "err", err)
	} else {
		s.book.log.Info("ledger answers lease requests", "part", s.part)
	}
}
