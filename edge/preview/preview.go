// Package preview is a gateway that never sends anything: it takes requests through the very stages of an edge, with the configuration
// that it is given and one endpoint of it as somebody is about to write it. It promises the answers of an edge on which all that is
// outside of the configuration is well: every target works, budgets and limits have enough, and secrets are there.
//
// It opens no secret, keeps no draft, and is not for serving.
package preview

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"google.golang.org/protobuf/proto"

	"tollgate/edge/admit"
	"tollgate/edge/limit"
	"tollgate/edge/metrics"
	"tollgate/edge/pool"
	"tollgate/edge/proxy"
	"tollgate/edge/routing"
	"tollgate/edge/spool"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// Preview answers questions about drafts. It is safe for concurrent use.
type Preview struct {
	log  *slog.Logger
	keys *admit.Keys
	hash [32]byte // of the one key that there is

	mu      sync.Mutex // guards what follows
	version contract.Version
	table   *routing.Table // of the version; nil for none yet
}

// Ask takes one request through the stages.
type Ask = func(context.Context, *eventv1.ExplainCall) *controlv1.Explanation

// New makes one.
func New(log *slog.Logger) *Preview {
	p := &Preview{log: log, keys: &admit.Keys{}, hash: contract.KeyHash([]byte("preview"))}
	shard := &eventv1.KeyShard{Shard: contract.KeyShardOf(p.hash), Keys: []*eventv1.ShardKey{{Sha256: p.hash[:], Id: "key_any", Name: "any-key"}}}
	if err := p.keys.SetShard(shard); err != nil {
		panic(err) // it is the same each time
	}
	return p
}

// Open makes the gateway of a draft among all other endpoints, as of a version of the configuration or a newer one. load reads that if
// it is not the last that was asked for. Through explain a request goes as one with a key that may do everything; route tells only
// where it goes.
func (p *Preview) Open(ctx context.Context, version contract.Version, load func(context.Context) (*eventv1.RouteSnapshot, contract.Version, error),
	draft *eventv1.RouteEndpoint, book []*eventv1.BookList,
) (explain, route Ask, err error) {
	table, err := p.tableOf(ctx, version, load)
	if err != nil {
		return nil, nil, err
	}
	draft = proto.CloneOf(draft)
	withoutCertificates(draft)
	if table, err = table.With(draft, book, placeholders); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrDraft, err)
	}
	routes := &routing.Holder{}
	routes.Store(table)
	g := proxy.New(proxy.Config{}, proxy.Deps{
		Routes: routes, Keys: p.keys, Budgets: enough{}, Limits: enough{}, Spool: nothing{}, Upstream: nothing{},
		Pools: pool.New(p.log), Metrics: metrics.New(), Log: p.log,
	})
	explain = func(ctx context.Context, q *eventv1.ExplainCall) *controlv1.Explanation {
		if len(q.GetKeySha256()) == 0 {
			q = proto.CloneOf(q)
			q.KeySha256 = p.hash[:]
		}
		return g.Explain(ctx, q)
	}
	return explain, g.Route, nil
}

// ErrDraft says that no edge could serve the draft.
var ErrDraft = errors.New("the draft cannot be served")

// tableOf is everything that there is. It is compiled once for each version: drafts are many, and changes few.
func (p *Preview) tableOf(ctx context.Context, version contract.Version, load func(context.Context) (*eventv1.RouteSnapshot, contract.Version, error)) (*routing.Table, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.table != nil && !version.Newer(p.version) && p.version.Epoch == version.Epoch {
		return p.table, nil
	}
	s, read, err := load(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range s.GetEndpoints() {
		withoutCertificates(e)
	}
	for _, a := range s.GetAdapters() {
		withoutCertificates(a.GetUpstream())
	}
	for _, m := range s.GetModels() {
		for _, d := range m.GetDeployments() {
			withoutCertificates(d.GetUpstream())
		}
	}
	table, err := routing.Compile(s, read, placeholders)
	if err != nil {
		return nil, err
	}
	p.version, p.table = read, table
	return table, nil
}

// withoutCertificates leaves out what only connections need, and what secrets may hold.
func withoutCertificates(e *eventv1.RouteEndpoint) {
	for _, t := range e.GetRouteTargets() {
		t.CaPem, t.ClientCertPem, t.ClientKey = "", "", ""
	}
}

// placeholders stand for secrets and variables, of which only the references are ever shown.
var placeholders = routing.Lookups{
	Secret: func(string) (string, error) { return "secret", nil },
	Env:    func(string) (string, bool) { return "variable", true },
}

// enough is budgets and limits that never run out.
type enough struct{}

// Hold implements proxy.Budgets.
func (enough) Hold(_ context.Context, _ *admit.Hold, accounts []*admit.Account, _ money.Nanos) (proxy.Hold, error) {
	h := make(held, len(accounts))
	for i, a := range accounts {
		h[i] = contract.Draw{Window: contract.Window{Account: a.ID()}, Part: a.Part()}
	}
	return h, nil
}

// Acquire implements proxy.Limits.
func (enough) Acquire(context.Context, *limit.Pass, []*limit.Limit, int64) (proxy.Pass, error) {
	return passed{}, nil
}

type held []contract.Draw

func (h held) Draws(into []contract.Draw) []contract.Draw { return append(into, h...) }
func (held) Extend(context.Context, money.Nanos) error    { return nil }
func (held) Settle(money.Nanos)                           {}
func (held) Remaining() (money.Nanos, bool)               { return 0, false }

type passed struct{}

func (passed) Settle(int64) {}
func (passed) Release()     {}

var errNothing = errors.New("a preview sends nothing and records nothing")

// nothing is a spool and targets that no request gets to.
type nothing struct{}

// Intent implements proxy.Recorder.
func (nothing) Intent(*spool.Intent) (spool.Ticket, error) { return spool.Ticket{}, errNothing }

// Partial implements proxy.Recorder.
func (nothing) Partial(spool.Ticket, money.Nanos, money.Nanos) error { return errNothing }

// Settle implements proxy.Recorder.
func (nothing) Settle(spool.Ticket, *spool.Settlement) {}

// Err implements proxy.Recorder.
func (nothing) Err() error { return nil }

// RoundTrip implements proxy.Upstream.
func (nothing) RoundTrip(context.Context, *proxy.Attempt) (*proxy.Answer, error) {
	return nil, errNothing
}
