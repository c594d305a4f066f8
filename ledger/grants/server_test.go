package grants_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/testenv"
	"tollgate/ledger/escrow"
	"tollgate/ledger/grants"
	"tollgate/ledger/store"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

var window = contract.Window{Account: 1, Gen: 1}

// leader is a book in memory. Each transaction waits for a turn, if turns are given.
type leader struct {
	mu    sync.Mutex
	book  *escrow.Book
	sizes []int // lines of each transaction
	began chan struct{}
	turn  chan struct{}
	fail  map[int64]bool // incarnations that the database does not take
	hwm   uint64
}

func newLeader() *leader {
	l := &leader{book: escrow.NewBook(), fail: map[int64]bool{}}
	l.book.Open(window, 1_000_000, 1)
	return l
}

func (l *leader) Part() uint32   { return 3 }
func (l *leader) Epoch() int64   { return 9 }
func (l *leader) History() int64 { return 2 }

func (l *leader) Lease(_ context.Context, lines []escrow.Line, m *escrow.Memory) (escrow.Outcome, error) {
	if l.turn != nil {
		l.began <- struct{}{}
		<-l.turn
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sizes = append(l.sizes, len(lines))
	for _, q := range lines {
		if l.fail[q.Inc] {
			return escrow.Outcome{}, errors.New("a value out of range")
		}
	}
	return l.book.Lease(lines, m), nil
}

func (l *leader) Marks(_ context.Context, edge string, states []*eventv1.SpoolState) ([]store.Mark, bool, error) {
	var out []store.Mark
	for _, s := range states {
		if s.GetHistory() == l.History() && s.GetHwm() > l.hwm {
			return nil, true, nil
		}
		out = append(out, store.Mark{Inc: s.GetInc(), Edge: edge, HWM: l.hwm})
	}
	return out, false, nil
}

type everything struct{}

func (everything) Grantable(contract.Window, time.Time) bool { return true }

// desk is a server that runs.
type desk struct {
	t      *testing.T
	nc     *nats.Conn
	server *grants.Server
	ended  chan error
	cancel func()
}

func serve(t *testing.T, d grants.Deps) *desk {
	t.Helper()
	nc, err := nats.Connect(testenv.NATS(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	d.Accounts, d.NATS, d.Log = everything{}, nc, testenv.Logger(t)
	d.Push = grants.NewPush(nc, d.Leader.Part(), d.Leader.History(), d.Log)
	ctx, cancel := context.WithCancel(context.Background())
	k := &desk{t: t, nc: nc, server: grants.New(d), ended: make(chan error, 1), cancel: cancel}
	go func() { k.ended <- k.server.Run(ctx) }()
	t.Cleanup(cancel)
	if err := k.server.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *desk) ask(p *eventv1.LeaseRequest) (*eventv1.LeaseReply, error) {
	p.Part = 3
	data, err := proto.Marshal(p)
	if err != nil {
		return nil, err
	}
	m, err := k.nc.Request(contract.Lease(3), data, 10*time.Second)
	if err != nil {
		return nil, err
	}
	var reply eventv1.LeaseReply
	return &reply, proto.Unmarshal(m.Data, &reply)
}

func need(inc, nanos int64) *eventv1.LeaseRequest {
	return &eventv1.LeaseRequest{Inc: inc, Edge: fmt.Sprintf("edge-%d", inc), Lines: []*eventv1.LeaseLine{{Window: window.ToProto(), Need: nanos, Least: nanos}}}
}

// Guarantee: a request that comes alone is decided at once; those that come while a transaction runs share
// the next one, and each gets its own answer.
func TestRequestsGatherWhileATransactionRuns(t *testing.T) {
	t.Parallel()
	l := newLeader()
	l.began, l.turn = make(chan struct{}), make(chan struct{})
	k := serve(t, grants.Deps{Leader: l})
	var wg sync.WaitGroup
	ask := func(inc int64) {
		wg.Go(func() {
			reply, err := k.ask(need(inc, 10*inc))
			if err != nil || reply.GetInc() != inc || len(reply.GetLines()) != 1 || reply.GetLines()[0].GetGrantedTotal() != 10*inc || reply.GetLeaderEpoch() != 9 {
				t.Errorf("incarnation %d: %v, %v", inc, reply, err)
			}
		})
	}
	ask(1)
	<-l.began // alone
	const others = 20
	for inc := range int64(others) {
		ask(inc + 2)
	}
	testenv.Eventually(t, 10*time.Second, func() error { // all of them have come
		if n := k.server.Waiting(); n != others {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	l.turn <- struct{}{}
	<-l.began
	l.turn <- struct{}{}
	wg.Wait()
	if len(l.sizes) != 2 || l.sizes[0] != 1 || l.sizes[1] != others {
		t.Errorf("transactions of %v lines", l.sizes)
	}
}

// Guarantee: what the database does not take of one edge harms no other that shares its transaction.
func TestOneBadRequestHarmsNoOther(t *testing.T) {
	t.Parallel()
	l := newLeader()
	l.fail[2] = true
	l.began, l.turn = make(chan struct{}), make(chan struct{})
	k := serve(t, grants.Deps{Leader: l})
	replies := make([]*eventv1.LeaseReply, 5)
	var wg sync.WaitGroup
	for inc := range int64(4) {
		wg.Go(func() {
			var err error
			if replies[inc+1], err = k.ask(need(inc+1, 10)); err != nil {
				t.Error(err)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for waiting := true; waiting; {
		select {
		case <-l.began:
			l.turn <- struct{}{}
		case <-done:
			waiting = false
		}
	}
	for inc, r := range replies[1:] {
		if bad := inc+1 == 2; (r.GetError() != "") != bad || !bad && r.GetLines()[0].GetGrantedTotal() != 10 {
			t.Errorf("incarnation %d: %v", inc+1, r)
		}
	}
}

// Guarantee: tokens and permits are given only by a leader that was sure to be one within the last second;
// money, which the database guards, does not depend on it.
func TestUnsureLeaderGivesNoTokens(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	alive := time.Now()
	at := func() time.Time { mu.Lock(); defer mu.Unlock(); return alive }
	began := time.Now().Add(-time.Hour) // so that there are tokens
	limiter := grants.NewLimiter(began, at)
	limiter.Set([]*eventv1.Limit{{Id: 1, Part: 3, Kind: eventv1.LimitKind_LIMIT_KIND_CONCURRENT, Amount: 5}})
	k := serve(t, grants.Deps{Leader: newLeader(), Limits: limiter})
	both := func(seq uint64) *eventv1.LeaseRequest {
		p := need(7, 10)
		p.Permits = []*eventv1.PermitLine{{Limit: 1, Want: 2, Seq: seq}}
		return p
	}
	only := func(seq uint64) *eventv1.LeaseRequest { p := both(seq); p.Lines = nil; return p }
	mu.Lock()
	alive = time.Now().Add(time.Hour)
	mu.Unlock()
	if r, err := k.ask(both(1)); err != nil || len(r.GetPermits()) != 1 || r.GetPermits()[0].GetPermits() != 2 {
		t.Errorf("a sure one: %v, %v", r, err)
	}
	mu.Lock()
	alive = time.Now().Add(-2 * time.Second)
	mu.Unlock()
	if r, err := k.ask(only(2)); err != nil || r.GetError() == "" || len(r.GetPermits()) != 0 {
		t.Errorf("an unsure one: %v, %v", r, err)
	}
	if r, err := k.ask(both(3)); err != nil || r.GetError() != "" || len(r.GetPermits()) != 0 || r.GetLines()[0].GetState() != eventv1.LeaseState_LEASE_STATE_GRANTED {
		t.Errorf("money of an unsure one: %v, %v", r, err)
	}
}

// Guarantee: after the database began a new history, new money is kept back until all that live have
// spoken of theirs or ten seconds are over, whether the leader knew of it or an edge shows it.
func TestHold(t *testing.T) {
	t.Parallel()
	pending, granted := eventv1.LeaseState_LEASE_STATE_PENDING, eventv1.LeaseState_LEASE_STATE_GRANTED
	told := func(history int64, inc int64) *eventv1.LeaseRequest {
		p := need(inc, 10)
		p.Spools = []*eventv1.SpoolState{{Inc: inc, History: history, Hwm: 5}}
		return p
	}
	for _, c := range []struct {
		name     string
		began    time.Duration
		restored bool
		ask      []*eventv1.LeaseRequest
		want     []eventv1.LeaseState
	}{
		{"nothing happened", 0, false, []*eventv1.LeaseRequest{need(7, 10)}, []eventv1.LeaseState{granted}},
		{"known", 0, true, []*eventv1.LeaseRequest{told(2, 7), need(8, 10), need(9, 10), told(2, 8)}, []eventv1.LeaseState{pending, pending, pending, granted}},
		{"known, long ago", 11 * time.Second, true, []*eventv1.LeaseRequest{need(7, 10)}, []eventv1.LeaseState{granted}},
		{"shown", 0, false, []*eventv1.LeaseRequest{told(1, 7), told(2, 7), told(2, 8)}, []eventv1.LeaseState{pending, pending, granted}},
		{"of this history", 0, false, []*eventv1.LeaseRequest{told(2, 7)}, []eventv1.LeaseState{granted}},
		{"of none", 0, false, []*eventv1.LeaseRequest{told(0, 7)}, []eventv1.LeaseState{granted}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLeader()
			l.hwm = 5
			k := serve(t, grants.Deps{Leader: l, Hold: grants.NewHold(time.Now().Add(-c.began), 2, []int64{7, 8}, c.restored)})
			for i, p := range c.ask {
				r, err := k.ask(p)
				if err != nil || r.GetLines()[0].GetState() != c.want[i] || (c.want[i] == pending) != (r.GetLines()[0].GetRetryAfterMs() > 0) {
					t.Errorf("ask %d: %v, %v", i, r, err)
				}
			}
		})
	}
}

// Guarantee: an edge that has seen more than the database has ends the term before anything is granted, and
// whoever waits is told to go elsewhere.
func TestRestoredEndsTheTerm(t *testing.T) {
	t.Parallel()
	l := newLeader()
	k := serve(t, grants.Deps{Leader: l})
	p := need(7, 10)
	p.Part, p.Spools = 3, []*eventv1.SpoolState{{Inc: 7, History: 2, Hwm: 1}}
	if _, err := k.server.Lease(t.Context(), p); fault.From(err).Kind() != fault.Unavailable {
		t.Errorf("%v", err)
	}
	if err := <-k.ended; !errors.Is(err, grants.ErrRestored) {
		t.Errorf("%v", err)
	}
	if len(l.sizes) != 0 {
		t.Error("something was decided")
	}
}

// Guarantee: requests that no correct edge sends are answered with an error and decide nothing.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	l := newLeader()
	k := serve(t, grants.Deps{Leader: l})
	for name, p := range map[string]*eventv1.LeaseRequest{
		"no incarnation": {Edge: "e", Lines: need(1, 1).GetLines()},
		"no edge":        {Inc: 1, Lines: need(1, 1).GetLines()},
		"nothing":        {Inc: 1, Edge: "e"},
		"too much":       {Inc: 1, Edge: "e", Rates: make([]*eventv1.RateLine, 20_001)},
		"negative start": {Inc: 1, Edge: "e", Lines: []*eventv1.LeaseLine{{Window: &eventv1.AccountWindow{Start: -1}}}},
	} {
		for i := range p.GetRates() {
			p.Rates[i] = &eventv1.RateLine{}
		}
		if r, err := k.ask(p); err != nil || r.GetError() == "" {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	if m, err := k.nc.Request(contract.Lease(3), []byte("\xff\xff"), 10*time.Second); err != nil || !strings.Contains(string(m.Data), "decode") {
		t.Errorf("bytes: %v", err)
	}
	if len(l.sizes) != 0 {
		t.Error("something was decided")
	}
}
