// Package cloud is what one edge talks to, for tests: NATS with its streams, a control plane that publishes
// what it is told, and a ledger that grants what it is asked for up to a limit and confirms what it is sent.
// It keeps no books of its own beyond what has come; what should have come is for the test to say.
//
// It is not for tests of budgets or of several edges, which need the real ledger.
package cloud

import (
	"context"
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

// Limit is what each account has.
const Limit = 100 * money.Dollar

// Options change a cloud.
type Options struct {
	// Empty says whether there is nothing left of a limit; nil for never.
	Empty func(limit int64) bool
	// Booked gets each event once, in the order of its edge. Calls do not overlap.
	Booked func(inc int64, e *eventv1.SpendEvent)
}

// Cloud ends with its test.
type Cloud struct {
	Server *natsd.Server
	Conn   *bus.Conn

	tb testing.TB
	o  Options

	mu      sync.Mutex         // guards what follows, and calls of Booked
	granted map[[2]int64]int64 // by incarnation and account
	have    map[int64]uint64   // events of an incarnation
}

// New starts one.
func New(tb testing.TB, o Options) *Cloud {
	tb.Helper()
	c := &Cloud{Server: testenv.NATS(tb), tb: tb, o: o, granted: map[[2]int64]int64{}, have: map[int64]uint64{}}
	conn, err := bus.Connect(bus.Config{URL: c.Server.URL()}, testenv.Logger(tb))
	if err != nil {
		tb.Fatal(err)
	}
	c.Conn = conn
	tb.Cleanup(conn.Close)
	if err := conn.AwaitConnected(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	for _, s := range []jetstream.StreamConfig{
		{Name: contract.StreamConfig, Subjects: []string{contract.ConfigSubjects}, MaxMsgsPerSubject: 1, AllowDirect: true, Storage: jetstream.MemoryStorage},
		{Name: contract.StreamFleet, Subjects: []string{contract.FleetSubjects}, MaxMsgsPerSubject: 1, Storage: jetstream.MemoryStorage},
		{Name: contract.SpendStream(0), Subjects: []string{contract.SpendSubjects(0)}, Discard: jetstream.DiscardNew, Duplicates: 2 * time.Minute, Storage: jetstream.MemoryStorage},
	} {
		if _, err := conn.EnsureStream(tb.Context(), s); err != nil {
			tb.Fatal(err)
		}
	}
	for subject, handle := range map[string]nats.MsgHandler{contract.Lease(0): c.lease, contract.SpendSubjects(0): c.book} {
		if _, err := conn.NATS().Subscribe(subject, handle); err != nil {
			tb.Fatal(err)
		}
	}
	return c
}

func (c *Cloud) lease(msg *nats.Msg) {
	var in eventv1.LeaseRequest
	if err := proto.Unmarshal(msg.Data, &in); err != nil {
		c.tb.Error(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := int64(Limit)
	out := &eventv1.LeaseReply{Inc: in.GetInc(), LedgerUnixMs: time.Now().UnixMilli(), LeaderEpoch: 1}
	for _, l := range in.GetLines() {
		wanted := l.GetUsed() + l.GetReturned() + max(l.GetNeed(), l.GetWant())
		g := &eventv1.GrantLine{Window: l.GetWindow(), State: eventv1.LeaseState_LEASE_STATE_GRANTED, Limit: limit, LimitVersion: 1}
		if wanted > limit {
			wanted, g.State = limit, eventv1.LeaseState_LEASE_STATE_EXHAUSTED
		}
		of := [2]int64{in.GetInc(), l.GetWindow().GetAccount()}
		c.granted[of] = max(c.granted[of], wanted)
		g.GrantedTotal = c.granted[of]
		out.Lines = append(out.Lines, g)
	}
	for _, l := range in.GetRates() {
		g := &eventv1.RateGrant{Limit: l.GetLimit(), Tokens: l.GetNeed(), TtlMs: 1000, Sharers: 1}
		if c.o.Empty != nil && c.o.Empty(l.GetLimit()) {
			g.Tokens, g.RetryAfterMs = 0, 5000
		}
		out.Rates = append(out.Rates, g)
	}
	c.send(msg.Reply, out)
}

func (c *Cloud) book(msg *nats.Msg) {
	var in eventv1.SpendBatch
	if err := proto.Unmarshal(msg.Data, &in); err != nil {
		c.tb.Error(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.have[in.GetInc()]
	for i, e := range in.GetEvents() {
		if in.GetFirstSeq()+uint64(i) != have+1 {
			continue // it was sent before
		}
		have++
		if c.o.Booked != nil {
			c.o.Booked(in.GetInc(), e)
		}
	}
	c.have[in.GetInc()] = have
	c.send(contract.EdgeControl(in.GetEdge()), &eventv1.EdgeControl{
		Inc: in.GetInc(), Marks: []*eventv1.Mark{{Inc: in.GetInc(), Hwm: have, Epoch: 1}},
	})
}

func (c *Cloud) send(subject string, m proto.Message) {
	data, err := proto.Marshal(m)
	if err == nil {
		err = c.Conn.NATS().Publish(subject, data)
	}
	if err != nil {
		c.tb.Error(err)
	}
}

// Publish publishes a revision in the order in which the control plane does. Keys that are in one shard
// are published together.
func (c *Cloud) Publish(ctx context.Context, revision int64, routes *eventv1.RouteSnapshot, keys ...*eventv1.ShardKey) error {
	shards := map[uint32]*eventv1.KeyShard{}
	for _, k := range keys {
		n := contract.KeyShardOf([32]byte(k.GetSha256()))
		if shards[n] == nil {
			shards[n] = &eventv1.KeyShard{Shard: n}
		}
		shards[n].Keys = append(shards[n].Keys, k)
	}
	publish := func(subject string, m proto.Message) error {
		data, err := contract.Encode(contract.Version{Epoch: 1, Revision: revision}, m)
		if err == nil {
			_, err = c.Conn.JetStream().Publish(ctx, subject, data)
		}
		return err
	}
	for n, s := range shards {
		if err := publish(contract.ConfigKeys(n), s); err != nil {
			return err
		}
	}
	if err := publish(contract.ConfigRoutes, routes); err != nil {
		return err
	}
	return publish(contract.ConfigHead, &eventv1.ConfigHead{PublishedUnixMs: time.Now().UnixMilli()})
}
