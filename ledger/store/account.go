package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// Account is an account as the control plane published it.
type Account struct {
	ID       int64
	Shard    uint32
	Gen      uint32
	Period   int32 // as in tollgate.event.v1.AccountPeriod
	TimeZone string
	Days     uint32 // that a rolling period covers; 0 for others
	Limit    money.Nanos
	Version  int64
	BudgetID string
	Closed   bool
	// Warn are the shares of the limit in percent at which a warning is recorded, in ascending order.
	Warn []uint32
	// Raise is by how much the limit is raised until RaiseUntil, in Unix seconds.
	Raise      money.Nanos
	RaiseUntil int64
	// Opening was spent elsewhere before the account was there, at OpeningUnix in Unix seconds. It matters only when the account
	// appears, and is not kept with it.
	Opening     money.Nanos
	OpeningUnix int64
}

// Same says whether two accounts are alike in everything that lasts.
func (a Account) Same(b Account) bool {
	return slices.Equal(a.Warn, b.Warn) && a.ID == b.ID && a.Shard == b.Shard && a.Gen == b.Gen && a.Period == b.Period &&
		a.TimeZone == b.TimeZone && a.Days == b.Days && a.Limit == b.Limit && a.Version == b.Version && a.BudgetID == b.BudgetID &&
		a.Closed == b.Closed && a.Raise == b.Raise && a.RaiseUntil == b.RaiseUntil
}

// LimitAt is what the account may cost at a time.
func (a Account) LimitAt(at time.Time) money.Nanos {
	if at.Unix() >= a.RaiseUntil {
		return a.Limit
	}
	sum, err := a.Limit.Add(a.Raise)
	if err != nil {
		return money.Max
	}
	return sum
}

// WindowAt is the account's window at a time, and when that ends (0: never).
func (a Account) WindowAt(at time.Time) (w contract.Window, end int64, err error) {
	return contract.WindowAt(&eventv1.Account{
		Id: a.ID, Gen: a.Gen, Period: eventv1.AccountPeriod(a.Period), TimeZone: a.TimeZone,
	}, at)
}

const accountColumns = `account_id, shard, gen, period, time_zone, days, lim, version, budget_id, closed, warn_percents, raise, raise_until`

func scanAccountRow(row pgx.CollectableRow) (Account, error) {
	var a Account
	var shard, gen, days int64
	err := row.Scan(&a.ID, &shard, &gen, &a.Period, &a.TimeZone, &days, &a.Limit, &a.Version, &a.BudgetID, &a.Closed, &a.Warn, &a.Raise, &a.RaiseUntil)
	a.Shard, a.Gen, a.Days = uint32(shard), uint32(gen), uint32(days)
	return a, err
}

// Accounts reads all accounts of the partition, and at which version each shard was applied.
func (l *Leader) Accounts(ctx context.Context) ([]Account, map[uint32]contract.Version, error) {
	var accounts []Account
	versions := map[uint32]contract.Version{}
	err := l.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+accountColumns+` FROM ledger.account WHERE part = $1`, int32(l.part))
		if err != nil {
			return err
		}
		if accounts, err = pgx.CollectRows(rows, scanAccountRow); err != nil {
			return err
		}
		b := &pgx.Batch{}
		queue(b, `SELECT shard, epoch, revision FROM ledger.account_shard WHERE part = $1`, []any{int32(l.part)}, func(row pgx.CollectableRow) error {
			var shard int32
			var v contract.Version
			err := row.Scan(&shard, &v.Epoch, &v.Revision)
			versions[uint32(shard)] = v
			return err
		})
		return l.send(ctx, tx, b)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read accounts: %w", err)
	}
	return accounts, versions, nil
}

// AccountChange is an account as it is from now on. From is the start of its current window: limits
// of windows from then on change with it, and those before stay as they were.
type AccountChange struct {
	Account Account
	From    int64
}

const setShard = `
	INSERT INTO ledger.account_shard AS s (part, shard, epoch, revision) VALUES ($1, $2, $3, $4)
	ON CONFLICT (part, shard) DO UPDATE SET epoch = excluded.epoch, revision = excluded.revision
	WHERE (s.epoch, s.revision) < (excluded.epoch, excluded.revision)`

// The percentages of all accounts are one array, since arrays of arrays have to be of one length: that of
// an account is as many as it has, from one place on.
const setAccounts = `
	INSERT INTO ledger.account AS a (part, ` + accountColumns + `)
	SELECT $1, n.account_id, n.shard, n.gen, n.period, n.time_zone, n.days, n.lim, n.version, n.budget_id, n.closed,
		coalesce(($12::int[])[n.warn_from + 1 : n.warn_from + n.warn_count], '{}'), n.raise, n.raise_until
	FROM unnest($2::bigint[], $3::int[], $4::bigint[], $5::int[], $6::text[], $7::int[], $8::bigint[], $9::bigint[], $10::text[], $11::boolean[],
			$13::int[], $14::int[], $15::bigint[], $16::bigint[])
		AS n (account_id, shard, gen, period, time_zone, days, lim, version, budget_id, closed, warn_from, warn_count, raise, raise_until)
	ORDER BY n.account_id
	ON CONFLICT (account_id) DO UPDATE SET part = excluded.part, shard = excluded.shard, gen = excluded.gen,
		period = excluded.period, time_zone = excluded.time_zone, days = excluded.days, lim = excluded.lim, version = excluded.version,
		budget_id = excluded.budget_id, closed = excluded.closed, warn_percents = excluded.warn_percents,
		raise = excluded.raise, raise_until = excluded.raise_until`

// What edges hold stays with them when a limit is lowered: only they can give it back.
const setLimits = `
	UPDATE ledger.account_window a SET lim = n.lim, version = n.version, closed = n.closed
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[])
		AS n (account_id, gen, start, lim, version, closed)
	WHERE a.account_id = n.account_id AND a.gen = n.gen AND a.start >= n.start`

// closeWindows ends windows of generations that are over. A database that was restored may go back
// to an earlier one.
const closeWindows = `
	UPDATE ledger.account_window a SET closed = true
	FROM unnest($1::bigint[], $2::bigint[]) AS n (account_id, gen)
	WHERE a.account_id = n.account_id AND a.gen <> n.gen AND NOT a.closed`

// effectiveLimit is what account a may cost at the time of a parameter, in Unix seconds, as Account.LimitAt
// has it.
func effectiveLimit(now string) string {
	return `(a.lim + CASE WHEN ` + now + ` < a.raise_until THEN least(a.raise, 9223372036854775807 - a.lim) ELSE 0 END)`
}

// ApplyShard makes a version of a shard the truth, its accounts and the partition's limits of rates. It
// reports false, and does nothing, if the database has that version or a newer one.
func (l *Leader) ApplyShard(ctx context.Context, shard uint32, v contract.Version, changes []AccountChange, limits []*eventv1.Limit) (bool, error) {
	changes = sorted(changes)
	ids, values, err := marshalLimits(limits)
	if err != nil {
		return false, fmt.Errorf("apply account shard %d at %s: %w", shard, v, err)
	}
	var applied bool
	err = l.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, setShard, int32(l.part), int32(shard), v.Epoch, v.Revision)
		if err != nil {
			return err
		}
		if applied = tag.RowsAffected() == 1; !applied {
			return nil
		}
		b := &pgx.Batch{}
		b.Queue(dropLimits, int32(l.part), int32(shard), ids)
		b.Queue(setRateLimits, int32(l.part), int32(shard), ids, values)
		now := time.Now()
		openings, err := newOpenings(ctx, tx, changes)
		if err != nil {
			return err
		}
		if len(changes) > 0 {
			queueAccounts(b, l.part, changes)
			queueLimits(b, changes, now)
		}
		if err := l.send(ctx, tx, b); err != nil {
			return err
		}
		return bookOpenings(ctx, tx, l.part, openings, now)
	})
	if err != nil {
		return false, fmt.Errorf("apply account shard %d at %s: %w", shard, v, err)
	}
	return applied, nil
}

// ApplyLimits makes what accounts may cost now the limit of their current and later windows. Nothing else
// of them changes.
func (l *Leader) ApplyLimits(ctx context.Context, changes []AccountChange) error {
	changes = sorted(changes)
	err := l.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		b := &pgx.Batch{}
		queueLimits(b, changes, time.Now())
		return l.send(ctx, tx, b)
	})
	if err != nil {
		return fmt.Errorf("apply the limits of %d accounts: %w", len(changes), err)
	}
	return nil
}

func sorted(changes []AccountChange) []AccountChange {
	return slices.SortedFunc(slices.Values(changes), func(a, b AccountChange) int { return cmp.Compare(a.Account.ID, b.Account.ID) })
}

func queueAccounts(b *pgx.Batch, part uint32, changes []AccountChange) {
	var ids, gens, limits, versions, raises, untils []int64
	var shards, periods, days, warn, from, count []int32
	var zones, budgets []string
	var closed []bool
	for _, c := range changes {
		a := c.Account
		ids, shards, gens, periods = append(ids, a.ID), append(shards, int32(a.Shard)), append(gens, int64(a.Gen)), append(periods, a.Period)
		zones, days, limits, versions = append(zones, a.TimeZone), append(days, int32(a.Days)), append(limits, int64(a.Limit)), append(versions, a.Version)
		budgets, closed = append(budgets, a.BudgetID), append(closed, a.Closed)
		raises, untils = append(raises, int64(a.Raise)), append(untils, a.RaiseUntil)
		from, count = append(from, int32(len(warn))), append(count, int32(len(a.Warn)))
		for _, percent := range a.Warn {
			warn = append(warn, int32(percent))
		}
	}
	b.Queue(setAccounts, int32(part), ids, shards, gens, periods, zones, days, limits, versions, budgets, closed, warn, from, count, raises, untils)
}

func queueLimits(b *pgx.Batch, changes []AccountChange, now time.Time) {
	var ids, gens, starts, limits, versions []int64
	var closed []bool
	for _, c := range changes {
		a := c.Account
		ids, gens, starts = append(ids, a.ID), append(gens, int64(a.Gen)), append(starts, c.From)
		limits, versions, closed = append(limits, int64(a.LimitAt(now))), append(versions, a.Version), append(closed, a.Closed)
	}
	b.Queue(setLimits, ids, gens, starts, limits, versions, closed)
	b.Queue(closeWindows, ids, gens)
}
