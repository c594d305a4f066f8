package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/gen/tollgate/ledger/v1/ledgerv1connect"
	"tollgate/internal/config"
	"tollgate/internal/contract"
	"tollgate/internal/testenv"
	"tollgate/ledger"
)

const (
	granted   = eventv1.LeaseState_LEASE_STATE_GRANTED
	pending   = eventv1.LeaseState_LEASE_STATE_PENDING
	exhausted = eventv1.LeaseState_LEASE_STATE_EXHAUSTED
	unknown   = eventv1.LeaseState_LEASE_STATE_UNKNOWN
)

// Guarantee: money goes round: an account is published, an edge is granted, its spend is booked and
// marked, and whoever asks is told what is left.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.ready(w.start(w.config()))
	w.publish(total(1, 1000))
	ctl, err := w.nc.SubscribeSync(contract.EdgeControl("edge-1"))
	if err != nil {
		t.Fatal(err)
	}

	g := w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), Need: 30, Want: 480})
	if g.GetState() != granted || g.GetGrantedTotal() != 480 || g.GetLimit() != 1000 {
		t.Errorf("first grant = %v", g)
	}
	w.spend(batch(7, "edge-1", 1, 10, 3, 1))
	w.totals(10, 30)
	marked := false
	for !marked {
		m, err := ctl.NextMsg(5 * time.Second)
		if err != nil {
			t.Fatalf("no mark: %v", err)
		}
		var c eventv1.EdgeControl
		if err := proto.Unmarshal(m.Data, &c); err != nil {
			t.Fatal(err)
		}
		for _, k := range c.GetMarks() {
			marked = k.GetInc() == 7 && k.GetHwm() == 10 && !k.GetGap() && k.GetEpoch() == 1
		}
	}
	st, err := w.state(r, 1)
	if err != nil || st.GetSpentNanos() != 30 || st.GetHeldNanos() != 450 || st.GetLimitNanos() != 1000 {
		t.Errorf("state = %v, %v", st, err)
	}
	c := ledgerv1connect.NewUsageServiceClient(bearer(token), "http://"+r.Addr())
	u, err := c.QueryUsage(t.Context(), &ledgerv1.QueryUsageRequest{
		FromDay: "2026-11-01", ToDay: "2026-11-01", GroupBy: []ledgerv1.UsageDimension{ledgerv1.UsageDimension_USAGE_DIMENSION_KEY},
	})
	if err != nil || len(u.GetRows()) != 1 || u.GetRows()[0].GetKeyId() != "key_a" || u.GetRows()[0].GetRequests() != 10 || u.GetRows()[0].GetCostNanos() != 30 {
		t.Errorf("usage = %v, %v", u, err)
	}
	w.audit()
}

// Guarantee: nobody is answered without the token, and nothing malformed is accepted.
func TestRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.ready(w.start(w.config()))
	for _, value := range []string{"", "wrong", token + "x"} {
		c := ledgerv1connect.NewAccountServiceClient(bearer(value), "http://"+r.Addr())
		_, err := c.ListAccountStates(t.Context(), &ledgerv1.ListAccountStatesRequest{Accounts: []int64{1}})
		if connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("token %q: %v", value, err)
		}
	}
	u := ledgerv1connect.NewUsageServiceClient(bearer(token), "http://"+r.Addr())
	for _, q := range []*ledgerv1.QueryUsageRequest{
		{},
		{FromDay: "2026-11-02", ToDay: "2026-11-01"},
		{FromDay: "2026-02-30", ToDay: "2026-03-01"},
		{FromDay: "1990-01-01", ToDay: "2026-01-01"},
		{FromDay: "2026-11-01", ToDay: "x"},
	} {
		if _, err := u.QueryUsage(t.Context(), q); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%v: %v", q, err)
		}
	}
	a := ledgerv1connect.NewAccountServiceClient(bearer(token), "http://"+r.Addr())
	if _, err := a.ListAccountStates(t.Context(), &ledgerv1.ListAccountStatesRequest{}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("no accounts: %v", err)
	}
	for name, line := range map[string]*eventv1.LeaseLine{
		"unknown account": {Window: win(99), Need: 1},
		"future window":   {Window: &eventv1.AccountWindow{Account: 1, Gen: 1, Start: time.Now().Add(time.Hour).Unix()}, Need: 1},
	} {
		if g, err := w.ask(7, "edge", line); err != nil || g.GetState() != unknown || g.GetGrantedTotal() != 0 {
			t.Errorf("%s: %v, %v", name, g, err)
		}
	}
	for _, edge := range []string{"", "a.b", "*"} {
		if _, err := w.ask(7, edge, &eventv1.LeaseLine{Window: win(1)}); err == nil {
			t.Errorf("edge %q was answered", edge)
		}
	}
}

// Guarantee: edges that ask at the same time never get more than the limit together, and what one
// of them gives back after a recall another one can spend.
func TestConcurrentEdgesShareALimit(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.ready(w.start(w.config()))
	const limit, price, edges = 3000, 7, 12
	w.publish(total(1, limit))
	w.need(1, "edge-0", &eventv1.LeaseLine{Window: win(1)})
	var wg sync.WaitGroup
	spent := make([]int64, edges)
	for i := range edges {
		wg.Go(func() {
			// A small edge: it spends all that it is granted, and gives back what is too little.
			e := smallEdge{inc: int64(100 + i), name: fmt.Sprintf("edge-%d", i)}
			spent[i] = e.spendAll(t, w, price)
		})
	}
	wg.Wait()
	var sum int64
	for _, n := range spent {
		sum += n
	}
	if sum > limit || sum <= limit-price {
		t.Errorf("%d edges spent %d of %d at %d each", edges, sum, limit, price)
	}
	w.audit()
}

type smallEdge struct {
	inc     int64
	name    string
	g, r, c int64
}

func (e *smallEdge) spendAll(t *testing.T, w *world, price int64) int64 {
	t.Helper()
	sub, err := w.nc.SubscribeSync(contract.EdgeControl(e.name))
	if err != nil {
		t.Error(err)
		return 0
	}
	defer func() { _ = sub.Unsubscribe() }()
	for refusals := 0; refusals < 3; {
		for e.g-e.r-e.c >= price {
			e.c += price
		}
		for m, err := sub.NextMsg(time.Microsecond); err == nil; m, err = sub.NextMsg(time.Microsecond) {
			var c eventv1.EdgeControl
			if proto.Unmarshal(m.Data, &c) == nil && len(c.GetRecalls()) > 0 {
				e.r = e.g - e.c
			}
		}
		avail := e.g - e.r - e.c
		g, err := w.ask(e.inc, e.name, &eventv1.LeaseLine{
			Window: win(1), GrantedSeen: e.g, Returned: e.r, Used: e.c, Consumed: e.c, Need: price - avail, Want: 16 * price,
		})
		if err != nil {
			t.Error(err)
			return e.c
		}
		e.g = max(e.g, g.GetGrantedTotal())
		if g.GetState() == exhausted || g.GetState() == pending {
			refusals++
			if g.GetState() == pending {
				refusals = 0
			}
			e.r = e.g - e.c
		}
	}
	_, _ = w.ask(e.inc, e.name, &eventv1.LeaseLine{Window: win(1), GrantedSeen: e.g, Returned: e.r, Used: e.c, Consumed: e.c})
	return e.c
}

// Guarantee: a limit that is lowered stops grants and recalls what is unspent; raised, it lets edges
// go on; an account that vanishes from its shard is closed; all edges are told each time.
func TestLimitChangesInFlight(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.ready(w.start(w.config()))
	told, err := w.nc.SubscribeSync(contract.BudgetChanged)
	if err != nil {
		t.Fatal(err)
	}
	// One message for each change: those of changes that follow quickly are put together, so each
	// is awaited before the next change.
	await := func(what string) {
		t.Helper()
		m, err := told.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatalf("edges were not told that the limit was %s: %v", what, err)
		}
		var c eventv1.BudgetChanged
		if err := proto.Unmarshal(m.Data, &c); err != nil || len(c.GetAccounts()) != 1 || c.GetAccounts()[0] != 1 {
			t.Errorf("%s: %v, %v", what, &c, err)
		}
	}
	ctl, err := w.nc.SubscribeSync(contract.EdgeControl("edge-1"))
	if err != nil {
		t.Fatal(err)
	}
	w.publish(total(1, 1000))
	await("set")
	w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), Need: 600})
	line := &eventv1.LeaseLine{Window: win(1), GrantedSeen: 600, Used: 100, Consumed: 100, Need: 10}

	w.publish(total(1, 300))
	for {
		m, err := ctl.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatalf("no recall: %v", err)
		}
		var c eventv1.EdgeControl
		if err := proto.Unmarshal(m.Data, &c); err != nil {
			t.Fatal(err)
		}
		if c.GetInc() == 7 && len(c.GetRecalls()) == 1 {
			break
		}
	}
	await("lowered")
	if g, err := w.ask(7, "edge-1", line); err != nil || g.GetState() != exhausted || g.GetGrantedTotal() != 600 || g.GetLimit() != 300 {
		t.Errorf("lowered: %v, %v", g, err)
	}
	line.Returned = 500 // it gives back
	if g, err := w.ask(7, "edge-1", line); err != nil || g.GetState() != granted || g.GetGrantedTotal() != 610 {
		t.Errorf("returned: %v, %v", g, err)
	}
	await("no longer reached")
	w.publish(total(1, 5000))
	await("raised")
	line.GrantedSeen, line.Need = 610, 3000
	testenv.Eventually(t, 10*time.Second, func() error {
		g, err := w.ask(7, "edge-1", line)
		if err == nil && g.GetState() != granted {
			err = fmt.Errorf("raised: %v", g)
		}
		return err
	})
	w.publish()
	testenv.Eventually(t, 10*time.Second, func() error {
		g, err := w.ask(7, "edge-1", line)
		if err == nil && g.GetState() != unknown {
			err = fmt.Errorf("deleted: %v", g)
		}
		return err
	})
	await("deleted")
	w.audit()
}

// Guarantee: what is repeated, reordered, missing, undecodable or forged in the stream leaves the
// totals exact, and nothing of it stops the others.
func TestStreamTrouble(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.ready(w.start(w.config()))
	w.publish(total(1, 1000000))
	w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), Need: 1})
	ctl, err := w.nc.SubscribeSync(contract.EdgeControl("edge-1"))
	if err != nil {
		t.Fatal(err)
	}
	w.spend(batch(7, "edge-1", 1, 10, 1, 1))
	w.spend(batch(7, "edge-1", 21, 10, 1, 1)) // 11 to 20 are missing
	testenv.Eventually(t, 10*time.Second, func() error {
		m, err := ctl.NextMsg(time.Second)
		if err != nil {
			return err
		}
		var c eventv1.EdgeControl
		if err := proto.Unmarshal(m.Data, &c); err != nil {
			return err
		}
		for _, k := range c.GetMarks() {
			if k.GetGap() && k.GetHwm() == 10 {
				return nil
			}
		}
		return errors.New("no gap reported yet")
	})
	w.raw(contract.Spend(0, "edge-1"), []byte("\xff\xffnot a batch"))
	w.raw(contract.Spend(0, "edge-1"), nil)
	w.raw(contract.Spend(0, "edge-\xff\x01"), []byte("bytes that no text column takes: \x00"))
	forged := batch(8, "edge-2", 1, 5, 1, 1)
	data, err := proto.Marshal(forged)
	if err != nil {
		t.Fatal(err)
	}
	w.raw(contract.Spend(0, "edge-1"), data)
	negative := batch(9, "edge-1", 1, 1, -5, 1)
	w.spend(negative)
	for range 3 { // from the mark on, again and again
		w.spend(batch(7, "edge-1", 11, 10, 1, 1))
		w.spend(batch(7, "edge-1", 21, 10, 1, 1))
		w.spend(batch(7, "edge-1", 6, 20, 1, 1))
	}
	w.totals(30, 30)
	var anomalies int
	if err := w.pool.QueryRow(t.Context(), `SELECT count(*) FROM ledger.anomaly WHERE kind = 'spend_refused'`).Scan(&anomalies); err != nil || anomalies != 5 {
		t.Errorf("%d anomalies, %v", anomalies, err)
	}
	w.audit()
}

// Guarantee: a stream that was deleted is made again, and what edges send again is booked once.
func TestStreamWiped(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.ready(w.start(w.config()))
	for i := range 20 {
		w.spend(batch(7, "edge-1", uint64(1+i*5), 5, 2))
	}
	w.totals(100, 200)
	if err := w.js.DeleteStream(t.Context(), contract.SpendStream(0)); err != nil {
		t.Fatal(err)
	}
	for i := range 30 { // all of it again, and more; the new stream's numbers are below the position
		w.spend(batch(7, "edge-1", uint64(1+i*5), 5, 2))
	}
	w.totals(150, 300)
	w.audit()
}

// Guarantee: connections that die in the middle of anything lose and double nothing, and the ledger
// comes back by itself.
func TestDatabaseConnectionsDie(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.ready(w.start(w.config()))
	w.publish(total(1, 1<<40))
	w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), Need: 1})
	for i := range 60 {
		w.spend(batch(7, "edge-1", uint64(1+i*50), 50, 1, 1))
		if i%10 == 5 {
			if _, err := w.pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.totals(3000, 3000)
	w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), Need: 1})
	w.audit()
}

// Guarantee: of two ledgers one leads, the other answers questions and takes over when the first is
// gone, and the books go on where they were.
func TestHandover(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first := w.ready(w.start(w.config()))
	second := w.ready(w.start(w.config()))
	w.publish(total(1, 1000))
	g := w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), Need: 400})
	w.spend(batch(7, "edge-1", 1, 10, 1, 1))
	w.totals(10, 10)
	for _, r := range []*running{first, second} {
		if st, err := w.state(r, 1); err != nil || st.GetSpentNanos() != 10 || st.GetHeldNanos() != 390 {
			t.Errorf("state = %v, %v", st, err)
		}
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 10*time.Second, func() error {
		again, err := w.ask(7, "edge-1", &eventv1.LeaseLine{Window: win(1), GrantedSeen: g.GetGrantedTotal(), Need: 600})
		if err == nil && (again.GetState() != granted || again.GetGrantedTotal() != 1000) {
			t.Errorf("after the handover: %v", again)
		}
		return err
	})
	w.spend(batch(7, "edge-1", 6, 15, 1, 1))
	w.totals(20, 20)
	w.audit()
}

// Guarantee: a ledger starts while NATS is away: it says that it is not ready, and answers questions.
func TestStartsWithNATSAway(t *testing.T) {
	t.Parallel()
	w := setup(t)
	cfg := w.config()
	cfg.NATS.URL = "nats://127.0.0.1:1"
	r := w.start(cfg)
	status := func(path string) int {
		resp, err := bearer("").Do(mustRequest(t, "http://"+r.Addr()+path))
		if err != nil {
			return 0
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	testenv.Eventually(t, 10*time.Second, func() error {
		if h, rd := status("/healthz"), status("/readyz"); h != http.StatusOK || rd != http.StatusServiceUnavailable {
			return fmt.Errorf("healthz %d, readyz %d", h, rd)
		}
		_, err := w.state(r, 1)
		if err != nil && !strings.Contains(err.Error(), "0 states") {
			return err
		}
		return nil
	})
}

func mustRequest(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// Guarantee: a ledger never serves on a schema that lacks migrations.
func TestRefusesOldSchema(t *testing.T) {
	t.Parallel()
	w := setup(t)
	cfg := w.config()
	cfg.DatabaseURL = config.Secret(testenv.PostgresURL(t, nil))
	s, err := ledger.New(t.Context(), cfg, ledger.Deps{Log: testenv.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Run(ctx); err == nil || !strings.Contains(err.Error(), "run tollgate migrate") {
		t.Errorf("Run = %v", err)
	}
}

// Guarantee: every problem of a configuration is reported at once, by its key.
func TestConfig(t *testing.T) {
	t.Parallel()
	bad := ledger.Config{}
	err := bad.Validate()
	for _, key := range []string{"listen", "database_url", "token", "nats.url", "partitions", "replicas", "stream_max_bytes", "flush_every", "drain"} {
		if err == nil || !strings.Contains(err.Error(), key+":") {
			t.Errorf("nothing is said about %s: %v", key, err)
		}
	}
	good := ledger.DefaultConfig()
	good.DatabaseURL, good.Token = "postgres://x", "y"
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}
