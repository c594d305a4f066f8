package store_test

import (
	"context"
	"os"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	"tollgate/internal/money"
	"tollgate/internal/period"
	"tollgate/internal/pg"
	"tollgate/internal/testenv"
)

// migrateFirst leaves a database as the first version had it.
func migrateFirst(ctx context.Context, url string) error {
	first, err := os.ReadFile("migrations/00001_base.sql")
	if err != nil {
		return err
	}
	return pg.Migrate(ctx, url, fstest.MapFS{"00001_base.sql": {Data: first}}, store.Schema, nil)
}

// Guarantee: a configuration of the first version comes through the migrations as it was: budgets are
// hard and have no raise, keys belong to nobody, prices stay, endpoints ask for keys, fail over and send
// what they sent, and what two budgets of a scope may not share they still may not.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	pool, ctx := testenv.Postgres(t, migrateFirst), t.Context()
	for _, sql := range []string{
		`UPDATE control.revision SET n = 4`,
		`INSERT INTO control.endpoint VALUES ('ep_1', 'bria', '/bria', false, '{POST}', '{https://x.example.com,https://y.example.com}', '[{"name": "a", "value": "os.environ/A"}]', 1, '', false, 12, 1, 1000, 0, false, 1, now(), now())`,
		`INSERT INTO control.key VALUES ('key_1', 'ci-bot', 'tgk_', sha256('x'), 7, false, NULL, NULL, 2, now())`,
		`INSERT INTO control.budget (id, name, key_id, amount_nanos, period, time_zone, gen, revision, create_time, update_time)
			VALUES ('bud_1', 'ci', 'key_1', 5, 5, 'UTC', 0, 3, now(), now()), ('bud_2', 'all', NULL, 6, 1, 'UTC', 0, 4, now(), now())`,
	} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Migrate(ctx, pool.Config().ConnString(), nil); err != nil {
		t.Fatal(err)
	}
	s := store.New(pool)
	if err := s.CheckSchema(ctx); err != nil {
		t.Fatal(err)
	}
	e, err := s.Endpoint(ctx, "bria")
	same := registry.Endpoint{
		ID: "ep_1", Name: "bria", Path: "/bria", Methods: []string{"POST"}, Targets: []registry.Target{{URL: "https://x.example.com"}, {URL: "https://y.example.com"}},
		Balance: registry.BalanceFailover, CredentialBalance: registry.BalanceFailover, Host: registry.Host{Kind: registry.HostTarget},
		Headers: []registry.Header{{Name: "a", Value: "os.environ/A", Mode: registry.ModeSet}}, Query: []registry.Query{}, Credentials: []registry.Credential{},
		Forward: registry.ForwardSafeList, Price: registry.Price{PerRequest: 12}, PriceVersion: 1, Abandoned: registry.AbandonedReserved,
		Timeout: time.Second, Revision: 1, Created: e.Created, Updated: e.Updated,
	}
	if diff := cmp.Diff(same, e); diff != "" || err != nil {
		t.Errorf("endpoint, %v (-want +got):\n%s", err, diff)
	}
	k, err := s.Key(ctx, store.Anywhere, "ci-bot")
	if err != nil || k.Team != "" || k.Customer != "" || len(k.Tags) != 0 || len(k.Models) != 0 {
		t.Errorf("key %+v, %v", k, err)
	}
	b, err := s.Budget(ctx, access.Scope{Everywhere: true}, "ci")
	want := registry.Budget{
		ID: "bud_1", Name: "ci", Scoped: registry.Scoped{Scope: registry.ScopeKey, ScopeID: "key_1", ScopeName: "ci-bot"}, Amount: 5,
		Period: period.Month, Zone: "UTC", Warn: []uint32{}, AccountID: 1, Revision: 3, Created: b.Created, Updated: b.Updated,
	}
	if diff := cmp.Diff(want, b); diff != "" || err != nil {
		t.Errorf("budget, %v (-want +got):\n%s", err, diff)
	}
	for _, sql := range []string{
		`INSERT INTO control.budget (id, name, key_id, amount_nanos, period, time_zone, gen, revision, create_time, update_time)
			VALUES ('bud_3', 'b3', 'key_1', 5, 5, 'UTC', 0, 3, now(), now())`,
		`UPDATE control.budget SET team_id = NULL, customer = 'a' WHERE id = 'bud_1'`,
		`UPDATE control.budget SET days = 7 WHERE id = 'bud_1'`,
		`UPDATE control.budget SET overdraft_nanos = 1`,
		`UPDATE control.budget SET raise_nanos = 1`,
		`UPDATE control.endpoint SET usage = '{}'`,
		`UPDATE control.endpoint SET host = 3`,
		`UPDATE control.endpoint SET public = '5'`,
		`UPDATE control.endpoint SET balance = 4`,
		`UPDATE control.endpoint SET price = '5'`,
		`UPDATE control.endpoint SET models = '[]'`,
		`UPDATE control.endpoint SET models = '{}'`,
		`UPDATE control.endpoint SET targets = '{}'`,
		`INSERT INTO control.model VALUES ('mdl_1', 'm', '[]', 1, now(), now())`,
		`INSERT INTO control.model_name VALUES ('m', 'mdl_1')`,
		`UPDATE control.endpoint SET aws_signing = '[]'`,
		`UPDATE control.endpoint SET free = true, price_nanos = 0, price = '{}'`,
		`INSERT INTO control.traffic_limit (id, name, owner_id, kind, amount, burst, fallback, revision, create_time, update_time)
			VALUES ('lim_1', 'l', 'ep_1', 1, 1, 0, 1, 1, now(), now())`,
	} {
		if _, err := pool.Exec(ctx, sql); err == nil {
			t.Errorf("the schema allows %s", sql)
		}
	}
	e.Public = &registry.Public{RequestsPerMinute: 60}
	if e, err = s.UpdateEndpoint(ctx, "test", e, "", nil); err != nil || e.Headers[0].Value != "${env:A}" {
		t.Errorf("made public: %+v, %v", e, err)
	}
	if l, err := s.Limit(ctx, access.Scope{Everywhere: true}, "public-bria"); err != nil || l.Owner != "ep_1" || l.Amount != 60 {
		t.Errorf("its limit: %+v, %v", l, err)
	}
	if _, err := s.CreateBudget(ctx, "test", access.Scope{Everywhere: true}, registry.Budget{
		Name: "c", Scoped: registry.Scoped{Scope: registry.ScopeCustomer, ScopeName: "acme"}, Amount: money.Dollar, Period: period.Month,
	}, nil); err != nil {
		t.Errorf("a budget of a new kind: %v", err)
	}
}
