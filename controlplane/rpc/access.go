package rpc

import (
	"context"
	"errors"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"tollgate/controlplane/access"
	"tollgate/internal/fault"
)

// gate lets calls pass whose caller has the permission that the method's schema asks for. A method that asks for none in its
// schema is closed.
type gate struct{}

// WrapUnary implements connect.Interceptor.
func (gate) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if err := mayCall(ctx, req.Spec().Procedure); err != nil {
			return nil, err
		}
		return next(ctx, req)
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (gate) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		if err := mayCall(ctx, conn.Spec().Procedure); err != nil {
			return err
		}
		ctx, lost := whileAllowed(ctx)
		err := next(ctx, conn)
		if why := lost(); why != nil {
			return why
		}
		return err
	}
}

// WrapStreamingClient implements connect.Interceptor; no client is on this side.
func (gate) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// lookAgain is how often the rights of whoever reads a stream are looked at again.
const lookAgain = 2 * time.Second

// whileAllowed is a context that ends when the caller's credential ends or its rights become others: a stream may last for days, and
// what began under rights must not outlive them. lost has to be called at the end, and says why the context ended before it.
func whileAllowed(ctx context.Context) (_ context.Context, lost func() error) {
	again, was := visitOf(ctx).Again, access.From(ctx)
	if again == nil {
		return ctx, func() error { return nil }
	}
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan error, 1)
	go func() { // ends with the call
		t := time.NewTicker(lookAgain)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				done <- nil
				return
			case <-t.C:
			}
			now, err := again(ctx)
			switch {
			case errors.Is(err, fault.New(fault.UnauthenticatedErr, "")):
			case err != nil || was.SameRights(now): // without an answer nothing is known to have changed
				continue
			default:
				err = fault.New(fault.UnavailableErr, "Your rights have changed.").WithHint("Begin the stream again, from where it was.")
			}
			cancel(err)
			done <- err
			return
		}
	}()
	return ctx, func() error {
		cancel(nil)
		return <-done
	}
}

func mayCall(ctx context.Context, procedure string) error {
	rule, ok := access.Method(procedure)
	if !ok {
		return fault.New(fault.PermissionDenied, "Nobody may call %s: its schema does not say who may.", procedure)
	}
	return permit(ctx, rule)
}

func permit(ctx context.Context, rule access.Rule) error {
	c := access.From(ctx)
	switch {
	case rule.Allows(c):
		return nil
	case c.Actor == "":
		return fault.New(fault.UnauthenticatedErr, "No token was sent.")
	default:
		return access.Denied(c, rule.Permission)
	}
}

// requires is gate for handlers that are no methods, such as downloads.
func requires(rule access.Rule, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := permit(r.Context(), rule); err != nil {
			refuse(w, r, fault.From(err))
			return
		}
		next.ServeHTTP(w, r)
	})
}
