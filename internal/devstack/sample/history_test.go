package sample

import (
	"reflect"
	"testing"
	"time"

	"tollgate/internal/id"
	"tollgate/internal/money"
)

// Guarantee: whatever the day and the time at which the sample data is made, its history is the same each time it is computed, lies
// in the thirty days before, has requests of different ids, and leaves budgets as they are meant to stand: marketing's spent to the
// last cent, everything's not exceeded, and the others with something left.
func TestHistory(t *testing.T) {
	t.Parallel()
	for _, end := range []time.Time{
		time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC), // a month that has just begun
		time.Date(2027, 3, 1, 0, 5, 0, 0, time.UTC),
		time.Date(2027, 3, 2, 9, 30, 0, 0, time.UTC),
		time.Date(2026, 11, 23, 7, 51, 3, 0, time.UTC),
		time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC),          // a Sunday
		time.Date(2027, 1, 31, 23, 59, 59, 999000000, time.UTC), // one that is about to end
	} {
		t.Run(end.Format(time.DateTime), func(t *testing.T) {
			t.Parallel()
			all := history(end)
			if !reflect.DeepEqual(all, history(end)) {
				t.Error("another time it is another")
			}
			if len(all) < 5_000 || len(all) > 30_000 {
				t.Errorf("%d requests", len(all))
			}
			ids := map[id.Bytes]bool{}
			for i := range all {
				a := &all[i]
				ids[a.request] = true
				if a.at.Before(end.AddDate(0, 0, -historyDays)) || a.at.After(end) || i > 0 && a.at.Before(all[i-1].at) {
					t.Fatalf("request %d was at %s", i, a.at)
				}
				if began := a.at.Add(-a.took); a.request.Time().UnixMilli() != began.UnixMilli() {
					t.Fatalf("request %d began at %s, and its id says %s", i, began, a.request.Time())
				}
				if a.cost < 0 || a.status >= 400 && a.cost != 0 || keyOf(a.key).name == "" {
					t.Fatalf("request %d: %+v", i, a)
				}
			}
			if len(ids) != len(all) {
				t.Errorf("%d requests have %d ids", len(all), len(ids))
			}
			d := &Data{end: end, past: all}
			_, ends := monthOf(end)
			for _, p := range plannedBudgets() {
				spent, pace := d.spentOf(&p)
				limit := p.limit(spent, pace, ends.Sub(end))
				switch p.name {
				case "marketing-month":
					if spent != limit || spent < marketingLeast || spent%marketingStep != 0 {
						t.Errorf("%s: %s of %s", p.name, spent, limit)
					}
				default:
					if spent >= limit && limit > money.Dollar {
						t.Errorf("%s: %s of %s", p.name, spent, limit)
					}
				}
			}
		})
	}
}
