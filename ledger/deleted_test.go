package ledger_test

import (
	"fmt"
	"testing"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/testenv"
)

// Guarantee: what was drawn on a budget before it was deleted, or that this ledger has never heard of,
// is booked whenever its events come, and then nothing of it is held any more.
func TestSpendOnDeletedBudgets(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.ready(w.start(w.config()))
	w.publish(total(1, 1000), total(65, 500))
	w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), Need: 400})
	w.need(8, "edge-2", &eventv1.LeaseLine{Window: win(1), Need: 300})
	w.spend(batch(7, "edge-1", 1, 10, 1, 1))
	w.totals(10, 10)

	w.publish(total(65, 500)) // 1 is deleted
	again := w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(65), Need: 5})
	if again.GetState() != granted {
		t.Fatalf("another budget: %v", again)
	}
	testenv.Eventually(t, 10*time.Second, func() error {
		line, err := w.ask(7, "edge-1", &eventv1.LeaseLine{Window: win(1), GrantedSeen: 400, Used: 400, Consumed: 10})
		if err == nil && line.GetState() != eventv1.LeaseState_LEASE_STATE_UNKNOWN {
			err = fmt.Errorf("the deleted budget is still there: %v", line)
		}
		return err
	})
	w.spend(batch(7, "edge-1", 11, 40, 1, 1, 65))
	w.spend(batch(8, "edge-2", 1, 30, 1, 1))
	w.spend(batch(9, "edge-3", 1, 20, 1, 4097)) // of a budget that came and went unseen
	w.totals(100, 100)
	w.audit()
	for i, b := range []*eventv1.SpendBatch{
		{Inc: 7, Edge: "edge-1", FirstSeq: 51}, {Inc: 8, Edge: "edge-2", FirstSeq: 31}, {Inc: 9, Edge: "edge-3", FirstSeq: 21},
	} {
		b.Events = []*eventv1.SpendEvent{{Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE}}
		w.spend(b)
		w.closed(i + 1)
	}
	w.audit()
	var consumed, held int64
	if err := w.pool.QueryRow(t.Context(), `SELECT sum(l.consumed)::bigint, sum(l.granted - l.returned - l.consumed)::bigint FROM ledger.lease l`).Scan(&consumed, &held); err != nil {
		t.Fatal(err)
	}
	if consumed != 50+40+30+20 || held != 0 {
		t.Errorf("consumed %d, held %d", consumed, held)
	}
	if st, err := w.state(r, 65); err != nil || st.GetSpentNanos() != 40 || st.GetHeldNanos() != 0 {
		t.Errorf("the budget that is left: %v, %v", st, err)
	}
}

// closed waits until so many incarnations have ended.
func (w *world) closed(n int) {
	w.t.Helper()
	testenv.Eventually(w.t, 10*time.Second, func() error {
		var got int
		if err := w.pool.QueryRow(w.t.Context(), `SELECT count(*) FROM ledger.incarnation WHERE closed`).Scan(&got); err != nil {
			return err
		}
		if got != n {
			return fmt.Errorf("%d of %d incarnations have ended", got, n)
		}
		return nil
	})
}
