package breaker_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tollgate/edge/breaker"
)

const target = "https://user:secret@api.example.com/v1?token=hidden"

func pass(d time.Duration) { <-time.After(d) }

func newSet() *breaker.Set {
	s := breaker.New(nil)
	s.Sync(map[string]breaker.Settings{target: {}})
	return s
}

func attempt(t interface{ Fatal(args ...any) }, s *breaker.Set, o breaker.Outcome) {
	permit, ok := s.Of(target).Allow()
	if !ok {
		t.Fatal("refused")
	}
	permit.Report(o)
}

func refuses(s *breaker.Set, target string) bool {
	permit, ok := s.Of(target).Allow()
	permit.Report(breaker.Abandoned)
	return !ok
}

func open(t *testing.T, s *breaker.Set) {
	t.Helper()
	for range 5 {
		attempt(t, s, breaker.Failure)
	}
	if !refuses(s, target) {
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
		opened := time.Now()
		state, closed := s.Of(target).Look()
		if closed || state.HalfOpen || !state.Until.Equal(opened.Add(10*time.Second)) || !refuses(s, target) {
			t.Fatalf("after five attempts: %+v", state)
		}
		pass(9500 * time.Millisecond)
		if !refuses(s, target) {
			t.Error("let through after 9.5 s")
		}
		pass(time.Second)
		for range 3 { // looking takes no permit
			if state, _ := s.Of(target).Look(); !state.HalfOpen || state.Probing {
				t.Errorf("before the probe: %+v", state)
			}
		}
		probe, ok := s.Of(target).Allow()
		if !ok {
			t.Fatal("refused a probe")
		}
		if !refuses(s, target) {
			t.Error("a second probe")
		}
		if states := s.States(); len(states) != 1 || !states[0].HalfOpen || !states[0].Probing || !states[0].Since.Equal(opened) || !states[0].Until.IsZero() {
			t.Errorf("states = %v", states)
		}
		probe.Report(breaker.Success)
		probe.Report(breaker.Failure) // does nothing
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
		if !refuses(s, target) {
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
			forgotten, ok := s.Of(target).Allow()
			if !ok {
				t.Fatal("refused a probe")
			}
			defer forgotten.Report(breaker.Failure)
			if !refuses(s, target) {
				t.Error("two probes at once")
			}
			pass(59 * time.Second)
			if !refuses(s, target) {
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
			if _, ok := s.Of(target).Allow(); !ok {
				t.Fatal("refused")
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
		if !refuses(s, target) {
			t.Error("a new configuration closed an open breaker")
		}
		if refuses(s, "https://other.example.com") {
			t.Error("a new target is refused")
		}
		s.Sync(map[string]breaker.Settings{target: {MinEnded: 10}})
		for range 9 {
			attempt(t, s, breaker.Failure)
		}
		attempt(t, s, breaker.Failure)
		if !refuses(s, target) {
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
	var running []*breaker.Permit
	failures := 0
	for _, st := range steps {
		switch {
		case st.What < 2:
			permit, ok := s.Of(target).Allow()
			if ok {
				running = append(running, &permit)
			} else if failures < 3 {
				return "shut too early"
			}
		case st.What < 4 && len(running) > 0:
			k := st.Which % len(running)
			if st.Outcome == breaker.Failure {
				failures++
			}
			running[k].Report(st.Outcome)
			if !st.Keep {
				running = append(running[:k], running[k+1:]...)
			}
		default:
			pass(st.Pass)
		}
	}
	for range 80 { // forgetting all that runs
		if permit, ok := s.Of(target).Allow(); ok {
			permit.Report(breaker.Success)
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
				permit, ok := s.Of(target).Allow()
				if !ok {
					return
				}
				mu.Lock()
				through++
				mu.Unlock()
				pass(time.Second)
				permit.Report(breaker.Failure)
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
		permit, ok := s.Of(target).Allow()
		if !ok {
			b.Fatal("refused")
		}
		permit.Report(breaker.Success)
	}
}

// Guarantee: a reset closes a breaker and forgets what it counted, and what attempts from before report changes nothing.
func TestReset(t *testing.T) {
	t.Parallel()
	set := breaker.New(nil)
	set.Sync(map[string]breaker.Settings{"a": {MinEnded: 2}})
	b := set.Of("a")
	if b.Reset() {
		t.Error("a closed one was not closed")
	}
	fail := func() {
		if p, ok := b.Allow(); ok {
			p.Report(breaker.Failure)
		}
	}
	late, _ := b.Allow()
	fail()
	fail()
	if _, closed := b.Look(); closed {
		t.Fatal("it did not open")
	}
	if !b.Reset() {
		t.Error("an open one was closed")
	}
	if _, closed := b.Look(); !closed {
		t.Error("it is not closed")
	}
	late.Report(breaker.Failure)
	fail()
	if _, closed := b.Look(); !closed {
		t.Error("what was before counts")
	}
	fail()
	if _, closed := b.Look(); closed {
		t.Error("it does not count any more")
	}
}
