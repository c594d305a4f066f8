package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/ledger/usage"
)

// selectRecent adds up hours for several scopes: those of each dimension are joined by themselves, so that each join is one by equality.
const selectRecent = `
	WITH asked AS (
		SELECT a.n, a.kind, a.value, a.since FROM unnest($1::int[], $2::text[], $3::timestamptz[]) WITH ORDINALITY AS a (kind, value, since, n)
	), wanted AS (
		SELECT a.n, a.since, s.series FROM asked a JOIN ledger.usage_series s ON s.key_id = a.value COLLATE "C" WHERE a.kind = 1 AND s.tag = ''
		UNION ALL SELECT a.n, a.since, s.series FROM asked a JOIN ledger.usage_series s ON s.endpoint_id = a.value COLLATE "C" WHERE a.kind = 2 AND s.tag = ''
		UNION ALL SELECT a.n, a.since, s.series FROM asked a JOIN ledger.usage_series s ON s.team = a.value COLLATE "C" WHERE a.kind = 4 AND s.tag = ''
		UNION ALL SELECT a.n, a.since, s.series FROM asked a JOIN ledger.usage_series s ON s.customer = a.value COLLATE "C" WHERE a.kind = 5 AND s.tag = ''
		UNION ALL SELECT a.n, a.since, s.series FROM asked a CROSS JOIN ledger.usage_series s WHERE a.kind = 0 AND s.tag = ''
		UNION ALL SELECT a.n, a.since, s.series FROM asked a JOIN ledger.usage_series s ON s.tag = a.value COLLATE "C" WHERE a.kind = 6 AND s.tag <> ''
	), hours AS (
		SELECT u.hour, u.series, u.requests, u.cost_nanos FROM ledger.usage_by_hour u WHERE u.hour >= $4
		UNION ALL SELECT u.hour, u.series, u.requests, u.cost_nanos FROM ledger.usage_tag_by_hour u WHERE u.hour >= $4
	)
	SELECT w.n,
		least(coalesce(sum(u.cost_nanos) FILTER (WHERE u.hour >= $5), 0), 9223372036854775807)::bigint,
		least(coalesce(sum(u.cost_nanos) FILTER (WHERE u.hour >= w.since), 0), 9223372036854775807)::bigint,
		least(sum(u.requests), 9223372036854775807)::bigint, min(u.hour)
	FROM wanted w JOIN hours u ON u.series = w.series
	GROUP BY w.n`

// RecentUsage adds up hours for each of scopes.
func (s *Store) RecentUsage(ctx context.Context, scopes []usage.Scope, week, day time.Time) ([]usage.Recent, error) {
	kinds, values, since := make([]int32, len(scopes)), make([]string, len(scopes)), make([]time.Time, len(scopes))
	for i := range scopes {
		kinds[i], values[i], since[i] = int32(scopes[i].By), scopes[i].Value, scopes[i].Since
	}
	out := make([]usage.Recent, len(scopes))
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL jit = off`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, selectRecent, kinds, values, since, week, day) //nolint:rowserrcheck // ForEachRow does
		if err != nil {
			return err
		}
		var n int64
		var r usage.Recent
		_, err = pgx.ForEachRow(rows, []any{&n, &r.Day, &r.Week, &r.Requests, &r.First}, func() error {
			r.First = r.First.UTC()
			out[n-1] = r
			return nil
		})
		return err
	})
	if err != nil {
		return nil, translate(fmt.Errorf("query recent usage: %w", err))
	}
	return out, nil
}
