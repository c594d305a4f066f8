package ledgerlink_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/edge/ledgerlink"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/testenv"
)

// disk is spools of two partitions as a publisher keeps them.
type disk struct {
	mu      sync.Mutex
	hwm     uint64
	history map[uint32]int64
}

func (d *disk) spools() ledgerlink.Spools {
	return ledgerlink.Spools{
		Parts: func() []uint32 { return []uint32{0, 3} },
		States: func(part uint32) []*eventv1.SpoolState {
			d.mu.Lock()
			defer d.mu.Unlock()
			return []*eventv1.SpoolState{{Inc: 7, Hwm: d.hwm, History: d.history[part], LastSeq: 9}}
		},
		Mark: func(m *eventv1.Mark) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.history[m.GetPart()] = max(d.history[m.GetPart()], m.GetEpoch())
		},
	}
}

// runLink runs a link until the test ends.
func runLink(t *testing.T, link *ledgerlink.Link, h *heard) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- link.Run(ctx, h, permits{h}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// asked notes which partitions were told of spools, and of which history they were.
type asked struct {
	mu   sync.Mutex
	told map[uint32][]int64
	// history of the database that answers
	history int64
}

func (a *asked) answer(in *eventv1.LeaseRequest) *eventv1.LeaseReply {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &eventv1.LeaseReply{Inc: in.GetInc()}
	for _, s := range in.GetSpools() {
		a.told[in.GetPart()] = append(a.told[in.GetPart()], s.GetHistory())
		r.Marks = append(r.Marks, &eventv1.Mark{Inc: s.GetInc(), Part: in.GetPart(), Hwm: s.GetHwm(), Epoch: a.history})
	}
	return r
}

func (a *asked) of(part uint32) []int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.told[part])
}

// Guarantee: an edge that asks for nothing tells every partition of its spools all the same, so that it
// learns of a database that was restored; then each such partition hears of all that the edge holds, once,
// and of spools that know it.
func TestAQuietEdgeTellsOfItsSpools(t *testing.T) {
	t.Parallel()
	server := testenv.NATS(t)
	conn, ledger := dial(t, server.URL()), dial(t, server.URL())
	a := &asked{told: map[uint32][]int64{}, history: 1}
	answer(t, ledger, 0, a.answer)
	answer(t, ledger, 3, a.answer)
	d, h := &disk{history: map[uint32]int64{}}, &heard{}
	link, err := ledgerlink.New(ledgerlink.Config{Edge: "fra-1", Inc: 7, Timeout: time.Second}, conn, d.spools(), testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	link.SetIdle(50 * time.Millisecond)
	runLink(t, link, h)
	both := func(history int64) {
		t.Helper()
		testenv.Eventually(t, 10*time.Second, func() error {
			for _, part := range []uint32{0, 3} {
				if !slices.Contains(a.of(part), history) {
					return fmt.Errorf("partition %d has heard %v", part, a.of(part))
				}
			}
			return nil
		})
	}
	both(1)
	h.mu.Lock()
	if len(h.resyncs) > 0 {
		t.Errorf("resynchronized with %v of the first history", h.resyncs)
	}
	h.mu.Unlock()
	a.mu.Lock()
	a.history = 2
	a.mu.Unlock()
	both(2)
	h.mu.Lock()
	defer h.mu.Unlock()
	slices.Sort(h.resyncs)
	if !slices.Equal(h.resyncs, []uint32{0, 3}) {
		t.Errorf("resynchronized with %v", h.resyncs)
	}
}

// Guarantee: the same without NATS.
func TestAQuietEdgeTellsOfItsSpoolsDirectly(t *testing.T) {
	t.Parallel()
	conn, err := bus.Connect(bus.Config{URL: "nats://127.0.0.1:1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	s := &standIn{leads: map[uint32]bool{0: true, 3: true}}
	d := &disk{history: map[uint32]int64{}}
	link := directLink(t, conn, d.spools(), s.serve(t))
	link.SetIdle(50 * time.Millisecond)
	runLink(t, link, &heard{})
	testenv.Eventually(t, 10*time.Second, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.history[0] != 2 || d.history[3] != 2 {
			return fmt.Errorf("marks are of %v", d.history)
		}
		return nil
	})
}

// Guarantee: spools are told again with the next request if the ledger could not look.
func TestSpoolsAreToldUntilTheLedgerHasLooked(t *testing.T) {
	t.Parallel()
	server := testenv.NATS(t)
	conn, ledger := dial(t, server.URL()), dial(t, server.URL())
	n := 0
	answer(t, ledger, 0, func(in *eventv1.LeaseRequest) *eventv1.LeaseReply {
		if n++; len(in.GetSpools()) != 1 {
			t.Errorf("request %d does not tell of spools", n)
		}
		return &eventv1.LeaseReply{Inc: 7}
	})
	d := &disk{history: map[uint32]int64{}}
	link, err := ledgerlink.New(ledgerlink.Config{Edge: "fra-1", Inc: 7, Timeout: time.Second}, conn, d.spools(), testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := link.Lease(t.Context(), 0, line(5)); err != nil {
			t.Fatal(err)
		}
	}
}

// Guarantee: an edge that the ledger has given up while it lives puts what it holds out of reach, because
// others have got it, and says what is to be done; an answer for another incarnation does nothing.
func TestAnIncarnationThatWasGivenUp(t *testing.T) {
	t.Parallel()
	server := testenv.NATS(t)
	conn, ledger := dial(t, server.URL()), dial(t, server.URL())
	var inc atomic.Int64
	inc.Store(6)
	answer(t, ledger, 0, func(*eventv1.LeaseRequest) *eventv1.LeaseReply {
		return &eventv1.LeaseReply{Inc: inc.Load(), Error: contract.IncarnationEnded}
	})
	h, link := &heard{}, newLink(t, conn)
	runLink(t, link, h)
	data, err := proto.Marshal(&eventv1.BudgetChanged{Accounts: []int64{1}})
	if err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 10*time.Second, func() error { // until it runs
		if err := ledger.NATS().Publish(contract.BudgetChanged, data); err != nil {
			return err
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.accounts) == 0 {
			return errors.New("has not heard")
		}
		return nil
	})
	if _, err := link.Lease(t.Context(), 0, line(5)); err == nil {
		t.Error("took an answer for another incarnation")
	}
	if link.Ended() != nil {
		t.Error("another incarnation has ended")
	}
	inc.Store(7)
	for range 3 {
		if _, err := link.Lease(t.Context(), 0, line(5)); err == nil || !strings.Contains(err.Error(), "ended") {
			t.Error(err)
		}
	}
	if err := link.Ended(); err == nil || !strings.Contains(err.Error(), "incarnation 7") {
		t.Errorf("Ended = %v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended != 1 {
		t.Errorf("gave back %d times", h.ended)
	}
}
