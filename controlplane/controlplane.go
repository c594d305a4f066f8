// Package controlplane is where the configuration is kept and changed: endpoints, keys, teams, budgets,
// limits and secrets, with an API in front and a publisher behind that brings every change to the edges.
// This package is wiring only. Traffic never passes here: with the control plane down, edges go on with
// what they have.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"tollgate/controlplane/fleet"
	"tollgate/controlplane/pricebook"
	"tollgate/controlplane/publish"
	"tollgate/controlplane/rpc"
	"tollgate/controlplane/secrets"
	"tollgate/controlplane/store"
	"tollgate/internal/bus"
	"tollgate/internal/lifecycle"
	"tollgate/internal/pg"
	"tollgate/internal/telemetry"
)

// maxConns is how many database connections one control plane uses beside the publisher's.
const maxConns = 16

// Deps is what a control plane needs from its process. The zero value has no logs and no traces.
type Deps struct {
	Log    *slog.Logger
	Tracer trace.TracerProvider
	Bus    []nats.Option // for a NATS server inside the process
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
	publish  *publish.Publisher
	http     *http.Server
	client   *http.Client  // of the ledger
	checked  atomic.Bool   // the schema is the one this binary needs
	open     chan struct{} // closed when it is
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
	s = &Server{cfg: cfg, log: deps.Log, open: make(chan struct{})}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	vault, err := secrets.New(cfg.MasterKey.Reveal(), cfg.SealingKey.Reveal())
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	if s.listener, err = lc.Listen(ctx, "tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if s.pool, err = pg.Open(ctx, cfg.DatabaseURL.Reveal(), maxConns); err != nil {
		return nil, err
	}
	if s.bus, err = bus.Connect(cfg.NATS, deps.Log, deps.Bus...); err != nil {
		return nil, err
	}
	s.store = store.New(s.pool)
	s.fleet = fleet.New(s.bus, cfg.Replicas, deps.Log)
	s.publish = publish.New(publish.Config{Partitions: cfg.Partitions, Replicas: cfg.Replicas}, s.store, s.bus, vault, deps.Log)
	s.client = &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Minute,
	}}
	handler, err := rpc.NewHandler(rpc.Deps{
		Store: s.store, Vault: vault, Fleet: s.fleet, Edges: s.fleet,
		Ledger:     rpc.NewLedger(s.client, cfg.LedgerURL, cfg.LedgerToken.Reveal()),
		AdminToken: cfg.AdminToken.Reveal(), Version: telemetry.Version(), Open: s.checked.Load,
		Tracer: deps.Tracer, Log: deps.Log,
	})
	if err != nil {
		return nil, err
	}
	s.http = newHTTPServer(handler, deps.Log)
	return s, nil
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
	return lifecycle.Run(ctx, s.cfg.Drain,
		// First, so that a control plane that waits for its database says so, and stopped by the last
		// part, so that what was accepted is still published.
		lifecycle.Part{Name: "api", Run: s.serve},
		lifecycle.Part{Name: "database", Ready: s.awaitSchema},
		lifecycle.Part{Name: "fleet", Run: s.fleet.Run},
		lifecycle.Part{Name: "publisher", Run: s.publish.Run},
		lifecycle.Part{Name: "calls", Stop: s.stop},
	)
}

// release gives back what New took; it may be called with less than all of it taken.
func (s *Server) release() {
	if s.listener != nil {
		s.listener.Close()
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
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}
