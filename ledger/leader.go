package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tollgate/internal/bus"
	"tollgate/internal/lifecycle"
	"tollgate/ledger/accounts"
	"tollgate/ledger/grants"
	"tollgate/ledger/ingest"
	"tollgate/ledger/store"
)

const (
	// standBy is how often a ledger that does not lead tries to.
	standBy = 500 * time.Millisecond
	// checkEvery is how often an idle leader makes sure that it still is one.
	checkEvery = time.Second
	// flushEvents is how many events are booked together at most, more or less.
	flushEvents = 20_000
)

// leadership leads one partition whenever no other ledger does.
type leadership struct {
	cfg   Config
	part  uint32
	owner string
	db    *store.Store
	conn  *bus.Conn
	log   *slog.Logger
	// settled is closed once the partition is known to have a leader.
	settled chan struct{}
	once    sync.Once
}

func (l *leadership) settle() { l.once.Do(func() { close(l.settled) }) }

// Run tries until ctx ends. Losing the leadership is nothing that it minds: another ledger has it, or
// the database is away, and it tries again.
func (l *leadership) Run(ctx context.Context) error {
	quiet := false
	for {
		led, err := l.term(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		quiet = quiet && !led
		switch {
		case errors.Is(err, store.ErrTaken):
			l.settle()
			quiet = false
		case !quiet:
			l.log.WarnContext(ctx, "not leading", "part", l.part, "err", err)
			quiet = true // until something changes
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(standBy):
		}
	}
}

// term is one leadership, from taking the partition to losing it. It says whether it took it.
func (l *leadership) term(ctx context.Context) (led bool, err error) {
	start, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	leader, err := l.db.Lead(start, l.part, l.owner)
	if err != nil {
		return false, err
	}
	defer leader.Close()
	push := grants.NewPush(l.conn.NATS(), l.part, leader.History(), l.log)
	known, err := accounts.Load(start, leader, l.conn.JetStream(), push, l.log)
	if err != nil {
		return false, err
	}
	l.log.InfoContext(ctx, "leading", "part", l.part, "epoch", leader.Epoch(), "accounts", known.Table().Len())

	progress := ingest.NewProgress(l.db, push.Progress, l.log)
	server := grants.New(leader, known.Table(), push, l.conn.NATS(), l.log)
	in := ingest.New(ingest.Config{
		FlushEvery: l.cfg.FlushEvery, FlushEvents: flushEvents, Replicas: l.cfg.Replicas, MaxBytes: l.cfg.StreamMaxBytes,
	}, leader, l.conn, push, progress, l.log)
	// Stopped in reverse: what writes comes last and goes first.
	err = lifecycle.Run(ctx, l.cfg.Drain,
		lifecycle.Part{Name: "leader check", Run: func(ctx context.Context) error { return watch(ctx, leader) }},
		lifecycle.Part{Name: "push", Run: push.Run},
		lifecycle.Part{Name: "progress", Run: progress.Run},
		lifecycle.Part{Name: "accounts", Run: known.Run},
		lifecycle.Part{Name: "ingest", Run: in.Run},
		lifecycle.Part{Name: "grants", Run: server.Run, Ready: server.Ready},
		lifecycle.Part{Name: "leading", Ready: func(context.Context) error { l.settle(); return nil }},
	)
	if err != nil {
		return true, fmt.Errorf("lead partition %d: %w", l.part, err)
	}
	return true, nil
}

// watch ends the term of a leader that has nothing to write and would not notice.
func watch(ctx context.Context, leader *store.Leader) error {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if err := leader.Check(ctx); err != nil {
				return err
			}
		}
	}
}
