package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/lifecycle"
	"tollgate/ledger/accounts"
	"tollgate/ledger/grants"
	"tollgate/ledger/ingest"
	"tollgate/ledger/metrics"
	"tollgate/ledger/store"
)

const (
	// standBy is how often a ledger that does not lead tries to.
	standBy = 500 * time.Millisecond
	// checkEvery is how often a leader makes sure that it still is one. Tokens and permits are given only
	// while it was sure within the last second. A process that is stopped does not check, and the database
	// ends its session: see store.Lead.
	checkEvery = 250 * time.Millisecond
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
	count *metrics.Metrics
	log   *slog.Logger
	// settled is closed once the partition is known to have a leader.
	settled chan struct{}
	once    sync.Once
	// current is the term while this ledger leads.
	current atomic.Pointer[term]
}

// term is what others may ask of a leadership.
type term struct {
	leader *store.Leader
	known  *accounts.Sync
	server *grants.Server
	booked atomic.Uint64 // position in the stream
}

func (l *leadership) settle() { l.once.Do(func() { close(l.settled) }) }

// Run tries until ctx ends. Losing the leadership is nothing that it minds: another ledger has it, or
// the database is away, and it tries again.
func (l *leadership) Run(ctx context.Context) error {
	quiet := false
	for {
		led, err := l.lead(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		quiet = quiet && !led
		if errors.Is(err, grants.ErrRestored) {
			continue // nobody else is to take the partition: the next term begins the new history
		}
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

// lead is one leadership, from taking the partition to losing it. It says whether it took it.
func (l *leadership) lead(ctx context.Context) (led bool, err error) {
	start, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	leader, err := l.db.Lead(start, l.part, l.owner)
	if err != nil {
		return false, err
	}
	defer leader.Close()
	began := time.Now()
	push := grants.NewPush(l.conn.NATS(), l.part, leader.History(), l.log)
	limiter := grants.NewLimiter(began, leader.AliveAt)
	known, err := accounts.Load(start, leader, l.conn.JetStream(), push, limiter, l.log)
	if err != nil {
		return false, err
	}
	live, err := leader.Live(start)
	if err != nil {
		return false, err
	}
	l.log.InfoContext(ctx, "leading", "part", l.part, "epoch", leader.Epoch(), "history", leader.History(), "accounts", known.Table().Len())
	server := grants.New(grants.Deps{
		Leader: leader, Accounts: known.Table(), Limits: limiter, Push: push, NATS: l.conn.NATS(),
		Hold: grants.NewHold(began, leader.History(), live, leader.NewHistory()), Count: l.count, Log: l.log,
	})
	progress := ingest.NewProgress(l.db, l.part, push.Progress, func(w []store.Warning) { l.count.Warned(len(w)) }, l.log)
	now := &term{leader: leader, known: known, server: server}
	in := ingest.New(ingest.Config{
		FlushEvery: l.cfg.FlushEvery, FlushEvents: flushEvents, Replicas: l.cfg.Replicas, MaxBytes: l.cfg.StreamMaxBytes,
	}, counted{leader, l.count, now}, l.conn, push, progress, l.log)
	l.current.Store(now)
	defer l.current.Store(nil)
	// Stopped in reverse: what writes comes last and goes first.
	err = lifecycle.Run(ctx, l.cfg.Drain,
		lifecycle.Part{Name: "leader check", Run: func(ctx context.Context) error { return watch(ctx, leader) }},
		lifecycle.Part{Name: "push", Run: push.Run},
		lifecycle.Part{Name: "progress", Run: progress.Run},
		lifecycle.Part{Name: "corrections", Run: func(ctx context.Context) error { return l.finishCorrections(ctx, push) }},
		lifecycle.Part{Name: "jobs", Run: func(ctx context.Context) error { return l.settleJobs(ctx, push) }},
		lifecycle.Part{Name: "keeper", Run: l.db.NewKeeper(leader, l.cfg.Retention.keep(), l.log).Run},
		lifecycle.Part{Name: "accounts", Run: known.Run},
		lifecycle.Part{Name: "raises", Run: known.Lower},
		lifecycle.Part{Name: "ingest", Run: in.Run},
		lifecycle.Part{Name: "grants", Run: server.Run, Ready: server.Ready},
		lifecycle.Part{Name: "leading", Ready: func(ctx context.Context) error {
			l.settle()
			l.tellHistory(ctx, leader, push, live)
			return nil
		}},
	)
	if errors.Is(err, grants.ErrRestored) && ctx.Err() == nil {
		l.log.WarnContext(ctx, "the database has gone back: its history begins anew", "part", l.part, "err", err)
		again, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		err = errors.Join(err, leader.Restored(again))
	}
	if err != nil {
		return true, fmt.Errorf("lead partition %d: %w", l.part, err)
	}
	return true, nil
}

// tellHistory has the incarnations that live hear of a history that begins: money is held back until they
// have told what they hold, and those that are quiet would not for a while.
func (l *leadership) tellHistory(ctx context.Context, leader *store.Leader, push *grants.Push, live []int64) {
	if !leader.NewHistory() || len(live) == 0 {
		return
	}
	states := make([]*eventv1.SpoolState, len(live))
	for i, inc := range live {
		states[i] = &eventv1.SpoolState{Inc: inc}
	}
	marks, _, err := leader.Marks(ctx, "", states)
	if err != nil {
		l.log.WarnContext(ctx, "edges are not told of the new history; they ask", "part", l.part, "err", err)
		return
	}
	push.Marks(marks)
}

// finishEvery is how often corrections are looked for that a crash kept from being charged everywhere.
const finishEvery = 30 * time.Second

// finishCorrections ends what a correction of records has begun. The leader of one partition does it for
// all.
func (l *leadership) finishCorrections(ctx context.Context, push *grants.Push) error {
	if l.part != 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	tick := time.NewTicker(finishEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		freed, err := l.db.FinishCorrections(ctx)
		push.Changed(freed)
		if err != nil && ctx.Err() == nil {
			l.log.WarnContext(ctx, "corrections are not charged everywhere for now", "err", err)
		}
	}
}

const (
	// settleEvery is how often jobs are looked for that have ended.
	settleEvery = 500 * time.Millisecond
	// expireAfter is for how long a leader lets no job expire. What was told while no ledger was there is booked
	// by then.
	expireAfter = 10 * time.Minute
)

// settleJobs corrects what requests of this partition cost that began jobs, once the jobs have ended.
func (l *leadership) settleJobs(ctx context.Context, push *grants.Push) error {
	began, quiet := time.Now(), false
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		var until time.Time
		if now := time.Now(); now.Sub(began) >= expireAfter {
			until = now
		}
		done, err := l.db.SettleJobs(ctx, l.part, until)
		push.Changed(done.Freed)
		if err == nil && done.Corrected && l.cfg.Partitions > 1 {
			var freed []int64
			freed, err = l.db.FinishCorrections(ctx)
			push.Changed(freed)
		}
		if err != nil && ctx.Err() == nil && !quiet {
			l.log.WarnContext(ctx, "jobs that have ended are not settled for now", "part", l.part, "err", err)
		}
		quiet = err != nil
	}
}

// counted is a leader whose flushes are counted.
type counted struct {
	*store.Leader
	count *metrics.Metrics
	now   *term
}

// Book is part of ingest.Leader.
func (c counted) Book(ctx context.Context, at store.Position, batches []store.Batch, anomalies []store.Anomaly) (store.Booked, error) {
	out, err := c.Leader.Book(ctx, at, batches, anomalies)
	if err == nil {
		c.now.booked.Store(at.Seq)
		c.count.Booked(len(batches), out, len(anomalies))
	}
	return out, err
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
