package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/internal/money"
)

// Guarantee: the first request on a new budget waits for about as long as a commit takes.
func TestFirstRequestOfABudget(t *testing.T) {
	t.Parallel()
	// The best of them counts: on a busy machine one or another may take long.
	c := start(t, withEdgeYAML("lease_wait: 15s"))
	c.endpoint("bria", "/bria", "0.01")
	c.awaitLive()
	var took []time.Duration
	for i := range 15 {
		name := fmt.Sprintf("key-%d", i)
		key := c.key(name)
		c.budget(name, name, "10.00")
		c.awaitLive()
		began := time.Now()
		resp, body, err := c.call(i%2, key, "/bria/v1/x")
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%v %v %s", err, resp, body)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("first requests took %s to %s, the median %s", took[0], took[len(took)-1], took[len(took)/2])
	if best := took[0]; best > 40*time.Millisecond {
		t.Errorf("no first request took less than %s", best)
	}
}

// Guarantee: two edges that were given one name by mistake spoil no book: each has a spool and money
// of its own.
func TestTwoEdgesOfOneName(t *testing.T) {
	t.Parallel()
	c := start(t, withLeaseAhead(3))
	const price = "0.01"
	c.endpoint("bria", "/bria", price)
	key := c.key("ci-bot")
	c.budget("plenty", "ci-bot", "1000.00")
	c.awaitLive()
	text, err := os.ReadFile(filepath.Join(c.dir, "edge-1.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	addr := address(t)
	config := strings.ReplaceAll(string(text), c.edgeAddrs[0], addr)
	config = strings.ReplaceAll(config, c.edgeDir(0), filepath.Join(c.dir, "edge-of-same-name"))
	twin := c.role("edge-of-same-name", "edge", config)
	twin.start()
	twin.awaitHTTP("http://" + addr + "/-/readyz")
	c.edgeAddrs, c.edges = append(c.edgeAddrs, addr), append(c.edges, twin)

	const workers = 6
	tr := c.steadyTraffic(key, workers)
	tr.awaitMore(t, 100)
	c.killInFlight(2, workers)
	tr.awaitMore(t, 20)
	twin.start()
	twin.awaitHTTP("http://" + addr + "/-/readyz")
	tr.awaitMore(t, 50)
	tr.end()
	c.awaitSpent(money.Nanos(c.vendor.Count()) * nanos(t, price))
	conn := c.db()
	var wrong, ended int
	if err := conn.QueryRow(t.Context(), unbalanced).Scan(&wrong); err != nil || wrong != 0 {
		t.Errorf("%d account-windows do not add up, %v", wrong, err)
	}
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM ledger.incarnation WHERE closed`).Scan(&ended); err != nil || ended != 1 {
		t.Errorf("%d lives of edges have ended, want 1, %v", ended, err)
	}
}
