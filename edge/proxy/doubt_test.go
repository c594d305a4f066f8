package proxy

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// zipped is a text with the encoding gzip.
func zipped(tb testing.TB, text string) string {
	tb.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, text); err != nil || w.Close() != nil {
		tb.Fatal(err)
	}
	return out.String()
}

var asGzip = Header{"Content-Encoding", "gzip"}

// Guarantee: a request whose price depends on how somebody reads it goes nowhere, and nothing is held or recorded of it.
func TestRequestsThatCanBeReadInTwoWays(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		path, body string
		headers    []Header
		code       string
	}{
		"a path with dots":     {"/models/../chat", `{"model":"gpt-4o"}`, nil, "path_invalid"},
		"an escaped path":      {"/c%68at", `{"model":"gpt-4o"}`, nil, "path_invalid"},
		"doubled slashes":      {"//chat", `{"model":"gpt-4o"}`, nil, "path_invalid"},
		"in capitals":          {"/Chat", `{"model":"gpt-4o"}`, nil, "path_invalid"},
		"two models":           {"/chat", `{"model":"gpt-4o","model":"gpt-5"}`, nil, "body_invalid"},
		"one with escapes":     {"/chat", `{"model":"gpt-4o","mod\u0065l":"gpt-5"}`, nil, "body_invalid"},
		"two bounds":           {"/chat", `{"model":"gpt-4o","max_tokens":1,"max_tokens":100000}`, nil, "body_invalid"},
		"two bounds in a zip":  {"/chat", zipped(t, `{"max_tokens":1,"max_tokens":100000}`), []Header{asGzip}, "body_invalid"},
		"two models in a form": {"/form", "model=gpt-4o&model=gpt-5", []Header{{"Content-Type", "application/x-www-form-urlencoded"}}, "body_invalid"},
		"two in the query":     {"/form?model=gpt-4o&model=gpt-5", "", nil, "body_invalid"},
	} {
		to := &script{status: 200, pieces: []string{"ok"}}
		s := newStages(t, metered(t, strings.Replace(chat, "- name: models", `- name: form
  match: {methods: [POST], path: ^/form$}
  model: [{form: model}, {query: model}]
  base: "1"
- name: models`, 1), "unmatched: refuse", "unmatched: free", "HOLD", boundHold, "methods: [GET], path: ^/models", "path: ^/models"), to)
		out := s.ask(context.Background(), &got{}, "POST", tc.path, tc.body, tc.headers...)
		if out.status != 400 || !strings.Contains(out.body.String(), tc.code) || to.attempt != nil || len(s.spool.order) != 0 {
			t.Errorf("%s: got %d %s", name, out.status, out.body.String())
		}
	}
}

// Guarantee: a body that is nothing but brackets, or that becomes far larger than it is, costs neither the edge nor other requests
// anything, and what the gateway cannot read in it bounds nothing.
func TestBodiesThatAreBombs(t *testing.T) {
	t.Parallel()
	answer := &script{status: 200, headers: []Header{jsonType}, pieces: []string{`{"usage":{"prompt_tokens":1,"completion_tokens":1}}`}}
	for name, body := range map[string]string{
		"brackets": zipped(t, strings.Repeat("[", 12<<20)),
		"zeros":    zipped(t, strings.Repeat("0", 64<<20)),
	} {
		s := newStages(t, metered(t, chat, "HOLD", boundHold), answer)
		s.ask(context.Background(), &got{}, "POST", "/chat", body, asGzip, jsonType)
		in, _, end := s.lastIntent()
		if !end.Unpriced || in.Amount != fallback || answer.body != body {
			t.Errorf("%s: held %s, settled %+v", name, in.Amount, end)
		}
		if used := s.gateway.room.used.Load(); used != 0 {
			t.Errorf("%s: %d bytes of room are lost", name, used)
		}
		s.gateway.room.used.Store(mostKept - 1<<20) // others keep so much
		s.ask(context.Background(), &got{}, "POST", "/chat", body, asGzip, jsonType)
		if used := s.gateway.room.used.Load(); used != mostKept-1<<20 {
			t.Errorf("%s: %d bytes of room are used", name, used)
		}
	}
}

// Guarantee: a bound that cannot be put into a body is not counted on.
func TestSealedBodiesAreNotBounded(t *testing.T) {
	t.Parallel()
	const body = `{"model":"gpt-4o"}`
	for name, tc := range map[string]struct {
		body   string
		header Header
	}{"with a sum": {body, Header{"Content-Digest", "sha-256=:x:"}}, "encoded": {zipped(t, body), asGzip}} {
		s := newStages(t, metered(t, chat, "HOLD", boundHold), &script{status: 200, headers: []Header{jsonType}, pieces: []string{`{"usage":{"prompt_tokens":1,"completion_tokens":1}}`}})
		s.ask(context.Background(), &got{}, "POST", "/chat", tc.body, tc.header, jsonType)
		if in, _, _ := s.lastIntent(); in.Amount != fallback {
			t.Errorf("%s: held %s", name, in.Amount)
		}
	}
}

// Guarantee: a caller whose own request names a field in its error does not keep others from having it set.
func TestRefusalsOfCallersAreNotRemembered(t *testing.T) {
	t.Parallel()
	s := newStages(t, metered(t, chat, "INJECT", askUsage), &script{})
	to := &streamer{}
	s.gateway.d.Upstream = upstreamFunc(func(ctx context.Context, a *Attempt) (*Answer, error) {
		answer, err := to.RoundTrip(ctx, a)
		if n := len(to.bodies); err == nil && strings.Contains(to.bodies[n-1], "gpt-wrong") {
			return &Answer{Status: 400, Headers: []Header{jsonType}, Length: -1, Body: io.NopCloser(strings.NewReader(refusalOf))}, nil
		}
		return answer, err
	})
	out := s.ask(context.Background(), &got{}, "POST", "/chat", `{"model":"gpt-wrong","stream":true}`)
	if out.status != 400 || out.body.String() != refusalOf || len(to.bodies) != 2 || s.money.spent != 0 {
		t.Errorf("got %d %s after %d attempts, for %s", out.status, out.body.String(), len(to.bodies), s.money.spent)
	}
	s.ask(context.Background(), &got{}, "POST", "/chat", `{"model":"gpt-4o","stream":true}`)
	if _, _, end := s.lastIntent(); end.Unpriced || end.Cost != 9*perIn+4*perOut {
		t.Errorf("another caller: settled %+v", end)
	}
}

// Guarantee: however an exchange ends whose answer is decoded to be read, nothing of the reading stays behind: the tests of this
// package end with nothing running.
func TestReadingsThatEndEarly(t *testing.T) {
	t.Parallel()
	packed := zipped(t, `{"usage":{"prompt_tokens":1,"completion_tokens":1},"pad":"`+strings.Repeat("x", 1000)+`"}`)
	halves := []string{packed[:len(packed)/2], packed[len(packed)/2:]}
	for name, tc := range map[string]struct {
		to  *script
		out *got
	}{
		"whole":         {&script{pieces: halves}, &got{}},
		"target broke":  {&script{pieces: halves[:1], length: 500, breaks: errBroken}, &got{}},
		"caller gone":   {&script{pieces: halves}, &got{fails: io.ErrClosedPipe}},
		"a bug":         {&script{pieces: halves}, &got{check: func() { panic("bug") }}},
		"a target's":    {&script{pieces: halves, between: func(n int) { panicAt(n, 1) }}, &got{}},
		"no gzip":       {&script{pieces: []string{"{}"}}, &got{}},
		"nothing comes": {&script{}, &got{}},
	} {
		tc.to.status, tc.to.headers = 200, []Header{jsonType, asGzip}
		s := newStages(t, metered(t, chat), tc.to)
		s.ask(context.Background(), tc.out, "POST", "/chat", `{"model":"gpt-4o"}`)
		if _, _, end := s.lastIntent(); end.Unpriced != (name != "whole") || end.Cost == 0 {
			t.Errorf("%s: settled %+v", name, end)
		}
		if s.money.left+s.money.spent != money.Max/2 {
			t.Errorf("%s: money is held", name)
		}
	}
}

func panicAt(n, at int) {
	if n == at {
		panic("bug")
	}
}

// Guarantee: a cost that the target reports is never more than the ceiling, and whatever is no amount, or two, is not taken for
// nothing.
func TestReportedAmounts(t *testing.T) {
	t.Parallel()
	const ceiling, instead = 3 * money.Dollar, money.Dollar / 2
	for name, tc := range map[string]struct {
		values   []string
		cost     money.Nanos
		unpriced bool
	}{
		"an amount":      {[]string{" 0.25 "}, money.Dollar / 4, false},
		"an exponent":    {[]string{"25e-2"}, money.Dollar / 4, false},
		"nothing":        {[]string{"0"}, 0, false},
		"the same twice": {[]string{"0.25", "0.25"}, money.Dollar / 4, false},
		"more":           {[]string{"1e3"}, ceiling, false},
		"missing":        {nil, instead, true},
		"empty":          {[]string{""}, instead, true},
		"negative":       {[]string{"-1"}, instead, true},
		"hexadecimal":    {[]string{"0x1"}, instead, true},
		"with a comma":   {[]string{"1,5"}, instead, true},
		"two":            {[]string{"0", "2"}, instead, true},
		"three":          {[]string{"0", "2", "0"}, instead, true},
		"endless":        {[]string{"1e999"}, instead, true},
		"no number":      {[]string{"NaN"}, instead, true},
		"dollars":        {[]string{"$1"}, instead, true},
	} {
		to := &script{status: 200, pieces: []string{"ok"}}
		for _, v := range tc.values {
			to.headers = append(to.headers, Header{"X-Cost", v})
		}
		s := newStages(t, &eventv1.RouteEndpoint{Reported: &eventv1.ReportedPrice{Header: "x-cost", CeilingNanos: int64(ceiling), FallbackNanos: int64(instead)}}, to)
		s.ask(context.Background(), &got{}, "POST", "/", "{}")
		if _, _, end := s.lastIntent(); end.Cost != tc.cost || end.Unpriced != tc.unpriced {
			t.Errorf("%s: settled %+v", name, end)
		}
	}
}
