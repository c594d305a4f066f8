package registry_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/controlplane/registry"
	"tollgate/internal/money"
)

var projected = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// Guarantee: projections are those that one would make by hand.
func TestProject(t *testing.T) {
	t.Parallel()
	const d = money.Dollar
	now := projected
	steady := registry.Recent{Day: 24 * d, Week: 168 * d, DayBegan: now.Add(-24 * time.Hour), WeekBegan: now.Add(-168 * time.Hour), Requests: 9, First: now.Add(-200 * time.Hour)}
	sudden := steady
	sudden.Week = 84 * d
	young := registry.Recent{Day: 10 * d, Week: 10 * d, DayBegan: steady.DayBegan, WeekBegan: steady.WeekBegan, Requests: 3, First: now.Add(-2 * time.Hour)}
	few, early := young, young
	few.Requests = 2
	early.First = now.Add(-59 * time.Minute)
	hours := func(n int) time.Time { return now.Add(time.Duration(n) * time.Hour) }
	for name, tc := range map[string]struct {
		limit, spent  money.Nanos
		recent        registry.Recent
		end           time.Time
		warned        bool
		standing      registry.Standing
		pace          money.Nanos
		after, before time.Time
		total         money.Nanos
	}{
		"lasts":                 {100 * d, 10 * d, steady, hours(48), false, registry.StandingOK, d, time.Time{}, time.Time{}, 58 * d},
		"runs out":              {50 * d, 10 * d, steady, hours(48), false, registry.StandingAtRisk, d, hours(40), hours(40), 0},
		"two paces":             {50 * d, 30 * d, sudden, hours(48), false, registry.StandingAtRisk, d, hours(20), hours(40), 0},
		"the slow one lasts":    {50 * d, 20 * d, sudden, hours(48), false, registry.StandingAtRisk, d, hours(30), hours(48), 0},
		"since there were any":  {100 * d, 10 * d, young, hours(6), false, registry.StandingOK, 5 * d, time.Time{}, time.Time{}, 40 * d},
		"too few requests":      {11 * d, 10 * d, few, hours(48), false, registry.StandingOK, 0, time.Time{}, time.Time{}, 0},
		"too early":             {11 * d, 10 * d, early, hours(48), false, registry.StandingOK, 0, time.Time{}, time.Time{}, 0},
		"warned":                {100 * d, 10 * d, few, hours(48), true, registry.StandingAtRisk, 0, time.Time{}, time.Time{}, 0},
		"exhausted":             {10 * d, 10 * d, steady, hours(48), true, registry.StandingExhausted, d, time.Time{}, time.Time{}, 0},
		"a total, in a year":    {9000 * d, 10 * d, steady, time.Time{}, false, registry.StandingOK, d, hours(8990), hours(8990), 0},
		"a total, this week":    {100 * d, 10 * d, steady, time.Time{}, false, registry.StandingAtRisk, d, hours(90), hours(90), 0},
		"a total, in a century": {900_000_000 * d, 10 * d, steady, time.Time{}, false, registry.StandingOK, d, time.Time{}, time.Time{}, 0},
	} {
		got := registry.Project(tc.limit, tc.spent, tc.recent, now, tc.end, tc.warned)
		if got.Standing != tc.standing || got.Pace != tc.pace || !got.After.Equal(tc.after) || !got.Before.Equal(tc.before) || got.Projected != tc.total {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Guarantee: whatever was spent, a projection lies in the future and before the end, the earlier time is not after the later one, a
// larger limit never runs out sooner, and what runs out is never said to be all right while there is an end.
func TestProjectIsOrdered(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		nanos := func(name string) money.Nanos {
			return money.Nanos(rapid.Int64Range(0, int64(money.Max)/4).Draw(t, name))
		}
		back := func(name string) time.Time {
			return projected.Add(-time.Duration(rapid.Int64Range(0, int64(200*time.Hour)).Draw(t, name)))
		}
		limit, spent := nanos("limit"), nanos("spent")
		r := registry.Recent{
			Day: nanos("day"), Week: nanos("week"), DayBegan: back("day began"), WeekBegan: back("week began"),
			Requests: rapid.Int64Range(0, 5).Draw(t, "requests"), First: back("first"),
		}
		var end time.Time
		if rapid.Bool().Draw(t, "ends") {
			end = projected.Add(time.Duration(rapid.Int64Range(0, int64(800*time.Hour)).Draw(t, "end")))
		}
		got := registry.Project(limit, spent, r, projected, end, false)
		if got.After.IsZero() != got.Before.IsZero() || got.Before.Before(got.After) || !got.After.IsZero() && got.After.Before(projected) {
			t.Fatalf("%+v", got)
		}
		if !end.IsZero() && got.Before.After(end) || got.Ends && got.Projected < spent {
			t.Fatalf("beyond the end: %+v", got)
		}
		if !got.After.IsZero() && !end.IsZero() && got.Standing != registry.StandingAtRisk {
			t.Fatalf("runs out, and is all right: %+v", got)
		}
		if (got.Standing == registry.StandingExhausted) != (spent >= limit) {
			t.Fatalf("%+v", got)
		}
		more := registry.Project(limit+nanos("more"), spent, r, projected, end, false)
		if spent < limit && !more.After.IsZero() && (got.After.IsZero() || more.After.Before(got.After)) {
			t.Fatalf("%+v, and with more %+v", got, more)
		}
	})
}
