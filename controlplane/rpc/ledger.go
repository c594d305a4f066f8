package rpc

import (
	"context"
	"errors"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"tollgate/controlplane/store"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/gen/tollgate/ledger/v1/ledgerv1connect"
	"tollgate/internal/fault"
)

// ledgerWithin bounds a question to the ledger, well inside the bound of the call that asks it.
const ledgerWithin = 10 * time.Second

// Ledger asks the ledger. The zero value has none to ask and says so.
type Ledger struct {
	accounts ledgerv1connect.AccountServiceClient
	usage    ledgerv1connect.UsageServiceClient
}

// NewLedger makes a client of the ledger at a base URL; an empty one gives a Ledger with none to
// ask.
func NewLedger(client *http.Client, url, token string) *Ledger {
	if url == "" {
		return &Ledger{}
	}
	auth := connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+token)
			return next(ctx, req)
		}
	}))
	return &Ledger{ledgerv1connect.NewAccountServiceClient(client, url, auth), ledgerv1connect.NewUsageServiceClient(client, url, auth)}
}

func (l *Ledger) accountStates(ctx context.Context, accounts ...int64) (*ledgerv1.ListAccountStatesResponse, error) {
	if l.accounts == nil {
		return nil, noLedger()
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerWithin)
	defer cancel()
	res, err := l.accounts.ListAccountStates(ctx, &ledgerv1.ListAccountStatesRequest{Accounts: accounts})
	return res, ledgerFault(err)
}

func (l *Ledger) queryUsage(ctx context.Context, req *ledgerv1.QueryUsageRequest) (*ledgerv1.QueryUsageResponse, error) {
	if l.usage == nil {
		return nil, noLedger()
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerWithin)
	defer cancel()
	res, err := l.usage.QueryUsage(ctx, req)
	switch code := connect.CodeOf(err); {
	case byEdges(req) && code == connect.CodeInvalidArgument:
		return nil, olderLedger()
	case code == connect.CodeFailedPrecondition:
		return nil, fault.New(fault.FailedPrecondition, "%s", toldBy(err)).WithHint("Ask for less time, or have the ledger keep records for longer.").WithCause(err)
	default:
		return res, ledgerFault(err)
	}
}

// recentUsage is nil where the ledger is older than the question.
func (l *Ledger) recentUsage(ctx context.Context, scopes []*ledgerv1.RecentScope) ([]*ledgerv1.RecentUsage, error) {
	if l.usage == nil {
		return nil, noLedger()
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerWithin)
	defer cancel()
	res, err := l.usage.ListRecentUsage(ctx, &ledgerv1.ListRecentUsageRequest{Scopes: scopes})
	if err != nil && connect.CodeOf(err) == connect.CodeUnimplemented {
		return nil, nil
	}
	return res.GetUsage(), ledgerFault(err)
}

// retention is for how long the ledger keeps what.
func (l *Ledger) retention(ctx context.Context) (*ledgerv1.GetRetentionResponse, error) {
	if l.usage == nil {
		return nil, noLedger()
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerWithin)
	defer cancel()
	res, err := l.usage.GetRetention(ctx, &ledgerv1.GetRetentionRequest{})
	if err != nil && connect.CodeOf(err) == connect.CodeUnimplemented {
		return nil, olderLedger()
	}
	return res, ledgerFault(err)
}

// listRequests tells a page token that the ledger does not know from other failures: it came from our
// caller.
func (l *Ledger) listRequests(ctx context.Context, req *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
	if l.usage == nil {
		return nil, noLedger()
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerWithin)
	defer cancel()
	res, err := l.usage.ListRequests(ctx, req)
	if req.GetPageToken() != "" && connect.CodeOf(err) == connect.CodeInvalidArgument {
		return nil, store.BadToken()
	}
	if f := req.GetFilter(); err == nil && !res.GetWholeFilter() && (len(f.GetFilters()) > 0 || f.GetMinCostNanos() != 0 || f.GetMinDurationUs() != 0) {
		return nil, olderLedger() // it would answer with more than was asked for
	}
	return res, ledgerFault(err)
}

func (l *Ledger) repriceRequests(ctx context.Context, req *ledgerv1.RepriceRequestsRequest) (*ledgerv1.RepriceRequestsResponse, error) {
	// As long as the call may take: there may be many records.
	res, err := l.usage.RepriceRequests(ctx, req)
	return repriced(ctx, res, err)
}

func (l *Ledger) repriceByMeters(ctx context.Context, req *ledgerv1.RepriceByMetersRequest) (*ledgerv1.RepriceRequestsResponse, error) {
	res, err := l.usage.RepriceByMeters(ctx, req)
	switch connect.CodeOf(err) {
	case connect.CodeUnimplemented:
		return nil, fault.New(fault.UnavailableErr, "The ledger is older than this control plane, and cannot price by meters yet.").
			WithHint("Upgrade the ledger and ask again.").WithCause(err)
	case connect.CodeResourceExhausted:
		return nil, fault.New(fault.InvalidArgument, "The prices of all these endpoints are more than one call can carry.").
			WithHint("Price the requests of one endpoint at a time.").WithCause(err)
	default:
		return repriced(ctx, res.GetDone(), err)
	}
}

func repriced(ctx context.Context, res *ledgerv1.RepriceRequestsResponse, err error) (*ledgerv1.RepriceRequestsResponse, error) {
	if ctx.Err() == nil && connect.CodeOf(err) != connect.CodeDeadlineExceeded {
		return res, ledgerFault(err)
	}
	late := fault.New(fault.DeadlineExceeded, "The ledger did not finish in time, and may have priced a part of the requests.").
		WithHint("Ask again for the rest: what is priced is not priced again.").WithCause(err)
	if e, ok := errors.AsType[*connect.Error](err); ok && connect.IsWireError(err) && e.Code() == connect.CodeDeadlineExceeded && e.Message() != "" {
		late.Message = e.Message() // it ended the call itself, and says how far it came
	}
	return nil, late
}

// toldBy is what a ledger says of something that is not about our request, and so is for our caller.
func toldBy(err error) string {
	if e, ok := errors.AsType[*connect.Error](err); ok {
		return e.Message()
	}
	return err.Error()
}

func noLedger() error {
	return fault.New(fault.UnavailableErr, "This control plane is not connected to a ledger.").
		WithHint("Set ledger_url and ledger_token in the control plane's configuration.")
}

// ledgerFault says what a failure of the ledger means to our caller. What the ledger says about a
// request is about ours, not about the caller's, so it stays in the log.
func ledgerFault(err error) error {
	if err == nil {
		return nil
	}
	switch code := connect.CodeOf(err); {
	case code == connect.CodeUnauthenticated || code == connect.CodePermissionDenied:
		return fault.New(fault.UnavailableErr, "The ledger refuses this control plane's token.").
			WithHint("Give ledger_token of the control plane the value that the ledger has.").WithCause(err)
	case code == connect.CodeInternal || code == connect.CodeInvalidArgument:
		return fault.From(errors.New("ledger: " + err.Error()))
	default:
		return fault.New(fault.UnavailableErr, "The ledger cannot be reached.").WithCause(err)
	}
}
