package ledgerlink

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	eventv1 "tollgate/gen/tollgate/event/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/gen/tollgate/ledger/v1/ledgerv1connect"
)

// preferFor is how long ledgers are asked directly after NATS was silent, before it is tried again. A
// connection whose other end has vanished looks alive for some seconds.
const preferFor = time.Second

// direct asks ledgers without NATS. Which of them leads a partition is found out by asking and
// remembered.
type direct struct {
	clients   []ledgerv1connect.LeaseServiceClient
	urls      []string
	transport *http.Transport
	log       *slog.Logger
	until     atomic.Int64 // Unix nanoseconds until which NATS is not tried

	mu   sync.Mutex // guards what follows
	lead map[uint32]int
}

func newDirect(cfg Config, log *slog.Logger) *direct {
	d := &direct{
		urls: cfg.LedgerURLs, log: log, lead: map[uint32]int{},
		transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
	}
	client := &http.Client{
		Transport: bearer{cfg.LedgerToken.Reveal(), d.transport},
		// The token is for the configured addresses alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, u := range cfg.LedgerURLs {
		d.clients = append(d.clients, ledgerv1connect.NewLeaseServiceClient(client, u, connect.WithReadMaxBytes(maxReply)))
	}
	return d
}

// maxReply bounds an answer.
const maxReply = 8 << 20

// bearer shows a token.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

func (d *direct) prefer(now time.Time)         { d.until.Store(now.Add(preferFor).UnixNano()) }
func (d *direct) preferred(now time.Time) bool { return now.UnixNano() < d.until.Load() }

// close drops connections. A nil direct has none.
func (d *direct) close() {
	if d != nil {
		d.transport.CloseIdleConnections()
	}
}

// lease asks one ledger after the other, the one that led last time first. Each gets its share of the
// time that is left, so that one that hangs does not keep the others from being asked.
func (d *direct) lease(ctx context.Context, p *eventv1.LeaseRequest) (*eventv1.LeaseReply, error) {
	d.mu.Lock()
	first := d.lead[p.GetPart()]
	d.mu.Unlock()
	var errs []error
	for i := range d.clients {
		at := (first + i) % len(d.clients)
		res, err := d.one(ctx, at, len(d.clients)-i, p)
		if err == nil {
			d.answered(p.GetPart(), at)
			return res.GetReply(), nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (d *direct) one(ctx context.Context, at, left int, p *eventv1.LeaseRequest) (*ledgerv1.LeaseResponse, error) {
	if end, ok := ctx.Deadline(); ok {
		share, cancel := context.WithTimeout(ctx, time.Until(end)/time.Duration(left))
		defer cancel()
		ctx = share
	}
	return d.clients[at].Lease(ctx, &ledgerv1.LeaseRequest{Request: p})
}

func (d *direct) answered(part uint32, at int) {
	d.mu.Lock()
	was, known := d.lead[part]
	d.lead[part] = at
	d.mu.Unlock()
	if !known || was != at {
		d.log.Info("asking the ledger without NATS", "part", part, "url", d.urls[at])
	}
}
