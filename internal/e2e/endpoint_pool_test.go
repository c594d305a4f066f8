package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"tollgate/internal/testenv"
	"tollgate/internal/testenv/vendor"
)

// mortal is a target that dies, and comes back at the same address.
type mortal struct {
	c      *cluster
	addr   string
	server *http.Server
	served chan struct{}
	seen   atomic.Int64
}

func newMortal(c *cluster) *mortal {
	m := &mortal{c: c, addr: address(c.t)}
	m.start()
	c.t.Cleanup(m.kill)
	return m
}

func (m *mortal) start() {
	m.c.t.Helper()
	l, err := net.Listen("tcp", m.addr)
	if err != nil {
		m.c.t.Fatal(err)
	}
	server, served := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { m.seen.Add(1) })}, make(chan struct{})
	m.server, m.served = server, served
	go func() {
		_ = server.Serve(l)
		close(served)
	}()
}

func (m *mortal) kill() {
	_ = m.server.Close()
	<-m.served
}

// Of two targets that share the requests one dies: no request fails, its breaker shows, and it gets its
// share again when it is back.
func poolWithoutATarget(c *cluster) {
	t := c.t
	a, b := newMortal(c), newMortal(c)
	c.does("endpoint", "create", "pool", "--path", "/pool", "--target", "http://"+a.addr+" weight=3", "--target", "http://"+b.addr,
		"--balance", "weighted", "--price", "0.01", "--retry", "2 any-method backoff=1ms budget=100", "--breaker", "min=2 window=60s open=3s")
	key := c.key("pooler")
	c.awaitLive()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	answered := make(chan struct{}, 64)
	var failed, sent atomic.Int64
	ended := make(chan struct{})
	const workers = 4
	for w := range workers {
		go func() {
			defer func() { ended <- struct{}{} }()
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, "http://"+c.edgeAddrs[w%2]+"/pool/x", strings.NewReader(callBody))
				if err != nil {
					failed.Add(1)
					return
				}
				req.Header.Set("Authorization", "Bearer "+key)
				resp, err := plain.Do(req)
				sent.Add(1)
				if err != nil || resp.StatusCode != http.StatusOK {
					failed.Add(1)
				}
				if err == nil {
					_ = resp.Body.Close()
				}
				select {
				case answered <- struct{}{}:
				case <-ctx.Done():
				}
			}
		}()
	}
	more := func(n int) {
		for range n {
			<-answered
		}
	}
	more(200)
	if x, y := a.seen.Load(), b.seen.Load(); x < 2*y || y == 0 {
		t.Errorf("the first of 3:1 got %d requests, the second %d", x, y)
	}
	a.kill()
	trouble := func() string {
		_, stderr, _ := c.cli("nodes")
		return stderr
	}
	until := func(cond func() error) {
		testenv.Eventually(t, eventually, func() error {
			more(5)
			return cond()
		})
	}
	until(func() error {
		for _, edge := range []string{"edge-1", "edge-2"} {
			if said := trouble(); !strings.Contains(said, "! "+edge+": the breaker of http://"+a.addr+" is ") {
				return errors.New(said)
			}
		}
		return nil
	})
	a.start()
	before := a.seen.Load()
	until(func() error {
		if n := a.seen.Load() - before; n < 20 || strings.Contains(trouble(), a.addr) {
			return fmt.Errorf("%d requests since it is back; nodes says %s", n, trouble())
		}
		return nil
	})
	stop()
	for range workers {
		<-ended
	}
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed", n, sent.Load())
	}
}

// A target whose health check fails is left alone before any request has failed, and comes back.
func healthBeforeTraffic(c *cluster) {
	t := c.t
	var sick atomic.Bool
	both := named(t, "a", "b")
	both[0].Handle(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" && sick.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("a"))
	})
	c.does("endpoint", "create", "health", "--path", "/health", "--target", both[0].URL, "--target", both[1].URL, "--balance", "weighted",
		"--free", "--health-check", "/healthz interval=1s unhealthy=1 healthy=1")
	key := c.key("healer")
	c.awaitLive()
	answers := func() map[string]int {
		n := map[string]int{}
		for i := range 40 {
			resp, body := c.send(i%2, http.MethodGet, "/health/x", "Authorization", "Bearer "+key)
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s %s", resp.Status, body)
			}
			n[body]++
		}
		return n
	}
	if n := answers(); n["a"] == 0 || n["b"] == 0 {
		t.Errorf("both work, and answered %v", n)
	}
	reported := func(want bool) {
		testenv.Eventually(t, eventually, func() error {
			_, stderr, _ := c.cli("nodes")
			for _, edge := range []string{"edge-1", "edge-2"} {
				if strings.Contains(stderr, "! "+edge+": target "+both[0].URL+" of endpoint health is unhealthy") != want {
					return errors.New(stderr)
				}
			}
			return nil
		})
	}
	sick.Store(true)
	reported(true)
	if n := answers(); n["a"] != 0 {
		t.Errorf("the sick one got %d requests", n["a"])
	}
	sick.Store(false)
	reported(false)
	if n := answers(); n["a"] == 0 {
		t.Error("it gets nothing after it works again")
	}
}

// A slow target is asked beside by another; the first answer counts, is charged once, and the slow
// attempt is ended.
func hedgedOnce(c *cluster) {
	t := c.t
	both := named(t, "slow", "quick")
	hold, stalled := vendor.Stall(vendor.Text(http.StatusOK, "slow"))
	both[0].Handle(stalled)
	c.does("endpoint", "create", "hedge", "--path", "/hedge", "--target", both[0].URL, "--target", both[1].URL, "--price", "0.05", "--hedge", "30ms any-method")
	key := c.key("hedger")
	c.budget("hedger", "hedger", "1.00")
	c.awaitLive()
	if resp, body := c.send(0, http.MethodPost, "/hedge/x", "Authorization", "Bearer "+key); resp.StatusCode != http.StatusOK || body != "quick" {
		t.Errorf("%s %s", resp.Status, body)
	}
	hold.AwaitOpened(t)
	hold.AwaitGone(t)
	testenv.Eventually(t, eventually, func() error {
		if got := c.dollars(c.state("hedger").GetSpent()); got != nanos(t, "0.05") {
			return fmt.Errorf("%s are spent", got)
		}
		return nil
	})
	if n := metric(c.metrics(0), `tollgate_edge_hedges_total{endpoint="hedge"}`); n != 1 {
		t.Errorf("%v hedges are counted", n)
	}
}

// metric is a value of what is scraped, or -1.
func metric(text, name string) float64 {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err == nil {
				return n
			}
		}
	}
	return -1
}

// The time for everything ends a request in whatever stage it is, and costs nothing.
func totalTimeout(c *cluster) {
	t := c.t
	v := named(t, "")[0]
	hold, stalled := vendor.Stall(vendor.Status(http.StatusOK))
	v.Handle(stalled)
	c.does("endpoint", "create", "total", "--path", "/total", "--target", v.URL, "--price", "0.05", "--total-timeout", "300ms", "--connect-timeout", "200ms", "--retry", "3 any-method")
	key := c.key("totaler")
	c.awaitLive()
	began := time.Now()
	resp, body := c.send(0, http.MethodPost, "/total/x", "Authorization", "Bearer "+key)
	if took := time.Since(began); resp.StatusCode != http.StatusGatewayTimeout || errorCode([]byte(body)) != "upstream_timeout" || took < 300*time.Millisecond || took > 5*time.Second {
		t.Errorf("%s %s after %s", resp.Status, body, took)
	}
	hold.AwaitGone(t)
}

// A breaker that is open stays so through changes of the endpoint and of others.
func breakerOutlivesConfiguration(c *cluster) {
	t := c.t
	v := named(t, "")[0]
	v.Handle(vendor.Status(http.StatusBadGateway))
	c.does("endpoint", "create", "outlives", "--path", "/outlives", "--target", v.URL, "--price", "0.01", "--breaker", "min=3 open=10m")
	key := c.key("outliver")
	c.awaitLive()
	refused := func() error {
		if resp, body := c.send(0, http.MethodGet, "/outlives/x", "Authorization", "Bearer "+key); errorCode([]byte(body)) != "breaker_open" && errorCode([]byte(body)) != "upstream_unavailable" {
			return fmt.Errorf("%s %s", resp.Status, body)
		}
		return nil
	}
	testenv.Eventually(t, eventually, refused)
	seen := v.Count()
	c.does("endpoint", "set", "outlives", "--price", "0.02", "--default-header", "x-new: 1")
	c.endpoint("outlives-not", "/outlives/not", "")
	c.awaitLive()
	if resp, body := c.send(0, http.MethodGet, "/outlives/not", "Authorization", "Bearer "+key); resp.StatusCode != http.StatusOK {
		t.Errorf("the change is not in force: %s %s", resp.Status, body)
	}
	if err := refused(); err != nil || v.Count() != seen {
		t.Errorf("after the change: %v; the vendor got %d more", err, v.Count()-seen)
	}
	// The other edge has its own view, and says the same of what explain is asked.
	if out := c.does("explain", "/outlives/x", "--key", "outliver", "--edge", "edge-1"); !strings.Contains(out, "(open)") {
		t.Errorf("explain says\n%s", out)
	}
}
