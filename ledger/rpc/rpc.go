// Package rpc answers the control plane's questions: the state of accounts, sums of usage and records of
// requests. Any ledger may be asked, leading or not, because answers come from the database; the one
// thing that it changes, the price of what was unpriced, it changes under the locks of the partitions.
// It lets nobody in without the token.
package rpc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/validate"

	"tollgate/gen/tollgate/ledger/v1/ledgerv1connect"
	"tollgate/internal/fault"
	"tollgate/internal/rpccode"
	"tollgate/ledger/store"
	"tollgate/ledger/usage"
)

// Source is what the answers come from. store.Store is one.
type Source interface {
	usage.Source
	usage.Records
	usage.Durations
	Reprice(ctx context.Context, f usage.Filter, p usage.Repricing, dryRun bool) (usage.Repriced, error)
	AccountStates(ctx context.Context, ids []int64, now time.Time) ([]store.AccountState, error)
}

// Kept is for how long a ledger keeps what, and whether it keeps records of requests at all.
type Kept struct {
	Retention store.Retention
	Records   bool
}

// maxMessage bounds a request, and maxPrices one that has prices of endpoints in it.
const (
	maxMessage = 1 << 20
	maxPrices  = 32 << 20
)

// NewHandler serves both services behind the token, and health without it.
func NewHandler(src Source, kept Kept, token string, healthy func(context.Context) error, log *slog.Logger) http.Handler {
	options := []connect.HandlerOption{
		connect.WithReadMaxBytes(maxMessage),
		connect.WithInterceptors(mapErrors(log), validate.NewInterceptor()),
		connect.WithRecover(func(ctx context.Context, s connect.Spec, _ http.Header, v any) error {
			log.ErrorContext(ctx, "panic in a handler", "procedure", s.Procedure, "panic", v)
			return fault.New(fault.InternalError, "Something went wrong inside Tollgate.")
		}),
	}
	services := http.NewServeMux()
	services.Handle(ledgerv1connect.NewAccountServiceHandler(&accountService{src}, options...))
	services.Handle(ledgerv1connect.NewUsageServiceHandler(&usageService{src, kept}, append(options, connect.WithReadMaxBytes(maxPrices))...))

	mux := http.NewServeMux()
	mux.Handle(grpchealth.NewHandler(checker(healthy)))
	mux.Handle("/", requireToken(token, services))
	return mux
}

// requireToken compares hashes, so that the time it takes says nothing about the token.
func requireToken(token string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(token))
	write := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(value))
		if token != "" && strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			next.ServeHTTP(w, r)
			return
		}
		err := toConnect(fault.New(fault.UnauthenticatedErr, "The ledger needs its token."))
		if !write.IsSupported(r) {
			http.Error(w, err.Message(), http.StatusUnauthorized)
			return
		}
		_ = write.Write(w, r, err) // the caller may be gone
	})
}

// mapErrors turns faults into Connect errors and logs those that nobody outside can mend.
func mapErrors(log *slog.Logger) connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			res, err := next(ctx, req)
			if err == nil {
				return res, nil
			}
			if ce, ok := errors.AsType[*connect.Error](err); ok {
				return nil, ce
			}
			if ctx.Err() != nil {
				return nil, connect.NewError(connect.CodeCanceled, ctx.Err())
			}
			f := fault.From(err)
			switch {
			case f.Kind() == fault.Unavailable && errors.Unwrap(f) == nil:
				// Nothing has failed: somebody else is to be asked.
				log.DebugContext(ctx, "rpc refused", "procedure", req.Spec().Procedure, "err", err)
			case f.Kind() == fault.Internal, f.Kind() == fault.Unavailable:
				log.ErrorContext(ctx, "rpc failed", "procedure", req.Spec().Procedure, "err", err)
			}
			return nil, toConnect(f)
		}
	}
}

// toConnect shows the text of a fault and of its violations, never its cause.
func toConnect(f *fault.Error) *connect.Error {
	text := f.Message
	for _, v := range f.Violations {
		text += " " + v.Field + ": " + v.Reason + "."
	}
	return connect.NewError(rpccode.Of(f.Kind()), errors.New(text))
}

// checker answers health checks of the whole server and of each service alike.
type checker func(context.Context) error

func (c checker) Check(ctx context.Context, req *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	switch req.Service {
	case "", ledgerv1connect.AccountServiceName, ledgerv1connect.UsageServiceName:
	default:
		return nil, connect.NewError(connect.CodeNotFound, errors.New("unknown service"))
	}
	status := grpchealth.StatusServing
	if c(ctx) != nil {
		status = grpchealth.StatusNotServing
	}
	return &grpchealth.CheckResponse{Status: status}, nil
}
