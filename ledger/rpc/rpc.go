// Package rpc answers the control plane's questions: the state of accounts and sums of usage. Any
// ledger may be asked, leading or not, because answers come from the database. It changes nothing,
// and it lets nobody in without the token.
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

	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/gen/tollgate/ledger/v1/ledgerv1connect"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/rpccode"
	"tollgate/ledger/store"
	"tollgate/ledger/usage"
)

// Source is what the answers come from. store.Store is one.
type Source interface {
	usage.Source
	FindAccounts(ctx context.Context, ids []int64) ([]store.Account, error)
	WindowStates(ctx context.Context, windows []contract.Window) ([]store.WindowState, error)
}

// maxMessage bounds a request.
const maxMessage = 1 << 20

// NewHandler serves both services behind the token, and health without it.
func NewHandler(src Source, token string, healthy func(context.Context) error, log *slog.Logger) http.Handler {
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
	services.Handle(ledgerv1connect.NewUsageServiceHandler(&usageService{src: src}, options...))

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
			if f.Kind() == fault.Internal || f.Kind() == fault.Unavailable {
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

type accountService struct{ src Source }

// ListAccountStates reads the current window of each account. One that nobody has drawn on yet has
// spent nothing.
func (s *accountService) ListAccountStates(ctx context.Context, req *ledgerv1.ListAccountStatesRequest) (*ledgerv1.ListAccountStatesResponse, error) {
	now := time.Now()
	accounts, err := s.src.FindAccounts(ctx, req.GetAccounts())
	if err != nil {
		return nil, err
	}
	res := &ledgerv1.ListAccountStatesResponse{AsOfUnixMs: now.UnixMilli()}
	byWindow := map[contract.Window]*ledgerv1.AccountState{}
	var windows []contract.Window
	for _, a := range accounts {
		w, end, err := a.WindowAt(now)
		if err != nil {
			return nil, err
		}
		st := &ledgerv1.AccountState{Account: a.ID, Gen: a.Gen, Start: w.Start, End: end, LimitNanos: int64(a.Limit)}
		res.States = append(res.States, st)
		byWindow[w] = st
		windows = append(windows, w)
	}
	states, err := s.src.WindowStates(ctx, windows)
	if err != nil {
		return nil, err
	}
	for _, w := range states {
		if st := byWindow[w.Window]; st != nil {
			st.LimitNanos, st.SpentNanos, st.HeldNanos = int64(w.Limit), int64(w.Spent), int64(w.Held)
		}
	}
	return res, nil
}

type usageService struct {
	ledgerv1connect.UnimplementedUsageServiceHandler
	src Source
}

var dimensions = map[ledgerv1.UsageDimension]usage.Dimension{
	ledgerv1.UsageDimension_USAGE_DIMENSION_KEY:      usage.ByKey,
	ledgerv1.UsageDimension_USAGE_DIMENSION_ENDPOINT: usage.ByEndpoint,
	ledgerv1.UsageDimension_USAGE_DIMENSION_DAY:      usage.ByDay,
}

// QueryUsage adds up what was booked.
func (s *usageService) QueryUsage(ctx context.Context, req *ledgerv1.QueryUsageRequest) (*ledgerv1.QueryUsageResponse, error) {
	now := time.Now()
	q := usage.Query{From: req.GetFromDay(), To: req.GetToDay(), KeyID: req.GetKeyId(), EndpointID: req.GetEndpointId()}
	for _, d := range req.GetGroupBy() {
		q.GroupBy = append(q.GroupBy, dimensions[d])
	}
	rows, err := usage.Ask(ctx, s.src, q)
	if err != nil {
		return nil, err
	}
	res := &ledgerv1.QueryUsageResponse{AsOfUnixMs: now.UnixMilli()}
	for _, r := range rows {
		res.Rows = append(res.Rows, &ledgerv1.UsageRow{
			KeyId: r.Bucket.KeyID, EndpointId: r.Bucket.EndpointID, Day: r.Bucket.Day,
			Requests: r.Counts.Requests, Failed: r.Counts.Failed, Abandoned: r.Counts.Abandoned, CostNanos: int64(r.Counts.Cost),
		})
	}
	return res, nil
}
