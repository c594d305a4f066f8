// Package edge is the data plane: it forwards requests to targets, checks keys, keeps limits, holds and
// charges money, and reports what happened. An edge starts and serves with everything else down if it has
// served before on the same disk, and what it charged outlives it there until the ledger has it.
//
// This package wires the parts together and holds no rule of its own. It never reaches a database.
package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"tollgate/edge/adapter/remote"
	"tollgate/edge/admit"
	"tollgate/edge/certs"
	"tollgate/edge/customers"
	"tollgate/edge/health"
	"tollgate/edge/keyuse"
	"tollgate/edge/ledgerlink"
	"tollgate/edge/limit"
	"tollgate/edge/metrics"
	"tollgate/edge/pool"
	"tollgate/edge/proxy"
	"tollgate/edge/proxy/nethttp"
	"tollgate/edge/routing"
	"tollgate/edge/secrets"
	"tollgate/edge/seen"
	"tollgate/edge/snapsync"
	"tollgate/edge/spool"
	"tollgate/edge/ticket"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/lifecycle"
	"tollgate/internal/money"
	"tollgate/internal/seal"
)

// Deps are what an edge gets from its process.
type Deps struct {
	Log *slog.Logger
	// Bus are options of the connection to NATS, such as an embedded server.
	Bus []nats.Option
	// Getenv resolves ${env:NAME} in headers; nil finds nothing.
	Getenv func(name string) (string, bool)
	// Tracing makes spans; nil for none.
	Tracing trace.TracerProvider
}

// Node is one edge. Make it with New; Run ends it.
type Node struct {
	cfg     Config
	log     *slog.Logger
	started time.Time

	routes    *routing.Holder
	keys      *admit.Keys
	sealing   *seal.Key
	tickets   *ticket.Taker
	keyUse    *keyuse.Counters
	pools     *pool.Pools
	metrics   *metrics.Metrics
	spool     *spool.Spool
	publisher *spool.Publisher
	conn      *bus.Conn
	sync      *snapsync.Sync
	secrets   *secrets.Resolver
	link      *ledgerlink.Link
	book      *admit.Book
	limits    *limit.Set
	client    client
	prober    *nethttp.Client
	adapters  *remote.Adapters
	health    *health.Checker
	gateway   *proxy.Gateway
	customers *customers.Sight
	server    server
	certs     *certs.Store // nil without TLS
	seen      *seen.Log    // nil if nobody is told

	advertised string      // where others reach it
	hurry      atomic.Bool // a heartbeat is due

	traffic net.Listener
	admin   net.Listener // nil for none
	table   *routing.Table
	// unverified are the endpoints and targets whose certificates are not verified, as they were warned of.
	unverified map[[2]string]bool
}

// settleTime is what the parts behind the traffic have to bring the last spend to the ledger.
const settleTime = 6 * time.Second

// New opens the edge's disk and its listeners, and loads the configuration that it last served. It
// waits for nobody: NATS, control plane and ledger may be away.
func New(ctx context.Context, cfg Config, d Deps) (_ *Node, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Getenv == nil {
		d.Getenv = func(string) (string, bool) { return "", false }
	}
	n := &Node{
		cfg: cfg, log: d.Log.With("edge", cfg.Name), started: time.Now(),
		routes: &routing.Holder{}, keys: &admit.Keys{}, metrics: metrics.New(),
	}
	n.pools = pool.New(n.log)
	defer func() {
		if err != nil {
			err = errors.Join(err, n.release())
		}
	}()
	key, err := seal.Parse(cfg.SealingKey.Reveal())
	if err != nil {
		return nil, err
	}
	n.sealing, n.tickets = key, ticket.New(key, cfg.Name, n.started)
	n.spool, err = openSpool(cfg, n.log)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if cfg.NATS.Name == "" {
		cfg.NATS.Name = "tollgate-edge-" + cfg.Name
	}
	if n.conn, err = bus.Connect(cfg.NATS, n.log, d.Bus...); err != nil {
		return nil, err
	}
	n.publisher = spool.NewPublisher(n.spool, n.publish, n.log)
	if cfg.Seen {
		n.seen = seen.New(cfg.Name, n.spool.Inc(), func(data []byte) error {
			return n.conn.NATS().Publish(contract.Seen(cfg.Name), data)
		}, n.log)
	}
	if err := n.wireMoney(); err != nil {
		return nil, err
	}
	n.keyUse = keyuse.New(cfg.Name, n.spool.Inc(), n.sendKeyUse, n.countsKey, n.log)
	n.wireTargets()
	if err := n.wireConfiguration(key, d.Getenv); err != nil {
		return nil, err
	}
	if err := n.wireTraffic(d.Tracing); err != nil {
		return nil, err
	}
	if err := n.listen(ctx); err != nil {
		return nil, err
	}
	if n.advertised = n.cfg.Advertise; n.advertised == "" {
		n.advertised = advertised(n.traffic.Addr(), n.certs != nil)
	}
	return n, nil
}

func openSpool(cfg Config, log *slog.Logger) (*spool.Spool, error) {
	o := spool.Options{
		Dir: filepath.Join(cfg.DataDir, "spool"), Edge: cfg.Name, MaxBytes: cfg.SpoolMaxBytes, Log: log,
	}
	if cfg.SpoolStorage == spoolWrite {
		o.Storage = spool.Written(o.Dir)
	}
	return spool.Open(o)
}

func (n *Node) wireMoney() (err error) {
	link := ledgerlink.DefaultConfig()
	link.Edge, link.Inc = n.cfg.Name, n.spool.Inc()
	link.LedgerURLs, link.LedgerToken = n.cfg.LedgerURLs, n.cfg.LedgerToken
	if n.link, err = ledgerlink.New(link, n.conn, ledgerlink.Spools{
		Parts: n.spool.Joined, States: n.spool.States, Mark: n.publisher.Mark,
	}, n.log); err != nil {
		return err
	}
	lease := admit.DefaultConfig()
	lease.Wait, lease.Ahead, lease.Join = n.cfg.LeaseWait, n.cfg.LeaseAhead, n.spool.Join
	n.book = admit.NewBook(lease, n.link, n.log)
	n.limits = limit.New(limit.DefaultConfig(), n.link, n.log)
	return nil
}

func (n *Node) wireConfiguration(key *seal.Key, getenv func(string) (string, bool)) (err error) {
	n.secrets, err = secrets.New(secrets.Config{
		Dir: n.cfg.DataDir, Files: n.cfg.SecretFiles, Vault: n.cfg.Vault.From(getenv),
	}, key, getenv, n.log)
	if err != nil {
		return err
	}
	n.sync = snapsync.New(snapsync.Config{Dir: n.cfg.DataDir, References: n.secrets}, n.conn, key, n.routes, n.keys, getenv, n.log)
	// A copy that cannot be read is no reason to stay down: the newest values come with NATS.
	if err := n.sync.LoadFromDisk(); err != nil {
		n.log.Warn("last good configuration is not usable", "err", err)
	}
	n.applied()
	return nil
}

// wireTargets makes what follows the targets of a configuration.
func (n *Node) wireTargets() {
	cfg := nethttp.DefaultClientConfig()
	cfg.AllowPrivate = n.cfg.AllowPrivateTargets
	n.client, n.prober = n.newClient(cfg)
	n.adapters = remote.New(remote.Config{Connections: nethttp.NewClient(cfg), Metrics: n.metrics, Log: n.log})
	n.health = health.New(n.client.RoundTrip, n.pools, n.log)
}

func (n *Node) wireTraffic(tracing trace.TracerProvider) error {
	var tracer trace.Tracer
	if _, off := tracing.(noop.TracerProvider); tracing != nil && !off {
		tracer = tracing.Tracer("tollgate/edge")
	}
	n.customers = customers.New(customers.DefaultConfig(), n.tellOfCustomer, n.routes, n.log)
	n.gateway = proxy.New(proxy.Config{
		MaxBody: n.cfg.MaxBodyBytes, MeterBody: n.cfg.MeterBodyBytes, ModelBody: n.cfg.ModelBodyBytes, HeaderTimeout: n.cfg.HeaderTimeout,
		StreamIdle: n.cfg.StreamIdle, MaxInFlight: n.cfg.MaxInFlight, TrustedProxies: n.cfg.trustedProxies(),
	}, proxy.Deps{
		Routes: n.routes, Whole: func() bool { return n.sync.Applied() != contract.Version{} }, Ended: n.link.Ended, Keys: n.keys, Tickets: n.tickets,
		Budgets: budgets{n.book}, Limits: limits{n.limits}, Spool: n.spool, Pools: n.pools, Upstream: n.client,
		Adapters: n.adapters, Customers: n.customers, KeyUse: n.keyUse, Metrics: n.metrics, Seen: n.seen, Tracer: tracer, Log: n.log,
	})
	n.health.SignWith(n.gateway.Sign)
	n.metrics.Watch(n.state)
	server := nethttp.DefaultServerConfig()
	server.HeaderTimeout, server.PeerTimeout, server.IdleTimeout = n.cfg.HeaderReadTimeout, n.cfg.PeerTimeout, n.cfg.IdleTimeout
	server.MaxHeader, server.MaxLines = n.cfg.MaxHeaderBytes, n.cfg.MaxHeaderLines
	if t := n.cfg.TLS; t.CertFile != "" {
		var err error
		if n.certs, err = certs.Open(certs.Files{
			Cert: t.CertFile, Key: t.KeyFile, ClientCA: t.ClientCAFile, MinVersion: versions[t.MinVersion],
		}, n.log); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		server.TLS = n.certs.TLS()
	}
	n.server = n.newServer(server)
	return nil
}

func (n *Node) listen(ctx context.Context) (err error) {
	var lc net.ListenConfig
	if n.traffic, err = lc.Listen(ctx, "tcp", n.cfg.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if n.cfg.AdminListen == "" {
		return nil
	}
	if n.admin, err = lc.Listen(ctx, "tcp", n.cfg.AdminListen); err != nil {
		return fmt.Errorf("admin_listen: %w", err)
	}
	return nil
}

// Addr is where traffic is taken.
func (n *Node) Addr() string { return n.traffic.Addr().String() }

// AdminAddr is where metrics and probes are answered; empty for nowhere.
func (n *Node) AdminAddr() string {
	if n.admin == nil {
		return ""
	}
	return n.admin.Addr().String()
}

// Run serves until ctx ends, then stops in an order that loses nothing: running requests end, money
// that is left goes back, the last spend goes out and is confirmed, and only then NATS is left.
func (n *Node) Run(ctx context.Context) error {
	n.log.Info("edge starting", "listen", n.Addr(), "admin", n.AdminAddr(), "revision", n.sync.Applied().String())
	parts := []lifecycle.Part{
		{Name: "configuration", Run: n.sync.Run},
		{Name: "secrets", Run: func(ctx context.Context) error { return n.secrets.Run(ctx, n.sync.Recompile) }},
		{Name: "ledger link", Run: func(ctx context.Context) error { return n.link.Run(ctx, n.book, n.limits) }},
		{Name: "spend publisher", Run: n.publisher.Run, Stop: n.drainSpend},
		{Name: "leases", Run: n.book.Run, Stop: n.returnLeases},
		{Name: "limits", Run: n.limits.Run, Stop: n.returnPermits},
		{Name: "uses of keys", Run: n.keyUse.Run, Stop: n.keyUse.Stop},
		{Name: "heartbeat", Run: n.beat},
		{Name: "explain", Run: n.explain},
		{Name: "customers", Run: n.customers.Run},
		{Name: "commands", Run: n.obey},
		{Name: "health checks", Run: n.health.Run},
	}
	if n.seen != nil {
		parts = append(parts, lifecycle.Part{Name: "seen", Run: n.seen.Run})
	}
	if n.certs != nil {
		parts = append(parts, lifecycle.Part{Name: "certificates", Run: n.certs.Run})
	}
	if n.admin != nil {
		parts = append(parts, n.adminPart())
	}
	parts = append(parts, lifecycle.Part{
		Name: "traffic",
		Run:  func(context.Context) error { return n.server.Serve(n.traffic) },
		Stop: n.drainTraffic,
	})
	err := lifecycle.Run(ctx, n.cfg.Notice+n.cfg.Drain+settleTime, parts...)
	events, _ := n.spool.Depth()
	n.log.Info("edge stopped", "unconfirmed_events", events, "err", err)
	return errors.Join(err, n.release())
}

// giveNotice has balancers send requests elsewhere before any is refused, and before a connection is closed
// over which one is just being sent.
func (n *Node) giveNotice(ctx context.Context) {
	n.gateway.Leave()
	timer := time.NewTimer(n.cfg.Notice)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// drainTraffic leaves the parts behind it their time, also when requests need all of theirs. Cutting
// off what is left then is what the configuration asks for, and no failure.
func (n *Node) drainTraffic(ctx context.Context) error {
	n.giveNotice(ctx)
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Drain)
	defer cancel()
	left := n.gateway.InFlight()
	err := n.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		n.log.Warn("requests were cut off by the end of the drain time", "at_begin", left)
		return nil
	}
	return err
}

// returnLeases gives back what is unspent. The ledger also finds out from the end of the spool.
func (n *Node) returnLeases(context.Context) error {
	n.book.ReturnAll()
	return nil
}

// returnPermits lets other edges have what running requests here no longer need. The ledger also finds
// out when this edge has been silent for a while.
func (n *Node) returnPermits(context.Context) error {
	n.limits.ReturnAll()
	return nil
}

// drainSpend brings the last events to the ledger. What does not get there in time stays on disk and
// is sent at the next start.
func (n *Node) drainSpend(ctx context.Context) error {
	if !n.conn.Connected() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime-time.Second)
	defer cancel()
	if err := n.publisher.Drain(ctx); err != nil {
		events, _ := n.spool.Depth()
		n.log.Warn("the ledger has not confirmed all spend; it stays on disk", "events", events, "err", err)
	}
	return nil
}

// release closes what New opened.
func (n *Node) release() error {
	var errs []error
	for _, l := range []net.Listener{n.traffic, n.admin} {
		if l != nil {
			l.Close() // the server that served it may have done so
		}
	}
	if n.client != nil {
		n.client.Close()
		n.adapters.Close()
	}
	if n.secrets != nil {
		n.secrets.Close()
	}
	if n.conn != nil {
		n.conn.Close()
	}
	if n.spool != nil {
		errs = append(errs, n.spool.Close())
	}
	return errors.Join(errs...)
}

// publish is a synchronous publish to a stream.
func (n *Node) publish(ctx context.Context, subject, msgID string, data []byte) error {
	_, err := n.conn.JetStream().PublishMsg(ctx, &nats.Msg{Subject: subject, Data: data}, jetstream.WithMsgID(msgID))
	return err
}

// sendKeyUse brings to the stream how often keys were used.
func (n *Node) sendKeyUse(ctx context.Context, subject string, data []byte) error {
	if !n.conn.Connected() {
		return nats.ErrDisconnected
	}
	_, err := n.conn.JetStream().Publish(ctx, subject, data)
	return err
}

// countsKey says whether the configuration has a secret counted.
func (n *Node) countsKey(hash [32]byte) bool {
	key, ok := n.keys.Lookup(hash)
	return ok && key.Counted()
}

// budgets lets the proxy see a book as what it needs of one.
type budgets struct{ book *admit.Book }

func (b budgets) Hold(ctx context.Context, into *admit.Hold, accounts []*admit.Account, amount money.Nanos) (proxy.Hold, error) {
	if err := b.book.Hold(ctx, into, accounts, amount); err != nil {
		return nil, err
	}
	return into, nil
}

// limits lets it see a set of limits so.
type limits struct{ set *limit.Set }

func (l limits) Acquire(ctx context.Context, into *limit.Pass, of []*limit.Limit, units int64) (proxy.Pass, error) {
	if err := l.set.Acquire(ctx, into, of, units); err != nil {
		return nil, err
	}
	return into, nil
}
