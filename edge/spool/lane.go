package spool

import (
	"errors"
	"os"
	"sync"
	"time"

	"tollgate/internal/contract"
)

// lane is the way of events to one partition: those of the live incarnation, or those of the old ones,
// oldest first. Of each lane one batch is under way at a time, so that a failure cannot leave a hole;
// lanes do not wait for one another.
type lane struct {
	part uint32
	old  bool
	wake chan struct{}

	mu     sync.Mutex // guards all below
	batch  batch
	work   work
	out    *Sending  // under way or to be tried again; nil if none
	away   bool      // it is under way
	failed int       // how often it could not be published
	retry  time.Time // when it is tried again
}

// laneOf is the lane of a partition. The publisher is told of a new one.
func (s *Spool) laneOf(part uint32, old bool) *lane {
	for _, l := range s.lanes {
		if l.part == part && l.old == old {
			return l
		}
	}
	l := &lane{part: part, old: old, wake: make(chan struct{}, 1)}
	s.lanes = append(s.lanes, l)
	signal(s.wakeLanes)
	return l
}

// lanesFrom are those that were made after the first n.
func (s *Spool) lanesFrom(n int) []*lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lanes[n:len(s.lanes):len(s.lanes)]
}

// Sending is a batch on its way to the stream. Published or Failed ends it.
type Sending struct {
	Subject string
	MsgID   string
	Data    []byte // valid until then
	p       *Publisher
	lane    *lane
}

// Next is a batch that is due, or nil. Whoever drives a publisher by hand, in place of Run, publishes it
// and says how that went; of an incarnation and partition there is no other meanwhile. A batch that has
// failed is due again later, as it is.
func (p *Publisher) Next(now time.Time) *Sending {
	for _, l := range p.spool.lanesFrom(0) {
		if x, _ := p.next(l, now); x != nil {
			return x
		}
	}
	return nil
}

// next is the next batch of a lane, or how long there is none, -1 for until it is woken. Nothing is due
// while one is under way.
func (p *Publisher) next(l *lane, now time.Time) (*Sending, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away {
		return nil, -1
	}
	if l.out != nil {
		if p.spool.isCovered(l.work.p, l.batch.last) { // its acknowledgement was lost
			l.out, l.failed = nil, 0
		} else if wait := l.retry.Sub(now); wait > 0 {
			return nil, wait
		} else {
			l.away = true
			return l.out, 0
		}
	}
	w, wait := p.spool.pick(l, now)
	if w.in == nil {
		return nil, wait
	}
	if err := p.spool.read(w.in, l.part, w.from, w.to, &l.batch); err != nil {
		if errors.Is(err, os.ErrClosed) { // it was removed, because it is booked
			return nil, 0
		}
		p.log.Error("spool cannot be read", "inc", w.in.inc, "part", l.part, "event", w.from, "error", err)
		return nil, mostBackoff
	}
	l.work, l.away = w, true
	l.out = &Sending{
		Subject: contract.Spend(l.part, p.spool.Options.Edge), MsgID: l.batch.msgID(w.again), Data: l.batch.data, p: p, lane: l,
	}
	return l.out, 0
}

// Published says that the stream has the batch.
func (x *Sending) Published() {
	p, l := x.p, x.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out != x || !l.away {
		return
	}
	if l.failed > 0 {
		p.log.Info("spend events are published again", "inc", l.batch.inc, "part", l.part, "failed", l.failed)
	}
	l.out, l.away, l.failed = nil, false, 0
	p.spool.published(l.work, l.batch.last, p.spool.Options.Now())
}

// Failed says that the stream may not have the batch.
func (x *Sending) Failed() { x.fail(errNotTaken) }

var errNotTaken = errors.New("the stream has not taken it")

// fail has the batch tried again later, and says why, if it is new that batches fail. With no error it
// is just not under way any more.
func (x *Sending) fail(err error) {
	p, l := x.p, x.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out != x || !l.away {
		return
	}
	l.away = false
	if err == nil {
		return
	}
	if l.failed == 0 {
		p.log.Warn("spend events cannot be published; they wait in the spool", "inc", l.batch.inc, "part", l.part, "last", l.batch.last, "error", err)
	}
	l.retry = p.spool.Options.Now().Add(min(leastBackoff<<min(l.failed, 10), mostBackoff))
	l.failed++
}
