package proxy

import (
	"context"
	"errors"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// afford is as much of a piece of the answer as is paid for, and why it is not all of it.
func (t *try) afford(ctx context.Context, p []byte) ([]byte, error) {
	if !t.end.metered {
		return p, nil
	}
	n, err := t.meter.received(ctx, p)
	t.dear = t.dear || err != nil
	return p[:n], err
}

// passable is what of a piece goes on: as much as is paid for, without what the caller did not ask for.
func (t *try) passable(ctx context.Context, p []byte) ([]byte, error) {
	piece, unpaid := t.afford(ctx, p)
	if t.strip != nil {
		t.stripped = t.strip.Next(t.stripped[:0], piece)
		piece = t.stripped
	}
	return piece, unpaid
}

// cut says to a caller who reads events why the answer ends here. Every answer that is cut is then
// broken off, so that none can be taken for complete.
func (t *try) cut(why error) {
	c := t.c
	f := t.tooDear("The answer was cut off when its cost reached what is available", why)
	c.g.d.Log.Info("answer cut off", "request_id", c.id.Text(id.Request), "endpoint", c.endpoint.Name, "err", f)
	stream, inLine := t.meter.where()
	if !stream || t.answer.Length >= 0 || t.answer.Conn != nil {
		return
	}
	// An event that is not whole becomes this one, so that nobody takes it for what it was to be.
	var event []byte
	if inLine || t.strip != nil { // which may have kept the end of a line back
		event = append(event, '\n')
	}
	event = c.errorEvent(event, c.speaks(), f)
	if _, err := c.x.Out.Write(event); err == nil {
		_ = c.x.Out.Flush() // a caller who is gone needs no reason
	}
}

// withhold ends an answer of which nothing was passed on, because its headers cost more than can be held.
func (t *try) withhold(ctx context.Context, why error) {
	c := t.c
	if ctx.Err() != nil {
		t.end.outcome = untaken(ctx)
		c.giveUp(c.ended(ctx))
		return
	}
	t.end.outcome = eventv1.SpendOutcome_SPEND_OUTCOME_CUT
	t.closeAnswer() // the target need not go on
	c.refuse(t.tooDear("The answer was withheld because it costs more than what is available", why))
}

// tooDear says what has happened and why there is no more money.
func (t *try) tooDear(what string, why error) *fault.Error {
	if errors.Is(why, errCeiling) {
		return fault.New(fault.BudgetExhausted, "%s: endpoint %s lets a request like this one cost %s at most.", what, t.c.endpoint.Name, t.given().Dollars()).
			WithHint("Ask for less at a time, or ask your gateway admin to let a request of this endpoint cost more.")
	}
	f := *fault.From(why)
	f.Message = what + ": " + f.Message
	return &f
}
