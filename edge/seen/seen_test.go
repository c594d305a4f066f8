package seen

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told is what was published.
type told struct {
	mu      sync.Mutex // guards what follows
	away    bool
	batches []*eventv1.SeenBatch
}

func (p *told) publish(data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away {
		return errors.New("not connected")
	}
	b := new(eventv1.SeenBatch)
	if err := proto.Unmarshal(data, b); err != nil {
		return err
	}
	p.batches = append(p.batches, b)
	return nil
}

func (p *told) sum() (requests int, lost int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.batches {
		requests += len(b.GetRequests())
		lost += b.GetLost()
	}
	return requests, lost
}

func run(t *testing.T, p *told) (l *Log, stop func()) {
	t.Helper()
	l = New("lon-1", 7, p.publish, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return l, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Guarantee: each exchange is told once and in order, after a tenth of a second or when there are 256, in batches of no more; what is
// left at the end is told as well.
func TestEachIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &told{}
		l, stop := run(t, p)
		l.Add(Exchange{Method: "GET"})
		time.Sleep(batchAfter)
		synctest.Wait()
		if n, _ := p.sum(); n != 1 {
			t.Errorf("%d after %s, want 1", n, batchAfter)
		}
		for range 2*batchMost + 5 {
			l.Add(Exchange{Method: "GET"})
		}
		synctest.Wait()
		if n, _ := p.sum(); n < 1+batchMost {
			t.Errorf("%d, though a batch was full", n)
		}
		l.Add(Exchange{Method: "LAST"})
		stop()
		n, lost := p.sum()
		last := p.batches[len(p.batches)-1].GetRequests()
		if n != 1+2*batchMost+5+1 || lost != 0 || last[len(last)-1].GetMethod() != "LAST" {
			t.Errorf("%d told, %d lost, the last is %v", n, lost, last[len(last)-1])
		}
		for _, b := range p.batches {
			if len(b.GetRequests()) > batchMost || b.GetEdge() != "lon-1" || b.GetInc() != 7 {
				t.Errorf("a batch of %d by %s %d", len(b.GetRequests()), b.GetEdge(), b.GetInc())
			}
		}
	})
}

// Guarantee: what cannot be sent, or kept until it can, is counted, and the next batch says how much it was.
func TestLostIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &told{away: true}
		l, stop := run(t, p)
		for range 300 {
			l.Add(Exchange{})
		}
		time.Sleep(3 * batchAfter)
		synctest.Wait()
		if l.Lost() != 300 {
			t.Errorf("%d lost, want 300", l.Lost())
		}
		p.mu.Lock()
		p.away = false
		p.mu.Unlock()
		l.Add(Exchange{})
		stop()
		if n, lost := p.sum(); n != 1 || lost != 300 {
			t.Errorf("%d told and %d lost, want 1 and 300", n, lost)
		}
	})
	full := New("lon-1", 7, (&told{}).publish, slog.New(slog.DiscardHandler)) // nobody runs it
	for range queueMost + 9 {
		full.Add(Exchange{})
	}
	if full.Lost() != 9 || len(full.queue) != queueMost {
		t.Errorf("%d lost of a full queue of %d", full.Lost(), len(full.queue))
	}
	var none *Log
	none.Add(Exchange{})
	if none.Lost() != 0 {
		t.Error("nothing has lost something")
	}
}

// Guarantee: of very many exchanges some are told of in each tenth of a second, those that failed whatever number went well, and the
// batch says how many were left out.
func TestEnoughAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &told{}
		l, stop := run(t, p)
		add := func(n int, well bool) (taken int) {
			for range n {
				if l.Wants(well) {
					l.Add(Exchange{Method: "GET"})
					taken++
				}
			}
			return taken
		}
		for range 3 {
			if n := add(1000, true); n != leastTold {
				t.Errorf("%d that went well are told, want %d", n, leastTold)
			}
			if n := add(9, false); n != 9 {
				t.Errorf("%d of 9 that failed are told", n)
			}
			time.Sleep(batchAfter)
			synctest.Wait()
		}
		stop()
		left := int64(3 * (1000 - leastTold))
		if n, lost := p.sum(); n != 3*(leastTold+9) || lost != left || l.Lost() != left {
			t.Errorf("%d told, %d and %d left out, want %d", n, lost, l.Lost(), left)
		}
	})
	var none *Log
	if none.Wants(true) {
		t.Error("nothing wants something")
	}
}

// Guarantee: a cost is told where it is known and something could be charged, times of a target where one was asked, and texts of
// callers are bounded and can be read.
func TestMessage(t *testing.T) {
	t.Parallel()
	e := Exchange{
		ID: id.NewBytes(), Path: "/" + strings.Repeat("ü", longestPath), Method: "G\xffT", Status: 200, Charged: true, Cost: 5 * money.Dollar,
		Attempts: 1, Upstream: time.Second, Gateway: time.Millisecond,
	}
	m := e.message()
	if m.GetCost().GetUnits() != 5 || m.GetUpstream().AsDuration() != time.Second || m.GetMethod() != "G\ufffdT" {
		t.Errorf("%v", m)
	}
	if n := len(m.GetPath()); n > longestPath+len("…") || !strings.HasSuffix(m.GetPath(), "…") {
		t.Errorf("a path of %d bytes", n)
	}
	if _, err := proto.Marshal(m); err != nil {
		t.Error(err)
	}
	e.Setup = Setup{DNS: 3 * time.Millisecond, Connect: 19 * time.Millisecond}
	if m := e.message(); m.GetDns().AsDuration() != 3*time.Millisecond || m.GetConnect().AsDuration() != 19*time.Millisecond || m.GetTls() != nil {
		t.Errorf("%v", m)
	}
	e.Unpriced = true
	if m := e.message(); m.GetCost() != nil || !m.GetUnpriced() {
		t.Errorf("unpriced, and costs %v", m.GetCost())
	}
	refused := Exchange{ID: id.NewBytes(), Status: 401, Code: "key_missing", Message: "No key. " + strings.Repeat("ü", longestMessage)}
	if m := refused.message(); !strings.HasPrefix(m.GetMessage(), "No key. ü") || len(m.GetMessage()) > longestMessage+len("…") || m.GetDns() != nil {
		t.Errorf("%v", m)
	}
	if m := refused.message(); m.GetCost() != nil || m.GetUpstream() != nil || m.GetFirstByte() != nil {
		t.Errorf("refused, and %v", m)
	}
}

func BenchmarkAdd(b *testing.B) {
	l := New("lon-1", 7, func([]byte) error { return nil }, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		e := Exchange{ID: id.NewBytes(), Method: "POST", Path: "/bria/v1", Status: 200}
		for pb.Next() {
			l.Add(e)
		}
	})
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
}
