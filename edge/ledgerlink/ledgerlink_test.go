package ledgerlink_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"tollgate/edge/admit"
	"tollgate/edge/ledgerlink"
	"tollgate/edge/limit"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

var (
	_ admit.Leaser    = (*ledgerlink.Link)(nil)
	_ ledgerlink.Book = (*admit.Book)(nil)

	_ limit.Asker        = (*ledgerlink.Link)(nil)
	_ ledgerlink.Permits = (*limit.Set)(nil)
)

func dial(tb testing.TB, url string) *bus.Conn {
	tb.Helper()
	conn, err := bus.Connect(bus.Config{URL: url}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(conn.Close)
	if err := conn.AwaitConnected(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return conn
}

func newLink(tb testing.TB, conn *bus.Conn) *ledgerlink.Link {
	tb.Helper()
	l, err := ledgerlink.New(ledgerlink.Config{Edge: "fra-1", Inc: 7, Timeout: 500 * time.Millisecond}, conn, ledgerlink.Spools{}, testenv.Logger(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

var window = contract.Window{Account: 5, Gen: 2, Start: 1_800_000_000}

// Guarantee: a request carries who asks and every line, and its answer comes back as it was.
func TestLease(t *testing.T) {
	t.Parallel()
	server := testenv.NATS(t)
	conn, ledger := dial(t, server.URL()), dial(t, server.URL())
	lines := []*eventv1.LeaseLine{{Window: window.ToProto(), GrantedSeen: 1, Returned: 2, Used: 3, Consumed: 4, Need: 5, Want: 6, Least: 5}}
	grants := []*eventv1.GrantLine{{Window: window.ToProto(), GrantedTotal: 9, State: eventv1.LeaseState_LEASE_STATE_PENDING, Limit: 10, LimitVersion: 11, SpentElsewhere: 12, RetryAfterMs: 13}}
	answer(t, ledger, 3, func(in *eventv1.LeaseRequest) *eventv1.LeaseReply {
		if now := time.Now().UnixMilli(); in.GetEdgeUnixMs() > now || in.GetEdgeUnixMs() < now-10_000 {
			t.Errorf("sent at %d", in.GetEdgeUnixMs())
		}
		in.EdgeUnixMs = 0
		if d := cmp.Diff(&eventv1.LeaseRequest{Inc: 7, Edge: "fra-1", Part: 3, Lines: lines}, in, protocmp.Transform()); d != "" {
			t.Error(d)
		}
		return &eventv1.LeaseReply{Inc: 7, LedgerUnixMs: time.Now().UnixMilli(), Lines: grants}
	})
	got, err := newLink(t, conn).Lease(t.Context(), 3, lines)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(grants, got, protocmp.Transform()); d != "" {
		t.Error(d)
	}
}

func answer(t *testing.T, conn *bus.Conn, part uint32, reply func(*eventv1.LeaseRequest) *eventv1.LeaseReply) {
	t.Helper()
	if _, err := conn.NATS().Subscribe(contract.Lease(part), func(msg *nats.Msg) {
		var in eventv1.LeaseRequest
		if err := proto.Unmarshal(msg.Data, &in); err != nil {
			t.Error(err)
		}
		out := reply(&in)
		if out == nil {
			return
		}
		data, err := proto.Marshal(out)
		if err != nil {
			t.Error(err)
		}
		if err := msg.Respond(data); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := conn.NATS().Flush(); err != nil {
		t.Fatal(err)
	}
}

// Guarantee: no answer, a refusal, an answer for somebody else and NATS being away are errors, soon.
func TestLeaseFails(t *testing.T) {
	t.Parallel()
	server := testenv.NATS(t)
	conn, ledger := dial(t, server.URL()), dial(t, server.URL())
	answer(t, ledger, 1, func(*eventv1.LeaseRequest) *eventv1.LeaseReply { return nil })
	answer(t, ledger, 2, func(*eventv1.LeaseRequest) *eventv1.LeaseReply { return &eventv1.LeaseReply{Inc: 7, Error: "busy"} })
	answer(t, ledger, 3, func(*eventv1.LeaseRequest) *eventv1.LeaseReply { return &eventv1.LeaseReply{Inc: 8} })
	link := newLink(t, conn)
	for part, want := range []string{"no responders", "deadline", "busy", "incarnation 8"} {
		begin := time.Now()
		_, err := link.Lease(t.Context(), uint32(part), nil)
		if err == nil || !strings.Contains(err.Error(), want) || time.Since(begin) > 5*time.Second {
			t.Errorf("part %d: %v after %s", part, err, time.Since(begin))
		}
	}
	server.Stop()
	if _, err := link.Lease(t.Context(), 0, nil); err == nil {
		t.Error("answered without a server")
	}
}

// heard is a Book that notes what it is told.
type heard struct {
	mu       sync.Mutex
	grants   []int64
	recalls  []contract.Window
	accounts []int64
	marks    []int64
	permits  []int64
	resyncs  []uint32
	ended    int
}

func (h *heard) Apply(g []*eventv1.GrantLine) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range g {
		h.grants = append(h.grants, l.GetGrantedTotal())
	}
}

func (h *heard) Recall(w []contract.Window) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.recalls = append(h.recalls, w...)
}

func (h *heard) Invalidate(a []int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.accounts = append(h.accounts, a...)
}

func (h *heard) Resync(part uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.resyncs = append(h.resyncs, part)
}

func (h *heard) GiveBack() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended++
}

func (h *heard) mark(m *eventv1.Mark) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.marks = append(h.marks, m.GetInc())
}

// permits is the part of heard that is told of limits.
type permits struct{ *heard }

func (p permits) Recall(limits []int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.permits = append(p.permits, limits...)
}

// Guarantee: what the ledger pushes arrives, money only of this life of the process, marks also of
// earlier ones; what cannot be read is passed over; after Run nothing more is called.
func TestControl(t *testing.T) {
	t.Parallel()
	server := testenv.NATS(t)
	conn, ledger := dial(t, server.URL()), dial(t, server.URL())
	h := &heard{}
	link, err := ledgerlink.New(ledgerlink.Config{Edge: "fra-1", Inc: 7, Timeout: time.Second}, conn, ledgerlink.Spools{Mark: h.mark}, testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- link.Run(ctx, h, permits{h}) }()
	defer cancel()

	send := func(subject string, m proto.Message) {
		data, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := ledger.NATS().Publish(subject, data); err != nil {
			t.Fatal(err)
		}
	}
	control := contract.EdgeControl("fra-1")
	testenv.Eventually(t, 10*time.Second, func() error { // until both are subscribed
		send(control, &eventv1.EdgeControl{Inc: 6, Marks: []*eventv1.Mark{{Inc: 0}}})
		send(contract.BudgetChanged, &eventv1.BudgetChanged{Accounts: []int64{0}})
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.marks) == 0 || len(h.accounts) == 0 {
			return context.DeadlineExceeded
		}
		return nil
	})
	if err := ledger.NATS().Publish(control, []byte("\xff\xff")); err != nil {
		t.Fatal(err)
	}
	full := func(inc int64) *eventv1.EdgeControl {
		return &eventv1.EdgeControl{
			Inc: inc, Marks: []*eventv1.Mark{{Inc: inc}}, Recalls: []*eventv1.AccountWindow{window.ToProto()},
			Grants: []*eventv1.GrantLine{{Window: window.ToProto(), GrantedTotal: inc}}, PermitRecalls: []int64{10 * inc},
		}
	}
	send(control, full(6))
	send(control, full(7))
	send(contract.EdgeControl("fra-2"), full(7))
	send(contract.BudgetChanged, &eventv1.BudgetChanged{Accounts: []int64{5, 6}})
	testenv.Eventually(t, 10*time.Second, func() error {
		h.mu.Lock()
		defer h.mu.Unlock()
		marks := slices.DeleteFunc(slices.Clone(h.marks), func(n int64) bool { return n == 0 })
		accounts := slices.DeleteFunc(slices.Clone(h.accounts), func(n int64) bool { return n == 0 })
		if !slices.Equal(marks, []int64{6, 7}) || !slices.Equal(accounts, []int64{5, 6}) ||
			!slices.Equal(h.grants, []int64{7}) || !slices.Equal(h.permits, []int64{70}) || !slices.Equal(h.recalls, []contract.Window{window}) {
			return context.DeadlineExceeded
		}
		return nil
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	send(control, full(7))
	if err := ledger.NATS().Flush(); err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.grants) != 1 {
		t.Error("something was called after Run had returned")
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	if err := ledgerlink.DefaultConfig().Validate(); err == nil || !strings.Contains(err.Error(), "edge: ") {
		t.Errorf("Validate = %v", err)
	}
	if _, err := ledgerlink.New(ledgerlink.Config{Edge: "a.b", Timeout: time.Second}, nil, ledgerlink.Spools{}, nil); err == nil {
		t.Error("took an edge name that is no token")
	}
}
