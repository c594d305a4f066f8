package proxy

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

func hedged(e *routing.Endpoint) { e.Hedge = &routing.Hedge{After: time.Second} }

// Guarantee: beside an attempt that is slow another one is made, for another target, with an intent and
// money of its own; the first good answer wins and is charged once, and the other attempt ends at once
// and costs nothing.
func TestHedge(t *testing.T) {
	t.Parallel()
	slow, quick := step{status: 200, body: "slow", after: 10 * time.Second}, step{status: 200, body: "quick", after: time.Second}
	busy := step{status: 503, body: "busy"}
	for name, tc := range map[string]struct {
		hosts    int
		change   func(e *routing.Endpoint)
		left     money.Nanos
		method   string
		body     string
		steps    []step
		tried    string
		answer   string
		took     time.Duration
		outcomes []eventv1.SpendOutcome // in order of the intents
	}{
		"the second wins":           {2, nil, 10 * price, "GET", "", []step{slow, quick}, "ab", "quick", 2 * time.Second, []eventv1.SpendOutcome{outcomeRefused, outcomeOK}},
		"the first wins":            {2, nil, 10 * price, "GET", "", []step{{status: 200, body: "first", after: 1500 * time.Millisecond}, slow}, "ab", "first", 1500 * time.Millisecond, []eventv1.SpendOutcome{outcomeOK, outcomeRefused}},
		"the first is quick":        {2, nil, 10 * price, "GET", "", []step{{status: 200, body: "first"}, quick}, "a", "first", 0, []eventv1.SpendOutcome{outcomeOK}},
		"there is no other target":  {1, nil, 10 * price, "GET", "", []step{slow, quick}, "a", "slow", 10 * time.Second, []eventv1.SpendOutcome{outcomeOK}},
		"there is no money for it":  {2, nil, price, "GET", "", []step{slow, quick}, "a", "slow", 10 * time.Second, []eventv1.SpendOutcome{outcomeOK}},
		"a failure does not win":    {2, nil, 10 * price, "GET", "", []step{slow, busy}, "ab", "slow", 10 * time.Second, []eventv1.SpendOutcome{outcomeOK, outcomeTargetError}},
		"no answer does not win":    {2, nil, 10 * price, "GET", "", []step{slow, {fails: FailAnswer, sent: true}}, "ab", "slow", 10 * time.Second, []eventv1.SpendOutcome{outcomeOK, outcomeUnreachable}},
		"an answer beats none":      {2, nil, 10 * price, "GET", "", []step{{fails: FailTimeout, sent: true, after: 5 * time.Second}, busy}, "ab", "busy", 5 * time.Second, []eventv1.SpendOutcome{outcomeUnreachable, outcomeTargetError}},
		"not of a POST":             {2, nil, 10 * price, "POST", "hello", []step{slow, quick}, "a", "slow", 10 * time.Second, []eventv1.SpendOutcome{outcomeOK}},
		"any method":                {2, func(e *routing.Endpoint) { e.Hedge.AnyMethod = true }, 10 * price, "POST", "hello", []step{slow, quick}, "ab", "quick", 2 * time.Second, []eventv1.SpendOutcome{outcomeRefused, outcomeOK}},
		"a retry, then beside that": {3, again(1), 10 * price, "GET", "", []step{busy, slow, quick}, "abc", "quick", 2 * time.Second, []eventv1.SpendOutcome{outcomeTargetError, outcomeRefused, outcomeOK}},
		"both fail, then again":     {3, again(1), 10 * price, "GET", "", []step{{status: 503, after: 3 * time.Second}, busy, {status: 200, body: "third"}}, "abc", "third", 3 * time.Second, []eventv1.SpendOutcome{outcomeTargetError, outcomeTargetError, outcomeOK}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for i := range tc.steps {
					tc.steps[i].reads = -1
				}
				s, u := newTries(t, tc.hosts, func(e *routing.Endpoint) {
					hedged(e)
					if tc.change != nil {
						tc.change(e)
					}
				}, tc.steps...)
				s.money.left = tc.left
				began := time.Now()
				out := s.call(t.Context(), tc.method, tc.body, int64(len(tc.body)))
				tried := ""
				for i, host := range u.tried {
					tried += host[:1]
					if u.bodies[i] != tc.body {
						t.Errorf("attempt %d got the body %q", i+1, u.bodies[i])
					}
				}
				if took := time.Since(began).Truncate(100 * time.Millisecond); took != tc.took || tried != tc.tried || out.body.String() != tc.answer || u.open != 0 {
					t.Errorf("after %s, tried %s, got %q, %d open", took, tried, out.body.String(), u.open)
				}
				spent := money.Nanos(0)
				if out.status == 200 {
					spent = price
				}
				if s.money.spent != spent || s.money.left != tc.left-spent {
					t.Errorf("charged %s, %s is left", s.money.spent, s.money.left)
				}
				if got := get(out.headers, HeaderCost); out.status == 200 && got != "2.00" {
					t.Errorf("the caller was told a cost of %s", got)
				}
				if len(s.spool.order) != len(tc.outcomes) {
					t.Fatalf("%d intents", len(s.spool.order))
				}
				for i, ticket := range s.spool.order {
					if end := s.spool.ends[ticket][0]; end.Outcome != tc.outcomes[i] || s.spool.intents[ticket].Amount != price {
						t.Errorf("attempt %d ended %s", i+1, end.Outcome)
					}
				}
			})
		})
	}
}

// Guarantee: a caller who leaves while two attempts run ends both; no more than one price is charged.
func TestHedgedCallerGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, u := newTries(t, 2, hedged, step{status: 200, after: time.Minute})
		ctx, leave := context.WithCancelCause(t.Context())
		time.AfterFunc(5*time.Second, func() { leave(ErrCallerGone) })
		out := s.call(ctx, "GET", "", 0)
		if !out.aborted || u.canceled != 2 || s.money.spent > price {
			t.Errorf("aborted %v, %d attempts were ended, charged %s", out.aborted, u.canceled, s.money.spent)
		}
	})
}

// Guarantee: two attempts that are priced by use each hold what they may come to, and only the one whose
// answer counts is charged.
func TestHedgeOfUsage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, u := newTries(t, 2, func(e *routing.Endpoint) {
			hedged(e)
			e.Price, e.Hedge.AnyMethod = 0, true
			e.Usage = &routing.Usage{Hold: 100}
			e.Usage.RequestBytes.Counted, e.Usage.RequestBytes.PerMillion = true, 1_000_000
			e.Usage.ResponseBytes.Counted, e.Usage.ResponseBytes.PerMillion = true, 1_000_000
		}, step{status: 200, body: "slow", after: time.Minute, reads: -1}, step{status: 200, body: strings.Repeat("x", 1000), reads: -1})
		out := s.call(t.Context(), "POST", "hello", 5)
		if out.body.Len() != 1000 || len(u.tried) != 2 || s.money.spent != 1005 {
			t.Errorf("got %d bytes after %d attempts, charged %s", out.body.Len(), len(u.tried), s.money.spent)
		}
		for _, ticket := range s.spool.order {
			if in := s.spool.intents[ticket]; in.Amount != 105 {
				t.Errorf("intent over %s", in.Amount)
			}
		}
	})
}
