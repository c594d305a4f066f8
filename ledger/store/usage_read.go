package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/ledger/usage"
)

// maxRows bounds an answer. Groups beyond it are the cheapest ones.
const maxRows = 100_000

// forSums prepares a transaction for adding up: compiling such a statement takes longer than running it, and its groups are to stay
// in memory.
const forSums = `SET LOCAL jit = off; SET LOCAL work_mem = '64MB'`

// Usage adds up what was booked: groups by cost, largest first.
func (s *Store) Usage(ctx context.Context, q usage.Query) ([]usage.Row, error) {
	span, err := q.Span()
	if err != nil {
		return nil, err
	}
	sql, args := usageQuery(q, span)
	var out []usage.Row
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, forSums); err != nil {
			return err
		}
		if q.ByEdges() {
			if err := haveRecords(ctx, tx, span.From); err != nil {
				return err
			}
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
	if q.By(usage.ByHour) && q.By(usage.ByDay) {
		for i := range out { // an hour tells its day
			hour, err := time.Parse(hourForm, out[i].Bucket.Hour)
			if err != nil {
				return nil, err
			}
			out[i].Bucket.Day = span.Day(hour)
		}
	}
	return out, nil
}

const hourForm = "2006-01-02T15"

func scanUsage(row pgx.CollectableRow) (usage.Row, error) {
	var r usage.Row
	var status, class int32
	b, c := &r.Bucket, &r.Counts
	err := row.Scan(&b.Day, &b.Hour, &b.KeyID, &b.EndpointID, &b.Team, &b.Customer, &b.Model, &b.Tag, &b.Edge, &status, &class, &r.Other,
		&c.Requests, &c.Failed, &c.Abandoned, &c.Unpriced, &c.Units, &c.Cost, &r.Errors)
	b.Status, r.StatusClass = uint32(status), uint32(class)
	return r, err
}

// usageDimensions are the columns of an answer after its day and its hour, in order.
var usageDimensions = []struct {
	by               usage.Dimension
	name, expr, none string
}{
	{usage.ByKey, "key_id", "s.key_id", "''"},
	{usage.ByEndpoint, "endpoint_id", "s.endpoint_id", "''"},
	{usage.ByTeam, "team", "s.team", "''"},
	{usage.ByCustomer, "customer", "s.customer", "''"},
	{usage.ByModel, "model", "s.model", "''"},
	{usage.ByTag, "tag", "s.tag", "''"},
	{usage.ByEdge, "edge", "s.edge", "''"},
	{usage.ByStatus, "status", "s.status", "0"},
	{usage.ByStatusClass, "class", "s.status / 100", "0"},
}

var usageColumns = []string{"requests", "failed", "abandoned", "unpriced", "units", "cost_nanos", "errors"}

// usageSQL is the statement of a question while it is made. Only what is asked for is grouped by, and times are written out when
// they are added up: there are far more rows than groups.
type usageSQL struct {
	q     usage.Query
	span  usage.Span
	args  []any
	dims  []string // names of what is grouped by besides time
	where []string // on series, or on records where these are added up
}

func usageQuery(q usage.Query, span usage.Span) (string, []any) {
	b := &usageSQL{q: q, span: span}
	for _, d := range usageDimensions {
		if q.By(d.by) {
			b.dims = append(b.dims, d.name)
		}
	}
	for _, f := range []struct{ column, value string }{
		{"key_id", q.KeyID}, {"endpoint_id", q.EndpointID}, {"team", q.Team}, {"customer", q.Customer}, {"model", q.Model}, {"tag", q.Tag},
	} {
		if f.value != "" {
			b.where = append(b.where, "s."+f.column+" = "+b.arg(f.value))
		}
	}
	if q.StatusClass != 0 {
		b.where = append(b.where, "s.status / 100 = "+b.arg(int32(q.StatusClass)))
	}
	for _, m := range q.Where {
		var sql string
		sql, b.args = matchSQL("s", false, m, b.args)
		b.where = append(b.where, sql)
	}
	return b.answer(b.groups()), b.args
}

func (b *usageSQL) arg(v any) string {
	b.args = append(b.args, v)
	return fmt.Sprintf("$%d", len(b.args))
}

// groups adds up: rows of day, hour, what is grouped by, and sums.
func (b *usageSQL) groups() string {
	if b.q.ByEdges() {
		return b.records()
	}
	byDay, byHour := b.q.By(usage.ByDay), b.q.By(usage.ByHour)
	if byHour {
		return b.sums("hour", "u.hour", "NULL::date", b.between("u.hour", b.span.From, b.span.To))
	}
	parts := b.span.Parts(byDay)
	day := "NULL::date"
	if byDay {
		day = "u.day"
	}
	// No days at all are an empty span of days.
	days := b.sums("day", "NULL::timestamptz", day, "u.day >= "+b.arg(orNever(parts.FirstDay))+"::text::date AND u.day <= "+b.arg(orNever(parts.LastDay))+"::text::date")
	if len(parts.Hours) == 0 {
		return days
	}
	return b.together(days, parts.Hours, byDay)
}

// orNever is a day before all others for an empty one.
func orNever(day string) string {
	if day == "" {
		return "0001-01-01"
	}
	return day
}

// together adds hours to days, each to or off the day that it belongs to. Hours are added up first, because one may count in two days.
func (b *usageSQL) together(days string, parts []usage.Part, byDay bool) string {
	hours, names, signs := make([]time.Time, len(parts)), make([]*string, len(parts)), make([]int32, len(parts))
	first, last := parts[0].Hour, parts[0].Hour
	for i, p := range parts {
		hours[i], signs[i] = p.Hour, 1
		if p.Minus {
			signs[i] = -1
		}
		if byDay {
			names[i] = &p.Day
		}
		first, last = earlier(first, p.Hour), later(last, p.Hour)
	}
	list := b.arg(hours)
	moved := `SELECT m.hour, m.day::date AS day, m.sign FROM unnest(` + list + `::timestamptz[], ` + b.arg(names) + `::text[], ` + b.arg(signs) + `::int[]) AS m (hour, day, sign)`
	of := b.sums("hour", "u.hour", "NULL::date", b.between("u.hour", first, last.Add(time.Hour))+" AND u.hour = ANY("+list+"::timestamptz[])")
	sums, signed, some := []string(nil), []string(nil), []string(nil)
	for _, c := range usageColumns {
		sums = append(sums, "sum(t."+c+") AS "+c)
		signed = append(signed, "h."+c+" * m.sign AS "+c)
		some = append(some, "sum(t."+c+") <> 0")
	}
	day, group := "NULL::date AS day", b.named("t.")
	if byDay {
		day, group = "t.day", append(group, "t.day")
	}
	const hour = "NULL::timestamptz AS hour"
	sql := `SELECT ` + strings.Join(slices.Concat([]string{day, hour}, b.named("t."), sums), ", ") + ` FROM (
		SELECT * FROM (` + days + `) d
		UNION ALL
		SELECT ` + strings.Join(slices.Concat([]string{"m.day", hour}, b.named("h."), signed), ", ") + `
		FROM (` + of + `) h JOIN (` + moved + `) m ON m.hour = h.hour
	) t`
	if len(group) > 0 {
		sql += " GROUP BY " + strings.Join(group, ", ")
	}
	return sql + " HAVING " + strings.Join(some, " OR ") // nothing is left of what was taken off as a whole
}

func (b *usageSQL) named(table string) []string {
	out := make([]string, len(b.dims))
	for i, d := range b.dims {
		out[i] = table + d
	}
	return out
}

func (b *usageSQL) between(column string, from, to time.Time) string {
	return column + " >= " + b.arg(from) + " AND " + column + " < " + b.arg(to)
}

// sums adds up the rows of a table of sums by its times, if they are asked for, and by what is grouped by.
func (b *usageSQL) sums(table, hour, day, when string) string {
	table = "usage_by_" + table
	if b.q.ByTags() {
		table = strings.Replace(table, "usage_", "usage_tag_", 1)
	}
	columns, group := []string{day + " AS day", hour + " AS hour"}, []string(nil)
	for _, time := range []string{day, hour} {
		if !strings.HasPrefix(time, "NULL") {
			group = append(group, time)
		}
	}
	for _, d := range usageDimensions {
		if b.q.By(d.by) {
			columns = append(columns, d.expr+" AS "+d.name)
			group = append(group, d.expr)
		}
	}
	for _, c := range usageColumns[:len(usageColumns)-1] {
		columns = append(columns, "sum(u."+c+") AS "+c)
	}
	columns = append(columns, "coalesce(sum(u.requests) FILTER (WHERE s.status = 0 OR s.status >= 500), 0) AS errors")
	together := " HAVING count(*) > 0"
	if len(group) > 0 {
		together = " GROUP BY " + strings.Join(group, ", ")
	}
	return `SELECT ` + strings.Join(columns, ", ") + ` FROM ledger.` + table + ` u JOIN ledger.usage_series s ON s.series = u.series
		WHERE ` + strings.Join(append([]string{when}, b.where...), " AND ") + together
}

// answer writes groups out, largest first, and adds up those beyond the top ones. Sums stop at the largest number.
func (b *usageSQL) answer(groups string) string {
	top := b.q.Top > 0 && len(b.dims) > 0
	columns := []string{"coalesce(to_char(g.day, 'YYYY-MM-DD'), '') AS day", `coalesce(to_char(g.hour, 'YYYY-MM-DD"T"HH24'), '') AS hour`} // the session's zone is UTC
	for _, d := range usageDimensions {
		switch {
		case !b.q.By(d.by):
			columns = append(columns, d.none+" AS "+d.name)
		case top:
			columns = append(columns, "CASE WHEN t.top THEN g."+d.name+" ELSE "+d.none+" END AS "+d.name)
		default:
			columns = append(columns, "g."+d.name)
		}
	}
	other, sum := "false AS other", func(c string) string { return "g." + c }
	if top {
		other, sum = "t.top IS NULL AS other", func(c string) string { return "sum(g." + c + ")" }
	}
	columns = append(columns, other)
	for _, c := range usageColumns {
		columns = append(columns, "least("+sum(c)+", 9223372036854775807)::bigint AS "+c)
	}
	const order = " ORDER BY other, cost_nanos DESC, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 LIMIT "
	if !top {
		return `SELECT ` + strings.Join(columns, ", ") + ` FROM (` + groups + `) g` + order + fmt.Sprint(maxRows)
	}
	names := strings.Join(b.named("g."), ", ")
	return `WITH g AS MATERIALIZED (` + groups + `), t AS (
			SELECT true AS top, ` + names + ` FROM g GROUP BY ` + names + ` ORDER BY sum(g.cost_nanos) DESC, ` + names + ` LIMIT ` + b.arg(b.q.Top) + `
		)
		SELECT ` + strings.Join(columns, ", ") + ` FROM g LEFT JOIN t USING (` + strings.Join(b.dims, ", ") + `)
		GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12` + order + fmt.Sprint(maxRows)
}
