package store_test

import (
	"testing"

	"tollgate/ledger/usage"
)

// benchUsage makes what 10,000,000 requests of 30 days leave: 5,000 keys in 100 teams that call four
// endpoints with three models, of which one request in ten fails and every second has a tag. That is 30,000
// series and 900,000 sums by day.
func benchUsage(b *testing.B, s *bench) {
	b.Helper()
	for _, sql := range []string{
		`INSERT INTO ledger.usage_series (part, key_id, endpoint_id, status, team, customer, model, tag)
		 SELECT 0, 'key_' || k, 'ep_' || k % 4, CASE WHEN v < 3 THEN 200 ELSE 500 END, 'team ' || k % 100, 'customer ' || k % 700, 'model ' || v % 3, ''
		 FROM generate_series(1, 5000) k, generate_series(0, 5) v`,
		`INSERT INTO ledger.usage_series (part, key_id, endpoint_id, status, team, customer, model, tag)
		 SELECT 0, s.key_id, s.endpoint_id, s.status, s.team, s.customer, s.model, 'tag ' || s.series % 50 FROM ledger.usage_series s WHERE s.series % 2 = 0`,
		`VACUUM ANALYZE ledger.usage_series`,
		`INSERT INTO ledger.usage_day_sums SELECT d::date, s.series, n, CASE WHEN s.status = 500 THEN n ELSE 0 END, 0, 0, n * 700, n * 1000003
		 FROM generate_series(timestamp '2026-11-01', '2026-11-30', '1 day') d, ledger.usage_series s, LATERAL (SELECT CASE WHEN s.status = 500 THEN 2 ELSE 20 END AS n) x
		 WHERE s.tag = '' ORDER BY 1, 2`,
		`VACUUM ANALYZE ledger.usage_day_sums`,
		`INSERT INTO ledger.usage_tag_day_sums SELECT u.day, t.series, u.requests, u.failed, u.abandoned, u.unpriced, u.units, u.cost_nanos
		 FROM ledger.usage_day_sums u JOIN ledger.usage_series s USING (series)
		 JOIN ledger.usage_series t ON t.tag <> '' AND (t.key_id, t.endpoint_id, t.status, t.team, t.customer, t.model) = (s.key_id, s.endpoint_id, s.status, s.team, s.customer, s.model)
		 ORDER BY 1, 2`,
		// A second of bookings that are not folded yet.
		`INSERT INTO ledger.usage_delta SELECT '2026-11-30T12:00:00Z', s.series, 1, 0, 0, 0, 700, 1000003, 0, false FROM ledger.usage_series s WHERE s.tag = '' AND s.series % 3 = 0`,
		`VACUUM ANALYZE ledger.usage_tag_day_sums`, `VACUUM ANALYZE ledger.usage_delta`,
	} {
		if _, err := s.pool.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
}

// One operation is one question about 30 days.
func BenchmarkUsage(b *testing.B) {
	s := setup(b)
	benchUsage(b, s)
	for _, c := range []struct {
		name string
		q    usage.Query
	}{
		{"team", usage.Query{GroupBy: []usage.Dimension{usage.ByTeam}}},
		{"team-day", usage.Query{GroupBy: []usage.Dimension{usage.ByTeam, usage.ByDay}}},
		{"key", usage.Query{GroupBy: []usage.Dimension{usage.ByKey}}},
		{"tag", usage.Query{GroupBy: []usage.Dimension{usage.ByTag}}},
		{"one-team-by-day", usage.Query{GroupBy: []usage.Dimension{usage.ByDay}, Team: "team 7"}},
		{"one-key-by-day", usage.Query{GroupBy: []usage.Dimension{usage.ByDay}, KeyID: "key_77"}},
		{"total", usage.Query{}},
	} {
		b.Run(c.name, func(b *testing.B) {
			c.q.From, c.q.To = "2026-11-01", "2026-11-30"
			for b.Loop() {
				rows, err := s.db.Usage(b.Context(), c.q)
				if err != nil || len(rows) == 0 {
					b.Fatal(len(rows), err)
				}
			}
		})
	}
}
