package accounts

import (
	"context"
	"errors"
	"slices"
	"time"

	"tollgate/ledger/store"
)

// idle is how often accounts are looked through if no raise is known to end sooner. A clock that was set
// is noticed that soon.
const idle = time.Minute

// again is how soon the end of a raise that could not be applied is tried again.
const again = 500 * time.Millisecond

// Lower ends raises when their time has come, until ctx ends or the leadership is lost.
func (s *Sync) Lower(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.wake:
		case <-timer.C:
		}
		wait, err := s.lower(ctx, time.Now())
		if err != nil {
			if errors.Is(err, store.ErrLost) || ctx.Err() != nil {
				return err
			}
			s.log.ErrorContext(ctx, "limits were not lowered at the end of their raise", "err", err)
			wait = again
		}
		timer.Reset(wait)
	}
}

// raised notes that a raise may end sooner than the others.
func (s *Sync) raised() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// lower applies the end of raises that are over at now, once, and says how long nothing is to do then. A
// leader that takes over does it again, which changes nothing.
func (s *Sync) lower(ctx context.Context, now time.Time) (time.Duration, error) {
	s.write.Lock()
	defer s.write.Unlock()
	over, wait, err := s.over(now)
	if err != nil || len(over) == 0 {
		return wait, err
	}
	if err := s.leader.ApplyLimits(ctx, over); err != nil {
		return 0, err
	}
	s.table.mu.Lock()
	ids := make([]int64, len(over))
	for i, c := range over {
		ids[i] = c.Account.ID
		if e := s.table.accounts[c.Account.ID]; e != nil && e.account.Same(c.Account) {
			e.lowered = true
		}
	}
	s.table.mu.Unlock()
	s.log.InfoContext(ctx, "raised limits are over", "accounts", len(over))
	s.announce(ctx, over, ids)
	return wait, nil
}

// over are the accounts whose raise has ended and not been applied yet, and how long until the next ends.
func (s *Sync) over(now time.Time) (over []store.AccountChange, wait time.Duration, err error) {
	s.table.mu.RLock()
	defer s.table.mu.RUnlock()
	wait = idle
	for _, e := range s.table.accounts {
		a := e.account
		if a.Raise == 0 || a.Closed || e.lowered {
			continue
		}
		if left := time.Unix(a.RaiseUntil, 0).Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		w, _, err := a.WindowAt(now)
		if err != nil {
			return nil, 0, err
		}
		over = append(over, store.AccountChange{Account: a, From: w.Start})
	}
	slices.SortFunc(over, func(a, b store.AccountChange) int { return int(min(1, max(-1, a.Account.ID-b.Account.ID))) })
	return over, wait, nil
}
