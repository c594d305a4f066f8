package ledger_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	eventv1 "tollgate/gen/tollgate/event/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/gen/tollgate/ledger/v1/ledgerv1connect"
	"tollgate/internal/testenv"
)

// Guarantee: with NATS away the leader answers edges directly, as durably and as exactly; a ledger that
// does not lead says so, and nobody is answered without the token.
func TestLeasesWithNATSAway(t *testing.T) {
	t.Parallel()
	w := setup(t)
	leads := w.ready(w.start(w.config()))
	standsBy := w.ready(w.start(w.config()))
	w.publish(total(1, 1000))
	w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), Need: 400})
	w.nats.Stop()

	ask := func(r *running, secret string, p *eventv1.LeaseRequest) (*eventv1.LeaseReply, error) {
		res, err := ledgerv1connect.NewLeaseServiceClient(bearer(secret), "http://"+r.Addr()).Lease(t.Context(), &ledgerv1.LeaseRequest{Request: p})
		return res.GetReply(), err
	}
	line := func(inc, need int64) *eventv1.LeaseRequest {
		return &eventv1.LeaseRequest{Inc: inc, Edge: "edge-2", Lines: []*eventv1.LeaseLine{{Window: win(1), Need: need, Least: need}}}
	}
	reply, err := ask(leads, token, line(8, 600))
	if err != nil || reply.GetInc() != 8 || reply.GetLeaderEpoch() == 0 || reply.GetLines()[0].GetState() != granted || reply.GetLines()[0].GetGrantedTotal() != 600 {
		t.Fatalf("%v, %v", reply, err)
	}
	if reply, err = ask(leads, token, line(9, 1)); err != nil || reply.GetLines()[0].GetState() != pending {
		t.Errorf("beyond the limit: %v, %v", reply, err)
	}
	if _, err := ask(standsBy, token, line(8, 1)); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("a ledger that stands by: %v", err)
	}
	far := line(8, 1)
	far.Part = 7
	if _, err := ask(leads, token, far); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a partition that does not exist: %v", err)
	}
	for _, secret := range []string{"", "wrong"} {
		if _, err := ask(leads, secret, line(8, 1)); connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("token %q: %v", secret, err)
		}
	}
	if _, err := ask(leads, token, nil); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("no request: %v", err)
	}
	if reply, err := ask(leads, token, &eventv1.LeaseRequest{Inc: 8, Edge: "*", Lines: line(8, 1).GetLines()}); err != nil || reply.GetError() == "" {
		t.Errorf("a forged edge: %v, %v", reply, err)
	}
	// Another ledger takes over without NATS.
	if err := leads.stop(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 10*time.Second, func() error {
		reply, err := ask(standsBy, token, line(8, 1))
		if err == nil && reply.GetLines()[0].GetGrantedTotal() != 600 {
			t.Errorf("after the handover: %v", reply)
		}
		return err
	})
	w.audit()
}

// Guarantee: what a ledger does can be scraped, and is counted once.
func TestMetrics(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.ready(w.start(w.config()))
	w.publish(total(1, 1000))
	w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), Need: 900})
	w.need(8, "edge-2", &eventv1.LeaseLine{Window: win(1), Need: 200, Least: 200})
	w.spend(batch(7, "edge-1", 1, 10, 3, 1))
	w.totals(10, 30)
	testenv.Eventually(t, 10*time.Second, func() error {
		res, err := bearer("").Do(mustRequest(t, "http://"+r.Addr()+"/metrics"))
		if err != nil {
			return err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			return fmt.Errorf("%d %w", res.StatusCode, err)
		}
		for _, line := range []string{
			"tollgate_ledger_grants_total 1", "tollgate_ledger_granted_nanos_total 900", "tollgate_ledger_recalls_total 1",
			`tollgate_ledger_refusals_total{state="pending"} 1`, `tollgate_ledger_refusals_total{state="exhausted"} 0`,
			"tollgate_ledger_booked_events_total 10", "tollgate_ledger_booked_batches_total 1",
			"tollgate_ledger_healed_nanos_total 0", "tollgate_ledger_forced_nanos_total 0", "tollgate_ledger_anomalies_total 0",
			`tollgate_ledger_leading{part="0"} 1`, `tollgate_ledger_epoch{part="0"} 1`, `tollgate_ledger_history{part="0"} 1`,
			`tollgate_ledger_accounts{part="0"} 1`, `tollgate_ledger_stream_lag_messages{part="0"} 0`,
		} {
			if !strings.Contains(string(body), line+"\n") {
				return fmt.Errorf("no line %s", line)
			}
		}
		return nil
	})
}
