package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tollgate/edge/admit"
	"tollgate/edge/limit"
	"tollgate/edge/metrics"
	"tollgate/edge/pool"
	"tollgate/edge/routing"
	"tollgate/edge/spool"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(onEveryEngine{m}) }

const (
	testKey   = "tgk_0123456789abcdefghijklmnopqrstuv"
	otherKey  = "sk-imported-by-hand-000000000000000"
	vendorKey = "vendor-secret-1"
	patience  = 10 * time.Second // for what happens at once unless something is broken
	price     = 2 * money.Dollar
)

// bench is a gateway between a client on raw TCP and a scripted vendor on raw TCP.
type bench struct {
	t       testing.TB
	addr    string
	vendor  *rawVendor
	spool   *watchedSpool
	money   *purse
	gate    *gate
	metrics *metrics.Metrics
	gateway *Gateway
	server  EngineServer
	routes  *routing.Holder
	served  chan error
}

// options change a bench before it starts.
type options struct {
	proxy     Config
	server    ServerOptions
	client    ClientOptions
	endpoints []*eventv1.RouteEndpoint
	upstream  Upstream
	pools     Pools
	accounts  []*eventv1.Account
	limits    []*eventv1.Limit
	keys      []*eventv1.ShardKey // besides those that every bench has
	rules     *eventv1.CustomerRules
	sight     Customers
}

func newBench(t *testing.T, change ...func(*options)) *bench {
	t.Helper()
	b := &bench{t: t, vendor: newRawVendor(t), money: &purse{left: 100 * money.Dollar}, gate: &gate{}, metrics: metrics.New(), routes: &routing.Holder{}, served: make(chan error, 1)}
	o := options{
		proxy: Config{MaxBody: 1 << 30, HeaderTimeout: patience, StreamIdle: patience},

		endpoints: b.endpoints(), accounts: []*eventv1.Account{accountOf(7, eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING, "")}, pools: pool.New(slog.New(slog.DiscardHandler)),
	}
	o.client.AllowPrivate = true
	o.server.Linger = 200 * time.Millisecond
	for _, f := range change {
		f(&o)
	}
	b.serve(&eventv1.RouteSnapshot{Endpoints: o.endpoints, Accounts: o.accounts, Limits: o.limits})
	b.spool = newWatchedSpool(t)

	t.Logf("over the %s lane", engine.Lane)
	client := engine.Client(o.client)
	t.Cleanup(client.Close)
	if o.upstream == nil {
		o.upstream = client
	}
	log := slog.New(slog.DiscardHandler)
	b.gateway = New(o.proxy, Deps{
		Routes: b.routes, Keys: newKeys(t, o.keys...), Budgets: b.money, Limits: b.gate, Spool: b.spool,
		Pools: o.pools, Upstream: o.upstream, Metrics: b.metrics, Log: log,
	})
	b.server = engine.Server(o.server, b.gateway, log)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addr = l.Addr().String()
	go func() { b.served <- b.server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		b.vendor.stop()
		if err := b.server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-b.served; err != nil {
			t.Errorf("serve: %v", err)
		}
		b.checkMoney()
	})
	return b
}

func (b *bench) serve(s *eventv1.RouteSnapshot) {
	b.t.Helper()
	for _, e := range s.GetEndpoints() {
		if e.GetPriceNanos() > 0 && e.GetCharge() == nil {
			e.Charge = everyMethod
		}
	}
	table, err := routing.Compile(s, contract.Version{Epoch: 1, Revision: 1}, routing.Lookups{
		Env: func(name string) (string, bool) { return "from-env", name == "VENDOR" },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.routes.Store(table)
}

// endpoints is one of each kind that a case may need.
func (b *bench) endpoints() []*eventv1.RouteEndpoint {
	base := "http://" + b.vendor.addr
	dead := "http://" + deadAddress(b.t)
	auth := []*eventv1.RouteHeader{{Name: "Authorization", Value: "Bearer " + vendorKey}}
	all := func(name, target string) *eventv1.RouteEndpoint {
		return &eventv1.RouteEndpoint{
			Id: "ep_" + name, Name: name, Path: "/" + name, Targets: []string{target}, Headers: auth,
			Forward: eventv1.ForwardMode_FORWARD_MODE_ALL, PriceNanos: int64(price), PriceVersion: 1,
		}
	}
	list := []*eventv1.RouteEndpoint{
		all("x", base+"/base"), all("root", base), all("query", base+"/base?timeout=60"),
		all("safe", base+"/base"), all("none", base+"/base"), all("open", base+"/base"),
		all("get", base+"/get"), all("post", base+"/post"),
		all("slow", base), all("small", base), all("free", base),
		all("dead", dead), all("failover", dead), all("own", base), all("host", base), all("unset", base),
		all("tls", strings.Replace(base, "http:", "https:", 1)),
	}
	by := map[string]*eventv1.RouteEndpoint{}
	for _, e := range list {
		by[e.GetName()] = e
	}
	by["safe"].Forward = eventv1.ForwardMode_FORWARD_MODE_SAFE_LIST
	by["none"].Forward = eventv1.ForwardMode_FORWARD_MODE_NONE
	by["open"].Headers = nil
	by["get"].Path, by["get"].Methods = "/m", []string{"GET"}
	by["post"].Path, by["post"].Methods = "/m", []string{"POST"}
	by["slow"].TimeoutMs = 150
	by["small"].MaxBodyBytes = 10
	by["free"].Free, by["free"].PriceNanos = true, 0
	by["failover"].Targets = append(by["failover"].Targets, base+"/second")
	by["own"].KeyHeader = "X-My-Key"
	by["host"].Headers = []*eventv1.RouteHeader{{Name: "Host", Value: "other.example"}, {Name: "x-two", Value: "1"}, {Name: "X-Two", Value: "2"}}
	by["unset"].Headers = []*eventv1.RouteHeader{{Name: "X-Key", Value: "${env:NOT_SET}"}}
	return list
}

// everyMethod charges requests that only look as well, of an endpoint that answers everything.
var everyMethod = &controlv1.Charge{Methods: append([]string{"PURGE"}, common...)}

// accountOf is an account that never starts anew.
func accountOf(id int64, scope eventv1.AccountScope, name string) *eventv1.Account {
	return &eventv1.Account{
		Id: id, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL, TimeZone: "UTC", Scope: scope, ScopeName: name, Subject: "test", LimitNanos: 1,
	}
}

func newKeys(tb testing.TB, more ...*eventv1.ShardKey) *admit.Keys {
	tb.Helper()
	keys := &admit.Keys{}
	all := append([]*eventv1.ShardKey{keyOf(testKey), keyOf(otherKey)}, more...)
	for _, k := range all {
		hash := [32]byte(k.GetSha256())
		if err := keys.SetShard(&eventv1.KeyShard{Shard: contract.KeyShardOf(hash), Keys: []*eventv1.ShardKey{k}}); err != nil {
			tb.Fatal(err)
		}
	}
	return keys
}

// keyOf is the key with a secret.
func keyOf(secret string) *eventv1.ShardKey {
	hash := contract.KeyHash([]byte(secret))
	return &eventv1.ShardKey{Sha256: hash[:], Id: "key_" + secret[:3], Name: "ci-bot"}
}

// deadAddress is one where nobody listens.
func deadAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// checkMoney is what must hold however a test went: each intent and each hold ended exactly once,
// with the same amounts.
func (b *bench) checkMoney() {
	b.t.Helper()
	b.spool.mu.Lock()
	defer b.spool.mu.Unlock()
	b.money.mu.Lock()
	defer b.money.mu.Unlock()
	var cost money.Nanos
	for ticket, in := range b.spool.intents {
		ends := b.spool.ends[ticket]
		if len(ends) != 1 {
			b.t.Errorf("intent %d of %x has %d settlements", in.Attempt, in.Request, len(ends))
			continue
		}
		cost += ends[0].Cost
	}
	if b.money.open != 0 || b.money.twice != 0 {
		b.t.Errorf("%d holds are open, %d were settled twice", b.money.open, b.money.twice)
	}
	if b.money.spent != cost {
		b.t.Errorf("budgets were charged %s, the spool has %s", b.money.spent, cost)
	}
	b.gate.mu.Lock()
	defer b.gate.mu.Unlock()
	if b.gate.open != 0 || b.gate.twice != 0 {
		b.t.Errorf("%d passes are open, %d ended twice", b.gate.open, b.gate.twice)
	}
}

// partial is what was recorded while an attempt ran.
type partial struct{ reserved, metered money.Nanos }

// watchedSpool remembers what goes into a real spool.
type watchedSpool struct {
	*spool.Spool

	mu      sync.Mutex // guards what follows
	intents map[spool.Ticket]spool.Intent
	parts   map[spool.Ticket][]partial
	ends    map[spool.Ticket][]spool.Settlement
	order   []spool.Ticket
	refuse  bool // intents
	full    bool // refuses partials
	settled chan spool.Settlement
}

func newWatchedSpool(tb testing.TB) *watchedSpool {
	tb.Helper()
	s, err := spool.Open(spool.Options{Storage: spool.NewMemory(), SegmentBytes: 1 << 20, Edge: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close spool: %v", err)
		}
	})
	return &watchedSpool{
		Spool: s, intents: map[spool.Ticket]spool.Intent{}, parts: map[spool.Ticket][]partial{}, ends: map[spool.Ticket][]spool.Settlement{},
		settled: make(chan spool.Settlement, 1<<16),
	}
}

func (s *watchedSpool) Intent(in *spool.Intent) (spool.Ticket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse {
		return spool.Ticket{}, fault.New(fault.SpoolUnavailable, "The disk is full.")
	}
	ticket, err := s.Spool.Intent(in)
	if err == nil {
		kept := *in
		kept.Draws = slices.Clone(in.Draws)
		s.intents[ticket] = kept
		s.order = append(s.order, ticket)
	}
	return ticket, err
}

func (s *watchedSpool) Partial(ticket spool.Ticket, reserved, metered money.Nanos) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return fault.New(fault.SpoolUnavailable, "The disk is full.")
	}
	s.parts[ticket] = append(s.parts[ticket], partial{reserved, metered})
	return s.Spool.Partial(ticket, reserved, metered)
}

func (s *watchedSpool) Settle(ticket spool.Ticket, end *spool.Settlement) {
	s.mu.Lock()
	s.ends[ticket] = append(s.ends[ticket], *end)
	s.mu.Unlock()
	s.Spool.Settle(ticket, end)
	s.settled <- *end
}

// settled waits for the next settlement.
func (b *bench) settled() spool.Settlement {
	b.t.Helper()
	select {
	case end := <-b.spool.settled:
		return end
	case <-time.After(patience):
		b.t.Fatal("nothing was settled")
		return spool.Settlement{}
	}
}

// wantSettled waits for the next settlement and compares what was charged.
func (b *bench) wantSettled(status int, outcome eventv1.SpendOutcome, cost money.Nanos) {
	b.t.Helper()
	if got := b.settled(); got.Status != status || got.Outcome != outcome || got.Cost != cost {
		b.t.Errorf("settled %d %s %s, want %d %s %s", got.Status, got.Outcome, got.Cost, status, outcome, cost)
	}
}

// purse is a budget without a ledger.
type purse struct {
	mu    sync.Mutex // guards what follows
	left  money.Nanos
	spent money.Nanos
	open  int
	twice int
	err   error

	extended int         // how often a hold was to grow
	fails    func() bool // whether it does not; nil for never
}

func (p *purse) Hold(_ context.Context, _ *admit.Hold, accounts []*admit.Account, amount money.Nanos) (Hold, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return nil, p.err
	}
	if p.left < amount {
		return nil, fault.New(fault.BudgetExhausted, "Nothing left.")
	}
	p.left -= amount
	p.open++
	h := &purseHold{p: p, amount: amount}
	for _, a := range accounts {
		h.draws = append(h.draws, contract.Draw{Window: contract.Window{Account: a.ID()}, Part: a.Part()})
	}
	return h, nil
}

type purseHold struct {
	p      *purse
	amount money.Nanos
	draws  []contract.Draw
	ended  bool
}

func (h *purseHold) Draws(into []contract.Draw) []contract.Draw { return append(into, h.draws...) }

func (h *purseHold) Extend(_ context.Context, more money.Nanos) error {
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	h.p.extended++
	switch {
	case h.ended:
		h.p.twice++
		return errors.New("it has ended")
	case h.p.err != nil:
		return h.p.err
	case h.p.fails != nil && h.p.fails():
		return fault.New(fault.BudgetUnavailable, "Not now.")
	case h.p.left < more:
		return fault.New(fault.BudgetExhausted, "Nothing left for more.")
	}
	h.p.left -= more
	h.amount += more
	return nil
}

func (h *purseHold) Settle(actual money.Nanos) {
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	if h.ended {
		h.p.twice++
		return
	}
	h.ended = true
	h.p.open--
	h.p.spent += actual
	h.p.left += h.amount - actual
}

func (h *purseHold) Remaining() (money.Nanos, bool) {
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	return h.p.left, true
}

// gate is limits without a ledger.
type gate struct {
	mu    sync.Mutex // guards what follows
	err   error
	open  int
	twice int
	fails func() bool // whether a request is refused; nil for never
	asked []asked     // of each request that was let through
}

// asked is what a request took of its limits and what became of it.
type asked struct {
	limits   []int64
	units    int64
	used     int64
	settled  bool
	released bool
}

func (g *gate) Acquire(_ context.Context, _ *limit.Pass, limits []*limit.Limit, units int64) (Pass, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return nil, g.err
	}
	if g.fails != nil && g.fails() {
		return nil, fault.New(fault.RateLimited, "Too many.")
	}
	a := asked{units: units}
	for _, l := range limits {
		a.limits = append(a.limits, l.ID())
	}
	g.asked = append(g.asked, a)
	g.open++
	return &gatePass{g, len(g.asked) - 1}, nil
}

type gatePass struct {
	g *gate
	n int
}

func (p *gatePass) Settle(units int64) {
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	if a := &p.g.asked[p.n]; !a.settled {
		a.settled, a.used = true, units
	}
}

func (p *gatePass) Release() {
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	if p.g.asked[p.n].released {
		p.g.twice++
	}
	p.g.asked[p.n].released = true
	p.g.open--
}

// header is the value of the only header of a name, or what is wrong with it.
func header(lines []string, name string) string {
	values := all(lines, name)
	if len(values) != 1 {
		return fmt.Sprintf("%d headers %s", len(values), name)
	}
	return values[0]
}

// all are the values of the headers of a name.
func all(lines []string, name string) []string {
	var out []string
	for _, l := range lines {
		n, v, ok := strings.Cut(l, ":")
		if ok && strings.EqualFold(n, name) {
			out = append(out, strings.TrimSpace(v))
		}
	}
	return slices.Clip(out)
}
