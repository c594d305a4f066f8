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

// cursor is how far an incarnation is published and booked. The ledger's mark is the only truth; that
// the stream has taken a batch says nothing.
type cursor struct {
	hwm   uint64 // booked
	epoch int64  // of the database that said so
	next  uint64 // event to be published next
	sent  uint64 // last event that was ever published

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
	from, to uint64
	again    uint32
	resend   bool
}

// added wakes the publisher when it may send: for the first event, and for a full batch.
func (s *Spool) added(in *incarnation, size int) {
	waiting := in.lastSeq + 1 - in.next
	before := in.fresh
	in.fresh += size
	switch {
	case waiting == 1:
		in.since, in.fresh = time.Now(), size
	case waiting == batchEvents, before < batchBytes && in.fresh >= batchBytes, in.closeSeq > 0:
	default:
		return
	}
	signal(s.wakeLive)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pick is the next thing to publish of the live incarnation or of the old ones, oldest first; or how
// long there will be nothing unless something happens, and -1 for ever.
func (s *Spool) pick(old bool) (work, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return work{}, -1
	}
	set := s.old
	if !old {
		set = []*incarnation{s.live}
	}
	wait := time.Duration(-1)
	now := time.Now()
	for _, in := range set {
		w, d := s.due(in, now)
		if w.in != nil {
			return w, 0
		}
		if d >= 0 && (wait < 0 || d < wait) {
			wait = d
		}
	}
	return work{}, wait
}

func (s *Spool) due(in *incarnation, now time.Time) (work, time.Duration) {
	wait := time.Duration(-1)
	if in.hwm < in.next-1 && !in.rtoAt.IsZero() {
		if wait = in.rtoAt.Sub(now); wait <= 0 {
			s.timeout(in, now)
			wait = in.rtoAt.Sub(now)
		}
	}
	if in.resend > 0 {
		return work{in: in, from: in.resend, to: in.resendEnd, again: in.again, resend: true}, 0
	}
	if waiting := in.lastSeq + 1 - in.next; waiting > 0 {
		age := in.since.Add(batchAge).Sub(now)
		if in.closeSeq > 0 || waiting >= batchEvents || in.fresh >= batchBytes || age <= 0 {
			w := work{in: in, from: in.next, to: in.lastSeq}
			if in.next <= in.sent {
				w.again = in.again
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
func (s *Spool) timeout(in *incarnation, now time.Time) {
	if in.resendEnd > 0 && in.hwm == in.resendEnd {
		in.window *= 8
	} else {
		in.window = batchEvents
	}
	in.again++
	in.resend = max(in.hwm, in.base) + 1
	in.resendEnd = min(in.resend+in.window-1, in.next-1)
	if in.resend > in.resendEnd {
		in.resend, in.resendEnd = 0, 0
	}
	in.rto = min(2*in.rto, mostRTO)
	in.rtoAt = now.Add(in.rto)
}

// published moves on behind a batch, unless a mark went back meanwhile.
func (s *Spool) published(w work, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, now := w.in, time.Now()
	in.sent = max(in.sent, last)
	if !w.resend && (in.rtoAt.IsZero() || in.hwm+1 >= w.from) {
		in.rto, in.rtoAt = leastRTO, now.Add(leastRTO) // nothing waited for a mark before
	}
	switch {
	case w.resend:
		if in.resend == w.from {
			if in.resend = last + 1; in.resend > in.resendEnd {
				in.resend = 0
			}
		}
	case in.next == w.from:
		in.next, in.since = last+1, now
		if in.fresh = max(in.fresh-batchBytes, 0); in.next > in.lastSeq {
			in.fresh = 0
		}
	}
}

// mark takes a high-water mark into account.
func (s *Spool) mark(m *eventv1.Mark) {
	if m.GetPart() != 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.all() {
		if in.inc == m.GetInc() {
			s.markOne(in, m)
			if in == s.live {
				signal(s.wakeLive)
			} else {
				signal(s.wakeOld)
			}
			return
		}
	}
}

func (s *Spool) markOne(in *incarnation, m *eventv1.Mark) {
	hwm, now := m.GetHwm(), time.Now()
	if hwm > in.lastSeq {
		s.log.Error("the ledger has booked events that this spool does not have; its disk lost them",
			"inc", in.inc, "booked", hwm, "last", in.lastSeq)
		hwm = in.lastSeq
	}
	if m.GetEpoch() < in.epoch {
		return
	}
	restored := m.GetEpoch() > in.epoch && hwm < in.hwm
	in.epoch = m.GetEpoch()
	if hwm > in.hwm || restored {
		in.hwm = hwm
		in.rto, in.rtoAt = leastRTO, now.Add(leastRTO)
	}
	if in.resend > 0 && in.resend <= in.hwm {
		if in.resend = in.hwm + 1; in.resend > in.resendEnd {
			in.resend = 0
		}
	}
	if in.next <= in.hwm {
		in.next = in.hwm + 1
	}
	switch {
	case !in.isBooked():
		in.covered = time.Time{}
	case in.covered.IsZero():
		in.covered = s.Options.Now()
	}
	if restored || m.GetGap() {
		s.goBack(in, hwm+1, now)
	}
}

// goBack publishes again from seq on.
func (s *Spool) goBack(in *incarnation, seq uint64, now time.Time) {
	if seq <= in.base {
		s.log.Error("the ledger misses events that this spool has given back; they are only in the stream",
			"inc", in.inc, "wanted", seq, "kept_from", in.base+1)
		seq = in.base + 1
	}
	if seq >= in.next || seq == in.backTo && now.Sub(in.backAt) < gapHold {
		return
	}
	s.log.Info("spool publishes again what the ledger does not have", "inc", in.inc, "from", seq, "to", in.next-1)
	in.backTo, in.backAt = seq, now
	in.again++
	in.next, in.since = seq, now
	in.fresh = batchBytes
	in.resend, in.resendEnd = 0, 0
	in.rto, in.rtoAt = leastRTO, now.Add(leastRTO)
}

// drained says whether the ledger has all of the live incarnation.
func (s *Spool) drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live.isBooked()
}

// isCovered says whether an event is booked, so that nothing needs to be sent up to it.
func (s *Spool) isCovered(in *incarnation, seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return in.hwm >= seq
}
