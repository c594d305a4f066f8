// Package feed reads a JetStream stream in order, without acknowledging anything, and notices when
// it has missed something: a gap, a lost connection, a stream that was deleted or made anew. What to
// read again is up to its user, who knows what it has: a consumer's state in NATS is never the truth
// here.
package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrBroken means that messages may have been missed: the reader is of no more use, and its user
// opens another one where it wants to go on.
var ErrBroken = errors.New("reading the stream was interrupted")

// Message is one message of the stream.
type Message struct {
	Subject string
	Seq     uint64
	Time    time.Time // when the stream took it in
	Data    []byte
}

// Reader reads a stream once. It is not safe for concurrent use.
//
// It asks for messages itself. The library's Fetch opens a subscription for each request: a message
// that arrives between two of those is lost, and has to be read again from the start of a new
// consumer. The library's ordered consumer tries for ever to make itself anew, past its context, and
// waits on a stream that was made anew for numbers that may never come.
type Reader struct {
	js         jetstream.JetStream
	nc         *nats.Conn
	stream     string
	consumer   string
	sub        *nats.Subscription
	next       uint64 // the consumer's own number of the next message
	due        int    // messages that the request under way may still bring
	expires    time.Time
	reconnects uint64
}

const (
	// forgotten is after what time the server drops a reader that has gone away.
	forgotten = 30 * time.Second
	// A request brings up to so many messages and stays open for so long. What it brings waits in
	// memory, so a message of the largest size times this is what a reader may take.
	pullBatch = 64
	pullFor   = 5 * time.Second
	pullGrace = 2 * time.Second
	lookEvery = 250 * time.Millisecond
)

// From opens a reader behind a position; 0 is the beginning.
func From(ctx context.Context, js jetstream.JetStream, stream string, seq uint64) (*Reader, error) {
	cfg := jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}
	if seq > 0 {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, seq+1
	}
	return open(ctx, js, stream, cfg)
}

// Newest opens a reader that begins with the newest message of each subject that matches.
func Newest(ctx context.Context, js jetstream.JetStream, stream string, subjects ...string) (*Reader, error) {
	return open(ctx, js, stream, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubjects: subjects,
	})
}

func open(ctx context.Context, js jetstream.JetStream, stream string, cfg jetstream.ConsumerConfig) (*Reader, error) {
	nc := js.Conn()
	if !nc.IsConnected() {
		return nil, fmt.Errorf("read stream %s: %w", stream, nats.ErrDisconnected)
	}
	cfg.AckPolicy = jetstream.AckNonePolicy
	cfg.MemoryStorage, cfg.Replicas = true, 1
	cfg.InactiveThreshold = forgotten
	reconnects := nc.Stats().Reconnects
	consumer, err := js.CreateConsumer(ctx, stream, cfg)
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	}
	sub, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	}
	// What a request may bring bounds what waits; the library's own limit would drop some of it.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return &Reader{
		js: js, nc: nc, stream: stream, consumer: consumer.CachedInfo().Name, sub: sub, next: 1, reconnects: reconnects,
	}, nil
}

// Next returns what arrives within the time, at most so many messages, and at once when it has that
// many. With an error it returns what came in order before.
func (r *Reader) Next(ctx context.Context, most int, within time.Duration) ([]Message, error) {
	wait, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var out []Message
	for len(out) < most {
		if err := r.pull(); err != nil {
			return out, err
		}
		// Nothing arrives to tell of a connection that was lost and came back, so pull looks after a
		// while, however long there is to wait.
		step, cancelStep := context.WithTimeout(wait, lookEvery)
		m, err := r.sub.NextMsgWithContext(step)
		cancelStep()
		switch {
		case err != nil && ctx.Err() != nil:
			return out, ctx.Err()
		case err != nil && wait.Err() != nil:
			return out, nil
		case errors.Is(err, context.DeadlineExceeded):
			continue
		case err != nil:
			return out, fmt.Errorf("%w: %w", ErrBroken, err)
		}
		if status := m.Header.Get("Status"); status != "" && len(m.Data) == 0 {
			if err := r.ended(status, m.Header.Get("Description")); err != nil {
				return out, err
			}
			continue
		}
		meta, err := m.Metadata()
		if err != nil {
			return out, fmt.Errorf("%w: %w", ErrBroken, err)
		}
		if meta.Sequence.Consumer != r.next {
			return out, fmt.Errorf("%w: message %d came after message %d", ErrBroken, meta.Sequence.Consumer, r.next-1)
		}
		r.next++
		r.due--
		out = append(out, Message{Subject: m.Subject, Seq: meta.Sequence.Stream, Time: meta.Timestamp, Data: m.Data})
	}
	return out, nil
}

// Each hands over every message as it arrives, until the context ends, take fails, or something may
// have been missed.
func (r *Reader) Each(ctx context.Context, take func(Message) error) error {
	for {
		messages, err := r.Next(ctx, 1, pullFor)
		for _, m := range messages {
			if err := take(m); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// pull asks for more once what was asked for has come.
func (r *Reader) pull() error {
	now := time.Now()
	switch {
	case !r.nc.IsConnected() || r.nc.Stats().Reconnects != r.reconnects:
		return fmt.Errorf("%w: the connection was lost", ErrBroken)
	case r.due > 0 && now.Before(r.expires.Add(pullGrace)):
		return nil
	case r.due > 0:
		return fmt.Errorf("%w: the server does not answer", ErrBroken)
	}
	req, err := json.Marshal(map[string]int64{"batch": pullBatch, "expires": int64(pullFor)})
	if err != nil {
		return err
	}
	subject := "$JS.API.CONSUMER.MSG.NEXT." + r.stream + "." + r.consumer
	if err := r.nc.PublishRequest(subject, r.sub.Subject, req); err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	r.due, r.expires = pullBatch, now.Add(pullFor)
	return nil
}

// ended takes in that a request will bring no more. A consumer or a server that is gone is said in
// the same way.
func (r *Reader) ended(status, description string) error {
	switch {
	case status == "100": // a sign of life
		return nil
	case status == "404" || status == "408" || strings.EqualFold(description, "Batch Completed"):
		r.due = 0
		return nil
	default:
		return fmt.Errorf("%w: %s %s", ErrBroken, status, description)
	}
}

// Close tells the server that nothing more will be read.
func (r *Reader) Close() {
	_ = r.sub.Unsubscribe() // fails only on a connection that is closed
	if r.nc.IsConnected() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = r.js.DeleteConsumer(ctx, r.stream, r.consumer) // it would go by itself
	}
}
