package store_test

import (
	"testing"

	"tollgate/ledger/usage"
)

// benchUsage makes what 10,000,000 requests of 30 days leave: 2,000 keys in 100 teams, each of which gets two
// statuses of two models on each day, and of which every second request has a tag. That is 8,000 series and
// 240,000 sums by day of some 42 requests each.
func benchUsage(b *testing.B, s *bench) {
	b.Helper()
	days := func(table, which string) string {
		return `INSERT INTO ledger.` + table + ` SELECT d::date, s.series, n, CASE WHEN s.status = 500 THEN n ELSE 0 END, 0, 0, n * 700, n * 1000003
			FROM generate_series(timestamp '2026-11-01', '2026-11-30', '1 day') d, ledger.usage_series s,
				LATERAL (SELECT CASE WHEN s.status = 500 THEN 4 ELSE 80 END AS n) x WHERE ` + which + ` ORDER BY 1, 2`
	}
	for _, sql := range []string{
		`INSERT INTO ledger.usage_series (part, key_id, endpoint_id, status, team, customer, model, tag)
		 SELECT 0, 'key_' || k, 'ep_' || k % 4, CASE WHEN v < 2 THEN 200 ELSE 500 END, 'team ' || k % 100, 'customer ' || k % 700, 'model ' || v % 2, ''
		 FROM generate_series(1, 2000) k, generate_series(0, 3) v`,
		`INSERT INTO ledger.usage_series (part, key_id, endpoint_id, status, team, customer, model, tag)
		 SELECT 0, s.key_id, s.endpoint_id, s.status, s.team, s.customer, s.model, 'tag ' || s.series % 50 FROM ledger.usage_series s WHERE s.series % 2 = 0`,
		`VACUUM ANALYZE ledger.usage_series`,
		days("usage_day_sums", "s.tag = ''"), days("usage_tag_day_sums", "s.tag <> ''"),
		// A second of bookings that are not folded yet.
		`INSERT INTO ledger.usage_delta SELECT '2026-11-30T12:00:00Z', s.series, 1, 0, 0, 0, 700, 1000003, 0, false FROM ledger.usage_series s WHERE s.tag = '' AND s.series % 3 = 0`,
		`VACUUM ANALYZE ledger.usage_day_sums`, `VACUUM ANALYZE ledger.usage_tag_day_sums`, `VACUUM ANALYZE ledger.usage_delta`,
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
