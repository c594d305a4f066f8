package store_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"tollgate/controlplane/store"
	"tollgate/internal/testenv"
)

const manyKeys = `
	INSERT INTO control.key (id, name, prefix, sha256, shard, restricted, expire_time, revision, create_time, team_id, customer, tags, suffix)
	SELECT 'key_' || lpad(i::text, 26, '0'), 'service-' || i, 'tgk_abcd', sha256(i::text::bytea), i % 1024, false,
		CASE WHEN i % 10 = 0 THEN now() + make_interval(hours => i % 5000) END, 1, now() - make_interval(secs => i * 7919 % 100000),
		(SELECT t.id FROM control.team t WHERE t.name = 'team-' || i % 200), CASE WHEN i % 3 = 0 THEN 'customer-' || i % 1000 ELSE '' END,
		CASE WHEN i % 7 = 0 THEN ARRAY['batch'] ELSE '{}' END, lpad(to_hex(i % 65536), 4, '0')
	FROM generate_series(1, 100000) AS i`

// BenchmarkListKeys asks for the first page of 100,000 keys in 200 teams, in each order and by each filter that people use.
func BenchmarkListKeys(b *testing.B) {
	pool := testenv.Postgres(b, migrate)
	s, ctx := store.New(pool), context.Background()
	for _, sql := range []string{
		`INSERT INTO control.team (id, name, revision, create_time) SELECT 'team_' || lpad(i::text, 26, '0'), 'team-' || i, 1, now() FROM generate_series(0, 199) AS i`,
		manyKeys, `VACUUM ANALYZE control.key`, `ANALYZE`,
	} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			b.Fatal(err)
		}
	}
	for name, q := range map[string]store.ListQuery{
		"by name": {}, "newest": {OrderBy: "-create_time"}, "next to expire": {OrderBy: "expire_time"},
		"word": {Filter: "service-9999"}, "no such word": {Filter: "nobody"}, "last four": {Filter: "last4:00ff"}, "team": {Filter: "team:team-77"},
		"expiring": {Filter: "status:expiring"}, "revoked": {Filter: "status:revoked"}, "customer": {Filter: "customer:customer-42"}, "tag": {Filter: "tag:batch"},
		"not managed": {Filter: "managed:no -team:team-1", OrderBy: "-name"},
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if _, _, err := s.Keys(ctx, store.Anywhere, q); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
		})
	}
	b.Run("teams", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := s.Teams(ctx, store.Anywhere, store.ListQuery{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
