package edge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/edge"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/config"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/cloud"
)

func TestMain(m *testing.M) {
	if part := scaleParts[os.Getenv(partEnv)]; part != nil {
		if err := part(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(testenv.Main(m))
}

const (
	key      = "tgk_0123456789abcdefghijklmnopqrstuv"
	price    = money.Dollar
	patience = 15 * time.Second
)

// books are a cloud and the events that have come, by incarnation.
type books struct {
	*cloud.Cloud

	t      *testing.T
	mu     sync.Mutex // guards events
	events map[int64][]*eventv1.SpendEvent
}

func newBooks(t *testing.T) *books {
	t.Helper()
	b := &books{t: t, events: map[int64][]*eventv1.SpendEvent{}}
	b.Cloud = cloud.New(t, cloud.Options{
		Empty: func(limit int64) bool { return limit == emptyLimit },
		Booked: func(inc int64, e *eventv1.SpendEvent) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.events[inc] = append(b.events[inc], e)
		},
	})
	return b
}

// spent is what was booked, and whether every incarnation has ended.
func (b *books) spent() (cost money.Nanos, requests int, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ended = true
	for _, events := range b.events {
		for _, e := range events {
			cost += money.Nanos(e.GetCostNanos())
			if e.GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
				requests++
			}
		}
		if n := len(events); n == 0 || events[n-1].GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
			ended = false
		}
	}
	return cost, requests, ended
}

// emptyLimit is a limit of which there are no tokens.
const emptyLimit = 2

// publish publishes a revision in the order in which the control plane does.
func (b *books) publish(revision int64, target string) {
	b.t.Helper()
	hash := contract.KeyHash([]byte(key))
	account := &eventv1.Account{Id: 1, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL, TimeZone: "UTC", LimitNanos: int64(cloud.Limit), Version: 1, Subject: "key ci-bot"}
	err := b.Publish(b.t.Context(), revision, &eventv1.RouteSnapshot{
		Endpoints: []*eventv1.RouteEndpoint{
			{
				Id: "ep_1", Name: "bria", Path: "/bria", Targets: []string{target}, PriceNanos: int64(price), PriceVersion: revision,
				Headers: []*eventv1.RouteHeader{{Name: "X-Token", Value: "${env:TOKEN}"}},
			},
			{
				Id: "ep_2", Name: "metered", Path: "/metered", Targets: []string{target}, PriceVersion: revision,
				Usage: &eventv1.UsagePrice{BaseNanos: 5, HoldNanos: int64(price), Rates: []*eventv1.UsageRate{
					{Unit: eventv1.UsageUnit_USAGE_UNIT_REQUEST_BYTES, NanosPerMillion: 3_000_000},
				}},
			},
		},
		Accounts: []*eventv1.Account{{
			Id: 2, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL, TimeZone: "UTC", LimitNanos: int64(cloud.Limit), Version: 1, Subject: "customer acme",
			Scope: eventv1.AccountScope_ACCOUNT_SCOPE_CUSTOMER, ScopeName: "acme",
		}},
		Limits: []*eventv1.Limit{
			{Id: 1, Kind: eventv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: 60, Burst: 1, Subject: "endpoint metered", Scope: eventv1.AccountScope_ACCOUNT_SCOPE_ENDPOINT, EndpointId: "ep_2", Fallback: eventv1.LimitFallback_LIMIT_FALLBACK_CLOSED},
			{Id: emptyLimit, Kind: eventv1.LimitKind_LIMIT_KIND_UNITS, Amount: 60, Burst: 1, Subject: "tag slow", Scope: eventv1.AccountScope_ACCOUNT_SCOPE_TAG, ScopeName: "slow", Fallback: eventv1.LimitFallback_LIMIT_FALLBACK_CLOSED},
		},
	}, &eventv1.ShardKey{Sha256: hash[:], Id: "key_1", Name: "ci-bot", Accounts: []*eventv1.Account{account}})
	if err != nil {
		b.t.Fatal(err)
	}
}

// heartbeat is the newest one of the edge.
func (b *books) heartbeat() (*eventv1.Heartbeat, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	stream, err := b.Conn.JetStream().Stream(ctx, contract.StreamFleet)
	if err != nil {
		return nil, err
	}
	msg, err := stream.GetLastMsgForSubject(ctx, contract.Fleet("lon-1"))
	if err != nil {
		return nil, err
	}
	h := new(eventv1.Heartbeat)
	return h, proto.Unmarshal(msg.Data, h)
}

// settings of an edge that looks for NATS at url.
func settings(tb testing.TB, url string) edge.Config {
	tb.Helper()
	cfg := edge.DefaultConfig()
	cfg.Name, cfg.Listen, cfg.AdminListen = "lon-1", "127.0.0.1:0", "127.0.0.1:0"
	cfg.DataDir, cfg.NATS.URL = tb.TempDir(), url
	cfg.SealingKey, cfg.AllowPrivateTargets = config.Secret(seal.Generate()), true
	cfg.Notice, cfg.Drain = 0, 5*time.Second
	return cfg
}

// running is an edge that runs.
type running struct {
	*edge.Node
	tb   testing.TB
	stop func()
}

func start(tb testing.TB, cfg edge.Config) *running {
	tb.Helper()
	n, err := edge.New(tb.Context(), cfg, edge.Deps{
		Log:    testenv.Logger(tb),
		Getenv: func(name string) (string, bool) { return "from-env", name == "TOKEN" },
	})
	if err != nil {
		tb.Fatal(err)
	}
	return run(tb, n)
}

// run has an edge serve until the test ends.
func run(tb testing.TB, n *edge.Node) *running {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	r := &running{Node: n, tb: tb}
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("run: %v", err)
		}
	})
	tb.Cleanup(r.stop)
	return r
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

func call(addr, path, secret string, headers ...string) (status int, body string, h http.Header, err error) {
	r, err := http.NewRequest(http.MethodPost, "http://"+addr+path, strings.NewReader("{}"))
	if err != nil {
		return 0, "", nil, err
	}
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, "", nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), resp.Header, err
}

// limited calls until the ledger has its say about limits: a request waits for it for 25 ms, in which it need
// not answer on a busy machine. A request that goes without an answer is refused, and costs nothing.
func (r *running) limited(path string, headers ...string) (status int, body string, h http.Header) {
	r.tb.Helper()
	testenv.Eventually(r.tb, patience, func() (err error) {
		status, body, h, err = call(r.Addr(), path, key, headers...)
		if err == nil && strings.Contains(body, "limit_unavailable") {
			err = fmt.Errorf("%d %s", status, body)
		}
		return err
	})
	return status, body, h
}

// ready waits until the edge says that it is.
func (r *running) ready() {
	r.tb.Helper()
	testenv.Eventually(r.tb, patience, func() error {
		resp, err := client.Get("http://" + r.AdminAddr() + "/-/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	})
}

// Guarantee: a request through an edge is charged in the ledger, and a stop brings everything there,
// with CLOSE as the last word.
func TestOneEdge(t *testing.T) {
	t.Parallel()
	c := newBooks(t)
	upstream := testenv.Vendor(t)
	r := start(t, settings(t, c.Server.URL()))

	if status, body, _, err := call(r.Addr(), "/bria", key); err != nil || status != 503 || !strings.Contains(body, "snapshot_missing") {
		t.Errorf("without a configuration: %d %s %v", status, body, err)
	}
	c.publish(1, upstream.URL)
	r.ready()
	for i := range 3 {
		status, body, h, err := call(r.Addr(), "/bria/v1", key)
		if err != nil || status != 200 {
			t.Fatalf("request %d: %d %s %v", i, status, body, err)
		}
		if cost, left := h.Get("X-Tollgate-Cost"), h.Get("X-Tollgate-Budget-Remaining"); cost != "1.00" || left != (99*price-money.Nanos(i)*price).String() {
			t.Errorf("request %d cost %s and left %s", i, cost, left)
		}
	}
	if status, _, _, err := call(r.Addr(), "/bria", "tgk_wrong"); err != nil || status != 401 {
		t.Errorf("a wrong key: %d %v", status, err)
	}
	testenv.Eventually(t, patience, func() error {
		if cost, requests, _ := c.spent(); cost != 3*price || requests != 3 {
			return fmt.Errorf("booked %s of %d requests", cost, requests)
		}
		return nil
	})

	resp, err := client.Get("http://" + r.AdminAddr() + "/-/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`tollgate_edge_requests_total{class="2xx",endpoint="bria"} 3`, `tollgate_edge_requests_total{class="4xx",endpoint="bria"} 1`,
		`tollgate_edge_refused_total{code="key_unknown"} 1`, `tollgate_edge_config_revision 1`, `tollgate_edge_ready 1`,
		`tollgate_edge_spend_nanos_total{endpoint="bria"} 3e+09`,
	} {
		if !strings.Contains(string(text), line) {
			t.Errorf("metrics lack %s", line)
		}
	}

	r.stop()
	if cost, requests, ended := c.spent(); cost != 3*price || requests != 3 || !ended {
		t.Errorf("after the stop: %s of %d requests, ended %t", cost, requests, ended)
	}
}

// Guarantee: labels, limits and usage prices work together on a whole edge: what a request names is what
// it is charged to and held back by, what it used is what the ledger books, and the spool can lie on
// disk in either way.
func TestMeteredRequest(t *testing.T) {
	t.Parallel()
	for _, storage := range []string{"mmap", "write"} {
		t.Run(storage, func(t *testing.T) {
			t.Parallel()
			c := newBooks(t)
			upstream := testenv.Vendor(t)
			cfg := settings(t, c.Server.URL())
			cfg.SpoolStorage = storage
			r := start(t, cfg)
			c.publish(1, upstream.URL)
			r.ready()
			status, body, h := r.limited("/metered", "X-Tollgate-Customer", "acme", "X-Tollgate-Tags", "red, blue")
			if status != 200 || h.Get("X-Tollgate-Cost") != "0.000000011" {
				t.Fatalf("got %d %s, cost %s", status, body, h.Get("X-Tollgate-Cost"))
			}
			if status, body, h = r.limited("/metered", "X-Tollgate-Tags", "slow"); status != 429 || !strings.Contains(body, "rate_limited") || h.Get("Retry-After") == "" {
				t.Errorf("over a limit: %d %s", status, body)
			}
			if status, body, _, err := call(r.Addr(), "/metered", key, "X-Tollgate-Customer", "a b"); err != nil || status != 400 || !strings.Contains(body, "label_invalid") {
				t.Errorf("a wrong label: %d %s %v", status, body, err)
			}
			r.stop()
			if cost, requests, ended := c.spent(); cost != 11 || requests != 1 || !ended {
				t.Fatalf("booked %s of %d requests, ended %t", cost, requests, ended)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, events := range c.events {
				e := events[0]
				var accounts []int64
				for _, d := range e.GetDraws() {
					accounts = append(accounts, d.GetWindow().GetAccount(), d.GetNanos())
				}
				if e.GetCustomer() != "acme" || !slices.Equal(e.GetTags(), []string{"blue", "red"}) || e.GetUnits() != 2 || e.GetReservedNanos() != int64(price)+11 || !slices.Equal(accounts, []int64{1, 11, 2, 11}) {
					t.Errorf("booked %v", e)
				}
			}
		})
	}
}

// Guarantee: an edge tells the fleet which revision it serves soon after it does.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	c := newBooks(t)
	r := start(t, settings(t, c.Server.URL()))
	for revision := range int64(3) {
		c.publish(revision+1, testenv.Vendor(t).URL)
		testenv.Eventually(t, time.Second+patience/3, func() error {
			h, err := c.heartbeat()
			switch {
			case err != nil:
				return err
			case h.GetRevision() != revision+1 || h.GetEpoch() != 1:
				return fmt.Errorf("revision %d.%d", h.GetEpoch(), h.GetRevision())
			case h.GetAddress() != r.Addr() || h.GetInc() == 0 || h.GetVersion() == "" || h.GetStartUnixMs() == 0 || len(h.GetMissingEnv()) > 0:
				return fmt.Errorf("heartbeat %v", h)
			}
			return nil
		})
	}
}

// Guarantee: a target that fails is shown in heartbeats and metrics, without the query of its address,
// also after a change of configuration.
func TestBreakerIsShown(t *testing.T) {
	t.Parallel()
	c := newBooks(t)
	dead := "http://127.0.0.1:1"
	r := start(t, settings(t, c.Server.URL()))
	c.publish(1, dead+"/v1?key=a-credential")
	r.ready()
	shown := func(revision int64) error {
		h, err := c.heartbeat()
		if err != nil {
			return err
		}
		if h.GetRevision() != revision || len(h.GetBreakers()) != 1 || h.GetBreakers()[0].GetTarget() != dead+"/v1" || h.GetBreakers()[0].GetState() != "open" {
			return fmt.Errorf("heartbeat %v", h)
		}
		if targets := h.GetTargets(); len(targets) != 2 || targets[1].GetEndpoint() != "metered" || targets[1].GetState() != "open" || targets[0].GetEndpoint() != "bria" || targets[0].GetTarget() != dead+"/v1" || targets[0].GetState() != "open" ||
			targets[0].GetAttempts() < 5 || targets[0].GetFailures() != targets[0].GetAttempts() || targets[0].GetInFlight() != 0 || targets[0].GetUntilUnixMs() == 0 || h.GetInFlight() != 0 {
			return fmt.Errorf("heartbeat %v", h)
		}
		return nil
	}
	testenv.Eventually(t, patience, func() error {
		status, body, _, err := call(r.Addr(), "/bria", key)
		if err != nil || status != 503 || !strings.Contains(body, "breaker_open") {
			return fmt.Errorf("%d %s %w", status, body, err)
		}
		return nil
	})
	testenv.Eventually(t, patience, func() error { return shown(1) })
	c.publish(2, dead+"/v1?key=another-credential")
	testenv.Eventually(t, patience, func() error { return shown(2) })
	resp, err := client.Get("http://" + r.AdminAddr() + "/-/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(text), `tollgate_edge_breaker_state{target="http://127.0.0.1:1/v1"} 2`) ||
		!strings.Contains(string(text), `tollgate_target_state{endpoint="bria",state="open",target="http://127.0.0.1:1/v1"} 1`) || strings.Contains(string(text), "a-credential") {
		t.Errorf("metrics: %v\n%s", err, text)
	}
}

// Guarantee: an edge that has served before starts and serves with everything else down, as far as no
// money is needed, and says so where it is.
func TestColdStart(t *testing.T) {
	t.Parallel()
	c := newBooks(t)
	upstream := testenv.Vendor(t)
	cfg := settings(t, c.Server.URL())
	r := start(t, cfg)
	c.publish(1, upstream.URL)
	r.ready()
	if status, body, _, err := call(r.Addr(), "/bria", key); err != nil || status != 200 {
		t.Fatalf("%d %s %v", status, body, err)
	}
	r.stop()

	cfg.NATS.URL = "nats://127.0.0.1:1"
	cfg.LeaseWait = 50 * time.Millisecond
	r = start(t, cfg)
	r.ready()
	if status, _, _, err := call(r.Addr(), "/bria", "tgk_wrong"); err != nil || status != 401 {
		t.Errorf("a wrong key: %d %v", status, err)
	}
	if status, body, h, err := call(r.Addr(), "/bria", key); err != nil || status != 503 || !strings.Contains(body, "budget_unavailable") || h.Get("Retry-After") == "" {
		t.Errorf("without a ledger: %d %s %v", status, body, err)
	}
}

// Guarantee: what cannot work is refused before anything is opened, all of it at once.
func TestConfig(t *testing.T) {
	t.Parallel()
	good := settings(t, "nats://127.0.0.1:1")
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	bad := edge.Config{
		Name: "a b", Listen: "4000", AdminListen: "x", MaxBodyBytes: -1, SealingKey: "short", LedgerURLs: []string{"ledger:4002"},
		TLS: edge.TLS{CertFile: "c.pem", MinVersion: "1.1"},
	}
	err := bad.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, key := range []string{"name:", "listen:", "admin_listen:", "data_dir:", "sealing_key:", "tls.key_file:", "tls.min_version:", "header_read_timeout:", "peer_timeout:", "idle_timeout:", "max_header_bytes:", "max_header_lines:", "lease_wait:", "header_timeout:", "stream_idle:", "drain:", "max_body_bytes:", "spool_max_bytes:", "spool_storage:", "ledger_urls:", "ledger_token:"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not named in %v", key, err)
		}
	}
	if strings.Contains(err.Error(), "short") {
		t.Error("the sealing key is shown")
	}
	if _, err := edge.New(t.Context(), bad, edge.Deps{}); err == nil {
		t.Error("an edge was made of it")
	}
	taken := good
	r := start(t, good)
	taken.Listen, taken.DataDir = r.Addr(), t.TempDir()
	if _, err := edge.New(t.Context(), taken, edge.Deps{}); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("an address that is taken: %v", err)
	}
}
