package ledger_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// Guarantee: a job is charged what another edge was told of it, in another partition than the one that books its
// beginning, and whichever of the two is booked first; a budget has room again for what it did not cost.
func TestJobsOverPartitions(t *testing.T) {
	t.Parallel()
	w := setup(t)
	cfg := w.config()
	cfg.Partitions = 2
	r := w.ready(w.start(cfg))
	w.publish(total(1, 1000))
	w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), Need: 900, Want: 1000})

	tell := func(first uint64, id string, cost int64) {
		told := batch(9, "edge-2", first, 1, 0)
		told.Part = 1
		told.Events[0].Job = &eventv1.SpendJob{Id: id, State: eventv1.SpendJobState_SPEND_JOB_STATE_DONE, CostNanos: cost}
		data, err := proto.Marshal(told)
		if err != nil {
			t.Fatal(err)
		}
		w.raw(contract.Spend(1, "edge-2"), data)
	}
	tell(1, "a", 70)
	w.totals(1, 0)
	begun := batch(7, "edge-1", 1, 2, 400, 1)
	for i, id := range []string{"a", "b"} {
		begun.Events[i].Job = &eventv1.SpendJob{Id: id, State: eventv1.SpendJobState_SPEND_JOB_STATE_RUNNING, Begins: true, TtlSeconds: 3600}
	}
	w.spend(begun)
	w.totals(3, 470)
	tell(2, "b", 30)
	w.totals(4, 100)
	tell(3, "b", 31)
	w.totals(5, 100)
	if st, err := w.state(r, 1); err != nil || st.GetSpentNanos() != 100 {
		t.Errorf("state = %v, %v", st, err)
	}
	w.audit()
}
