package ledgerlink_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"tollgate/edge/ledgerlink"
	eventv1 "tollgate/gen/tollgate/event/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/gen/tollgate/ledger/v1/ledgerv1connect"
	"tollgate/internal/bus"
	"tollgate/internal/testenv"
)

// standIn is a ledger that answers over Connect for the partitions that it leads.
type standIn struct {
	mu    sync.Mutex // guards leads
	leads map[uint32]bool
	asked atomic.Int64
	last  atomic.Pointer[eventv1.LeaseRequest]
}

func (s *standIn) Lease(_ context.Context, req *ledgerv1.LeaseRequest) (*ledgerv1.LeaseResponse, error) {
	s.asked.Add(1)
	s.last.Store(req.GetRequest())
	s.mu.Lock()
	leads := s.leads[req.GetRequest().GetPart()]
	s.mu.Unlock()
	if !leads {
		return nil, connect.NewError(connect.CodeUnavailable, errors.New("another ledger leads the partition"))
	}
	p := req.GetRequest()
	reply := &eventv1.LeaseReply{Inc: p.GetInc(), LedgerUnixMs: time.Now().UnixMilli(), LeaderEpoch: 4}
	for _, l := range p.GetLines() {
		reply.Lines = append(reply.Lines, &eventv1.GrantLine{Window: l.GetWindow(), GrantedTotal: l.GetNeed()})
	}
	for _, st := range p.GetSpools() {
		reply.Marks = append(reply.Marks, &eventv1.Mark{Inc: st.GetInc(), Part: p.GetPart(), Hwm: st.GetHwm() + 1, Epoch: 2})
	}
	return &ledgerv1.LeaseResponse{Reply: reply}, nil
}

func (s *standIn) lead(parts ...uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leads = map[uint32]bool{}
	for _, p := range parts {
		s.leads[p] = true
	}
}

const token = "the-ledgers-token"

func (s *standIn) serve(t *testing.T) string {
	t.Helper()
	_, h := ledgerv1connect.NewLeaseServiceHandler(s)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func directLink(t *testing.T, conn *bus.Conn, spools ledgerlink.Spools, urls ...string) *ledgerlink.Link {
	t.Helper()
	link, err := ledgerlink.New(ledgerlink.Config{
		Edge: "fra-1", Inc: 7, Timeout: 2 * time.Second, LedgerURLs: urls, LedgerToken: token,
	}, conn, spools, testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	return link
}

func line(need int64) []*eventv1.LeaseLine {
	return []*eventv1.LeaseLine{{Window: window.ToProto(), Need: need}}
}

// Guarantee: while NATS is away, ledgers are asked directly, each partition's leader wherever it is, and
// it is remembered; when NATS is there again, it is the way again.
func TestAsksDirectlyWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	server := testenv.NATS(t)
	conn := dial(t, server.URL())
	a, b := &standIn{leads: map[uint32]bool{0: true}}, &standIn{leads: map[uint32]bool{1: true}}
	link := directLink(t, conn, ledgerlink.Spools{}, "http://127.0.0.1:1", a.serve(t), b.serve(t))

	server.Stop()
	for i := range 3 {
		for part := range uint32(2) {
			g, err := link.Lease(t.Context(), part, line(5))
			if err != nil || len(g) != 1 || g[0].GetGrantedTotal() != 5 {
				t.Fatalf("part %d, ask %d: %v, %v", part, i, g, err)
			}
		}
	}
	if a.asked.Load() != 4 || b.asked.Load() != 3 { // a is asked once for what b leads
		t.Errorf("asked %d and %d times", a.asked.Load(), b.asked.Load())
	}
	reply, err := link.Limits(t.Context(), 1, []*eventv1.RateLine{{Limit: 1, Need: 2}}, []*eventv1.PermitLine{{Limit: 3, Held: 4}})
	if err != nil || reply.GetLeaderEpoch() != 4 {
		t.Errorf("%v, %v", reply, err)
	}
	want := &eventv1.LeaseRequest{
		Inc: 7, Edge: "fra-1", Part: 1, Rates: []*eventv1.RateLine{{Limit: 1, Need: 2}}, Permits: []*eventv1.PermitLine{{Limit: 3, Held: 4}},
	}
	if d := cmp.Diff(want, b.last.Load(), protocmp.Transform(), protocmp.IgnoreFields(&eventv1.LeaseRequest{}, "edge_unix_ms")); d != "" {
		t.Error(d)
	}
	// The leader changes.
	a.lead(1)
	b.lead()
	if g, err := link.Lease(t.Context(), 1, line(6)); err != nil || g[0].GetGrantedTotal() != 6 {
		t.Errorf("after a handover: %v, %v", g, err)
	}
	a.lead()
	if _, err := link.Lease(t.Context(), 1, line(6)); err == nil || !strings.Contains(err.Error(), "another ledger leads") {
		t.Errorf("nobody leads: %v", err)
	}
}

// Guarantee: NATS is preferred where it answers; where nobody hears there, or nobody answers in time, a
// ledger is asked directly within the same wait.
func TestPrefersNATS(t *testing.T) {
	t.Parallel()
	server := testenv.NATS(t)
	conn, ledger := dial(t, server.URL()), dial(t, server.URL())
	s := &standIn{leads: map[uint32]bool{0: true, 1: true, 2: true}}
	link := directLink(t, conn, ledgerlink.Spools{}, s.serve(t))
	answer(t, ledger, 0, func(*eventv1.LeaseRequest) *eventv1.LeaseReply {
		return &eventv1.LeaseReply{Inc: 7, Lines: []*eventv1.GrantLine{{GrantedTotal: 77}}}
	})
	var silent atomic.Int64
	answer(t, ledger, 2, func(*eventv1.LeaseRequest) *eventv1.LeaseReply { silent.Add(1); return nil })
	for part, want := range []int64{77, 5, 5} {
		if g, err := link.Lease(t.Context(), uint32(part), line(5)); err != nil || g[0].GetGrantedTotal() != want {
			t.Errorf("part %d: %v, %v", part, g, err)
		}
	}
	if s.asked.Load() != 2 || silent.Load() != 1 {
		t.Errorf("asked directly %d times, silently %d times", s.asked.Load(), silent.Load())
	}
	// For a while NATS is not waited for again; then it is tried.
	if g, err := link.Lease(t.Context(), 0, line(5)); err != nil || g[0].GetGrantedTotal() != 5 {
		t.Errorf("soon after: %v, %v", g, err)
	}
	testenv.Eventually(t, 10*time.Second, func() error {
		g, err := link.Lease(t.Context(), 0, line(5))
		if err == nil && g[0].GetGrantedTotal() != 77 {
			err = errors.New("still asked directly")
		}
		return err
	})
}

// Guarantee: a ledger that hangs does not keep the others from being asked, and the token goes to none
// but the addresses that were configured.
func TestHangingAndRedirectingLedgers(t *testing.T) {
	t.Parallel()
	conn, err := bus.Connect(bus.Config{URL: "nats://127.0.0.1:1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(release) })
	var leaked atomic.Bool
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			leaked.Store(true)
		}
	}))
	t.Cleanup(thief.Close)
	redirects := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	t.Cleanup(redirects.Close)
	s := &standIn{leads: map[uint32]bool{0: true}}
	link := directLink(t, conn, ledgerlink.Spools{}, hangs.URL, redirects.URL, s.serve(t))
	if g, err := link.Lease(t.Context(), 0, line(5)); err != nil || g[0].GetGrantedTotal() != 5 {
		t.Errorf("%v, %v", g, err)
	}
	if leaked.Load() {
		t.Error("the token went elsewhere")
	}
}

// Guarantee: requests tell the ledger of spools, though not each of them, and answers' marks reach them.
func TestSpoolsAreTold(t *testing.T) {
	t.Parallel()
	conn, err := bus.Connect(bus.Config{URL: "nats://127.0.0.1:1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	s := &standIn{leads: map[uint32]bool{0: true, 1: true}}
	h := &heard{}
	link := directLink(t, conn, ledgerlink.Spools{
		States: func(part uint32) []*eventv1.SpoolState {
			return []*eventv1.SpoolState{{Inc: 100 + int64(part), Hwm: 5, History: 1, LastSeq: 9}}
		},
		Mark: h.mark,
	}, s.serve(t))
	for i, part := range []uint32{0, 0, 1, 0} {
		if _, err := link.Lease(t.Context(), part, line(5)); err != nil {
			t.Fatal(err)
		}
		told := len(s.last.Load().GetSpools()) == 1
		if want := i == 0 || i == 2; told != want {
			t.Errorf("request %d tells of spools: %v", i, told)
		}
	}
	if _, err := link.Limits(t.Context(), 0, []*eventv1.RateLine{{Limit: 1}}, nil); err != nil || len(s.last.Load().GetSpools()) != 0 {
		t.Errorf("%v", err)
	}
	if d := cmp.Diff([]int64{100, 101}, h.marks); d != "" {
		t.Error(d)
	}
}

// Guarantee: addresses that cannot be asked, or no token for them, are refused at the start.
func TestDirectConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []ledgerlink.Config{
		{LedgerURLs: []string{"ledger:4002"}, LedgerToken: token},
		{LedgerURLs: []string{"http://"}, LedgerToken: token},
		{LedgerURLs: []string{"ftp://ledger"}, LedgerToken: token},
		{LedgerURLs: []string{"http://ledger:4002"}},
	} {
		c.Edge, c.Timeout = "fra-1", time.Second
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "ledger_") {
			t.Errorf("%v: %v", c.LedgerURLs, err)
		}
	}
}
