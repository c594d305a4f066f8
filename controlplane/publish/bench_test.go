package publish_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tollgate/controlplane/publish"
	"tollgate/controlplane/secrets"
	"tollgate/controlplane/store"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/lifecycle"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
)

// BenchmarkEndpointOf1000 changes one of a thousand endpoints and waits for the head of that revision: what is between a commit and the edges.
func BenchmarkEndpointOf1000(b *testing.B) {
	ctx, log := b.Context(), slog.New(slog.DiscardHandler)
	pool, server := testenv.Postgres(b, migrate), testenv.NATS(b)
	vault, err := secrets.New(seal.Generate(), seal.Generate())
	if err != nil {
		b.Fatal(err)
	}
	for _, sql := range []string{
		`INSERT INTO control.endpoint (id, name, path, exact, methods, targets, headers, forward, key_header, free, price_nanos, price_version,
				timeout_ms, max_body_bytes, forward_trace_context, revision, create_time, update_time, abandoned)
			SELECT 'ep_' || lpad(i::text, 26, '0'), 'vendor-' || i, '/vendors/' || i || '/api', false, '{}', '{https://v.example.com}',
				'[{"name": "X-Team", "value": "platform", "mode": 1}]', 1, '', true, 0, 1, 1000, 0, false, 1, now(), now(), 1
			FROM generate_series(1, 1000) i`,
		`ANALYZE`,
	} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			b.Fatal(err)
		}
	}
	conn, err := bus.Connect(bus.Config{URL: server.URL()}, log)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	if err := conn.AwaitConnected(ctx); err != nil {
		b.Fatal(err)
	}
	heads := make(chan contract.Version, 16)
	sub, err := conn.NATS().Subscribe(contract.ConfigHead, func(m *nats.Msg) {
		if v, err := contract.Peek(m.Data); err == nil {
			heads <- v
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // the connection ends with it
	s := store.New(pool)
	p := publish.New(publish.Config{Partitions: 1, Replicas: 1}, s, conn, vault, log)
	var g lifecycle.Group
	g.Go("publisher", func(ctx context.Context) {
		if err := p.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	defer g.Stop()
	e, err := s.Endpoint(ctx, "vendor-500")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		e.Timeout += time.Millisecond
		if e, err = s.UpdateEndpoint(ctx, "bench", e, "", nil); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		for v := (contract.Version{}); v.Revision < e.Revision; {
			v = <-heads
		}
	}
}
