package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// priced are endpoints at a nano-dollar a byte and ten an event: one that cuts at its ceiling, and one
// that holds more.
func priced(o *options, target string) {
	rates := []*eventv1.UsageRate{rate(requestBytes, 1_000_000), rate(responseBytes, 1_000_000), rate(responseEvents, 10_000_000)}
	for _, name := range []string{"ceiling", "estimate"} {
		o.endpoints = append(o.endpoints, &eventv1.RouteEndpoint{
			Id: "ep_" + name, Name: name, Path: "/" + name, Targets: []string{target}, Forward: eventv1.ForwardMode_FORWARD_MODE_ALL,
			Usage: &eventv1.UsagePrice{HoldNanos: 60, Ceiling: name == "ceiling", Rates: rates},
		})
	}
}

// Guarantee: an answer that costs more than there is reaches the caller as far as it is paid for, is
// broken off in a way that no client takes for complete, and is recorded as cut, at what it has cost;
// a stream of events ends with one that says why.
func TestCut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 20)
	chunk := func(pieces ...string) string {
		out := strings.Replace(chunkedHead, "text/event-stream", "text/plain", 1)
		if strings.HasPrefix(pieces[0], "data") {
			out = chunkedHead
		}
		for _, p := range pieces {
			out += fmt.Sprintf("%x\r\n%s\r\n", len(p), p)
		}
		return out + "0\r\n\r\n"
	}
	for name, tc := range map[string]struct {
		path  string
		left  money.Nanos // beside what is held at first
		reply string
		body  string // what the caller gets, without the final event
		event bool
		cost  money.Nanos
	}{
		"at the ceiling":                      {"/ceiling", 1000, chunk(long[:50], long), long[:50] + long[:10], false, 60},
		"at the ceiling, with a length":       {"/ceiling", 1000, reply("200 OK", long), long[:60], false, 60},
		"at the ceiling, of events":           {"/ceiling", 1000, chunk("data: 1\n\n", "data: 2\n\ndata: 3\n\ndata: 4\n\n"), "data: 1\n\ndata: 2\n\ndata: 3\n\n", true, 57},
		"at the ceiling, in an event":         {"/ceiling", 1000, chunk("data: 1\n\ndata: " + long), "data: 1\n\n", true, 19},
		"at the ceiling, in the first event":  {"/ceiling", 1000, chunk("data: " + long), "", true, 0},
		"events that are bytes for this":      {"/ceiling", 1000, strings.Replace(chunk("data: 1\n\n", "data: 2\n\ndata: "+long), "\r\n\r\n", "\r\nContent-Encoding: br\r\n\r\n", 1), "data: 1\n\ndata: 2\n\ndata: " + long[:36], false, 60},
		"no more money":                       {"/estimate", 40, chunk(long[:50], long), long[:50] + long[:50], false, 100},
		"no more money for events":            {"/estimate", 40, chunk("data: 1\n\n", "data: 2\n\n", "data: "+long+"\n\n"), "data: 1\n\ndata: 2\n\n", true, 38},
		"no more money, but a little of more": {"/estimate", 13, chunk(long[:50], long[:20], long), long[:50] + long[:20] + long[:3], false, 73},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var base string
			b := newBench(t, func(o *options) {
				base = o.endpoints[0].GetTargets()[0]
				priced(o, base)
			})
			b.money.left = 62 + tc.left // two for the request's body
			b.vendor.answer(tc.reply)
			c := b.dial()
			c.send("%s", auth(post(tc.path, "{}")))
			m := c.answer("POST")
			if m.status() != 200 || m.err == nil {
				t.Errorf("the caller takes it for complete: %s, %v", m.first, m.err)
			}
			body, event, found := strings.Cut(m.body, "event: error\ndata: ")
			if found != tc.event || strings.TrimSuffix(body, "\n") != strings.TrimSuffix(tc.body, "\n") {
				t.Errorf("the caller got %q", m.body)
			}
			if found && (!strings.HasPrefix(event, `{"error":{"code":"budget_exhausted","message":"The answer was cut off when its cost reached what is available`) ||
				!strings.HasSuffix(event, "}}\n\n") || strings.Count(event, "\n") != 2 || !strings.Contains(event, `"request_id":"`+header(m.headers, HeaderRequestID)+`"`)) {
				t.Errorf("the last event is %q", event)
			}
			if found && eventsIn(m.body) != eventsIn(tc.body)+1 {
				t.Errorf("%q has %d events", m.body, eventsIn(m.body))
			}
			b.wantSettled(200, outcomeCut, tc.cost+2)
			if len(all(m.headers, HeaderCost)) > 0 || header(m.headers, HeaderRemaining) == "" {
				t.Errorf("headers %q", m.headers)
			}
		})
	}
}

// Guarantee: an answer whose headers already cost more than there is is withheld and replaced by an error
// that says so; what is charged is what the headers told, and no more than the ceiling where there is
// one.
func TestWithheld(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ceiling bool
		left    money.Nanos
		count   string
		status  int
		cost    money.Nanos
	}{
		"fits":                       {true, 0, "50", 200, 55},
		"beyond the ceiling":         {true, 1e9, "100", 402, 65},
		"beyond it, told nothing":    {true, 1e9, "", 402, 65},
		"more is held":               {false, 1e9, "100", 200, 105},
		"no more is there":           {false, 39, "100", 402, 105},
		"just enough is there":       {false, 40, "100", 200, 105},
		"more than all of the money": {false, 1e9, "112589990684260", 402, 112589990684265},
		"more than anything costs":   {false, 1e9, "1025899906842625", 402, mostCost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			price := &eventv1.UsagePrice{BaseNanos: 5, HoldNanos: 60, FallbackNanos: 99, Ceiling: tc.ceiling, Rates: []*eventv1.UsageRate{headerRate("X-Tokens", 1_000_000)}}
			to := &script{status: 200, pieces: []string{"secret"}, headers: []Header{{"X-Tokens", tc.count}}}
			s := newStages(t, &eventv1.RouteEndpoint{Usage: price}, to)
			s.money.left = 65 + tc.left
			out := s.call(context.Background(), "POST", "{}", 2)
			_, _, end := s.lastIntent()
			outcome := outcomeOK
			if tc.status == 402 {
				outcome = outcomeCut
				if !strings.Contains(out.body.String(), "The answer was withheld") || strings.Contains(out.body.String(), "secret") {
					t.Errorf("the caller got %q", out.body.String())
				}
			}
			if out.status != tc.status || out.aborted || get(out.headers, HeaderCost) != tc.cost.String() {
				t.Errorf("the caller got %d, %q", out.status, out.headers)
			}
			if end.Cost != tc.cost || end.Outcome != outcome || end.Status != 200 {
				t.Errorf("settled %+v", end)
			}
		})
	}
}

// Guarantee: a body whose length is not told is paid for as it comes, and broken off where the money
// ends; nothing is charged then, because nothing was answered.
func TestBodyThatIsTooDear(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", 1000)
	for name, tc := range map[string]struct {
		ceiling bool
		length  int64
		left    money.Nanos
		status  int
		cost    money.Nanos
		steps   bool
	}{
		"told":                    {true, 1000, 1000, 200, 1000, false},
		"told, no money for it":   {true, 1000, 999, 402, 0, false},
		"not told, over":          {true, -1, 1e9, 402, 0, false},
		"not told, more is held":  {false, -1, 1e9, 200, 1000, true},
		"not told, no more money": {false, -1, 500, 402, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			price := &eventv1.UsagePrice{HoldNanos: 60, Ceiling: tc.ceiling, Rates: []*eventv1.UsageRate{rate(requestBytes, 1_000_000)}}
			to := &script{status: 200, pieces: []string{"ok"}}
			s := newStages(t, &eventv1.RouteEndpoint{Usage: price}, to)
			s.money.left = 60 + tc.left
			out := s.call(context.Background(), "POST", body, tc.length)
			if out.status != tc.status || tc.status == 402 && !strings.Contains(out.body.String(), string(fault.BudgetExhausted)) {
				t.Errorf("the caller got %d %s", out.status, out.body.String())
			}
			if tc.length > 0 && tc.status == 402 {
				if to.attempt != nil {
					t.Error("it was sent")
				}
				return
			}
			_, parts, end := s.lastIntent()
			if end.Cost != tc.cost || (len(parts) > 0) != tc.steps && tc.status == 200 {
				t.Errorf("settled %+v, %d steps", end, len(parts))
			}
			if tc.status == 402 && (end.Outcome != outcomeRefused || int64(len(to.body)) > 60+int64(tc.left)) {
				t.Errorf("settled %+v, %d bytes went on", end, len(to.body))
			}
		})
	}
}

// Guarantee: whatever keeps a hold from growing cuts the answer, and the caller is told what it was.
func TestWhyItIsCut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		arrange func(*stages)
		text    string
	}{
		"budgets": {func(s *stages) { s.money.left = 0 }, "budget_exhausted"},
		"the ledger": {func(s *stages) {
			s.money.err = fault.New(fault.BudgetUnavailable, "It is away.").WithRetryAfter(time.Second)
		}, "budget_unavailable"},
		"the spool": {func(s *stages) { s.spool.full = true }, "spool_unavailable"},
		"a bug":     {func(s *stages) { s.money.err = errors.New("secret text") }, "internal_error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			price := &eventv1.UsagePrice{HoldNanos: 20, Rates: []*eventv1.UsageRate{rate(responseBytes, 1_000_000)}}
			to := &script{status: 200, headers: []Header{sse}, length: -1, pieces: []string{"data: 1\n\n", "data: 22222\n\n", "data: 3\n\n"}}
			s := newStages(t, &eventv1.RouteEndpoint{Usage: price}, to)
			to.between = func(n int) {
				if n == 1 {
					s.money.mu.Lock()
					defer s.money.mu.Unlock()
					tc.arrange(s)
				}
			}
			out := s.call(context.Background(), "GET", "", 0)
			text := out.body.String()
			if !out.aborted || !strings.HasPrefix(text, "data: 1\n\nevent: error\ndata: {") || !strings.Contains(text, tc.text) || strings.Contains(text, "secret") {
				t.Errorf("the caller got %q", text)
			}
			if _, _, end := s.lastIntent(); end.Outcome != outcomeCut || end.Cost != 9 {
				t.Errorf("settled %+v", end)
			}
		})
	}
}

// Guarantee: an event of which a part went on before the money ended becomes the one that says so, so that
// nobody takes it for what it was to be.
func TestCutInAnEvent(t *testing.T) {
	t.Parallel()
	price := &eventv1.UsagePrice{HoldNanos: 20, Ceiling: true, Rates: []*eventv1.UsageRate{rate(responseBytes, 1_000_000)}}
	to := &script{status: 200, headers: []Header{sse}, length: -1, pieces: []string{"data: 1\n\nda", "ta: 12345678901234567890\n\n"}}
	s := newStages(t, &eventv1.RouteEndpoint{Usage: price}, to)
	out := s.call(context.Background(), "GET", "", 0)
	text := out.body.String()
	if !out.aborted || !strings.HasPrefix(text, "data: 1\n\ndata: 12345\nevent: error\ndata: {") || eventsIn(text) != 2 {
		t.Errorf("the caller got %q", text)
	}
	if _, _, end := s.lastIntent(); end.Outcome != outcomeCut || end.Cost != 20 {
		t.Errorf("settled %+v", end)
	}
}

// Guarantee: one who leaves while more money is waited for is not one whose answer was cut.
func TestLeavingWhileMoneyIsAwaited(t *testing.T) {
	t.Parallel()
	price := &eventv1.UsagePrice{HoldNanos: 20, Rates: []*eventv1.UsageRate{rate(responseBytes, 1_000_000)}}
	to := &script{status: 200, headers: []Header{sse}, length: -1, pieces: []string{"data: 1\n\n", "data: 22222\n\n"}}
	s := newStages(t, &eventv1.RouteEndpoint{Usage: price}, to)
	ctx, leave := context.WithCancelCause(context.Background())
	to.between = func(n int) {
		if n == 1 {
			s.money.left = 0
			leave(ErrCallerGone)
		}
	}
	s.call(ctx, "GET", "", 0)
	if _, _, end := s.lastIntent(); end.Outcome != outcomeCallerGone || end.Cost != 9 {
		t.Errorf("settled %+v", end)
	}
}

// Guarantee: under a ceiling nothing ever costs more than was held for it, whatever prices and bodies
// are; without one nothing goes on that is not held, and on disk, before; what was passed on is charged
// exactly; and an answer that was not cut is whole.
func TestNothingCostsMoreThanIsHeld(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		perMillion := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(1, 1e8), rapid.Int64Range(1, 1<<45))
		nanos := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(1, 5000), rapid.Int64Range(1, 1<<40))
		in, out, event, token := perMillion.Draw(rt, "in"), perMillion.Draw(rt, "out"), perMillion.Draw(rt, "event"), perMillion.Draw(rt, "token")
		price := &eventv1.UsagePrice{
			BaseNanos: nanos.Draw(rt, "base"), HoldNanos: nanos.Draw(rt, "hold"), FallbackNanos: nanos.Draw(rt, "fallback"), Ceiling: rapid.Bool().Draw(rt, "ceiling"),
			Rates: []*eventv1.UsageRate{rate(requestBytes, in), rate(responseBytes, out), rate(responseEvents, event), headerRate("X-N", token)},
		}
		to := &script{status: 200, length: -1, headers: []Header{sse}}
		to.pieces = rapid.SliceOfN(rapid.SampledFrom([]string{
			"data: 1\n\n", "data: 1\r\n\r", "\ndata", ": ping\n\n", strings.Repeat("x", 100), "\n", "event: a\ndata:", "\n\ndata\n\ndata\n\n",
		}), 0, 12).Draw(rt, "pieces")
		tokens := rapid.Int64Range(-1, 1000).Draw(rt, "tokens")
		if tokens >= 0 {
			to.headers = append(to.headers, Header{"X-N", fmt.Sprint(tokens)})
		}
		body := strings.Repeat("b", rapid.IntRange(0, 300).Draw(rt, "body"))
		length := int64(len(body))
		if len(body) > 0 && rapid.Bool().Draw(rt, "unknown length") {
			length = -1
		}
		s := newStages(t, &eventv1.RouteEndpoint{Usage: price}, to)
		s.money.left = money.Nanos(rapid.OneOf(rapid.Just(int64(1<<60)), rapid.Int64Range(0, 1<<46), rapid.Int64Range(0, 20_000)).Draw(rt, "left"))

		caller := &got{}
		text := func() string { t, _, _ := strings.Cut(caller.body.String(), "event: error"); return t }
		cost := func(answered string) money.Nanos {
			fixed, terms := price.GetBaseNanos(), []term{{int64(len(to.body)), in}, {int64(len(answered)), out}, {eventsIn(answered), event}}
			if tokens < 0 {
				fixed += price.GetFallbackNanos()
			} else {
				terms = append(terms, term{tokens, token})
			}
			return exact(fixed, terms...)
		}
		held := func() money.Nanos {
			s.spool.mu.Lock()
			defer s.spool.mu.Unlock()
			if len(s.spool.order) == 0 {
				return 0
			}
			ticket := s.spool.order[0]
			if parts := s.spool.parts[ticket]; len(parts) > 0 {
				return parts[len(parts)-1].reserved
			}
			return s.spool.intents[ticket].Amount
		}
		caller.check = func() {
			if final := strings.Contains(caller.body.String(), "event: error"); caller.status == 200 && !final && cost(text()) > held() {
				rt.Fatalf("%s went on, %s is held", cost(text()), held())
			}
		}
		s.callInto(context.Background(), caller, "POST", body, length)
		if to.attempt == nil {
			if caller.status != 402 {
				rt.Fatalf("refused with %d", caller.status)
			}
			return
		}
		intent, parts, end := s.lastIntent()
		if price.GetCeiling() && (end.Cost > intent.Amount || len(parts) > 0) {
			rt.Fatalf("it cost %s of %s, %d steps", end.Cost, intent.Amount, len(parts))
		}
		whole := strings.Join(to.pieces, "")
		switch {
		case caller.status == 402 && end.Status == 0: // the body was too dear
			if end.Cost != 0 || end.Outcome != outcomeRefused {
				rt.Fatalf("settled %+v", end)
			}
		case caller.status == 402: // the headers were
			want := cost("")
			if price.GetCeiling() {
				want = min(want, intent.Amount)
			}
			if end.Cost != want || end.Outcome != outcomeCut || cost("") <= intent.Amount {
				rt.Fatalf("settled %+v, want %s", end, want)
			}
		case end.Outcome == outcomeCut:
			// Before the final event may be a line end that is not the target's.
			fits := func(sent string) bool {
				return strings.HasPrefix(whole, sent) && len(sent) < len(whole) && end.Cost == cost(sent)
			}
			if sent := text(); !caller.aborted || !fits(sent) && !fits(strings.TrimSuffix(sent, "\n")) {
				rt.Fatalf("got %q of %q, settled %+v", sent, whole, end)
			}
		default:
			if end.Outcome != outcomeOK || caller.body.String() != whole || end.Cost != cost(whole) || caller.aborted {
				rt.Fatalf("got %q of %q, settled %+v, want %s", caller.body.String(), whole, end, cost(whole))
			}
		}
	})
}
