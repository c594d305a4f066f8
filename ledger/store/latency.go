package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/ledger/usage"
)

// latencyBlocks is how many blocks of records a question about latency reads at most, more or less: 64 MB, which are about a quarter of a
// million records. Of more it reads some, chosen at random.
const latencyBlocks = 8192

// A day's records are in one partition, in about the order in which they ended.
const selectSizes = `
	SELECT c.relname::text, pg_relation_size(c.oid) / current_setting('block_size')::bigint
	FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid WHERE h.inhparent = 'ledger.request'::regclass`

// Latency reads how long attempts took. Those under which an edge died are left out: nobody knows how long they took.
func (s *Store) Latency(ctx context.Context, q usage.LatencyQuery) (usage.Latencies, error) {
	out, err := s.latency(ctx, q)
	if err != nil {
		return usage.Latencies{}, translate(fmt.Errorf("query latency: %w", err))
	}
	return out, nil
}

func (s *Store) latency(ctx context.Context, q usage.LatencyQuery) (out usage.Latencies, err error) {
	starts, err := q.Starts()
	if err != nil {
		return out, err
	}
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, forSums); err != nil {
			return err
		}
		if out.Share, err = latencyShare(ctx, tx, q.From, q.To); err != nil {
			return err
		}
		sql, args := latencyQuery(q, starts, out.Share)
		rows, err := tx.Query(ctx, sql, args...) //nolint:rowserrcheck // ForEachRow does
		if err != nil {
			return err
		}
		var bucket *int32
		var l usage.Latency
		var at []int64
		_, err = pgx.ForEachRow(rows, []any{&bucket, &l.Attempts, &at}, func() error {
			one := usage.Latency{Attempts: l.Attempts}
			if len(at) == 3 {
				one.P50, one.P95, one.P99 = at[0], at[1], at[2]
			}
			if bucket == nil {
				out.Total = one
				return nil
			}
			one.Start = starts[*bucket-1]
			out.Buckets = append(out.Buckets, one)
			return nil
		})
		return err
	})
	return out, err
}

// latencyShare is how many of the records to look at.
func latencyShare(ctx context.Context, tx pgx.Tx, from, to time.Time) (int32, error) {
	rows, err := tx.Query(ctx, selectSizes) //nolint:rowserrcheck // ForEachRow does
	if err != nil {
		return 0, err
	}
	var name string
	var size int64
	var blocks int64
	_, err = pgx.ForEachRow(rows, []any{&name, &size}, func() error {
		began, ok := dayOf(name)
		if !ok {
			blocks += size
			return nil
		}
		if covered := earlier(to, began.Add(day)).Sub(later(from, began)); covered > 0 {
			blocks += size * int64(covered/time.Second) / int64(day/time.Second)
		}
		return nil
	})
	return int32(max(1, min(usage.All, usage.All*latencyBlocks/max(blocks, 1)))), err
}

func latencyQuery(q usage.LatencyQuery, starts []time.Time, share int32) (string, []any) {
	args := []any{q.From, q.To, starts}
	sample := ""
	if share < usage.All {
		args = append(args, share)
		sample = fmt.Sprintf(" TABLESAMPLE SYSTEM ($%d::int / 100.0)", len(args))
	}
	where := []string{"r.ended >= $1", "r.ended < $2", "r.corrects_seq IS NULL", "r.outcome NOT IN (6, 10)"}
	for _, m := range q.Where {
		var sql string
		sql, args = matchSQL("r", true, m, args)
		where = append(where, sql)
	}
	return `SELECT width_bucket(r.ended, $3::timestamptz[]) AS bucket, count(*),
			percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY r.duration_us)
		FROM ledger.request r` + sample + ` WHERE ` + strings.Join(where, " AND ") + `
		GROUP BY GROUPING SETS ((1), ()) ORDER BY 1`, args
}
