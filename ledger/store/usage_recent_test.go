package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/ledger/usage"
)

// Guarantee: recent sums of any mix of scopes are those of their records, each from its own time on, whatever else is asked for.
func TestRecentUsage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	week, day := first, first.Add(6*24*time.Hour)
	at := func(hours int, cost int64, change func(*eventv1.SpendEvent)) *eventv1.SpendEvent {
		return ended(first.Add(time.Duration(hours)*time.Hour+time.Minute), func(e *eventv1.SpendEvent) {
			e.KeyId, e.CostNanos = "k1", cost
			change(e)
		})
	}
	plain := func(*eventv1.SpendEvent) {}
	b.settle(t, 7,
		at(-1, 1_000_000, plain), // too long ago
		at(2, 1, plain), at(30, 10, plain), at(6*24, 100, plain),
		at(6*24+5, 1000, func(e *eventv1.SpendEvent) {
			e.KeyId, e.Team, e.Customer, e.EndpointId, e.Tags = "k2", "dev", "acme", "ep_b", []string{"red", "blue"}
		}),
	)
	hour := func(h int) time.Time { return first.Add(time.Duration(h) * time.Hour) }
	late := usage.Recent{Day: 1000, Week: 1000, Requests: 1, First: hour(6*24 + 5)}
	asked := []usage.Scope{
		{By: usage.ByKey, Value: "k1", Since: week},
		{By: usage.ByKey, Value: "k1", Since: hour(30)},
		{By: usage.ByKey, Value: "k2", Since: week},
		{By: usage.ByTeam, Value: "dev", Since: week},
		{By: usage.ByCustomer, Value: "acme", Since: week},
		{By: usage.ByEndpoint, Value: "ep_b", Since: week},
		{By: usage.ByTag, Value: "red", Since: week},
		{Since: week},
		{By: usage.ByKey, Value: "nobody", Since: week},
	}
	want := []usage.Recent{
		{Day: 100, Week: 111, Requests: 3, First: hour(2)},
		{Day: 100, Week: 110, Requests: 3, First: hour(2)},
		late,
		late, late, late,
		late,
		{Day: 1100, Week: 1111, Requests: 4, First: hour(2)},
		{},
	}
	got, err := b.db.RecentUsage(t.Context(), asked, week, day)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
