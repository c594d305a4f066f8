// Package proxy takes one request from its first byte to its settlement: which endpoint it is for,
// whose key it carries, what it may cost, which target answers and what is charged. It promises that
// nothing leaves for a target before the spool has recorded the intent, that nothing costs more than is
// held for it where that can be prevented, that each intent is settled exactly once whatever happens to
// either side, and that a caller's key never leaves.
//
// The stages work on an Exchange of their own. What turns connections into exchanges and performs
// attempts is an engine, in a package below this one. The package keeps
// no state between requests but counters, and knows nothing of how configuration, keys and money
// reach the edge.
package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"tollgate/edge/admit"
	"tollgate/edge/limit"
	"tollgate/edge/metrics"
	"tollgate/edge/pool"
	"tollgate/edge/routing"
	"tollgate/edge/seen"
	"tollgate/edge/signing"
	"tollgate/edge/spool"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// Config is what the stages need to know.
type Config struct {
	MaxBody       int64         // bytes of a request body where the endpoint has no limit; 0 for no limit
	MeterBody     int64         // bytes of a request body that are read for a meter before the request is sent; 0 for the default
	ModelBody     int64         // bytes of a request for a model, and of an answer that is translated as a whole; 0 for the default
	HeaderTimeout time.Duration // until the target's headers where the endpoint has none
	StreamIdle    time.Duration // longest silence in the middle of an answer
	MaxInFlight   int64         // requests at a time; 0 for no limit
	// TrustedProxies are networks of proxies in front of the edge, which are believed where a request comes from.
	TrustedProxies []netip.Prefix
}

// Hold is money set aside for one request.
type Hold interface {
	// Draws are the account-windows that it draws on, behind those in into.
	Draws(into []contract.Draw) []contract.Draw
	// Extend sets aside more, in all accounts or in none.
	Extend(ctx context.Context, more money.Nanos) error
	Settle(actual money.Nanos)
	Remaining() (money.Nanos, bool)
}

// Budgets sets money aside: in all accounts or in none. The hold may be kept in into.
type Budgets interface {
	Hold(ctx context.Context, into *admit.Hold, accounts []*admit.Account, amount money.Nanos) (Hold, error)
}

// Pass is what a request has taken of its limits. Without a Settle before Release it was not sent.
type Pass interface {
	Settle(units int64)
	Release()
}

// Limits let requests pass: all of them or none. The pass may be kept in into.
type Limits interface {
	Acquire(ctx context.Context, into *limit.Pass, limits []*limit.Limit, units int64) (Pass, error)
}

// Customers are told of those that requests name for the first time.
type Customers interface {
	// Tell has the control plane told, and waits for nothing.
	Tell(customer string)
	// Await returns a table in which the customer has its budget. The error is a fault, or the end of ctx.
	Await(ctx context.Context, customer string) (*routing.Table, error)
}

// Recorder keeps intents and settlements. What it is given it does not keep.
type Recorder interface {
	Intent(i *spool.Intent) (spool.Ticket, error)
	// Partial records what is held and what it has cost so far, before anything goes on that is only
	// covered by it.
	Partial(t spool.Ticket, reserved, metered money.Nanos) error
	Settle(t spool.Ticket, end *spool.Settlement)
	Err() error // why no intent can be recorded at present, or nil
}

// Pools choose where attempts go.
type Pools interface {
	// Pick chooses for the next attempt of a request. The choice may be kept in into. The error is a fault, or pool.ErrTried.
	Pick(e *routing.Endpoint, t *pool.Tries, into *pool.Choice) (*pool.Choice, error)
	// MayRetry takes one from the retries that an endpoint allows at present, if there is one.
	MayRetry(e *routing.Endpoint) bool
	// Look lists the targets of an endpoint in the order in which they would be tried now.
	Look(e *routing.Endpoint) []pool.State
}

// Upstream performs attempts.
type Upstream interface {
	// RoundTrip returns the target's status and headers, or an *AttemptError. The context ends the
	// attempt, also while the body of the answer is read.
	RoundTrip(ctx context.Context, a *Attempt) (*Answer, error)
}

// KeyUse counts how often secrets are used. It never waits.
type KeyUse interface {
	Count(secret [32]byte, at time.Time, from netip.Addr, agent string)
}

// Deps are the parts that a gateway works with. Tracer may be nil.
type Deps struct {
	Routes *routing.Holder
	// Whole says whether keys and routes are there, and not just some of them: on a first start they
	// come one after the other, and a key that is still to come must not be refused. Nil for always.
	Whole func() bool
	// Ended says why the ledger gives this process no money any more; nil for never.
	Ended    func() error
	Keys     *admit.Keys
	Tickets  Tickets // nil: none are taken
	Budgets  Budgets
	Limits   Limits
	Spool    Recorder
	Pools    Pools
	Upstream Upstream
	Adapters Adapters // nil: there are none
	Metrics  *metrics.Metrics
	Seen     *seen.Log // nil: nobody is told
	KeyUse   KeyUse    // nil: nobody counts
	Tracer   trace.Tracer
	Log      *slog.Logger
	// Customers may be nil: nobody is told of them then, and none that is new gets a budget.
	Customers Customers
}

// Gateway serves exchanges. It is safe for concurrent use.
type Gateway struct {
	cfg      Config
	d        Deps
	leaving  atomic.Bool
	draining atomic.Bool
	stopping atomic.Bool
	inFlight atomic.Int64
	admitted atomic.Int64 // of those in flight, against the limit
	learned  learned
	costs    costs
	refusals refusals
	signers  *signing.Signers
	room     room // for bodies that may be sent again
	// spoolFailed is when the spool last refused an intent, in Unix nanoseconds; 0 if the last one
	// was recorded.
	spoolFailed atomic.Int64
}

// New makes a gateway.
func New(cfg Config, d Deps) *Gateway {
	g := &Gateway{cfg: cfg, d: d}
	g.signers = signing.New(g.post)
	return g
}

// Leave makes the gateway report that it is not ready. It goes on serving.
func (g *Gateway) Leave() { g.leaving.Store(true) }

// Drain makes the gateway report that it is not ready, or no longer for this reason. It goes on serving.
func (g *Gateway) Drain(on bool) { g.draining.Store(on) }

// Draining says whether it was asked to take no more requests, or is about to stop.
func (g *Gateway) Draining() bool { return g.draining.Load() || g.leaving.Load() || g.stopping.Load() }

// Stop makes the gateway refuse new requests and report that it is not ready. Those that run go on.
func (g *Gateway) Stop() { g.stopping.Store(true) }

// Forget drops what was learned of endpoints that keep refuses, and credentials that none has any more.
func (g *Gateway) Forget(keep func(endpointID string) bool) {
	g.learned.forget(keep)
	g.costs.forget(keep)
	g.refusals.forget(keep)
	if t := g.d.Routes.Current(); t != nil {
		g.signers.Keep(t.Destinations())
	}
}

// InFlight is how many requests are being served.
func (g *Gateway) InFlight() int64 { return g.inFlight.Load() }

// spoolRetry is how long a refusal of the spool counts against readiness. Without traffic nothing
// would ever find out that it works again.
const spoolRetry = 5 * time.Second

// Ready says why the gateway should get no traffic, or nil.
func (g *Gateway) Ready() error {
	switch failed := g.spoolFailed.Load(); {
	case g.leaving.Load() || g.stopping.Load():
		return shuttingDown()
	case g.draining.Load():
		return fault.New(fault.ShuttingDown, "This edge was told to take no more requests.").WithRetryAfter(time.Second)
	case g.table() == nil:
		return snapshotMissing()
	case g.d.Ended != nil && g.d.Ended() != nil:
		return g.d.Ended()
	case g.d.Spool.Err() != nil:
		return g.d.Spool.Err()
	case failed != 0 && time.Since(time.Unix(0, failed)) < spoolRetry:
		return fault.New(fault.SpoolUnavailable, "The spool could not record the last request.")
	default:
		return nil
	}
}

// table is the current table, or nil while there is not all that is needed to use it.
func (g *Gateway) table() *routing.Table {
	if g.d.Whole != nil && !g.d.Whole() {
		return nil
	}
	return g.d.Routes.Current()
}

func shuttingDown() error {
	return fault.New(fault.ShuttingDown, "This edge is stopping.").WithRetryAfter(time.Second)
}

func snapshotMissing() error {
	return fault.New(fault.SnapshotMissing, "This edge has no configuration yet.").WithRetryAfter(5 * time.Second)
}

// Why an exchange's context ended, as its cause.
var (
	// ErrCallerGone: the caller closed the connection.
	ErrCallerGone = errors.New("the caller is gone")
	// ErrCutOff: the edge had to stop before the exchange was over.
	ErrCutOff = errors.New("the edge stopped")

	errTotal = errors.New("the time for the whole exchange is over")

	errStreamIdle = errors.New("the answer went silent")
	errOver       = errors.New("the exchange is over")
	errAnswered   = errors.New("there is an answer by now")
)

// Serve answers x. It returns when the answer is complete, or aborted, and everything about it is
// settled.
func (g *Gateway) Serve(ctx context.Context, x *Exchange) {
	c := newCall(g, x)
	g.inFlight.Add(1)
	g.d.Metrics.InFlight.Inc()
	finished := false
	defer func() {
		c.release()
		if finished {
			c.recycle()
		}
	}()
	defer func() {
		c.finish(ctx)
		c.leave()
		g.d.Metrics.InFlight.Dec()
		g.inFlight.Add(-1)
		finished = true
	}()
	defer func() {
		// A bug costs one request, never the process.
		if v := recover(); v != nil {
			c.panicked(ctx, v)
		}
	}()
	// This one runs first, so that a panic on its way up leaves no intent open and no money held.
	defer func() {
		c.over = c.elapsed()
		c.settle()
	}()
	if !g.answeredHere(c) {
		ctx = c.startSpan(ctx)
		g.serve(ctx, c)
	}
}

// serve is apart from what follows it in any case, which costs next to nothing where there is but one way out.
func (g *Gateway) serve(ctx context.Context, c *call) {
	if err := g.admit(ctx, c); err != nil {
		if !errors.Is(err, errAnswered) {
			c.turnAway(ctx, err)
		}
		return
	}
	c.attempts(ctx)
}

// admit takes a request through everything that comes before the first attempt.
func (g *Gateway) admit(ctx context.Context, c *call) error {
	for _, stage := range &admission {
		if err := stage(c, ctx); err != nil {
			return err
		}
	}
	return nil
}

// admission is what comes before the first attempt.
var admission = [...]func(*call, context.Context) error{
	(*call).open, (*call).match, (*call).authenticate, (*call).label, (*call).checkBody, (*call).customer, (*call).models, (*call).price,
	(*call).within, (*call).readAhead, (*call).hold,
}
