package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
)

// secondLedger starts another ledger, at the address that edges know if they know any.
func (c *cluster) secondLedger() *process {
	c.t.Helper()
	if len(c.ledgerAddrs) < 2 {
		c.ledgerAddrs = append(c.ledgerAddrs, address(c.t))
	}
	return c.second("ledger", c.ledgerAddrs[0], c.ledgerAddrs[1])
}

// second makes another process of a role, with the same configuration but for its address.
func (c *cluster) second(role, listen, addr string) *process {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, role+".yaml"))
	if err != nil {
		c.t.Fatal(err)
	}
	p := c.role(role+"-2", role, strings.ReplaceAll(string(text), fmt.Sprintf("listen: %q", listen), fmt.Sprintf("listen: %q", addr)))
	p.start()
	p.awaitHTTP("http://" + addr + "/readyz")
	return p
}

// Guarantee: of two ledgers one leads. The other takes over under traffic when the first is killed,
// and when it hangs and its connection is cut; whatever the first does when it wakes up, the books
// equal what the vendor counted.
func TestLedgersTakeTurns(t *testing.T) {
	t.Parallel()
	c := start(t, withLeaseAhead(1)) // each request asks the ledger
	const price = "0.000001"
	c.endpoint("bria", "/bria", price)
	key := c.key("ci-bot")
	c.budget("plenty", "ci-bot", "1000.00")
	c.awaitLive()
	other := c.secondLedger()
	tr := c.steadyTraffic(key, 4)
	tr.awaitMore(t, 50)
	if other.logged("leading") {
		t.Fatal("two ledgers lead")
	}

	c.ledger.kill()
	killed := time.Now()
	tr.awaitMore(t, 1)
	t.Logf("the second ledger grants %s after the first was killed", time.Since(killed))
	tr.awaitMore(t, 50)
	c.ledger.start()
	tr.awaitMore(t, 20)

	// The second hangs with its lock held; the database gives up on it; it wakes up believing to lead.
	other.signal(syscall.SIGSTOP)
	conn := c.db()
	if _, err := conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity 
		WHERE application_name = 'tollgate-ledger-leader' AND datname = current_database()`); err != nil {
		t.Fatal(err)
	}
	tr.awaitMore(t, 50)
	other.signal(syscall.SIGCONT)
	tr.awaitMore(t, 50)
	tr.end()
	c.awaitSpent(money.Nanos(c.vendor.Count()) * nanos(t, price))
	var wrong int
	if err := conn.QueryRow(t.Context(), unbalanced).Scan(&wrong); err != nil || wrong != 0 {
		t.Errorf("%d account-windows do not add up, %v", wrong, err)
	}
}

// Guarantee: a change made through either of two control planes reaches the edges, one of the two
// publishes, and the other goes on with that when the first is killed.
func TestControlPlanesTakeTurns(t *testing.T) {
	t.Parallel()
	c := start(t)
	first := c.control
	addr := address(t)
	other := c.second("controlplane", c.controlAddr, addr)
	if !first.logged("publishing begins") || other.logged("publishing begins") {
		t.Error("the first control plane does not publish, or the second does")
	}
	serves := func(name, key string) {
		t.Helper()
		for edge := range c.edges {
			testenv.Eventually(t, eventually, func() error {
				resp, body, err := c.call(edge, key, "/"+name+"/x")
				if err != nil {
					return err
				}
				if resp.StatusCode != http.StatusOK {
					return fmt.Errorf("edge %d: %s %s", edge+1, resp.Status, body)
				}
				return nil
			})
		}
	}
	key := c.key("one")
	c.endpoint("one", "/one", "")
	serves("one", key)

	c.controlAddr = addr
	c.dial()
	c.endpoint("two", "/two", "")
	c.must(c.rpc.keys.CreateKey(t.Context(), &controlv1.CreateKeyRequest{Name: "two"}))
	serves("two", key)
	c.awaitLive()
	if other.logged("publishing begins") {
		t.Error("both control planes publish")
	}

	first.kill()
	c.endpoint("three", "/three", "")
	serves("three", key)
	c.awaitLive()
}
