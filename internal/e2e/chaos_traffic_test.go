package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// kind is a kind of request: an endpoint, the key that is used with it, and what the vendor has to
// know to say to the nano-dollar what it is owed.
type kind struct {
	name   string
	key    string // name of the key
	budget bool   // a hard budget may refuse it
	limit  bool   // a limit may refuse it
	work   time.Duration

	// What it costs: base, and rate for each of so many units, and what is held for it.
	base, rate, hold money.Nanos
	price            func(k *kind) *controlv1.Price
	units            int // at most
	answer           func(w http.ResponseWriter, units int)
}

// cost is exact, and rounded up once.
func (k *kind) cost(units int) money.Nanos {
	if k.rate == 0 {
		return k.base
	}
	const million = 1_000_000
	return k.base + money.Nanos((int64(k.rate)*int64(units)+million-1)/million)
}

// reserved is what a request costs whose edge died before the vendor answered.
func (k *kind) reserved() money.Nanos { return k.base + k.hold }

const (
	limitedAmount, limitedBurst = 900, 5 // requests a minute
	narrowAmount                = 2      // requests at a time
)

// kinds are all there are. Of those that cost what they use one is measured in bytes, one in events and
// one by what the vendor says.
func kinds() []*kind {
	fixedPrice := func(k *kind) *controlv1.Price {
		return &controlv1.Price{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{PerRequest: contract.MoneyToProto(k.base)}}}
	}
	rated := func(unit controlv1.Price_Unit, bound controlv1.Price_Bound, header string) func(*kind) *controlv1.Price {
		return func(k *kind) *controlv1.Price {
			return &controlv1.Price{Kind: &controlv1.Price_Usage_{Usage: &controlv1.Price_Usage{
				PerRequest: contract.MoneyToProto(k.base), Hold: contract.MoneyToProto(k.hold), Bound: bound,
				Rates: []*controlv1.Price_Rate{{Unit: unit, Header: header, PerMillion: contract.MoneyToProto(k.rate)}},
			}}}
		}
	}
	plain := func(w http.ResponseWriter, _ int) { _, _ = w.Write([]byte(`{}`)) }
	return []*kind{
		{name: "hard", key: "hard", budget: true, base: 10_000_007, price: fixedPrice, answer: plain},
		{
			name: "bytes", key: "hard", budget: true, base: 1_000_003, rate: 2_000_001_000, hold: 20_000_000, units: 8000,
			price:  rated(controlv1.Price_UNIT_RESPONSE_BYTES, controlv1.Price_BOUND_CEILING, ""),
			answer: func(w http.ResponseWriter, units int) { _, _ = w.Write(make([]byte, units)) },
		},
		{
			name: "header", key: "hard", budget: true, base: 1, rate: 20_000_000_001, hold: 20_000_000, units: 900,
			price: rated(controlv1.Price_UNIT_RESPONSE_HEADER, controlv1.Price_BOUND_ESTIMATE, "X-Units"),
			answer: func(w http.ResponseWriter, units int) {
				w.Header().Set("X-Units", strconv.Itoa(units))
				_, _ = w.Write([]byte(`{}`))
			},
		},
		{
			// More has to be held for it while it flows.
			name: "events", key: "soft", base: 3, rate: 100_000_000_019, hold: 500_000, units: 40,
			price: rated(controlv1.Price_UNIT_RESPONSE_EVENTS, controlv1.Price_BOUND_ESTIMATE, ""),
			answer: func(w http.ResponseWriter, units int) {
				w.Header().Set("Content-Type", "text/event-stream")
				for i := range units {
					fmt.Fprintf(w, "data: %d\n\n", i)
					_ = http.NewResponseController(w).Flush()
				}
			},
		},
		{name: "free", key: "free", base: 10_000_000, price: fixedPrice, answer: plain},
		{name: "limited", key: "limited", limit: true, base: 1, price: fixedPrice, answer: plain},
		{name: "narrow", key: "narrow", limit: true, base: 2, price: fixedPrice, answer: plain, work: 15 * time.Millisecond},
	}
}

// order is a request as the vendor sees it.
type order struct {
	kind    *kind
	edge    int
	units   int
	cost    money.Nanos // what the vendor is owed as things stand
	lost    bool        // its edge is dead
	waiting bool
	began   time.Time // when its caller sent it
	arrived time.Time
}

// traffic of chaos: callers with keys of all kinds, and the vendor.
type mixed struct {
	c     *cluster
	kinds []*kind
	keys  map[string]string

	mu       sync.Mutex // guards the fields below
	sizes    *rand.Rand
	orders   []*order
	begun    map[int]time.Time // by number of the call
	calls    int               // in flight
	attempts int               // that have ended, however
	passed   map[string]int
	refused  map[string]int
	running  map[string]int // at the vendor
	most     map[string]int // at a time
	pause    chan struct{}  // not nil: nobody begins a call until it is closed
	hold     chan struct{}  // not nil: the vendor does not answer until it is closed

	stop chan struct{}
	wg   sync.WaitGroup
}

// begin has two callers of each kind call all edges in turn, and twice as many where they are to be in
// each other's way.
func (x *mixed) begin() {
	x.stop = make(chan struct{})
	x.c.vendor.Handle(x.serve)
	pace := time.NewTicker(4 * time.Millisecond)
	x.c.t.Cleanup(pace.Stop)
	for w := range 4 * len(x.kinds) {
		k := x.kinds[w%len(x.kinds)]
		if w >= 2*len(x.kinds) && k.name != "narrow" {
			continue
		}
		x.wg.Go(func() {
			for i := w / len(x.kinds); ; i++ {
				select {
				case <-x.stop:
					return
				case <-pace.C:
					x.call(i%len(x.c.edges), k)
				}
			}
		})
	}
}

func (x *mixed) end() {
	close(x.stop)
	x.wg.Wait()
}

// serve is the vendor.
func (x *mixed) serve(w http.ResponseWriter, r *http.Request) {
	number, _ := strconv.Atoi(r.URL.Query().Get("n"))
	edge, _ := strconv.Atoi(r.URL.Query().Get("edge"))
	x.mu.Lock()
	k := x.kind(strings.Trim(r.URL.Path, "/"))
	o := &order{kind: k, edge: edge, units: 1 + x.sizes.IntN(max(k.units, 1)), cost: k.reserved(), began: x.begun[number], arrived: time.Now()}
	x.orders = append(x.orders, o)
	x.running[k.name]++
	x.most[k.name] = max(x.most[k.name], x.running[k.name])
	hold := x.hold
	o.waiting = hold != nil
	x.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if k.work > 0 {
		done := time.NewTimer(k.work)
		defer done.Stop()
		select {
		case <-done.C:
		case <-r.Context().Done():
		}
	}
	x.mu.Lock()
	if !o.lost {
		o.cost = k.cost(o.units)
		x.running[k.name]-- // before the edge hears of the end
	}
	lost := o.lost
	x.mu.Unlock()
	if !lost {
		k.answer(w, o.units)
	}
}

// kind finds one by its name.
func (x *mixed) kind(name string) *kind {
	return x.kinds[slices.IndexFunc(x.kinds, func(k *kind) bool { return k.name == name })]
}

// call sends a request and judges the answer: none is a killed edge, and only a budget or a limit may
// be a reason to refuse.
func (x *mixed) call(edge int, k *kind) (status int, code string) {
	x.mu.Lock()
	for x.pause != nil {
		pause := x.pause
		x.mu.Unlock()
		<-pause
		x.mu.Lock()
	}
	x.calls++
	number := len(x.begun)
	x.begun[number] = time.Now()
	x.mu.Unlock()
	resp, body, err := x.c.call(edge, x.keys[k.key], fmt.Sprintf("/%s?edge=%d&n=%d", k.name, edge, number))
	x.mu.Lock()
	defer x.mu.Unlock()
	x.calls--
	x.attempts++
	if strings.Contains(string(body), "event: error") {
		x.c.t.Errorf("edge %d cut off %s: %s", edge+1, k.name, body)
	}
	if err != nil {
		return 0, ""
	}
	status, code = resp.StatusCode, errorCode(body)
	switch {
	case status == http.StatusOK:
		x.passed[k.name]++
	case k.budget && (code == "budget_exhausted" || code == "budget_unavailable"),
		k.limit && (code == "rate_limited" || code == "limit_unavailable"):
		x.refused[k.name]++
	default:
		x.c.t.Errorf("edge %d answered a call to %s with %d %s", edge+1, k.name, status, body)
	}
	return status, code
}

// killInFlight kills an edge while every call is either at the vendor or not begun, so that each intent
// on its disk is one that the vendor has counted.
func (x *mixed) killInFlight(edge int, until func(func() error)) {
	x.mu.Lock()
	x.hold = make(chan struct{})
	x.mu.Unlock()
	until(func() error {
		if n := x.waiting(); n < 3 {
			return fmt.Errorf("%d calls are at the vendor", n)
		}
		return nil
	})
	x.mu.Lock()
	x.pause = make(chan struct{})
	x.mu.Unlock()
	until(func() error {
		if n := x.waiting(); x.calls != n {
			return fmt.Errorf("of %d calls %d are at the vendor", x.calls, n)
		}
		return nil
	})
	x.c.edges[edge].kill()
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, o := range x.orders {
		if o.waiting && o.edge == edge {
			o.lost = true
			x.running[o.kind.name]--
		}
		o.waiting = false // from here on it is being answered
	}
	close(x.hold)
	close(x.pause)
	x.hold, x.pause = nil, nil
}

// waiting is how many calls the vendor keeps waiting. The lock is held.
func (x *mixed) waiting() (n int) {
	for _, o := range x.orders {
		if o.waiting {
			n++
		}
	}
	return n
}

// owed is what the vendor is owed for the kinds that are asked for.
func (x *mixed) owed(of func(*kind) bool) (sum money.Nanos) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, o := range x.orders {
		if of(o.kind) {
			sum += o.cost
		}
	}
	return sum
}

func all(*kind) bool         { return true }
func byHardKey(k *kind) bool { return k.key == "hard" }

// checkRate compares the vendor's count of a kind with the promise of a limit per minute: in any time
// no more pass than the burst, and what flows in during that time and a second more. A request counts
// in a time that holds all of it, from its caller to the vendor, because it was admitted in between.
func (x *mixed) checkRate(name string, amount, burst int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var list []*order
	for _, o := range x.orders {
		if o.kind.name == name {
			list = append(list, o)
		}
	}
	checkRate(x.c.t, list, amount, burst)
}

func checkRate(t *testing.T, list []*order, amount, burst int64) {
	t.Helper()
	slices.SortFunc(list, func(a, b *order) int { return a.arrived.Compare(b.arrived) })
	worst := 0.0
	for _, first := range list {
		n := int64(0)
		for _, o := range list {
			if o.began.Before(first.began) {
				continue
			}
			n++
			within := o.arrived.Sub(first.began)
			most := burst + amount*int64(within+time.Second)/int64(time.Minute) + 1
			if n > most {
				t.Errorf("%d requests passed within %s under a limit of %d a minute and %d at once: at most %d may", n, within, amount, burst, most)
				return
			}
			worst = max(worst, float64(n)/float64(most))
		}
	}
	t.Logf("%d requests under a limit of %d a minute and %d at once; the fullest time had %.0f %% of what may pass", len(list), amount, burst, 100*worst)
}
