package spool_test

import (
	"testing"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// One request: an intent and its settlement.
func BenchmarkIntentSettle(b *testing.B) {
	s := mustOpen(b, spool.Options{Dir: b.TempDir()})
	defer s.Crash()
	p := spool.NewPublisher(s, nil, nil)
	i, end := anIntent(1), ok(1)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		ticket, err := s.Intent(i)
		if err != nil {
			b.Fatal(err)
		}
		s.Settle(ticket, end)
		if n%100_000 == 0 {
			p.Mark(&eventv1.Mark{Inc: s.Inc(), Hwm: uint64(n)})
		}
	}
}

func BenchmarkIntentSettleParallel(b *testing.B) {
	s := mustOpen(b, spool.Options{Dir: b.TempDir(), MaxBytes: 64 << 30})
	defer s.Crash()
	i, end := anIntent(1), ok(1)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ticket, err := s.Intent(i)
			if err != nil {
				b.Error(err)
				return
			}
			s.Settle(ticket, end)
		}
	})
}
