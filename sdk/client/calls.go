package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// calls says on every call who calls and how, and makes it again where that may help and cannot harm.
type calls struct{ settings }

func (c calls) introduce(ctx context.Context, h http.Header, spec connect.Spec) error {
	if c.token != nil {
		token, err := c.token(ctx)
		if err != nil {
			return fmt.Errorf("there is no token: %w", err)
		}
		if token != "" {
			h.Set("Authorization", "Bearer "+token)
		}
	}
	if c.agent != "" {
		h.Set("User-Agent", c.agent)
	}
	if spec.IdempotencyLevel == connect.IdempotencyNoSideEffects {
		return nil
	}
	a := askedOf(ctx)
	if a.dryRun {
		h.Set("X-Tollgate-Dry-Run", "true")
	}
	if a.override {
		h.Set("X-Tollgate-Override", "managed")
	}
	if spec.StreamType == connect.StreamTypeUnary { // what a stream does cannot be given again
		if a.key == "" {
			a.key = rand.Text()
		}
		h.Set("Idempotency-Key", a.key)
	}
	return nil
}

// WrapUnary implements connect.Interceptor.
func (c calls) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if err := c.introduce(ctx, req.Header(), req.Spec()); err != nil {
			return nil, err
		}
		for try := 1; ; try++ {
			res, err := next(ctx, req)
			if err == nil {
				return res, nil
			}
			err = describe(err)
			if try >= c.retry.Attempts || !again(err, req.Spec()) || pause(ctx, c.retry.after(try, err)) != nil {
				return nil, err
			}
		}
	}
}

// again says whether a call may do better the next time, and cannot be done twice by it.
func again(err error, spec connect.Spec) bool {
	switch {
	case !passing(err):
		return false
	case notSent(err), spec.IdempotencyLevel == connect.IdempotencyNoSideEffects:
		return true
	default:
		return recognised(spec)
	}
}

// passing says whether the server said that it is a matter of time, or the connection failed.
func passing(err error) bool {
	if errors.Is(err, errQuiet) {
		return true
	}
	c, ok := errors.AsType[*connect.Error](err)
	if !ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if _, distrusted := errors.AsType[*tls.CertificateVerificationError](err); distrusted {
		return false
	}
	if c.Code() == connect.CodeUnavailable {
		return true
	}
	_, broken := errors.AsType[*net.OpError](err)
	return !connect.IsWireError(c) && (broken || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF))
}

// recognised says whether the server knows a write that it has seen before: not one that needs no caller.
func recognised(spec connect.Spec) bool {
	method, ok := spec.Schema.(protoreflect.MethodDescriptor)
	if !ok {
		return false
	}
	access, ok := proto.GetExtension(method.Options(), controlv1.E_Access).(*controlv1.MethodAccess)
	return ok && access.GetPermission() != controlv1.Permission_PERMISSION_ANYONE
}

// after is the pause after an attempt.
func (r Retry) after(try int, err error) time.Duration {
	d := r.First
	for range try - 1 {
		d = min(2*d, r.Most)
	}
	if d > 1 {
		d = d/2 + mathrand.N(d/2+1) // callers that failed together come back apart
	}
	if e, ok := errors.AsType[*Error](err); ok {
		d = max(d, min(e.RetryAfter, longestWait))
	}
	return d
}

// longestWait bounds what a server can make a caller wait.
const longestWait = 30 * time.Second

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (c calls) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		return &stream{conn, c.introduce(ctx, conn.RequestHeader(), spec)}
	}
}

// stream has its errors described.
type stream struct {
	connect.StreamingClientConn

	refused error // before anything was sent
}

// Send implements connect.StreamingClientConn.
func (s *stream) Send(m any) error {
	if s.refused != nil {
		return s.refused
	}
	err := s.StreamingClientConn.Send(m)
	if errors.Is(err, io.EOF) {
		return err // the reason is received
	}
	return describe(err)
}

// Receive implements connect.StreamingClientConn.
func (s *stream) Receive(m any) error {
	if s.refused != nil {
		return s.refused
	}
	err := s.StreamingClientConn.Receive(m)
	if errors.Is(err, io.EOF) {
		return err // the end
	}
	return describe(err)
}

// WrapStreamingHandler implements connect.Interceptor; no handler is on this side.
func (calls) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
