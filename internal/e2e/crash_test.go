package e2e_test

import (
	"errors"
	"fmt"
	"testing"

	"tollgate/internal/money"
	"tollgate/internal/testenv"
)

const crashPrice = "0.012345678"

// crashOnce puts load on both edges, kills one with -9 in the middle of it, starts it again, and
// returns the cluster when the load is over.
func crashOnce(t *testing.T, opts ...option) *cluster {
	t.Helper()
	c := start(t, opts...)
	c.endpoint("bria", "/bria", crashPrice)
	key := c.key("ci-bot")
	c.budget("plenty", "ci-bot", "1000.00")
	c.awaitLive()
	const workers = 16
	tr := c.steadyTraffic(key, workers)
	tr.awaitMore(t, 200)
	c.killInFlight(0, workers)
	tr.awaitMore(t, 20)
	c.edges[0].start()
	c.edges[0].awaitHTTP("http://" + c.edgeAddrs[0] + "/-/readyz")
	tr.awaitMore(t, 100)
	tr.end()
	if tr.failed.Load() == 0 {
		t.Fatal("no request was in flight on the edge that was killed: the test shows nothing")
	}
	return c
}

// Guarantee: no spend is lost or counted twice through kill -9 of an edge: every attempt that the
// vendor saw is in the ledger at its price, to the nano-dollar.
func TestKilledEdgeLosesNoSpend(t *testing.T) {
	t.Parallel()
	c := crashOnce(t)
	want := money.Nanos(c.vendor.Count()) * nanos(t, crashPrice)
	testenv.Eventually(t, eventually, func() error {
		got, row, err := c.spent()
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("the ledger has %s, the vendor counted %s (%v)", got, want, row)
		}
		return nil
	})
}

// Negative control: an edge that writes no intents loses what was in flight, and the check above
// notices.
func TestWithoutIntentsSpendIsLost(t *testing.T) {
	t.Parallel()
	c := crashOnce(t, withEdgeBinary(bin.tollgateNoIntents))
	want := money.Nanos(c.vendor.Count()) * nanos(t, crashPrice)
	var last money.Nanos
	// All events are booked when the total has not moved for a while.
	still := 0
	testenv.Eventually(t, eventually, func() error {
		got, _, err := c.spent()
		if err != nil {
			return err
		}
		if got != last {
			last, still = got, 0
		} else {
			still++
		}
		if still < 40 {
			return errors.New("still booking")
		}
		return nil
	})
	if last >= want {
		t.Errorf("the ledger has %s of %s: the crash test cannot fail", last, want)
	}
}
