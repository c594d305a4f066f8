package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

// Retention says for how long things are kept. 0 is for ever.
type Retention struct {
	Requests  time.Duration // records of attempts
	Hours     time.Duration // usage by hour
	Days      time.Duration // usage by day
	Leases    time.Duration // account-windows and leases, counted from the end of the window
	Anomalies time.Duration
	// Incarnations that have ended are what tells that an event was booked before: they stay until no
	// edge can come back with one.
	Incarnations time.Duration
}

// DefaultRetention is what is kept where nobody says otherwise.
func DefaultRetention() Retention {
	const day = 24 * time.Hour
	return Retention{
		Requests: 90 * day, Hours: 400 * day, Leases: 35 * day, Anomalies: 365 * day, Incarnations: 400 * day,
	}
}

// Validate refuses to forget what is still needed.
func (r Retention) Validate() error {
	const day = 24 * time.Hour
	least := func(what string, is, atLeast time.Duration) error {
		if is == 0 || is >= atLeast {
			return nil
		}
		return fmt.Errorf("%s: %s is less than %s", what, is, atLeast)
	}
	return errors.Join(
		least("requests", r.Requests, day), least("hours", r.Hours, 2*day), least("days", r.Days, 32*day),
		least("leases", r.Leases, 7*day), least("anomalies", r.Anomalies, day), least("incarnations", r.Incarnations, 35*day),
	)
}

const (
	foldEvery   = 2 * time.Second
	retainEvery = time.Hour
	retainSoon  = time.Minute // after a failure
	atOnce      = 10_000      // rows that one transaction removes
	// keepJobs is for how long it is known how a job was settled, and how one ended of which nobody knows that
	// it began: whoever asks after it later is told by the target, and charged nothing either way.
	keepJobs = 30 * 24 * time.Hour
)

// Keeper keeps the books of a partition in shape for its leader: it folds usage, makes the partitions of
// the days to come, and removes what is older than it has to be.
type Keeper struct {
	db     *Store
	leader *Leader
	retain Retention
	log    *slog.Logger
}

// NewKeeper makes a Keeper.
func (s *Store) NewKeeper(leader *Leader, retain Retention, log *slog.Logger) *Keeper {
	return &Keeper{s, leader, retain, log}
}

// Run keeps until ctx ends or the leadership is lost. Nothing of what it does is needed at once, so a
// failure is logged and tried again.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(foldEvery)
	defer tick.Stop()
	var next time.Time
	for {
		now := time.Now()
		if !now.Before(next) {
			next = now.Add(retainEvery)
			if err := k.Retain(ctx, now); err != nil {
				if errors.Is(err, ErrLost) || ctx.Err() != nil {
					return err
				}
				next = now.Add(retainSoon)
				k.log.WarnContext(ctx, "old books are kept for now", "part", k.leader.Part(), "err", err)
			}
		}
		if err := k.db.Fold(ctx, k.leader.Part()); err != nil && ctx.Err() == nil {
			k.log.WarnContext(ctx, "usage is not folded for now", "part", k.leader.Part(), "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Retain makes partitions and removes what is too old, once.
func (k *Keeper) Retain(ctx context.Context, now time.Time) error {
	removed := map[string]int64{}
	ago := func(age time.Duration) time.Time {
		if age == 0 {
			return time.Time{} // before everything
		}
		return now.Add(-age)
	}
	hours := ago(k.retain.Hours).Truncate(24 * time.Hour) // whole days, so that hours and days can be compared
	part := int32(k.leader.part)
	errs := []error{k.db.makeDays(ctx, now)}
	step := func(what string, f func() (int64, error)) {
		n, err := f()
		removed[what] += n
		if err != nil && !errors.Is(err, ErrLost) {
			err = fmt.Errorf("%s: %w", what, err)
		}
		errs = append(errs, err)
	}
	if k.retain.Requests > 0 {
		step("requests", func() (int64, error) { return k.dropRequests(ctx, ago(k.retain.Requests)) })
	}
	for _, table := range []struct {
		name, key, column string
		before            time.Time
	}{
		{"usage_hour_sums", "hour, series", "hour", hours},
		{"usage_tag_hour_sums", "hour, series", "hour", hours},
		{"usage_day_sums", "day, series", "day", ago(k.retain.Days)},
		{"usage_tag_day_sums", "day, series", "day", ago(k.retain.Days)},
		{"anomaly", "id", "at", ago(k.retain.Anomalies)},
	} {
		step(table.name, func() (int64, error) {
			return k.removeOutside(ctx, `DELETE FROM ledger.`+table.name+` WHERE (`+table.key+`) IN (
				SELECT `+table.key+` FROM ledger.`+table.name+` WHERE `+table.column+` < $1 LIMIT $2)`, table.before, atOnce)
		})
	}
	for _, which := range []string{"j.settled < $1", "j.part IS NULL AND j.heard < $1"} {
		step("jobs", func() (int64, error) {
			return k.removeOutside(ctx, `DELETE FROM ledger.job WHERE (endpoint_id, job_id) IN (
				SELECT j.endpoint_id, j.job_id FROM ledger.job j WHERE `+which+` LIMIT $2)`, now.Add(-keepJobs), atOnce)
		})
	}
	step("windows", func() (int64, error) {
		return k.remove(ctx, dropWindows, part, ago(k.retain.Leases).Unix(), atOnce/10)
	})
	step("leases", func() (int64, error) { return k.remove(ctx, mergeLeases, part, ago(k.retain.Leases), atOnce) })
	step("incarnations", func() (int64, error) { return k.remove(ctx, dropIncs, part, ago(k.retain.Incarnations), atOnce) })
	attrs := []any{"part", k.leader.Part()}
	for what, n := range removed {
		if n > 0 {
			attrs = append(attrs, what, n)
		}
	}
	if len(attrs) > 2 {
		k.log.InfoContext(ctx, "old books removed", attrs...)
	}
	return errors.Join(errs...)
}

// dropRequests first notes that records are no longer complete, so that nobody who adds them up is misled.
func (k *Keeper) dropRequests(ctx context.Context, before time.Time) (int64, error) {
	before = before.UTC().Truncate(24 * time.Hour)
	if _, err := k.db.pool.Exec(ctx, `UPDATE ledger.ledger_part SET records_since = $1 WHERE records_since < $1`, before); err != nil {
		return 0, err
	}
	n, err := k.db.dropDays(ctx, before)
	if err != nil {
		return n, err
	}
	m, err := k.removeOutside(ctx, `DELETE FROM ledger.request_default r WHERE r.ctid = ANY(ARRAY(
		SELECT d.ctid FROM ledger.request_default d WHERE d.ended < $1 LIMIT $2))`, before, atOnce)
	return n + m, err
}

// removeOutside repeats a statement that removes so many rows at most until none are left. It is for what
// nobody decides by, and so needs no leader.
func (k *Keeper) removeOutside(ctx context.Context, sql string, args ...any) (int64, error) {
	return repeat(func() (int64, error) {
		tag, err := k.db.pool.Exec(ctx, sql, args...)
		return tag.RowsAffected(), err
	})
}

// remove does so under the lock of the leader, which has its turn in between.
func (k *Keeper) remove(ctx context.Context, sql string, args ...any) (int64, error) {
	return repeat(func() (n int64, err error) {
		err = k.leader.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			return tx.QueryRow(ctx, sql, args...).Scan(&n)
		})
		return n, err
	})
}

func repeat(f func() (int64, error)) (sum int64, err error) {
	for {
		n, err := f()
		sum += n
		if err != nil || n == 0 {
			return sum, err
		}
	}
}

// dropWindows removes account-windows that ended before a time, with their leases and warnings, some at a
// time. One stays while an edge that lives holds unspent money of it. What an edge that was lost holds is
// noted, because nobody will be able to say what became of it. An event that still comes for a window which
// is gone makes it anew and is booked as an overrun.
//
// The end is taken to be as late as it can be: a window of a rolling period counts for as many days.
const dropWindows = `
	WITH old AS MATERIALIZED (
		SELECT a.account_id, a.gen, a.start FROM ledger.account_window a
		LEFT JOIN ledger.account r ON r.account_id = a.account_id
		WHERE a.part = $1 AND a.start > 0 AND a.start < $2 AND a.start + (CASE coalesce(r.period, 0)
				WHEN 2 THEN 2 * 3600 WHEN 3 THEN 26 * 3600 WHEN 4 THEN 8 * 86400 WHEN 6 THEN (r.days + 1) * 90000 ELSE 32 * 86400 END) < $2
			AND NOT EXISTS (SELECT FROM ledger.lease l JOIN ledger.incarnation i ON i.inc = l.inc AND i.part = $1
				WHERE l.account_id = a.account_id AND l.gen = a.gen AND l.start = a.start AND i.state = 0 AND l.consumed < l.granted - l.returned)
		ORDER BY a.start LIMIT $3
	), leases AS (
		DELETE FROM ledger.lease l USING old o WHERE l.account_id = o.account_id AND l.gen = o.gen AND l.start = o.start
		RETURNING l.account_id, l.gen, l.start, l.inc, l.granted - l.returned - l.consumed AS left
	), warnings AS (
		DELETE FROM ledger.account_warning w USING old o WHERE w.account_id = o.account_id AND w.gen = o.gen AND w.start = o.start
	), noted AS (
		INSERT INTO ledger.anomaly (part, kind, inc, edge, detail)
		SELECT $1, 'unaccounted', l.inc, coalesce(i.edge, ''),
			format('account %s, generation %s, start %s: %s nano-dollars that were held when the window was removed', l.account_id, l.gen, l.start, l.left)
		FROM leases l LEFT JOIN ledger.incarnation i ON i.inc = l.inc AND i.part = $1
		WHERE l.left > 0
	), gone AS (
		DELETE FROM ledger.account_window a USING old o WHERE a.account_id = o.account_id AND a.gen = o.gen AND a.start = o.start
		RETURNING 1
	)
	SELECT count(*) FROM gone`

// mergeLeases makes one lease of all that incarnations have spent which ended before a time, in the windows
// that stay: those of totals would otherwise have one for each life of each edge for ever.
const mergeLeases = `
	WITH old AS MATERIALIZED (
		SELECT l.account_id, l.gen, l.start, l.inc FROM ledger.incarnation i
		JOIN ledger.lease l ON l.inc = i.inc
		JOIN ledger.account_window a ON a.account_id = l.account_id AND a.gen = l.gen AND a.start = l.start AND a.part = $1
		WHERE i.part = $1 AND i.inc > 0 AND i.ended < $2 AND l.consumed = l.granted - l.returned
		LIMIT $3
	), gone AS (
		DELETE FROM ledger.lease l USING old o
		WHERE l.account_id = o.account_id AND l.gen = o.gen AND l.start = o.start AND l.inc = o.inc
		RETURNING l.account_id, l.gen, l.start, l.consumed
	), merged AS (
		INSERT INTO ledger.lease AS l (account_id, gen, start, inc, granted, returned, consumed)
		SELECT g.account_id, g.gen, g.start, 0, sum(g.consumed), 0, sum(g.consumed) FROM gone g GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
		ON CONFLICT (account_id, gen, start, inc) DO UPDATE SET
			granted = l.granted + excluded.granted, consumed = l.consumed + excluded.consumed
	)
	SELECT count(*) FROM gone`

const dropIncs = `
	WITH old AS MATERIALIZED (
		SELECT i.inc FROM ledger.incarnation i
		WHERE i.part = $1 AND i.inc > 0 AND i.ended < $2 AND NOT EXISTS (SELECT FROM ledger.lease l WHERE l.inc = i.inc)
		LIMIT $3
	), gone AS (
		DELETE FROM ledger.incarnation i USING old o WHERE i.inc = o.inc AND i.part = $1 RETURNING 1
	)
	SELECT count(*) FROM gone`
