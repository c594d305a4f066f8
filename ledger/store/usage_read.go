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
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, translate(fmt.Errorf("query usage: %w", err))
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (usage.Row, error) {
		var r usage.Row
		var status int32
		b, c := &r.Bucket, &r.Counts
		err := row.Scan(&b.Day, &b.Hour, &b.KeyID, &b.EndpointID, &b.Team, &b.Customer, &b.Model, &b.Tag, &status,
			&c.Requests, &c.Failed, &c.Abandoned, &c.Unpriced, &c.Units, &c.Cost)
		b.Status = uint32(status)
		return r, err
	})
	return out, translate(err)
}

// usageQuery makes the statement of a question. Sums are by day, or by hour if hours are asked for, and
// those by tag are kept apart. They are added up by series first, which is one number, and only these
// sums meet the names: there are as many rows as series and days, and far fewer series.
func usageQuery(q usage.Query) (string, []any) {
	table, column := "usage_by_day", "day"
	if q.By(usage.ByHour) {
		table, column = "usage_by_hour", "hour"
	}
	if q.ByTags() {
		table = strings.Replace(table, "usage_", "usage_tag_", 1)
	}
	from, until := "u.day >= $1::text::date", "u.day <= $2::text::date"
	if column == "hour" {
		from, until = "u.hour >= $1::text::timestamp AT TIME ZONE 'UTC'", "u.hour < ($2::text::date + 1)::timestamp AT TIME ZONE 'UTC'"
	}
	at, day, hour := "", "''", "''"
	switch {
	case q.By(usage.ByHour):
		at, hour = "u.hour", `to_char(m.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24')`
		if q.By(usage.ByDay) {
			day = "to_char(m.at AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
		}
	case q.By(usage.ByDay):
		at, day = "u.day", "to_char(m.at, 'YYYY-MM-DD')"
	}
	name := func(d usage.Dimension, column string) string {
		if q.By(d) {
			return "s." + column
		}
		return "''"
	}
	status := "0"
	if q.By(usage.ByStatus) {
		status = "s.status"
	}
	var only []string
	args := []any{q.From, q.To}
	for _, f := range []struct{ column, value string }{
		{"key_id", q.KeyID}, {"endpoint_id", q.EndpointID}, {"team", q.Team}, {"customer", q.Customer}, {"model", q.Model}, {"tag", q.Tag},
	} {
		if f.value != "" {
			args = append(args, f.value)
			only = append(only, fmt.Sprintf("s.%s = $%d", f.column, len(args)))
		}
	}
	where, some := "", ""
	if len(only) > 0 {
		where = " WHERE " + strings.Join(only, " AND ")
		some = " AND u.series IN (SELECT s.series FROM ledger.usage_series s" + where + ")"
	}
	group, take := "u.series", "u.series"
	if at != "" {
		group, take = group+", "+at, take+", "+at+" AS at"
	}
	const most = "least(sum(%s), 9223372036854775807)::bigint"
	sum := func(column string) string { return fmt.Sprintf(most, "m."+column) }
	sql := `WITH m AS MATERIALIZED (
		SELECT ` + take + `, sum(u.requests) AS requests, sum(u.failed) AS failed, sum(u.abandoned) AS abandoned,
			sum(u.unpriced) AS unpriced, sum(u.units) AS units, sum(u.cost_nanos) AS cost
		FROM ledger.` + table + ` u WHERE ` + from + ` AND ` + until + some + `
		GROUP BY ` + group + `)
	SELECT ` + strings.Join([]string{
		day, hour, name(usage.ByKey, "key_id"), name(usage.ByEndpoint, "endpoint_id"), name(usage.ByTeam, "team"),
		name(usage.ByCustomer, "customer"), name(usage.ByModel, "model"), name(usage.ByTag, "tag"), status,
		sum("requests"), sum("failed"), sum("abandoned"), sum("unpriced"), sum("units"), sum("cost"),
	}, ", ") + `
	FROM m JOIN ledger.usage_series s ON s.series = m.series` + where + `
	GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
	ORDER BY 15 DESC, 1, 2, 3, 4, 5, 6, 7, 8, 9
	LIMIT ` + fmt.Sprint(maxRows)
	return sql, args
}
