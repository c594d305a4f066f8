package spool

import (
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// How long to wait for a mark before an event is taken for lost, and how often to believe the same
// report of a gap: one gap is reported for each batch that was under way behind it.
const (
	leastRTO = 5 * time.Second
	mostRTO  = time.Minute
	gapHold  = time.Second
)

// cursor is how far an incarnation is published to a partition and booked there. The ledger's mark is the
// only truth; that the stream has taken a batch says nothing.
type cursor struct {
	hwm   uint64    // booked
	epoch int64     // of the database that said so
	told  time.Time // when it said so last
	next  uint64    // event to be published next
	sent  uint64    // last event that was ever published

	fresh int       // bytes that wait, about
	since time.Time // when the first of those that wait was settled

	again             uint32 // how often it went back
	backTo            uint64 // where to, and when
	backAt            time.Time
	resend, resendEnd uint64        // events to be published once more because no mark came; none if 0
	window            uint64        // how many of them at a time
	rto               time.Duration // doubles while no mark comes
	rtoAt             time.Time     // zero while nothing waits for a mark
}

// work is a run of events to be published.
type work struct {
	in       *incarnation
	p        *partition
	from, to uint64
	again    uint32
	resend   bool
}

// added wakes the publisher when it may send: for the first event, and for a full batch.
func (s *Spool) added(in *incarnation, p *partition, size int) {
	waiting := p.lastSeq + 1 - p.next
	before := p.fresh
	p.fresh += size
	switch {
	case waiting == 1:
		p.since, p.fresh = s.Options.Now(), size
	case waiting == batchEvents, before < batchBytes && p.fresh >= batchBytes, in.ended:
	default:
		return
	}
	if p.lane != nil {
		signal(p.lane.wake)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pick is the next thing to publish in a lane, of its oldest incarnation first; or how long there will
// be nothing unless something happens, and -1 for ever.
func (s *Spool) pick(l *lane, now time.Time) (work, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return work{}, -1
	}
	if !l.old {
		return s.due(s.live, s.live.find(l.part), now)
	}
	wait := time.Duration(-1)
	for _, in := range s.old {
		p := in.find(l.part)
		if p == nil {
			continue
		}
		w, d := s.due(in, p, now)
		if w.in != nil {
			return w, 0
		}
		if d >= 0 && (wait < 0 || d < wait) {
			wait = d
		}
	}
	return work{}, wait
}

func (s *Spool) due(in *incarnation, p *partition, now time.Time) (work, time.Duration) {
	wait := time.Duration(-1)
	if p.hwm < p.next-1 && !p.rtoAt.IsZero() {
		if wait = p.rtoAt.Sub(now); wait <= 0 {
			p.timeout(now)
			wait = p.rtoAt.Sub(now)
		}
	}
	if p.resend > 0 {
		return work{in: in, p: p, from: p.resend, to: p.resendEnd, again: p.again, resend: true}, 0
	}
	if waiting := p.lastSeq + 1 - p.next; waiting > 0 {
		age := p.since.Add(batchAge).Sub(now)
		if in.ended || waiting >= batchEvents || p.fresh >= batchBytes || age <= 0 {
			w := work{in: in, p: p, from: p.next, to: p.lastSeq}
			if p.next <= p.sent {
				w.again = p.again
			}
			return w, 0
		}
		if wait < 0 || age < wait {
			wait = age
		}
	}
	return work{}, wait
}

// timeout sends a little of what is not booked once more. While the ledger is away that is all that
// is sent twice; when exactly that little gets booked, the rest is lost as well and more is sent.
func (p *partition) timeout(now time.Time) {
	if p.resendEnd > 0 && p.hwm == p.resendEnd {
		p.window *= 8
	} else {
		p.window = batchEvents
	}
	p.again++
	p.resend = max(p.hwm, p.base) + 1
	p.resendEnd = min(p.resend+p.window-1, p.next-1)
	if p.resend > p.resendEnd {
		p.resend, p.resendEnd = 0, 0
	}
	p.rto = min(2*p.rto, mostRTO)
	p.rtoAt = now.Add(p.rto)
}

// published moves on behind a batch, unless a mark went back meanwhile.
func (s *Spool) published(w work, last uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := w.p
	p.sent = max(p.sent, last)
	if !w.resend && (p.rtoAt.IsZero() || p.hwm+1 >= w.from) {
		p.rto, p.rtoAt = leastRTO, now.Add(leastRTO) // nothing waited for a mark before
	}
	switch {
	case w.resend:
		if p.resend == w.from {
			if p.resend = last + 1; p.resend > p.resendEnd {
				p.resend = 0
			}
		}
	case p.next == w.from:
		p.next, p.since = last+1, now
		if p.fresh = max(p.fresh-batchBytes, 0); p.next > p.lastSeq {
			p.fresh = 0
		}
	}
}

// mark takes a high-water mark into account.
func (s *Spool) mark(m *eventv1.Mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.all() {
		if p := in.find(m.GetPart()); p != nil && in.inc == m.GetInc() {
			s.markOne(in, p, m)
			signal(p.lane.wake)
			return
		}
	}
}

func (s *Spool) markOne(in *incarnation, p *partition, m *eventv1.Mark) {
	hwm, now := m.GetHwm(), s.Options.Now()
	if hwm > p.lastSeq {
		s.log.Error("the ledger has booked events that this spool does not have; its disk lost them",
			"inc", in.inc, "part", p.part, "booked", hwm, "last", p.lastSeq)
		hwm = p.lastSeq
	}
	if m.GetEpoch() < p.epoch {
		return
	}
	restored := m.GetEpoch() > p.epoch && hwm < p.hwm
	p.epoch = m.GetEpoch()
	if hwm > p.hwm || restored {
		p.hwm = hwm
		p.rto, p.rtoAt = leastRTO, now.Add(leastRTO)
	}
	if hwm == p.hwm {
		p.told = now
	}
	if p.resend > 0 && p.resend <= p.hwm {
		if p.resend = p.hwm + 1; p.resend > p.resendEnd {
			p.resend = 0
		}
	}
	if p.next <= p.hwm {
		p.next = p.hwm + 1
	}
	switch {
	case !in.isBooked():
		in.covered = time.Time{}
	case in.covered.IsZero():
		in.covered = now
	}
	if restored { // the linger begins anew
		for _, seg := range in.segs {
			seg.booked = time.Time{}
		}
	}
	if restored || m.GetGap() {
		s.goBack(in, p, hwm+1, now)
	}
}

// goBack publishes again from seq on.
func (s *Spool) goBack(in *incarnation, p *partition, seq uint64, now time.Time) {
	if seq <= p.base {
		s.log.Error("the ledger misses events that this spool has given back; they are only in the stream",
			"inc", in.inc, "part", p.part, "wanted", seq, "kept_from", p.base+1)
		seq = p.base + 1
	}
	if seq >= p.next || seq == p.backTo && now.Sub(p.backAt) < gapHold {
		return
	}
	s.log.Info("spool publishes again what the ledger does not have", "inc", in.inc, "part", p.part, "from", seq, "to", p.next-1)
	p.backTo, p.backAt = seq, now
	p.again++
	p.next, p.since = seq, now
	p.fresh = batchBytes
	p.resend, p.resendEnd = 0, 0
	p.rto, p.rtoAt = leastRTO, now.Add(leastRTO)
}

// drained says whether the ledger has all of the live incarnation.
func (s *Spool) drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live.isBooked()
}

// isCovered says whether an event is booked, so that nothing needs to be sent up to it.
func (s *Spool) isCovered(p *partition, seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.hwm >= seq
}
