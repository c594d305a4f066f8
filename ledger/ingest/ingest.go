// Package ingest books what edges have spent: it reads the stream of a partition and has each flush
// booked in one transaction, after which it tells the edges how far. An edge keeps its events until
// then, so neither the stream nor a position in it has to be trusted: they may lose, repeat or start
// over, and the books stay exact.
//
// A batch that cannot be read is recorded as an anomaly and passed over. Its edge cannot get past it
// and says so loudly.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/feed"
	"tollgate/ledger/store"
)

// Leader books. store.Leader is one.
type Leader interface {
	Part() uint32
	Position(ctx context.Context) (store.Position, error)
	Book(ctx context.Context, at store.Position, batches []store.Batch, anomalies []store.Anomaly) (store.Booked, error)
}

// Teller tells edges.
type Teller interface {
	Marks(marks []store.Mark)
	Changed(accounts []int64)
}

// Config says how much is booked together, and how the stream is kept.
type Config struct {
	FlushEvery  time.Duration
	FlushEvents int // at most, more or less
	Replicas    int
	MaxBytes    int64
}

const (
	maxAge    = 72 * time.Hour
	maxMsg    = 1 << 20
	dedup     = 2 * time.Minute // spares the ledger most repetitions; it never relies on that
	fetchMsgs = 16              // between two looks at how much there is
	retry     = 250 * time.Millisecond
)

// StreamConfig is how the stream of a partition has to be: it refuses what it cannot keep, because
// an edge that is refused keeps its events, and one that is not may be rid of them.
func StreamConfig(part uint32, cfg Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:       contract.SpendStream(part),
		Subjects:   []string{contract.SpendSubjects(part)},
		Storage:    jetstream.FileStorage,
		Retention:  jetstream.LimitsPolicy,
		Discard:    jetstream.DiscardNew,
		MaxAge:     maxAge,
		MaxBytes:   cfg.MaxBytes,
		MaxMsgSize: maxMsg,
		Duplicates: dedup,
		Replicas:   cfg.Replicas,
	}
}

// Ingest reads one partition's stream for its leader.
type Ingest struct {
	cfg      Config
	leader   Leader
	conn     *bus.Conn
	tell     Teller
	progress *Progress
	log      *slog.Logger
	size     sizer
}

// New makes an Ingest. Progress may be nil.
func New(cfg Config, leader Leader, conn *bus.Conn, tell Teller, progress *Progress, log *slog.Logger) *Ingest {
	return &Ingest{cfg: cfg, leader: leader, conn: conn, tell: tell, progress: progress, log: log, size: newSizer(cfg.FlushEvents)}
}

// Run books until ctx ends or the leadership is lost. A flush that has begun is finished.
func (in *Ingest) Run(ctx context.Context) error {
	wasBroken := false
	for {
		err := in.follow(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, feed.ErrBroken) && !errors.Is(err, errAway) {
			return err
		}
		if !wasBroken {
			in.log.WarnContext(ctx, "spend is not read", "part", in.leader.Part(), "err", err)
		}
		wasBroken = !errors.Is(err, feed.ErrBroken)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retry):
		}
	}
}

// errAway means that NATS did not let the reading begin.
var errAway = errors.New("the stream cannot be reached")

// follow reads the stream from the stored position until something breaks.
func (in *Ingest) follow(ctx context.Context) error {
	at, stream, err := in.open(ctx)
	if err != nil {
		return err
	}
	room := &room{stream: stream, most: in.cfg.MaxBytes, read: in.cfg.MaxBytes, log: in.log}
	r, err := feed.From(ctx, in.conn.JetStream(), at.Stream, at.Seq)
	if err != nil {
		return fmt.Errorf("%w: %w", errAway, err)
	}
	defer r.Close()
	in.log.InfoContext(ctx, "reading spend", "stream", at.Stream, "after", at.Seq)
	var booking chan error // of the flush before: while the database books it, the next one is gathered
	finish := func() error {
		if booking == nil {
			return nil
		}
		err := <-booking
		booking = nil
		return err
	}
	for {
		msgs, err := in.gather(ctx, r)
		var next flush
		if len(msgs) > 0 { // even if reading broke: these came in order
			at.Seq = msgs[len(msgs)-1].Seq
			next = in.decode(ctx, at, msgs)
		}
		if lost := finish(); lost != nil {
			return lost
		}
		if len(msgs) > 0 {
			booking = make(chan error, 1)
			go func(done chan<- error) { done <- in.book(context.WithoutCancel(ctx), next, room) }(booking)
		}
		if err != nil {
			return errors.Join(finish(), err)
		}
	}
}

// open makes sure that the stream exists and finds where to go on. A stream that was made anew, or
// has lost what was read, is read from its beginning: what is booked already is passed over.
func (in *Ingest) open(ctx context.Context) (store.Position, jetstream.Stream, error) {
	at, err := in.leader.Position(ctx)
	if err != nil {
		return at, nil, err
	}
	cfg := StreamConfig(in.leader.Part(), in.cfg)
	stream, err := in.conn.EnsureStream(ctx, cfg)
	if err != nil {
		return at, nil, fmt.Errorf("%w: %w", errAway, err)
	}
	info := stream.CachedInfo()
	created := info.Created.UnixNano()
	if at.Stream != cfg.Name || at.Created != created || at.Seq > info.State.LastSeq {
		if at.Seq > 0 {
			in.log.WarnContext(ctx, "the spend stream is not the one that was read: reading all of it", "stream", cfg.Name, "position", at.Seq, "last", info.State.LastSeq)
		}
		at = store.Position{Stream: cfg.Name, Created: created}
	}
	return at, stream, nil
}

func (in *Ingest) poison(ctx context.Context, m feed.Message, err error) store.Anomaly {
	in.log.ErrorContext(ctx, "spend batch refused: its edge cannot get past it", "subject", m.Subject, "position", m.Seq, "err", err)
	a := store.Anomaly{Kind: "spend_refused", Detail: printable(fmt.Sprintf("message %d: %v", m.Seq, err))}
	if edge := edgeOf(m.Subject); contract.ValidEdgeName(edge) {
		a.Edge = edge
	}
	return a
}

// printable makes any text one that the database takes: what is wrong with a message must not keep
// the ledger from recording that.
func printable(s string) string {
	const most = 1000
	s = strings.ReplaceAll(s[:min(len(s), most)], "\x00", "?")
	return strings.ToValidUTF8(s, "?")
}
