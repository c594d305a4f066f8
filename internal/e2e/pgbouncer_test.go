package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/jackc/pgx/v5"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/money"
	"tollgate/internal/testenv/pgbouncer"
)

// throughPooler puts PgBouncer in front of the database and gives the settings by which the roles use it.
func (c *cluster) throughPooler() string {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), c.databaseURL)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	// The tests' server is set up without, and nobody can change it through a pooler.
	if _, err := conn.Exec(c.t.Context(), "ALTER DATABASE "+conn.Config().Database+" SET synchronous_commit = on"); err != nil {
		c.t.Fatal(err)
	}
	c.poolerURL = pgbouncer.Start(c.t, c.databaseURL)
	return fmt.Sprintf("database_url: %q\ndatabase_direct_url: %q", c.poolerURL, c.databaseURL)
}

// Guarantee: with PgBouncer in transaction mode between the services and the database, everything works: endpoints,
// keys, budgets and secrets are made and changed, a change is in force on all edges at once, spend is booked to the
// nano-dollar through a kill of the ledger and of the control plane, and the books agree.
func TestThroughPooler(t *testing.T) {
	t.Parallel()
	c := start(t, withPooler)
	const price = "0.012345678"
	c.endpoint("bria", "/bria", price)
	key := c.key("ci-bot")
	c.budget("plenty", "ci-bot", "1000.00")
	c.awaitLive()
	if n := c.number(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%LISTEN%'`); n == 0 {
		t.Error("nobody listens past the pooler")
	}

	tr := c.steadyTraffic(key, 4)
	tr.awaitMore(t, 100)
	for i := range 5 {
		name := fmt.Sprintf("more-%d", i)
		c.endpoint(name, "/"+name, price, func(e *controlv1.Endpoint) { e.Description = "made meanwhile" })
		c.key(name)
		c.budget(name, name, "1.00")
	}
	c.ledger.kill()
	tr.awaitMore(t, 20)
	c.ledger.start()
	c.control.kill()
	c.control.start()
	c.awaitReady()
	tr.awaitMore(t, 100)
	c.awaitLive()

	// A list, a search and a plan go through many statements each.
	for _, args := range [][]string{{"endpoint", "list"}, {"key", "list"}, {"search", "more"}, {"export"}, {"usage"}, {"audit", "list"}} {
		if stdout, stderr, code := c.cli(args...); code != 0 || stdout == "" {
			t.Errorf("%v exited %d:\n%s%s", args, code, stdout, stderr)
		}
	}
	tr.end()
	c.awaitSpent(money.Nanos(c.vendor.Count()) * nanos(t, price))
	c.must(c.rpc.keys.RevokeKey(t.Context(), &controlv1.RevokeKeyRequest{Key: "ci-bot"}))
	c.awaitLive()
	for edge := range c.edges {
		resp, body, err := c.call(edge, key, "/bria/x")
		if err != nil || resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("a revoked key: %v %s, %v", resp, body, err)
		}
	}
	for _, e := range c.edges {
		e.stop()
	}
	if stdout, stderr, code := c.books("verify"); code != 0 {
		t.Errorf("ledger verify exited %d:\n%s%s", code, stdout, stderr)
	}
}
