package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tollgate/internal/lifecycle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journal notes what happened in which order.
type journal struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (j *journal) add(s string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, s)
}

func (j *journal) want(t *testing.T, lines ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if !slices.Equal(j.lines, lines) {
		t.Errorf("happened: %q\nwant:     %q", j.lines, lines)
	}
}

func (j *journal) part(name string) lifecycle.Part {
	return lifecycle.Part{
		Name: name,
		Run: func(ctx context.Context) error {
			<-ctx.Done()
			j.add("end " + name)
			return ctx.Err()
		},
		Stop: func(context.Context) error { j.add("stop " + name); return nil },
	}
}

func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", texts)
	}
	for _, s := range texts {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %q lacks %q", err, s)
		}
	}
}

func TestRun(t *testing.T) {
	t.Parallel()

	// Guarantee: parts stop last-started first, and each has ended before the
	// one it depends on is asked to.
	t.Run("stops in reverse order", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var j journal
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := lifecycle.Run(ctx, time.Second, j.part("bus"), j.part("spool"), j.part("http")); err != nil {
				t.Error(err)
			}
			j.want(t, "stop http", "end http", "stop spool", "end spool", "stop bus", "end bus")
		})
	})

	// Guarantee: a part that returns, even without an error, stops the process,
	// and the result names it.
	t.Run("early return stops the others", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var j journal
			boom := errors.New("disk full")
			err := lifecycle.Run(t.Context(), time.Second, j.part("bus"), lifecycle.Part{
				Name: "spool", Run: func(context.Context) error { return boom },
			})
			wantError(t, err, "spool returned early", "spool: disk full")
			if !errors.Is(err, boom) {
				t.Error("the cause is lost")
			}
			j.want(t, "stop bus", "end bus")
		})
	})

	// Guarantee: a panic in a part is an error with its stack, and the others
	// still stop in order.
	t.Run("panic becomes an error", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var j journal
			err := lifecycle.Run(t.Context(), time.Second, j.part("bus"), lifecycle.Part{
				Name: "spool", Run: func(context.Context) error { panic("nil map") },
			})
			wantError(t, err, "spool: panic: nil map", "lifecycle_test.go")
			j.want(t, "stop bus", "end bus")
		})
	})

	// Guarantee: a part starts only when the one before it is ready.
	t.Run("ready gates the next part", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var j journal
			first := j.part("first")
			first.Ready = func(context.Context) error {
				<-time.After(time.Hour)
				j.add("ready first")
				return nil
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
			defer cancel()
			err := lifecycle.Run(ctx, time.Second, first, lifecycle.Part{
				Name: "second",
				Run:  func(ctx context.Context) error { j.add("run second"); <-ctx.Done(); return nil },
			})
			if err != nil {
				t.Error(err)
			}
			j.want(t, "ready first", "run second", "stop first", "end first")
		})
	})

	// Guarantee: a part that does not get ready is reported, and nothing after
	// it has been started.
	t.Run("not ready", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var j journal
			first := j.part("first")
			first.Ready = func(context.Context) error { return errors.New("port taken") }
			err := lifecycle.Run(t.Context(), time.Second, first, j.part("second"))
			wantError(t, err, "first did not get ready: port taken")
			j.want(t, "stop first", "end first")
		})
	})

	// Guarantee: waiting to be ready ends when a part that is already running
	// falls, and the error is about the fallen one.
	t.Run("fall while another gets ready", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			waiting := lifecycle.Part{Name: "waiting", Ready: func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			}}
			err := lifecycle.Run(t.Context(), time.Second, lifecycle.Part{
				Name: "falls",
				Run:  func(context.Context) error { <-time.After(time.Second); return errors.New("lost disk") },
			}, waiting)
			wantError(t, err, "falls returned early", "falls: lost disk")
			if strings.Contains(err.Error(), "did not get ready") {
				t.Errorf("%q blames the wrong part", err)
			}
		})
	})

	// Guarantee: being told to stop while starting is an orderly stop.
	t.Run("stop while starting", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var j journal
			ctx, cancel := context.WithCancel(t.Context())
			first := j.part("first")
			first.Ready = func(ctx context.Context) error { cancel(); <-ctx.Done(); return ctx.Err() }
			if err := lifecycle.Run(ctx, time.Second, first, j.part("second")); err != nil {
				t.Error(err)
			}
			j.want(t, "stop first", "end first")
		})
	})

	// Guarantee: a part that uses up the drain time does not take the chance to
	// close from the parts under it, and a stuck one cannot hold the process.
	t.Run("drain is bounded", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var j journal
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := lifecycle.Run(ctx, 10*time.Second, j.part("spool"), lifecycle.Part{
				Name: "http",
				Run:  func(ctx context.Context) error { <-ctx.Done(); return nil },
				Stop: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			})
			wantError(t, err, "stop http: context deadline exceeded")
			j.want(t, "stop spool", "end spool")
		})
	})

	// Guarantee: a part that ignores every request to end cannot hold the
	// process, and is named.
	t.Run("stuck part", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			stuck := func(context.Context) error { <-release; return nil }
			err := lifecycle.Run(ctx, 10*time.Second, lifecycle.Part{Name: "stuck", Run: stuck, Stop: stuck})
			wantError(t, err, "stop stuck: context deadline exceeded", "stuck still running 12s after")
			if took := time.Since(begin); took > 15*time.Second {
				t.Errorf("took %s", took)
			}
			close(release)
			synctest.Wait()
		})
	})
}
