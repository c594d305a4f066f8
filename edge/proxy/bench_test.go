package proxy

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"tollgate/edge/admit"
	"tollgate/edge/metrics"
	"tollgate/edge/pool"
	"tollgate/edge/routing"
	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// skipMessage reads one message with a body of a known length, without an allocation.
func skipMessage(r *bufio.Reader, length int) error {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			_, err = r.Discard(length)
			return err
		}
	}
}

// BenchmarkExchange is one priced request through both sides of the engine. The vendor and the client
// are in the same process, so the time is theirs as well; what is allocated is the edge's alone.
func BenchmarkExchange(b *testing.B) {
	b.Run("fixed", func(b *testing.B) { benchmarkExchange(b, &eventv1.RouteEndpoint{PriceNanos: 1}) })
	b.Run("usage", func(b *testing.B) {
		benchmarkExchange(b, &eventv1.RouteEndpoint{Usage: &eventv1.UsagePrice{HoldNanos: 2000, Rates: []*eventv1.UsageRate{
			rate(requestBytes, 1_000_000), rate(responseBytes, 1_000_000), headerRate("Content-Length", 1_000_000),
		}}})
	})
}

// BenchmarkMetered is an exchange of 2 KB of JSON that a meter reads, beside the same one at a fixed price.
func BenchmarkMetered(b *testing.B) {
	answer := `{"model":"gpt-4o","text":"` + strings.Repeat("x", 1900) + `","usage":{"prompt_tokens":17,"completion_tokens":41}}`
	for name, endpoint := range map[string]*eventv1.RouteEndpoint{"fixed": {PriceNanos: 1}, "metered": metered(b, chat)} {
		b.Run(name, func(b *testing.B) {
			s := newStages(b, endpoint, nil)
			s.gateway.d.Spool = free{}
			s.gateway.d.Upstream = upstreamFunc(func(context.Context, *Attempt) (*Answer, error) {
				return &Answer{Status: 200, Headers: []Header{jsonType}, Length: int64(len(answer)), Body: io.NopCloser(strings.NewReader(answer))}, nil
			})
			x := Exchange{Method: "POST", Target: "/x/chat", Headers: []Header{{"Authorization", s.key}}, Out: unread{}}
			b.ReportAllocs()
			for b.Loop() {
				ask := x
				s.gateway.Serve(b.Context(), &ask)
			}
		})
	}
}

// free is a spool that records nothing.
type free struct{ Recorder }

func (free) Intent(*spool.Intent) (spool.Ticket, error)           { return spool.Ticket{}, nil }
func (free) Partial(spool.Ticket, money.Nanos, money.Nanos) error { return nil }
func (free) Settle(spool.Ticket, *spool.Settlement)               {}

// unread is a caller who reads nothing.
type unread struct{ Responder }

func (unread) Begin(int, []Header, int64)  {}
func (unread) Write(p []byte) (int, error) { return len(p), nil }
func (unread) Flush() error                { return nil }
func (unread) Abort()                      {}

func benchmarkExchange(b *testing.B, endpoint *eventv1.RouteEndpoint) {
	b.Helper()
	vendor, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer vendor.Close()
	reply := []byte("HTTP/1.1 200 OK\r\nDate: Sun, 01 Nov 2026 00:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 1500\r\n\r\n" + strings.Repeat("x", 1500))
	go func() {
		for {
			nc, err := vendor.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				for r := bufio.NewReader(nc); skipMessage(r, 1000) == nil; {
					if _, err := nc.Write(reply); err != nil {
						return
					}
				}
			}()
		}
	}()

	routes, keys, hash := &routing.Holder{}, &admit.Keys{}, contract.KeyHash([]byte(testKey))
	endpoint.Id, endpoint.Name, endpoint.Path, endpoint.Targets = "ep_x", "x", "/x", []string{"http://" + vendor.Addr().String()}
	table, err := routing.Compile(&eventv1.RouteSnapshot{
		Endpoints: []*eventv1.RouteEndpoint{endpoint},
		Accounts:  []*eventv1.Account{accountOf(1, eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING, ""), accountOf(2, eventv1.AccountScope_ACCOUNT_SCOPE_UNSPECIFIED, "")},
	}, contract.Version{}, routing.Lookups{})
	if err != nil {
		b.Fatal(err)
	}
	routes.Store(table)
	if err := keys.SetShard(&eventv1.KeyShard{Shard: contract.KeyShardOf(hash), Keys: []*eventv1.ShardKey{{Sha256: hash[:], Id: "k", Name: "k"}}}); err != nil {
		b.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	disk, err := spool.Open(spool.Options{Dir: b.TempDir(), Edge: "bench", Log: log})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = disk.Close() }()
	client := engine.Client(ClientOptions{AllowPrivate: true})
	defer client.Close()
	book := admit.NewBook(admit.Config{Wait: patience, Ahead: 1_000_000}, &bank{limit: 1 << 60}, log)
	ctx, stop := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = book.Run(ctx) })
	defer running.Wait()
	defer stop()
	pools := pool.New(log)
	pools.Sync(table.Endpoints())
	g := New(Config{HeaderTimeout: patience}, Deps{
		Routes: routes, Keys: keys, Budgets: booked{book}, Spool: disk, Pools: pools,
		Upstream: client, Metrics: metrics.New(), Log: log,
	})
	server := engine.Server(ServerOptions{}, g, log)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	defer func() { _ = server.Shutdown(b.Context()) }()

	text := []byte(auth(post("/x/v1", strings.Repeat("y", 1000), "Content-Type: application/json")))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer nc.Close()
		r := bufio.NewReader(nc)
		for pb.Next() {
			if _, err := nc.Write(text); err != nil {
				b.Error(err)
				return
			}
			if first, err := r.Peek(12); err != nil || string(first) != "HTTP/1.1 200" {
				b.Errorf("%s %v", first, err)
				return
			}
			if err := skipMessage(r, 1500); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
