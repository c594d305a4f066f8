package ledger_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// BenchmarkLease is the way of one lease line: over NATS to the leader, committed by the database, and
// back. Edges ask all at once, each for its own lease of one account.
func BenchmarkLease(b *testing.B) {
	for _, edges := range []int{1, 16} {
		b.Run(fmt.Sprintf("edges=%d", edges), func(b *testing.B) {
			w := setup(b)
			w.ready(w.start(w.config()))
			w.publish(total(1, 1<<60))
			w.need(1, "edge", &eventv1.LeaseLine{Window: win(1), Need: 1})
			took := make([][]time.Duration, edges)
			b.ResetTimer()
			var wg sync.WaitGroup
			for e := range edges {
				nc, err := nats.Connect(w.nats.URL())
				if err != nil {
					b.Fatal(err)
				}
				defer nc.Close()
				wg.Go(func() {
					for i := range b.N / edges {
						data, err := proto.Marshal(&eventv1.LeaseRequest{Inc: int64(100 + e), Edge: "edge", Lines: []*eventv1.LeaseLine{
							{Window: win(1), GrantedSeen: int64(i), Used: int64(i), Consumed: int64(i), Need: 1, Least: 1},
						}})
						if err != nil {
							b.Error(err)
							return
						}
						began := time.Now()
						if _, err := nc.Request(contract.Lease(0), data, 5*time.Second); err != nil {
							b.Error(err)
							return
						}
						took[e] = append(took[e], time.Since(began))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			all := slices.Concat(took...)
			if slices.Sort(all); len(all) > 0 {
				b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-us")
				b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-us")
			}
		})
	}
}
