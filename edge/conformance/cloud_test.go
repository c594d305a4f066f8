package conformance_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/natsd"
	"tollgate/internal/testenv"
)

// cloud is what an edge talks to: NATS with the streams, a control plane that publishes, and a ledger
// that grants what it is asked for and keeps what it is sent.
type cloud struct {
	t      *testing.T
	server *natsd.Server
	conn   *bus.Conn

	mu      sync.Mutex // guards what follows
	granted map[[2]int64]int64
	have    map[int64]uint64
	events  map[string][]string // by key
	change  chan struct{}
}

// budget is what each key has.
const budget = 100 * money.Dollar

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{
		t: t, server: testenv.NATS(t), granted: map[[2]int64]int64{}, have: map[int64]uint64{}, events: map[string][]string{}, change: make(chan struct{}),
	}
	conn, err := bus.Connect(bus.Config{URL: c.server.URL()}, testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	c.conn = conn
	t.Cleanup(conn.Close)
	if err := conn.AwaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []jetstream.StreamConfig{
		{Name: contract.StreamConfig, Subjects: []string{contract.ConfigSubjects}, MaxMsgsPerSubject: 1, AllowDirect: true, Storage: jetstream.MemoryStorage},
		{Name: contract.StreamFleet, Subjects: []string{contract.FleetSubjects}, MaxMsgsPerSubject: 1, Storage: jetstream.MemoryStorage},
		{Name: contract.SpendStream(0), Subjects: []string{contract.SpendSubjects(0)}, Discard: jetstream.DiscardNew, Duplicates: 2 * time.Minute, Storage: jetstream.MemoryStorage},
	} {
		if _, err := conn.EnsureStream(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	for subject, handle := range map[string]nats.MsgHandler{contract.Lease(0): c.lease, contract.SpendSubjects(0): c.book} {
		if _, err := conn.NATS().Subscribe(subject, handle); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *cloud) lease(msg *nats.Msg) {
	var in eventv1.LeaseRequest
	if err := proto.Unmarshal(msg.Data, &in); err != nil {
		c.t.Error(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := &eventv1.LeaseReply{Inc: in.GetInc(), LedgerUnixMs: time.Now().UnixMilli(), LeaderEpoch: 1}
	for _, l := range in.GetLines() {
		wanted := l.GetUsed() + l.GetReturned() + max(l.GetNeed(), l.GetWant())
		g := &eventv1.GrantLine{Window: l.GetWindow(), State: eventv1.LeaseState_LEASE_STATE_GRANTED, Limit: int64(budget), LimitVersion: 1}
		if wanted > int64(budget) {
			wanted, g.State = int64(budget), eventv1.LeaseState_LEASE_STATE_EXHAUSTED
		}
		of := [2]int64{in.GetInc(), l.GetWindow().GetAccount()}
		c.granted[of] = max(c.granted[of], wanted)
		g.GrantedTotal = c.granted[of]
		out.Lines = append(out.Lines, g)
	}
	for _, l := range in.GetRates() {
		out.Rates = append(out.Rates, &eventv1.RateGrant{Limit: l.GetLimit(), Tokens: l.GetNeed(), TtlMs: 1000, Sharers: 1})
	}
	data, err := proto.Marshal(out)
	if err == nil {
		err = msg.Respond(data)
	}
	if err != nil {
		c.t.Error(err)
	}
}

func (c *cloud) book(msg *nats.Msg) {
	var in eventv1.SpendBatch
	if err := proto.Unmarshal(msg.Data, &in); err != nil {
		c.t.Error(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.have[in.GetInc()]
	for i, e := range in.GetEvents() {
		if in.GetFirstSeq()+uint64(i) != have+1 {
			continue
		}
		have++
		if e.GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
			const prefix = len("SPEND_OUTCOME_")
			c.events[e.GetKeyId()] = append(c.events[e.GetKeyId()], fmt.Sprintf("%d %s %s", e.GetStatus(), e.GetOutcome().String()[prefix:], money.Nanos(e.GetCostNanos())))
		}
	}
	c.have[in.GetInc()] = have
	close(c.change)
	c.change = make(chan struct{})
	data, err := proto.Marshal(&eventv1.EdgeControl{Inc: in.GetInc(), Marks: []*eventv1.Mark{{Inc: in.GetInc(), Hwm: have, Epoch: 1}}})
	if err == nil {
		err = c.conn.NATS().Publish(contract.EdgeControl(in.GetEdge()), data)
	}
	if err != nil {
		c.t.Error(err)
	}
}

// settled waits for so many settlements of a key.
func (c *cloud) settled(ctx context.Context, key string, n int) []string {
	for {
		c.mu.Lock()
		got, change := c.events[key], c.change
		c.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-change:
		case <-ctx.Done():
			return got
		}
	}
}

// publish publishes a revision in the order in which the control plane does.
func (c *cloud) publish(revision int64, routes *eventv1.RouteSnapshot, key *eventv1.ShardKey) error {
	shard := contract.KeyShardOf([32]byte(key.GetSha256()))
	for _, v := range []struct {
		subject string
		m       proto.Message
	}{
		{contract.ConfigKeys(shard), &eventv1.KeyShard{Shard: shard, Keys: []*eventv1.ShardKey{key}}},
		{contract.ConfigRoutes, routes},
		{contract.ConfigHead, &eventv1.ConfigHead{PublishedUnixMs: time.Now().UnixMilli()}},
	} {
		data, err := contract.Encode(contract.Version{Epoch: 1, Revision: revision}, v.m)
		if err != nil {
			return err
		}
		if _, err := c.conn.JetStream().Publish(c.t.Context(), v.subject, data); err != nil {
			return err
		}
	}
	return nil
}
