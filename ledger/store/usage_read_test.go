package store_test

import (
	cmp2 "cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
	"tollgate/ledger/usage"
)

// first is a time in the past from which tests count.
var first = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// ended makes records of attempts that end one after another.
func ended(at time.Time, change ...func(*eventv1.SpendEvent)) *eventv1.SpendEvent {
	e := &eventv1.SpendEvent{
		RequestId: []byte("0123456789abcdef"), Attempt: 1, UnixMs: at.UnixMilli(), KeyId: "key_a", EndpointId: "ep_a", Status: 200,
		Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_OK, PriceVersion: 3, CostNanos: 10, DurationUs: 1500, ReservedNanos: 12, Units: 2,
	}
	for _, c := range change {
		c(e)
	}
	return e
}

// drawing has an attempt draw its cost from accounts of one partition.
func drawing(part uint32, accounts ...int64) func(*eventv1.SpendEvent) {
	return func(e *eventv1.SpendEvent) {
		for _, a := range accounts {
			e.Draws = append(e.Draws, &eventv1.SpendDraw{Window: win(a).ToProto(), Part: part, Nanos: e.GetCostNanos()})
		}
	}
}

// settle books attempts of an incarnation as its next events in the partition.
func (b *bench) settle(tb testing.TB, inc int64, events ...*eventv1.SpendEvent) {
	tb.Helper()
	b.settleOn(tb, "edge", inc, events...)
}

// settleOn does so of an incarnation of an edge.
func (b *bench) settleOn(tb testing.TB, edge string, inc int64, events ...*eventv1.SpendEvent) {
	tb.Helper()
	if b.next == nil {
		b.next = map[int64]uint64{}
	}
	batch := store.Batch{Batch: escrow.Batch{Inc: inc, Edge: edge, First: b.next[inc] + 1}}
	for _, e := range events {
		var own escrow.Event
		for _, d := range e.GetDraws() {
			if d.GetPart() == b.part {
				own.Draws = append(own.Draws, escrow.Draw{Window: contract.WindowOf(d.GetWindow()), Nanos: money.Nanos(d.GetNanos())})
			}
		}
		batch.Events = append(batch.Events, own)
		if e.GetDrawsOnly() {
			e = nil
		}
		batch.Records = append(batch.Records, e)
	}
	b.next[inc] += uint64(len(events))
	out, err := b.leader.Book(context.Background(), store.Position{Stream: "s", Seq: b.next[inc]}, []store.Batch{batch}, nil)
	if err != nil || out.Events != len(events) {
		tb.Fatalf("Book = %+v, %v", out, err)
	}
}

// Guarantee: a question in any dimensions, with any filters, over days of any zone or over
// hours, is answered as if the records themselves were added up; the groups that cost least are one where only the top is asked for.
func TestUsageInEveryDimension(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	var all []*eventv1.SpendEvent
	for part := range uint32(2) {
		of := b
		if part > 0 {
			of = b.partition(t, part)
		}
		some := map[string][]*eventv1.SpendEvent{}
		for range 300 {
			edge := pick(edges...)
			some[edge] = append(some[edge], ended(first.Add(time.Duration(rng.IntN(72*60))*time.Minute), func(e *eventv1.SpendEvent) {
				e.KeyId, e.EndpointId, e.Team, e.Customer, e.Model = pick("k1", "k2", "k3"), pick("e1", "e2"), pick("", "ops", "dev"), pick("", "acme"), pick("", "m1", "m2")
				e.RequestId = []byte("0123456789abcde" + edge[:1])
				e.Status = uint32(rng.IntN(3)) * 200
				e.CostNanos, e.Units, e.Unpriced = rng.Int64N(100), rng.Int64N(9), rng.IntN(5) == 0
				for _, tag := range []string{"a", "b", "c"} {
					if rng.IntN(2) == 0 {
						e.Tags = append(e.Tags, tag)
					}
				}
				if rng.IntN(4) == 0 {
					e.Outcome, e.CostNanos = eventv1.SpendOutcome_SPEND_OUTCOME_UNREACHABLE, 0
				}
			}))
		}
		for i, edge := range edges {
			of.settleOn(t, edge, int64(7+i), some[edge]...)
			all = append(all, some[edge]...)
		}
	}
	dimensions := []usage.Dimension{
		usage.ByKey, usage.ByEndpoint, usage.ByDay, usage.ByTeam, usage.ByCustomer, usage.ByTag, usage.ByModel, usage.ByStatus, usage.ByHour, usage.ByStatusClass, usage.ByEdge,
	}
	for i := range 400 {
		q := usage.Query{From: "2026-11-01", To: pick("2026-11-01", "2026-11-02", "2026-11-30")}
		for _, d := range dimensions {
			if i < len(dimensions) && d == dimensions[i] || i >= len(dimensions) && rng.IntN(4) == 0 {
				q.GroupBy = append(q.GroupBy, d)
			}
		}
		if rng.IntN(3) == 0 {
			q.KeyID, q.Team, q.Tag = pick("", "k1"), pick("", "ops"), pick("", "a")
		}
		if rng.IntN(3) == 0 {
			q.EndpointID, q.Customer, q.Model = pick("", "e1", "e9"), pick("", "acme"), pick("", "m1")
		}
		if rng.IntN(2) == 0 {
			q.Zone = pick("Europe/Berlin", "Asia/Kathmandu", "America/Los_Angeles", "Pacific/Kiritimati", "Pacific/Marquesas") // clocks go back in Los Angeles
		}
		if rng.IntN(2) == 0 {
			q.Begin = first.Add(time.Duration(rng.IntN(60)-3) * time.Hour)
			q.End = q.Begin.Add(time.Duration(1+rng.IntN(70)) * time.Hour)
		}
		for _, m := range []usage.Match{
			{Of: usage.ByKey, Values: []string{"k1", "k3"}},
			{Of: usage.ByEndpoint, Values: []string{"e1"}},
			{Of: usage.ByTeam, Values: []string{"", "dev"}},
			{Of: usage.ByModel, Values: []string{"m1"}},
			{Of: usage.ByCustomer, Values: []string{"acme"}},
			{Of: usage.ByStatus, Values: []string{"4xx", "200"}},
			{Of: usage.ByStatusClass, Values: []string{"0xx"}},
			{Of: usage.ByEdge, Values: []string{"lon", "x"}},
		} {
			if m.Not = rng.IntN(2) == 0; rng.IntN(7) == 0 {
				q.Where = append(q.Where, m)
			}
		}
		if q.Tag == "" && rng.IntN(9) == 0 {
			q.Where = append(q.Where, usage.Match{Of: usage.ByTag, Values: []string{"b"}})
		}
		if rng.IntN(3) == 0 {
			q.Top = 1 + rng.IntN(4)
		}
		got, err := usage.Ask(t.Context(), b.db, q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		for k := 1; k < len(got); k++ {
			if got[k].Counts.Cost > got[k-1].Counts.Cost && got[k].Other == got[k-1].Other {
				t.Errorf("%+v: row %d costs more than the one before", q, k)
			}
		}
		sums := map[group]figures{}
		for _, r := range got {
			sums[group{r.Bucket, r.StatusClass, r.Other}] = figures{r.Counts, r.Errors}
		}
		if len(q.GroupBy) == 0 && len(sums) == 1 && sums[group{}] == (figures{}) {
			sums = map[group]figures{}
			got = nil
		}
		if d := cmp.Diff(addUp(t, q, all), sums, cmp.AllowUnexported(group{}, figures{})); d != "" || len(sums) != len(got) {
			t.Fatalf("%+v: %s", q, d)
		}
	}
}

// edges are those that attempts come from, told by the last byte of their ids; all others come from one.
var edges = []string{"fra", "lon"}

func edgeOf(e *eventv1.SpendEvent) string {
	if i := slices.IndexFunc(edges, func(name string) bool { return name[0] == e.GetRequestId()[15] }); i >= 0 {
		return edges[i]
	}
	return "edge" // as settle has it
}

type group struct {
	bucket usage.Bucket
	class  uint32
	other  bool
}

type figures struct {
	counts usage.Counts
	errors int64
}

func (f figures) add(e *eventv1.SpendEvent) figures {
	f.counts = f.counts.Add(usage.CountsOf(e))
	if e.GetStatus() == 0 || e.GetStatus() >= 500 {
		f.errors++
	}
	return f
}

// addUp answers a question from records.
func addUp(t *testing.T, q usage.Query, all []*eventv1.SpendEvent) map[group]figures {
	t.Helper()
	zone, err := time.LoadLocation(q.Zone)
	if err != nil {
		t.Fatal(err)
	}
	sums := map[group]figures{}
	for _, e := range all {
		hour := time.UnixMilli(e.GetUnixMs()).UTC().Truncate(time.Hour)
		day := hour.In(zone).Format(time.DateOnly)
		out := q.Begin.IsZero() && (day < q.From || day > q.To) || !q.Begin.IsZero() && (hour.Before(q.Begin) || !hour.Before(q.End))
		for _, f := range [][2]string{
			{q.KeyID, e.GetKeyId()}, {q.EndpointID, e.GetEndpointId()}, {q.Team, e.GetTeam()}, {q.Customer, e.GetCustomer()}, {q.Model, e.GetModel()},
		} {
			out = out || f[0] != "" && f[0] != f[1]
		}
		tag := q.Tag
		for _, m := range q.Where {
			if m.Of == usage.ByTag {
				tag = m.Values[0]
			} else {
				out = out || among(m, e) == m.Not
			}
		}
		if out {
			continue
		}
		tags := []string{""}
		if q.ByTags() {
			tags = slices.DeleteFunc(slices.Clone(e.GetTags()), func(one string) bool { return tag != "" && one != tag })
		}
		for _, tag := range tags {
			var g group
			b := &g.bucket
			for _, d := range q.GroupBy {
				switch d {
				case usage.ByKey:
					b.KeyID = e.GetKeyId()
				case usage.ByEndpoint:
					b.EndpointID = e.GetEndpointId()
				case usage.ByDay:
					b.Day = day
				case usage.ByTeam:
					b.Team = e.GetTeam()
				case usage.ByCustomer:
					b.Customer = e.GetCustomer()
				case usage.ByTag:
					b.Tag = tag
				case usage.ByModel:
					b.Model = e.GetModel()
				case usage.ByStatus:
					b.Status = e.GetStatus()
				case usage.ByStatusClass:
					g.class = e.GetStatus() / 100
				case usage.ByHour:
					b.Hour = hour.Format("2006-01-02T15")
				case usage.ByEdge:
					b.Edge = edgeOf(e)
				}
			}
			sums[g] = sums[g].add(e)
		}
	}
	return topGroups(q, sums)
}

// among says whether an attempt has one of the values of a match.
func among(m usage.Match, e *eventv1.SpendEvent) bool {
	is := map[usage.Dimension]string{
		usage.ByKey: e.GetKeyId(), usage.ByEndpoint: e.GetEndpointId(), usage.ByTeam: e.GetTeam(), usage.ByModel: e.GetModel(), usage.ByCustomer: e.GetCustomer(),
		usage.ByEdge: edgeOf(e),
	}[m.Of]
	if m.Of == usage.ByStatus || m.Of == usage.ByStatusClass {
		return slices.ContainsFunc(m.Values, func(v string) bool {
			return v == fmt.Sprintf("%d", e.GetStatus()) || v == fmt.Sprintf("%dxx", e.GetStatus()/100)
		})
	}
	return slices.Contains(m.Values, is)
}

// topGroups adds up the groups that cost less than the top ones.
func topGroups(q usage.Query, sums map[group]figures) map[group]figures {
	if named := slices.ContainsFunc(q.GroupBy, func(d usage.Dimension) bool { return d != usage.ByDay && d != usage.ByHour }); q.Top == 0 || !named {
		return sums
	}
	timeless := func(g group) group {
		g.bucket.Day, g.bucket.Hour = "", ""
		return g
	}
	costs := map[group]money.Nanos{}
	for g, f := range sums {
		costs[timeless(g)] += f.counts.Cost
	}
	order := slices.SortedFunc(maps.Keys(costs), func(a, b group) int {
		x, y := a.bucket, b.bucket
		return cmp2.Or(cmp2.Compare(costs[b], costs[a]), cmp2.Compare(x.KeyID, y.KeyID), cmp2.Compare(x.EndpointID, y.EndpointID), cmp2.Compare(x.Team, y.Team),
			cmp2.Compare(x.Customer, y.Customer), cmp2.Compare(x.Model, y.Model), cmp2.Compare(x.Tag, y.Tag), cmp2.Compare(x.Edge, y.Edge), cmp2.Compare(x.Status, y.Status), cmp2.Compare(a.class, b.class))
	})
	top := order[:min(q.Top, len(order))]
	out := map[group]figures{}
	for g, f := range sums {
		if !slices.Contains(top, timeless(g)) {
			g = group{usage.Bucket{Day: g.bucket.Day, Hour: g.bucket.Hour}, 0, true}
		}
		had := out[g]
		out[g] = figures{had.counts.Add(f.counts), had.errors + f.errors}
	}
	return out
}

// Guarantee: usage by edge counts what corrections of records made of it, and is refused, with the reason, for a time of which not all
// records are there.
func TestUsageByEdge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.settleOn(t, "lon", 7, ended(first), ended(first.Add(time.Hour), func(e *eventv1.SpendEvent) { e.Unpriced = true }))
	b.settleOn(t, "fra", 8, ended(first))
	if _, err := b.db.Reprice(t.Context(), usage.Filter{Unpriced: true}, usage.Price{PerRequest: 110}, false); err != nil {
		t.Fatal(err)
	}
	q := usage.Query{From: "2026-11-01", To: "2026-11-01", GroupBy: []usage.Dimension{usage.ByEdge}}
	got, err := usage.Ask(t.Context(), b.db, q)
	want := []usage.Row{
		{Bucket: usage.Bucket{Edge: "lon"}, Counts: usage.Counts{Requests: 2, Units: 4, Cost: 120}},
		{Bucket: usage.Bucket{Edge: "fra"}, Counts: usage.Counts{Requests: 1, Units: 2, Cost: 10}},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	for since, says := range map[string]string{"2026-11-01T00:00:01Z": "reach back to 2026-11-01T00:00:01Z", "infinity": "keeps none"} {
		if _, err := b.pool.Exec(t.Context(), `UPDATE ledger.ledger_part SET records_since = $1::text::timestamptz`, since); err != nil {
			t.Fatal(err)
		}
		if _, err := usage.Ask(t.Context(), b.db, q); fault.From(err).Code != fault.FailedPrecondition || !strings.Contains(err.Error(), says) {
			t.Errorf("records since %s: %v", since, err)
		}
		if _, err := usage.Ask(t.Context(), b.db, usage.Query{From: q.From, To: q.To}); err != nil {
			t.Errorf("sums, where there are records since %s: %v", since, err)
		}
	}
}

// Guarantee: an answer is bounded, and what it leaves out are the cheapest groups.
func TestUsageIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.settle(t, 7, ended(first), ended(first, func(e *eventv1.SpendEvent) { e.KeyId, e.CostNanos = "key_b", 20 }))
	if _, err := b.pool.Exec(t.Context(), `
		INSERT INTO ledger.usage_series (part, key_id, endpoint_id, status, team, customer, model, tag)
		SELECT 0, 'many ' || n, 'e', 200, '', '', '', '' FROM generate_series(1, 100010) n`); err != nil {
		t.Fatal(err)
	}
	if _, err := b.pool.Exec(t.Context(), `
		INSERT INTO ledger.usage_day_sums (day, series, requests, failed, abandoned, unpriced, units, cost_nanos)
		SELECT '2026-11-01', s.series, 1, 0, 0, 0, 1, 1 FROM ledger.usage_series s WHERE s.key_id LIKE 'many %'`); err != nil {
		t.Fatal(err)
	}
	got, err := b.db.Usage(t.Context(), usage.Query{From: "2026-11-01", To: "2026-11-01", GroupBy: []usage.Dimension{usage.ByKey}})
	if err != nil || len(got) != 100_000 || got[0].Bucket.KeyID != "key_b" || got[1].Bucket.KeyID != "key_a" {
		t.Errorf("%d rows, %v", len(got), err)
	}
}
