package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/pg"
)

// Usage is rebuilt by adding to it what it lacks, under the lock of the partition: an hour at a time, so
// that bookings do not wait for long, and then the day from its hours.

// Rebuilt is what rebuilding usage has done.
type Rebuilt struct {
	Days int64 // whose records are whole, over all partitions
	Rows int64 // sums that were not as they had to be
}

// ofPart restricts sums of records to a partition, the third argument.
func ofPart(records string) string {
	return strings.Replace(records, "WHERE r.ended", "WHERE r.part = $3 AND r.ended", 1)
}

func addMissingSeries(records string) string {
	return `
	INSERT INTO ledger.usage_series (part, key_id, endpoint_id, status, team, customer, model, tag)
	SELECT DISTINCT n.part, n.key_id, n.endpoint_id, n.status, n.team, n.customer, n.model, n.tag FROM (` + ofPart(records) + `) n
	WHERE NOT EXISTS (SELECT FROM ledger.usage_series s WHERE s.part = n.part AND s.key_id = n.key_id AND s.endpoint_id = n.endpoint_id
		AND s.status = n.status AND s.team = n.team AND s.customer = n.customer AND s.model = n.model AND s.tag = n.tag)`
}

const lacking = `coalesce(n.requests, 0) - coalesce(u.requests, 0), coalesce(n.failed, 0) - coalesce(u.failed, 0),
		coalesce(n.abandoned, 0) - coalesce(u.abandoned, 0), coalesce(n.unpriced, 0) - coalesce(u.unpriced, 0),
		coalesce(n.units, 0) - coalesce(u.units, 0), coalesce(n.cost_nanos, 0) - coalesce(u.cost_nanos, 0)`

// addLacking adds what sums n have more than sums u to a table.
func addLacking(table, column, with, join string) string {
	return `
	` + with + `
	INSERT INTO ledger.` + table + ` AS x (` + column + `, series, requests, failed, abandoned, unpriced, units, cost_nanos)
	SELECT ` + column + `, series, ` + lacking + ` FROM ` + join + ` WHERE ` + differs + `
	ON CONFLICT (` + column + `, series) DO UPDATE SET
		requests = x.requests + excluded.requests, failed = x.failed + excluded.failed, abandoned = x.abandoned + excluded.abandoned,
		unpriced = x.unpriced + excluded.unpriced, units = x.units + excluded.units, cost_nanos = x.cost_nanos + excluded.cost_nanos`
}

func rebuildHour(table, view, records string) string {
	return addLacking(table, "hour", `WITH n AS (
		SELECT r.hour, s.series, r.requests, r.failed, r.abandoned, r.unpriced, r.units, r.cost_nanos FROM (`+ofPart(records)+`) r
		JOIN ledger.usage_series s ON s.part = r.part AND s.key_id = r.key_id AND s.endpoint_id = r.endpoint_id
			AND s.status = r.status AND s.team = r.team AND s.customer = r.customer AND s.model = r.model AND s.tag = r.tag
	), u AS (
		SELECT u.hour, u.series, `+usageSums+` FROM ledger.`+view+` u JOIN ledger.usage_series s ON s.series = u.series AND s.part = $3
		WHERE u.hour >= $1 AND u.hour < $2 GROUP BY 1, 2
	)`, `n FULL JOIN u USING (hour, series)`)
}

func rebuildDay(table, view, hours string) string {
	return addLacking(table, "day", `WITH n AS (
		SELECT (u.hour AT TIME ZONE 'UTC')::date AS day, u.series, `+usageSums+` FROM ledger.`+hours+` u
		JOIN ledger.usage_series s ON s.series = u.series AND s.part = $3
		WHERE u.hour >= $1 AND u.hour < $2 GROUP BY 1, 2
	), u AS (
		SELECT u.day, u.series, `+usageSums+` FROM ledger.`+view+` u JOIN ledger.usage_series s ON s.series = u.series AND s.part = $3
		WHERE u.day >= ($1::timestamptz AT TIME ZONE 'UTC')::date AND u.day < ($2::timestamptz AT TIME ZONE 'UTC')::date GROUP BY 1, 2
	)`, `n FULL JOIN u USING (day, series)`)
}

var (
	rebuildHours = []string{
		addMissingSeries(recordsByHour), addMissingSeries(tagsByHour),
		rebuildHour("usage_hour_sums", "usage_by_hour", recordsByHour), rebuildHour("usage_tag_hour_sums", "usage_tag_by_hour", tagsByHour),
	}
	rebuildDays = []string{
		rebuildDay("usage_day_sums", "usage_by_day", "usage_by_hour"), rebuildDay("usage_tag_day_sums", "usage_tag_by_day", "usage_tag_by_hour"),
	}
)

// errDry ends a transaction that was not meant to be committed.
var errDry = errors.New("dry run")

const selectWhole = `SELECT p.part FROM ledger.ledger_part p WHERE p.records_since <= $1 ORDER BY p.part`

// Rebuild makes usage the sum of the records, for the UTC days from one up to another, which is not
// included, as far as their records are whole. Zero times are the first and the last of these days. A dry
// run counts what it would change.
func (s *Store) Rebuild(ctx context.Context, from, to time.Time, dryRun bool) (out Rebuilt, err error) {
	var first, end time.Time
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
		first, end, err = recordDays(ctx, tx)
		return err
	})
	if err != nil {
		return out, translate(err)
	}
	if !to.IsZero() {
		end = earlier(end, to)
	}
	for at := later(first, from).Truncate(day); at.Before(end); at = at.Add(day) {
		rows, err := s.pool.Query(ctx, selectWhole, at)
		if err != nil {
			return out, translate(err)
		}
		parts, err := pgx.CollectRows(rows, pgx.RowTo[int32])
		if err != nil {
			return out, translate(err)
		}
		for _, part := range parts {
			n, err := s.rebuild(ctx, part, at, dryRun)
			if out.Rows += n; err != nil {
				return out, translate(fmt.Errorf("rebuild %s of partition %d: %w", at.Format(time.DateOnly), part, err))
			}
			out.Days++
		}
	}
	return out, nil
}

func (s *Store) rebuild(ctx context.Context, part int32, at time.Time, dryRun bool) (rows int64, err error) {
	run := func(statements []string, from, to time.Time) error {
		var n int64
		err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
			n = 0
			if err := lockAnyPart(ctx, tx, uint32(part)); err != nil {
				return err
			}
			for _, sql := range statements {
				tag, err := tx.Exec(ctx, sql, from, to, part)
				if err != nil {
					return err
				}
				if !strings.Contains(sql, "INTO ledger.usage_series") {
					n += tag.RowsAffected()
				}
			}
			if dryRun {
				return errDry
			}
			return nil
		})
		if err == nil || errors.Is(err, errDry) {
			rows += n
			return nil
		}
		return err
	}
	for hour := at; hour.Before(at.Add(day)); hour = hour.Add(time.Hour) {
		if err := run(rebuildHours, hour, hour.Add(time.Hour)); err != nil {
			return rows, err
		}
	}
	return rows, run(rebuildDays, at, at.Add(day))
}
