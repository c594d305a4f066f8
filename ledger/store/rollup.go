package store

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/pg"
	"tollgate/ledger/usage"
)

// added is usage that a transaction adds: rows of usage_delta, and what to remember once it is committed.
type added struct {
	rows   []delta
	series map[seriesKey]int64
}

type delta struct {
	hour   int64
	series int64
	tagged bool
	counts usage.Counts
}

// seriesOf finds the numbers of the series that sums are of, and makes those that are new.
func (t *turn) seriesOf(ctx context.Context, sums usage.Sums) (added, error) {
	known := t.l.series
	a := added{rows: make([]delta, 0, len(sums)), series: map[seriesKey]int64{}}
	var asked []usage.Series // that this leader does not know
	var wait []int           // rows that need to know each
	for at, c := range sums {
		id, ok := known.get(known.key(at.Series))
		if !ok {
			asked, wait = append(asked, at.Series), append(wait, len(a.rows))
		}
		a.rows = append(a.rows, delta{at.Hour, id, at.Series.Tag != "", c})
	}
	for _, add := range [...]bool{false, true} {
		if len(asked) == 0 {
			break
		}
		found, err := t.askSeries(ctx, asked, add)
		if err != nil {
			return added{}, err
		}
		left := 0
		for i, s := range asked {
			if id := found[i]; id > 0 {
				a.rows[wait[i]].series = id
				a.series[known.key(s)] = id
				continue
			}
			asked[left], wait[left] = s, wait[i]
			left++
		}
		asked, wait = asked[:left], wait[:left]
	}
	if len(asked) > 0 {
		return added{}, fmt.Errorf("%d series are neither there nor new", len(asked))
	}
	return a, nil
}

const namedSeries = `unnest($2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::text[])
		WITH ORDINALITY AS n (key_id, endpoint_id, status, team, customer, model, tag, i)`

const selectSeries = `
	SELECT n.i, s.series FROM ` + namedSeries + `
	JOIN ledger.usage_series s ON s.part = $1 AND s.key_id = n.key_id AND s.endpoint_id = n.endpoint_id AND s.status = n.status
		AND s.team = n.team AND s.customer = n.customer AND s.model = n.model AND s.tag = n.tag`

// One hour may repeat the series of another.
const addSeries = `
	INSERT INTO ledger.usage_series (part, key_id, endpoint_id, status, team, customer, model, tag)
	SELECT DISTINCT $1::int, n.key_id, n.endpoint_id, n.status, n.team, n.customer, n.model, n.tag FROM ` + namedSeries

// askSeries reads the numbers of series, and adds them before if that is what is to be done. 0 is none.
func (t *turn) askSeries(ctx context.Context, list []usage.Series, add bool) ([]int64, error) {
	var text [6][]string
	status := make([]int32, len(list))
	for k := range text {
		text[k] = make([]string, len(list))
	}
	for i, s := range list {
		status[i] = int32(s.Status)
		for k, v := range [...]string{s.KeyID, s.EndpointID, s.Team, s.Customer, s.Model, s.Tag} {
			text[k][i] = v
		}
	}
	args := []any{int32(t.l.part), text[0], text[1], status, text[2], text[3], text[4], text[5]}
	found := make([]int64, len(list))
	b := &pgx.Batch{}
	if add {
		b.Queue(addSeries, args...)
	}
	queue(b, selectSeries, args, func(row pgx.CollectableRow) error {
		var i, id int64
		err := row.Scan(&i, &id)
		found[i-1] = id
		return err
	})
	return found, t.send(ctx, b)
}

const copySums = `COPY ledger.usage_delta (hour, series, requests, failed, abandoned, unpriced, units, cost_nanos, part, tagged)
	FROM STDIN (FORMAT binary)`

const sumColumns = 10

// addSums advances usage by what a transaction books.
func (t *turn) addSums(ctx context.Context, sums usage.Sums) (map[seriesKey]int64, error) {
	if len(sums) == 0 {
		return nil, nil
	}
	a, err := t.seriesOf(ctx, sums)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(a.rows, func(a, b delta) int { return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.series, b.series)) })
	w := t.l.rowWriter()
	for _, d := range a.rows {
		w = binary.BigEndian.AppendUint16(w, sumColumns)
		w.int64((d.hour*3600_000 - epoch2000) * 1000)
		w.int64(d.series)
		for _, v := range [...]int64{d.counts.Requests, d.counts.Failed, d.counts.Abandoned, d.counts.Unpriced, d.counts.Units, int64(d.counts.Cost)} {
			w.int64(v)
		}
		w.int32(int32(t.l.part))
		w.bool(d.tagged)
	}
	return a.series, t.copy(ctx, copySums, w, len(a.rows))
}

// seriesKey stands for a series: two hashes of it, which nobody can aim at because their seeds are random.
type seriesKey [2]uint64

// seriesMemory remembers the numbers of the series that were used last, more or less. It is what spares a
// flush asking for them, and holds so many at most.
type seriesMemory struct {
	seeds    [2]maphash.Seed
	now, old map[seriesKey]int64
}

// maxSeries takes some ten megabytes.
const maxSeries = 1 << 18

func newSeriesMemory() *seriesMemory {
	return &seriesMemory{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, now: map[seriesKey]int64{}}
}

func (m *seriesMemory) key(s usage.Series) seriesKey {
	return seriesKey{maphash.Comparable(m.seeds[0], s), maphash.Comparable(m.seeds[1], s)}
}

func (m *seriesMemory) get(k seriesKey) (int64, bool) {
	if id, ok := m.now[k]; ok {
		return id, true
	}
	id, ok := m.old[k]
	if ok {
		m.put(k, id)
	}
	return id, ok
}

func (m *seriesMemory) put(k seriesKey, id int64) {
	if len(m.now) >= maxSeries/2 {
		m.now, m.old = map[seriesKey]int64{}, m.now
	}
	m.now[k] = id
}

// remember notes the numbers of series that are committed.
func (m *seriesMemory) remember(series map[seriesKey]int64) {
	for k, id := range series {
		m.put(k, id)
	}
}

// fold adds what usage_delta has of a partition to a table, in the order of its index. Sums stop at the
// largest number instead of failing.
func fold(table, column, at, tagged string) string {
	return `
	INSERT INTO ledger.` + table + ` AS u (` + column + `, series, requests, failed, abandoned, unpriced, units, cost_nanos)
	SELECT ` + at + `, d.series, sum(d.requests), sum(d.failed), sum(d.abandoned), sum(d.unpriced),
		least(sum(d.units), 9223372036854775807), least(sum(d.cost_nanos), 9223372036854775807)
	FROM ledger.usage_delta d WHERE d.part = $1 AND ` + tagged + `
	GROUP BY 1, 2 ORDER BY 1, 2
	ON CONFLICT (` + column + `, series) DO UPDATE SET
		requests = u.requests + excluded.requests, failed = u.failed + excluded.failed,
		abandoned = u.abandoned + excluded.abandoned, unpriced = u.unpriced + excluded.unpriced,
		units = least(u.units::numeric + excluded.units, 9223372036854775807)::bigint,
		cost_nanos = least(u.cost_nanos::numeric + excluded.cost_nanos, 9223372036854775807)::bigint`
}

const utcDay = `(d.hour AT TIME ZONE 'UTC')::date`

var folds = [...]string{
	fold("usage_hour_sums", "hour", "d.hour", "NOT d.tagged"),
	fold("usage_day_sums", "day", utcDay, "NOT d.tagged"),
	fold("usage_tag_hour_sums", "hour", "d.hour", "d.tagged"),
	fold("usage_tag_day_sums", "day", utcDay, "d.tagged"),
	`DELETE FROM ledger.usage_delta d WHERE d.part = $1`,
}

// Fold brings what was added to the usage of a partition into one row for each series and time. It runs
// beside the leader and changes no answer. What one fold reads is fixed when it begins, so it takes away
// exactly what it has added; of two at a time one begins again.
func (s *Store) Fold(ctx context.Context, part uint32) error {
	err := pg.InTxWith(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL jit = off`); err != nil { // compiling these takes longer than running them
			return err
		}
		b := &pgx.Batch{}
		for _, sql := range folds {
			b.Queue(sql, int32(part))
		}
		return send(ctx, tx, b)
	})
	if err != nil {
		return fmt.Errorf("fold usage of partition %d: %w", part, err)
	}
	return nil
}
