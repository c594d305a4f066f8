package proxy

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"tollgate/internal/money"
)

// streamer is a target that tells the usage of a stream only if it is asked for it, or does not know that at all.
type streamer struct {
	old    bool // it refuses what it does not know
	length bool // it says how long its answer is
	pieces int  // in which the answer comes
	bodies []string
	accept []string
}

const (
	firstEvent = "data: {\"id\":\"1\",\"model\":\"gpt-4o\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
	usageEvent = "data: {\"id\":\"1\",\"model\":\"gpt-4o\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}\n\n"
	lastEvent  = "data: [DONE]\n\n"
	refusalOf  = `{"error":{"message":"Unrecognized request argument supplied: stream_options"}}`
)

func (s *streamer) RoundTrip(_ context.Context, a *Attempt) (*Answer, error) {
	body, err := io.ReadAll(a.Body)
	if err != nil {
		return nil, &AttemptError{Failure: FailBody, Text: "x", Sent: true, Err: err}
	}
	s.bodies, s.accept = append(s.bodies, string(body)), append(s.accept, get(a.Headers, "Accept-Encoding"))
	if a.Length != int64(len(body)) {
		return nil, &AttemptError{Failure: FailAnswer, Text: "the length is wrong", Sent: true, Err: io.ErrUnexpectedEOF}
	}
	asked := strings.Contains(string(body), `"include_usage":true`)
	if s.old && strings.Contains(string(body), "stream_options") {
		return &Answer{Status: 400, Headers: []Header{jsonType}, Length: -1, Body: io.NopCloser(strings.NewReader(refusalOf))}, nil
	}
	text := firstEvent
	if asked {
		text += usageEvent
	}
	text += lastEvent
	out := &Answer{Status: 200, Headers: []Header{sse}, Length: -1}
	if s.length {
		out.Length = int64(len(text))
		out.Headers = append(out.Headers, Header{"Content-Length", fmt.Sprint(len(text))})
	}
	to := &script{}
	for n := max(len(text)/max(s.pieces, 1), 1); len(text) > 0; {
		n = min(n, len(text))
		to.pieces, text = append(to.pieces, text[:n]), text[n:]
	}
	out.Body = &scriptBody{s: to}
	return out, nil
}

// Guarantee: what an endpoint asks of its target in the caller's place changes nothing else of the request, is charged by, and
// cannot be seen in the answer; a caller who asks for it gets it.
func TestInjectionIsInvisible(t *testing.T) {
	t.Parallel()
	const cost = 9*perIn + 4*perOut
	for name, tc := range map[string]struct {
		body, sent string
		caller     string
		cost       money.Nanos
		accept     string
	}{
		"not asked for":     {`{"model":"gpt-4o", "stream":true}`, `{"model":"gpt-4o", "stream":true,"stream_options":{"include_usage":true}}`, firstEvent + lastEvent, cost, "identity"},
		"asked for":         {`{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true}}`, "", firstEvent + usageEvent + lastEvent, cost, "gzip"},
		"asked not to have": {`{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":false}}`, "", firstEvent + lastEvent, fallback, "gzip"},
		"no stream":         {`{"model":"gpt-4o","stream":false}`, "", firstEvent + lastEvent, fallback, "gzip"},
		"no JSON":           {`"stream":true`, "", firstEvent + lastEvent, fallback, "gzip"},
	} {
		for _, pieces := range []int{1, 3, 1000} {
			for _, length := range []bool{false, true} {
				s := newStages(t, metered(t, chat, "INJECT", askUsage), &script{})
				to := &streamer{pieces: pieces, length: length}
				s.gateway.d.Upstream = to
				out := s.ask(context.Background(), &got{}, "POST", "/chat", tc.body, Header{"Accept-Encoding", "gzip"})
				if tc.sent == "" {
					tc.sent = tc.body
				}
				if len(to.bodies) != 1 || to.bodies[0] != tc.sent || to.accept[0] != tc.accept {
					t.Errorf("%s: the target got %q, %q", name, to.bodies, to.accept)
				}
				stripped := tc.accept == "identity"
				if out.body.String() != tc.caller || out.status != 200 || out.aborted || stripped && get(out.headers, "Content-Length") != "" {
					t.Errorf("%s: the caller got %q", name, out.body.String())
				}
				if _, _, end := s.lastIntent(); end.Cost != tc.cost || end.Unpriced != (tc.cost == fallback) || end.Outcome != outcomeOK {
					t.Errorf("%s: settled %+v", name, end)
				}
			}
		}
	}
}

// Guarantee: a target that does not know what is asked gets the request as the caller wrote it, at no cost for the first attempt,
// and the request is marked; for some time it is not asked again.
func TestInjectionRefused(t *testing.T) {
	t.Parallel()
	s := newStages(t, metered(t, chat, "INJECT", askUsage), &script{})
	to := &streamer{old: true}
	s.gateway.d.Upstream = to
	const body = `{"model":"gpt-4o","stream":true}`
	for n := range 2 {
		out := s.ask(context.Background(), &got{}, "POST", "/chat", body)
		if out.status != 200 || out.body.String() != firstEvent+lastEvent {
			t.Errorf("the caller got %d %q", out.status, out.body.String())
		}
		if _, _, end := s.lastIntent(); end.Cost != fallback || !end.Unpriced || len(s.spool.order) != 2+n || len(to.bodies) != 2+n {
			t.Errorf("%d attempts, settled %+v", len(to.bodies), end)
		}
	}
	if first := s.spool.ends[s.spool.order[0]][0]; first.Cost != 0 || first.Status != 400 || first.Outcome != outcomeTargetError {
		t.Errorf("the first attempt was settled %+v", first)
	}
	if to.bodies[0] == body || to.bodies[1] != body || to.bodies[2] != body {
		t.Errorf("the target got %q", to.bodies)
	}
	s.gateway.Forget(func(string) bool { return false })
	s.ask(context.Background(), &got{}, "POST", "/chat", body)
	if len(to.bodies) != 5 {
		t.Errorf("the target got %q", to.bodies)
	}
}

// Guarantee: a caller whose own body is refused, with an answer that names a field of the gateway's, does not keep the
// gateway from setting it for others.
func TestInjectionRefusedByTheCallersFault(t *testing.T) {
	t.Parallel()
	s := newStages(t, metered(t, chat, "INJECT", askUsage), &script{})
	to := &streamer{old: true}
	s.gateway.d.Upstream = to
	const wrong = `{"model":"gpt-4o","stream":true,"stream_options":{"mine":1}}`
	for range 2 {
		if out := s.ask(context.Background(), &got{}, "POST", "/chat", wrong); out.status != 400 || out.body.String() != refusalOf {
			t.Errorf("the caller got %d %q", out.status, out.body.String())
		}
	}
	to.old = false
	s.ask(context.Background(), &got{}, "POST", "/chat", `{"model":"gpt-4o","stream":true}`)
	if n := len(to.bodies); n != 5 || !strings.Contains(to.bodies[4], "include_usage") {
		t.Errorf("the target got %q", to.bodies)
	}
}

// Guarantee: an answer that refuses something else reaches the caller byte for byte, whatever was looked at.
func TestOtherRefusals(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"short": `{"error":"the model is missing"}`, "empty": "", "long": strings.Repeat("x", mostRefusal+10), "just as long": strings.Repeat("x", mostRefusal),
	} {
		for _, breaks := range []error{nil, errBroken} {
			s := newStages(t, metered(t, chat, "INJECT", askUsage), &script{status: 422, pieces: []string{text}, length: -1, breaks: breaks})
			out := s.ask(context.Background(), &got{}, "POST", "/chat", `{"model":"gpt-4o","stream":true}`)
			if out.status != 422 || out.body.String() != text || out.aborted != (breaks != nil) {
				t.Errorf("%s: the caller got %d and %d bytes, aborted %v", name, out.status, out.body.Len(), out.aborted)
			}
			if _, _, end := s.lastIntent(); end.Cost != 0 || len(s.spool.order) != 1 || end.Unpriced {
				t.Errorf("%s: settled %+v", name, end)
			}
		}
	}
}

// Guarantee: what bounds the cost of a request is put into it, and the hold counts on it; a body that the edge cannot read goes as
// it is.
func TestEnforcedBound(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body, sent string
		headers    []Header
	}{
		"missing":    {`{"model":"gpt-4o"}`, `{"model":"gpt-4o","max_tokens":100}`, nil},
		"there":      {`{"model":"gpt-4o","max_tokens":7}`, "", nil},
		"with a sum": {`{"model":"gpt-4o"}`, "", []Header{{"Content-Digest", "sha-256=:x:"}}},
		"encoded":    {`{"model":"gpt-4o"}`, "", []Header{{"Content-Encoding", "unknown"}}},
	} {
		to := &script{status: 200, headers: []Header{jsonType}, pieces: []string{`{"usage":{"prompt_tokens":1,"completion_tokens":1}}`}}
		s := newStages(t, metered(t, chat, "HOLD", boundHold), to)
		s.ask(context.Background(), &got{}, "POST", "/chat", tc.body, tc.headers...)
		if tc.sent == "" {
			tc.sent = tc.body
		}
		if to.body != tc.sent || to.attempt.Length != int64(len(tc.sent)) {
			t.Errorf("%s: the target got %q, said to be %d bytes", name, to.body, to.attempt.Length)
		}
		if in, _, _ := s.lastIntent(); name == "missing" && in.Amount != money.Nanos(len(tc.body)*perIn+100*perOut) {
			t.Errorf("%s: held %s", name, in.Amount)
		}
	}
}
