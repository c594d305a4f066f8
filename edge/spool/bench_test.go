package spool_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/lifecycle"
)

// benchSpool is a spool whose segments are made ahead and given back as fast as they fill up.
func benchSpool(b *testing.B, storage spool.Storage) *spool.Spool {
	b.Helper()
	s := mustOpen(b, spool.Options{Storage: storage, MaxBytes: 1 << 30, SegmentBytes: 64 << 20})
	var p *spool.Publisher
	var booked atomic.Uint64
	book := func(context.Context, string, string, []byte) error {
		last := s.Incarnations()[s.Inc()]
		if booked.Swap(last) != last {
			p.Mark(&eventv1.Mark{Inc: s.Inc(), Hwm: last})
		}
		return nil
	}
	p = spool.NewPublisher(s, book, nil)
	var g lifecycle.Group
	g.Go("publisher", func(ctx context.Context) { _ = p.Run(ctx) })
	b.Cleanup(func() {
		g.Stop()
		s.Crash()
	})
	return s
}

var benchStorages = []struct {
	name    string
	storage func(dir string) spool.Storage
}{{"mapped", spool.Mapped}, {"written", spool.Written}}

// One record alone: an intent with one draw and without labels, of 128 bytes.
func BenchmarkAppend(b *testing.B) {
	for _, kind := range benchStorages {
		b.Run(kind.name, func(b *testing.B) {
			s := benchSpool(b, kind.storage(b.TempDir()))
			i, end := anIntent(1), ok(1)
			i.Team, i.Customer, i.Model, i.Tags, i.Draws = "", "", "", nil, i.Draws[:1]
			i.KeyID, i.EndpointID = "key_0123456789", "ep_01"
			if n := spool.IntentLength(i); n != 128 {
				b.Fatalf("the record has %d bytes", n)
			}
			var open [256]spool.Ticket
			b.ReportAllocs()
			for n := 0; n < b.N; n += len(open) {
				some := open[:min(len(open), b.N-n)]
				for k := range some {
					var err error
					if some[k], err = s.Intent(i); err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				for _, ticket := range some {
					s.Settle(ticket, end)
				}
				b.StartTimer()
			}
		})
	}
}

// One request with four draws, a team, a customer and two tags is an intent and its settlement: two records.
func BenchmarkIntentSettle(b *testing.B) {
	for _, kind := range benchStorages {
		for _, writers := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/writers=%d", kind.name, writers), func(b *testing.B) {
				s := benchSpool(b, kind.storage(b.TempDir()))
				b.ReportAllocs()
				b.SetParallelism((writers + 1) / 2) // of two processors
				if writers == 1 {
					i, end := benchIntent(), ok(1)
					for b.Loop() {
						if err := request(s, i, end); err != nil {
							b.Fatal(err)
						}
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					i, end := benchIntent(), ok(1)
					for pb.Next() {
						if err := request(s, i, end); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

func benchIntent() *spool.Intent {
	i := anIntent(1)
	i.Draws = nil
	for account := range int64(4) {
		i.Draws = append(i.Draws, contract.Draw{Window: contract.Window{Account: 100 + account, Gen: 1, Start: 1_700_000_000}})
	}
	return i
}

// request is an intent and its settlement.
func request(s *spool.Spool, i *spool.Intent, end *spool.Settlement) error {
	ticket, err := s.Intent(i)
	if err == nil {
		s.Settle(ticket, end)
	}
	return err
}
