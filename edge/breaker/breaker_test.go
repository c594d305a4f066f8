package breaker_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tollgate/edge/breaker"
	"tollgate/internal/fault"
)

const target = "https://user:secret@api.example.com/v1?token=hidden"

func pass(d time.Duration) { <-time.After(d) }

func newSet() *breaker.Set {
	s := breaker.New(nil)
	s.Sync(map[string]breaker.Settings{target: {}})
	return s
}

func attempt(t interface{ Fatal(args ...any) }, s *breaker.Set, o breaker.Outcome) {
	report, err := s.Allow(target)
	if err != nil {
		t.Fatal(err)
	}
	report(o)
}

func open(t *testing.T, s *breaker.Set) {
	t.Helper()
	for range 5 {
		attempt(t, s, breaker.Failure)
	}
	if _, err := s.Allow(target); err == nil {
		t.Fatal("five failures did not open it")
	}
}

// Guarantee: it opens at five ended attempts of which half failed, refuses with the time to wait,
// lets one probe through after ten seconds, and closes when that succeeds.
func TestCycle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSet()
		for _, o := range []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Success, breaker.Failure} {
			attempt(t, s, o)
		}
		if states := s.States(); len(states) != 0 {
			t.Errorf("open after four attempts: %v", states)
		}
		attempt(t, s, breaker.Failure)
		_, err := s.Allow(target)
		f := fault.From(err)
		if !errors.Is(err, fault.New(fault.BreakerOpen, "")) || f.RetryAfter != 10*time.Second || !strings.Contains(f.Message, "api.example.com") {
			t.Fatalf("Allow = %v, retry after %s", err, f.RetryAfter)
		}
		if strings.Contains(f.Message, "secret") || strings.Contains(f.Message, "hidden") {
			t.Errorf("the message tells too much: %s", f.Message)
		}
		opened := time.Now()
		pass(9500 * time.Millisecond)
		if _, err := s.Allow(target); fault.From(err).RetryAfter != time.Second {
			t.Errorf("after 9.5 s: %v, retry after %s", err, fault.From(err).RetryAfter)
		}
		pass(time.Second)
		probe, err := s.Allow(target)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Allow(target); err == nil || fault.From(err).RetryAfter < time.Second {
			t.Errorf("a second probe: %v", err)
		}
		if states := s.States(); len(states) != 1 || !states[0].HalfOpen || !states[0].Since.Equal(opened) {
			t.Errorf("states = %v", states)
		}
		probe(breaker.Success)
		probe(breaker.Failure) // does nothing
		attempt(t, s, breaker.Success)
		if states := s.States(); len(states) != 0 {
			t.Errorf("states = %v", states)
		}
	})
}

// Guarantee: a probe that fails opens it again for the whole time.
func TestProbeFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSet()
		open(t, s)
		pass(11 * time.Second)
		attempt(t, s, breaker.Failure)
		pass(9 * time.Second)
		if _, err := s.Allow(target); err == nil {
			t.Error("closed too early")
		}
		pass(2 * time.Second)
		attempt(t, s, breaker.Success)
	})
}

// Guarantee: callers who go away say nothing about a target: they neither open it nor close it, and a
// probe that was abandoned makes room for the next at once.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSet()
		for range 100 {
			attempt(t, s, breaker.Abandoned)
		}
		open(t, s)
		pass(11 * time.Second)
		for range 3 {
			attempt(t, s, breaker.Abandoned)
		}
		if states := s.States(); len(states) != 1 || !states[0].HalfOpen {
			t.Errorf("states = %v", states)
		}
		attempt(t, s, breaker.Success)
		if states := s.States(); len(states) != 0 {
			t.Errorf("states = %v", states)
		}
	})
}

// Guarantee: a probe whose caller forgets to report does not keep the target shut for good, and its
// late report does not count.
func TestForgottenProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSet()
		open(t, s)
		for range 3 {
			pass(61 * time.Second)
			forgotten, err := s.Allow(target)
			if err != nil {
				t.Fatal(err)
			}
			defer forgotten(breaker.Failure)
			if _, err := s.Allow(target); err == nil {
				t.Error("two probes at once")
			}
			pass(59 * time.Second)
			if _, err := s.Allow(target); err == nil {
				t.Error("a second probe before the first was given up")
			}
		}
		pass(2 * time.Second)
		attempt(t, s, breaker.Success)
		if states := s.States(); len(states) != 0 {
			t.Errorf("states = %v", states)
		}
	})
}

// Guarantee: attempts that are still running, such as long streams, do not thin the ratio, and what
// is older than the window does not count.
func TestWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSet()
		for range 50 {
			if _, err := s.Allow(target); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 {
			attempt(t, s, breaker.Failure)
		}
		pass(12 * time.Second)
		attempt(t, s, breaker.Failure)
		if states := s.States(); len(states) != 0 {
			t.Errorf("four of five failures were too old: %v", states)
		}
		for range 4 {
			attempt(t, s, breaker.Failure)
		}
		if states := s.States(); len(states) != 1 {
			t.Error("did not open")
		}
	})
}

// Guarantee: a new configuration keeps the state of targets that did not change, forgets those that
// are gone, and starts anew those whose settings changed.
func TestSync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSet()
		open(t, s)
		s.Sync(map[string]breaker.Settings{target: breaker.DefaultSettings(), "https://other.example.com": {}})
		if _, err := s.Allow(target); err == nil {
			t.Error("a new configuration closed an open breaker")
		}
		if _, err := s.Allow("https://other.example.com"); err != nil {
			t.Error(err)
		}
		s.Sync(map[string]breaker.Settings{target: {MinEnded: 10}})
		for range 9 {
			attempt(t, s, breaker.Failure)
		}
		attempt(t, s, breaker.Failure)
		if _, err := s.Allow(target); err == nil {
			t.Error("new settings are not used")
		}
		s.Sync(nil)
		attempt(t, s, breaker.Failure)
		if states := s.States(); len(states) != 0 {
			t.Errorf("states = %v", states)
		}
	})
}

// step is an attempt, a report of one that runs, or the passing of time.
type step struct {
	What    int
	Which   int
	Outcome breaker.Outcome
	Keep    bool
	Pass    time.Duration
}

var anyStep = rapid.Custom(func(t *rapid.T) step {
	return step{
		What: rapid.IntRange(0, 4).Draw(t, "what"), Which: rapid.IntRange(0, 99).Draw(t, "which"),
		Outcome: breaker.Outcome(rapid.IntRange(0, 2).Draw(t, "outcome")), Keep: rapid.Bool().Draw(t, "keep"),
		Pass: time.Duration(rapid.IntRange(1, 15_000).Draw(t, "ms")) * time.Millisecond,
	}
})

// Guarantee: whatever callers report, forget and report twice or late, a target is shut only after
// enough failures, and whoever keeps asking gets through before long.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(anyStep, 0, 100).Draw(rt, "steps")
		var problem string
		synctest.Test(t, func(*testing.T) { problem = run(steps) })
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

func run(steps []step) (problem string) {
	s := newSet()
	var running []func(breaker.Outcome)
	failures := 0
	for _, st := range steps {
		switch {
		case st.What < 2:
			report, err := s.Allow(target)
			if err == nil {
				running = append(running, report)
			} else if failures < 3 {
				return "shut too early"
			}
		case st.What < 4 && len(running) > 0:
			k := st.Which % len(running)
			if st.Outcome == breaker.Failure {
				failures++
			}
			running[k](st.Outcome)
			if !st.Keep {
				running = append(running[:k], running[k+1:]...)
			}
		default:
			pass(st.Pass)
		}
	}
	for range 80 { // forgetting all that runs
		if report, err := s.Allow(target); err == nil {
			report(breaker.Success)
			if len(s.States()) == 0 {
				return ""
			}
		}
		pass(time.Second)
	}
	return "shut for good"
}

// Guarantee: it is safe for concurrent use, and never lets two probes through at once.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSet()
		open(t, s)
		pass(11 * time.Second)
		var wg sync.WaitGroup
		var mu sync.Mutex // guards through
		through := 0
		for range 20 {
			wg.Go(func() {
				report, err := s.Allow(target)
				if err != nil {
					return
				}
				mu.Lock()
				through++
				mu.Unlock()
				pass(time.Second)
				report(breaker.Failure)
			})
			wg.Go(func() { s.Sync(map[string]breaker.Settings{target: {}}); s.States() })
		}
		wg.Wait()
		if through != 1 {
			t.Errorf("%d probes at once", through)
		}
	})
}

func BenchmarkAllow(b *testing.B) {
	s := newSet()
	b.ReportAllocs()
	for b.Loop() {
		report, err := s.Allow(target)
		if err != nil {
			b.Fatal(err)
		}
		report(breaker.Success)
	}
}
