package alert

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"tollgate/controlplane/store"
)

// deliver sends what is due until ctx ends, a few at a time, so that a receiver that is slow keeps nobody else waiting. What is on
// its way then is waited for.
func (t *Teller) deliver(ctx context.Context) {
	var sending sync.WaitGroup
	defer sending.Wait()
	free := make(chan struct{}, t.cfg.AtOnce)
	failed := ""
	for ctx.Err() == nil {
		room := cap(free) - len(free)
		var due []store.DueDelivery
		if room > 0 {
			var err error
			// Nobody else takes it before this process has surely ended its attempt.
			due, err = t.store.ClaimDeliveries(ctx, room, 3*t.cfg.Within)
			switch {
			case err == nil:
				failed = ""
			case ctx.Err() == nil && err.Error() != failed:
				failed = err.Error()
				t.log.WarnContext(ctx, "alerts cannot be read, trying again", "err", err)
			}
		}
		for i := range due {
			d := &due[i]
			free <- struct{}{}
			sending.Go(func() {
				defer func() { <-free }()
				t.send(ctx, d)
			})
		}
		if len(due) == 0 || len(due) == room {
			pause(ctx, t.cfg.Poll)
		}
	}
}

// send sends one alert and writes what came of it.
func (t *Teller) send(ctx context.Context, d *store.DueDelivery) {
	result := t.sender.Send(ctx, d.ChannelID, d.Kind, d.Envelope, &d.Alert)
	if ctx.Err() != nil && !result.Delivered {
		return // it comes again when the claim is over
	}
	d.Delivered, d.Status, d.Error = result.Delivered, result.Status, result.Error
	now := time.Now()
	if !d.Delivered && now.Sub(d.Created) < t.cfg.GiveUp {
		d.Next = now.Add(t.retryAfter(d.Attempts))
	}
	if !d.Delivered && d.Next.IsZero() {
		t.log.WarnContext(ctx, "an alert was given up", "channel", d.ChannelName, "alert", d.ID, "attempts", d.Attempts, "err", d.Error)
	}
	// What was delivered is written also while this process stops: otherwise it would be sent twice.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := t.store.SettleDelivery(ctx, &d.Delivery); err != nil {
		t.log.WarnContext(ctx, "what came of an alert cannot be written: it may be sent twice", "alert", d.ID, "err", err)
	}
}

// retryAfter doubles with each attempt, and differs a little each time, so that what failed together does not come together again.
func (t *Teller) retryAfter(attempts int) time.Duration {
	d := t.cfg.FirstRetry
	for range attempts - 1 {
		if d *= 2; d >= t.cfg.MostRetry {
			d = t.cfg.MostRetry
			break
		}
	}
	return d + time.Duration(rand.Int64N(int64(d)/5+1)) //nolint:gosec // no secret
}
