package store

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"tollgate/internal/fault"
	"tollgate/ledger/usage"
)

// Sums kept by edge would be as many times more rows as there are edges, for a question that few ask. Records have their edge, so that
// one is answered from them.

const selectRecordsSince = `SELECT max(p.records_since) FROM ledger.ledger_part p`

// haveRecords refuses to add up records from a time on of which not all are there.
func haveRecords(ctx context.Context, tx pgx.Tx, from time.Time) error {
	var since pgtype.Timestamptz
	if err := tx.QueryRow(ctx, selectRecordsSince).Scan(&since); err != nil {
		return err
	}
	switch {
	case since.InfinityModifier == pgtype.Infinity:
		return fault.New(fault.FailedPrecondition, "Usage by edge is added up from the records of requests, and this ledger keeps none.").
			WithHint("Set keep_records in the ledger's configuration.")
	case since.Valid && since.InfinityModifier == pgtype.Finite && since.Time.After(from):
		return fault.New(fault.FailedPrecondition, "Usage by edge is added up from the records of requests, which reach back to %s.", since.Time.UTC().Format(time.RFC3339)).
			WithHint("Ask for the time from then on.")
	default: // no partition has ever had a leader, or all records are there
		return nil
	}
}

// seriesOfRecord names what a record is of as a series does; with tags, once for each of them.
const (
	seriesOfRecord = `CROSS JOIN LATERAL (SELECT r.edge, r.key_id, r.endpoint_id, r.status, r.team, r.customer, r.model, ''::text AS tag) s`
	taggedOfRecord = `CROSS JOIN LATERAL (SELECT r.edge, r.key_id, r.endpoint_id, r.status, r.team, r.customer, r.model, t.tag
		FROM (SELECT DISTINCT unnest(r.tags) AS tag) t) s`
)

// records adds up records: rows of day, hour, what is grouped by, and sums, as groups makes them of sums.
func (b *usageSQL) records() string {
	day, hour := "NULL::date", "NULL::timestamptz"
	var group []string
	switch {
	case b.q.By(usage.ByHour):
		hour = "date_trunc('hour', r.ended, 'UTC')"
		group = append(group, hour)
	case b.q.By(usage.ByDay):
		starts, names := b.span.Days()
		day = "((" + b.arg(names) + "::text[])[width_bucket(r.ended, " + b.arg(starts) + "::timestamptz[])])::date"
		group = append(group, day)
	}
	columns := []string{day + " AS day", hour + " AS hour"}
	for _, d := range usageDimensions {
		if b.q.By(d.by) {
			columns = append(columns, d.expr+" AS "+d.name)
			group = append(group, d.expr)
		}
	}
	columns = append(columns, recordSums, "count(*) FILTER (WHERE r.corrects_seq IS NULL AND (r.status = 0 OR r.status >= 500)) AS errors")
	together := " HAVING count(*) > 0"
	if len(group) > 0 {
		together = " GROUP BY " + strings.Join(group, ", ")
	}
	series := seriesOfRecord
	if b.q.ByTags() {
		series = taggedOfRecord
	}
	where := append([]string{b.between("r.ended", b.span.From, b.span.To), "r.outcome <> 10"}, b.where...)
	return `SELECT ` + strings.Join(columns, ", ") + ` FROM ledger.request r ` + series + ` WHERE ` + strings.Join(where, " AND ") + together
}
