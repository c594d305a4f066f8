package ledger_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// BenchmarkLeaseFloor is what BenchmarkLease cannot be faster than: a question over NATS and its answer,
// and a transaction of one changed row.
func BenchmarkLeaseFloor(b *testing.B) {
	w := setup(b)
	b.Run("nats", func(b *testing.B) {
		sub, err := w.nc.Subscribe("floor", func(m *nats.Msg) { _ = m.Respond(m.Data) }) // a lost answer fails the request
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = sub.Unsubscribe() }()
		if err := w.nc.Flush(); err != nil { // until then nobody would answer
			b.Fatal(err)
		}
		asks, err := nats.Connect(w.nats.URL())
		if err != nil {
			b.Fatal(err)
		}
		defer asks.Close()
		data := make([]byte, 64)
		timed(b, func() error {
			_, err := asks.Request("floor", data, 5*time.Second)
			return err
		})
	})
	b.Run("commit", func(b *testing.B) {
		if _, err := w.pool.Exec(b.Context(), `CREATE TABLE floor AS SELECT 0 AS n`); err != nil {
			b.Fatal(err)
		}
		timed(b, func() error {
			_, err := w.pool.Exec(b.Context(), `UPDATE floor SET n = n + 1`)
			return err
		})
	})
}

// timed runs f over and over and reports the median.
func timed(b *testing.B, f func() error) {
	b.Helper()
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
}

// BenchmarkLedgerMemory is the memory of a ledger that knows a million accounts and is asked for money of
// more and more of them within an hour. It is measured against what it took before anybody asked, so what
// the accounts themselves take is apart.
func BenchmarkLedgerMemory(b *testing.B) {
	const accounts, lines = 1_000_000, 500
	w := setup(b)
	empty := heap()
	if _, err := w.pool.Exec(b.Context(), `
		INSERT INTO ledger.account (account_id, part, shard, gen, period, time_zone, lim, version, budget_id)
		SELECT a, 0, a % $2, 1, 1, 'UTC', 1::bigint << 50, 1, 'bud_' || a FROM generate_series(1, $1::bigint) a`, accounts, contract.AccountShards); err != nil {
		b.Fatal(err)
	}
	w.start(w.config())
	w.answered(b.Context(), &eventv1.LeaseRequest{Inc: 1, Edge: "edge", Lines: []*eventv1.LeaseLine{{Window: win(1), Need: 1}}})
	before, asked := heap(), int64(0)
	b.Run("known", func(b *testing.B) {
		for b.Loop() {
		}
		b.ReportMetric(float64(before-empty)/1e6, "heap-MB")
		b.ReportMetric(0, "ns/op")
	})
	for _, most := range []int64{10_000, 100_000, accounts} {
		b.Run(fmt.Sprintf("asked=%d", most), func(b *testing.B) {
			for b.Loop() {
				for asked < most {
					p := &eventv1.LeaseRequest{Inc: 1, Edge: "edge"}
					for range lines {
						asked++
						p.Lines = append(p.Lines, &eventv1.LeaseLine{Window: win(asked), Need: 10, Want: 100})
					}
					w.answered(b.Context(), p)
				}
			}
			b.ReportMetric(float64(heap()-before)/1e6, "heap-MB")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// answered sends a request until it is answered, however long a ledger takes to lead so many accounts.
func (w *world) answered(ctx context.Context, p *eventv1.LeaseRequest) {
	w.t.Helper()
	data, err := proto.Marshal(p)
	if err != nil {
		w.t.Fatal(err)
	}
	for ctx.Err() == nil {
		if _, err = w.nc.Request(contract.Lease(0), data, 5*time.Second); err == nil {
			return
		}
	}
	w.t.Fatal(err)
}

// heap is what is alive of this process's memory.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
