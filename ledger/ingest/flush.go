package ingest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"tollgate/internal/feed"
	"tollgate/ledger/store"
)

// flush is what is booked together.
type flush struct {
	at      store.Position
	msgs    []feed.Message
	batches []store.Batch
	bad     []store.Anomaly
}

// gather collects a flush: what arrives within the time, but not much more than is to be booked together.
func (in *Ingest) gather(ctx context.Context, r *feed.Reader) ([]feed.Message, error) {
	var all []feed.Message
	end := time.Now().Add(in.cfg.FlushEvery)
	for size, most := 0, in.size.bytes(); size < most; {
		left := time.Until(end)
		if left <= 0 {
			return all, nil
		}
		msgs, err := r.Next(ctx, fetchMsgs, left)
		all = append(all, msgs...)
		if err != nil {
			return all, err
		}
		for _, m := range msgs {
			size += len(m.Data)
		}
	}
	return all, nil
}

func (in *Ingest) decode(ctx context.Context, at store.Position, msgs []feed.Message) flush {
	f := flush{at: at, msgs: msgs}
	for _, m := range msgs {
		b, err := Decode(m.Subject, m.Data, in.leader.Part())
		if err != nil {
			f.bad = append(f.bad, in.poison(ctx, m, err))
			continue
		}
		f.batches = append(f.batches, b)
	}
	return f
}

// book books a flush and tells of it. If the database does not take it whole, it is booked a message at a
// time: one of them may be what the database does not take, and the others must not suffer.
func (in *Ingest) book(ctx context.Context, f flush, room *room) error {
	began := time.Now()
	out, err := in.leader.Book(ctx, f.at, f.batches, f.bad)
	in.told(ctx, f.at, out) // with an error, too: some of it may have been booked before
	switch {
	case errors.Is(err, store.ErrLost):
		return err
	case err != nil && len(f.msgs) > 1:
		for i, m := range f.msgs {
			at := f.at
			at.Seq = m.Seq
			if err := in.book(ctx, in.decode(ctx, at, f.msgs[i:i+1]), nil); err != nil {
				return err
			}
		}
	case err != nil:
		if _, err = in.leader.Book(ctx, f.at, nil, []store.Anomaly{in.poison(ctx, f.msgs[0], err)}); err != nil {
			return err
		}
	default:
		in.size.booked(f, time.Since(began))
	}
	if room != nil {
		room.booked(ctx, f.msgs)
	}
	return nil
}

// told tells whom it concerns what was booked.
func (in *Ingest) told(ctx context.Context, at store.Position, out store.Booked) {
	in.tell.Marks(out.Marks)
	in.tell.Changed(out.Freed)
	in.progress.Touched(out.Touched)
	if out.Events > 0 {
		in.log.DebugContext(ctx, "spend booked", "part", in.leader.Part(), "events", out.Events, "position", at.Seq)
	}
}

// sizer decides how much is booked together. More at once costs less for each event, but grants wait for
// as long as a flush takes.
type sizer struct {
	most     int64
	events   *atomic.Int64 // in a flush
	perEvent *atomic.Int64 // bytes, about
}

const (
	slowFlush = 300 * time.Millisecond
	fastFlush = 150 * time.Millisecond
	// firstSize is a guess of how many bytes an event takes, until some were seen.
	firstSize = 200
)

func newSizer(most int) sizer {
	s := sizer{most: int64(most), events: new(atomic.Int64), perEvent: new(atomic.Int64)}
	s.events.Store(max(1, s.most/2))
	s.perEvent.Store(firstSize)
	return s
}

// bytes is how large a flush may become.
func (s sizer) bytes() int { return int(s.events.Load() * s.perEvent.Load()) }

// booked takes in how long a flush took that was booked whole.
func (s sizer) booked(f flush, took time.Duration) {
	size, events := 0, 0
	for _, b := range f.batches {
		events += len(b.Events)
	}
	if events == 0 {
		return
	}
	for _, m := range f.msgs {
		size += len(m.Data)
	}
	per := s.perEvent.Load()
	s.perEvent.Store(max(1, (3*per+int64(size/events))/4))
	switch now := s.events.Load(); {
	case took > slowFlush:
		s.events.Store(max(s.most/8, now*3/4, 1))
	case took < fastFlush && int64(events) >= now/2:
		s.events.Store(min(s.most, now*5/4+1))
	}
}
