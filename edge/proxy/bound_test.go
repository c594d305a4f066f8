package proxy

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
)

var everyUnit = []*eventv1.Limit{{Id: 9, Kind: eventv1.LimitKind_LIMIT_KIND_UNITS, Amount: 6000, Burst: 100, Scope: eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING, Subject: "everything"}}

// Guarantee: a request keeps its limits before any money is held for it and until its very end; units
// are what it used, and what it took is given back whole if nothing was sent.
func TestLimitsAreKept(t *testing.T) {
	t.Parallel()
	usage := &eventv1.UsagePrice{HoldNanos: 1000, Rates: []*eventv1.UsageRate{rate(requestBytes, 1), rate(responseBytes, 1)}}
	for name, tc := range map[string]struct {
		endpoint *eventv1.RouteEndpoint
		arrange  func(*stages)
		status   int
		passes   int
		settled  bool
		used     int64
	}{
		"fixed":           {&eventv1.RouteEndpoint{PriceNanos: 5}, nil, 200, 1, true, 1},
		"free":            {&eventv1.RouteEndpoint{Free: true}, nil, 200, 1, true, 1},
		"usage":           {&eventv1.RouteEndpoint{Usage: usage}, nil, 200, 1, true, 6},
		"usage, an error": {&eventv1.RouteEndpoint{Usage: usage}, func(s *stages) { s.to.status = 500 }, 500, 1, true, 0},
		"fixed, an error": {&eventv1.RouteEndpoint{PriceNanos: 5}, func(s *stages) { s.to.status = 500 }, 500, 1, true, 1},
		"no money":        {&eventv1.RouteEndpoint{PriceNanos: 5}, func(s *stages) { s.money.left = 4 }, 402, 1, false, 0},
		"no target":       {&eventv1.RouteEndpoint{PriceNanos: 5}, func(s *stages) { s.gateway.d.Pools = breakers{err: fault.New(fault.BreakerOpen, "x")} }, 503, 1, false, 0},
		"no pass": {&eventv1.RouteEndpoint{PriceNanos: 5}, func(s *stages) {
			s.gate.err = fault.New(fault.RateLimited, "Key ci-bot may send one request a minute.").WithRetryAfter(time.Second)
			s.money.err = fault.New(fault.InternalError, "money was asked first")
		}, 429, 0, false, 0},
		"a bug in the target's engine": {&eventv1.RouteEndpoint{PriceNanos: 5}, func(s *stages) { s.gateway.d.Upstream = broken{panics: true} }, 500, 1, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStages(t, tc.endpoint, &script{status: 200, pieces: []string{"body"}}, func(o *options) { o.limits = everyUnit })
			if tc.arrange != nil {
				tc.arrange(s)
			}
			out := &got{check: func() {
				s.gate.mu.Lock()
				defer s.gate.mu.Unlock()
				if len(s.gate.asked) == 1 && s.gate.asked[0].released {
					t.Error("the pass ended before the answer")
				}
			}}
			s.callInto(context.Background(), out, "POST", "{}", 2)
			if out.status != tc.status || len(s.gate.asked) != tc.passes {
				t.Fatalf("got %d, %d passes", out.status, len(s.gate.asked))
			}
			if tc.passes == 0 {
				if get(out.headers, "Retry-After") != "1" || !strings.Contains(out.body.String(), "rate_limited") {
					t.Errorf("got %q %s", out.headers, out.body.String())
				}
				return
			}
			if a := s.gate.asked[0]; a.settled != tc.settled || a.used != tc.used || !a.released || a.units != 1 {
				t.Errorf("pass %+v", a)
			}
		})
	}
}

// Guarantee: requests are taken for what those before them used, so that a limit of units holds them back
// before they use them, but for no more than passes at once; errors of the target say nothing of that.
func TestUnitsAreLearned(t *testing.T) {
	t.Parallel()
	usage := &eventv1.UsagePrice{HoldNanos: 1e9, Rates: []*eventv1.UsageRate{headerRate("X-N", 1)}}
	to := &script{status: 200}
	s := newStages(t, &eventv1.RouteEndpoint{Usage: usage}, to, func(o *options) { o.limits = everyUnit })
	for _, n := range []struct{ status, count, want int64 }{{200, 80, 1}, {200, 160, 80}, {200, 80, 90}, {500, 80, 89}, {200, 0, 89}, {200, 0, 78}, {200, 1e6, 69}, {200, 1e6, 100}} {
		to.status, to.headers = int(n.status), []Header{{"X-N", strconv.FormatInt(n.count, 10)}}
		s.call(context.Background(), "GET", "", 0)
		if a := s.gate.asked[len(s.gate.asked)-1]; a.units != n.want {
			t.Errorf("taken for %d units, not %d", a.units, n.want)
		}
	}
	s.gateway.Forget(func(id string) bool { return id == "ep_x" })
	if n := s.gateway.learned.guess("ep_x"); n != 234427 {
		t.Errorf("guesses %d", n)
	}
	s.gateway.Forget(func(string) bool { return false })
	if n := s.gateway.learned.guess("ep_x"); n != 1 {
		t.Errorf("guesses %d after it was forgotten", n)
	}
}

// Guarantee: what is learned comes to what is used, from above and from below, and is never less than 1.
func TestLearnedSettles(t *testing.T) {
	t.Parallel()
	var l learned
	for _, units := range []int64{1000, 0, 3, maxUnits, 5} {
		for range 400 {
			l.learn("x", units)
		}
		if got := l.guess("x"); got != max(units, 1) {
			t.Errorf("guesses %d of %d", got, units)
		}
	}
}
