package proxy

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tollgate/edge/admit"
	"tollgate/edge/limit"
	"tollgate/edge/metrics"
	"tollgate/edge/pool"
	"tollgate/edge/routing"
	"tollgate/edge/seen"
	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// canned is an engine that has everything at hand: one request, and one answer to it. Beside it everything is what an edge has.
type canned struct {
	gateway *Gateway
	x       Exchange
	text    [512]byte
	request cannedRequest
	answer  Answer
	pieces  cannedAnswer

	status int
	sent   int
	told   []Header
}

// cannedRequest is a body that has come.
type cannedRequest struct {
	text []byte
	at   int
}

func (r *cannedRequest) Read(p []byte) (int, error) {
	if r.at == len(r.text) {
		return 0, io.EOF
	}
	n := copy(p, r.text[r.at:])
	r.at += n
	return n, nil
}
func (r *cannedRequest) Bytes() []byte          { b := r.text[r.at:]; r.at = len(r.text); return b }
func (r *cannedRequest) Release()               {}
func (*cannedRequest) Interrupt()               {}
func (*cannedRequest) Drain()                   {}
func (*cannedRequest) Trailers() []Header       { return nil }
func (c *canned) Interim(int, []Header)         {}
func (c *canned) Flush() error                  { return nil }
func (c *canned) Trailers([]Header)             {}
func (c *canned) Abort()                        { c.status = -1 }
func (c *canned) Switch([]Header) (Conn, error) { return nil, io.EOF }
func (c *canned) Write(p []byte) (int, error)   { c.sent += len(p); return len(p), nil }
func (c *canned) Begin(status int, headers []Header, _ int64) {
	c.status, c.told = status, append(c.told[:0], headers...)
}

// cannedAnswer is a body of one piece.
type cannedAnswer struct {
	text []byte
	at   int
}

func (a *cannedAnswer) Read([]byte) (int, error) { panic("it is had in pieces") }
func (a *cannedAnswer) Close() error             { return nil }
func (a *cannedAnswer) Ready() bool              { return true }
func (a *cannedAnswer) Next(time.Duration) ([]byte, error) {
	if a.at > 0 {
		return nil, io.EOF
	}
	a.at = len(a.text)
	return a.text, io.EOF
}

func (c *canned) RoundTrip(_ context.Context, a *Attempt) (*Answer, error) {
	a.Over = true
	if body, ok := a.Body.(Arrived); ok {
		if text, err := body.All(); err != nil || len(text) != len(c.request.text) {
			panic("the body is not all there")
		}
	}
	c.pieces.at = 0
	return &c.answer, nil
}

// begin makes the request one that is there once more.
func (c *canned) begin() {
	c.request.at, c.sent = 0, 0
	c.x.Out, c.x.Text = c, c.text[:0]
}

// serve serves the request once more.
func (c *canned) serve(ctx context.Context) {
	c.begin()
	c.gateway.Serve(ctx, &c.x)
}

// plenty is a ledger that gives tokens and permits of limits as they are asked for, and more.
type plenty struct{}

func (plenty) Limits(_ context.Context, _ uint32, rates []*eventv1.RateLine, permits []*eventv1.PermitLine) (*eventv1.LeaseReply, error) {
	reply := &eventv1.LeaseReply{LeaderEpoch: 1}
	for _, q := range rates {
		reply.Rates = append(reply.Rates, &eventv1.RateGrant{Limit: q.GetLimit(), Tokens: q.GetWant() + 1<<40, TtlMs: 3_600_000, Sharers: 1})
	}
	for _, q := range permits {
		reply.Permits = append(reply.Permits, &eventv1.PermitGrant{Limit: q.GetLimit(), Seq: q.GetSeq(), Permits: 1 << 20, SessionTtlMs: 3_600_000, Sharers: 1})
	}
	return reply, nil
}

// bounded is a set of limits as the edge has one.
type bounded struct{ *limit.Set }

func (b bounded) Acquire(ctx context.Context, into *limit.Pass, of []*limit.Limit, units int64) (Pass, error) {
	if err := b.Set.Acquire(ctx, into, of, units); err != nil {
		return nil, err
	}
	return into, nil
}

// newCanned has four budgets, a limit of requests in a minute and one of requests at a time, a spool on disk, breakers, metrics and
// those who watch.
func newCanned(tb testing.TB, endpoint *eventv1.RouteEndpoint, answer string) *canned {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	endpoint.Id, endpoint.Name, endpoint.Path, endpoint.Targets = "ep_x", "x", "/x", []string{"http://a.example/base"}
	hash := contract.KeyHash([]byte(testKey))
	table, err := routing.Compile(&eventv1.RouteSnapshot{
		Endpoints: []*eventv1.RouteEndpoint{endpoint},
		Accounts: []*eventv1.Account{
			accountOf(1, eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING, ""), accountOf(2, eventv1.AccountScope_ACCOUNT_SCOPE_UNSPECIFIED, ""),
			accountOf(3, eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING, ""), accountOf(4, eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING, ""),
		},
		Limits: []*eventv1.Limit{
			{Id: 5, Kind: eventv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: 1 << 40, Burst: 1 << 40, Scope: eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING, Name: "rate", Subject: "everything"},
			{Id: 6, Kind: eventv1.LimitKind_LIMIT_KIND_CONCURRENT, Amount: 1 << 20, Scope: eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING, Name: "number", Subject: "everything"},
		},
	}, contract.Version{}, routing.Lookups{})
	if err != nil {
		tb.Fatal(err)
	}
	routes, keys := &routing.Holder{}, &admit.Keys{}
	routes.Store(table)
	if err := keys.SetShard(&eventv1.KeyShard{Shard: contract.KeyShardOf(hash), Keys: []*eventv1.ShardKey{{Sha256: hash[:], Id: "k", Name: "k", Team: "t"}}}); err != nil {
		tb.Fatal(err)
	}
	disk, err := spool.Open(spool.Options{Dir: tb.TempDir(), Edge: "canned", Log: log})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = disk.Close() })
	book := admit.NewBook(admit.Config{Wait: patience, Ahead: 1_000_000}, &bank{limit: 1 << 60}, log)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = book.Run(ctx) })
	tb.Cleanup(func() { stop(); running.Wait() })
	limits := limit.New(limit.Config{Wait: patience}, plenty{}, log)
	running.Go(func() { _ = limits.Run(ctx) })
	pools := pool.New(log)
	pools.Sync(table.Endpoints())
	c := &canned{}
	c.gateway = New(Config{HeaderTimeout: patience, StreamIdle: patience, MaxInFlight: 1000, MaxBody: 1 << 20}, Deps{
		Routes: routes, Keys: keys, Budgets: booked{book}, Limits: bounded{limits}, Spool: disk, Pools: pools, Upstream: c, Metrics: metrics.New(), Log: log,
		Seen: seen.New("canned", 1, func([]byte) error { return nil }, log),
	})
	c.request.text = []byte(`{"model":"gpt-4o","messages":[{"role":"user","content":"` + strings.Repeat("y", 900) + `"}]}`)
	c.pieces.text = []byte(answer)
	c.answer = Answer{
		Status: 200, Length: int64(len(answer)), Body: &c.pieces,
		Headers: []Header{
			{"Date", "Sun, 01 Nov 2026 00:00:00 GMT"},
			{"Content-Type", "application/json"},
			{"Content-Length", "1500"},
			{"Connection", "keep-alive"},
			{"X-Request-Id", "req_1"},
			{"Openai-Processing-Ms", "12"},
			{"Server", "nginx"},
		},
	}
	c.x = Exchange{
		Method: "POST", Target: "/x/chat", Proto: HTTP11, Host: "gateway.example", Remote: "192.0.2.7:40123",
		Headers: []Header{
			{"Authorization", "Bearer " + testKey},
			{"Content-Type", "application/json"},
			{"Accept", "application/json"},
			{"User-Agent", "OpenAI/Python 1.40.0 (a program with a name that is rather long)"},
			{"Accept-Encoding", "gzip, deflate"},
			{"Connection", "keep-alive"},
			{"X-Stainless-Lang", "python"},
			{"X-Stainless-Package-Version", "1.40.0"},
			{"Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
			{"Cookie", "a=1; b=2"},
		},
		Body: &c.request, Length: int64(len(c.request.text)), Arrived: true,
	}
	c.serve(ctx)
	if c.status != 200 || c.sent != len(answer) {
		tb.Fatalf("answered %d, %d bytes, %v", c.status, c.sent, c.told)
	}
	if n := len(table.Endpoints()[0].Limits); n != 2 {
		tb.Fatalf("the endpoint has %d limits", n)
	}
	return c
}

// cannedAnswers are what endpoints at prices of each kind are asked.
func cannedPrices(tb testing.TB) map[string]*eventv1.RouteEndpoint {
	tb.Helper()
	return map[string]*eventv1.RouteEndpoint{
		"fixed": {PriceNanos: 5},
		"usage": {Usage: &eventv1.UsagePrice{HoldNanos: 2000, Rates: []*eventv1.UsageRate{
			rate(responseBytes, 1_000_000), headerRate("Content-Length", 1_000_000),
		}}},
		"metered": metered(tb, chat),
	}
}

var cannedJSON = `{"model":"gpt-4o","text":"` + strings.Repeat("x", 1400) + `","usage":{"prompt_tokens":17,"completion_tokens":41}}`

func processTime() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkStages is everything between two sides of an engine that costs nothing.
func BenchmarkStages(b *testing.B) {
	for name, endpoint := range cannedPrices(b) {
		b.Run(name, func(b *testing.B) {
			c := newCanned(b, endpoint, cannedJSON)
			b.ReportAllocs()
			began := processTime()
			for b.Loop() {
				c.serve(b.Context())
			}
			// Of the process: on a machine that others use as well the time that passes says little.
			b.ReportMetric(float64(processTime()-began)/float64(b.N), "cpu-ns/op")
		})
	}
}
