package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/testenv"
)

// Guarantee: tokens and permits come with the answer to the same message as money, from the limits that
// the control plane has published for the partition; a leader that has just begun has no tokens saved up,
// and whoever holds permits that others want is asked to give back.
func TestLimitsInLeaseRequests(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.ready(w.start(w.config()))
	w.publishShard([]*eventv1.Account{total(1, 1000)}, []*eventv1.Limit{
		{Id: 1, Kind: eventv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: 60_000, Burst: 50},
		{Id: 65, Kind: eventv1.LimitKind_LIMIT_KIND_CONCURRENT, Amount: 3},
		{Id: 129, Part: 1, Kind: eventv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: 60_000, Burst: 50},
	})
	w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), Need: 1})
	var reply *eventv1.LeaseReply
	var tokens int64
	began := time.Now()
	testenv.Eventually(t, 10*time.Second, func() (err error) {
		reply, err = w.request(&eventv1.LeaseRequest{
			Inc: 7, Edge: "edge-1", Rates: []*eventv1.RateLine{{Limit: 1, Need: 5}, {Limit: 129, Need: 1}},
			Permits: []*eventv1.PermitLine{{Limit: 65, Held: 2, Want: 2, Seq: 1}, {Limit: 9999, Want: 1, Seq: 1}},
			Lines:   []*eventv1.LeaseLine{{Window: win(1), GrantedSeen: 1, Used: 1, Need: 10}},
		})
		if err != nil {
			return err
		}
		if len(reply.GetRates()) != 2 || len(reply.GetPermits()) != 2 || len(reply.GetLines()) != 1 || reply.GetLeaderEpoch() != 1 {
			t.Fatalf("%v", reply)
		}
		if tokens = reply.GetRates()[0].GetTokens(); tokens < 5 {
			return fmt.Errorf("%d tokens", tokens)
		}
		return nil
	})
	if earned := int64(time.Since(began).Seconds()*1000) + 1000; tokens > min(50, earned) {
		t.Errorf("%d tokens, at most %d can have come together", tokens, earned)
	}
	if !reply.GetRates()[1].GetUnknown() || !reply.GetPermits()[1].GetUnknown() {
		t.Errorf("limits of nobody and of another partition are known: %v", reply)
	}
	if p := reply.GetPermits()[0]; p.GetPermits() != 2 || p.GetSeq() != 1 || p.GetSessionTtlMs() == 0 {
		t.Errorf("what it held: %v", p)
	}
	if g := reply.GetLines()[0]; g.GetState() != granted || g.GetGrantedTotal() != 11 {
		t.Errorf("money beside limits: %v", g)
	}
	ctl, err := w.nc.SubscribeSync(contract.EdgeControl("edge-1"))
	if err != nil {
		t.Fatal(err)
	}
	only, err := w.request(&eventv1.LeaseRequest{Inc: 8, Edge: "edge-2", Permits: []*eventv1.PermitLine{{Limit: 65, Want: 3, Seq: 1}}})
	if err != nil || len(only.GetPermits()) != 1 || only.GetPermits()[0].GetPermits() != 1 || only.GetLeaderEpoch() != 1 {
		t.Errorf("another edge gets what is left: %v, %v", only, err)
	}
	var c eventv1.EdgeControl
	if m, err := ctl.NextMsg(10 * time.Second); err != nil || proto.Unmarshal(m.Data, &c) != nil || c.GetInc() != 7 || !slices.Equal(c.GetPermitRecalls(), []int64{65}) {
		t.Errorf("recall: %v, %v", &c, err)
	}
	if _, err := w.request(&eventv1.LeaseRequest{Inc: 8, Edge: "edge-2"}); err == nil {
		t.Error("a request for nothing was answered")
	}
	w.publishShard([]*eventv1.Account{total(1, 1000)}, nil)
	testenv.Eventually(t, 10*time.Second, func() error {
		r, err := w.request(&eventv1.LeaseRequest{Inc: 7, Edge: "edge-1", Rates: []*eventv1.RateLine{{Limit: 1, Need: 1}}})
		if err == nil && !r.GetRates()[0].GetUnknown() {
			err = errors.New("a deleted limit is still known")
		}
		return err
	})
}

// Guarantee: each partition answers for its own accounts and books its own events, and nobody else's.
func TestPartitions(t *testing.T) {
	t.Parallel()
	const parts = 4
	w := setup(t)
	cfg := w.config()
	cfg.Partitions = parts
	w.ready(w.start(cfg))
	var accounts []*eventv1.Account
	of := map[uint32]int64{}
	for id := int64(1); len(of) < parts; id += 64 {
		a := total(id, 1000)
		a.Part = contract.PartitionOf(id, parts)
		accounts, of[a.Part] = append(accounts, a), id
	}
	w.publish(accounts...)
	ask := func(part uint32, account int64) (*eventv1.GrantLine, error) {
		r, err := w.request(&eventv1.LeaseRequest{Inc: 7, Edge: "edge-1", Part: part, Lines: []*eventv1.LeaseLine{{Window: win(account), Need: 10}}})
		if err != nil {
			return nil, err
		}
		return r.GetLines()[0], nil
	}
	for part, id := range of {
		testenv.Eventually(t, 10*time.Second, func() error {
			g, err := ask(part, id)
			if err == nil && g.GetState() != granted {
				err = fmt.Errorf("%v", g)
			}
			return err
		})
		if g, err := ask((part+1)%parts, id); err != nil || g.GetState() != unknown || g.GetGrantedTotal() != 0 {
			t.Errorf("account %d of partition %d, asked of the next: %v, %v", id, part, g, err)
		}
	}
}

// Guarantee: a limit that is raised for a while is the sum while that lasts and then what it was, without
// the control plane.
func TestRaiseEndsByItself(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.ready(w.start(w.config()))
	told, err := w.nc.SubscribeSync(contract.BudgetChanged)
	if err != nil {
		t.Fatal(err)
	}
	a := total(1, 100)
	// Long enough for a busy machine to see it before it ends.
	a.RaiseNanos, a.RaiseUntilUnix = 50, time.Now().Add(10*time.Second).Unix()
	w.publish(a)
	if g := w.need(7, "edge-1", &eventv1.LeaseLine{Window: win(1), Need: 120, Least: 120}); g.GetState() != granted || g.GetLimit() != 150 {
		t.Errorf("raised: %v", g)
	}
	testenv.Eventually(t, 30*time.Second, func() error {
		g, err := w.ask(7, "edge-1", &eventv1.LeaseLine{Window: win(1), GrantedSeen: 120, Used: 120, Need: 31, Least: 31})
		if err == nil && (g.GetState() != exhausted || g.GetLimit() != 100) {
			err = fmt.Errorf("the raise is not over: %v", g)
		}
		return err
	})
	for range 2 { // published, and over
		if _, err := told.NextMsg(10 * time.Second); err != nil {
			t.Error("edges were not told:", err)
		}
	}
	w.audit()
}
