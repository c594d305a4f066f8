package e2e_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/vendor"
)

// traffic calls an edge over and over until it is stopped, and counts.
type traffic struct {
	ok, refused, failed atomic.Int64
	stop                chan struct{}
	wg                  sync.WaitGroup
}

// steadyTraffic runs workers that call /bria on all edges in turn.
func (c *cluster) steadyTraffic(key string, workers int) *traffic {
	tr := &traffic{stop: make(chan struct{})}
	for w := range workers {
		tr.wg.Go(func() {
			for i := w; ; i++ {
				select {
				case <-tr.stop:
					return
				default:
				}
				resp, _, err := c.call(i%len(c.edges), key, "/bria/v1/x")
				switch {
				case err != nil:
					tr.failed.Add(1) // an edge that is down
				case resp.StatusCode == http.StatusOK:
					tr.ok.Add(1)
				default:
					tr.refused.Add(1)
				}
			}
		})
	}
	return tr
}

// killInFlight kills an edge with -9 while every worker's request is at the vendor, which has not
// answered yet. An edge that died a moment earlier, between recording its intent and sending, would
// charge for what the vendor never saw: rightly, as nobody can know, but it could not be counted.
func (c *cluster) killInFlight(edge, workers int) {
	c.t.Helper()
	var waiting atomic.Int64
	release := make(chan struct{})
	c.vendor.Handle(func(w http.ResponseWriter, r *http.Request) {
		waiting.Add(1)
		defer waiting.Add(-1)
		select {
		case <-release:
		case <-r.Context().Done():
		}
		vendor.JSON(http.StatusOK, `{}`)(w, r)
	})
	testenv.Eventually(c.t, eventually, func() error {
		if n := waiting.Load(); n != int64(workers) {
			return fmt.Errorf("%d of %d requests are at the vendor", n, workers)
		}
		return nil
	})
	c.edges[edge].kill()
	close(release)
}

func (tr *traffic) end() {
	close(tr.stop)
	tr.wg.Wait()
}

// awaitMore returns after n more requests have passed.
func (tr *traffic) awaitMore(t *testing.T, n int64) {
	t.Helper()
	want := tr.ok.Load() + n
	testenv.Eventually(t, eventually, func() error {
		if tr.ok.Load() < want {
			return errStillThere
		}
		return nil
	})
}

// Guarantee: edges serve with everything else down, also after a restart, from held budget and the
// last good copy; and once all is back, the books equal what the vendor counted.
func TestEdgesServeWithEverythingElseDown(t *testing.T) {
	t.Parallel()
	c := start(t, withOwnPostgres)
	const price = "0.000001"
	c.endpoint("bria", "/bria", price)
	key := c.key("ci-bot")
	c.budget("plenty", "ci-bot", "1000.00")
	free := c.key("no-budget")
	c.awaitLive()
	held := c.steadyTraffic(key, 2)
	unlimited := c.steadyTraffic(free, 2)
	held.awaitMore(t, 50)
	unlimited.awaitMore(t, 50)

	// One after the other, under traffic.
	c.control.kill()
	unlimited.awaitMore(t, 50)
	held.awaitMore(t, 20)
	c.control.start()
	c.control.awaitHTTP("http://" + c.controlAddr + "/readyz")

	c.killPostgres()
	unlimited.awaitMore(t, 50)
	held.awaitMore(t, 5)
	c.startPostgres()
	held.awaitMore(t, 50)

	c.nats.kill()
	unlimited.awaitMore(t, 50)
	held.awaitMore(t, 5)
	c.nats.start()
	held.awaitMore(t, 50)

	c.ledger.kill()
	unlimited.awaitMore(t, 50)
	c.ledger.start()
	held.awaitMore(t, 50)

	// All at once, and an edge starts anew meanwhile.
	c.control.kill()
	c.ledger.kill()
	c.killPostgres()
	c.nats.kill()
	unlimited.awaitMore(t, 50)
	held.awaitMore(t, 5)
	c.killInFlight(1, 4)
	c.edges[1].start()
	c.edges[1].awaitHTTP("http://" + c.edgeAddrs[1] + "/-/readyz")
	if resp, body, err := c.call(1, free, "/bria/v1/x"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the restarted edge answers %v %v %s", err, resp, body)
	}

	c.startPostgres()
	c.nats.start()
	c.control.start()
	c.ledger.start()
	c.awaitReady()
	held.awaitMore(t, 50)
	held.end()
	unlimited.end()
	c.awaitSpent(money.Nanos(c.vendor.Count()) * nanos(t, price))
}

// Guarantee: a rolling restart of every role loses no request that was accepted.
func TestRollingRestartLosesNothing(t *testing.T) {
	t.Parallel()
	c := start(t)
	const price = "0.000001"
	c.endpoint("bria", "/bria", price)
	key := c.key("ci-bot")
	c.budget("plenty", "ci-bot", "1000.00")
	c.awaitLive()
	tr := c.steadyTraffic(key, 4)
	tr.awaitMore(t, 50)
	for _, p := range []*process{c.control, c.ledger, c.edges[0], c.edges[1]} {
		p.stop()
		p.start()
		tr.awaitMore(t, 20)
		c.awaitReady()
	}
	c.awaitLive()
	tr.awaitMore(t, 50)
	tr.end()
	if n := tr.refused.Load(); n != 0 {
		t.Errorf("%d requests were refused", n)
	}
	c.awaitSpent(money.Nanos(c.vendor.Count()) * nanos(t, price))
	if got, want := int64(c.vendor.Count()), tr.ok.Load(); got != want {
		t.Errorf("the vendor saw %d requests, callers %d answers", got, want)
	}
}

// Guarantee: with NATS away every role still stops when it is asked to, and the spend that an edge
// could not publish is booked after its next start.
func TestStopsWithNATSAway(t *testing.T) {
	t.Parallel()
	c := start(t)
	const price = "0.25"
	c.endpoint("bria", "/bria", price)
	key := c.key("ci-bot")
	c.budget("plenty", "ci-bot", "1000.00")
	c.awaitLive()
	tr := c.steadyTraffic(key, 2)
	tr.awaitMore(t, 20)
	c.nats.kill()
	tr.awaitMore(t, 5)
	tr.end()
	for _, p := range c.roles() {
		p.stop()
	}
	c.nats.start()
	for _, p := range c.roles() {
		p.start()
	}
	c.control.awaitHTTP("http://" + c.controlAddr + "/readyz")
	c.awaitLive()
	c.awaitSpent(money.Nanos(c.vendor.Count()) * nanos(t, price))
}
