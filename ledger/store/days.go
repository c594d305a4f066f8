package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/pg"
)

// Records are kept in a partition for each UTC day, so that old ones go by dropping a table. A day without
// one, because a clock is off or because nobody could make it, is no reason not to book: its records are
// kept in request_default, and move when the day gets its partition.

const dayForm = "20060102"

func dayTable(day time.Time) string { return "request_" + day.Format(dayForm) }

// dayOf is the day of a partition, if it is one.
func dayOf(table string) (time.Time, bool) {
	day, err := time.Parse("request_"+dayForm, table)
	return day, err == nil
}

// makeDays makes the partitions of yesterday up to the day after tomorrow.
func (s *Store) makeDays(ctx context.Context, now time.Time) error {
	today := now.UTC().Truncate(24 * time.Hour)
	for i := -1; i <= 2; i++ {
		if err := s.makeDay(ctx, today.AddDate(0, 0, i)); err != nil {
			return err
		}
	}
	return nil
}

// ddlLock sets making and dropping partitions apart from leading. It is taken so that two ledgers do not
// do it at the same time.
const ddlLock = lockClass + 1

// lockDDL also bounds how long bookings may have to wait behind this transaction, which waits itself for
// those that read.
func lockDDL(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '500ms'`); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, 0)`, int32(ddlLock))
	return err
}

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func tableThere(ctx context.Context, db querier, name string) (ok bool, err error) {
	err = db.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, "ledger."+name).Scan(&ok)
	return ok, err
}

func (s *Store) makeDay(ctx context.Context, day time.Time) error {
	name := dayTable(day)
	if ok, err := tableThere(ctx, s.pool, name); ok || err != nil {
		return err
	}
	// Names and days are made of digits.
	from, to := day.Format(time.DateOnly)+" 00:00:00+00", day.AddDate(0, 0, 1).Format(time.DateOnly)+" 00:00:00+00"
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		if err := lockDDL(ctx, tx); err != nil {
			return err
		}
		if ok, err := tableThere(ctx, tx, name); ok || err != nil {
			return err
		}
		for _, sql := range []string{
			`CREATE TABLE ledger.` + name + ` (LIKE ledger.request INCLUDING DEFAULTS)`,
			`LOCK TABLE ledger.request_default IN ACCESS EXCLUSIVE MODE`,
			`WITH moved AS (DELETE FROM ledger.request_default r WHERE r.ended >= '` + from + `' AND r.ended < '` + to + `' RETURNING r.*)
				INSERT INTO ledger.` + name + ` SELECT * FROM moved`,
			`ALTER TABLE ledger.request ATTACH PARTITION ledger.` + name + ` FOR VALUES FROM ('` + from + `') TO ('` + to + `')`,
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !pg.IsDuplicateTable(err) { // else the ledger of another partition has made it meanwhile
		return fmt.Errorf("make the partition of %s: %w", day.Format(time.DateOnly), err)
	}
	return nil
}

// A record that a job will correct is kept for as long as the job goes on.
const jobsOfDay = `SELECT EXISTS (SELECT FROM ledger.job j WHERE j.settled IS NULL AND j.part IS NOT NULL AND j.ended >= $1 AND j.ended < $2)`

// dropDays drops the partitions of days that ended before a time and are not needed, and says how many.
func (s *Store) dropDays(ctx context.Context, before time.Time) (int64, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT c.relname::text FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
		WHERE h.inhparent = 'ledger.request'::regclass ORDER BY 1`)
	if err != nil {
		return 0, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, err
	}
	var n int64
	for _, name := range names {
		day, ok := dayOf(name)
		if !ok || day.AddDate(0, 0, 1).After(before) {
			continue
		}
		var needed bool
		if err := s.pool.QueryRow(ctx, jobsOfDay, day, day.AddDate(0, 0, 1)).Scan(&needed); err != nil {
			return n, err
		}
		if needed {
			continue
		}
		err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
			if err := lockDDL(ctx, tx); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `DROP TABLE IF EXISTS ledger.`+name)
			return err
		})
		if err != nil {
			return n, fmt.Errorf("drop %s: %w", name, err)
		}
		n++
	}
	return n, nil
}
