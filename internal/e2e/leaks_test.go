package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Guarantee: no secret that anybody gives to a deployment, or gets from it, is found afterwards where it does not belong: not in the
// database with its log, not in what NATS keeps or carries, not on edges' disks, not in logs at their most talkative, traces or metrics,
// and in no answer but the one that is there to show it. All methods of the API are called; one that is new and is not called fails
// the test.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	c := prepare(t, withOwnPostgres, withMetrics)
	d := newDrive(c)
	traces, provider := d.surround()
	said := eavesdrop(t, c.natsURL)
	c.run()

	ctx, leave := context.WithCancel(t.Context())
	var following sync.WaitGroup
	for method, body := range map[string]object{
		"EdgeService/WatchFleet": {}, "SystemService/WatchChanges": {}, "RequestService/TailRequests": {"since": "60s"},
	} {
		d.follow(ctx, &following, method, body)
	}
	d.secretsAndEndpoints()
	d.keysAndTraffic()
	d.money()
	d.fleet()
	d.peopleAndPrograms(provider)
	d.configuration()
	d.told()
	d.everythingIsRead()
	metrics := d.metrics()
	leave()
	following.Wait()
	if missing := d.undriven(); len(missing) > 0 {
		slices.Sort(missing)
		t.Errorf("nothing has called %s", strings.Join(missing, ", "))
	}

	dump := d.dump()
	for _, p := range slices.Backward(c.roles()) {
		p.stop()
	}
	c.nats.kill()
	dir := filepath.Join(c.pg.Dir(), "data")
	if err := c.pg.Stop(); err != nil {
		t.Error(err)
	}
	c.pg = nil
	n := thread(d.secrets)
	n.report(t, "the dump", dump)
	n.report(t, "NATS", said.bytes())
	n.report(t, "the traces", traces.bytes())
	n.report(t, "the metrics", metrics)
	for method, answers := range d.answers {
		n.report(t, method, answers.bytes())
	}
	for _, p := range append(c.roles(), c.nats) {
		text, err := os.ReadFile(p.Log)
		if err != nil || len(text) == 0 {
			t.Errorf("%s has logged nothing: %v", p.Name, err)
		}
		n.report(t, "the log of "+p.Name, text)
	}
	sizes := map[string]int64{"PostgreSQL": n.under(t, dir), "NATS": n.under(t, c.natsDir())}
	for i := range c.edges {
		sizes[c.edges[i].Name] = n.under(t, c.edgeDir(i))
	}
	sizes["dump"], sizes["traces"], sizes["metrics"], sizes["wire"] = int64(len(dump)), int64(len(traces.bytes())), int64(len(metrics)), int64(len(said.bytes()))
	t.Logf("%d secrets, %d methods; bytes searched: %v", len(d.secrets), len(d.methods), sizes)
	for what, size := range sizes {
		if size == 0 {
			t.Errorf("%s: there was nothing to search", what)
		}
	}
}
