package spool

import (
	"errors"
	"os"
	"time"
)

// read fills b with the events from, …, to of a partition, or as many of them as fit. It does not hold
// the lock while it reads; a segment that is removed meanwhile makes it fail with os.ErrClosed.
func (s *Spool) read(in *incarnation, part uint32, from, to uint64, b *batch) error {
	b.reset(in.inc, s.Options.Edge, part, from)
	for b.last < to {
		s.mu.Lock()
		pi := in.place(part)
		seg, off := in.locate(pi, b.last+1)
		var size int64
		known := in.parts[pi].lastSeq
		if seg != nil {
			size = seg.size
		}
		removed := b.last < in.parts[pi].base
		s.mu.Unlock()
		if removed {
			return os.ErrClosed
		}
		if seg == nil {
			return notFound(in, part, b.last+1)
		}
		before, full := b.last, false
		_, err := walk(seg.f, seg.format, off, size, &b.buf, func(_ int64, typ byte, body []byte) error {
			seq, event, ok := b.find(typ, body)
			if !ok || seq > known {
				return nil
			}
			for b.last+1 < seq && b.last < to && !full {
				b.lost = lostEvent(b.lost[:0], in.inc, part, b.last+1)
				full = !b.add(b.lost)
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
			return notFound(in, part, b.last+1)
		}
	}
	return nil
}

// find is the event of the batch's partition in a record, if there is one.
func (b *batch) find(typ byte, body []byte) (seq uint64, event []byte, ok bool) {
	var err error
	if b.events, err = eventsOf(b.events[:0], typ, body); err != nil {
		return 0, nil, false // recovery did not count it either
	}
	for _, e := range b.events {
		if e.part == b.part {
			return e.seq, e.event, true
		}
	}
	return 0, nil, false
}

// eventsOf appends the events in a record of any format to dst.
func eventsOf(dst []numbered, typ byte, body []byte) (_ []numbered, err error) {
	switch typ {
	case typeSettle, typeClose:
		_, dst, err = parseEvents(dst, body)
	case legacySettle, legacyClose:
		_, dst, err = parseLegacyEvent(dst, body)
	}
	return dst, err
}

// settledAt is when an event was settled. Depth asks again and again for the same one.
func (s *Spool) settledAt(in *incarnation, pi int32, want uint64) time.Time {
	p := in.parts[pi]
	if p.oldestSeq == want {
		return p.oldestAt
	}
	seg, off := in.locate(pi, want)
	if seg == nil {
		return time.Time{}
	}
	b := batch{part: p.part}
	var at time.Time
	_, err := walk(seg.f, seg.format, off, seg.size, &b.buf, func(_ int64, typ byte, body []byte) error {
		if seq, event, ok := b.find(typ, body); ok && seq >= want {
			at = eventTime(event)
			return errStop
		}
		return nil
	})
	if err != nil && !errors.Is(err, os.ErrClosed) {
		s.log.Error("spool cannot be read", "inc", in.inc, "part", p.part, "event", want, "error", err)
	}
	p.oldestSeq, p.oldestAt = want, at
	return at
}
