// Package controlplane is where the configuration is kept and changed: endpoints, keys, teams, budgets,
// limits and secrets, with an API in front and a publisher behind that brings every change to the edges.
// This package is wiring only. Traffic never passes here: with the control plane down, edges go on with
// what they have.
package controlplane

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"tollgate/controlplane/alert"
	"tollgate/controlplane/attention"
	"tollgate/controlplane/changes"
	"tollgate/controlplane/fleet"
	"tollgate/controlplane/keep"
	"tollgate/controlplane/keyuse"
	"tollgate/controlplane/pricebook"
	"tollgate/controlplane/publish"
	"tollgate/controlplane/rpc"
	"tollgate/controlplane/secrets"
	"tollgate/controlplane/seen"
	"tollgate/controlplane/sight"
	"tollgate/controlplane/signin"
	"tollgate/controlplane/store"
	"tollgate/internal/bus"
	"tollgate/internal/lifecycle"
	"tollgate/internal/pg"
	"tollgate/internal/seal"
	"tollgate/internal/telemetry"
	"tollgate/internal/ticket"
)

// maxConns is how many database connections one control plane uses beside the publisher's.
const maxConns = 16

// Deps is what a control plane needs from its process. The zero value has no logs and no traces.
type Deps struct {
	Log    *slog.Logger
	Tracer trace.TracerProvider
	Bus    []nats.Option // for a NATS server inside the process
	Drafts rpc.Drafts    // tries endpoints before they are stored; nil for nobody

	Gateway    func() string // where callers reach the edges, if the settings do not say; nil for nobody who knows
	ConsoleDev *url.URL      // a server of Vite's that the console's pages come from; nil for those in the binary
	Quiet      bool          // the process says itself how to set up the first owner; otherwise it is logged
}

// Migrate brings the database to the version that this binary needs.
func Migrate(ctx context.Context, databaseURL string, log *slog.Logger) error {
	return store.Migrate(ctx, databaseURL, log)
}

// Server is one control plane. Make it with New and run it with Run, which also gives back what New
// has taken.
type Server struct {
	cfg      Config
	log      *slog.Logger
	listener net.Listener
	pool     *pgxpool.Pool
	bus      *bus.Conn
	store    *store.Store
	fleet    *fleet.Fleet
	keyUses  *keyuse.Uses
	seen     *seen.Log
	changes  *changes.Hub
	board    *attention.Board
	alerts   *alert.Teller
	vault    *secrets.Vault
	publish  *publish.Publisher
	http     *http.Server
	litellm  *scripts // nil unless it is asked for
	people   *signin.Service
	client   *http.Client  // of the ledger
	checked  atomic.Bool   // the schema is the one this binary needs
	open     chan struct{} // closed when it is
	stopping chan struct{} // closed when calls that never end by themselves are to end
}

// New takes the address and prepares everything else, without waiting for the database or NATS.
func New(ctx context.Context, cfg Config, deps Deps) (s *Server, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Tracer == nil {
		deps.Tracer = noop.NewTracerProvider()
	}
	s = &Server{cfg: cfg, log: deps.Log, open: make(chan struct{}), stopping: make(chan struct{})}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	vault, err := secrets.Open(ctx, cfg.keys(), cfg.SealingKey.Reveal())
	if err != nil {
		return nil, err
	}
	sealing, err := seal.Parse(cfg.SealingKey.Reveal())
	if err != nil {
		return nil, err
	}
	s.vault = vault
	var lc net.ListenConfig
	if s.listener, err = lc.Listen(ctx, "tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	pool, own, err := pg.OpenWith(ctx, cfg.DatabaseURL.Reveal(), cfg.DatabaseDirectURL.Reveal(), maxConns)
	if err != nil {
		return nil, err
	}
	s.pool = pool
	if s.bus, err = bus.Connect(cfg.NATS, deps.Log, deps.Bus...); err != nil {
		return nil, err
	}
	s.store = store.New(s.pool, store.WithOwn(own))
	s.fleet = fleet.New(s.bus, cfg.Replicas, deps.Log)
	s.fleet.SealWith(sealing)
	s.keyUses = keyuse.New(s.bus, cfg.Replicas, deps.Log)
	s.seen = seen.New(s.bus, cfg.Replicas, deps.Log)
	s.changes = changes.New(s.store, deps.Log)
	s.publish = publish.New(publish.Config{Partitions: cfg.Partitions, Replicas: cfg.Replicas}, s.store, s.bus, vault, deps.Log)
	s.client = &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Minute,
	}}
	if s.people, err = signin.New(s.signIn(deps.Quiet), s.store, deps.Log); err != nil {
		return nil, err
	}
	api := rpc.Deps{
		Store: s.store, Vault: vault, Fleet: s.fleet, Edges: s.fleet, KeyUses: s.keyUses, Drafts: deps.Drafts, Tickets: tickets(sealing),
		Ledger:     rpc.NewLedger(s.client, cfg.LedgerURL, cfg.LedgerToken.Reveal()),
		AdminToken: cfg.AdminToken.Reveal(), SignIn: s.people, Answers: vault, Version: telemetry.Version(), Open: s.checked.Load,
		Seen: s.seen, Changes: s.changes, Bus: s.bus.Connected, Joining: joining{&s.cfg}, Stopping: s.stopping,
		Gateway: deps.Gateway, ConsoleDev: deps.ConsoleDev,
		Tracer: deps.Tracer, Log: deps.Log,
	}
	s.board = rpc.NewBoard(api)
	telling := alert.DefaultConfig()
	telling.ConsoleURL = strings.TrimRight(cfg.PublicURL, "/")
	s.alerts = alert.New(telling, s.store, s.board, vault, deps.Log)
	api.Board, api.Alerts = s.board, s.alerts.Sender()
	handler, err := rpc.NewHandler(api)
	if err != nil {
		return nil, err
	}
	s.http = newHTTPServer(handler, deps.Log)
	if cfg.LiteLLMAPI != "" {
		if s.litellm, err = newScripts(ctx, s, handler); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// signIn is how people sign in here. The key of cookies follows from the admin token, which all control planes have and no edge has.
func (s *Server) signIn(quiet bool) signin.Config {
	cfg := signin.Config{
		BaseURL: strings.TrimRight(s.cfg.PublicURL, "/"), Idle: s.cfg.SessionIdle, Total: s.cfg.SessionTotal,
		OIDC: s.cfg.OIDC, Proxies: s.cfg.TrustedProxies, Quiet: quiet,
	}
	if cfg.BaseURL == "" {
		_, port, _ := net.SplitHostPort(s.Addr())
		cfg.BaseURL = "http://" + net.JoinHostPort("localhost", port)
	}
	if key, err := hkdf.Key(sha256.New, []byte(s.cfg.AdminToken.Reveal()), nil, "tollgate cookies of signing in", 32); err == nil {
		cfg.Key = key
	}
	return cfg
}

// OfferSetup makes a link by which whoever opens it becomes an owner, once, or none where one was set up. The server has to be ready.
func (s *Server) OfferSetup(ctx context.Context, lasts time.Duration) (string, error) {
	return s.people.OfferSetup(ctx, lasts)
}

// SetupLink makes a link in the database by which whoever opens it becomes an owner, once.
func SetupLink(ctx context.Context, databaseURL, publicURL string) (string, error) {
	pool, err := pg.Open(ctx, databaseURL, 1)
	if err != nil {
		return "", err
	}
	defer pool.Close()
	s := store.New(pool)
	if err := s.CheckSchema(ctx); err != nil {
		return "", err
	}
	return signin.SetupLink(ctx, s, strings.TrimRight(publicURL, "/"))
}

// tickets are sealed under the key that edges have.
func tickets(key *seal.Key) rpc.TicketMaker {
	return func(hash [32]byte, edge, source string) (string, time.Time, error) {
		return ticket.Make(key, hash, edge, source, time.Now())
	}
}

func newHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // gRPC without TLS
	return &http.Server{
		Handler:           handler,
		Protocols:         &protocols,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Addr is the address that the API is on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Ready returns once calls are served.
func (s *Server) Ready(ctx context.Context) error {
	select {
	case <-s.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run serves until the context ends, then stops in good order. It fails if migrations are pending;
// a database or a NATS that is away is waited for.
func (s *Server) Run(ctx context.Context) error {
	defer s.release()
	parts := []lifecycle.Part{
		// First, so that a control plane that waits for its database says so, and stopped by the last
		// part, so that what was accepted is still published.
		{Name: "api", Run: s.serve},
		{Name: "database", Ready: s.awaitSchema},
		{Name: "sign-ins", Run: s.people.Run},
		{Name: "fleet", Run: s.fleet.Run},
		{Name: "uses of keys", Run: s.keyUses.Run},
		{Name: "seen", Run: s.seen.Run},
		{Name: "changes", Run: s.changes.Run},
		{Name: "keeper of secrets", Run: keep.New(s.store, s.vault, s.log).Run},
		{Name: "publisher", Run: s.publish.Run},
		{Name: "attention", Run: s.board.Run},
		{Name: "alerts", Run: s.alerts.Run},
		{Name: "customers", Run: sight.New(s.store, s.bus, s.log).Run},
		{Name: "calls", Stop: s.stop},
	}
	if s.litellm != nil {
		parts = append(parts, lifecycle.Part{Name: "LiteLLM API", Run: s.litellm.run, Stop: s.litellm.http.Shutdown})
	}
	return lifecycle.Run(ctx, s.cfg.Drain, parts...)
}

// release gives back what New took; it may be called with less than all of it taken.
func (s *Server) release() {
	if s.listener != nil {
		s.listener.Close()
	}
	if s.litellm != nil {
		s.litellm.listener.Close()
	}
	if s.bus != nil {
		s.bus.Close()
	}
	if s.pool != nil {
		s.pool.Close()
	}
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
}

// awaitSchema waits for the database, checks that its schema is new enough and sees to what it is to hold.
func (s *Server) awaitSchema(ctx context.Context) error {
	said := false
	for {
		err := s.prepare(ctx)
		if err == nil {
			s.checked.Store(true)
			close(s.open)
			return nil
		}
		if !pg.IsUnavailable(err) {
			return err
		}
		if !said {
			said = true
			s.log.WarnContext(ctx, "waiting for the database", "err", err)
		}
		t := time.NewTimer(500 * time.Millisecond)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
	}
}

// prepare checks the schema, and gives a new database the prices that this binary comes with.
func (s *Server) prepare(ctx context.Context) error {
	if err := s.store.CheckSchema(ctx); err != nil {
		return err
	}
	book, err := pricebook.Builtin()
	if err != nil {
		return err
	}
	return s.store.SeedBook(ctx, book)
}

func (s *Server) serve(ctx context.Context) error {
	s.log.InfoContext(ctx, "control plane serves", "addr", s.Addr())
	stop := context.AfterFunc(ctx, func() { _ = s.http.Close() }) // if it ends before calls could be served
	defer stop()
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	<-ctx.Done()
	return nil
}

// stop lets calls finish, and cuts off what has not finished in time.
func (s *Server) stop(ctx context.Context) error {
	close(s.stopping)
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}
