package proxy

import (
	"context"
	"errors"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// afford is as much of a piece of the answer as is paid for, and why it is not all of it.
func (c *call) afford(ctx context.Context, p []byte) ([]byte, error) {
	if !c.spend.end.metered {
		return p, nil
	}
	n, err := c.spend.meter.received(ctx, p)
	return p[:n], err
}

// cut says to a caller who reads events why the answer ends here. Every answer that is cut is then
// broken off, so that none can be taken for complete.
func (c *call) cut(a *Answer, why error) {
	f := c.tooDear("The answer was cut off when its cost reached what is available", why)
	c.g.d.Log.Info("answer cut off", "request_id", c.id.Text(id.Request), "endpoint", c.endpoint.Name, "err", f)
	stream, inLine := c.spend.meter.where()
	if !stream || a.Length >= 0 {
		return
	}
	// An event that is not whole becomes this one, so that nobody takes it for what it was to be.
	var event []byte
	if inLine {
		event = append(event, '\n')
	}
	event = append(append(append(event, "event: error\ndata: "...), c.errorText(f)...), "\n\n"...)
	if _, err := c.x.Out.Write(event); err == nil {
		_ = c.x.Out.Flush() // a caller who is gone needs no reason
	}
}

// withhold ends an answer of which nothing was passed on, because its headers cost more than can be held.
func (c *call) withhold(ctx context.Context, a *Answer, why error) {
	end := &c.spend.end
	if ctx.Err() != nil {
		end.outcome = untaken(ctx)
		c.x.Out.Abort()
		return
	}
	end.outcome = eventv1.SpendOutcome_SPEND_OUTCOME_CUT
	a.Body.Close() // the target need not go on
	c.refuse(c.tooDear("The answer was withheld because it costs more than what is available", why))
}

// tooDear says what has happened and why there is no more money.
func (c *call) tooDear(what string, why error) *fault.Error {
	if errors.Is(why, errCeiling) {
		return fault.New(fault.BudgetExhausted, "%s: endpoint %s lets a request like this one cost %s at most.", what, c.endpoint.Name, c.reserved().Dollars()).
			WithHint("Ask for less at a time, or ask your gateway admin to let a request of this endpoint cost more.")
	}
	f := *fault.From(why)
	f.Message = what + ": " + f.Message
	return &f
}
