package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/ledger/usage"
)

// maxRows bounds an answer. Groups beyond it are the cheapest ones.
const maxRows = 100_000

// Usage adds up what was booked: groups by cost, largest first.
func (s *Store) Usage(ctx context.Context, q usage.Query) ([]usage.Row, error) {
	sql, args := usageQuery(q)
	var out []usage.Row
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		// Compiling the statement would take longer than running it.
		if _, err := tx.Exec(ctx, `SET LOCAL jit = off`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, scanUsage)
		return err
	})
	if err != nil {
		return nil, translate(fmt.Errorf("query usage: %w", err))
	}
	return out, nil
}

func scanUsage(row pgx.CollectableRow) (usage.Row, error) {
	var r usage.Row
	var status int32
	b, c := &r.Bucket, &r.Counts
	err := row.Scan(&b.Day, &b.Hour, &b.KeyID, &b.EndpointID, &b.Team, &b.Customer, &b.Model, &b.Tag, &status,
		&c.Requests, &c.Failed, &c.Abandoned, &c.Unpriced, &c.Units, &c.Cost)
	b.Status = uint32(status)
	return r, err
}

// usageQuery makes the statement of a question. Sums are by day, or by hour if hours are asked for, and
// those by tag are kept apart. Only what is asked for is grouped by, and times are written out when they
// are added up: there are far more rows than groups.
func usageQuery(q usage.Query) (string, []any) {
	table, column := "usage_by_day", "day"
	from, until := "u.day >= $1::text::date", "u.day <= $2::text::date"
	if q.By(usage.ByHour) {
		table, column = "usage_by_hour", "hour"
		from, until = "u.hour >= $1::text::timestamp AT TIME ZONE 'UTC'", "u.hour < ($2::text::date + 1)::timestamp AT TIME ZONE 'UTC'"
	}
	if q.ByTags() {
		table = strings.Replace(table, "usage_", "usage_tag_", 1)
	}
	var group []string
	day, hour := "''", "''"
	if q.By(usage.ByDay) || q.By(usage.ByHour) {
		group = append(group, "u."+column)
	}
	if q.By(usage.ByDay) {
		day = "to_char(u." + column + ", 'YYYY-MM-DD')" // the session's zone is UTC
	}
	if q.By(usage.ByHour) {
		hour = `to_char(u.hour, 'YYYY-MM-DD"T"HH24')`
	}
	name := func(d usage.Dimension, column, none string) string {
		if !q.By(d) {
			return none
		}
		group = append(group, column)
		return column
	}
	columns := []string{
		day, hour, name(usage.ByKey, "s.key_id", "''"), name(usage.ByEndpoint, "s.endpoint_id", "''"), name(usage.ByTeam, "s.team", "''"),
		name(usage.ByCustomer, "s.customer", "''"), name(usage.ByModel, "s.model", "''"), name(usage.ByTag, "s.tag", "''"), name(usage.ByStatus, "s.status", "0"),
	}
	for _, sum := range []string{"requests", "failed", "abandoned", "unpriced", "units", "cost_nanos"} {
		columns = append(columns, "least(sum(u."+sum+"), 9223372036854775807)::bigint")
	}
	where := []string{from, until}
	args := []any{q.From, q.To}
	for _, f := range []struct{ column, value string }{
		{"key_id", q.KeyID}, {"endpoint_id", q.EndpointID}, {"team", q.Team}, {"customer", q.Customer}, {"model", q.Model}, {"tag", q.Tag},
	} {
		if f.value != "" {
			args = append(args, f.value)
			where = append(where, fmt.Sprintf("s.%s = $%d", f.column, len(args)))
		}
	}
	together := " HAVING count(*) > 0"
	if len(group) > 0 {
		together = " GROUP BY " + strings.Join(group, ", ")
	}
	return `SELECT ` + strings.Join(columns, ", ") + ` FROM ledger.` + table + ` u JOIN ledger.usage_series s ON s.series = u.series
	WHERE ` + strings.Join(where, " AND ") + together + `
	ORDER BY 15 DESC, 1, 2, 3, 4, 5, 6, 7, 8, 9 LIMIT ` + fmt.Sprint(maxRows), args
}
