package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/controlplane/access"
	"tollgate/controlplane/store"
	"tollgate/internal/testenv"
)

// fill stores as many keys, endpoints and teams as are asked for, and a few of all else, without the rules, which are no matter
// of searching.
func fill(tb testing.TB, pool *pgxpool.Pool, keys, endpoints, teams int) {
	tb.Helper()
	for _, sql := range []string{
		fmt.Sprintf(`INSERT INTO control.team (id, name, revision, create_time, description)
			SELECT 'team_' || lpad(i::text, 26, '0'), 'team-' || i, 1, now(), 'people of ' || i FROM generate_series(1, %d) i`, teams),
		fmt.Sprintf(`INSERT INTO control.key (id, name, prefix, sha256, shard, restricted, revision, create_time, suffix, team_id)
			SELECT 'key_' || lpad(i::text, 26, '0'), 'key-' || md5(i::text), 'tgk_x', sha256(i::text::bytea), i %% 1024, false, 1, now(),
				right(md5('s' || i), 4), 'team_' || lpad((i %% %d + 1)::text, 26, '0') FROM generate_series(1, %d) i`, teams, keys),
		fmt.Sprintf(`INSERT INTO control.endpoint (id, name, path, exact, methods, targets, headers, forward, key_header, free, price_nanos, price_version,
				timeout_ms, max_body_bytes, forward_trace_context, revision, create_time, update_time)
			SELECT 'ep_' || lpad(i::text, 26, '0'), 'vendor-' || i, '/vendors/' || i || '/api', false, '{}', '{https://v.example}', '[]', 1, '', true, 0, 1,
				1000, 0, false, 1, now(), now() FROM generate_series(1, %d) i`, endpoints),
		`INSERT INTO control.customer (name, display_name, revision, create_time) VALUES ('Acme:7', 'Acme Corporation', 1, now())`,
		`INSERT INTO control.tag (name, description, revision, create_time) VALUES ('Batch', 'at night', 1, now())`,
		`INSERT INTO control.secret (id, name, envelope, revision, create_time, update_time, reference) VALUES ('sec_00000000000000000000000001', 'bria', 'x', 1, now(), now(), 'env:BRIA')`,
		`INSERT INTO control.person (id, email, name, role, revision, create_time, update_time) VALUES ('usr_00000000000000000000000001', 'ann@example.com', 'Ann Bell', 2, 1, now(), now())`,
		`INSERT INTO control.token (id, name, sha256, suffix, role, creator, revision, create_time) VALUES ('tok_00000000000000000000000001', 'CI', sha256('t'), 'abZ9', 2, 'admin', 1, now())`,
		`INSERT INTO control.model (id, name, settings, revision, create_time, update_time) VALUES ('mdl_00000000000000000000000001', 'Claude-Best', '{}', 1, now(), now())`,
		`INSERT INTO control.model_name (name, model_id) VALUES ('Claude-Best', 'mdl_00000000000000000000000001'), ('opus', 'mdl_00000000000000000000000001')`,
		`INSERT INTO control.adapter (id, name, settings, revision, create_time, update_time) VALUES ('adp_00000000000000000000000001', 'mine', '{"target":{"url":"https://a"}}', 1, now(), now())`,
		`VACUUM ANALYZE control.key`, `VACUUM ANALYZE control.endpoint`,
	} {
		if _, err := pool.Exec(context.Background(), sql); err != nil {
			tb.Fatalf("%s: %v", sql, err)
		}
	}
}

// everywhere is somebody who may see all.
func everywhere() map[string]access.Scope {
	all := map[string]access.Scope{}
	for _, kind := range store.SearchKinds() {
		all[kind] = access.Scope{Everywhere: true}
	}
	return all
}

// Guarantee: everything is found by its identifier or the beginning of it, its name or a part of it, its other names, paths and
// the last four characters of a secret; the best comes first, each thing once, and signs stand for themselves.
func TestSearch(t *testing.T) {
	t.Parallel()
	pool := testenv.Postgres(t, migrate)
	fill(t, pool, 300, 40, 5)
	s := store.New(pool)
	var suffix string
	if err := pool.QueryRow(t.Context(), `SELECT suffix FROM control.key WHERE id = 'key_00000000000000000000000007'`).Scan(&suffix); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `INSERT INTO control.key_old_secret (key_id, sha256, shard, prefix, suffix, create_time, end_time)
		VALUES ('key_00000000000000000000000009', sha256('old'), 1, 'tgk_y', 'oLd9', now(), now())`); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"key_00000000000000000000000042": "key:key_00000000000000000000000042",
		"KEY_0000000000000000000000030":  "key:key_00000000000000000000000300",
		suffix:                           "key:key_00000000000000000000000007",
		"oLd9":                           "key:key_00000000000000000000000009",
		"vendor-7":                       "endpoint:ep_00000000000000000000000007",
		"/vendors/7/":                    "endpoint:ep_00000000000000000000000007",
		"endors/39":                      "endpoint:ep_00000000000000000000000039",
		"team-3":                         "team:team_00000000000000000000000003",
		"Acme:7":                         "customer:Acme:7",
		"acme":                           "customer:Acme:7",
		"corporation":                    "customer:Acme:7",
		"batch":                          "tag:Batch",
		"BRI":                            "secret:sec_00000000000000000000000001",
		"example.com":                    "person:usr_00000000000000000000000001",
		"ann b":                          "person:usr_00000000000000000000000001",
		"ci":                             "token:tok_00000000000000000000000001",
		"abZ9":                           "token:tok_00000000000000000000000001",
		"claude":                         "model:mdl_00000000000000000000000001",
		"Opus":                           "model:mdl_00000000000000000000000001",
		"mine":                           "adapter:adp_00000000000000000000000001",
		"%":                              "",
		"vendor_7":                       "",
		"\x00":                           "",
		" ":                              "",
		`\`:                              "",
	} {
		got, err := s.Search(t.Context(), store.SearchQuery{Text: text, Kinds: everywhere(), Limit: 20})
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		first := ""
		if len(got) > 0 {
			first = got[0].Kind + ":" + got[0].ID
		}
		if first != want {
			t.Errorf("%q: first %q, want %q", text, first, want)
		}
		seen := map[string]bool{}
		for _, f := range got {
			if seen[f.Kind+f.ID] {
				t.Errorf("%q: %s twice", text, f.ID)
			}
			seen[f.Kind+f.ID] = true
		}
	}
	got, err := s.Search(t.Context(), store.SearchQuery{Text: "vendor-1", Kinds: everywhere(), Limit: 3})
	if err != nil || len(got) != 3 || got[0].Name != "vendor-1" || got[0].Detail != "/vendors/1/api → https://v.example" {
		t.Errorf("%v, %v", got, err)
	}
}

// Guarantee: whoever sees a team finds what belongs to it and nothing else; whoever sees no kind finds nothing.
func TestSearchWithinTeams(t *testing.T) {
	t.Parallel()
	pool := testenv.Postgres(t, migrate)
	fill(t, pool, 50, 5, 5)
	s := store.New(pool)
	mine := access.Scope{Teams: []string{"team_00000000000000000000000002"}}
	kinds := everywhere()
	for kind := range kinds {
		kinds[kind] = mine
	}
	for text, want := range map[string]int{"key-": 10, "ey-": 10, "key_0": 10, "team": 1, "vendor": 0, "bria": 0, "key_00000000000000000000000007": 0, "key_00000000000000000000000006": 1} {
		got, err := s.Search(t.Context(), store.SearchQuery{Text: text, Kinds: kinds, Limit: 100})
		if err != nil || len(got) != want {
			t.Errorf("%s: %d found, want %d: %v, %v", text, len(got), want, got, err)
		}
	}
	if got, err := s.Search(t.Context(), store.SearchQuery{Text: "key", Kinds: nil, Limit: 100}); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

var searched = sync.OnceValue(func() []string {
	return []string{"key_0000000000000000000009", "key-3f", "f00d", "vendor-77", "/vendors/500", "9f4c", "nothing-like-it", "a1b2", "team-12", "example"}
})

// BenchmarkSearch prints how long searches take of the size that a large deployment has.
func BenchmarkSearch(b *testing.B) {
	pool := testenv.Postgres(b, migrate)
	fill(b, pool, 100_000, 1_000, 200)
	s := store.New(pool)
	for _, text := range searched() {
		b.Run(text, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if _, err := s.Search(context.Background(), store.SearchQuery{Text: text, Kinds: everywhere(), Limit: 20}); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms/p99")
		})
	}
}
