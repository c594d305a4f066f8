package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/money"
)

// Discrepancy is a place in the books that is not as it has to be.
type Discrepancy struct {
	Part    uint32
	Subject string // what it is about
	Detail  string // what there is, and what there should be
}

// Check is something that has to hold of the books at any moment.
type Check struct {
	Name string
	What string // has to hold
	sql  string // finds where it does not: part, subject and detail
	// daily has it asked for each UTC day of which the records are whole.
	daily bool
}

const (
	windowName = `format('account %s, generation %s, start %s', a.account_id, a.gen, a.start)`
	leaseName  = `format('account %s, generation %s, start %s, incarnation %s', l.account_id, l.gen, l.start, l.inc)`
	leaseIn    = `ledger.lease l JOIN ledger.account_window a ON a.account_id = l.account_id AND a.gen = l.gen AND a.start = l.start`
)

// Checks are all there are.
func Checks() []Check {
	return []Check{
		{Name: "allocated", What: "what is allocated of an account-window is what its leases hold or have spent", sql: `
			SELECT a.part, ` + windowName + `, format('%s are allocated, and the leases add up to %s', a.alloc, coalesce(l.sum, 0))
			FROM ledger.account_window a LEFT JOIN (
				SELECT l.account_id, l.gen, l.start, sum(greatest(l.granted - l.returned, l.consumed)) AS sum FROM ledger.lease l GROUP BY 1, 2, 3
			) l ON l.account_id = a.account_id AND l.gen = a.gen AND l.start = a.start
			WHERE a.alloc <> coalesce(l.sum, 0) ORDER BY a.account_id, a.gen, a.start`},
		{Name: "leases", What: "no lease has spent or returned more than it was granted", sql: `
			SELECT a.part, ` + leaseName + `, format('granted %s, returned %s, consumed %s', l.granted, l.returned, l.consumed)
			FROM ` + leaseIn + `
			WHERE l.consumed > l.granted - l.returned OR l.inc <> 0 AND (l.returned < 0 OR l.consumed < 0 OR l.returned > l.granted)
				OR l.inc = 0 AND l.consumed <> l.granted - l.returned
			ORDER BY l.account_id, l.gen, l.start, l.inc`},
		{Name: "ended", What: "an incarnation that has ended holds nothing", sql: `
			SELECT a.part, ` + leaseName + `, format('it still holds %s', l.granted - l.returned - l.consumed)
			FROM ` + leaseIn + ` JOIN ledger.incarnation i ON i.inc = l.inc AND i.part = a.part AND i.state IN (1, 3)
			WHERE l.granted - l.returned <> l.consumed ORDER BY l.account_id, l.gen, l.start, l.inc`},
		{Name: "marks", What: "no record lies beyond the mark of its incarnation", sql: `
			SELECT r.part, format('incarnation %s', r.inc), format('there is a record of event %s, and the mark is %s', r.seq, i.hwm)
			FROM (SELECT r.part, r.inc, max(r.seq) AS seq FROM ledger.request r GROUP BY 1, 2) r
			JOIN ledger.incarnation i ON i.inc = r.inc AND i.part = r.part
			WHERE r.seq > i.hwm ORDER BY r.part, r.inc`},
		{Name: "once", What: "no event has two records, and no record two corrections", sql: `
			SELECT r.part, format('incarnation %s, event %s', r.inc, r.seq), format('%s records', count(*))
			FROM ledger.request r GROUP BY r.part, r.inc, r.seq HAVING count(*) > 1
			UNION ALL
			SELECT r.part, format('incarnation %s, event %s', r.corrects_inc, r.corrects_seq), format('%s corrections', count(*))
			FROM ledger.request r WHERE r.corrects_seq IS NOT NULL GROUP BY r.part, r.corrects_inc, r.corrects_seq HAVING count(*) > 1`},
		{Name: "corrections", What: "accounts of other partitions were charged what corrections say", sql: `
			SELECT b.part, format('corrections of partition %s', b.source), format('charged up to %s of %s: the next repricing finishes it', b.seq, b.hwm)
			FROM (` + behindBy + `) b ORDER BY 1, 2`},
		{Name: "jobs", What: "what began a job that has ended costs what was told of it", sql: `
			SELECT j.part, format('endpoint %s, job %L', j.endpoint_id, j.job_id),
				format('it costs %s instead of %s', r.cost + c.cost, CASE WHEN j.told = 3 THEN 0 ELSE j.cost END)
			FROM ledger.job j
			JOIN ledger.request r ON r.ended = j.ended AND r.part = j.part AND r.inc = j.inc AND r.seq = j.seq
			CROSS JOIN LATERAL (
				SELECT coalesce(sum(c.cost), 0) AS cost, count(*) AS corrections FROM ledger.request c
				WHERE c.corrects_inc = j.inc AND c.corrects_seq = j.seq AND c.part = j.part AND c.ended = j.ended
			) c
			WHERE j.settlement = 1 AND (j.told = 3 OR NOT j.as_begun) AND r.cost + c.cost <> CASE WHEN j.told = 3 THEN 0 ELSE j.cost END
				AND NOT (r.unpriced AND c.corrections > 0) -- it may have been priced by hand before
			ORDER BY 1, 2`},
		{Name: "usage", What: "usage by hour is the sum of the records", daily: true, sql: usageDiffers("usage_by_hour", recordsByHour, "''::text")},
		{Name: "usage-by-tag", What: "usage by hour and tag is the sum of the records", daily: true, sql: usageDiffers("usage_tag_by_hour", tagsByHour, "s.tag")},
		{Name: "days", What: "usage by day is the sum of usage by hour", sql: daysDiffer("usage_by_day", "usage_by_hour")},
		{Name: "days-by-tag", What: "usage by day and tag is the sum of usage by hour and tag", sql: daysDiffer("usage_tag_by_day", "usage_tag_by_hour")},
		{Name: "draws", What: "what was charged to an account-window is what the records drew on it", sql: `
			WITH drawn AS (
				SELECT d.account_id, d.gen, d.start, sum(d.nanos) AS nanos FROM ledger.request r
				CROSS JOIN LATERAL (
					SELECT r.draws[i] AS account_id, r.draws[i + 1] AS gen, r.draws[i + 2] AS start, r.draws[i + 4] AS nanos
					FROM generate_series(1, cardinality(r.draws), 5) i
				) d GROUP BY 1, 2, 3
			), spent AS (
				SELECT l.account_id, l.gen, l.start, sum(l.consumed) AS nanos FROM ledger.lease l GROUP BY 1, 2, 3
			)
			SELECT a.part, ` + windowName + `, format('%s are booked, and the records drew %s', coalesce(s.nanos, 0), coalesce(d.nanos, 0))
			FROM ledger.account_window a
			LEFT JOIN drawn d ON d.account_id = a.account_id AND d.gen = a.gen AND d.start = a.start
			LEFT JOIN spent s ON s.account_id = a.account_id AND s.gen = a.gen AND s.start = a.start
			WHERE coalesce(s.nanos, 0) <> coalesce(d.nanos, 0)
				-- A clock that is behind may have ended a request a little before its window began.
				AND (SELECT max(p.records_since) FROM ledger.ledger_part p) <= to_timestamp(a.start) - interval '1 hour'
				AND NOT EXISTS (SELECT FROM ledger.request r WHERE r.ended < (SELECT max(p.records_since) FROM ledger.ledger_part p))
				-- Partitions get the draws of a request one after another: what live edges drew may be on its way.
				AND NOT ((SELECT count(*) FROM ledger.ledger_part) > 1 AND EXISTS (
					SELECT FROM ledger.incarnation i WHERE i.inc > 0 AND i.state = 0))
			ORDER BY a.account_id, a.gen, a.start`},
	}
}

const behindBy = `
	SELECT p.part, i.part AS source, coalesce(m.seq, 0) AS seq, i.hwm FROM ledger.ledger_part p
	JOIN ledger.incarnation i ON i.inc = 0 AND i.part <> p.part
	LEFT JOIN ledger.correction_mark m ON m.part = p.part AND m.source = i.part
	WHERE i.hwm > coalesce(m.seq, 0)`

// What records add to usage. A correction adds to the units and the cost, and takes one off what is unpriced
// where it corrects what was. What was spent elsewhere before a budget was there is in no usage.
const recordSums = `count(*) FILTER (WHERE r.corrects_seq IS NULL) AS requests,
	count(*) FILTER (WHERE r.corrects_seq IS NULL AND r.cost = 0 AND r.outcome IN (2, 3, 5, 8)) AS failed,
	count(*) FILTER (WHERE r.corrects_seq IS NULL AND r.outcome = 6) AS abandoned,
	count(*) FILTER (WHERE r.unpriced) - count(*) FILTER (WHERE r.corrects_seq IS NOT NULL AND r.was_unpriced) AS unpriced,
	coalesce(sum(r.units), 0) AS units, coalesce(sum(r.cost), 0) AS cost_nanos`

const recordNames = `r.part, date_trunc('hour', r.ended, 'UTC') AS hour, r.key_id, r.endpoint_id, r.status, r.team, r.customer, r.model`

// Sums of records that ended between the first two arguments.
const (
	recordsByHour = `SELECT ` + recordNames + `, ''::text AS tag, ` + recordSums + `
		FROM ledger.request r WHERE r.ended >= $1 AND r.ended < $2 AND r.outcome <> 10 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8`
	tagsByHour = `SELECT ` + recordNames + `, t.tag, ` + recordSums + `
		FROM ledger.request r CROSS JOIN LATERAL (SELECT DISTINCT unnest(r.tags) AS tag) t
		WHERE r.ended >= $1 AND r.ended < $2 AND r.outcome <> 10 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9`
)

const usageSums = `sum(u.requests) AS requests, sum(u.failed) AS failed, sum(u.abandoned) AS abandoned,
	sum(u.unpriced) AS unpriced, sum(u.units) AS units, sum(u.cost_nanos) AS cost_nanos`

// differs is where sums n and u, one of which may be missing, are not the same.
const differs = `(coalesce(n.requests, 0), coalesce(n.failed, 0), coalesce(n.abandoned, 0), coalesce(n.unpriced, 0), coalesce(n.units, 0), coalesce(n.cost_nanos, 0))
	<> (coalesce(u.requests, 0), coalesce(u.failed, 0), coalesce(u.abandoned, 0), coalesce(u.unpriced, 0), coalesce(u.units, 0), coalesce(u.cost_nanos, 0))`

const sumsDetail = `format('%s requests (%s failed, %s abandoned, %s unpriced), %s units, %s nano-dollars instead of %s (%s, %s, %s), %s, %s',
	coalesce(u.requests, 0), coalesce(u.failed, 0), coalesce(u.abandoned, 0), coalesce(u.unpriced, 0), coalesce(u.units, 0), coalesce(u.cost_nanos, 0),
	coalesce(n.requests, 0), coalesce(n.failed, 0), coalesce(n.abandoned, 0), coalesce(n.unpriced, 0), coalesce(n.units, 0), coalesce(n.cost_nanos, 0))`

// usageDiffers finds series of hours, between the first two arguments, that are not the sums of their records.
func usageDiffers(table, records, tag string) string {
	return `
	WITH n AS (` + records + `), u AS (
		SELECT s.part, u.hour, s.key_id, s.endpoint_id, s.status, s.team, s.customer, s.model, ` + tag + ` AS tag, ` + usageSums + `
		FROM ledger.` + table + ` u JOIN ledger.usage_series s ON s.series = u.series
		WHERE u.hour >= $1 AND u.hour < $2 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
	)
	SELECT part, format('hour %s, key %s, endpoint %s, status %s, team %L, customer %L, model %L, tag %L',
		to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24'), key_id, endpoint_id, status, team, customer, model, tag), ` + sumsDetail + `
	FROM n FULL JOIN u USING (part, hour, key_id, endpoint_id, status, team, customer, model, tag)
	JOIN ledger.ledger_part p USING (part)
	WHERE p.records_since <= $1 AND ` + differs + ` ORDER BY 1, 2`
}

// daysDiffer finds series of days that are not the sums of their hours, of the days that have hours.
func daysDiffer(days, hours string) string {
	return `
	WITH since AS (
		SELECT min(u.hour) AS hour FROM ledger.usage_by_hour u
	), n AS (
		SELECT (u.hour AT TIME ZONE 'UTC')::date AS day, u.series, ` + usageSums + ` FROM ledger.` + hours + ` u GROUP BY 1, 2
	), u AS (
		SELECT u.day, u.series, ` + usageSums + ` FROM ledger.` + days + ` u
		WHERE u.day::timestamp AT TIME ZONE 'UTC' >= (SELECT hour FROM since) OR u.day = ((SELECT hour FROM since) AT TIME ZONE 'UTC')::date
		GROUP BY 1, 2
	)
	SELECT s.part, format('day %s, series %s', day, series), ` + sumsDetail + `
	FROM n FULL JOIN u USING (day, series) JOIN ledger.usage_series s USING (series)
	WHERE ` + differs + ` ORDER BY day, series`
}

// Audit reads the books as they were at one moment.
type Audit struct{ tx pgx.Tx }

// Audit lets f look at the books in one snapshot, which writes do not wait for.
func (s *Store) Audit(ctx context.Context, f func(context.Context, *Audit) error) error {
	opts := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, s.pool, opts, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL jit = off`); err != nil {
			return err
		}
		return f(ctx, &Audit{tx})
	})
	return translate(err)
}

// Run finds where a check does not hold, one after another.
func (a *Audit) Run(ctx context.Context, c Check, found func(Discrepancy) error) error {
	if !c.daily {
		return a.find(ctx, c, found)
	}
	from, to, err := a.Days(ctx)
	if err != nil {
		return err
	}
	for at := from; at.Before(to); at = at.Add(day) {
		if err := a.find(ctx, c, found, at, at.Add(day)); err != nil {
			return err
		}
	}
	return nil
}

func (a *Audit) find(ctx context.Context, c Check, found func(Discrepancy) error, args ...any) error {
	rows, err := a.tx.Query(ctx, c.sql, args...)
	if err != nil {
		return fmt.Errorf("check %s: %w", c.Name, err)
	}
	defer rows.Close()
	for rows.Next() {
		var d Discrepancy
		var part int32
		if err := rows.Scan(&part, &d.Subject, &d.Detail); err != nil {
			return fmt.Errorf("check %s: %w", c.Name, err)
		}
		d.Part = uint32(part)
		if err := found(d); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("check %s: %w", c.Name, err)
	}
	return nil
}

// Days are the UTC days of which some partition has all records, the end not included.
func (a *Audit) Days(ctx context.Context) (from, to time.Time, err error) {
	return recordDays(ctx, a.tx)
}

// Where every record that there ever was is kept, the first day is that of the first one, or of the first usage.
const selectRecordDays = `
	SELECT CASE WHEN min(p.records_since) = 'infinity' THEN NULL
			ELSE greatest(min(p.records_since), least((SELECT min(r.ended) FROM ledger.request r), (SELECT min(u.hour) FROM ledger.usage_by_hour u))) END,
		greatest((SELECT max(r.ended) FROM ledger.request r), (SELECT max(u.hour) FROM ledger.usage_by_hour u))
	FROM ledger.ledger_part p`

func recordDays(ctx context.Context, tx pgx.Tx) (from, to time.Time, err error) {
	var first, last *time.Time
	if err := tx.QueryRow(ctx, selectRecordDays).Scan(&first, &last); err != nil {
		return from, to, fmt.Errorf("days of records: %w", err)
	}
	if first == nil || last == nil {
		return from, to, nil
	}
	return first.UTC().Truncate(day), last.UTC().Truncate(day).Add(day), nil
}

// Sizes is how much there is to check.
type Sizes struct {
	Accounts, Windows, Leases, Incarnations, Requests, Corrections int64
	Overrun                                                        money.Nanos
}

// Sizes counts.
func (a *Audit) Sizes(ctx context.Context) (n Sizes, err error) {
	err = a.tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM ledger.account), (SELECT count(*) FROM ledger.account_window), (SELECT count(*) FROM ledger.lease),
			(SELECT count(*) FROM ledger.incarnation WHERE inc > 0), (SELECT count(*) FROM ledger.request),
			(SELECT count(*) FROM ledger.request WHERE inc = 0),
			(SELECT least(coalesce(sum(overrun), 0), 9223372036854775807)::bigint FROM ledger.account_window)`).
		Scan(&n.Accounts, &n.Windows, &n.Leases, &n.Incarnations, &n.Requests, &n.Corrections, &n.Overrun)
	return n, err
}

// Lost lists incarnations that were given up or are believed to be lost, with what they still hold.
func (a *Audit) Lost(ctx context.Context) ([]IncarnationState, error) {
	rows, err := a.tx.Query(ctx, selectIncarnations, false)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, scanIncarnation)
	lost := list[:0]
	for _, i := range list {
		if i.State != 0 {
			lost = append(lost, i)
		}
	}
	return lost, err
}

// Kind is how often something happened that should not, and when last.
type Kind struct {
	Name  string
	Count int64
	Last  time.Time
}

// Anomalies counts them by kind.
func (a *Audit) Anomalies(ctx context.Context) ([]Kind, error) {
	rows, err := a.tx.Query(ctx, `SELECT n.kind, count(*), max(n.at) FROM ledger.anomaly n GROUP BY n.kind ORDER BY n.kind`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Kind])
}
