package health_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tollgate/edge/breaker"
	"tollgate/edge/health"
	"tollgate/edge/pool"
	"tollgate/edge/proxy"
	"tollgate/edge/proxy/nethttp"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

func pass(d time.Duration) { <-time.After(d) }

// endpoint has these targets, and is checked every ten seconds.
func endpoint(id string, targets ...string) *routing.Endpoint {
	e := &routing.Endpoint{ID: id, Name: id, Health: &routing.Health{
		Path: "/healthz", Interval: 10 * time.Second, Timeout: 5 * time.Second, UnhealthyAfter: 3, HealthyAfter: 2,
	}}
	for _, host := range targets {
		e.Targets = append(e.Targets, &routing.Target{Name: "https://" + host, Host: host, Scheme: "https", Weight: 1})
	}
	return e
}

// vendor answers checks without a network.
type vendor struct {
	mu     sync.Mutex // guards what follows
	status map[string]int
	asked  map[string]int
	hang   bool

	inspect func(a *proxy.Attempt) // nil for nothing; set before the first check
}

func (v *vendor) do(ctx context.Context, a *proxy.Attempt) (*proxy.Answer, error) {
	if v.inspect != nil {
		v.inspect(a)
	}
	v.mu.Lock()
	v.asked[a.Target.Host]++
	status, hang := v.status[a.Target.Host], v.hang
	v.mu.Unlock()
	if hang {
		<-ctx.Done()
		return nil, &proxy.AttemptError{Failure: proxy.FailCanceled, Text: "the exchange ended", Err: ctx.Err()}
	}
	switch status {
	case -1:
		return nil, &proxy.AttemptError{Failure: proxy.FailConnect, Text: "connection refused", Err: io.EOF}
	case -2:
		return nil, errors.New("a bug")
	}
	return &proxy.Answer{Status: status, Body: io.NopCloser(strings.NewReader("fine"))}, nil
}

func (v *vendor) set(host string, status int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.status[host] = status
}

func (v *vendor) count(host string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asked[host]
}

// checked runs a checker in a bubble.
type checked struct {
	*vendor
	t       *testing.T
	pools   *pool.Pools
	checker *health.Checker
	log     bytes.Buffer // read after synctest.Wait alone
}

func inBubble(t *testing.T, f func(c *checked)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &checked{vendor: &vendor{status: map[string]int{}, asked: map[string]int{}}, t: t, pools: pool.New(nil)}
		c.checker = health.New(c.do, c.pools, slog.New(slog.NewTextHandler(&c.log, nil)))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.checker.Run(ctx) }()
		f(c)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func (c *checked) serve(endpoints ...*routing.Endpoint) {
	c.pools.Sync(endpoints)
	c.checker.Sync(endpoints)
}

// until lets time pass until a host was checked so many times more. The intervals are drawn: how many checks
// fit into a time is not known beforehand.
func (c *checked) until(host string, more int) {
	c.t.Helper()
	for before := c.count(host); c.count(host) < before+more; {
		pass(time.Second / 2)
		synctest.Wait()
	}
}

func (c *checked) want(states string) {
	c.t.Helper()
	synctest.Wait()
	var got []string
	for _, s := range c.pools.Targets() {
		got = append(got, strings.TrimPrefix(s.Target, "https://")+" "+s.State)
	}
	if strings.Join(got, ", ") != states {
		c.t.Errorf("%s, want %s", strings.Join(got, ", "), states)
	}
}

// Guarantee: a target is unhealthy after enough failures in a row and healthy after enough successes in a row,
// of whatever kind; each change is logged once, with the reason.
func TestMarks(t *testing.T) {
	t.Parallel()
	inBubble(t, func(c *checked) {
		c.set("a", 204)
		c.set("b", 302) // is not followed
		c.serve(endpoint("ep_x", "a", "b"))
		c.until("b", 2)
		c.want("a ok, b ok")
		c.until("b", 1)
		c.want("a ok, b unhealthy")
		for _, status := range []int{500, -1, 200, -2, 404} {
			c.set("a", status)
			c.until("a", 1)
		}
		c.want("a ok, b unhealthy")
		c.until("a", 1)
		c.want("a unhealthy, b unhealthy")
		c.set("b", 200)
		c.until("b", 2)
		c.want("a unhealthy, b ok")
		c.set("b", 302)
		c.until("b", 3)
		c.want("a unhealthy, b unhealthy")
		if text := c.log.String(); strings.Count(text, "\n") != 4 || !strings.Contains(text, `target=https://b why="status 302"`) ||
			!strings.Contains(text, "healthy again") || !strings.Contains(text, "endpoint=ep_x target=https://a") {
			t.Errorf("the log says\n%s", text)
		}
	})
}

// Guarantee: a target that does not answer is unhealthy, and said to be.
func TestTimeout(t *testing.T) {
	t.Parallel()
	inBubble(t, func(c *checked) {
		c.hang = true
		c.serve(endpoint("ep_x", "a"))
		pass(50 * time.Second)
		c.want("a unhealthy")
		if !strings.Contains(c.log.String(), "no answer within 5s") {
			t.Errorf("the log says\n%s", c.log.String())
		}
	})
}

// Guarantee: checks come at about their interval and not all at once; a new configuration neither starts them
// over nor adds to them, and a shorter interval holds at once. What is gone is checked no more.
func TestIntervals(t *testing.T) {
	t.Parallel()
	inBubble(t, func(c *checked) {
		hosts := []string{"a", "b", "c", "d", "e", "f"}
		for _, host := range hosts {
			c.set(host, -1)
		}
		for i := range 100 {
			e := endpoint("ep_x", hosts...)
			if i%2 == 1 {
				e.Targets[0], e.Targets[5] = e.Targets[5], e.Targets[0]
			}
			c.serve(e)
			pass(time.Second)
		}
		for _, host := range hosts {
			if n := c.count(host); n < 9 || n > 12 {
				t.Errorf("%s was checked %d times in 100 s", host, n)
			}
		}
		c.want("f unhealthy, b unhealthy, c unhealthy, d unhealthy, e unhealthy, a unhealthy")

		e := endpoint("ep_x", "a")
		e.Health.Interval = time.Hour
		c.serve(e)
		pass(2 * time.Second)
		b, a := c.count("b"), c.count("a")
		pass(50 * time.Minute)
		if c.count("b") != b || c.count("a") != a {
			t.Errorf("checked %d and %d times more", c.count("a")-a, c.count("b")-b)
		}
		e = endpoint("ep_x", "a")
		c.set("a", 200)
		c.serve(e)
		pass(23 * time.Second)
		c.want("a ok")
		e = endpoint("ep_x", "a")
		e.Health = nil
		c.serve(e)
		a = c.count("a")
		pass(time.Hour)
		if c.count("a") != a {
			t.Error("it is checked without a rule")
		}
	})
}

// Guarantee: an endpoint that cannot be called, for want of a secret, is not checked without it.
func TestUnresolved(t *testing.T) {
	t.Parallel()
	inBubble(t, func(c *checked) {
		x, y := endpoint("ep_x", "a"), endpoint("ep_y", "b")
		x.Err = errors.New("no secret")
		y.Credentials = []*routing.Credential{{Name: "k", Err: errors.New("no secret")}}
		c.serve(x, y)
		pass(time.Hour)
		if c.count("a")+c.count("b") != 0 {
			t.Error("they were checked")
		}
	})
}

// Guarantee: over a real connection a check is a GET below the target's base with the endpoint's headers, its
// host and a credential that resolves; it reads no more than it needs, and keeps its connection.
func TestOnTheWire(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen, peers []string
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprintf("%s %s %s %s %s %s %q", r.Method, r.RequestURI, r.Host,
			r.Header.Get("Authorization"), r.Header.Get("X-A"), r.Header.Get("X-Gone"), r.Header["User-Agent"]))
		peers = append(peers, r.RemoteAddr)
		w.WriteHeader(status)
		_, _ = w.Write(bytes.Repeat([]byte("x"), 10_000))
	}))
	defer server.Close()
	table, err := routing.Compile(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{
		{Id: "ep_x", Name: "x", Path: "/x", Targets: []string{server.URL + "/base/?v=1"}},
	}}, contract.Version{}, routing.Lookups{})
	if err != nil {
		t.Fatal(err)
	}
	e := table.Endpoints()[0]
	e.Health = &routing.Health{Path: "/healthz?deep=1", Interval: 20 * time.Millisecond, Timeout: patience, Statuses: []int{418, 200}, UnhealthyAfter: 2, HealthyAfter: 1}
	e.Headers = []routing.Header{{Name: "authorization", Value: "endpoint's"}, {Name: "X-A", Value: "1"}, {Name: "X-Gone", Mode: routing.Remove}}
	e.HostPolicy, e.HostText = eventv1.HostPolicy_HOST_POLICY_TEXT, "api.example.com"
	e.Query = []routing.Query{{Name: "q", Value: "a b"}, {Name: "r", Mode: routing.Remove}}
	e.Credentials = []*routing.Credential{
		{Name: "j", Err: errors.New("no secret")},
		{Name: "k", Headers: []routing.Header{{Name: "Authorization", Value: "k's"}}, Query: []routing.Query{{Name: "key", Value: "&"}}},
	}
	cfg := nethttp.DefaultClientConfig()
	cfg.AllowPrivate = true
	client := nethttp.NewClient(cfg)
	defer client.Close()
	pools := pool.New(nil)
	checker := health.New(client.RoundTrip, pools, slog.New(slog.DiscardHandler))
	pools.Sync(table.Endpoints())
	checker.Sync(table.Endpoints())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- checker.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	state := func(want string, checks int) func() error {
		return func() error {
			mu.Lock()
			defer mu.Unlock()
			if got := pools.Targets()[0].State; got != want || len(seen) < checks {
				return fmt.Errorf("%s after %d checks", got, len(seen))
			}
			return nil
		}
	}
	answer := func(s int) { mu.Lock(); defer mu.Unlock(); status = s }
	testenv.Eventually(t, patience, state(pool.OK, 5))
	answer(http.StatusFound)
	testenv.Eventually(t, patience, state(pool.Unhealthy, 5))
	// A target that is the only one is tried all the same.
	if c, err := pools.Pick(e, &pool.Tries{}, nil); err != nil {
		t.Error(err)
	} else {
		c.Report(pool.Result{Outcome: breaker.Success})
		c.Done()
	}
	answer(http.StatusTeapot)
	testenv.Eventually(t, patience, state(pool.OK, 5))
	mu.Lock()
	defer mu.Unlock()
	for i, got := range seen {
		if want := `GET /base/healthz?v=1&deep=1&q=a%20b&key=%26 api.example.com k's 1  ["tollgate-health-check"]`; got != want || peers[i] != peers[0] {
			t.Errorf("check %d over %s is %s\nwant %s", i, peers[i], got, want)
		}
	}
}
