package grants_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/testenv"
	"tollgate/ledger/escrow"
	"tollgate/ledger/grants"
	"tollgate/ledger/limits"
	"tollgate/ledger/store"
)

// wire keeps what was published, and when.
type wire struct {
	sent []sent
	err  error
}

type sent struct {
	at      time.Time
	subject string
	data    []byte
}

func (w *wire) Publish(subject string, data []byte) error {
	w.sent = append(w.sent, sent{time.Now(), subject, data})
	return w.err
}

func recall(account, inc int64) escrow.Recall {
	return escrow.Recall{Window: contract.Window{Account: account, Gen: 1}, Inc: inc, Edge: "edge"}
}

// Guarantee: however often somebody asks, edges are recalled at most once per account in 50 ms, and
// no recall is forgotten.
func TestRecallsArePaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		p := grants.NewPush(w, 0, 1, testenv.Logger(t))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		synctest.Wait()
		for i := range 100 { // a second
			p.Recall([]escrow.Recall{recall(1, 7), recall(1, int64(8+i%2))})
			p.Recall([]escrow.Recall{recall(2, 7)})
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		last := map[int64]time.Time{}
		recalled := map[escrow.Recall]int{}
		for _, s := range w.sent {
			var c eventv1.EdgeControl
			if err := proto.Unmarshal(s.data, &c); err != nil || s.subject != contract.EdgeControl("edge") {
				t.Fatal(s.subject, err)
			}
			for _, r := range c.GetRecalls() {
				a := r.GetAccount()
				if at, ok := last[a]; ok && !at.Equal(s.at) && s.at.Sub(at) < 50*time.Millisecond {
					t.Errorf("account %d recalled after %s", a, s.at.Sub(at))
				}
				last[a] = s.at
				recalled[recall(a, c.GetInc())]++
			}
		}
		for _, r := range []escrow.Recall{recall(1, 7), recall(1, 8), recall(1, 9), recall(2, 7)} {
			if n := recalled[r]; n < 5 || n > 21 {
				t.Errorf("%+v sent %d times in a second", r, n)
			}
		}
	})
}

// Guarantee: of changes that follow each other quickly the last one is told, too.
func TestLastChangeIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{err: errors.New("disconnected")} // which must not matter
		p := grants.NewPush(w, 0, 1, testenv.Logger(t))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		p.Changed(nil)
		p.Changed([]int64{5})
		time.Sleep(20 * time.Millisecond)
		p.Changed([]int64{5, 6})
		changed := time.Now()
		time.Sleep(time.Second)
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		var after []int64
		for _, s := range w.sent {
			var c eventv1.BudgetChanged
			if err := proto.Unmarshal(s.data, &c); err != nil || s.subject != contract.BudgetChanged {
				t.Fatal(s.subject, err)
			}
			if !s.at.Before(changed) {
				after = append(after, c.GetAccounts()...)
			}
		}
		if len(w.sent) != 3 || len(after) != 2 || after[0]+after[1] != 11 {
			t.Errorf("%d messages, after the last change %v", len(w.sent), after)
		}
	})
}

// Guarantee: marks name their incarnation, also one that has ended, and carry the history's number.
func TestMarks(t *testing.T) {
	t.Parallel()
	w := &wire{}
	p := grants.NewPush(w, 4, 3, testenv.Logger(t))
	p.Marks([]store.Mark{{Inc: 1, Edge: "a", HWM: 9}, {Inc: 2, Edge: "a", HWM: 5, Gap: true}, {Inc: 3, Edge: "b", HWM: 1}, {Inc: 4, Edge: "*", HWM: 1}})
	got := map[int64]*eventv1.Mark{}
	for _, s := range w.sent {
		var c eventv1.EdgeControl
		if err := proto.Unmarshal(s.data, &c); err != nil {
			t.Fatal(err)
		}
		for _, m := range c.GetMarks() {
			got[m.GetInc()] = m
		}
	}
	if len(w.sent) != 2 || len(got) != 3 || !proto.Equal(got[2], &eventv1.Mark{Inc: 2, Part: 4, Hwm: 5, Gap: true, Epoch: 3}) {
		t.Errorf("marks = %v in %d messages", got, len(w.sent))
	}
}

// Guarantee: no bytes of a request make the ledger panic or decide something that breaks the books.
func FuzzLines(f *testing.F) {
	data, err := proto.Marshal(&eventv1.LeaseRequest{Inc: 7, Edge: "edge", Lines: []*eventv1.LeaseLine{
		{Window: &eventv1.AccountWindow{Account: 1, Gen: 1}, GrantedSeen: 5, Returned: 1, Used: 2, Consumed: 2, Need: 9, Want: 100},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		var p eventv1.LeaseRequest
		if proto.Unmarshal(data, &p) != nil {
			return
		}
		lines, err := grants.Lines(&p, 0)
		if err != nil {
			return
		}
		book := escrow.NewBook()
		book.Incs[7] = escrow.Incarnation{Edge: "edge"}
		for i := range lines {
			lines[i].Grantable = true
			book.Open(lines[i].Window, 1000, 1)
		}
		before := book.Clone()
		out := book.Lease(lines, escrow.NewMemory())
		if err := errors.Join(book.Check(), book.CheckGrants(before, out)); err != nil {
			t.Fatal(err)
		}
	})
}

// Guarantee: edges are asked for permits of one limit at most once in 50 ms, each of them, and no asking
// is forgotten.
func TestPermitRecallsArePaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		p := grants.NewPush(w, 0, 1, testenv.Logger(t))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		for i := range 40 {
			p.RecallPermits([]limits.Recall{{Edge: "edge", Inc: int64(7 + i%2), Limit: 3}})
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		last, asked := map[int64]time.Time{}, map[int64]int{}
		for _, s := range w.sent {
			var c eventv1.EdgeControl
			if err := proto.Unmarshal(s.data, &c); err != nil || len(c.GetPermitRecalls()) != 1 || c.GetPermitRecalls()[0] != 3 {
				t.Fatal(err, &c)
			}
			if at, ok := last[c.GetInc()]; ok && s.at.Sub(at) < escrow.Pace {
				t.Errorf("asked again after %s", s.at.Sub(at))
			}
			last[c.GetInc()] = s.at
			asked[c.GetInc()]++
		}
		if asked[7] < 3 || asked[8] < 3 || len(w.sent) > 10 {
			t.Errorf("asked %v, %d messages", asked, len(w.sent))
		}
	})
}
