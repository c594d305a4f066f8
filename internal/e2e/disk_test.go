package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
)

// smallDisk has an edge run with a disk of its own for its data, of so many KiB, most of which is taken
// by a file. It says whether this system lets anyone do that; where not, the size that the spool may have
// is all that there is.
func (c *cluster) smallDisk(edge, size, taken int) (takeAway func(), ok bool) {
	c.t.Helper()
	dir := c.edgeDir(edge)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		c.t.Fatal(err)
	}
	mount := []string{
		"-rm", "sh", "-c", `mount -t tmpfs -o size="$0"k tmpfs "$1" && dd if=/dev/zero of="$1"/other bs=1024 count="$2" 2>/dev/null && shift 2 && exec "$@"`,
		strconv.Itoa(size), dir, strconv.Itoa(taken),
	}
	if out, err := exec.Command("unshare", append(mount, "true")...).CombinedOutput(); err != nil {
		c.t.Logf("no disk can be mounted here: %v %s", err, out)
		return nil, false
	}
	p := c.edges[edge]
	p.Args, p.Path = append(append(mount, p.Path), p.Args...), "unshare"
	return func() {
		// The disk is where the edge sees it, and nobody else.
		other := filepath.Join("/proc", strconv.Itoa(p.life.PID()), "root", dir, "other")
		if err := os.Remove(other); err != nil {
			c.t.Fatal(err)
		}
	}, true
}

// Guarantee: an edge whose disk is full refuses what costs money, with an error that says so, and goes on
// to pass what is free; what was admitted before is charged to the nano-dollar, nothing is lost, and with
// space again it serves everything.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	c := prepare(t, withEdgeYAML("spool_max_bytes: 1048576"))
	// Two pieces of the spool, which are a quarter of a MiB each, fit besides the other file.
	freeSpace, isDisk := c.smallDisk(0, 2048, 1280)
	c.run()
	const price = "0.010000001"
	c.endpoint("paid", "/paid", price)
	c.endpoint("free", "/free", "")
	key := c.key("ci-bot")
	c.budget("plenty", "ci-bot", "1000.00")
	c.awaitLive()
	paid := func() int {
		n := 0
		for _, r := range c.vendor.Requests() {
			if strings.HasPrefix(r.URI, "/paid") {
				n++
			}
		}
		return n
	}
	for _, name := range []string{"paid", "free"} {
		e, err := c.rpc.endpoints.GetEndpoint(t.Context(), &controlv1.GetEndpointRequest{Endpoint: name})
		if err != nil {
			t.Fatal(err)
		}
		e.GetEndpoint().Targets[0].Url += "/" + name
		c.must(c.rpc.endpoints.UpdateEndpoint(t.Context(), &controlv1.UpdateEndpointRequest{Endpoint: e.GetEndpoint()}))
	}
	c.awaitLive()
	c.passes(0, key, "/paid")
	// Nothing is booked from now on, so nothing of the spool can be given back.
	c.ledger.kill()
	passed := 1
	for full := false; !full; {
		resp, body, err := c.call(0, key, "/paid")
		switch {
		case err != nil:
			t.Fatal(err)
		case resp.StatusCode == http.StatusOK:
			passed++
		case resp.StatusCode == http.StatusServiceUnavailable && errorCode(body) == "spool_unavailable":
			full = true
		default:
			t.Fatalf("after %d requests: %s %s", passed, resp.Status, body)
		}
		if passed > 100_000 {
			t.Fatal("the disk does not fill up")
		}
	}
	t.Logf("the disk is full after %d requests", passed)
	for range 20 {
		if resp, body, err := c.call(0, key, "/paid"); err != nil || errorCode(body) != "spool_unavailable" {
			t.Fatalf("a full disk: %v %v %s", err, resp, body)
		}
		c.passes(0, key, "/free")
	}
	if n := paid(); n != passed {
		t.Errorf("%d requests passed, and the vendor saw %d", passed, n)
	}
	serves := func() {
		t.Helper()
		testenv.Eventually(t, eventually, func() error {
			resp, body, err := c.call(0, key, "/paid")
			if err == nil && resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("%s %s", resp.Status, body)
			}
			return err
		})
	}
	if isDisk {
		freeSpace()
		serves()
	}
	c.ledger.start()
	serves()
	c.passes(0, key, "/paid")
	c.awaitSpent(money.Nanos(paid()) * nanos(t, price))
}
