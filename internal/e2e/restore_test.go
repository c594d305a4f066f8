package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
)

// backup is a copy of the cluster's database as it is now. It can be brought back once.
type backup struct {
	c          *cluster
	name, copy string
}

// admin runs statements on the server, beside the database.
func (b *backup) admin(statements ...string) {
	b.c.t.Helper()
	cfg, err := pgx.ParseConfig(b.c.databaseURL)
	if err != nil {
		b.c.t.Fatal(err)
	}
	cfg.Database = "postgres"
	conn, err := pgx.ConnectConfig(b.c.t.Context(), cfg)
	if err != nil {
		b.c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(b.c.t.Context()) }()
	for _, sql := range statements {
		// A session that was ended may take a moment to be gone.
		testenv.Eventually(b.c.t, eventually, func() error {
			_, err := conn.Exec(b.c.t.Context(), sql)
			return err
		})
	}
}

// away ends all sessions of the database and lets no new one in.
func (b *backup) away() []string {
	return []string{
		"ALTER DATABASE " + b.name + " WITH ALLOW_CONNECTIONS false",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + b.name + "'",
	}
}

// backUp copies the database. For the roles it is away meanwhile.
func (c *cluster) backUp() *backup {
	c.t.Helper()
	cfg, err := pgx.ParseConfig(c.databaseURL)
	if err != nil {
		c.t.Fatal(err)
	}
	b := &backup{c, cfg.Database, cfg.Database + "_older"}
	b.admin(append(b.away(), "CREATE DATABASE "+b.copy+" TEMPLATE "+b.name, "ALTER DATABASE "+b.name+" WITH ALLOW_CONNECTIONS true")...)
	return b
}

// restore puts the copy in the place of the database.
func (b *backup) restore() {
	b.c.t.Helper()
	b.admin(append(b.away(), "DROP DATABASE "+b.name, "ALTER DATABASE "+b.copy+" RENAME TO "+b.name)...)
}

// Guarantee: when the database is replaced by an older copy of itself, the ledger notices from what the
// edges remember, begins a new history, and the edges send again what the copy lacks, also where
// nats-server has lost it: the books equal what the vendor counted, no budget is overspent, and its rest
// can be spent to the last request.
func TestOlderDatabaseCatchesUp(t *testing.T) {
	t.Parallel()
	c := start(t, withPartitions(2), withLeaseAhead(5))
	const price, requests = 10_000_000 * money.Nanos(1), 600
	c.endpoint("bria", "/bria", price.String())
	key := c.key("ci-bot")
	c.budget("exact", "ci-bot", (requests*price + price/2).String())
	c.budget("all", "ci-bot", "1000.00", func(b *controlv1.Budget) { b.Scope = &controlv1.Budget_Everything{Everything: true} })
	c.awaitLive()

	owed := func() money.Nanos { return money.Nanos(c.vendor.Count()) * price }
	tr := c.steadyTraffic(key, 3)
	tr.awaitMore(t, 50)
	b := c.backUp()
	tr.awaitMore(t, 50)
	tr.end()
	c.awaitSpent(owed())

	// What was booked since is in no database and in no stream any more.
	for _, p := range []*process{c.ledger, c.control, c.nats} {
		p.kill()
	}
	if err := os.RemoveAll(c.natsDir()); err != nil {
		t.Fatal(err)
	}
	b.restore()
	c.nats.start()
	c.control.start()
	c.ledger.start()
	c.awaitReady()
	c.awaitLive()
	c.awaitSpent(owed())
	if n := c.number(`SELECT max(history) FROM ledger.ledger_part`); n < 2 {
		t.Errorf("the history is %d", n)
	}
	if n := c.number(`SELECT count(*) FROM ledger.anomaly WHERE kind = 'database_restored'`); n == 0 {
		t.Error("no note says that the database was restored")
	}

	testenv.Eventually(t, eventually, func() error {
		for {
			switch resp, body, err := c.call(0, key, "/bria/x"); {
			case err != nil:
				return err
			case resp.StatusCode == http.StatusOK:
			case c.vendor.Count() == requests && errorCode(body) == "budget_exhausted":
				return nil
			default:
				return fmt.Errorf("%s %s after %d of %d requests", resp.Status, body, c.vendor.Count(), requests)
			}
		}
	})
	c.awaitSpent(requests * price)
	for _, e := range c.edges {
		e.stop()
	}
	if stdout, stderr, code := c.books("verify"); code != 0 {
		t.Errorf("ledger verify exited %d:\n%s%s", code, stdout, stderr)
	}
}
