package ingest

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go/jetstream"

	"tollgate/internal/feed"
)

// room keeps the stream from filling up with what is booked. The stream refuses what it has no place
// for, and edges that are refused stop admitting once their spools are full, too. What is booked
// stays as long as there is place, because a database that was restored needs it again.
type room struct {
	stream jetstream.Stream
	most   int64 // bytes that the stream takes
	read   int64 // since it was looked at
	log    *slog.Logger
}

// A look costs a question to the server, so it is taken each time that a part of what the stream
// takes was read. When it is fuller than high, it is brought down to low.
const (
	parts = 16
	high  = 12
	low   = 8
)

// booked takes in that messages are booked. That nothing can be removed is no reason to stop reading.
func (r *room) booked(ctx context.Context, msgs []feed.Message) {
	for _, m := range msgs {
		r.read += int64(len(m.Data))
	}
	if len(msgs) == 0 || r.read < r.most/parts {
		return
	}
	r.read = 0
	info, err := r.stream.Info(ctx)
	if err != nil {
		r.log.DebugContext(ctx, "size of the spend stream is not known", "err", err)
		return
	}
	before := removable(info.State, r.most, msgs[len(msgs)-1].Seq)
	if before == 0 {
		return
	}
	if err := r.stream.Purge(ctx, jetstream.WithPurgeSequence(before)); err != nil {
		r.log.WarnContext(ctx, "booked spend is not removed from the stream, which fills up", "bytes", info.State.Bytes, "err", err)
		return
	}
	r.log.InfoContext(ctx, "booked spend removed from the stream to make room", "before", before, "bytes", info.State.Bytes)
}

// removable is the message before which all go: what is too much, as far as it is booked. 0 is none.
func removable(s jetstream.StreamState, most int64, booked uint64) uint64 {
	if s.Bytes <= uint64(most)/parts*high || s.LastSeq < s.FirstSeq {
		return 0
	}
	// Messages are of about the same size, and the next look corrects what that misses.
	size := max(1, s.Bytes/(s.LastSeq-s.FirstSeq+1))
	before := min(s.FirstSeq+(s.Bytes-uint64(most)/parts*low)/size, booked+1)
	if before <= s.FirstSeq {
		return 0
	}
	return before
}
