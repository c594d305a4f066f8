package admit

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// mostLines bounds a lease request.
const mostLines = 500

// notLater is how far off the next turn of a line can be. One that seems further off was set by a
// clock that went back since.
const (
	notLater = int64(time.Minute)
	atOnce   = math.MinInt64 / 2
)

// sender asks the ledger of one partition: one request at a time, so that everything that comes up
// while one is under way goes along with the next.
type sender struct {
	book *Book
	part uint32
	wake chan struct{}

	busy       chan struct{} // full while one sends
	silent     atomic.Bool   // the last request had no answer
	answerTime atomic.Int64  // how long the ledger takes to answer when it is slow, in nanoseconds

	joining sync.Mutex // held while the partition is joined
	joined  atomic.Bool

	mu       sync.Mutex // guards the fields below and the lines' queued and due
	queue    []*line
	underWay bool
	fails    int   // requests without an answer, in a row
	again    int64 // when to ask after that
}

// backoff is how long after a request without an answer the next one is made.
func backoff(fails int) time.Duration {
	const first, most, doublings = 50 * time.Millisecond, 500 * time.Millisecond, 4
	return min(first<<min(fails-1, doublings), most)
}

// ask has a line told to the ledger. One that waits for its turn to ask again keeps waiting.
func (s *sender) ask(l *line) { s.put(l, 0, false) }

// hurry is ask, now: even if the ledger gave no answer a moment ago, because it has spoken since, or there
// will be no later.
func (s *sender) hurry(l *line) {
	s.mu.Lock()
	s.again = atOnce
	s.mu.Unlock()
	s.put(l, 0, true)
}

func (s *sender) put(l *line, after time.Duration, sooner bool) {
	due := int64(atOnce)
	if after > 0 {
		due = s.book.clock() + int64(after)
	}
	s.mu.Lock()
	switch {
	case !l.queued:
		l.queued, l.due = true, due
		s.queue = append(s.queue, l)
	case sooner && due < l.due:
		l.due = due
	}
	s.mu.Unlock()
	s.book.activate(l)
	s.nudge()
}

func (s *sender) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// due takes what is due out of the queue, and says when the rest will be.
func (s *sender) due() (batch []*line, wait time.Duration) {
	now := s.book.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	wait = time.Hour
	if s.underWay {
		return nil, wait
	}
	if d := s.again - now; s.fails > 0 && d > 0 && d <= notLater {
		return nil, time.Duration(d) // with all that comes up until then
	}
	rest := s.queue[:0]
	for _, l := range s.queue {
		if d := l.due - now; d > 0 && d <= notLater || len(batch) == mostLines {
			wait = min(wait, time.Duration(max(d, 0)))
			rest = append(rest, l)
			continue
		}
		l.queued = false
		batch = append(batch, l)
	}
	clear(s.queue[len(rest):])
	s.queue = rest
	s.underWay = len(batch) > 0
	return batch, wait
}

// ready says that no request is under way any more.
func (s *sender) ready() {
	s.mu.Lock()
	s.underWay = false
	s.mu.Unlock()
	s.nudge()
}

// join tells of the partition, once.
func (s *sender) join() error {
	if s.joined.Load() {
		return nil
	}
	s.joining.Lock()
	defer s.joining.Unlock()
	if s.joined.Load() {
		return nil
	}
	if err := s.book.cfg.Join(s.part); err != nil {
		return err
	}
	s.joined.Store(true)
	return nil
}

// Exchange is a request to the ledger that is under way. It ends by Done or Failed, and until then
// there is no other of its partition.
type Exchange struct {
	sender *sender
	lines  []*line
	sent   []*eventv1.LeaseLine
	began  int64
}

// Next is what is to be asked of a partition's leader now. Without anything, it says when to look
// again; that may be sooner after something has changed.
func (b *Book) Next(part uint32) (x *Exchange, wait time.Duration) { return b.sender(part).next() }

func (s *sender) next() (*Exchange, time.Duration) {
	for {
		batch, wait := s.due()
		if len(batch) == 0 {
			return nil, wait
		}
		if err := s.join(); err != nil {
			s.report(err)
			for _, l := range batch {
				s.put(l, retryAfter, false)
			}
			s.ready()
			return nil, retryAfter
		}
		x := &Exchange{sender: s, began: s.book.clock()}
		for _, l := range batch {
			if r := l.request(); r != nil {
				x.lines, x.sent = append(x.lines, l), append(x.sent, r)
			} else {
				// There seems to be enough by now. Whoever waits is to see for himself, and ask again if
				// it is gone by then: nobody else would.
				l.wake()
			}
		}
		if len(x.lines) > 0 {
			return x, 0
		}
		s.ready()
	}
}

// Part is the partition that is asked.
func (x *Exchange) Part() uint32 { return x.sender.part }

// Lines is what to send.
func (x *Exchange) Lines() []*eventv1.LeaseLine { return x.sent }

// Done takes in the answer, which is durable at the ledger. A line that it leaves out is asked again.
func (x *Exchange) Done(grants []*eventv1.GrantLine) {
	s := x.sender
	s.mu.Lock()
	s.fails = 0
	s.mu.Unlock()
	took := max(0, s.book.clock()-x.began)
	s.answerTime.Store(max(took, s.answerTime.Load()/16*15))
	answer := make(map[contract.Window]*eventv1.GrantLine, len(grants))
	for _, g := range grants {
		answer[contract.WindowOf(g.GetWindow())] = g
	}
	for i, l := range x.lines {
		g, ok := answer[l.window]
		if !ok {
			s.put(l, backoff(l.failed(x.sent[i])), false)
			continue
		}
		news, after, again := l.answered(x.sent[i], g)
		if again {
			// Before anybody is woken who would ask sooner.
			s.put(l, after, false)
		}
		if news || !again {
			l.wake()
		}
	}
	s.ready()
}

// Failed is for a request that got no answer. Whether the ledger has heard it does not matter.
func (x *Exchange) Failed() {
	s := x.sender
	s.mu.Lock()
	s.fails++
	s.again = s.book.clock() + int64(backoff(s.fails))
	s.mu.Unlock()
	for i, l := range x.lines {
		l.failed(x.sent[i])
		s.put(l, 0, false)
	}
	s.ready()
}

// Parts are the partitions of which something was drawn on, in ascending order.
func (b *Book) Parts() []uint32 {
	var out []uint32
	for _, s := range b.allSenders() {
		out = append(out, s.part)
	}
	return out
}

func (b *Book) allSenders() []*sender {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]*sender, 0, len(b.senders))
	for _, s := range b.senders {
		out = append(out, s)
	}
	slices.SortFunc(out, func(x, y *sender) int { return cmp.Compare(x.part, y.part) })
	return out
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
