package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"tollgate/edge/breaker"
	"tollgate/edge/pool"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
)

// Attempt is one request to one target.
type Attempt struct {
	Target        *routing.Target // where and how to connect
	HostHeader    string          // empty for the target's host
	Method        string
	URI           string // what stands in the request line, byte for byte
	Headers       []Header
	Body          Body // nil: there is none
	Length        int64
	EmptyBody     bool
	Continue      bool
	TrailerNames  []string                           // of what the caller sends behind the body
	Upgrade       string                             // protocol to ask for; empty for none
	HeaderTimeout time.Duration                      // from the moment nothing but the target is waited for
	Interim       func(status int, headers []Header) // gets 1xx answers; not called after RoundTrip returned
}

// Answer is a target's answer.
type Answer struct {
	Status  int
	Headers []Header
	Length  int64 // of the body; -1 unknown
	Body    io.ReadCloser
	// Trailers are what came behind the body, once it was read to its end; nil if none can come.
	Trailers func() []Header
	// Conn is the connection of an answer with status 101, which has no Body then.
	Conn Conn
	// Cancel makes a Read of the body that waits for the target fail; nil if none ever waits.
	Cancel func(cause error)
}

// Failure says why an attempt got no answer.
type Failure uint8

// The failures.
const (
	FailConnect  Failure = iota + 1 // no connection
	FailRefused                     // the target resolves to an address that edges do not connect to
	FailTLS                         // no TLS
	FailTimeout                     // no answer in time
	FailAnswer                      // the connection broke, or what came was not an answer
	FailBody                        // the caller's body could not be read
	FailCanceled                    // the context ended
)

// AttemptError is an attempt without an answer.
type AttemptError struct {
	Failure Failure
	Text    string // for people, about the cause; never a raw error
	Sent    bool   // something of the request may have reached the target
	Whole   bool   // all of it was sent
	Err     error
}

func (e *AttemptError) Error() string { return fmt.Sprintf("attempt: %s: %v", e.Text, e.Err) }

// Unwrap is the cause.
func (e *AttemptError) Unwrap() error { return e.Err }

// attempts tries the targets in order. The next one gets its turn only if nothing of the request was
// sent to the one before.
func (c *call) attempts(ctx context.Context) {
	if c.x.Body != nil {
		c.body = &limited{Body: c.x.Body, left: c.limit, limit: c.limit}
		if u := c.endpoint.Usage; u != nil && u.RequestBytes.Counted {
			c.body.pay = func(n int) error { return c.payForBody(ctx, n) }
		}
	}

	var last error
	for {
		choice, err := c.g.d.Pools.Pick(c.endpoint, &c.tries)
		if err != nil {
			if !errors.Is(err, pool.ErrTried) {
				last = err
			}
			break
		}
		err = c.try(ctx, choice)
		if err == nil {
			return
		}
		unsent, ok := err.(*unsentError) //nolint:errorlint // made by try itself
		if !ok {
			last = err
			break
		}
		last = unsent.err
		if c.again = unsent.stale && !c.again; !c.again {
			c.tries.Drop(choice)
		}
	}
	switch {
	case errors.Is(last, ErrCallerGone):
		c.x.Out.Abort() // nobody is there to read an answer
		return
	case last == nil:
		last = fault.New(fault.InternalError, "Endpoint %s has no target.", c.endpoint.Name)
	}
	c.refuse(last)
}

// unsentError wraps the error of an attempt of which the target has seen nothing.
type unsentError struct {
	err   error
	stale bool // it had a connection, which turned out to be closed
}

func (e *unsentError) Error() string { return e.err.Error() }

// try makes one attempt and relays the answer. An error means that the caller has got nothing yet.
func (c *call) try(ctx context.Context, choice *pool.Choice) error {
	target := choice.Target
	report := func(o breaker.Outcome) { choice.Report(pool.Result{Outcome: o}) }
	// A report that is forgotten would keep a half-open breaker waiting; the first one counts.
	defer choice.Done()
	if err := c.intend(); err != nil {
		return err
	}
	defer c.settleAttempt()

	headers, uri, host := c.prepare(choice)
	ctx, headers, endSpan := c.startAttemptSpan(ctx, target, headers)
	a := c.newAttempt(target, headers, uri, host)
	began := time.Now()
	answer, err := c.g.d.Upstream.RoundTrip(ctx, a)
	c.upstream += time.Since(began)
	if err != nil {
		endSpan(0, err)
		return c.failed(ctx, target, err, report)
	}
	endSpan(answer.Status, nil)
	defer answer.Body.Close()
	switch answer.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		report(breaker.Failure)
	default:
		report(breaker.Success)
	}
	c.relay(ctx, answer)
	return nil
}

func (c *call) newAttempt(target *routing.Target, headers []Header, uri, host string) *Attempt {
	a := &Attempt{
		Target: target, HostHeader: host,
		Method: c.x.Method, URI: uri, Headers: headers,
		Length: c.x.Length, EmptyBody: c.x.EmptyBody, Continue: c.x.Continue,
		HeaderTimeout: c.endpoint.Timeout,
		Interim:       c.interim,
	}
	if c.body != nil {
		a.Body = c.body
	}
	if a.HeaderTimeout <= 0 {
		a.HeaderTimeout = c.g.cfg.HeaderTimeout
	}
	return a
}

// interim passes on a 1xx answer.
func (c *call) interim(status int, headers []Header) {
	c.x.Out.Interim(status, fromTarget(headers, nil))
}

// failed decides what an attempt without an answer means: for the breaker, for what is charged, and
// for the caller.
func (c *call) failed(ctx context.Context, target *routing.Target, err error, report func(breaker.Outcome)) error {
	e, ok := err.(*AttemptError) //nolint:errorlint // what RoundTrip promises
	if !ok {
		return err
	}
	body, end, host := c.body, &c.spend.end, target.Host
	wrap := func(f *fault.Error) error {
		f = f.WithCause(e.Err)
		if !e.Sent && (body == nil || !body.touched()) {
			return &unsentError{f, e.Failure == FailAnswer}
		}
		return f
	}
	switch {
	case ctx.Err() != nil || e.Failure == FailCanceled:
		return c.cutShort(ctx, e)
	case body != nil && body.over():
		end.outcome = eventv1.SpendOutcome_SPEND_OUTCOME_REFUSED
		return tooLarge(body.seen(), c.limit)
	case body.unpaid() != nil:
		end.outcome = eventv1.SpendOutcome_SPEND_OUTCOME_REFUSED
		return c.tooDear("The request was broken off because its body cost more than what is left", body.unpaid())
	case e.Failure == FailBody:
		end.outcome = eventv1.SpendOutcome_SPEND_OUTCOME_CALLER_GONE
		return fault.New(fault.BodyInvalid, "The body of the request ended early or was malformed.").WithCause(e.Err)
	case e.Failure == FailTLS:
		report(breaker.Failure)
		return wrap(fault.New(fault.UpstreamTLS, "Could not set up TLS with %s: %s.", host, e.Text))
	case e.Failure == FailTimeout:
		report(breaker.Failure)
		return fault.New(fault.UpstreamTimeout, "%s sent no answer within %s.", host, e.Text).WithCause(e.Err)
	case e.Failure == FailAnswer:
		// That a kept connection was closed meanwhile says nothing about the target.
		if e.Sent || c.again {
			report(breaker.Failure)
		}
		return wrap(fault.New(fault.UpstreamUnreachable, "%s gave no valid answer: %s.", host, e.Text))
	case e.Failure == FailRefused:
		return wrap(fault.New(fault.UpstreamUnreachable, "Could not connect to %s: %s.", host, e.Text).
			WithHint("Nothing was charged. Edges connect to private addresses only where their configuration allows it, and never to link-local ones."))
	default:
		report(breaker.Failure)
		return wrap(fault.New(fault.UpstreamUnreachable, "Could not connect to %s: %s.", host, e.Text))
	}
}

// cutShort settles an attempt that ended because the exchange did. The target that got the whole
// request does the work whether or not anybody waits for it, so it is charged.
func (c *call) cutShort(ctx context.Context, e *AttemptError) error {
	cutOff := context.Cause(ctx) == ErrCutOff //nolint:errorlint // set as it is
	c.spend.end.outcome = eventv1.SpendOutcome_SPEND_OUTCOME_CALLER_GONE
	if cutOff {
		c.spend.end.outcome = eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED
	}
	if e.Whole {
		c.chargeUnanswered()
	}
	if cutOff {
		return shuttingDown()
	}
	return ErrCallerGone
}
