package replay

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"tollgate/edge"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/config"
	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/money"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

const (
	key      = "tgk_0123456789abcdefghijklmnopqrstuv"
	price    = money.Dollar / 1000
	patience = 20 * time.Second // for what happens at once unless something is broken
)

// cloud is what an edge talks to: NATS with a configuration, and a ledger that grants whatever is asked for
// and keeps what it is told.
type cloud struct {
	t    *testing.T
	conn *bus.Conn
	url  string

	mu     sync.Mutex // guards what follows
	have   map[int64]uint64
	ends   map[string][]*eventv1.SpendEvent // settlements by request
	closed bool                             // the edge has said its last word
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	server := testenv.NATS(t)
	conn, err := bus.Connect(bus.Config{URL: server.URL()}, testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	c := &cloud{t: t, conn: conn, url: server.URL(), have: map[int64]uint64{}, ends: map[string][]*eventv1.SpendEvent{}}
	if err := conn.AwaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []jetstream.StreamConfig{
		{Name: contract.StreamConfig, Subjects: []string{contract.ConfigSubjects}, MaxMsgsPerSubject: 1, AllowDirect: true},
		{Name: contract.StreamFleet, Subjects: []string{contract.FleetSubjects}, MaxMsgsPerSubject: 1, Storage: jetstream.MemoryStorage},
		{Name: contract.SpendStream(0), Subjects: []string{contract.SpendSubjects(0)}, Storage: jetstream.MemoryStorage},
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
	out := &eventv1.LeaseReply{Inc: in.GetInc(), LedgerUnixMs: time.Now().UnixMilli(), LeaderEpoch: 1}
	for _, l := range in.GetLines() {
		out.Lines = append(out.Lines, &eventv1.GrantLine{
			Window: l.GetWindow(), State: eventv1.LeaseState_LEASE_STATE_GRANTED, Limit: int64(1000 * money.Dollar), LimitVersion: 1,
			GrantedTotal: int64(500 * money.Dollar),
		})
	}
	c.answer(msg.Reply, out)
}

func (c *cloud) book(msg *nats.Msg) {
	var in eventv1.SpendBatch
	if err := proto.Unmarshal(msg.Data, &in); err != nil {
		c.t.Error(err)
		return
	}
	c.mu.Lock()
	have := c.have[in.GetInc()]
	for i, e := range in.GetEvents() {
		if in.GetFirstSeq()+uint64(i) != have+1 {
			continue // it was sent before
		}
		have++
		if e.GetOutcome() == eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
			c.closed = true
			continue
		}
		request := id.Bytes(e.GetRequestId()).Text(id.Request)
		c.ends[request] = append(c.ends[request], e)
	}
	c.have[in.GetInc()] = have
	c.mu.Unlock()
	c.answer(contract.EdgeControl(in.GetEdge()), &eventv1.EdgeControl{
		Inc: in.GetInc(), Marks: []*eventv1.Mark{{Inc: in.GetInc(), Hwm: have, Epoch: 1}},
	})
}

func (c *cloud) answer(subject string, m proto.Message) {
	data, err := proto.Marshal(m)
	if err == nil {
		err = c.conn.NATS().Publish(subject, data)
	}
	if err != nil {
		c.t.Error(err)
	}
}

// publish hands out a configuration with one key.
func (c *cloud) publish(endpoints []*eventv1.RouteEndpoint) {
	c.t.Helper()
	hash := contract.KeyHash([]byte(key))
	shard := contract.KeyShardOf(hash)
	account := &eventv1.Account{
		Id: 1, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL, TimeZone: "UTC", LimitNanos: int64(1000 * money.Dollar), Version: 1, Subject: "key replay",
	}
	for _, v := range []struct {
		subject string
		m       proto.Message
	}{
		{contract.ConfigKeys(shard), &eventv1.KeyShard{Shard: shard, Keys: []*eventv1.ShardKey{{Sha256: hash[:], Id: "key_1", Name: "replay", Accounts: []*eventv1.Account{account}}}}},
		{contract.ConfigRoutes, &eventv1.RouteSnapshot{Endpoints: endpoints}},
		{contract.ConfigHead, &eventv1.ConfigHead{PublishedUnixMs: time.Now().UnixMilli()}},
	} {
		data, err := contract.Encode(contract.Version{Epoch: 1, Revision: 1}, v.m)
		if err != nil {
			c.t.Fatal(err)
		}
		if _, err := c.conn.JetStream().Publish(c.t.Context(), v.subject, data); err != nil {
			c.t.Fatal(err)
		}
	}
}

// endpointTo forwards all that it may below a path.
func endpointTo(name, target string) *eventv1.RouteEndpoint {
	return &eventv1.RouteEndpoint{
		Id: "ep_" + name, Name: name, Path: "/" + name, Targets: []string{target}, PriceNanos: int64(price), PriceVersion: 1,
		Forward: eventv1.ForwardMode_FORWARD_MODE_ALL, ForwardTraceContext: true,
	}
}

// startEdge runs an edge on a configuration until it is ready. stop ends it, when all that it has to say was said.
func (c *cloud) startEdge(endpoints []*eventv1.RouteEndpoint) (addr string, stop func()) {
	c.t.Helper()
	cfg := edge.DefaultConfig()
	cfg.Name, cfg.Listen, cfg.AdminListen = "replay", "127.0.0.1:0", "127.0.0.1:0"
	cfg.DataDir, cfg.NATS.URL = c.t.TempDir(), c.url
	cfg.SealingKey, cfg.AllowPrivateTargets = config.Secret(seal.Generate()), true
	cfg.Drain = 5 * time.Second
	n, err := edge.New(c.t.Context(), cfg, edge.Deps{})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			c.t.Errorf("run: %v", err)
		}
	})
	c.t.Cleanup(stop)
	c.publish(endpoints)
	probe := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	testenv.Eventually(c.t, patience, func() error {
		r, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, "http://"+n.AdminAddr()+"/-/readyz", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := probe.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	})
	return n.Addr(), stop
}

// settled are the settlements of a request.
func (c *cloud) settled(request string) []*eventv1.SpendEvent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ends[request]
}
