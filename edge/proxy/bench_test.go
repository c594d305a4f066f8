package proxy

import (
	"bufio"
	"log/slog"
	"net"
	"strings"
	"testing"

	"tollgate/edge/admit"
	"tollgate/edge/breaker"
	"tollgate/edge/metrics"
	"tollgate/edge/routing"
	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
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
	table, err := routing.Compile(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{{
		Id: "ep_x", Name: "x", Path: "/x", Targets: []string{"http://" + vendor.Addr().String()}, PriceNanos: 1,
	}}}, contract.Version{}, routing.Lookups{})
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
	cfg := DefaultClientConfig()
	cfg.AllowPrivate = true
	client := NewClient(cfg)
	defer client.Close()
	g := New(Config{HeaderTimeout: patience}, Deps{
		Routes: routes, Keys: keys, Budgets: &purse{left: 1 << 60}, Spool: disk, Breakers: breaker.New(log),
		Upstream: client, Metrics: metrics.New(), Log: log,
	})
	server := NewServer(DefaultServerConfig(), g, log)
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
