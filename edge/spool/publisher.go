package spool

import (
	"context"
	"errors"
	"log/slog"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
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

// Publisher sends the events of a spool, each partition's in their order.
type Publisher struct {
	spool   *Spool
	publish PublishFunc
	log     *slog.Logger
	marked  chan struct{}
}

// NewPublisher makes the publisher of s. Run does the work, or whoever calls Next and Tidy.
func NewPublisher(s *Spool, publish PublishFunc, log *slog.Logger) *Publisher {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Publisher{spool: s, publish: publish, log: log, marked: make(chan struct{}, 1)}
}

// Run publishes until ctx ends. Meanwhile it gives back what is booked, tries again what the disk
// refused, and makes segments before they are needed.
func (p *Publisher) Run(ctx context.Context) error {
	var g lifecycle.Group
	defer g.Stop()
	g.Go("spool ahead", p.spool.prepare)
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for n := 0; ; {
		for _, l := range p.spool.lanesFrom(n) {
			g.Go("spool lane", func(ctx context.Context) { p.loop(ctx, l) })
			n++
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			p.Tidy()
		case <-p.spool.wakeLanes:
		}
	}
}

// Tidy is what Run does every second.
func (p *Publisher) Tidy() { p.spool.tidy() }

// Mark tells how far the ledger has booked. It does not block.
func (p *Publisher) Mark(m *eventv1.Mark) {
	p.spool.mark(m)
	signal(p.marked)
}

// Drain ends this incarnation: it settles as abandoned what is still in flight, appends CLOSE, and
// waits for the marks that cover it. No intent can be recorded afterwards. Run must be running.
func (p *Publisher) Drain(ctx context.Context) error {
	for {
		err := p.End()
		if err == nil {
			break
		}
		if !pause(ctx, leastBackoff) {
			return errors.Join(err, ctx.Err())
		}
	}
	for !p.Drained() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.marked:
		}
	}
	return nil
}

// End is the first half of Drain, up to CLOSE. It may be called again after an error.
func (p *Publisher) End() error { return p.spool.end() }

// Drained says whether the ledger has booked all of this incarnation, which has ended.
func (p *Publisher) Drained() bool { return p.spool.drained() }

// loop publishes what a lane has. It does not give up on a batch, except when that turns out to be
// booked.
func (p *Publisher) loop(ctx context.Context, l *lane) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		x, wait := p.next(l, p.spool.Options.Now())
		if x != nil {
			switch err := p.try(ctx, x); {
			case err == nil:
				x.Published()
			case ctx.Err() != nil:
				x.fail(nil)
			default:
				x.fail(err)
			}
			continue
		}
		var due <-chan time.Time
		if wait >= 0 {
			timer.Reset(wait)
			due = timer.C
		}
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-due:
		}
	}
}

func (p *Publisher) try(ctx context.Context, x *Sending) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	return p.publish(ctx, x.Subject, x.MsgID, x.Data)
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
