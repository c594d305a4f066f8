package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/period"
)

// AccountState is an account in its current window. Of a rolling period, Spent, Held and Overrun are
// those of all days that count together today.
type AccountState struct {
	Account  Account
	Window   contract.Window
	End      int64       // of the window, in Unix seconds; 0: never
	Limit    money.Nanos // as it is raised now
	Spent    money.Nanos // settled and booked
	Held     money.Nanos // granted, and neither spent nor returned
	Overrun  money.Nanos // of Spent, what had not been granted
	Warnings []AccountWarning
}

// AccountWarning says when a share of a limit was reached.
type AccountWarning struct {
	Percent uint32
	At      time.Time
	Spent   money.Nanos
}

const selectStates = `
	SELECT n.i, least(coalesce(sum(a.overrun), 0), 9223372036854775807)::bigint,
		least(coalesce(sum(l.consumed), 0), 9223372036854775807)::bigint,
		least(coalesce(sum(l.held), 0), 9223372036854775807)::bigint
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS n (account_id, gen, low, high, i)
	JOIN ledger.account_window a ON a.account_id = n.account_id AND a.gen = n.gen AND a.start BETWEEN n.low AND n.high
	CROSS JOIN LATERAL (
		SELECT sum(l.consumed) AS consumed, sum(greatest(l.granted - l.returned - l.consumed, 0)) AS held FROM ledger.lease l
		WHERE l.account_id = a.account_id AND l.gen = a.gen AND l.start = a.start
	) l
	GROUP BY n.i`

const selectWarnings = `
	SELECT n.i, w.percent, w.at, w.spent
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS n (account_id, gen, start, i)
	JOIN ledger.account_warning w ON w.account_id = n.account_id AND w.gen = n.gen AND w.start = n.start
	ORDER BY n.i, w.percent`

// AccountStates reads the current windows of accounts that are not closed, of any partition. Of one that
// nobody has drawn on yet, nothing is spent.
func (s *Store) AccountStates(ctx context.Context, ids []int64, now time.Time) ([]AccountState, error) {
	accounts, err := s.FindAccounts(ctx, ids)
	if err != nil || len(accounts) == 0 {
		return nil, err
	}
	states := make([]AccountState, len(accounts))
	var number, gens, lows, highs []int64
	for i, a := range accounts {
		w, end, err := a.WindowAt(now)
		if err != nil {
			return nil, err
		}
		low, err := a.spanStart(w)
		if err != nil {
			return nil, err
		}
		states[i] = AccountState{Account: a, Window: w, End: end, Limit: a.LimitAt(now)}
		number, gens, lows, highs = append(number, a.ID), append(gens, int64(w.Gen)), append(lows, low), append(highs, w.Start)
	}
	b := &pgx.Batch{}
	queue(b, selectStates, []any{number, gens, lows, highs}, func(row pgx.CollectableRow) error {
		var i int64
		var overrun, spent, held money.Nanos
		if err := row.Scan(&i, &overrun, &spent, &held); err != nil {
			return err
		}
		st := &states[i-1]
		st.Overrun, st.Spent, st.Held = overrun, spent, held
		return nil
	})
	queue(b, selectWarnings, []any{number, gens, highs}, func(row pgx.CollectableRow) error {
		var i int64
		var w AccountWarning
		if err := row.Scan(&i, &w.Percent, &w.At, &w.Spent); err != nil {
			return err
		}
		states[i-1].Warnings = append(states[i-1].Warnings, w)
		return nil
	})
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, translate(fmt.Errorf("read states of accounts: %w", err))
	}
	return states, nil
}

// spanStart is the start of the first window that counts together with w.
func (a Account) spanStart(w contract.Window) (int64, error) {
	if a.Days <= 1 {
		return w.Start, nil
	}
	zone, err := time.LoadLocation(a.TimeZone)
	if err != nil {
		return 0, fmt.Errorf("account %d: %w", a.ID, err)
	}
	y, m, d := time.Unix(w.Start, 0).In(zone).Date()
	// At noon, because midnight may not exist.
	return period.Rolling.At(time.Date(y, m, d-int(a.Days)+1, 12, 0, 0, 0, zone), zone).Start, nil
}
