package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
	"tollgate/internal/rpccode"
)

// boundary is what every call passes: it bounds the time of those with one answer, catches panics,
// gives errors their public form, and logs what is nobody's fault but ours.
type boundary struct{ log *slog.Logger }

// WrapUnary implements connect.Interceptor.
func (b boundary) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (res connect.AnyResponse, err error) {
		ctx, cancel := context.WithTimeout(ctx, timeFor(req.Spec().Procedure))
		defer cancel()
		err = b.pass(ctx, req.Spec().Procedure, func() (err error) { res, err = next(ctx, req); return err })
		if err != nil {
			return nil, err
		}
		return res, nil
	}
}

// timeFor is how long a call may take. Files may hold ten thousands of objects.
func timeFor(procedure string) time.Duration {
	switch procedure {
	case controlv1connect.ConfigServicePlanProcedure, controlv1connect.ConfigServiceApplyProcedure,
		controlv1connect.ConfigServiceExportProcedure, controlv1connect.ConfigServiceListDriftProcedure:
		return applyWithin
	default:
		return answerWithin
	}
}

// WrapStreamingHandler implements connect.Interceptor. What a stream does bounds its own steps.
func (b boundary) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		return b.pass(ctx, conn.Spec().Procedure, func() error { return next(ctx, conn) })
	}
}

// WrapStreamingClient implements connect.Interceptor; no client is on this side.
func (b boundary) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (b boundary) pass(ctx context.Context, procedure string, call func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler { //nolint:errorlint // the server compares it so, too
				panic(v)
			}
			b.log.ErrorContext(ctx, "call panicked", "procedure", procedure,
				"request_id", requestID(ctx), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = toConnect(ctx, fault.From(nil))
		}
	}()
	if err = call(); err == nil {
		return nil
	}
	f := classify(ctx, err)
	if f.Kind() == fault.Internal {
		b.log.ErrorContext(ctx, "call failed", "procedure", procedure, "request_id", requestID(ctx), "err", err)
	} else {
		b.log.InfoContext(ctx, "call refused", "procedure", procedure, "request_id", requestID(ctx), "err", err)
	}
	return toConnect(ctx, f)
}

// classify finds the fault in an error. The ends of contexts and refusals of the validator are no
// faults by themselves.
func classify(ctx context.Context, err error) *fault.Error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	if v, ok := errors.AsType[*protovalidate.ValidationError](err); ok {
		return shape(v)
	}
	if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.DeadlineExceeded, "The call did not finish in its time, or its caller went away. A change may or may not have been made.").WithCause(err)
	}
	// A stream's message is read inside of the boundary, and what cannot be read as one is the caller's.
	if c, ok := errors.AsType[*connect.Error](err); ok && c.Code() == connect.CodeInvalidArgument {
		return fault.New(fault.InvalidArgument, "The request cannot be read: %s.", c.Message()).WithCause(err)
	}
	return fault.From(err)
}

// toConnect is the public form of a fault. Causes stay here.
func toConnect(ctx context.Context, f *fault.Error) *connect.Error {
	code := rpccode.Of(f.Kind())
	if errors.Is(ctx.Err(), context.Canceled) && f.Kind() == fault.Timeout {
		code = connect.CodeCanceled
	}
	out := connect.NewError(code, errors.New(f.Message))
	info := &errdetails.ErrorInfo{
		Reason: string(f.Code), Domain: "tollgate",
		Metadata: map[string]string{"hint": f.Hint, "request_id": requestID(ctx)},
	}
	if f.RetryAfter > 0 {
		info.Metadata["retry_after_ms"] = strconv.FormatInt(f.RetryAfter.Milliseconds(), 10)
	}
	if d, err := connect.NewErrorDetail(info); err == nil {
		out.AddDetail(d)
	}
	if len(f.Violations) == 0 {
		return out
	}
	bad := &errdetails.BadRequest{}
	for _, v := range f.Violations {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field: v.Field, Reason: v.Code, Description: v.Reason,
		})
	}
	if d, err := connect.NewErrorDetail(bad); err == nil {
		out.AddDetail(d)
	}
	return out
}
