package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/vendor"
)

// Guarantee: whatever is killed with -9 and started again, in whatever order and several at a time,
// requests without a budget pass on every edge that runs, no budget is overspent, and once all is up
// the books equal what the vendor counted, nothing is left in a spool, what dead edges held is free,
// and one edge alone can spend the rest of the budget to its last request.
//
// TOLLGATE_CHAOS_SEED repeats a run, and TOLLGATE_CHAOS_ROUNDS makes a longer one.
func TestChaos(t *testing.T) {
	t.Parallel()
	seed := chaosSetting(t, "TOLLGATE_CHAOS_SEED", uint64(time.Now().UnixNano()))
	rounds := chaosSetting(t, "TOLLGATE_CHAOS_ROUNDS", 8)
	t.Logf("TOLLGATE_CHAOS_SEED=%d TOLLGATE_CHAOS_ROUNDS=%d", seed, rounds)
	dice := rand.New(rand.NewPCG(seed, 0))

	c := start(t, withLeaseAhead([]int{1, 16, 100_000}[dice.IntN(3)]))
	x := &chaos{cluster: c, dice: dice, price: nanos(t, "0.01"), requests: 200}
	for _, kind := range []string{"hard", "free"} {
		c.endpoint(kind, "/"+kind, "0.01", func(e *controlv1.Endpoint) { e.Targets[0].Url += "/" + kind })
	}
	x.hardKey, x.freeKey = c.key("hard"), c.key("free")
	c.budget("total", "hard", x.limit().String())
	c.must(c.rpc.budgets.CreateBudget(t.Context(), &controlv1.CreateBudgetRequest{Budget: &controlv1.Budget{
		Name: "hourly", Scope: &controlv1.Budget_Key{Key: "hard"},
		Amount: contract.MoneyToProto(1000 * money.Dollar), Period: controlv1.Period_PERIOD_HOUR,
	}}))
	c.awaitLive()
	x.begin()
	for range rounds {
		x.round()
	}
	x.recoverAll()
	x.end()
	x.checkBooks()
	x.spendRest()
	x.checkBooks()
	x.checkDatabase()
}

func chaosSetting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// withLeaseAhead has the edges ask for so many requests' money at a time.
func withLeaseAhead(n int) option {
	return func(c *cluster) {
		for i := range c.edges {
			path := filepath.Join(c.dir, fmt.Sprintf("edge-%d.yaml", i+1))
			text, err := os.ReadFile(path)
			if err != nil {
				c.t.Fatal(err)
			}
			changed := strings.Replace(string(text), "lease_ahead: 100000", "lease_ahead: "+strconv.Itoa(n), 1)
			if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

// chaos is a cluster under traffic on which a seeded schedule plays.
type chaos struct {
	*cluster
	dice             *rand.Rand
	price            money.Nanos
	requests         int64 // that the budget is for, and a half
	hardKey, freeKey string
	parts            []*part
	kills            int // of edges

	mu       sync.Mutex // guards the fields below
	calls    int        // in flight
	waiting  int        // of these, at the vendor, which does not answer
	attempts int        // that have ended, however
	passed   map[string]int
	arrived  map[string]int
	pause    chan struct{} // not nil: nobody begins a call until it is closed
	hold     chan struct{} // not nil: the vendor does not answer until it is closed

	stop chan struct{}
	wg   sync.WaitGroup
}

// part is something that can be killed.
type part struct {
	name        string
	up          bool
	kill, start func()
}

func (x *chaos) limit() money.Nanos { return money.Nanos(x.requests)*x.price + x.price/2 }

// begin has six callers call both edges, half of them with the key that has a budget.
func (x *chaos) begin() {
	c := x.cluster
	x.parts = []*part{
		{"control plane", true, c.control.kill, c.control.start},
		{"ledger", true, c.ledger.kill, c.ledger.start},
		{"nats", true, x.killNATS, c.nats.start},
		{"postgres", true, c.killPostgres, c.startPostgres},
	}
	other, _ := c.second("ledger", c.ledgerAddr)
	x.parts = append(x.parts, &part{"second ledger", true, other.kill, other.start})
	for i, e := range c.edges {
		x.parts = append(x.parts, &part{e.name, true, func() { x.killEdge(i) }, e.start})
	}
	x.passed, x.arrived = map[string]int{}, map[string]int{}
	x.stop = make(chan struct{})
	c.vendor.Handle(x.answer)
	pace := time.NewTicker(4 * time.Millisecond)
	c.t.Cleanup(pace.Stop)
	for w := range 6 {
		path, key := "/free", x.freeKey
		if w%2 == 0 {
			path, key = "/hard", x.hardKey
		}
		x.wg.Go(func() {
			for i := w / 2; ; i++ {
				select {
				case <-x.stop:
					return
				case <-pace.C:
					x.call(i%len(c.edges), path, key)
				}
			}
		})
	}
	x.await(200)
}

// answer is the vendor.
func (x *chaos) answer(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	x.arrived[strings.Trim(r.URL.Path, "/")]++
	hold := x.hold
	x.mu.Unlock()
	if hold != nil {
		x.mu.Lock()
		x.waiting++
		x.mu.Unlock()
		<-hold
		x.mu.Lock()
		x.waiting--
		x.mu.Unlock()
	}
	vendor.JSON(http.StatusOK, `{}`)(w, r)
}

// call sends a request and judges the answer: none is a killed edge, and only a budget may be a
// reason to refuse.
func (x *chaos) call(edge int, path, key string) (status int, code string) {
	x.mu.Lock()
	for x.pause != nil {
		pause := x.pause
		x.mu.Unlock()
		<-pause
		x.mu.Lock()
	}
	x.calls++
	x.mu.Unlock()
	resp, body, err := x.cluster.call(edge, key, path)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.calls--
	x.attempts++
	if err != nil {
		return 0, ""
	}
	status, code = resp.StatusCode, errorCode(body)
	switch {
	case status == http.StatusOK:
		x.passed[path]++
	case path == "/hard" && (code == "budget_exhausted" || code == "budget_unavailable"):
	default:
		x.t.Errorf("edge %d answered a call to %s with %d %s", edge+1, path, status, body)
	}
	return status, code
}

// await returns after so many more calls.
func (x *chaos) await(n int) {
	x.t.Helper()
	x.mu.Lock()
	want := x.attempts + n
	x.mu.Unlock()
	x.until(func() error {
		if x.attempts < want {
			return fmt.Errorf("%d of %d calls have ended", x.attempts, want)
		}
		return nil
	})
}

// until waits for what cond says under the lock.
func (x *chaos) until(cond func() error) {
	x.t.Helper()
	testenv.Eventually(x.t, eventually, func() error {
		x.mu.Lock()
		defer x.mu.Unlock()
		return cond()
	})
}

// killEdge kills an edge while every call is either at the vendor or not begun, so that each intent
// on its disk is one that the vendor has counted.
func (x *chaos) killEdge(i int) {
	x.mu.Lock()
	x.hold = make(chan struct{})
	x.mu.Unlock()
	x.until(func() error {
		if x.waiting < 3 && x.upEdges() > 0 {
			return fmt.Errorf("%d calls are at the vendor", x.waiting)
		}
		return nil
	})
	x.mu.Lock()
	x.pause = make(chan struct{})
	x.mu.Unlock()
	x.until(func() error {
		if x.calls != x.waiting {
			return fmt.Errorf("of %d calls %d are at the vendor", x.calls, x.waiting)
		}
		return nil
	})
	x.edges[i].kill()
	x.kills++
	x.mu.Lock()
	close(x.hold)
	close(x.pause)
	x.hold, x.pause = nil, nil
	x.mu.Unlock()
}

// killNATS kills nats-server, and one time in four takes its disk away: what it had acknowledged is
// lost then, and has to come from the edges and the database again.
func (x *chaos) killNATS() {
	x.nats.kill()
	if x.dice.IntN(4) > 0 {
		return
	}
	x.t.Logf("nats has lost its disk")
	if err := os.RemoveAll(filepath.Join(x.dir, "nats")); err != nil {
		x.t.Fatal(err)
	}
}

func (x *chaos) upEdges() (n int) {
	for _, p := range x.parts[len(x.parts)-len(x.edges):] {
		if p.up {
			n++
		}
	}
	return n
}

// round kills and starts up to three parts one right after the other, and lets traffic flow.
func (x *chaos) round() {
	x.t.Helper()
	for _, k := range x.dice.Perm(len(x.parts))[:1+x.dice.IntN(3)] {
		x.flip(x.parts[k])
		if x.dice.IntN(2) == 0 {
			x.await(x.dice.IntN(60))
		}
	}
	if x.dice.IntN(2) == 0 {
		x.requests += 100
		ctx, cancel := context.WithTimeout(x.t.Context(), time.Second)
		_, err := x.rpc.budgets.UpdateBudget(ctx, &controlv1.UpdateBudgetRequest{Budget: "total", Amount: contract.MoneyToProto(x.limit())})
		cancel()
		x.t.Logf("budget raised to %d requests: %v", x.requests, err)
	}
	x.await(30 + x.dice.IntN(200))
	x.checkLimit()
}

func (x *chaos) flip(p *part) {
	x.t.Helper()
	if p.up {
		x.t.Logf("kill %s", p.name)
		p.kill()
	} else {
		x.t.Logf("start %s", p.name)
		p.start()
	}
	p.up = !p.up
}

func (x *chaos) checkLimit() {
	x.t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	if n := int64(x.arrived["hard"]); n > x.requests {
		x.t.Errorf("%d requests passed under a budget for %d", n, x.requests)
	}
}

// recoverAll brings up what is down and waits until everything works.
func (x *chaos) recoverAll() {
	x.t.Helper()
	for _, k := range x.dice.Perm(len(x.parts)) {
		if p := x.parts[k]; !p.up {
			x.flip(p)
		}
	}
	x.control.awaitHTTP("http://" + x.controlAddr + "/readyz")
	x.ledger.awaitHTTP("http://" + x.ledgerAddr + "/readyz")
	for i, e := range x.edges {
		e.awaitHTTP("http://" + x.edgeAddrs[i] + "/-/readyz")
	}
	x.requests += 150
	x.must(x.rpc.budgets.UpdateBudget(x.t.Context(), &controlv1.UpdateBudgetRequest{Budget: "total", Amount: contract.MoneyToProto(x.limit())}))
	x.awaitLive()
	x.mu.Lock()
	hard, free := x.passed["/hard"], x.passed["/free"]
	x.mu.Unlock()
	x.until(func() error {
		if h, f := x.passed["/hard"]-hard, x.passed["/free"]-free; h < 20 || f < 20 {
			return fmt.Errorf("%d and %d calls have passed since all is up", h, f)
		}
		return nil
	})
}

func (x *chaos) end() {
	close(x.stop)
	x.wg.Wait()
}

// counted is what the vendor's requests of a kind cost.
func (x *chaos) counted(kind string) money.Nanos {
	x.mu.Lock()
	defer x.mu.Unlock()
	return money.Nanos(x.arrived[kind]) * x.price
}

// checkBooks compares the ledger with the vendor, and waits for the spools to be drained.
func (x *chaos) checkBooks() {
	x.t.Helper()
	x.checkLimit()
	x.awaitSpent(x.counted("hard") + x.counted("free"))
	testenv.Eventually(x.t, eventually, func() error {
		resp, err := x.rpc.system.ListNodes(x.t.Context(), &controlv1.ListNodesRequest{})
		if err != nil {
			return err
		}
		for _, n := range resp.GetNodes() {
			if n.GetStatus() != controlv1.NodeStatus_NODE_STATUS_LIVE || n.GetSpoolEvents() != 0 {
				return fmt.Errorf("%v", n)
			}
		}
		return nil
	})
}

// spendRest spends what is left from one edge.
func (x *chaos) spendRest() {
	x.t.Helper()
	edge := x.dice.IntN(len(x.edges))
	testenv.Eventually(x.t, eventually, func() error {
		for {
			status, code := x.call(edge, "/hard", x.hardKey)
			switch n := x.counted("hard") / x.price; {
			case status == http.StatusOK:
			case code == "budget_exhausted" && int64(n) == x.requests:
				return nil
			default:
				return fmt.Errorf("edge %d: %d %s after %d of %d requests", edge+1, status, code, n, x.requests)
			}
		}
	})
}

// unbalanced counts the account-windows of which what was set aside is not what was lent.
const unbalanced = `SELECT count(*) FROM ledger.account_window a WHERE a.alloc <> (
	SELECT coalesce(sum(greatest(l.granted - l.returned, l.consumed)), 0) FROM ledger.lease l
	WHERE l.account_id = a.account_id AND l.gen = a.gen AND l.start = a.start)`

// checkDatabase looks at the rows themselves.
func (x *chaos) checkDatabase() {
	x.t.Helper()
	t, ctx := x.t, x.t.Context()
	conn, err := pgx.Connect(ctx, x.databaseURL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	number := func(sql string) (n int64) {
		t.Helper()
		if err := conn.QueryRow(ctx, sql).Scan(&n); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return n
	}
	for what, want := range map[string]int64{
		unbalanced: 0,
		`SELECT count(*) FROM ledger.account_window a WHERE a.alloc > a.lim OR a.overrun > 0`: 0,
		// Each edge that died has ended, and holds nothing.
		`SELECT count(*) FROM ledger.incarnation i WHERE i.closed`:     int64(x.kills),
		`SELECT count(*) FROM ledger.incarnation i WHERE NOT i.closed`: int64(len(x.edges)),
		`SELECT count(*) FROM ledger.lease l JOIN ledger.incarnation i ON i.inc = l.inc
			WHERE i.closed AND l.granted - l.returned <> l.consumed`: 0,
		`SELECT coalesce(sum(l.consumed), 0)::bigint FROM ledger.lease l JOIN ledger.account a ON a.account_id = l.account_id WHERE a.period = 1`: int64(x.counted("hard")),
		`SELECT coalesce(sum(l.consumed), 0)::bigint FROM ledger.lease l JOIN ledger.account a ON a.account_id = l.account_id WHERE a.period = 2`: int64(x.counted("hard")),
		`SELECT sum(u.requests)::bigint FROM ledger.usage_day u`:                                                                                  int64((x.counted("hard") + x.counted("free")) / x.price),
		`SELECT count(*) FROM ledger.anomaly`: 0,
	} {
		if got := number(what); got != want {
			t.Errorf("%s\nis %d, want %d", what, got, want)
		}
	}
}
