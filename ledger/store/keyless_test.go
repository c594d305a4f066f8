package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/ledger/usage"
)

// Guarantee: requests without a key, to public endpoints, are kept, listed and added up apart from those of
// every key, and a filter by a key leaves them out.
func TestRequestsWithoutKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	keyless := func(e *eventv1.SpendEvent) { e.KeyId = "" }
	for _, e := range []*eventv1.SpendEvent{ended(first, keyless), ended(first)} {
		if err := usage.Check(e); err != nil {
			t.Fatal(err)
		}
	}
	b.settle(t, 7, ended(first, keyless), ended(first.Add(time.Hour), keyless, drawing(0, 1)), ended(first))
	rows, err := usage.Ask(t.Context(), b.db, usage.Query{From: "2026-11-01", To: "2026-11-01", GroupBy: []usage.Dimension{usage.ByKey}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, r := range rows {
		got[r.Bucket.KeyID] = r.Counts.Requests
	}
	if diff := cmp.Diff(map[string]int64{"": 2, "key_a": 1}, got); diff != "" {
		t.Errorf("requests by key (-want +got):\n%s", diff)
	}
	if n := len(all(t, b.db, usage.Filter{}, false, 2)); n != 3 {
		t.Errorf("%d requests are listed", n)
	}
	for _, r := range all(t, b.db, usage.Filter{KeyID: "key_a"}, false, 2) {
		if r.Event.GetKeyId() != "key_a" {
			t.Errorf("a request of %q is listed for key_a", r.Event.GetKeyId())
		}
	}
}
