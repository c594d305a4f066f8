package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/ledger/usage"
)

// Records are read a day at a time, because a day is a partition: one that the filter lets nothing of
// through costs no more than its own rows.

// pageWithin is how long a page may look for records before it ends with those that it has.
const pageWithin = 3 * time.Second

const recordColumnsRead = `r.ended, r.part, r.inc, r.seq, r.cost, r.reserved, r.units, r.price_version, r.duration_us,
	r.corrects_inc, r.corrects_seq, r.attempt, r.status, r.outcome, r.unpriced, r.request_id, r.edge, r.key_id, r.endpoint_id,
	r.team, r.customer, r.model, r.tags, r.draws, coalesce(r.meter, ''), coalesce(r.counts, ''), coalesce(r.job, ''), coalesce(r.job_state, 0), coalesce(r.deployment, '')`

// notPriced is that a record was not corrected. A correction is where what it corrects is, in time and part.
const notPriced = `NOT EXISTS (SELECT FROM ledger.request c
		WHERE c.corrects_inc = r.inc AND c.corrects_seq = r.seq AND c.part = r.part AND c.ended = r.ended AND c.ended >= $1 AND c.ended < $2)`

// Requests reads a page of records.
func (s *Store) Requests(ctx context.Context, l usage.Listing) (usage.Page, error) {
	page, err := s.requests(ctx, l)
	if err != nil {
		return usage.Page{}, translate(fmt.Errorf("list requests: %w", err))
	}
	return page, nil
}

func (s *Store) requests(ctx context.Context, l usage.Listing) (usage.Page, error) {
	started := time.Now()
	from, to, err := s.span(ctx, l)
	if err != nil || !from.Before(to) {
		return usage.Page{}, err
	}
	page := usage.Page{Records: make([]usage.Record, 0, min(l.Limit, 1000))}
	for {
		// The days are those of UTC, as the partitions are.
		lo, hi := from, to
		if l.OldestFirst {
			hi = earlier(to, from.Truncate(day).Add(day))
		} else {
			lo = later(from, to.Add(-1).Truncate(day))
		}
		sql, args := recordQuery(l.Filter, lo, hi)
		sql, args = withPage(sql, args, l, l.Limit+1-len(page.Records))
		rows, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return usage.Page{}, err
		}
		if page.Records, err = pgx.AppendRows(page.Records, rows, scanRecord); err != nil {
			return usage.Page{}, err
		}
		if len(page.Records) > l.Limit {
			page.Records = page.Records[:l.Limit]
			last := page.Records[l.Limit-1]
			page.Next, page.More = usage.Cursor{Ended: time.UnixMilli(last.Event.GetUnixMs()).UTC(), Position: last.Position}, true
			return page, nil
		}
		if l.OldestFirst {
			from = hi
		} else {
			to = lo
		}
		if !from.Before(to) {
			return page, nil
		}
		if time.Since(started) > pageWithin {
			page.Next, page.More = boundary(l, from, to), true
			return page, nil
		}
	}
}

// boundary is a cursor between two days.
func boundary(l usage.Listing, from, to time.Time) usage.Cursor {
	if l.OldestFirst {
		return usage.Cursor{Ended: from.Add(-time.Microsecond), Position: lastPosition}
	}
	return usage.Cursor{Ended: to}
}

// lastPosition comes after all others of its time.
var lastPosition = usage.Position{Part: 1<<31 - 1, Inc: 1<<63 - 1, Seq: 1<<63 - 1}

const day = 24 * time.Hour

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// span is the time in which records may be that a page could have, the end not included.
func (s *Store) span(ctx context.Context, l usage.Listing) (from, to time.Time, err error) {
	var first, last *time.Time
	if err := s.pool.QueryRow(ctx, `SELECT min(r.ended), max(r.ended) FROM ledger.request r`).Scan(&first, &last); err != nil {
		return from, to, err
	}
	if first == nil {
		return from, to, nil
	}
	from, to = later(l.Filter.From, first.UTC()), last.UTC().Add(time.Microsecond)
	if !l.Filter.To.IsZero() {
		to = earlier(to, l.Filter.To)
	}
	if at, ok := beganAt(l.Filter.RequestID); ok {
		from = later(from, at)
	}
	if after := l.After.Ended; !after.IsZero() {
		if l.OldestFirst {
			from = later(from, after)
		} else {
			to = earlier(to, after.Add(time.Microsecond))
		}
	}
	return from.UTC(), to.UTC(), nil
}

// beganAt is a time before which no attempt of a request has ended: its id, a UUID of version 7, begins
// with the time at which it was made, by the clock that also says when it ended.
func beganAt(request []byte) (time.Time, bool) {
	if len(request) != 16 || request[6]>>4 != 7 {
		return time.Time{}, false
	}
	var ms int64
	for _, b := range request[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).Add(-time.Minute), true // clocks are set
}

// recordQuery selects records that ended in a span of time.
func recordQuery(f usage.Filter, from, to time.Time) (string, []any) {
	args := []any{from, to}
	sql := `SELECT ` + recordColumnsRead + ` FROM ledger.request r WHERE r.ended >= $1 AND r.ended < $2`
	where, args := matching(f, args)
	return sql + where, args
}

// matching is what a filter adds to a statement on records r of which the first two arguments are a span.
func matching(f usage.Filter, args []any) (string, []any) {
	var b strings.Builder
	add := func(format string, value any) {
		args = append(args, value)
		fmt.Fprintf(&b, " AND "+format, len(args))
	}
	for _, c := range []struct{ column, value string }{
		{"key_id", f.KeyID},
		{"endpoint_id", f.EndpointID},
		{"team", f.Team},
		{"customer", f.Customer},
		{"model", f.Model},
		{"meter", f.Meter},
		{"job", f.Job},
	} {
		if c.value != "" {
			add("r."+c.column+" = $%d", c.value)
		}
	}
	if model, all := strings.CutSuffix(f.Deployment, "/"); all {
		// The name of a model may have slashes in it, that of a deployment has none.
		add("regexp_replace(r.deployment, '/[^/]*$', '') = $%d", model)
	} else if f.Deployment != "" {
		add("r.deployment = $%d", f.Deployment)
	}
	if f.Tag != "" {
		add("r.tags @> ARRAY[$%d::text]", f.Tag)
	}
	if len(f.RequestID) > 0 {
		add("r.request_id = $%d", f.RequestID)
	}
	if f.Status != nil {
		add("r.status = $%d", int32(*f.Status))
	}
	if f.Outcome != 0 {
		add("r.outcome = $%d", int16(f.Outcome))
	}
	for _, m := range f.Where {
		var sql string
		sql, args = matchSQL("r", true, m, args)
		b.WriteString(" AND " + sql)
	}
	if f.MinCost > 0 {
		add("r.cost >= $%d", int64(f.MinCost))
	}
	if f.MinDuration > 0 {
		add("r.duration_us >= $%d", f.MinDuration.Microseconds())
	}
	if f.Unpriced {
		b.WriteString(" AND r.unpriced AND " + notPriced)
	}
	return b.String(), args
}

// withPage adds where a page begins, its order and its end.
func withPage(sql string, args []any, l usage.Listing, limit int) (string, []any) {
	compare, order := "<", " DESC"
	if l.OldestFirst {
		compare, order = ">", ""
	}
	if c := l.After; !c.Ended.IsZero() {
		n := len(args)
		args = append(args, c.Ended, int32(c.Part), c.Inc, int64(c.Seq))
		sql += fmt.Sprintf(" AND (r.ended, r.part, r.inc, r.seq) %s ($%d, $%d, $%d, $%d)", compare, n+1, n+2, n+3, n+4)
	}
	columns := []string{"r.ended", "r.part", "r.inc", "r.seq"}
	for i := range columns {
		columns[i] += order
	}
	return sql + " ORDER BY " + strings.Join(columns, ", ") + fmt.Sprintf(" LIMIT %d", limit), args
}

// scanRecord reads a record as recordColumnsRead has it.
func scanRecord(row pgx.CollectableRow) (usage.Record, error) { return scanRecordAnd(row) }

// scanRecordAnd reads a record and what comes behind it.
func scanRecordAnd(row pgx.CollectableRow, more ...any) (usage.Record, error) {
	e := &eventv1.SpendEvent{}
	r := usage.Record{Event: e}
	var ended time.Time
	var part, attempt, status int32
	var seq int64
	var outcome int16
	var correctsInc, correctsSeq pgtype.Int8
	var draws []int64
	var job string
	var state int16
	err := row.Scan(append([]any{
		&ended, &part, &r.Position.Inc, &seq, &e.CostNanos, &e.ReservedNanos, &e.Units, &e.PriceVersion, &e.DurationUs,
		&correctsInc, &correctsSeq, &attempt, &status, &outcome, &e.Unpriced, &e.RequestId, &r.Edge, &e.KeyId, &e.EndpointId,
		&e.Team, &e.Customer, &e.Model, &e.Tags, &draws, &e.Meter, &e.Counts, &job, &state, &e.Deployment,
	}, more...)...)
	if err != nil {
		return usage.Record{}, err
	}
	r.Position.Part, r.Position.Seq = uint32(part), uint64(seq)
	e.UnixMs, e.Attempt, e.Status, e.Outcome = ended.UnixMilli(), uint32(attempt), uint32(status), eventv1.SpendOutcome(outcome)
	if correctsSeq.Valid {
		r.Corrects = &usage.Position{Part: r.Position.Part, Inc: correctsInc.Int64, Seq: uint64(correctsSeq.Int64)}
	}
	e.Draws = drawsOf(draws)
	if job != "" {
		e.Job = &eventv1.SpendJob{Id: job, State: eventv1.SpendJobState(state)}
	}
	return r, nil
}

// drawsOf reads the numbers of column draws.
func drawsOf(numbers []int64) []*eventv1.SpendDraw {
	if len(numbers) < drawColumns {
		return nil
	}
	draws := make([]*eventv1.SpendDraw, 0, len(numbers)/drawColumns)
	for d := range slices.Chunk(numbers[:len(numbers)/drawColumns*drawColumns], drawColumns) {
		draws = append(draws, &eventv1.SpendDraw{
			Window: &eventv1.AccountWindow{Account: d[0], Gen: uint32(d[1]), Start: d[2]}, Part: uint32(d[3]), Nanos: d[4],
		})
	}
	return draws
}
