package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/testenv"
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
	stop()
	restore := w.save()

	r = w.ready(w.start(w.config()))
	second := w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), GrantedSeen: first.GetGrantedTotal(), Used: first.GetGrantedTotal(), Need: 300})
	w.spend(batch(7, "edge-1", 11, 150, 1, 1))
	w.spend(batch(8, "edge-2", 11, 10, 1, 1))
	w.spend(&eventv1.SpendBatch{Inc: 8, Edge: "edge-2", FirstSeq: 21, Events: []*eventv1.SpendEvent{{Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE}}})
	w.closed(1)
	w.totals(180, 180)
	stop()
	restore()

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

// Guarantee: a database that went back without a word is noticed by what edges remember of it: its history
// begins anew, marks of it may be lower, and new money is kept back until every edge that lives has spoken,
// or for ten seconds; nothing that edges were granted meanwhile is granted again.
func TestEdgesNoticeARestoredDatabase(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.ready(w.start(w.config()))
	w.publish(total(1, 1000))
	w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), Need: 100})
	w.need(8, "edge-2", &eventv1.LeaseLine{Window: win(1), Need: 100})
	w.spend(batch(7, "edge-1", 1, 10, 1, 1))
	w.totals(10, 10)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	restore := w.save()
	r = w.ready(w.start(w.config()))
	w.need(8, "edge-2", &eventv1.LeaseLine{Window: win(1), GrantedSeen: 100, Used: 100, Need: 700})
	w.spend(batch(7, "edge-1", 11, 10, 1, 1))
	w.totals(20, 20)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if err := w.js.DeleteStream(t.Context(), contract.SpendStream(0)); err != nil { // as far as it is not
		t.Fatal(err)
	}
	restore()

	told, err := w.nc.SubscribeSync(contract.EdgeControl("edge-2"))
	if err != nil {
		t.Fatal(err)
	}
	w.ready(w.start(w.config()))
	one := func(seen, history int64, hwm uint64) (*eventv1.LeaseReply, error) {
		return w.request(&eventv1.LeaseRequest{
			Inc: 7, Edge: "edge-1", Lines: []*eventv1.LeaseLine{{Window: win(1), GrantedSeen: seen, Used: seen, Consumed: 20, Need: 200, Least: 200}},
			Spools: []*eventv1.SpoolState{{Inc: 7, Hwm: hwm, History: history, LastSeq: 20}},
		})
	}
	var reply *eventv1.LeaseReply
	testenv.Eventually(t, 10*time.Second, func() (err error) {
		if reply, err = one(100, 1, 20); err == nil && (len(reply.GetMarks()) != 1 || reply.GetMarks()[0].GetEpoch() != 2) {
			err = fmt.Errorf("marks: %v", reply.GetMarks())
		}
		return err
	})
	if m := reply.GetMarks()[0]; m.GetHwm() != 10 || m.GetInc() != 7 {
		t.Errorf("mark: %v", m)
	}
	if g := reply.GetLines()[0]; g.GetState() != pending || g.GetGrantedTotal() != 100 || g.GetRetryAfterMs() == 0 {
		t.Errorf("before the other edge has spoken: %v", g)
	}
	// It hears of the new history unasked, so that it speaks although it has nothing to ask for.
	for {
		msg, err := told.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var c eventv1.EdgeControl
		if err := proto.Unmarshal(msg.Data, &c); err != nil {
			t.Fatal(err)
		}
		if m := c.GetMarks(); len(m) == 1 && m[0].GetInc() == 8 && m[0].GetEpoch() == 2 {
			break
		}
	}
	// It has 800 and not the 100 that the database knows of.
	if g, err := w.ask(8, "edge-2", &eventv1.LeaseLine{Window: win(1), GrantedSeen: 800, Used: 800}); err != nil || g.GetGrantedTotal() != 800 {
		t.Errorf("the other edge: %v, %v", g, err)
	}
	if reply, err := one(100, 2, 10); err != nil || reply.GetLines()[0].GetState() == granted || reply.GetLines()[0].GetGrantedTotal() != 100 {
		t.Errorf("after it has: %v, %v", reply, err)
	}
	w.spend(batch(7, "edge-1", 11, 10, 1, 1)) // sent again, from the mark on
	w.totals(20, 20)
	var anomalies int
	if err := w.pool.QueryRow(t.Context(), `SELECT count(*) FROM ledger.anomaly WHERE kind = 'database_restored'`).Scan(&anomalies); err != nil || anomalies != 1 {
		t.Errorf("%d anomalies, %v", anomalies, err)
	}
	w.audit()
}
