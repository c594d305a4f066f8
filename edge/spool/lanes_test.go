package spool_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/lifecycle"
	"tollgate/internal/testenv"
)

// Guarantee: a partition that takes nothing holds up no other, and an old incarnation not the live one.
func TestPartitionsDoNotWait(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards what follows
		taken := map[string]int{}
		publish := func(ctx context.Context, subject, msgID string, _ []byte) error {
			if strings.HasPrefix(subject, "tollgate.v1.spend.2.") {
				<-ctx.Done() // it hangs
				return ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			taken[msgID[:strings.LastIndexByte(msgID, ':')]]++
			return nil
		}
		add := func(s *spool.Spool) {
			for n := range 10 {
				i := anIntent(n)
				i.Draws[0].Part, i.Draws[1].Part = 2, uint32(n%2)
				s.Settle(mustIntent(t, s, i), ok(n))
			}
		}
		s := mustOpen(t, spool.Options{Dir: dir})
		add(s)
		s.Crash()
		pass(time.Second)
		s = mustOpen(t, spool.Options{Dir: dir})
		defer s.Crash()
		p := spool.NewPublisher(s, publish, nil)
		var g lifecycle.Group
		defer g.Stop()
		g.Go("publisher", func(ctx context.Context) { _ = p.Run(ctx) })
		pass(100 * time.Millisecond)
		add(s)
		pass(100 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		if len(taken) != 4 {
			t.Errorf("batches were taken of %v, want two partitions of two incarnations", taken)
		}
	})
}

// Guarantee: the states that go with lease requests name every incarnation of a partition that is kept,
// with what the partition has told of it: also those that it has booked whole, because they show when its
// database was restored.
func TestStates(t *testing.T) {
	t.Parallel()
	now := time.Now()
	o := spool.Options{Dir: t.TempDir(), Now: func() time.Time { return now }}
	s := mustOpen(t, o)
	old := s.Inc()
	if err := errors.Join(s.Join(1), s.Join(2)); err != nil {
		t.Fatal(err)
	}
	s.Crash()
	s = mustOpen(t, o)
	defer s.Crash()
	p := spool.NewPublisher(s, nil, nil)
	want := func(part uint32, states ...*eventv1.SpoolState) {
		t.Helper()
		got := s.States(part)
		if !proto.Equal(&eventv1.LeaseRequest{Spools: got}, &eventv1.LeaseRequest{Spools: states}) {
			t.Errorf("states of %d = %v, want %v", part, got, states)
		}
	}
	state := func(inc int64, hwm uint64, history int64, last uint64) *eventv1.SpoolState {
		return &eventv1.SpoolState{Inc: inc, Hwm: hwm, History: history, LastSeq: last}
	}
	want(1, state(old, 0, 0, 1))
	if err := s.Join(1); err != nil {
		t.Fatal(err)
	}
	want(1, state(old, 0, 0, 1), state(s.Inc(), 0, 0, 0))
	p.Mark(&eventv1.Mark{Inc: old, Part: 1, Hwm: 1, Epoch: 5})
	want(1, state(old, 1, 5, 1), state(s.Inc(), 0, 0, 0))
	want(2, state(old, 0, 0, 1))
	want(3)
	if joined := s.Joined(); !slices.Equal(joined, []uint32{1, 2}) {
		t.Errorf("Joined = %v", joined)
	}
	p.Mark(&eventv1.Mark{Inc: s.Inc(), Part: 1, Epoch: 6})
	want(1, state(old, 1, 5, 1), state(s.Inc(), 0, 6, 0))
	p.Mark(&eventv1.Mark{Inc: old, Part: 1, Hwm: 0, Epoch: 6})
	want(1, state(old, 0, 6, 1), state(s.Inc(), 0, 6, 0))
	p.Mark(&eventv1.Mark{Inc: old, Part: 1, Hwm: 1, Epoch: 6})
	p.Mark(&eventv1.Mark{Inc: old, Part: 2, Hwm: 1, Epoch: 1})
	now = now.Add(spool.DefaultLinger)
	p.Mark(&eventv1.Mark{Inc: old, Part: 1, Hwm: 1, Epoch: 6})
	p.Mark(&eventv1.Mark{Inc: old, Part: 2, Hwm: 1, Epoch: 1})
	p.Tidy()
	want(1, state(s.Inc(), 0, 6, 0))
	want(2)
}

// Guarantee: with requests, extensions, segments that fill up, publishing, marks and tidying all at
// once, each partition gets its events in order, none twice, and the spool drains.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, spool.Options{Dir: t.TempDir(), SegmentBytes: 64 << 10, MaxBytes: 8 << 20, Linger: time.Nanosecond})
	defer s.Crash()
	var p *spool.Publisher
	var mu sync.Mutex // guards what follows
	hwm := map[uint32]uint64{}
	records := map[string]int{}
	p = spool.NewPublisher(s, func(_ context.Context, _, _ string, data []byte) error {
		var b eventv1.SpendBatch
		if err := proto.Unmarshal(data, &b); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if b.GetFirstSeq() != hwm[b.GetPart()]+1 {
			t.Errorf("partition %d goes on at %d after %d", b.GetPart(), b.GetFirstSeq(), hwm[b.GetPart()])
		}
		hwm[b.GetPart()] += uint64(len(b.GetEvents()))
		for _, e := range b.GetEvents() {
			if e.GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE && !e.GetDrawsOnly() {
				records[string(e.GetRequestId())]++
			}
		}
		p.Mark(&eventv1.Mark{Inc: b.GetInc(), Part: b.GetPart(), Hwm: hwm[b.GetPart()]})
		return nil
	}, testenv.Logger(t))
	var g lifecycle.Group
	defer g.Stop()
	g.Go("publisher", func(ctx context.Context) { _ = p.Run(ctx) })
	const writers, each = 4, 2000
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				i := anIntent(w*each + n)
				i.Draws[1].Part = uint32(n % 3)
				ticket, err := s.Intent(i)
				for errors.Is(err, fault.New(fault.SpoolUnavailable, "")) { // until what was booked is given back
					p.Tidy()
					ticket, err = s.Intent(i)
				}
				if err != nil {
					t.Error(err)
					return
				}
				if n%5 == 0 {
					_ = s.Partial(ticket, i.Amount+1, 1)
				}
				s.Settle(ticket, ok(n))
				if n%100 == 0 {
					p.Tidy()
					s.Depth()
					s.States(1)
				}
			}
		})
	}
	wg.Wait()
	if err := p.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(records) != writers*each {
		t.Errorf("%d requests have records, want %d", len(records), writers*each)
	}
	for request, n := range records {
		if n != 1 {
			t.Errorf("request %x has %d records", request, n)
		}
	}
}
