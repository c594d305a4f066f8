package spool

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/lifecycle"
)

// PublishFunc publishes and waits until the stream has it. data is valid until it returns.
type PublishFunc func(ctx context.Context, subject, msgID string, data []byte) error

const (
	publishTimeout = 2 * time.Second
	leastBackoff   = 100 * time.Millisecond
	mostBackoff    = 2 * time.Second
	tidyEvery      = time.Second
)

// Publisher sends the events of a spool: those of the live incarnation, and beside them those of the
// old ones, oldest first. Of each incarnation one batch is under way at a time, so that a failure
// cannot leave a hole.
type Publisher struct {
	spool   *Spool
	publish PublishFunc
	log     *slog.Logger
	marked  chan struct{}
}

// NewPublisher makes the publisher of s. Run does the work.
func NewPublisher(s *Spool, publish PublishFunc, log *slog.Logger) *Publisher {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Publisher{spool: s, publish: publish, log: log, marked: make(chan struct{}, 1)}
}

// Run publishes until ctx ends, and meanwhile gives back what is booked and tries again what the
// disk refused.
func (p *Publisher) Run(ctx context.Context) error {
	var g lifecycle.Group
	defer g.Stop()
	g.Go("spool live", func(ctx context.Context) { p.loop(ctx, false, p.spool.wakeLive) })
	g.Go("spool old", func(ctx context.Context) { p.loop(ctx, true, p.spool.wakeOld) })
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			p.spool.tidy()
		}
	}
}

// Mark tells how far the ledger has booked. It does not block.
func (p *Publisher) Mark(m *eventv1.Mark) {
	p.spool.mark(m)
	signal(p.marked)
}

// Drain ends this incarnation: it settles as abandoned what is still in flight, appends CLOSE, and
// waits for the mark that covers it. No intent can be recorded afterwards. Run must be running.
func (p *Publisher) Drain(ctx context.Context) error {
	for {
		err := p.spool.end()
		if err == nil {
			break
		}
		if !pause(ctx, leastBackoff) {
			return errors.Join(err, ctx.Err())
		}
	}
	for !p.spool.drained() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.marked:
		}
	}
	return nil
}

func (p *Publisher) loop(ctx context.Context, old bool, wake <-chan struct{}) {
	var b batch
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		w, wait := p.spool.pick(old)
		if w.in != nil {
			p.send(ctx, w, &b)
			continue
		}
		var due <-chan time.Time
		if wait >= 0 {
			timer.Reset(wait)
			due = timer.C
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-due:
		}
	}
}

// send publishes one batch and does not give up on it, except when it turns out to be booked: its
// acknowledgement was lost.
func (p *Publisher) send(ctx context.Context, w work, b *batch) {
	if err := p.spool.read(w.in, w.from, w.to, b); err != nil {
		if !errors.Is(err, os.ErrClosed) { // else it was removed, because it is booked
			p.log.Error("spool cannot be read", "inc", w.in.inc, "event", w.from, "error", err)
			pause(ctx, mostBackoff)
		}
		return
	}
	subject, msgID := contract.Spend(0, p.spool.Options.Edge), b.msgID(w.again)
	backoff := leastBackoff
	for failed := 0; ; failed++ {
		err := p.try(ctx, subject, msgID, b.data)
		if err == nil {
			if failed > 0 {
				p.log.Info("spend events are published again", "inc", b.inc, "failed", failed)
			}
			break
		}
		if ctx.Err() != nil || p.spool.isCovered(w.in, b.last) {
			return
		}
		if failed == 0 {
			p.log.Warn("spend events cannot be published; they wait in the spool", "inc", b.inc, "last", b.last, "error", err)
		}
		if !pause(ctx, backoff) {
			return
		}
		backoff = min(2*backoff, mostBackoff)
	}
	p.spool.published(w, b.last)
}

func (p *Publisher) try(ctx context.Context, subject, msgID string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	return p.publish(ctx, subject, msgID, data)
}

// pause waits, and says whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
