package limit_test

import (
	"testing"

	"tollgate/edge/limit"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// plenty is a ledger that gives all that is asked for.
func plenty(x *limit.Exchange) *eventv1.LeaseReply {
	reply := &eventv1.LeaseReply{LeaderEpoch: 1}
	for _, q := range x.Rates() {
		reply.Rates = append(reply.Rates, &eventv1.RateGrant{Limit: q.GetLimit(), Tokens: q.GetWant() + 1<<30, TtlMs: 3_600_000, Sharers: 1})
	}
	for _, q := range x.Permits() {
		reply.Permits = append(reply.Permits, &eventv1.PermitGrant{Limit: q.GetLimit(), Seq: q.GetSeq(), Permits: 1 << 20, SessionTtlMs: 8000, Sharers: 1})
	}
	return reply
}

func newLimit(tb testing.TB, id int64, kind eventv1.LimitKind, amount, burst int64) *limit.Limit {
	tb.Helper()
	l, err := limit.NewLimit(&eventv1.Limit{Id: id, Kind: kind, Amount: amount, Burst: burst, Name: "search", Subject: "team search"})
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// stock has tokens of all limits at hand.
func stock(tb testing.TB, s *limit.Set, limits []*limit.Limit) {
	tb.Helper()
	var p limit.Pass
	w := s.Begin(&p, limits, 1)
	for {
		if done, err := w.Try(); done {
			if err != nil {
				tb.Fatal(err)
			}
			break
		}
		if x, _ := s.Next(0); x != nil {
			x.Done(plenty(x))
		}
	}
	w.End()
	p.Settle(1)
	p.Release()
}

func benchmarkAcquire(b *testing.B, parallel bool, kinds ...eventv1.LimitKind) {
	b.Helper()
	s := limit.New(limit.DefaultConfig(), nil, nil)
	var limits []*limit.Limit
	for i, k := range kinds {
		limits = append(limits, newLimit(b, int64(i+1), k, 1<<30, 1<<30))
	}
	stock(b, s, limits)
	b.ReportAllocs()
	once := func(p *limit.Pass) {
		if err := s.Acquire(b.Context(), p, limits, 1); err != nil {
			b.Error(err)
		}
		p.Settle(1)
		p.Release()
	}
	if parallel {
		b.RunParallel(func(pb *testing.PB) {
			p := new(limit.Pass)
			for pb.Next() {
				once(p)
			}
		})
		return
	}
	p := new(limit.Pass)
	for b.Loop() {
		once(p)
	}
}

const (
	requests   = eventv1.LimitKind_LIMIT_KIND_REQUESTS
	units      = eventv1.LimitKind_LIMIT_KIND_UNITS
	concurrent = eventv1.LimitKind_LIMIT_KIND_CONCURRENT
)

func BenchmarkAcquire1(b *testing.B) { benchmarkAcquire(b, false, requests) }
func BenchmarkAcquire4(b *testing.B) { benchmarkAcquire(b, false, requests, requests, units, requests) }

func BenchmarkAcquire4Permit(b *testing.B) {
	benchmarkAcquire(b, false, requests, requests, units, concurrent)
}

func BenchmarkAcquire4Parallel(b *testing.B) {
	benchmarkAcquire(b, true, requests, requests, units, requests)
}

// Guarantee: a request that finds tokens and permits at hand allocates nothing.
func TestNoAllocations(t *testing.T) {
	s := limit.New(limit.DefaultConfig(), nil, nil)
	limits := []*limit.Limit{newLimit(t, 1, requests, 1<<30, 1<<30), newLimit(t, 2, units, 1<<30, 1<<30), newLimit(t, 3, concurrent, 1<<20, 0)}
	stock(t, s, limits)
	p := new(limit.Pass)
	if n := testing.AllocsPerRun(1000, func() {
		if err := s.Acquire(t.Context(), p, limits, 1); err != nil {
			t.Error(err)
		}
		p.Settle(1)
		p.Release()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
