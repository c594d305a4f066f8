package proxy

import (
	"context"
	"fmt"
	"strings"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/meter/document"
	"tollgate/internal/money"
)

// chat is a price like those of language models: 2,500 nano-dollars a token in, 10,000 a token out. FALLBACK, HOLD and
// INJECT are put in by those who use it.
const chat = `
unmatched: refuse
fallback: "0.05"
meters:
- name: chat
  match: {methods: [POST], path: ^/chat$}
  model: [{frame: model}, {request: model}]
  counters:
  - {name: prompt, sources: [{frame: usage.prompt_tokens}]}
  - {name: output, sources: [{frame: usage.completion_tokens}]}
  units:
  - {name: input, add: [prompt]}
  - {name: output}
  prices:
  - model: gpt-*
    rates:
    - {unit: input, price: "2.50", per: 1000000}
    - {unit: output, price: "10", per: 1000000}
  charge: {unless: [{source: {frame: error}}]}
  hold: HOLD
  inject: INJECT
- name: models
  match: {methods: [GET], path: ^/models}
  free: true
`

const (
	boundHold = `{bounds: [{unit: input, sources: [{measure: request_bytes}]}, {unit: output, sources: [{request: max_tokens}], assume: "100", enforce: max_tokens}], least: "0.000001"}`
	askUsage  = `[{when: {source: {request: stream}, in: ["true"]}, field: stream_options.include_usage, value: "true", strip: usage_only}]`

	perIn, perOut = 2_500, 10_000
	fallback      = 50_000_000
)

// metered is an endpoint with a price in YAML. Words in capitals are replaced first.
func metered(tb testing.TB, text string, words ...string) *eventv1.RouteEndpoint {
	tb.Helper()
	words = append(words, "HOLD", `{amount: "1"}`, "INJECT", "[]") // the first one of a word counts
	var price controlv1.Metered
	if err := document.Parse([]byte(strings.NewReplacer(words...).Replace(text)), &price); err != nil {
		tb.Fatal(err)
	}
	return &eventv1.RouteEndpoint{Metered: &price, PriceVersion: 3, Forward: eventv1.ForwardMode_FORWARD_MODE_ALL}
}

// ask sends one request to a path below the endpoint.
func (s *stages) ask(ctx context.Context, out *got, method, path, body string, headers ...Header) *got {
	s.t.Helper()
	x := &Exchange{
		Method: method, Target: "/x" + path, Length: int64(len(body)), Out: out,
		Headers: append([]Header{{"Authorization", s.key}}, headers...),
	}
	if body != "" {
		x.Body = sentBody{strings.NewReader(body)}
	}
	s.gateway.Serve(ctx, x)
	s.checkMoney()
	return out
}

var jsonType = Header{"Content-Type", "application/json"}

// Guarantee: a request is charged what its meter counts, to the nano-dollar, and its record says the meter, the model and the
// counts; what was held is no less.
func TestMetered(t *testing.T) {
	t.Parallel()
	const answer = `{"model":"gpt-4o-2024","usage":{"prompt_tokens":17,"completion_tokens":41}}`
	for name, tc := range map[string]struct {
		body     string
		to       script
		cost     money.Nanos
		model    string
		counts   string
		units    int64
		unpriced bool
	}{
		"an answer":               {`{"model":"gpt-4o","max_tokens":50}`, script{status: 200, headers: []Header{jsonType}, pieces: []string{answer[:30], answer[30:]}}, 17*perIn + 41*perOut, "gpt-4o-2024", "prompt=17,output=41", 58, false},
		"an error":                {`{"model":"gpt-4o","max_tokens":50}`, script{status: 429, headers: []Header{jsonType}, pieces: []string{answer}}, 0, "gpt-4o", "", 0, false},
		"an error told with 200":  {`{"model":"gpt-4o","max_tokens":50}`, script{status: 200, headers: []Header{jsonType}, pieces: []string{`{"error":{"code":1}}`}}, 0, "gpt-4o", "", 0, false},
		"nothing is told":         {`{"model":"gpt-4o","max_tokens":50}`, script{status: 200, headers: []Header{jsonType}, pieces: []string{`{"model":"gpt-4o"}`}}, 34*perIn + 50*perOut, "gpt-4o", "@model=gpt-4o", 0, true},
		"one count is told":       {`{"model":"gpt-4o","max_tokens":50}`, script{status: 200, headers: []Header{jsonType}, pieces: []string{`{"usage":{"prompt_tokens":17}}`}}, 34*perIn + 50*perOut, "gpt-4o", "@model=gpt-4o,prompt=17", 17, true},
		"a model without a price": {`{"model":"other","max_tokens":50}`, script{status: 200, headers: []Header{jsonType}, pieces: []string{`{"usage":{"prompt_tokens":17,"completion_tokens":41}}`}}, fallback, "other", "@model=other,prompt=17,output=41", 58, true},
		"broken off":              {`{"model":"gpt-4o","max_tokens":50}`, script{status: 200, headers: []Header{jsonType}, pieces: []string{answer[:50]}, length: 500, breaks: errBroken}, 34*perIn + 50*perOut, "gpt-4o", "@partial=1,@model=gpt-4o", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStages(t, metered(t, chat, "HOLD", boundHold), &tc.to)
			out := s.ask(context.Background(), &got{}, "POST", "/chat", tc.body)
			in, _, end := s.lastIntent()
			if end.Cost != tc.cost || end.Units != tc.units || end.Unpriced != tc.unpriced || end.Status != tc.to.status {
				t.Errorf("charged %s for %d units (unpriced %v), want %s, %d, %v", end.Cost, end.Units, end.Unpriced, tc.cost, tc.units, tc.unpriced)
			}
			if end.Meter != "chat" || tc.cost > 0 && (end.Model != tc.model || end.Counts != tc.counts) {
				t.Errorf("recorded %q, %q, %q", end.Meter, end.Model, end.Counts)
			}
			if want := money.Nanos(len(tc.body)*perIn + 50*perOut); in.PriceVersion != 3 || tc.model != "other" && in.Amount != want {
				t.Errorf("held %s, not %s", in.Amount, want)
			}
			if tc.to.body != tc.body || out.body.String() != strings.Join(tc.to.pieces, "") {
				t.Errorf("the target got %q, the caller %q", tc.to.body, out.body.String())
			}
		})
	}
}

// Guarantee: what a meter says is free costs nothing and asks no budget; what none reads is refused, or free, or charged at the
// fallback, as the price says, and is never let through otherwise.
func TestUnmatched(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		unmatched, method, path string
		status                  int
		cost                    money.Nanos
		unpriced                bool
		meter                   string
		left                    money.Nanos
	}{
		"free":                  {"refuse", "GET", "/models", 200, 0, false, "models", 0},
		"refused":               {"refuse", "GET", "/other", 403, 0, false, "", money.Dollar},
		"refused by its method": {"refuse", "PUT", "/chat", 403, 0, false, "", money.Dollar},
		"free as all others":    {"free", "GET", "/other", 200, 0, false, "", 0},
		"not priced":            {"unpriced", "GET", "/other", 200, fallback, true, "", money.Dollar},
		"not priced, no money":  {"unpriced", "GET", "/other", 402, 0, false, "", fallback - 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStages(t, metered(t, chat, "unmatched: refuse", "unmatched: "+tc.unmatched), &script{status: 200, pieces: []string{"ok"}})
			s.money.left = tc.left
			out := s.ask(context.Background(), &got{}, tc.method, tc.path, "")
			if out.status != tc.status {
				t.Fatalf("got %d %s", out.status, out.body.String())
			}
			if tc.status != 200 {
				if len(s.spool.order) != 0 || tc.status == 403 && !strings.Contains(out.body.String(), `"not_priced"`) {
					t.Errorf("%d intents, %s", len(s.spool.order), out.body.String())
				}
				return
			}
			_, _, end := s.lastIntent()
			if end.Cost != tc.cost || end.Unpriced != tc.unpriced || end.Meter != tc.meter || end.Outcome != outcomeOK {
				t.Errorf("settled %+v", end)
			}
			want := tc.cost.String()
			if tc.unpriced {
				want = "unpriced"
			}
			if told := get(out.headers, HeaderCost); told != want {
				t.Errorf("the caller is told that it costs %q", told)
			}
		})
	}
}

// events are a stream that tells what it has used with each of its events.
func events(n int) (pieces []string) {
	for k := 1; k <= n; k++ {
		pieces = append(pieces, fmt.Sprintf("data: {\"choices\":[{\"delta\":{}}],\"model\":\"gpt-4o\",\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":%d}}\n\n", k))
	}
	return append(pieces, "data: [DONE]\n\n")
}

// Guarantee: however a stream ends, and after whichever event, there is exactly one entry with the counters and the status that were
// last seen.
func TestStreamsThatEndEarly(t *testing.T) {
	t.Parallel()
	const n = 8
	known := func(k int) money.Nanos {
		if k == 0 {
			return 0
		}
		return money.Nanos(10*perIn + k*perOut)
	}
	check := func(t *testing.T, s *stages, k int, outcome eventv1.SpendOutcome) {
		t.Helper()
		_, _, end := s.lastIntent()
		want, counts := known(k)+fallback, "@partial=1,@model=gpt-4o"
		if k > 0 {
			counts += fmt.Sprintf(",prompt=10,output=%d", k)
		}
		if outcome == outcomeCut {
			want = known(k - 1) // all that there was, of which the last event had no part
		}
		if end.Cost != want || end.Counts != counts || end.Status != 200 || end.Outcome != outcome || !end.Unpriced || len(s.spool.order) != 1 {
			t.Errorf("after %d events: settled %+v, want %s", k, end, want)
		}
	}
	for k := range n + 1 {
		to := &script{status: 200, headers: []Header{sse}, pieces: events(n)[:k], length: -1, breaks: errBroken}
		s := newStages(t, metered(t, chat), to)
		s.ask(context.Background(), &got{}, "POST", "/chat", `{"model":"gpt-4o"}`)
		check(t, s, k, outcomeInterrupted)

		ctx, leave := context.WithCancelCause(context.Background())
		to = &script{status: 200, headers: []Header{sse}, pieces: events(n), length: -1, breaks: context.Canceled}
		to.between = func(at int) {
			if at == k {
				to.pieces = to.pieces[:k]
				leave(ErrCallerGone)
			}
		}
		s = newStages(t, metered(t, chat), to)
		s.ask(ctx, &got{}, "POST", "/chat", `{"model":"gpt-4o"}`)
		check(t, s, k, outcomeCallerGone)
	}
	for k := 1; k < n; k++ {
		s := newStages(t, metered(t, chat, "HOLD", `{amount: "0.000001"}`), &script{status: 200, headers: []Header{sse}, pieces: []string{strings.Join(events(n), "")}, length: -1})
		s.money.left = known(k)
		out := s.ask(context.Background(), &got{}, "POST", "/chat", `{"model":"gpt-4o"}`)
		check(t, s, k+1, outcomeCut) // the event that was too dear was read, but did not go on
		passed, why, found := strings.Cut(out.body.String(), "event: error\ndata: ")
		if passed != strings.Join(events(n)[:k], "") || !found || !strings.Contains(why, "budget_exhausted") || !out.aborted {
			t.Errorf("with money for %d events: the caller got %q", k, out.body.String())
		}
	}
	whole := newStages(t, metered(t, chat), &script{status: 200, headers: []Header{sse}, pieces: events(n), length: -1})
	whole.ask(context.Background(), &got{}, "POST", "/chat", `{"model":"gpt-4o"}`)
	if _, _, end := whole.lastIntent(); end.Cost != known(n) || end.Unpriced || end.Outcome != outcomeOK {
		t.Errorf("whole: settled %+v", end)
	}
}

// Guarantee: a caller who leaves before there is an answer to a request that was sent whole is charged as if its cost were not known.
func TestMeteredUnanswered(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancelCause(context.Background())
	s := newStages(t, metered(t, chat), &script{})
	s.gateway.d.Upstream = upstreamFunc(func(context.Context, *Attempt) (*Answer, error) {
		leave(ErrCallerGone)
		return nil, &AttemptError{Failure: FailCanceled, Sent: true, Whole: true, Err: context.Canceled}
	})
	s.ask(ctx, &got{}, "POST", "/chat", `{"model":"gpt-4o"}`)
	if _, _, end := s.lastIntent(); end.Cost != fallback || !end.Unpriced || end.Outcome != outcomeCallerGone || end.Model != "gpt-4o" {
		t.Errorf("settled %+v", end)
	}
}

// Guarantee: a request keeps the price that held when it came.
func TestPriceOfAdmission(t *testing.T) {
	t.Parallel()
	first := metered(t, chat)
	to := &script{status: 200, headers: []Header{sse}, pieces: events(4), length: -1}
	s := newStages(t, first, to)
	to.between = func(at int) {
		if at == 2 {
			dearer := metered(t, chat, `"10"`, `"99"`)
			dearer.Id, dearer.Name, dearer.Path, dearer.Targets, dearer.PriceVersion = first.GetId(), first.GetName(), first.GetPath(), first.GetTargets(), 4
			s.serve(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{dearer}})
		}
	}
	s.ask(context.Background(), &got{}, "POST", "/chat", `{"model":"gpt-4o"}`)
	if in, _, end := s.lastIntent(); end.Cost != 10*perIn+4*perOut || in.PriceVersion != 3 {
		t.Errorf("settled %+v of version %d", end, in.PriceVersion)
	}
	to.between = nil
	s.ask(context.Background(), &got{}, "POST", "/chat", `{"model":"gpt-4o"}`)
	if in, _, end := s.lastIntent(); end.Cost != 10*perIn+4*99_000 || in.PriceVersion != 4 {
		t.Errorf("settled %+v of version %d", end, in.PriceVersion)
	}
}
