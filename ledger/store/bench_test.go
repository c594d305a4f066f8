package store_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
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

// traffic makes flushes as they come from four edges: events that draw on four accounts each, of which
// one belongs to a key of many, as keys are used (Zipf), and the others to its team, its endpoint and
// everything. A key calls one endpoint, and now and then another, and every other key has a tag.
type traffic struct {
	keys    *rand.Zipf
	next    map[int64]uint64
	at      int64
	tags    [][]string
	request [16]byte
}

const (
	benchKeys  = 100_000
	benchEdges = 4
	benchBatch = 500
)

func newTraffic() *traffic {
	r := rand.New(rand.NewPCG(1, 2))
	t := &traffic{keys: rand.NewZipf(r, 1.1, 1, benchKeys-1), next: map[int64]uint64{}, at: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixMilli()}
	for i := range 20 {
		t.tags = append(t.tags, nil, []string{fmt.Sprint("job-", i)})
	}
	return t
}

func (t *traffic) flush(events int) []store.Batch {
	var batches []store.Batch
	for i := range events / benchBatch {
		inc := int64(1 + i%benchEdges)
		b := store.Batch{Batch: escrow.Batch{Inc: inc, Edge: fmt.Sprint("edge-", inc), First: t.next[inc] + 1}}
		t.next[inc] += benchBatch
		for j := range benchBatch {
			key := int64(t.keys.Uint64())
			team, endpoint := key%200, (key+int64(j%16)/15)%10
			const cost = 12_000
			e := &eventv1.SpendEvent{
				RequestId: bytes.Clone(t.request[:]), Attempt: 1, UnixMs: t.at, KeyId: fmt.Sprintf("key_%026d", key), EndpointId: fmt.Sprintf("ep_%026d", endpoint),
				Status: 200, Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_OK, PriceVersion: 3, CostNanos: cost, DurationUs: 1234,
				Team: fmt.Sprint("team-", team), Model: "model-1", ReservedNanos: cost, Units: 321, Tags: t.tags[key%int64(len(t.tags))],
			}
			var draws []escrow.Draw
			for _, account := range [4]int64{1_000 + key, 100 + team, 10 + endpoint, 1} {
				draws = append(draws, escrow.Draw{Window: win(account), Nanos: cost})
				e.Draws = append(e.Draws, &eventv1.SpendDraw{Window: win(account).ToProto(), Nanos: cost})
			}
			b.Events = append(b.Events, escrow.Event{Draws: draws})
			b.Records = append(b.Records, e)
			if j%50 == 0 {
				t.at += 7
			}
		}
		batches = append(batches, b)
	}
	return batches
}

// benchLeases gives every edge money of every account, as it has when it spends.
func benchLeases(b *testing.B, s *bench) {
	b.Helper()
	for _, sql := range []string{
		`INSERT INTO ledger.account_window (account_id, gen, start, part, lim, alloc, version)
			SELECT a, 1, 0, 0, 1::bigint << 60, 4 * (1::bigint << 50), 1 FROM generate_series(1, 1000 + $1::bigint) a`,
		`INSERT INTO ledger.lease (account_id, gen, start, inc, granted)
			SELECT a, 1, 0, inc, 1::bigint << 50 FROM generate_series(1, 4) inc, generate_series(1, 1000 + $1::bigint) a`,
	} {
		if _, err := s.pool.Exec(b.Context(), sql, benchKeys); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := s.pool.Exec(b.Context(), `VACUUM ANALYZE ledger.lease, ledger.account_window`); err != nil {
		b.Fatal(err)
	}
}

// One operation is one flush of 20,000 events, and a tenth of folding the usage of ten.
func BenchmarkBook(b *testing.B) {
	const events = 20_000
	for name, options := range map[string][]store.Option{"records": nil, "sums": {store.WithoutRecords()}} {
		b.Run(name, func(b *testing.B) {
			s := setup(b)
			s.leader.Close()
			s.db = store.New(s.pool, options...)
			benchLeases(b, s)
			s.leader = s.lead(b)
			t := newTraffic()
			var seq uint64
			for range 20 { // until most of what there is has been seen
				seq++
				if _, err := s.leader.Book(b.Context(), store.Position{Stream: "s", Seq: seq}, t.flush(events), nil); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				b.StopTimer()
				batches := t.flush(events)
				b.StartTimer()
				seq++
				out, err := s.leader.Book(b.Context(), store.Position{Stream: "s", Seq: seq}, batches, nil)
				if err != nil || out.Events != events {
					b.Fatal(out.Events, err)
				}
				if seq%10 == 0 { // what a Keeper does beside it, every few seconds
					if err := s.db.Fold(b.Context(), 0); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(events*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// One operation is one flush of 20,000 events, while an edge asks for money every two milliseconds.
func BenchmarkLeaseWhileBooking(b *testing.B) {
	const events, every = 20_000, 2 * time.Millisecond
	s := setup(b)
	benchLeases(b, s)
	benchAccounts(b, s, 1)
	t := newTraffic()
	var seq uint64
	book := func() {
		seq++
		b.StopTimer()
		batches := t.flush(events)
		b.StartTimer()
		if out, err := s.leader.Book(b.Context(), store.Position{Stream: "s", Seq: seq}, batches, nil); err != nil || out.Events != events {
			b.Fatal(out.Events, err)
		}
		if seq%10 == 0 {
			if err := s.db.Fold(b.Context(), 0); err != nil {
				b.Fatal(err)
			}
		}
	}
	for range 10 {
		book()
	}
	ctx, cancel := context.WithCancel(b.Context())
	var took []time.Duration
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		seen := money.Nanos(0)
		for ctx.Err() == nil {
			<-tick.C
			q := line(1, 77, 10)
			q.Ask.Seen, q.Ask.Used = seen, seen
			began := time.Now()
			out, err := s.leader.Lease(ctx, []escrow.Line{q}, nil)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				b.Error(err)
				return
			}
			took, seen = append(took, time.Since(began)), out.Answers[0].Granted
		}
	})
	for b.Loop() {
		book()
	}
	cancel()
	wg.Wait()
	slices.Sort(took)
	b.ReportMetric(events*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "lease-p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "lease-p99-us")
}
