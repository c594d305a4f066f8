package spool

import (
	"errors"
	"os"
	"time"
)

// read fills b with the events from, …, to, or as many of them as fit. It does not hold the lock
// while it reads; a segment that is removed meanwhile makes it fail with os.ErrClosed.
func (s *Spool) read(in *incarnation, from, to uint64, b *batch) error {
	b.reset(in.inc, s.Options.Edge, from)
	for b.last < to {
		s.mu.Lock()
		seg, off := in.locate(b.last + 1)
		var f file
		var size int64
		removed := b.last < in.base
		if seg != nil {
			f, size = seg.f, seg.size
		}
		s.mu.Unlock()
		if removed {
			return os.ErrClosed
		}
		if seg == nil {
			return notFound(in, b.last+1)
		}
		before, full := b.last, false
		_, err := walk(f, off, size, &b.buf, func(_ int64, typ byte, body []byte) error {
			if typ != typeSettle && typ != typeClose {
				return nil
			}
			seq, _, event, err := parseEvent(body)
			if err != nil {
				return err
			}
			for b.last+1 < seq && b.last < to && !full {
				b.event = lostEvent(b.event[:0], in.inc, b.last+1)
				full = !b.add(b.event)
			}
			if b.last < to && !full && seq == b.last+1 {
				full = !b.add(event)
			}
			if full || b.last >= to {
				return errStop
			}
			return nil
		})
		switch {
		case err != nil:
			return err
		case full:
			return nil
		case b.last == before:
			return notFound(in, b.last+1)
		}
	}
	return nil
}

// settledAt is when an event was settled. Depth asks again and again for the same one.
func (s *Spool) settledAt(in *incarnation, want uint64) time.Time {
	if in.oldestSeq == want {
		return in.oldestAt
	}
	seg, off := in.locate(want)
	if seg == nil {
		return time.Time{}
	}
	var buf []byte
	var at time.Time
	_, err := walk(seg.f, off, seg.size, &buf, func(_ int64, typ byte, body []byte) error {
		if typ != typeSettle && typ != typeClose {
			return nil
		}
		seq, _, event, err := parseEvent(body)
		if err == nil && seq >= want {
			at = eventTime(event)
			return errStop
		}
		return err
	})
	if err != nil && !errors.Is(err, errMalformed) {
		s.log.Error("spool cannot be read", "inc", in.inc, "event", want, "error", err)
	}
	in.oldestSeq, in.oldestAt = want, at
	return at
}
