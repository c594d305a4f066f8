package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/devpg"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
)

// addStandby makes a copy of the database's server that follows it synchronously, and has the roles know both. The copy is
// made of files at rest, so that no program beyond the server itself is needed.
func (c *cluster) addStandby() {
	c.t.Helper()
	c.on(c.pg, `ALTER SYSTEM SET synchronous_standby_names = '*'`)
	primary, port := c.pg.Dir(), freePort(c.t)
	link := fmt.Sprintf("host=127.0.0.1 port=%d user=tollgate password=%s application_name=standby", c.pgPort, c.password())
	c.succeed(c.pg.Stop())

	// Started once, because the server may have to keep its data elsewhere than where it is asked to.
	o := devpg.Options{Dir: filepath.Join(c.dir, "standby"), Port: port}
	first, err := devpg.Start(c.t.Context(), o)
	c.succeed(err)
	dir := first.Dir()
	c.succeed(first.Stop())
	c.succeed(os.RemoveAll(filepath.Join(dir, "data")))
	for _, name := range []string{"data", "password"} {
		if out, err := exec.CommandContext(c.t.Context(), "cp", "-a", filepath.Join(primary, name), dir).CombinedOutput(); err != nil {
			c.t.Fatalf("copy: %v\n%s", err, out)
		}
	}
	signal := filepath.Join(dir, "data", "standby.signal")
	c.succeed(os.WriteFile(signal, nil, 0o600))
	c.succeed(os.Chmod(signal, 0o666)) // the server's account is another, and its folder is closed to others
	conf, err := os.OpenFile(filepath.Join(dir, "data", "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	c.succeed(err)
	_, err = fmt.Fprintf(conf, "primary_conninfo = '%s'\nsynchronous_standby_names = ''\n", link)
	c.succeed(err)
	c.succeed(conf.Close())

	c.startPostgres()
	c.standby, err = devpg.Start(c.t.Context(), o)
	c.succeed(err)
	c.t.Cleanup(func() { _ = c.standby.Stop() })
	testenv.Eventually(c.t, eventually, func() error {
		if n := c.number(`SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'`); n != 1 {
			return errStillThere
		}
		return nil
	})
	one := "127.0.0.1:" + strconv.Itoa(c.pgPort)
	c.databaseURL = strings.Replace(c.databaseURL, one, one+",127.0.0.1:"+strconv.Itoa(port), 1) + "&target_session_attrs=read-write"
}

// password is the database's.
func (c *cluster) password() string {
	c.t.Helper()
	cfg, err := pgx.ParseConfig(c.pg.URL("postgres"))
	c.succeed(err)
	return cfg.Password
}

// on runs a statement on a server.
func (c *cluster) on(s *devpg.Server, sql string) {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), s.URL("postgres"))
	c.succeed(err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(c.t.Context(), sql)
	c.succeed(err)
}

func (c *cluster) succeed(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// agreeAfterFailover ends the load, and checks that nothing that was acknowledged is lost and that the books equal what
// the vendor counted.
func (c *cluster) agreeAfterFailover(tr *traffic, w *writers, price money.Nanos) {
	c.t.Helper()
	tr.end()
	owed := money.Nanos(c.vendor.Count()) * price
	w.end(c) // calls that are free
	c.awaitSpent(owed)
	if n := c.number(`SELECT max(epoch) FROM control.revision`); n != c.number(`SELECT max(epoch) FROM control.published`) {
		c.t.Errorf("the epoch is %d, and another is published", n)
	}
	for _, e := range c.edges {
		e.stop()
	}
	if stdout, stderr, code := c.books("verify"); code != 0 {
		c.t.Errorf("ledger verify exited %d:\n%s%s", code, stdout, stderr)
	}
}

// Guarantee: when PostgreSQL is killed with -9 under load and a standby that follows it synchronously takes its place, the
// services find it by themselves, no change that was acknowledged is lost or made twice, edges get what changes afterwards,
// and the books equal what the vendor counted.
func TestDatabaseFailsOver(t *testing.T) {
	t.Parallel()
	c := start(t, withStandby)
	const price = 12_345_678 * money.Nanos(1)
	c.endpoint("free", "/free", "")
	c.endpoint("bria", "/bria", price.String())
	key := c.key("ci-bot")
	c.budget("plenty", "ci-bot", "1000.00")
	c.awaitLive()
	before := c.number(`SELECT timeline_id FROM pg_control_checkpoint()`)
	tr, w := c.steadyTraffic(key, 2), c.write(2, c.controlAddr)
	tr.awaitMore(t, 50)
	w.awaitMore(t, 10)

	c.killPostgres()
	c.on(c.standby, `SELECT pg_promote(true, 60)`)
	w.awaitMore(t, 20)
	tr.awaitMore(t, 50)
	c.on(c.standby, `CHECKPOINT`)
	if after := c.number(`SELECT timeline_id FROM pg_control_checkpoint()`); after == before {
		t.Errorf("the timeline is still %d: no standby took over", after)
	}
	c.agreeAfterFailover(tr, w, price)
}

// Guarantee: the same when the server itself comes back, twice.
func TestDatabaseRestarts(t *testing.T) {
	t.Parallel()
	c := start(t, withOwnPostgres)
	const price = 12_345_678 * money.Nanos(1)
	c.endpoint("free", "/free", "")
	c.endpoint("bria", "/bria", price.String())
	key := c.key("ci-bot")
	c.budget("plenty", "ci-bot", "1000.00")
	c.awaitLive()
	tr, w := c.steadyTraffic(key, 2), c.write(2, c.controlAddr)
	for range 2 {
		tr.awaitMore(t, 50)
		w.awaitMore(t, 10)
		c.killPostgres()
		c.startPostgres()
	}
	w.awaitMore(t, 10)
	tr.awaitMore(t, 20)
	c.agreeAfterFailover(tr, w, price)
}
