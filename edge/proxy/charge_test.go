package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/edge/admit"
	"tollgate/edge/limit"
	"tollgate/edge/metrics"
	"tollgate/edge/pool"
	"tollgate/edge/routing"
	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// What a caller does once the vendor has done its part.
const (
	waits  = "waits"
	leaves = "leaves"
	resets = "resets"
	stops  = "the edge stops"
)

// Guarantee: what is charged follows from what the target and the caller did, and from nothing else.
func TestWhatIsCharged(t *testing.T) {
	t.Parallel()
	const (
		whole   = "2\r\nok\r\n0\r\n\r\n"
		some    = "2\r\nok\r\n"
		nothing = ""
		refused = eventv1.SpendOutcome_SPEND_OUTCOME_REFUSED
	)
	half := request("POST", "/x", "{A}", "Content-Length: 100") + "abc"
	for name, tc := range map[string]struct {
		send    string
		reply   string
		ends    bool // the vendor closes the connection after its reply
		caller  string
		status  int
		outcome eventv1.SpendOutcome
		cost    money.Nanos
	}{
		"2xx":                                     {post("/x", "{}"), chunkedHead + whole, false, waits, 200, outcomeOK, price},
		"2xx without a body":                      {post("/x", "{}"), "HTTP/1.1 204 No Content\r\n\r\n", false, waits, 204, outcomeOK, price},
		"2xx, the caller leaves in the middle":    {post("/x", "{}"), chunkedHead + some, false, leaves, 200, outcomeCallerGone, price},
		"2xx, the caller resets in the middle":    {post("/x", "{}"), chunkedHead + some, false, resets, 200, outcomeCallerGone, price},
		"2xx, broken off":                         {post("/x", "{}"), chunkedHead + some, true, waits, 200, outcomeInterrupted, price},
		"2xx, shorter than it said":               {post("/x", "{}"), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", true, waits, 200, outcomeInterrupted, price},
		"2xx, longer than it said":                {post("/x", "{}"), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokok", true, waits, 200, outcomeOK, price},
		"2xx, then silence":                       {post("/x", "{}"), chunkedHead + some, false, waits, 200, outcomeInterrupted, price},
		"2xx, the edge stops in the middle":       {post("/x", "{}"), chunkedHead + some, false, stops, 200, outcomeAbandoned, price},
		"2xx before the body, the caller leaves":  {half, chunkedHead + some, false, leaves, 200, outcomeCallerGone, price},
		"2xx of a free endpoint":                  {post("/free", "{}"), chunkedHead + whole, false, waits, 200, outcomeOK, 0},
		"2xx after 1xx":                           {post("/x", "{}"), "HTTP/1.1 103 Early Hints\r\n\r\n" + chunkedHead + whole, false, waits, 200, outcomeOK, price},
		"3xx":                                     {post("/x", "{}"), "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", false, waits, 302, outcomeTargetError, 0},
		"4xx":                                     {post("/x", "{}"), "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false, waits, 404, outcomeTargetError, 0},
		"4xx, the caller leaves in the middle":    {post("/x", "{}"), strings.Replace(chunkedHead, "200", "404", 1) + some, false, leaves, 404, outcomeTargetError, 0},
		"5xx":                                     {post("/x", "{}"), "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", false, waits, 503, outcomeTargetError, 0},
		"5xx, broken off":                         {post("/x", "{}"), strings.Replace(chunkedHead, "200", "500", 1) + some, true, waits, 500, outcomeTargetError, 0},
		"no answer":                               {post("/slow", "{}"), nothing, false, waits, 0, outcomeUnreachable, 0},
		"no answer, the caller leaves":            {post("/x", "{}"), nothing, false, leaves, 0, outcomeCallerGone, price},
		"no answer, the caller resets":            {post("/x", "{}"), nothing, false, resets, 0, outcomeCallerGone, price},
		"no answer, the edge stops":               {post("/x", "{}"), nothing, false, stops, 0, outcomeAbandoned, price},
		"no answer, the caller leaves sending":    {half, nothing, false, leaves, 0, outcomeCallerGone, 0},
		"no answer, the edge stops while sending": {half, nothing, false, stops, 0, outcomeAbandoned, 0},
		"closed":                                  {post("/x", "{}"), nothing, true, waits, 0, outcomeUnreachable, 0},
		"closed after 1xx":                        {post("/x", "{}"), "HTTP/1.1 103 Early Hints\r\n\r\n", true, waits, 0, outcomeUnreachable, 0},
		"not HTTP":                                {post("/x", "{}"), "hello\r\n\r\n", true, waits, 0, outcomeUnreachable, 0},
		"a malformed body":                        {request("POST", "/x", "{A}", "Transfer-Encoding: chunked") + "zz\r\n", nothing, false, waits, 0, outcomeCallerGone, 0},
		"a body over the limit":                   {request("POST", "/small", "{A}", "Transfer-Encoding: chunked") + "f\r\n0123456789abcde\r\n0\r\n\r\n", nothing, false, waits, 0, refused, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(o *options) { o.proxy.StreamIdle, o.server.Linger = 200*time.Millisecond, 20*time.Millisecond })
			if tc.caller != waits {
				b.gateway.cfg.StreamIdle = patience
			}
			asked := make(chan struct{}, 1)
			b.vendor.play(func(c *conn) {
				m, err := readHead(c.r)
				if err != nil {
					return
				}
				if tc.send != half {
					m.readBody(c.r, false)
				}
				c.send("%s", tc.reply)
				asked <- struct{}{}
				if !tc.ends {
					_, _ = io.Copy(io.Discard, c.r) // until it is given up
				}
			})
			c := b.dial()
			c.send("%s", auth(tc.send))
			if tc.caller != waits {
				receive(t, asked, "request")
				if tc.reply != nothing {
					c.answerHead()
				}
			}
			switch tc.caller {
			case waits:
				c.answer("POST")
			case leaves:
				c.Close()
			case resets:
				c.reset()
			case stops:
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				if err := b.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("shutdown: %v", err)
				}
			}
			b.wantSettled(tc.status, tc.outcome, tc.cost)
		})
	}
}

// mine breaks one place in the stages, the first time it is passed.
type mine struct {
	*pool.Pools

	mu    sync.Mutex // guards what follows
	at    string
	seen  map[string]bool
	wrong []string

	holds, passes int // taken and not given back
	open          int // intents without a settlement
}

func (m *mine) step(at string) {
	m.mu.Lock()
	first := !m.seen[at]
	m.seen[at] = true
	m.mu.Unlock()
	if first && at == m.at {
		panic("a bug in " + at)
	}
}

func (m *mine) count(what *int, n int, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if *what += n; *what < 0 {
		m.wrong = append(m.wrong, name+" ended twice")
	}
}

func (m *mine) Acquire(context.Context, *limit.Pass, []*limit.Limit, int64) (Pass, error) {
	m.step("Acquire")
	m.count(&m.passes, 1, "pass")
	return minedPass{m}, nil
}

type minedPass struct{ *mine }

func (p minedPass) Settle(int64) { p.step("Pass.Settle") }

func (p minedPass) Release() {
	p.count(&p.passes, -1, "pass")
	p.step("Release")
}

func (m *mine) Hold(context.Context, *admit.Hold, []*admit.Account, money.Nanos) (Hold, error) {
	m.step("Hold")
	m.count(&m.holds, 1, "hold")
	return minedHold{m}, nil
}

type minedHold struct{ *mine }

func (h minedHold) Draws([]contract.Draw) []contract.Draw { h.step("Draws"); return nil }

func (h minedHold) Extend(context.Context, money.Nanos) error { h.step("Extend"); return nil }

func (h minedHold) Settle(money.Nanos) {
	h.count(&h.holds, -1, "hold")
	h.step("Hold.Settle")
}

func (h minedHold) Remaining() (money.Nanos, bool) { h.step("Remaining"); return 1, true }

func (m *mine) Intent(*spool.Intent) (spool.Ticket, error) {
	m.step("Intent")
	m.count(&m.open, 1, "intent")
	return spool.Ticket{}, nil
}

func (m *mine) Partial(spool.Ticket, money.Nanos, money.Nanos) error { m.step("Partial"); return nil }

func (m *mine) Settle(spool.Ticket, *spool.Settlement) {
	m.count(&m.open, -1, "intent")
	m.step("Settle")
}

func (m *mine) Err() error { return nil }

func (m *mine) Pick(e *routing.Endpoint, t *pool.Tries, _ *pool.Choice) (*pool.Choice, error) {
	m.step("Pick")
	choice, err := m.Pools.Pick(e, t, nil)
	if err != nil {
		return nil, err
	}
	n := slices.Index(e.Targets, choice.Target)
	return pool.NewChoice(e, n, -1, func(r pool.Result) { m.step("report"); choice.Report(r) }), nil
}

// MayRetry is asked before a request is sent again.
func (m *mine) MayRetry(*routing.Endpoint) bool { m.step("MayRetry"); return true }

func (m *mine) RoundTrip(ctx context.Context, a *Attempt) (*Answer, error) {
	m.step("RoundTrip")
	a.Interim(103, nil)
	switch host := a.Target.Host; {
	case host == "slow.example":
		<-ctx.Done()
		m.step("slow")
		return nil, &AttemptError{Failure: FailCanceled, Sent: true, Err: ctx.Err()}
	case host == "quick.example":
		m.step("quick")
	case a.URI == "/busy":
		m.step("busy")
		return &Answer{Status: 503, Length: -1, Body: minedBody{strings.NewReader("busy"), m}, Cancel: func(error) {}}, nil
	case a.Upgrade != "":
		return &Answer{Status: 101, Conn: minedConn{minedBody{strings.NewReader("down"), m}, "target"}}, nil
	}
	if a.URI == "/unsent" {
		m.step("unsent")
		return nil, &AttemptError{Failure: FailConnect, Err: io.EOF}
	}
	if a.Body != nil {
		_, _ = io.Copy(io.Discard, a.Body)
	}
	return &Answer{Status: 200, Length: -1, Headers: []Header{{"Content-Type", "text/event-stream"}}, Body: minedBody{strings.NewReader("abc"), m}}, nil
}

type minedBody struct {
	r *strings.Reader
	m *mine
}

func (b minedBody) Read(p []byte) (int, error) { b.m.step("Read"); return b.r.Read(p) }
func (b minedBody) Close() error               { b.m.step("Close"); return nil }

// minedConn is one side of a tunnel.
type minedConn struct {
	minedBody

	name string
}

func (c minedConn) Read(p []byte) (int, error)  { c.m.step(c.name + " Read"); return c.r.Read(p) }
func (c minedConn) Write(p []byte) (int, error) { c.m.step(c.name + " Write"); return len(p), nil }
func (c minedConn) CloseWrite() error           { c.m.step(c.name + " CloseWrite"); return nil }
func (c minedConn) Close() error                { c.m.step(c.name + " Close"); return nil }

type minedOut struct{ *mine }

// minedIn is the body of the request.
type minedIn struct{ minedOut }

func (i minedIn) Trailers() []Header { i.step("in"); return nil }

func (o minedOut) Interim(int, []Header)       { o.step("Interim") }
func (o minedOut) Begin(int, []Header, int64)  { o.step("Begin") }
func (o minedOut) Write(p []byte) (int, error) { o.step("Write"); return len(p), nil }
func (o minedOut) Flush() error                { o.step("Flush"); return nil }
func (o minedOut) Trailers([]Header)           { o.step("Trailers") }
func (o minedOut) Switch([]Header) (Conn, error) {
	o.step("Switch")
	return minedConn{minedBody{strings.NewReader("up"), o.mine}, "caller"}, nil
}
func (o minedOut) Abort()                     { o.step("Abort") }
func (o minedOut) Interrupt()                 { o.step("Interrupt") }
func (o minedOut) Drain()                     { o.step("Drain") }
func (o minedOut) Read(p []byte) (int, error) { o.step("body"); return 1, io.EOF }

// Guarantee (37): wherever a stage fails by a bug, also while it answers for another one, each intent
// that was recorded is settled once, each hold is given back once, and no place stays taken.
func TestBugsAnywhere(t *testing.T) {
	t.Parallel()
	places := map[string]bool{"": true}
	tried := 0
	for len(places) > tried {
		tried = 0
		for at := range places {
			tried++
			for _, path := range []string{"/x", "/unsent", "/nowhere", "/usage", "/ceiling", "/retry", "/hedge", "/tunnel"} {
				m := &mine{Pools: pool.New(slog.New(slog.DiscardHandler)), at: at, seen: map[string]bool{}}
				serveMined(t, m, path)
				if m.holds != 0 || m.passes != 0 || m.open != 0 || len(m.wrong) > 0 {
					t.Errorf("%s fails at %s: %d holds, %d passes and %d intents are left, %v", path, at, m.holds, m.passes, m.open, m.wrong)
				}
				for at := range m.seen {
					places[at] = true
				}
			}
		}
	}
	if len(places) < 30 {
		t.Errorf("only %d places were tried: %v", len(places), places)
	}
}

func serveMined(t *testing.T, m *mine, path string) {
	t.Helper()
	b := &bench{t: t, routes: &routing.Holder{}}
	bytes := []*eventv1.UsageRate{
		{Unit: eventv1.UsageUnit_USAGE_UNIT_REQUEST_BYTES, NanosPerMillion: 1e9}, {Unit: eventv1.UsageUnit_USAGE_UNIT_RESPONSE_BYTES, NanosPerMillion: 1e9},
	}
	b.serve(&eventv1.RouteSnapshot{
		Endpoints: []*eventv1.RouteEndpoint{
			{Id: "x", Name: "x", Path: "/x", Targets: []string{"http://a.example"}, PriceNanos: 1, Abandoned: eventv1.AbandonedPolicy_ABANDONED_POLICY_METERED},
			{Id: "u", Name: "u", Path: "/unsent", Targets: []string{"http://a.example/unsent", "http://b.example"}, PriceNanos: 1},
			{Id: "g", Name: "g", Path: "/usage", Targets: []string{"http://a.example"}, Usage: &eventv1.UsagePrice{Rates: bytes}},
			{Id: "r", Name: "r", Path: "/retry", Targets: []string{"http://a.example/busy", "http://b.example"}, Usage: &eventv1.UsagePrice{Rates: bytes}},
			{Id: "h", Name: "h", Path: "/hedge", Targets: []string{"http://slow.example", "http://quick.example"}, PriceNanos: 1},
			{Id: "t", Name: "t", Path: "/tunnel", Targets: []string{"http://a.example"}, Usage: &eventv1.UsagePrice{Rates: bytes}},
			{Id: "c", Name: "c", Path: "/ceiling", Targets: []string{"http://a.example"}, Usage: &eventv1.UsagePrice{Rates: bytes, HoldNanos: 2000, Ceiling: true}},
		},
		Limits: []*eventv1.Limit{{Id: 1, Kind: eventv1.LimitKind_LIMIT_KIND_CONCURRENT, Amount: 1, Subject: "everything"}},
	})
	x := &Exchange{
		Method: "POST", Target: path, Length: -1, Body: minedIn{minedOut{m}}, Out: minedOut{m},
		Headers: []Header{{"Authorization", "Bearer " + testKey}},
	}
	if e, _, err := b.routes.Current().Match("POST", path); err == nil {
		switch path {
		case "/retry":
			e.Retry = &routing.Retry{Attempts: 2, Statuses: []int{503}, AnyMethod: true, MaxBody: 100, Backoff: 1}
		case "/hedge":
			e.Hedge = &routing.Hedge{After: time.Microsecond, AnyMethod: true}
			x.Length = 1
		case "/tunnel":
			x.Method, x.Body, x.Upgrade = "GET", nil, "websocket"
		}
	}
	g := New(Config{MaxInFlight: 5}, Deps{
		Routes: b.routes, Keys: newKeys(t), Budgets: m, Limits: m, Spool: m, Pools: m, Upstream: m,
		Metrics: metrics.New(), Log: slog.New(slog.DiscardHandler),
	})
	func() {
		defer func() {
			if v := recover(); v != nil && !strings.Contains(fmt.Sprint(v), "a bug in") {
				panic(v)
			}
		}()
		g.Serve(context.Background(), x)
	}()
	if g.InFlight() != 0 || g.admitted.Load() != 0 {
		t.Errorf("%s fails at %s: %d in flight, %d admitted", path, m.at, g.InFlight(), g.admitted.Load())
	}
}
