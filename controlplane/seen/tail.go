package seen

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"tollgate/internal/contract"
	"tollgate/internal/feed"
)

const (
	// A tail gets so many requests at a time, but for a last batch that goes beyond.
	tailMost = 512
	// catchUpFor bounds one reading of what is in the stream and no longer here.
	catchUpFor = 250 * time.Millisecond
)

// Tail is one reader's way through the stream. It is used by one goroutine and closed at the end.
type Tail struct {
	log   *Log
	at    Position
	begun bool         // at is where it has been; without it, it begins where there is something to begin with
	since time.Time    // where it begins; zero for now
	old   *feed.Reader // of what the log does not keep any more; nil where it does
}

// Tail begins behind a position.
func (l *Log) Tail(from Position) *Tail { return &Tail{log: l, at: from, begun: true} }

// TailNow begins with what comes next.
func (l *Log) TailNow() *Tail {
	t := &Tail{log: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	t.begin()
	return t
}

// TailSince begins with what was told at a moment or later, as far back as there is anything.
func (l *Log) TailSince(at time.Time) *Tail {
	t := &Tail{log: l, since: at}
	l.mu.Lock()
	defer l.mu.Unlock()
	t.begin()
	return t
}

// begin finds the place to begin, once there is a stream. It needs mu of the log.
func (t *Tail) begin() {
	l := t.log
	if t.begun || l.at.Stream == 0 {
		return
	}
	t.begun, t.at = true, l.now()
	if t.since.IsZero() {
		return
	}
	i := slices.IndexFunc(l.ring, func(b Batch) bool { return !b.Time.Before(t.since) })
	switch {
	case i > 0:
		t.at.Seq = l.ring[i].Seq - 1
	case i == 0 || l.at.Seq < l.head: // the rest is in the stream, or still to be read
		t.at.Seq = 0
	}
}

// Position is where the tail is: behind all that Next has returned.
func (t *Tail) Position() Position { return t.at }

// Close gives back what the tail holds.
func (t *Tail) Close() {
	if t.old != nil {
		t.old.Close()
		t.old = nil
	}
}

// Next returns what comes next, and waits so long if there is nothing. gap says that some may be missing before it.
func (t *Tail) Next(ctx context.Context, within time.Duration) (batches []Batch, gap bool, err error) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		batches, missing, behind, changed := t.look()
		gap = gap || missing
		if behind {
			var gone bool
			if batches, gone = t.catchUp(ctx); gone {
				gap = t.skip() || gap
				continue
			}
			if len(batches) == 0 {
				select { // the stream may be away for a while
				case <-time.After(catchUpFor):
					continue
				case <-timer.C:
					return nil, gap, nil
				case <-ctx.Done():
					return nil, gap, ctx.Err()
				}
			}
		}
		if len(batches) > 0 {
			return batches, t.pass(batches) || gap, nil
		}
		if gap {
			return nil, true, nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return nil, false, nil
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// skip goes on with what is here, because the stream has nothing of what is before that.
func (t *Tail) skip() (gap bool) {
	t.Close()
	l := t.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ring) == 0 || t.at.Stream != l.at.Stream || t.at.Seq+1 >= l.ring[0].Seq {
		return false
	}
	gap = t.at.Seq > 0 || t.since.IsZero()
	t.at.Seq = l.ring[0].Seq - 1
	return gap
}

// pass goes on behind batches, and says whether some are missing before or between them. Of what was before the place where a tail
// began, nothing is missing.
func (t *Tail) pass(batches []Batch) (gap bool) {
	for _, b := range batches {
		gap = gap || b.Lost > 0 || b.Seq != t.at.Seq+1 && (t.at.Seq > 0 || t.since.IsZero())
		t.at.Seq = b.Seq
	}
	t.since = time.Time{}
	return gap
}

// look takes what is here. behind says that what comes next is, if anywhere, in the stream only.
func (t *Tail) look() (batches []Batch, gap, behind bool, changed <-chan struct{}) {
	l := t.log
	l.mu.Lock()
	defer l.mu.Unlock()
	changed = l.changed
	if l.at.Stream == 0 {
		return nil, false, false, changed // there was no stream so far
	}
	t.begin()
	if t.at.Stream != l.at.Stream {
		gap = true
		t.Close()
		t.at = Position{Stream: l.at.Stream}
	}
	if t.at.Seq >= l.at.Seq || len(l.ring) == 0 {
		return nil, gap, false, changed
	}
	if t.at.Seq+1 < l.ring[0].Seq {
		return nil, gap, true, changed
	}
	n := 0
	first, _ := slices.BinarySearchFunc(l.ring, t.at.Seq+1, func(b Batch, seq uint64) int { return cmp.Compare(b.Seq, seq) })
	for _, b := range l.ring[first:] {
		batches = append(batches, b)
		if n += len(b.Requests); n >= tailMost {
			break
		}
	}
	t.Close()
	return batches, gap, false, changed
}

// catchUp reads from the stream itself. What it cannot read now is read later; gone says that it is in the stream no longer.
func (t *Tail) catchUp(ctx context.Context) (batches []Batch, gone bool) {
	l := t.log
	l.mu.Lock()
	if len(l.ring) == 0 {
		l.mu.Unlock()
		return nil, false // another stream has begun meanwhile
	}
	here := l.ring[0].Seq
	l.mu.Unlock()
	if t.old == nil {
		r, err := feed.From(ctx, l.bus.JetStream(), contract.StreamSeen, t.at.Seq)
		if err != nil {
			return nil, false
		}
		t.old = r
	}
	messages, err := t.old.Next(ctx, 1, catchUpFor)
	if err == nil && len(messages) > 0 {
		var more []feed.Message
		more, err = t.old.Next(ctx, catchUpMost, time.Millisecond)
		messages = append(messages, more...)
	}
	if err != nil {
		t.Close()
		if !errors.Is(err, feed.ErrBroken) && ctx.Err() == nil {
			l.log.DebugContext(ctx, "a tail cannot read the stream", "err", err)
		}
	}
	if err == nil && len(messages) == 0 || len(messages) > 0 && messages[0].Seq > here {
		return nil, true
	}
	for _, m := range messages {
		batches = append(batches, l.read(m))
	}
	return batches, false
}

// catchUpMost is how many messages are read at a time: some hundred requests each at most.
const catchUpMost = 8
