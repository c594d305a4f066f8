package escrow_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/period"
	"tollgate/ledger/escrow"
)

// Guarantee: what is prior to a day is the largest sum over the others of any span that the day is in.
func TestPriorIsTheWorstSpan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		days := rapid.Uint32Range(1, 9).Draw(t, "days")
		day := rapid.Int64Range(-3, 12).Draw(t, "day")
		taken := map[int64]money.Nanos{}
		for range rapid.IntRange(0, 14).Draw(t, "windows") {
			taken[rapid.Int64Range(-12, 24).Draw(t, "of")] = money.Nanos(rapid.Int64Range(0, 1000).Draw(t, "taken"))
		}
		var want money.Nanos
		for first := day - int64(days) + 1; first <= day; first++ {
			var sum money.Nanos
			for d := first; d < first+int64(days); d++ {
				sum += taken[d]
			}
			want = max(want, sum)
		}
		if got := escrow.Prior(day, days, taken); got != want {
			t.Fatalf("Prior(%d, %d, %v) = %d, want %d", day, days, taken, got, want)
		}
	})
}

// Guarantee: whatever is asked for, returned and spent on whichever days, no span of a rolling period is
// ever granted more than the limit, and all of it can be granted.
func TestRollingNeverExceedsASpan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const limit, first = 100, 20000
		days := rapid.Uint32Range(2, 5).Draw(t, "days")
		b, m := escrow.NewBook(), escrow.NewMemory()
		day := func(d int64) contract.Window { return contract.Window{Account: 1, Gen: 1, Start: (first + d) * 86400} }
		spans := func() {
			for from := int64(-5); from < 15; from++ {
				var sum money.Nanos
				for d := from; d < from+int64(days); d++ {
					sum += b.Accounts[day(d)].Alloc
				}
				if sum > limit {
					t.Fatalf("days %d and on have %d of %d allocated", from, sum, limit)
				}
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			var lines []escrow.Line
			for range rapid.IntRange(1, 4).Draw(t, "lines") { // of several days in one transaction
				w := day(rapid.Int64Range(0, 9).Draw(t, "day"))
				b.OpenDay(w, limit, 1, days, escrow.DayOf(w.Start, time.UTC))
				inc := rapid.Int64Range(1, 3).Draw(t, "inc")
				l := b.Leases[w][inc]
				lines = append(lines, escrow.Line{Window: w, Inc: inc, Edge: "e", Grantable: true, Active: 2, Ask: escrow.Ask{
					Seen: l.Granted, Returned: l.Returned + money.Nanos(rapid.Int64Range(0, int64(l.Unspent())).Draw(t, "returned")),
					Consumed: l.Consumed, Used: l.Consumed,
					Need: money.Nanos(rapid.Int64Range(0, 120).Draw(t, "need")), Want: money.Nanos(rapid.Int64Range(0, 60).Draw(t, "want")),
				}})
			}
			before := b.Clone()
			out := b.Lease(lines, m)
			if err := b.CheckGrants(before, out); err != nil {
				t.Fatal(err)
			}
			spans()
		}
		w := day(rapid.Int64Range(0, 9).Draw(t, "last"))
		b.OpenDay(w, limit, 1, days, escrow.DayOf(w.Start, time.UTC))
		free, seen := b.Free(w), b.Leases[w][9].Granted
		out := b.Lease([]escrow.Line{{Window: w, Inc: 9, Edge: "e", Grantable: true, Ask: escrow.Ask{Seen: seen, Need: limit, Least: 1}}}, m)
		if got := out.Answers[0].Granted - seen; got != free || out.Answers[0].Limit != limit-b.Accounts[w].Prior {
			t.Fatalf("%d of %d free were granted: %+v", got, free, out.Answers[0])
		}
		spans()
	})
}

// Guarantee: calendar days have consecutive numbers, also where a day has 23 or 25 hours, where midnight
// does not exist and where a whole day does not.
func TestDaysAreNumberedByTheCalendar(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, from string
		days       int
		skips      bool // a day is missing
	}{
		{"UTC", "2026-01-01T12:00:00Z", 400, false},
		{"Europe/Berlin", "2026-01-01T12:00:00Z", 400, false},
		{"America/Sao_Paulo", "2017-06-01T12:00:00Z", 700, false},
		{"Africa/Cairo", "2026-01-01T12:00:00Z", 400, false},
		{"Pacific/Apia", "2011-12-20T12:00:00Z", 20, true},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, c.from)
		if err != nil {
			t.Fatal(err)
		}
		w := period.Rolling.At(at, zone)
		skipped := false
		for range c.days {
			next := period.Rolling.At(time.Unix(w.End, 0), zone)
			switch escrow.DayOf(next.Start, zone) - escrow.DayOf(w.Start, zone) {
			case 1:
			case 2:
				skipped = true
			default:
				t.Errorf("%s: day %d is followed by %d", c.zone, escrow.DayOf(w.Start, zone), escrow.DayOf(next.Start, zone))
			}
			w = next
		}
		if skipped != c.skips {
			t.Errorf("%s: skipped %v", c.zone, skipped)
		}
	}
	if got := escrow.DayOf(0, time.FixedZone("west", -3600)); got != -1 {
		t.Errorf("the day before the first has number %d", got)
	}
}
