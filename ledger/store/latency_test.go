package store_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/ledger/usage"
)

// Guarantee: latency is that of the attempts that were asked for, to the microsecond as long as there are not very many; what
// corrects others and what nobody knows the end of are not among them.
func TestLatency(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rng := rand.New(rand.NewPCG(5, 6))
	var all []*eventv1.SpendEvent
	for range 500 {
		all = append(all, ended(first.Add(time.Duration(rng.IntN(72*3600))*time.Second), func(e *eventv1.SpendEvent) {
			e.EndpointId, e.DurationUs, e.Tags = []string{"e1", "e2"}[rng.IntN(2)], rng.Int64N(1e6), [][]string{nil, {"a"}, {"a", "b"}}[rng.IntN(3)]
			if rng.IntN(9) == 0 {
				e.Outcome, e.DurationUs = eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED, 0
			}
		}))
	}
	b.settle(t, 7, all...)
	if _, err := b.pool.Exec(t.Context(), `
		INSERT INTO ledger.request (ended, inc, seq, cost, reserved, units, price_version, duration_us, corrects_inc, corrects_seq, part, attempt, status,
			outcome, unpriced, request_id, edge, key_id, endpoint_id, team, customer, model)
		SELECT r.ended, 0, r.seq, 1, 0, 0, 1, 9000000, r.inc, r.seq, r.part, r.attempt, r.status,
			r.outcome, false, r.request_id, r.edge, r.key_id, r.endpoint_id, r.team, r.customer, r.model FROM ledger.request r WHERE r.seq <= 50`); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		q    usage.LatencyQuery
		in   func(*eventv1.SpendEvent) bool
	}{
		{"by hour", usage.LatencyQuery{From: first, To: first.AddDate(0, 0, 3), Bucket: usage.PerHour}, func(*eventv1.SpendEvent) bool { return true }},
		{"by minute", usage.LatencyQuery{From: first.Add(90 * time.Second), To: first.Add(20 * time.Hour), Bucket: usage.PerMinute}, func(*eventv1.SpendEvent) bool { return true }},
		{"by day of a zone", usage.LatencyQuery{From: first, To: first.AddDate(0, 0, 3), Bucket: usage.PerDay, Zone: "Asia/Kathmandu"}, func(*eventv1.SpendEvent) bool { return true }},
		{
			"of an endpoint",
			usage.LatencyQuery{From: first, To: first.AddDate(0, 0, 30), Bucket: usage.PerDay, Where: []usage.Match{{Of: usage.ByEndpoint, Values: []string{"e2"}}}},
			func(e *eventv1.SpendEvent) bool { return e.GetEndpointId() == "e2" },
		},
		{
			"without a tag",
			usage.LatencyQuery{From: first, To: first.AddDate(0, 0, 30), Bucket: usage.PerDay, Where: []usage.Match{{Of: usage.ByTag, Values: []string{"b"}, Not: true}}},
			func(e *eventv1.SpendEvent) bool { return !slices.Contains(e.GetTags(), "b") },
		},
		{
			"of another edge",
			usage.LatencyQuery{From: first, To: first.AddDate(0, 0, 30), Bucket: usage.PerDay, Where: []usage.Match{{Of: usage.ByEdge, Values: []string{"x"}}}},
			func(*eventv1.SpendEvent) bool { return false },
		},
	} {
		got, err := usage.AskLatency(t.Context(), b.db, c.q)
		if err != nil {
			t.Fatal(c.name, err)
		}
		want := usage.Latencies{Share: usage.All}
		starts, err := c.q.Starts()
		if err != nil {
			t.Fatal(err)
		}
		of := func(from, to time.Time) (l usage.Latency) {
			var took []int64
			for _, e := range all {
				if at := time.UnixMilli(e.GetUnixMs()); !at.Before(from) && at.Before(to) && e.GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED && c.in(e) {
					took = append(took, e.GetDurationUs())
				}
			}
			slices.Sort(took)
			if n := len(took); n > 0 {
				l = usage.Latency{Attempts: int64(n), P50: took[(n*50+99)/100-1], P95: took[(n*95+99)/100-1], P99: took[(n*99+99)/100-1]}
			}
			return l
		}
		for i, at := range starts {
			from, to := at, c.q.To
			if from.Before(c.q.From) {
				from = c.q.From
			}
			if i+1 < len(starts) {
				to = starts[i+1]
			}
			if l := of(from, to); l.Attempts > 0 {
				l.Start = at
				want.Buckets = append(want.Buckets, l)
			}
		}
		want.Total = of(c.q.From, c.q.To)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// Guarantee: of very many attempts a sample is looked at, which is small and says so, and tells about the same.
func TestLatencyOfVeryMany(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.pool.Exec(t.Context(), `
		INSERT INTO ledger.request (ended, inc, seq, cost, reserved, units, price_version, duration_us, part, attempt, status, outcome, unpriced, request_id,
			edge, key_id, endpoint_id, team, customer, model)
		SELECT '2026-11-01T00:00:00Z'::timestamptz + n * interval '100 milliseconds', 7, n, 1, 1, 1, 1, n % 1000, 0, 1, 200, 1, false, decode(repeat('00', 16), 'hex'),
			'edge', 'key_' || repeat('k', 200), 'endpoint', 'team', repeat('customer', 20), 'model'
		FROM generate_series(1, 200000) n`); err != nil {
		t.Fatal(err)
	}
	got, err := usage.AskLatency(t.Context(), b.db, usage.LatencyQuery{From: first, To: first.AddDate(0, 0, 1), Bucket: usage.PerHour})
	if err != nil || got.Share >= usage.All || got.Total.Attempts >= 190_000 || got.Total.Attempts < 50_000 || len(got.Buckets) != 6 {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, l := range append(got.Buckets, got.Total) {
		if l.P50 < 400 || l.P50 > 600 || l.P95 < 900 || l.P99 < 960 {
			t.Errorf("%+v", l)
		}
	}
}
