package ledger_test

import (
	"fmt"
	"testing"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Guarantee: a database that was restored from an older state gets from the stream what it lost, marks
// and closed edges included, each event once; and what edges were granted meanwhile is found again.
func TestRestoredDatabase(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.ready(w.start(w.config()))
	w.publish(total(1, 1000))
	first := w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), Need: 100})
	w.need(8, "edge-2", &eventv1.LeaseLine{Window: win(1), Need: 100})
	w.spend(batch(7, "edge-1", 1, 10, 1, 1))
	w.spend(batch(8, "edge-2", 1, 10, 1, 1))
	w.totals(20, 20)
	stop := func() {
		t.Helper()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	}
	exec := func(format string) {
		t.Helper()
		for _, table := range []string{"ledger_part", "account_shard", "account", "account_window", "incarnation", "lease", "usage_day"} {
			if _, err := w.pool.Exec(t.Context(), fmt.Sprintf(format, table)); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop()
	exec("CREATE TABLE public.saved_%[1]s AS SELECT * FROM ledger.%[1]s")

	r = w.ready(w.start(w.config()))
	second := w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), GrantedSeen: first.GetGrantedTotal(), Used: first.GetGrantedTotal(), Need: 300})
	w.spend(batch(7, "edge-1", 11, 150, 1, 1))
	w.spend(batch(8, "edge-2", 11, 10, 1, 1))
	w.spend(&eventv1.SpendBatch{Inc: 8, Edge: "edge-2", FirstSeq: 21, Events: []*eventv1.SpendEvent{{Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE}}})
	w.closed(1)
	w.totals(180, 180)
	stop()
	exec("TRUNCATE ledger.%s CASCADE")
	exec("INSERT INTO ledger.%[1]s SELECT * FROM public.saved_%[1]s")

	r = w.ready(w.start(w.config()))
	w.totals(180, 180)
	w.closed(1)
	seen := second.GetGrantedTotal()
	g := w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), GrantedSeen: seen, Used: seen, Consumed: 160, Need: 1000 - 20 - seen})
	if g.GetState() != granted || g.GetGrantedTotal() != 980 {
		t.Errorf("the rest of the budget: %v", g)
	}
	if g, err := w.ask(9, "edge-3", &eventv1.LeaseLine{Window: win(1), Need: 1}); err != nil || g.GetGrantedTotal() != 0 {
		t.Errorf("beyond the budget: %v, %v", g, err)
	}
	w.audit()
}
