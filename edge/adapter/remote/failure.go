package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"tollgate/edge/adapter"
	"tollgate/edge/breaker"
	"tollgate/edge/metrics"
	adapterv1 "tollgate/gen/tollgate/adapter/v1"
	"tollgate/internal/fault"
)

// errLate is why a call ends that took too long.
var errLate = errors.New("the adapter did not answer in time")

// ask makes one call that is answered by one message. What is wrong with that message is for check to say.
func ask[Req, Res any](
	ctx context.Context, s *server, call func(context.Context, *Req) (*Res, error), req *Req, check func(*Res) error,
) (*Res, error) {
	permit, ok := s.breaker.Allow()
	if !ok {
		return nil, s.alone()
	}
	begun := time.Now()
	bounded, cancel := context.WithTimeoutCause(ctx, s.timeout, errLate)
	defer cancel()
	res, err := call(bounded, req)
	if err == nil {
		permit.Report(breaker.Success)
		err = check(res)
	} else {
		permit.Report(outcome(ctx, bounded, err))
		err = s.explain(ctx, bounded, err)
	}
	s.metrics.Done(result(err), time.Since(begun))
	return res, err
}

// alone is the answer while the breaker is open.
func (s *server) alone() error {
	s.metrics.Done(metrics.AdapterUnreachable, 0)
	return fault.New(fault.AdapterUnavailable, "Adapter %s is left alone for a while, because it did not answer before.", s.name)
}

// outcome is what a call that failed says about the adapter. One that answers, if only with an error, is there.
func outcome(ctx, bounded context.Context, err error) breaker.Outcome {
	switch code := connect.CodeOf(err); {
	case ctx.Err() != nil:
		return breaker.Abandoned
	case bounded.Err() != nil:
		return breaker.Failure
	case connect.IsWireError(err) && code != connect.CodeUnavailable && code != connect.CodeDeadlineExceeded,
		code == connect.CodeResourceExhausted, code == connect.CodeUnauthenticated, code == connect.CodePermissionDenied:
		return breaker.Success
	default:
		return breaker.Failure
	}
}

// explain makes of a call that failed what the caller learns. An adapter's own words are for the log.
func (s *server) explain(ctx, bounded context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	code := connect.CodeOf(err)
	switch {
	case bounded.Err() != nil || code == connect.CodeDeadlineExceeded:
		return s.failed(err, "it did not answer within %s", s.timeout)
	case code == connect.CodeUnavailable, code == connect.CodeCanceled && !connect.IsWireError(err): // the library's word for a connection that was reset
		s.log.Warn("an adapter cannot be reached", "err", err)
		return fault.New(fault.AdapterUnavailable, "Adapter %s cannot be reached.", s.name).WithCause(err)
	case code == connect.CodeResourceExhausted:
		return s.failed(err, "a message is larger than %d bytes", s.maxBytes)
	case code == connect.CodeUnimplemented:
		return s.failed(err, "it does not serve tollgate.adapter.v1.AdapterService there")
	case code == connect.CodeUnauthenticated || code == connect.CodePermissionDenied:
		return s.failed(err, "it does not know this gateway")
	case connect.IsWireError(err):
		return s.failed(err, "it answered with an error")
	default:
		return s.failed(err, "its answer cannot be understood")
	}
}

// failed is an adapter's failure. The text says what it did.
func (s *server) failed(cause error, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	s.log.Warn("an adapter failed", "why", text, "err", cause)
	return fault.New(fault.AdapterFailed, "Adapter %s failed: %s.", s.name, text).WithCause(cause)
}

func result(err error) metrics.AdapterResult {
	if err == nil {
		return metrics.AdapterOK
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		if f.Code == fault.AdapterUnavailable {
			return metrics.AdapterUnreachable
		}
		return metrics.AdapterFailed
	}
	if _, ok := errors.AsType[*adapter.Error](err); ok {
		return metrics.AdapterRefused
	}
	return metrics.AdapterAbandoned
}

// told makes of any error one that the caller's schema has words for.
func told(err error) *adapter.Error {
	if e, ok := errors.AsType[*adapter.Error](err); ok {
		return e
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return adapter.FromFault(f)
	}
	return &adapter.Error{Kind: adapter.Broken, Message: "The exchange was given up."}
}

// mostMessage is how much an adapter may say about a refusal.
const mostMessage = 4 << 10

// refused is an adapter's refusal as the caller gets it.
func (s *server) refused(r *adapterv1.Refusal) error {
	e := &adapter.Error{Kind: adapter.Invalid, Message: r.GetMessage(), Param: r.GetField()}
	if e.Message == "" {
		e.Message = fmt.Sprintf("Adapter %s cannot translate the request.", s.name)
	}
	if len(e.Message) > mostMessage || len(e.Param) > mostMessage {
		return s.failed(nil, "it refused with a message of more than %d bytes", mostMessage)
	}
	switch status := int(r.GetStatus()); status {
	case 0:
	case http.StatusUnauthorized, http.StatusForbidden: // who the caller is, is not the adapter's to judge
		e.Kind = adapter.Permission
	case http.StatusPaymentRequired:
		e.Kind = adapter.Billing
	case http.StatusNotFound:
		e.Kind = adapter.NotFound
	case http.StatusRequestTimeout:
		e.Kind = adapter.Timeout
	case http.StatusConflict:
		e.Kind = adapter.Conflict
	case http.StatusRequestEntityTooLarge:
		e.Kind = adapter.TooLarge
	case http.StatusTooManyRequests:
		e.Kind = adapter.RateLimit
	default:
		if status < 400 || status > 499 {
			return s.failed(nil, "it refused with status %d, which refuses nothing", status)
		}
	}
	return e
}
