package proxy

import (
	"context"
	"errors"

	"tollgate/edge/breaker"
	"tollgate/edge/pool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
)

// reach is how far a request without an answer has come, which decides what may follow.
type reach uint8

const (
	over  reach = iota // the request itself is over
	none               // no target has seen anything of it
	stale              // the same: the connection turned out to be closed
	some               // the target may have seen it
)

// failed decides what an attempt without an answer means: for the pools, for what is charged, and for
// the caller.
func (t *try) failed(ctx context.Context) (reach, error) {
	e, ok := t.err.(*AttemptError) //nolint:errorlint // what RoundTrip promises
	if !ok {
		return over, t.err
	}
	c, host := t.c, t.choice.Target.Host
	body := c.body
	report := func() { t.choice.Report(pool.Result{Outcome: breaker.Failure}) }
	far := some
	switch {
	case e.Sent || !c.resendable():
	case e.Failure == FailAnswer:
		far = stale
	default:
		far = none
	}
	switch {
	case ctx.Err() != nil || e.Failure == FailCanceled:
		return over, t.cutShort(ctx, e)
	case body != nil && body.over():
		t.end.outcome = eventv1.SpendOutcome_SPEND_OUTCOME_REFUSED
		return over, tooLarge(body.seen(), c.limit)
	case t.unpaid() != nil:
		t.end.outcome = eventv1.SpendOutcome_SPEND_OUTCOME_REFUSED
		return over, t.tooDear("The request was broken off because its body cost more than what is left", t.unpaid())
	case e.Failure == FailBody:
		t.end.outcome = eventv1.SpendOutcome_SPEND_OUTCOME_CALLER_GONE
		return over, fault.New(fault.BodyInvalid, "The body of the request ended early or was malformed.").WithCause(e.Err)
	case e.Failure == FailRequest:
		// It says nothing about the target, and a caller must not be able to close one to others.
		return far, fault.New(fault.RequestMalformed, "The request could not be sent to %s: %s.", host, e.Text).WithCause(e.Err)
	case e.Failure == FailTLS:
		report()
		return far, fault.New(fault.UpstreamTLS, "Could not set up TLS with %s: %s.", host, e.Text).WithCause(e.Err)
	case e.Failure == FailTimeout:
		report()
		return some, fault.New(fault.UpstreamTimeout, "%s sent no answer within %s.", host, e.Text).WithCause(e.Err)
	case e.Failure == FailAnswer:
		// That a kept connection was closed meanwhile says nothing about the target.
		if e.Sent || c.again {
			report()
		}
		return far, fault.New(fault.UpstreamUnreachable, "%s gave no valid answer: %s.", host, e.Text).WithCause(e.Err)
	case e.Failure == FailRefused:
		return far, fault.New(fault.UpstreamUnreachable, "Could not connect to %s: %s.", host, e.Text).
			WithHint("Nothing was charged. Edges connect to private addresses only where their configuration allows it, and never to link-local ones.").
			WithCause(e.Err)
	default:
		report()
		return far, fault.New(fault.UpstreamUnreachable, "Could not connect to %s: %s.", host, e.Text).WithCause(e.Err)
	}
}

// cutShort settles an attempt that ended because the exchange did. The target that got the whole
// request does the work whether or not anybody waits for it, so it is charged, unless it took longer
// than it may.
func (t *try) cutShort(ctx context.Context, e *AttemptError) error {
	why := t.c.ended(ctx)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errTotal):
		t.choice.Report(pool.Result{Outcome: breaker.Failure})
		return why
	case errors.Is(cause, ErrCutOff):
		t.end.outcome = eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED
	default:
		t.end.outcome = eventv1.SpendOutcome_SPEND_OUTCOME_CALLER_GONE
	}
	if e.Whole {
		t.chargeUnanswered()
	}
	return why
}
