package rpc

import (
	"context"
	"log/slog"
	"net/http"

	"connectrpc.com/connect"
	"connectrpc.com/validate"

	eventv1 "tollgate/gen/tollgate/event/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/gen/tollgate/ledger/v1/ledgerv1connect"
)

// Leases answers requests of edges for the partitions that this ledger leads. For others it fails with a
// fault of kind unavailable.
type Leases interface {
	Lease(ctx context.Context, p *eventv1.LeaseRequest) (*eventv1.LeaseReply, error)
}

// maxLeaseMessage bounds a lease request: 20,000 lines of each kind.
const maxLeaseMessage = 8 << 20

// NewLeaseHandler serves the way of edges to the ledger while NATS is away, behind the token. It returns
// the path to mount it on.
func NewLeaseHandler(leases Leases, token string, log *slog.Logger) (path string, h http.Handler) {
	path, h = ledgerv1connect.NewLeaseServiceHandler(&leaseService{leases},
		connect.WithReadMaxBytes(maxLeaseMessage),
		connect.WithInterceptors(mapErrors(log), validate.NewInterceptor()),
	)
	return path, requireToken(token, h)
}

type leaseService struct{ leases Leases }

// Lease answers like the subject of the partition does.
func (s *leaseService) Lease(ctx context.Context, req *ledgerv1.LeaseRequest) (*ledgerv1.LeaseResponse, error) {
	reply, err := s.leases.Lease(ctx, req.GetRequest())
	if err != nil {
		return nil, err
	}
	return &ledgerv1.LeaseResponse{Reply: reply}, nil
}
