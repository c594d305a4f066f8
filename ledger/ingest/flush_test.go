package ingest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/internal/contract"
	"tollgate/internal/feed"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
)

// Guarantee: flushes become larger while there is much to book and the database is quick, smaller when
// grants would have to wait for them, and neither without bound.
func TestFlushSize(t *testing.T) {
	t.Parallel()
	const most = 20_000
	s := newSizer(most)
	full := func(took time.Duration) {
		n := s.events.Load()
		s.booked(flush{
			msgs:    []feed.Message{{Data: make([]byte, 300*n)}},
			batches: []store.Batch{{Batch: escrow.Batch{Events: make([]escrow.Event, n)}}},
		}, took)
	}
	for range 50 {
		full(time.Millisecond)
	}
	if got := s.events.Load(); got != most {
		t.Errorf("quick flushes are of %d events, want %d", got, most)
	}
	if got := s.bytes(); got < 295*most || got > 300*most {
		t.Errorf("quick flushes are of %d bytes, want 300 for each event", got)
	}
	for range 50 {
		full(time.Second)
	}
	if got := s.events.Load(); got != most/8 {
		t.Errorf("slow flushes are of %d events, want %d", got, most/8)
	}
	before := s.bytes()
	s.booked(flush{}, time.Millisecond) // nothing in it
	full(slowFlush - 1)
	if got := s.bytes(); got > before+before/10 || got < before-before/10 {
		t.Errorf("a flush that is neither changes the size from %d to %d", before, got)
	}
}

// source counts what it is asked for.
type source struct {
	progress, warned, all int
	fails                 bool
}

func (s *source) Progress(_ context.Context, windows []contract.Window) ([]store.Progress, error) {
	s.progress += len(windows)
	return nil, nil
}

func (s *source) Warn(_ context.Context, windows []contract.Window) ([]store.Warning, error) {
	if s.fails {
		s.fails = false
		return nil, errors.New("away")
	}
	s.warned += len(windows)
	return []store.Warning{{Percent: 50}}, nil
}

func (s *source) WarnAll(context.Context, uint32) ([]store.Warning, error) {
	s.all++
	return nil, nil
}

// Guarantee: every window on which something was spent is looked at for warnings, also where the database
// is away for a while, and also where there are more than may be remembered.
func TestProgressMissesNoWarning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pass := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		src := &source{fails: true}
		warnings := 0
		p := NewProgress(src, 0, func([]store.Progress) {}, func(list []store.Warning) { warnings += len(list) }, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		pass(time.Second)
		if src.all != 1 {
			t.Errorf("all windows were looked at %d times to begin with, want once", src.all)
		}
		p.Touched([]contract.Window{{Account: 1}, {Account: 2}, {Account: 1}})
		pass(time.Second)
		if src.warned != 2 || warnings != 1 {
			t.Errorf("%d windows looked at, %d warnings told", src.warned, warnings)
		}
		var many []contract.Window
		for i := range int64(maxTouched + 7) {
			many = append(many, contract.Window{Account: i})
		}
		p.Touched(many)
		p.mu.Lock()
		if len(p.touched) != maxTouched {
			t.Errorf("%d windows are remembered, want no more than %d", len(p.touched), maxTouched)
		}
		p.mu.Unlock()
		pass(time.Minute)
		if src.warned != 2+maxTouched || src.all != 2 || src.progress != 4+maxTouched {
			t.Errorf("%d windows looked at, and all of them %d times; of %d edges heard", src.warned, src.all, src.progress)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v", err)
		}
	})
	(*Progress)(nil).Touched(nil)
}
