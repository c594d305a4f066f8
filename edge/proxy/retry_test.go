package proxy

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/edge/pool"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// step is what a target does with one attempt.
type step struct {
	status  int           // of its answer; 0 for fails
	fails   Failure       // in place of an answer
	sent    bool          // before it failed
	after   time.Duration // before it answers
	reads   int           // bytes of the request's body; -1 for all
	headers []Header
	body    string
	breaks  bool // in the middle of the answer
	interim bool
}

// targets are scripted: each attempt gets the next step, and the last one stays.
type targets struct {
	mu       sync.Mutex // guards what follows
	steps    []step
	tried    []string // host of each attempt
	bodies   []string
	sent     int // attempts of which a target has seen something, and that it did not refuse with 429
	touched  int // attempts that read all of a body
	canceled int
	open     int // answers that were not closed
}

func (u *targets) RoundTrip(ctx context.Context, a *Attempt) (*Answer, error) {
	u.mu.Lock()
	s := u.steps[min(len(u.tried), len(u.steps)-1)]
	n := len(u.tried)
	u.tried, u.bodies = append(u.tried, a.Target.Host), append(u.bodies, "")
	if s.status != 429 && (s.status != 0 || s.sent) {
		u.sent++
	}
	if a.Body != nil && s.reads < 0 {
		u.touched++
	}
	u.mu.Unlock()
	if s.interim {
		a.Interim(103, []Header{{"Link", a.Target.Host}})
	}
	if a.Body != nil && s.reads != 0 {
		var text []byte
		var err error
		if s.reads < 0 {
			text, err = io.ReadAll(a.Body)
		} else {
			text = make([]byte, s.reads)
			var k int
			k, err = io.ReadFull(a.Body, text)
			text = text[:k]
		}
		u.mu.Lock()
		u.bodies[n] = string(text)
		u.mu.Unlock()
		if err != nil {
			return nil, &AttemptError{Failure: FailBody, Text: "x", Sent: true, Err: err}
		}
	}
	if !wait(ctx, s.after) {
		u.mu.Lock()
		u.canceled++
		u.mu.Unlock()
		return nil, &AttemptError{Failure: FailCanceled, Text: "ended", Sent: true, Whole: true, Err: ctx.Err()}
	}
	if s.fails != 0 {
		return nil, &AttemptError{Failure: s.fails, Text: "it broke", Sent: s.sent || s.reads != 0, Err: errBroken}
	}
	to := &script{status: s.status, headers: s.headers, pieces: []string{s.body}}
	if s.breaks {
		to.breaks = errBroken
	}
	u.mu.Lock()
	u.open++
	u.mu.Unlock()
	return &Answer{
		Status: s.status, Headers: s.headers, Length: -1,
		Body: &closing{Reader: &scriptBody{s: to}, u: u}, Cancel: func(error) {},
	}, nil
}

// closing is the body of an answer that must be closed once.
type closing struct {
	io.Reader

	u    *targets
	once sync.Once
}

func (b *closing) Close() error {
	b.once.Do(func() {
		b.u.mu.Lock()
		defer b.u.mu.Unlock()
		b.u.open--
	})
	return nil
}

// newTries is stages before scripted targets a, b and c, of which an endpoint has some.
func newTries(t *testing.T, hosts int, change func(e *routing.Endpoint), steps ...step) (*stages, *targets) {
	t.Helper()
	s := newStages(t, &eventv1.RouteEndpoint{PriceNanos: int64(price), PriceVersion: 1, Forward: eventv1.ForwardMode_FORWARD_MODE_ALL}, &script{})
	endpoint := &eventv1.RouteEndpoint{
		Id: "ep_x", Name: "x", Path: "/x", PriceNanos: int64(price), PriceVersion: 1, Forward: eventv1.ForwardMode_FORWARD_MODE_ALL,
		Targets: []string{"http://a.example", "http://b.example", "http://c.example"}[:hosts],
	}
	s.serve(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{endpoint}, Accounts: []*eventv1.Account{accountOf(7, eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING, "")}})
	e, _, err := s.routes.Current().Match("GET", "/x")
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(e)
	}
	u := &targets{steps: steps}
	s.gateway.d.Upstream = u
	s.gateway.d.Pools = pool.New(slog.New(slog.DiscardHandler))
	return s, u
}

// again lets requests be sent again as often.
func again(attempts int) func(e *routing.Endpoint) {
	return func(e *routing.Endpoint) {
		e.Retry = &routing.Retry{Attempts: attempts, Statuses: []int{429, 502, 503, 504}, MaxBody: 1000, BudgetPercent: 20, Backoff: 20 * time.Millisecond}
	}
}

// Guarantee: a request is sent again exactly where the endpoint says so: to another target first, with
// its whole body, only after what may be repeated, and as often as it may; else the last answer goes on
// as it is.
func TestRetry(t *testing.T) {
	t.Parallel()
	ok, busy, broken := step{status: 200, body: "fine", reads: -1}, step{status: 503, body: "busy", reads: -1}, step{fails: FailAnswer, sent: true, reads: 2}
	unsent := step{fails: FailConnect}
	for name, tc := range map[string]struct {
		hosts   int
		policy  func(e *routing.Endpoint)
		method  string
		header  string
		body    string
		steps   []step
		tried   string
		status  int
		answer  string
		charged money.Nanos
	}{
		"without a policy":                 {2, nil, "GET", "", "", []step{busy, ok}, "a", 503, "busy", 0},
		"another target":                   {2, again(1), "GET", "", "", []step{busy, ok}, "ab", 200, "fine", price},
		"the same target, if it is alone":  {1, again(1), "GET", "", "", []step{busy, ok}, "aa", 200, "fine", price},
		"as often as it may":               {2, again(2), "GET", "", "", []step{busy}, "aba", 503, "busy", 0},
		"another status":                   {2, again(2), "GET", "", "", []step{{status: 500, body: "no"}, ok}, "a", 500, "no", 0},
		"a broken connection":              {2, again(1), "PUT", "", "hello", []step{broken, ok}, "ab", 200, "fine", price},
		"no answer in time":                {2, again(1), "DELETE", "", "", []step{{fails: FailTimeout, sent: true}, ok}, "ab", 200, "fine", price},
		"not of a POST":                    {2, again(1), "POST", "", "hello", []step{broken, ok}, "a", 502, "", 0},
		"not a POST's answer":              {2, again(1), "POST", "", "hello", []step{busy, ok}, "a", 503, "busy", 0},
		"a POST with a key of its own":     {2, again(1), "POST", "Idempotency-Key", "hello", []step{broken, ok}, "ab", 200, "fine", price},
		"a POST after 429":                 {2, again(1), "POST", "", "hello", []step{{status: 429, reads: 3}, ok}, "ab", 200, "fine", price},
		"a POST that reached nobody":       {2, again(1), "POST", "", "hello", []step{unsent, ok}, "ab", 200, "fine", price},
		"what reached nobody is not again": {3, again(2), "GET", "", "", []step{unsent, busy, unsent, unsent, ok}, "abcab", 200, "fine", price},
		"any method":                       {2, func(e *routing.Endpoint) { again(1)(e); e.Retry.AnyMethod = true }, "POST", "", "hello", []step{broken, ok}, "ab", 200, "fine", price},
		"a body that is too long":          {2, again(1), "PUT", "", strings.Repeat("x", 1001), []step{busy, ok}, "a", 503, "busy", 0},
		"not after the answer has begun":   {2, again(1), "GET", "", "", []step{{status: 200, body: "fi", breaks: true}, ok}, "a", 200, "fi", price},
		"a target that must wait for long": {1, again(1), "GET", "", "", []step{{status: 429, body: "later", headers: []Header{{"Retry-After", "3"}}}, ok}, "a", 429, "later", 0},
		"a header that targets do not get": {2, func(e *routing.Endpoint) { again(1)(e); e.Forward = eventv1.ForwardMode_FORWARD_MODE_NONE }, "POST", "Idempotency-Key", "hello", []step{busy, ok}, "a", 503, "busy", 0},
	} {
		for _, told := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s, u := newTries(t, tc.hosts, tc.policy, tc.steps...)
				length := int64(len(tc.body))
				if !told && length > 0 {
					length = -1
				}
				var headers []Header
				if tc.header != "" {
					headers = append(headers, Header{tc.header, "1"})
				}
				out := s.call(t.Context(), tc.method, tc.body, length, headers...)
				tried := ""
				for i, host := range u.tried {
					tried += host[:1]
					if s := u.steps[min(i, len(u.steps)-1)]; s.reads < 0 && u.bodies[i] != tc.body {
						t.Errorf("attempt %d got the body %q", i+1, u.bodies[i])
					}
				}
				if tried != tc.tried || out.status != tc.status || tc.answer != "" && out.body.String() != tc.answer {
					t.Errorf("tried %s, got %d %q", tried, out.status, out.body.String())
				}
				if u.open != 0 {
					t.Errorf("%d answers are still open", u.open)
				}
				if s.money.spent != tc.charged {
					t.Errorf("charged %s", s.money.spent)
				}
				if n := len(s.spool.order); n != len(tc.tried) {
					t.Errorf("%d intents", n)
				}
				for i, ticket := range s.spool.order {
					if in := s.spool.intents[ticket]; int(in.Attempt) != i+1 || in.Amount != price {
						t.Errorf("intent %+v", in)
					}
				}
			})
		}
	}
}

// Guarantee: a request that cannot be sent to a target says nothing about the target, however often it comes.
func TestUnsendableKeepsTargetsOpen(t *testing.T) {
	t.Parallel()
	s, u := newTries(t, 1, nil, step{fails: FailRequest})
	for range 20 {
		if out := s.call(t.Context(), "GET", "", 0); out.status != 400 {
			t.Fatalf("got %d %q", out.status, out.body.String())
		}
	}
	u.steps = []step{{status: 200, body: "fine"}}
	if out := s.call(t.Context(), "GET", "", 0); out.status != 200 || s.money.spent != price {
		t.Errorf("got %d %q, charged %s", out.status, out.body.String(), s.money.spent)
	}
}

// Guarantee: a target is asked again after a pause that grows and varies, and no sooner than it said; and
// a caller who leaves meanwhile ends it all at once.
func TestBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		later := step{status: 503, headers: []Header{{"Retry-After", "2"}}}
		s, u := newTries(t, 1, again(2), later, later, step{status: 200})
		began := time.Now()
		if out := s.call(t.Context(), "GET", "", 0); out.status != 200 || len(u.tried) != 3 {
			t.Errorf("got %d after %d attempts", out.status, len(u.tried))
		}
		if took := time.Since(began); took < 4*time.Second || took > 4*time.Second+100*time.Millisecond {
			t.Errorf("it took %s", took)
		}

		s, u = newTries(t, 1, again(2), later)
		ctx, leave := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { leave(ErrCallerGone) })
		began = time.Now()
		out := s.call(ctx, "GET", "", 0)
		if took := time.Since(began); took != time.Second || !out.aborted || out.status != 0 || len(u.tried) != 1 || u.open != 0 {
			t.Errorf("after %s: %+v, %d attempts, %d open", took, out.status, len(u.tried), u.open)
		}
	})
	for retries, most := range []time.Duration{40, 80, 160, 320} {
		var all []time.Duration
		for range 200 {
			d := backoff(40, retries)
			if d < 0 || d > most {
				t.Fatalf("%d before retry %d", d, retries+1)
			}
			all = append(all, d)
		}
		if slices.Max(all) < most*3/4 || slices.Min(all) > most/4 {
			t.Errorf("retry %d waits between %d and %d", retries+1, slices.Min(all), slices.Max(all))
		}
	}
	if d := backoff(1<<62, 60); d < 0 || d > 30*time.Second {
		t.Errorf("the longest wait is %s", d)
	}
}

// Guarantee: of several credentials, one that the vendor throttles is left alone at once for another one,
// at the same target; with none left, the answer goes on.
func TestThrottledCredential(t *testing.T) {
	t.Parallel()
	s, u := newTries(t, 1, func(e *routing.Endpoint) {
		again(3)(e)
		e.Retry.Backoff = time.Hour // nobody waits for it
		e.Credentials = []*routing.Credential{{Name: "one", Weight: 1}, {Name: "two", Weight: 1}}
	}, step{status: 429, headers: []Header{{"Retry-After", "60"}}}, step{status: 429, body: "both", headers: []Header{{"Retry-After", "60"}}}, step{status: 200})
	p := &rotating{Pools: pool.New(slog.New(slog.DiscardHandler))}
	s.gateway.d.Pools = p
	out := s.call(t.Context(), "POST", "hello", 5)
	if out.status != 429 || out.body.String() != "both" || len(u.tried) != 2 || p.given != 2 {
		t.Errorf("got %d %q after %d attempts", out.status, out.body.String(), len(u.tried))
	}
	for _, r := range p.reports {
		if r.Status != 429 || r.RetryAfter != time.Minute {
			t.Errorf("reported %+v", r)
		}
	}
}

// rotating gives each credential once.
type rotating struct {
	*pool.Pools

	given   int
	reports []pool.Result
}

func (p *rotating) Pick(e *routing.Endpoint, _ *pool.Tries, _ *pool.Choice) (*pool.Choice, error) {
	if p.given == len(e.Credentials) {
		return nil, pool.ErrTried
	}
	p.given++
	said := false
	return pool.NewChoice(e, 0, p.given-1, func(r pool.Result) {
		if !said {
			said = true
			p.reports = append(p.reports, r)
		}
	}), nil
}

// Guarantee: a retry that the pools do not allow is not made, and the answer that is there goes on.
func TestRetriesHaveABudget(t *testing.T) {
	t.Parallel()
	s, u := newTries(t, 2, again(3), step{status: 503, body: "busy"})
	s.gateway.d.Pools = stingy{pool.New(slog.New(slog.DiscardHandler))}
	if out := s.call(t.Context(), "GET", "", 0); out.status != 503 || out.body.String() != "busy" || len(u.tried) != 1 {
		t.Errorf("got %d %q after %d attempts", out.status, out.body.String(), len(u.tried))
	}
}

type stingy struct{ *pool.Pools }

func (stingy) MayRetry(*routing.Endpoint) bool { return false }

// Guarantee: the total time bounds all attempts and the whole answer: before the answer it is an error
// that costs nothing, in its middle the answer is broken off.
func TestTotalTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := func(e *routing.Endpoint) { again(5)(e); e.Total = 3 * time.Second }
		for name, steps := range map[string][]step{
			"no answer":           {{status: 200, after: time.Minute}},
			"no answer later on":  {{status: 503}, {status: 200, after: time.Minute}},
			"waiting for a retry": {{status: 503, headers: []Header{{"Retry-After", "2"}}}},
		} {
			s, u := newTries(t, 1, limit, steps...)
			began := time.Now()
			out := s.call(t.Context(), "GET", "", 0)
			if took := time.Since(began); took != 3*time.Second || out.status != 504 || !strings.Contains(out.body.String(), "within the total time of 3s") {
				t.Errorf("%s: after %s: %d %s", name, took, out.status, out.body.String())
			}
			if s.money.spent != 0 || !strings.Contains(out.body.String(), "Nothing was charged.") || u.open != 0 {
				t.Errorf("%s: charged %s, %d answers are open", name, s.money.spent, u.open)
			}
		}
		s, _ := newTries(t, 1, limit)
		s.gateway.d.Upstream = upstreamFunc(func(ctx context.Context, _ *Attempt) (*Answer, error) {
			return &Answer{Status: 200, Length: -1, Body: endless{ctx}, Cancel: func(error) {}}, nil
		})
		out := s.call(t.Context(), "GET", "", 0)
		if _, _, end := s.lastIntent(); !out.aborted || end.Outcome != outcomeInterrupted || end.Cost != price {
			t.Errorf("settled %+v, aborted %v", end, out.aborted)
		}
	})
}

// endless is an answer that says something each second.
type endless struct {
	ctx context.Context //nolint:containedctx // of the attempt
}

func (b endless) Read(p []byte) (int, error) {
	if !wait(b.ctx, time.Second) {
		return 0, context.Cause(b.ctx)
	}
	p[0] = 'x'
	return 1, nil
}

func (endless) Close() error { return nil }

// Guarantee: an endpoint's own time of silence replaces the edge's.
func TestIdleOfEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := newTries(t, 1, func(e *routing.Endpoint) { e.Idle = 7 * time.Second })
		s.gateway.cfg.StreamIdle = time.Hour
		s.gateway.d.Upstream = upstreamFunc(func(ctx context.Context, _ *Attempt) (*Answer, error) {
			ctx, cancel := context.WithCancelCause(ctx)
			return &Answer{Status: 200, Length: -1, Body: silent{ctx}, Cancel: cancel}, nil
		})
		began := time.Now()
		if out := s.call(t.Context(), "GET", "", 0); !out.aborted || time.Since(began) != 7*time.Second {
			t.Errorf("aborted %v after %s", out.aborted, time.Since(began))
		}
	})
}

type silent struct {
	ctx context.Context //nolint:containedctx // of the attempt
}

func (b silent) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, context.Cause(b.ctx)
}

func (silent) Close() error { return nil }

// Guarantee: 1xx answers come from one attempt only.
func TestInterimOnce(t *testing.T) {
	t.Parallel()
	s, _ := newTries(t, 2, again(1), step{status: 503, interim: true}, step{status: 200, interim: true})
	out := &hinted{}
	s.gateway.Serve(t.Context(), &Exchange{Method: "GET", Target: "/x", Out: out, Headers: []Header{{"Authorization", s.key}}})
	if out.status != 200 || len(out.hints) != 1 || out.hints[0] != "a.example" {
		t.Errorf("got %d, hints %q", out.status, out.hints)
	}
}

type hinted struct {
	got

	hints []string
}

func (h *hinted) Interim(_ int, headers []Header) { h.hints = append(h.hints, get(headers, "Link")) }

// Guarantee: when all has failed, the error says how much was tried; and that nothing was charged, only
// where that is so.
func TestErrorsTellWhatWasTried(t *testing.T) {
	t.Parallel()
	for want, hosts := range map[string]int{"; tried 3 targets.": 3, "; tried 2 times.": 1} {
		s, _ := newTries(t, hosts, again(1), step{fails: FailConnect})
		out := s.call(t.Context(), "GET", "", 0)
		if text := out.body.String(); out.status != 502 || !strings.Contains(text, want) || !strings.Contains(text, "Nothing was charged.") {
			t.Errorf("got %d %s, want %s", out.status, text, want)
		}
	}
	c := &call{}
	f := fault.New(fault.UpstreamTimeout, "x")
	if free := c.truthful(f); free.Hint != f.Hint {
		t.Errorf("the hint is %q", free.Hint)
	}
	c.spend.charged = 1
	if charged := c.truthful(f); strings.Contains(charged.Hint, "Nothing was charged") || !strings.Contains(charged.Hint, "Try again") {
		t.Errorf("the hint is %q", charged.Hint)
	}
}

// Guarantee: what a target says about when to ask again is read in both forms, and nonsense is nothing.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "2": 2 * time.Second, " 120 ": 2 * time.Minute, "99999999999999999999": 0, "999999999": 24 * time.Hour, "-1": 0, "1.5": 0, "soon": 0,
		"Sun, 01 Nov 2026 12:00:30 GMT": 30 * time.Second, "Sun, 01 Nov 2026 11:00:00 GMT": 0, "Sun, 01 Nov 2099 11:00:00 GMT": 24 * time.Hour,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q is %s, want %s", value, got, want)
		}
	}
}
