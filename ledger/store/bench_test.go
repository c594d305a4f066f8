package store_test

import (
	"fmt"
	"testing"

	"tollgate/internal/money"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
	"tollgate/ledger/usage"
)

// benchAccounts makes n accounts that nobody can exhaust.
func benchAccounts(tb testing.TB, b *bench, n int64) {
	tb.Helper()
	var list []store.Account
	for id := int64(1); id <= n; id++ {
		list = append(list, budget(id, money.Max>>1))
	}
	b.account(tb, list...)
}

// One operation is one transaction of so many lines, each of which is granted something.
func BenchmarkLease(b *testing.B) {
	for _, n := range []int64{1, 50, 500} {
		b.Run(fmt.Sprintf("lines=%d", n), func(b *testing.B) {
			s := setup(b)
			benchAccounts(b, s, n)
			m := escrow.NewMemory()
			seen := money.Nanos(0)
			for b.Loop() {
				lines := make([]escrow.Line, n)
				for i := range lines {
					lines[i] = line(int64(i)+1, 7, 10)
					lines[i].Ask.Seen, lines[i].Ask.Used = seen, seen
				}
				if _, err := s.leader.Lease(b.Context(), lines, m); err != nil {
					b.Fatal(err)
				}
				seen += 10
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

// One operation is one flush of 20,000 events of four edges on so many accounts.
func BenchmarkBook(b *testing.B) {
	const events, edges, perBatch = 20_000, 4, 500
	for _, accounts := range []int64{10, 1000} {
		b.Run(fmt.Sprintf("accounts=%d", accounts), func(b *testing.B) {
			s := setup(b)
			benchAccounts(b, s, accounts)
			first := uint64(1)
			for b.Loop() {
				var batches []store.Batch
				for i := range events / perBatch {
					batch := store.Batch{Batch: escrow.Batch{Inc: int64(1 + i%edges), Edge: "edge", First: first + uint64(i/edges*perBatch)}}
					for j := range int64(perBatch) {
						batch.Events = append(batch.Events, escrow.Event{Draws: []escrow.Draw{{Window: win(1 + (j*7+int64(i))%accounts), Nanos: 3}}})
						batch.Facts = append(batch.Facts, usage.Fact{
							Bucket: usage.Bucket{Day: "2026-11-01", KeyID: fmt.Sprint((j*7 + int64(i)) % accounts), EndpointID: "e"},
							Counts: usage.Counts{Requests: 1, Cost: 3},
						})
					}
					batches = append(batches, batch)
				}
				out, err := s.leader.Book(b.Context(), store.Position{Stream: "s", Seq: first}, batches, nil)
				if err != nil || out.Events != events {
					b.Fatal(out.Events, err)
				}
				first += events / edges
			}
			b.ReportMetric(events*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
