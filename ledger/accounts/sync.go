package accounts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/feed"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
)

// Leader writes accounts. store.Leader is one.
type Leader interface {
	Part() uint32
	Accounts(ctx context.Context) ([]store.Account, map[uint32]contract.Version, error)
	Limits(ctx context.Context) ([]*eventv1.Limit, error)
	ApplyShard(ctx context.Context, shard uint32, v contract.Version, changes []store.AccountChange, limits []*eventv1.Limit) (bool, error)
	// ApplyLimits makes what accounts may cost now the limit of their current and later windows.
	ApplyLimits(ctx context.Context, changes []store.AccountChange) error
	Holders(ctx context.Context, accounts []int64) ([]escrow.Recall, error)
}

// Teller tells edges of changes.
type Teller interface {
	Changed(accounts []int64)
	Recall(recalls []escrow.Recall) (sent []escrow.Recall)
}

// Limiter is told the limits of rates and of concurrency.
type Limiter interface {
	Set(limits []*eventv1.Limit)
}

// Sync follows the configuration stream.
type Sync struct {
	leader Leader
	js     jetstream.JetStream
	tell   Teller
	limits Limiter
	log    *slog.Logger
	table  *Table
	wake   chan struct{} // accounts changed, and with them the time of the next end of a raise
	write  sync.Mutex    // one change at a time: the end of a raise must not undo what came since
}

// Load reads the accounts that the database has and makes a Sync that keeps them current.
func Load(ctx context.Context, leader Leader, js jetstream.JetStream, tell Teller, to Limiter, log *slog.Logger) (*Sync, error) {
	accounts, versions, err := leader.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	limits, err := leader.Limits(ctx)
	if err != nil {
		return nil, err
	}
	to.Set(limits)
	return &Sync{
		leader: leader, js: js, tell: tell, limits: to, log: log,
		table: newTable(accounts, versions, limits), wake: make(chan struct{}, 1),
	}, nil
}

// Table is the accounts.
func (s *Sync) Table() *Table { return s.table }

// retry is how long to wait for NATS, or for the control plane to make the stream.
const retry = 100 * time.Millisecond

// Run follows the stream until ctx ends or the leadership is lost. A stream that is missing, or was
// made anew, is read from its beginning.
func (s *Sync) Run(ctx context.Context) error {
	for {
		err := s.follow(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, store.ErrLost) {
			return err
		}
		s.log.DebugContext(ctx, "accounts are not followed", "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retry):
		}
	}
}

func (s *Sync) follow(ctx context.Context) error {
	r, err := feed.Newest(ctx, s.js, contract.StreamConfig, contract.ConfigAllAccount)
	if err != nil {
		return err
	}
	defer r.Close()
	return r.Each(ctx, func(m feed.Message) error { return s.take(ctx, m) })
}

// take applies one value of the stream. One that cannot be read changes nothing.
func (s *Sync) take(ctx context.Context, m feed.Message) error {
	var value eventv1.AccountShard
	v, err := contract.Decode(m.Data, &value)
	if err == nil {
		err = check(m.Subject, &value)
	}
	if err != nil {
		s.log.ErrorContext(ctx, "accounts refused", "subject", m.Subject, "version", v.String(), "err", err)
		return nil
	}
	return s.apply(ctx, v, &value)
}

func check(subject string, value *eventv1.AccountShard) error {
	if subject != contract.ConfigAccounts(value.GetShard()) {
		return fmt.Errorf("shard %d does not belong there", value.GetShard())
	}
	for _, a := range value.GetAccounts() {
		if contract.AccountShardOf(a.GetId()) != value.GetShard() {
			return fmt.Errorf("account %d is not of shard %d", a.GetId(), value.GetShard())
		}
		if a.GetLimitNanos() < 0 || a.GetRaiseNanos() < 0 || a.GetLimitNanos()+a.GetRaiseNanos() < 0 {
			return fmt.Errorf("account %d has a limit that is out of range", a.GetId())
		}
		if a.GetOpeningNanos() < 0 {
			return fmt.Errorf("account %d has a negative opening", a.GetId())
		}
		if _, _, err := contract.WindowAt(a, time.Now()); err != nil {
			return err
		}
	}
	for _, l := range value.GetLimits() {
		if contract.AccountShardOf(l.GetId()) != value.GetShard() {
			return fmt.Errorf("limit %d is not of shard %d", l.GetId(), value.GetShard())
		}
		if l.GetAmount() < 0 || l.GetBurst() < 0 {
			return fmt.Errorf("limit %d is negative", l.GetId())
		}
	}
	return nil
}

func (s *Sync) apply(ctx context.Context, v contract.Version, value *eventv1.AccountShard) error {
	s.write.Lock()
	defer s.write.Unlock()
	shard := value.GetShard()
	s.table.mu.RLock()
	old := !v.Newer(s.table.versions[shard])
	s.table.mu.RUnlock()
	if old {
		return nil
	}
	changes, lowered, err := s.diff(value)
	if err != nil {
		return err
	}
	limits := slices.DeleteFunc(slices.Clone(value.GetLimits()), func(l *eventv1.Limit) bool { return l.GetPart() != s.leader.Part() })
	applied, err := s.leader.ApplyShard(ctx, shard, v, changes, limits)
	if err != nil {
		return err
	}
	if !applied { // the database is ahead of what this leader has loaded
		return fmt.Errorf("account shard %d at %s: the database is newer: %w", shard, v, store.ErrLost)
	}
	s.table.mu.Lock()
	s.table.versions[shard] = v
	for _, c := range changes {
		s.table.accounts[c.Account.ID] = entryOf(c.Account)
	}
	s.table.limits[shard] = limits
	s.table.mu.Unlock()
	s.limits.Set(s.table.Limits())
	s.raised()
	if len(changes) == 0 {
		return nil
	}
	s.log.InfoContext(ctx, "accounts changed", "shard", shard, "version", v.String(), "accounts", len(changes))
	s.announce(ctx, changes, lowered)
	return nil
}

// announce is best effort: an edge that misses it asks again in a while.
func (s *Sync) announce(ctx context.Context, changes []store.AccountChange, lowered []int64) {
	ids := make([]int64, len(changes))
	for i, c := range changes {
		ids[i] = c.Account.ID
	}
	s.tell.Changed(ids)
	if len(lowered) == 0 {
		return
	}
	holders, err := s.leader.Holders(ctx, lowered)
	if err != nil {
		s.log.WarnContext(ctx, "lowered limits were not recalled", "accounts", len(lowered), "err", err)
		return
	}
	s.tell.Recall(holders)
}

// diff is what a whole shard changes, and which limits it lowers.
func (s *Sync) diff(value *eventv1.AccountShard) (changes []store.AccountChange, lowered []int64, err error) {
	now := time.Now()
	there := map[int64]bool{}
	s.table.mu.RLock()
	defer s.table.mu.RUnlock()
	for _, p := range value.GetAccounts() {
		if p.GetPart() != s.leader.Part() {
			continue
		}
		there[p.GetId()] = true
		a := store.Account{
			ID: p.GetId(), Shard: value.GetShard(), Gen: p.GetGen(), Period: int32(p.GetPeriod()), TimeZone: p.GetTimeZone(),
			Limit: money.Nanos(p.GetLimitNanos()), Version: p.GetVersion(), BudgetID: p.GetBudgetId(),
			Days: p.GetDays(), Warn: p.GetWarnPercents(), Raise: money.Nanos(p.GetRaiseNanos()), RaiseUntil: p.GetRaiseUntilUnix(),
			Opening: money.Nanos(p.GetOpeningNanos()), OpeningUnix: p.GetOpeningUnix(),
		}
		e := s.table.accounts[a.ID]
		if e != nil && e.account.Same(a) {
			continue
		}
		w, _, err := contract.WindowAt(p, now)
		if err != nil {
			return nil, nil, err
		}
		changes = append(changes, store.AccountChange{Account: a, From: w.Start})
		if e != nil && a.LimitAt(now) < e.account.LimitAt(now) {
			lowered = append(lowered, a.ID)
		}
	}
	for id, e := range s.table.accounts {
		if e.account.Shard == value.GetShard() && !there[id] && !e.account.Closed {
			a := e.account
			a.Closed = true
			changes = append(changes, store.AccountChange{Account: a}) // every window of it
			lowered = append(lowered, id)
		}
	}
	return changes, lowered, nil
}
