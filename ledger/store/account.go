package store

import (
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
	Limit    money.Nanos
	Version  int64
	BudgetID string
	Closed   bool
}

// WindowAt is the account's window at a time, and when that ends (0: never).
func (a Account) WindowAt(at time.Time) (w contract.Window, end int64, err error) {
	return contract.WindowAt(&eventv1.Account{
		Id: a.ID, Gen: a.Gen, Period: eventv1.AccountPeriod(a.Period), TimeZone: a.TimeZone,
	}, at)
}

const accountColumns = `account_id, shard, gen, period, time_zone, lim, version, budget_id, closed`

func scanAccountRow(row pgx.CollectableRow) (Account, error) {
	var a Account
	var shard, gen int64
	err := row.Scan(&a.ID, &shard, &gen, &a.Period, &a.TimeZone, &a.Limit, &a.Version, &a.BudgetID, &a.Closed)
	a.Shard, a.Gen = uint32(shard), uint32(gen)
	return a, err
}

// Accounts reads all accounts of the partition, and at which version each shard was applied.
func (l *Leader) Accounts(ctx context.Context) ([]Account, map[uint32]contract.Version, error) {
	var accounts []Account
	versions := map[uint32]contract.Version{}
	err := l.tx(ctx, txTimeout, func(ctx context.Context, tx pgx.Tx) error {
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
		return send(ctx, tx, b)
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

const setAccounts = `
	INSERT INTO ledger.account AS a (part, ` + accountColumns + `)
	SELECT $1, n.account_id, n.shard, n.gen, n.period, n.time_zone, n.lim, n.version, n.budget_id, n.closed
	FROM unnest($2::bigint[], $3::int[], $4::bigint[], $5::int[], $6::text[], $7::bigint[], $8::bigint[], $9::text[], $10::boolean[])
		AS n (account_id, shard, gen, period, time_zone, lim, version, budget_id, closed)
	ORDER BY n.account_id
	ON CONFLICT (account_id) DO UPDATE SET part = excluded.part, shard = excluded.shard, gen = excluded.gen,
		period = excluded.period, time_zone = excluded.time_zone, lim = excluded.lim, version = excluded.version,
		budget_id = excluded.budget_id, closed = excluded.closed`

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

// ApplyShard makes a version of a shard the truth. It reports false, and does nothing, if the
// database has that version or a newer one.
func (l *Leader) ApplyShard(ctx context.Context, shard uint32, v contract.Version, changes []AccountChange) (bool, error) {
	changes = slices.Clone(changes)
	slices.SortFunc(changes, func(a, b AccountChange) int { return int(min(1, max(-1, a.Account.ID-b.Account.ID))) })
	var ids, gens, starts, limits, versions []int64
	var shards, periods []int32
	var zones, budgets []string
	var closed []bool
	for _, c := range changes {
		a := c.Account
		ids, shards, gens, periods = append(ids, a.ID), append(shards, int32(a.Shard)), append(gens, int64(a.Gen)), append(periods, a.Period)
		zones, limits, versions = append(zones, a.TimeZone), append(limits, int64(a.Limit)), append(versions, a.Version)
		budgets, closed, starts = append(budgets, a.BudgetID), append(closed, a.Closed), append(starts, c.From)
	}
	var applied bool
	err := l.tx(ctx, txTimeout, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, setShard, int32(l.part), int32(shard), v.Epoch, v.Revision)
		if err != nil {
			return err
		}
		if applied = tag.RowsAffected() == 1; !applied || len(changes) == 0 {
			return nil
		}
		b := &pgx.Batch{}
		b.Queue(setAccounts, int32(l.part), ids, shards, gens, periods, zones, limits, versions, budgets, closed)
		b.Queue(setLimits, ids, gens, starts, limits, versions, closed)
		b.Queue(closeWindows, ids, gens)
		return send(ctx, tx, b)
	})
	if err != nil {
		return false, fmt.Errorf("apply account shard %d at %s: %w", shard, v, err)
	}
	return applied, nil
}
