// Package ledger wires the service that keeps the books: it grants money to edges, books what they
// have spent, and answers what was. Any number of ledgers may run; for each partition one of them
// leads, and the others stand by and answer questions.
//
// It only wires. What money may do is decided in escrow, kept in store, asked for through grants and
// reported through ingest.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/lifecycle"
	"tollgate/internal/pg"
	"tollgate/ledger/grants"
	"tollgate/ledger/metrics"
	"tollgate/ledger/rpc"
	"tollgate/ledger/store"
	"tollgate/ledger/usage"
)

// Deps is what a process hands to the ledger besides its configuration.
type Deps struct {
	Log  *slog.Logger
	NATS []nats.Option // for instance, a server in the same process
}

// Service is a ledger.
type Service struct {
	cfg      Config
	log      *slog.Logger
	pool     *pgxpool.Pool
	db       *store.Store
	conn     *bus.Conn
	listener net.Listener
	server   *http.Server
	metrics  *metrics.Metrics
	checked  atomic.Bool // the schema is the one this binary needs
	parts    []*leadership
}

// Migrate brings the ledger's schema to the version that this binary needs.
func Migrate(ctx context.Context, databaseURL string, log *slog.Logger) error {
	return store.Migrate(ctx, databaseURL, log)
}

// New makes a ledger that listens and does not serve yet. Neither the database nor NATS has to be
// there. Run must be called: it closes what was opened.
func New(ctx context.Context, cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	log := deps.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	pool, own, err := pg.OpenWith(ctx, cfg.DatabaseURL.Reveal(), cfg.DatabaseDirectURL.Reveal(), maxConns)
	if err != nil {
		return nil, err
	}
	conn, err := bus.Connect(cfg.NATS, log, deps.NATS...)
	if err != nil {
		pool.Close()
		return nil, err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		conn.Close()
		pool.Close()
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &Service{cfg: cfg, log: log, pool: pool, db: cfg.store(pool, own), conn: conn, listener: listener, metrics: metrics.New()}
	s.server = s.newServer()
	host, _ := os.Hostname() // only for people who look at the table
	owner := fmt.Sprintf("%s/%d", host, os.Getpid())
	for part := range cfg.Partitions {
		s.parts = append(s.parts, &leadership{
			cfg: cfg, part: part, owner: owner, db: s.db, conn: conn, count: s.metrics, log: log, settled: make(chan struct{}),
		})
	}
	s.metrics.Watch(s.standing)
	return s, nil
}

// maxConns is for reads. Each partition that is led has a connection of its own beside them.
const maxConns = 8

// Addr is where it listens.
func (s *Service) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx ends. It fails at once if migrations are pending, and waits for a database
// that is away.
func (s *Service) Run(ctx context.Context) error {
	parts := []lifecycle.Part{
		{Name: "database", Run: func(ctx context.Context) error {
			<-ctx.Done()
			s.pool.Close()
			return nil
		}},
		{Name: "bus", Run: func(ctx context.Context) error {
			<-ctx.Done()
			s.conn.Close()
			return nil
		}},
		// Before the schema is checked, so that a ledger that waits for its database says so.
		{Name: "http", Run: s.serve, Stop: s.server.Shutdown},
		{Name: "schema", Ready: s.awaitSchema},
	}
	for _, l := range s.parts {
		parts = append(parts, lifecycle.Part{Name: fmt.Sprintf("partition %d", l.part), Run: l.Run})
	}
	return lifecycle.Run(ctx, s.cfg.Drain, parts...)
}

// awaitSchema returns once the schema is known to be current. A schema that is behind stays so until
// somebody migrates it, so that is the end.
func (s *Service) awaitSchema(ctx context.Context) error {
	warned := false
	for {
		check, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := s.db.CheckSchema(check)
		cancel()
		if _, behind := errors.AsType[*pg.BehindError](err); behind {
			return err
		}
		if err == nil {
			s.checked.Store(true)
			return nil
		}
		if !warned {
			s.log.WarnContext(ctx, "waiting for the database", "err", err)
			warned = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(standBy):
		}
	}
}

// serve answers until it is shut down.
func (s *Service) serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.server.Close() }) // what Shutdown has left
	defer stop()
	s.log.InfoContext(ctx, "listening", "address", s.Addr())
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-ctx.Done()
	return nil
}

func (s *Service) newServer() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.check(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", s.metrics.Handler(s.log))
	mux.Handle(rpc.NewLeaseHandler(leases{s}, s.cfg.Token.Reveal(), s.log))
	mux.Handle("/", rpc.NewHandler(announcing{s.db, s.conn, s.log}, rpc.Kept{Retention: s.cfg.Retention.keep(), Records: s.cfg.KeepRecords}, s.cfg.Token.Reveal(), s.check, s.log))
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           mux,
		Protocols:         protocols,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// announcing is the store, whose corrections all edges hear of: money that was taken for spent is free.
type announcing struct {
	*store.Store
	conn *bus.Conn
	log  *slog.Logger
}

// Reprice is part of rpc.Source.
func (a announcing) Reprice(ctx context.Context, f usage.Filter, p usage.Repricing, dryRun bool) (usage.Repriced, error) {
	done, err := a.Store.Reprice(ctx, f, p, dryRun)
	grants.NewPush(a.conn.NATS(), 0, 0, a.log).Changed(done.Freed)
	return done, err
}

// leases answers edges that cannot reach NATS, for the partitions that this ledger leads.
type leases struct{ s *Service }

// Lease is part of rpc.Leases.
func (l leases) Lease(ctx context.Context, p *eventv1.LeaseRequest) (*eventv1.LeaseReply, error) {
	part := p.GetPart()
	if part >= uint32(len(l.s.parts)) {
		return nil, fault.New(fault.InvalidArgument, "There is no partition %d.", part)
	}
	now := l.s.parts[part].current.Load()
	if now == nil {
		return nil, fault.New(fault.UnavailableErr, "This ledger does not lead partition %d: another one may.", part)
	}
	return now.server.Lease(ctx, p)
}

// standing is where each partition stands.
func (s *Service) standing() []metrics.Part {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	out := make([]metrics.Part, 0, len(s.parts))
	for _, l := range s.parts {
		p := metrics.Part{Part: l.part, Lag: -1}
		if now := l.current.Load(); now != nil {
			p.Leading, p.Epoch, p.History, p.Accounts = true, now.leader.Epoch(), now.leader.History(), now.known.Table().Len()
			p.Lag = l.lag(ctx, now)
		}
		out = append(out, p)
	}
	return out
}

// lag is how many messages of the stream are not booked yet; negative if that is not known.
func (l *leadership) lag(ctx context.Context, now *term) int64 {
	booked := now.booked.Load()
	if booked == 0 {
		return -1
	}
	stream, err := l.conn.JetStream().Stream(ctx, contract.SpendStream(l.part))
	if err != nil {
		return -1
	}
	return max(0, int64(stream.CachedInfo().State.LastSeq)-int64(booked))
}

// check says what keeps this ledger from doing its work. One that stands by is fit for work.
func (s *Service) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var errs []error
	if !s.checked.Load() {
		errs = append(errs, errors.New("database: the schema has not been checked yet"))
	} else if err := s.db.Ping(ctx); err != nil {
		errs = append(errs, errors.New("database: it does not answer"))
	}
	if !s.conn.Connected() {
		errs = append(errs, errors.New("nats: not connected"))
	}
	return errors.Join(errs...)
}

// Ready returns once this ledger is fit for work and each partition has a leader: this ledger, if
// there is no other.
func (s *Service) Ready(ctx context.Context) error {
	for {
		err := s.check(ctx)
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	for _, l := range s.parts {
		select {
		case <-l.settled:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
