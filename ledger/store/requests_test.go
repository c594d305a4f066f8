package store_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/id"
	"tollgate/internal/money"
	"tollgate/ledger/store"
	"tollgate/ledger/usage"
)

// all reads every page of a list.
func all(t *testing.T, db *store.Store, f usage.Filter, oldest bool, size int) []usage.Record {
	t.Helper()
	var out []usage.Record
	for token, first := "", true; first || token != ""; first = false {
		page, next, err := usage.List(t.Context(), db, f, oldest, size, token)
		if err != nil {
			t.Fatal(err)
		}
		out, token = append(out, page...), next
	}
	return out
}

func positions(list []usage.Record) []usage.Position {
	out := make([]usage.Position, len(list))
	for i, r := range list {
		out[i] = r.Position
	}
	return out
}

// Guarantee: a record comes back as its edge told it, with its place and its edge.
func TestRequestComesBackWhole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	told := ended(first.Add(time.Hour+time.Millisecond), drawing(0, 1, 2), func(e *eventv1.SpendEvent) {
		e.Team, e.Customer, e.Model, e.Tags, e.Unpriced = "ops", "acme", "m", []string{"a", "b"}, true
		e.Deployment = "m/one"
		e.Draws = append(e.Draws, &eventv1.SpendDraw{Window: &eventv1.AccountWindow{Account: 9, Gen: 2, Start: 86400}, Part: 5, Nanos: 10})
	})
	b.settle(t, 7, told, ended(first))
	got := all(t, b.db, usage.Filter{}, false, 10)
	want := usage.Record{Position: usage.Position{Inc: 7, Seq: 1}, Edge: "edge", Event: told}
	if d := cmp.Diff(want, got[0], protocmp.Transform()); d != "" || len(got) != 2 {
		t.Error(len(got), d)
	}
	if empty := setup(t); len(all(t, empty.db, usage.Filter{}, true, 10)) != 0 {
		t.Error("records of nothing")
	}
}

// Guarantee: requests are found by the deployment that served them, and by the model of it, whose name may begin like another's.
func TestRequestsOfADeployment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.settle(t, 7, ended(first))
	for i, served := range []string{"gpt/one", "gpt/two", "gpt/4o/one", "gpt-4/one"} {
		b.settle(t, 7, ended(first.Add(time.Duration(i+1)*time.Second), func(e *eventv1.SpendEvent) { e.Deployment = served }))
	}
	for asked, want := range map[string][]string{
		"":           {"gpt-4/one", "gpt/4o/one", "gpt/two", "gpt/one", ""},
		"gpt/one":    {"gpt/one"},
		"gpt/":       {"gpt/two", "gpt/one"},
		"gpt/4o/":    {"gpt/4o/one"},
		"gpt/4o/one": {"gpt/4o/one"},
		"gpt":        nil,
		"/":          nil,
	} {
		var got []string
		for _, r := range all(t, b.db, usage.Filter{Deployment: asked}, false, 10) {
			got = append(got, r.Event.GetDeployment())
		}
		if !slices.Equal(got, want) {
			t.Errorf("of %q: %q, not %q", asked, got, want)
		}
	}
}

// Guarantee: pages of any size, newest or oldest first, hold each record once and in order.
func TestPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.partition(t, 1)
	rng := rand.New(rand.NewPCG(3, 4))
	var want []usage.Record
	for i := range 60 {
		// Many at the same millisecond, over five days of which one has none.
		at := first.AddDate(0, 0, rng.IntN(6)).Add(time.Duration(rng.IntN(3)) * time.Millisecond)
		if at.Day() == 3 {
			at = first
		}
		e, of, inc := ended(at), b, int64(1+rng.IntN(3))
		if i%3 == 0 {
			of = other
		}
		of.settle(t, inc, e)
		want = append(want, usage.Record{Position: usage.Position{Part: of.part, Inc: inc, Seq: of.next[inc]}, Event: e})
	}
	slices.SortFunc(want, func(x, y usage.Record) int {
		return compareInts(x.Event.GetUnixMs()-y.Event.GetUnixMs(), int64(x.Position.Part)-int64(y.Position.Part), x.Position.Inc-y.Position.Inc, int64(x.Position.Seq)-int64(y.Position.Seq))
	})
	oldest := positions(want)
	slices.Reverse(want)
	newest := positions(want)
	for _, size := range []int{1, 2, 7, 59, 60, 61, 1000} {
		if d := cmp.Diff(oldest, positions(all(t, b.db, usage.Filter{}, true, size))); d != "" {
			t.Errorf("oldest first by %d: %s", size, d)
		}
		if d := cmp.Diff(newest, positions(all(t, b.db, usage.Filter{}, false, size))); d != "" {
			t.Errorf("newest first by %d: %s", size, d)
		}
	}
}

func compareInts(list ...int64) int {
	for _, v := range list {
		if v != 0 {
			return int(max(-1, min(1, v)))
		}
	}
	return 0
}

// Guarantee: what is booked while pages are read neither repeats nor hides a record that was there.
func TestPagesWhileBooking(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 40 {
		b.settle(t, 1, ended(first.Add(time.Duration(i)*time.Hour)))
	}
	for _, oldest := range []bool{false, true} {
		before := positions(all(t, b.db, usage.Filter{}, oldest, 100))
		seen := map[usage.Position]int{}
		for token, begin, i := "", true, 0; begin || token != ""; begin, i = false, i+1 {
			page, next, err := usage.List(t.Context(), b.db, usage.Filter{}, oldest, 5, token)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page {
				seen[r.Position]++
			}
			token = next
			if i < 20 {
				b.settle(t, 2, ended(first.Add(time.Duration(i*7%60)*time.Hour)), ended(first.Add(60*time.Hour)))
			}
		}
		for _, p := range before {
			if seen[p] != 1 {
				t.Errorf("oldest first %v: record %s was seen %d times", oldest, p, seen[p])
			}
		}
		for p, n := range seen {
			if n != 1 {
				t.Errorf("oldest first %v: record %s was seen %d times", oldest, p, n)
			}
		}
	}
}

// Guarantee: every filter lets exactly the records through that match it, and filters combine.
func TestRequestFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rng := rand.New(rand.NewPCG(5, 6))
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	ids := [][]byte{make([]byte, 16), []byte("not of a version"), nil, nil}
	for i := range ids[2:] {
		fresh := id.NewBytes() // made now, so an attempt of it cannot have ended before
		ids[2+i] = fresh[:]
	}
	now := time.Now().UTC().Truncate(time.Hour)
	var told []usage.Record
	var events []*eventv1.SpendEvent
	for i := range 200 {
		k := rng.IntN(len(ids))
		at := now.Add(time.Duration(rng.IntN(48)) * time.Hour).Add(time.Hour)
		e := ended(at, func(e *eventv1.SpendEvent) {
			e.RequestId = ids[k]
			e.KeyId, e.EndpointId, e.Team, e.Customer, e.Model = pick("k1", "k2"), pick("e1", "e2"), pick("", "ops"), pick("", "acme"), pick("", "m1")
			e.Status, e.Outcome, e.Unpriced = uint32(rng.IntN(2)*200), eventv1.SpendOutcome(1+rng.IntN(3)), rng.IntN(2) == 0
			e.CostNanos, e.DurationUs = rng.Int64N(9), rng.Int64N(9)
			for _, tag := range []string{"a", "b"} {
				if rng.IntN(2) == 0 {
					e.Tags = append(e.Tags, tag)
				}
			}
		})
		events = append(events, e)
		told = append(told, usage.Record{Position: usage.Position{Inc: 7, Seq: uint64(i + 1)}, Event: e})
	}
	b.settle(t, 7, events...)
	for range 300 {
		var f usage.Filter
		some := func() bool { return rng.IntN(4) == 0 }
		if some() {
			f.From = now.Add(time.Duration(rng.IntN(48)) * time.Hour)
		}
		if some() {
			f.To = now.Add(time.Duration(49+rng.IntN(3)) * time.Hour)
		}
		if some() {
			f.KeyID, f.EndpointID = pick("", "k1"), pick("", "e2")
		}
		if some() {
			f.Team, f.Customer, f.Model = pick("", "ops"), pick("", "acme"), pick("", "m1")
		}
		if some() {
			f.Tag = pick("a", "b", "c")
		}
		if some() {
			f.RequestID = ids[rng.IntN(len(ids))]
		}
		if some() {
			status := uint32(rng.IntN(2) * 200)
			f.Status = &status
		}
		if some() {
			f.Outcome = eventv1.SpendOutcome(1 + rng.IntN(3))
		}
		if some() {
			f.MinCost, f.MinDuration = money.Nanos(rng.Int64N(9)), time.Duration(rng.IntN(9))*time.Microsecond
		}
		for _, m := range []usage.Match{
			{Of: usage.ByKey, Values: []string{"k1", "k9"}},
			{Of: usage.ByTeam, Values: []string{"", "ops"}},
			{Of: usage.ByTeam, Values: []string{"ops"}},
			{Of: usage.ByEndpoint, Values: []string{"e1", "e2"}},
			{Of: usage.ByCustomer, Values: []string{"acme"}},
			{Of: usage.ByModel, Values: []string{""}},
			{Of: usage.ByStatus, Values: []string{"2xx"}},
			{Of: usage.ByStatus, Values: []string{"0", "4xx"}},
			{Of: usage.ByEdge, Values: []string{"edge", "x"}},
			{Of: usage.ByTag, Values: []string{"a", "c"}},
			{Of: usage.ByTag, Values: []string{"", "b"}},
		} {
			if m.Not = rng.IntN(2) == 0; rng.IntN(8) == 0 {
				f.Where = append(f.Where, m)
			}
		}
		f.Unpriced = some()
		var want []usage.Position
		for _, r := range told {
			if matches(f, r.Event) {
				want = append(want, r.Position)
			}
		}
		got := positions(all(t, b.db, f, true, 50))
		slices.SortFunc(got, func(x, y usage.Position) int { return compareInts(int64(x.Seq) - int64(y.Seq)) })
		if !slices.Equal(got, want) {
			t.Errorf("%+v: %d records, want %d", f, len(got), len(want))
		}
	}
}

func matches(f usage.Filter, e *eventv1.SpendEvent) bool {
	at := time.UnixMilli(e.GetUnixMs())
	same := func(want, got string) bool { return want == "" || want == got }
	for _, m := range f.Where {
		has := among(m, e)
		if m.Of == usage.ByTag {
			has = slices.ContainsFunc(m.Values, func(v string) bool { return slices.Contains(e.GetTags(), v) || v == "" && len(e.GetTags()) == 0 })
		}
		if has == m.Not {
			return false
		}
	}
	if e.GetCostNanos() < int64(f.MinCost) || e.GetDurationUs() < f.MinDuration.Microseconds() {
		return false
	}
	return (f.From.IsZero() || !at.Before(f.From)) && (f.To.IsZero() || at.Before(f.To)) &&
		same(f.KeyID, e.GetKeyId()) && same(f.EndpointID, e.GetEndpointId()) && same(f.Team, e.GetTeam()) &&
		same(f.Customer, e.GetCustomer()) && same(f.Model, e.GetModel()) && (f.Tag == "" || slices.Contains(e.GetTags(), f.Tag)) &&
		(len(f.RequestID) == 0 || bytes.Equal(f.RequestID, e.GetRequestId())) && (f.Status == nil || *f.Status == e.GetStatus()) &&
		(f.Outcome == 0 || f.Outcome == e.GetOutcome()) && (!f.Unpriced || e.GetUnpriced())
}

// Guarantee: what a table of its own holds for each day is read like one table.
func TestRequestsByPartition(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, day := range []string{"20261101", "20261102"} {
		at, err := time.Parse("20060102", day)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.pool.Exec(t.Context(), fmt.Sprintf(`CREATE TABLE IF NOT EXISTS ledger.request_%s PARTITION OF ledger.request FOR VALUES FROM ('%s') TO ('%s')`,
			day, at.Format(time.DateOnly), at.AddDate(0, 0, 1).Format(time.DateOnly))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 8 {
		b.settle(t, 1, ended(first.Add(time.Duration(i)*9*time.Hour)))
	}
	if got := all(t, b.db, usage.Filter{}, false, 3); len(got) != 8 || got[0].Position.Seq != 8 || got[7].Position.Seq != 1 {
		t.Errorf("%v", positions(got))
	}
}
