package proxy

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
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

// BenchmarkExchange is one priced request through both sides of the engine, with the vendor and the
// client in the same process: compare it with itself only.
func BenchmarkExchange(b *testing.B) {
	vendor, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	upstream := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, strings.Repeat("x", 1500))
	})}
	go func() { _ = upstream.Serve(vendor) }()
	defer func() { _ = upstream.Close() }()

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

	text := auth(post("/x/v1", strings.Repeat("y", 1000), "Content-Type: application/json"))
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
			if _, err := io.WriteString(nc, text); err != nil {
				b.Error(err)
				return
			}
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
				b.Errorf("%s %v", resp.Status, err)
				return
			}
		}
	})
}
