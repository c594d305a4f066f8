package spool

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// goneSuffix marks a directory that is being removed. Half of one must not be taken for an
// incarnation that still has something to settle.
const goneSuffix = ".gone"

// tidy does what time brings: it tries again what the disk refused, and gives back what is booked.
func (s *Spool) tidy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	_ = s.unpark() // its error is kept and shown by Err
	again := s.broken
	s.broken = nil
	for _, dir := range again {
		s.recoverOne(dir)
	}
	s.carry()
	for _, in := range s.all() {
		s.giveBack(in, false)
	}
	s.old = slices.DeleteFunc(s.old, s.removeIfBooked)
	signal(s.wakeAhead)
}

// carry copies unsettled intents out of segments that hold nothing else of use, so that a stream of
// hours does not keep what was written since. The place for the copy was reserved with the intent.
func (s *Spool) carry() {
	if len(s.live.segs) < 2 {
		return
	}
	cur := s.live.current()
	for k := range s.slots {
		sl := s.slots[k]
		if sl.n == 0 || sl.seg == cur || !s.live.bookedIn(sl.seg) {
			continue
		}
		if err := s.writeIntent(sl); err != nil {
			s.log.Error("spool cannot copy an intent to a newer segment", "error", err)
			return
		}
		s.reservedHere -= sl.record
		sl.seg.intents--
		sl.seg = cur
		cur.intents++
	}
}

// bookedIn says whether all events in a segment are booked.
func (in *incarnation) bookedIn(seg *segment) bool {
	for pi, r := range seg.runs {
		if r.last > in.parts[pi].hwm {
			return false
		}
	}
	return true
}

// bookedBefore says whether all events before a segment are booked.
func (in *incarnation) bookedBefore(seg *segment) bool {
	for pi, r := range seg.runs {
		if r.base > in.parts[pi].hwm {
			return false
		}
	}
	return true
}

// giveBack removes segments from the oldest on that are booked and settled: those that have been so
// for the linger, as the ledger told after it, or at once if now is set. What only a database has booked
// that was restored since is kept in any case until the one that is there now has told.
func (s *Spool) giveBack(in *incarnation, now bool) {
	at := s.Options.Now()
	if !s.isConfirmed(in) {
		return
	}
	for k, seg := range in.segs[:max(len(in.segs)-1, 0)] {
		switch done := seg.intents == 0 && in.bookedBefore(in.segs[k+1]); {
		case !done:
			seg.booked = time.Time{}
		case seg.booked.IsZero():
			seg.booked = at
		}
	}
	for len(in.segs) > 1 {
		seg := in.segs[0]
		if seg.booked.IsZero() || !now && in.lastTold(seg, at).Sub(seg.booked) < s.Options.Linger {
			return
		}
		if err := errors.Join(seg.f.Close(), s.storage.Remove(seg.path)); err != nil {
			s.log.Warn("spool segment is not removed", "segment", seg.path, "error", err)
		}
		s.used -= seg.charged
		in.segs = slices.Delete(in.segs, 0, 1)
		for pi, p := range in.parts {
			p.base = in.segs[0].base(int32(pi))
		}
	}
}

// room says whether another segment may be made, after giving back for it what is only kept for the
// linger: the stream still has that, and without room no request is admitted.
func (s *Spool) room() bool {
	fits := func() bool {
		used := s.used
		if cur := s.live.current(); cur != nil {
			used -= cur.charged - cur.size
		}
		return used+s.Options.SegmentBytes <= s.Options.MaxBytes
	}
	if fits() {
		return true
	}
	s.carry()
	s.old = slices.DeleteFunc(s.old, func(in *incarnation) bool {
		return in.isBooked() && s.isConfirmed(in) && s.remove(in)
	})
	for _, in := range s.all() {
		s.giveBack(in, true)
		if fits() {
			return true
		}
	}
	return fits()
}

// removeIfBooked removes an incarnation that is booked whole and has been so for the linger, as the ledger
// told after it.
func (s *Spool) removeIfBooked(in *incarnation) bool {
	return in.isBooked() && s.isConfirmed(in) && in.lastTold(nil, s.Options.Now()).Sub(in.covered) >= s.Options.Linger && s.remove(in)
}

// remove takes an incarnation off the disk.
func (s *Spool) remove(in *incarnation) bool {
	gone := in.dir + goneSuffix
	if err := s.storage.Rename(in.dir, gone); err != nil {
		s.log.Warn("spool directory is not removed", "dir", in.dir, "error", err)
		return false
	}
	for _, seg := range in.segs {
		s.used -= seg.charged
	}
	if err := errors.Join(in.closeFiles(), s.storage.Remove(gone)); err != nil {
		s.log.Warn("spool directory is not removed", "dir", gone, "error", err)
	}
	s.log.Info("spool of an old incarnation is booked and removed", "inc", in.inc)
	return true
}

var errNotFound = errors.New("event is not on disk")

func notFound(in *incarnation, part uint32, seq uint64) error {
	return fmt.Errorf("incarnation %d, partition %d, event %d: %w", in.inc, part, seq, errNotFound)
}
