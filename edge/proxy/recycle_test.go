package proxy

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Guarantee: the memory of an exchange serves another one only where nobody can know of it any more: not if the attempt may still be
// going on, if another one was made beside it or after it, if it became a tunnel, or if it ended by a bug.
func TestMemoryIsLeftWhereSomebodyMayUseIt(t *testing.T) { // alone, so that nobody else takes what was left
	type seen struct {
		first *Attempt
		n     int
	}
	for name, tc := range map[string]struct {
		endpoint *eventv1.RouteEndpoint
		answer   func(s *seen, a *Attempt) (*Answer, error)
		change   func(c *canned)
		left     bool
	}{
		"over":             {answer: func(_ *seen, a *Attempt) (*Answer, error) { a.Over = true; return nil, nil }},
		"may still go on":  {answer: func(*seen, *Attempt) (*Answer, error) { return nil, nil }, left: true},
		"refused at first": {change: func(c *canned) { c.x.Headers = nil }},
		"a bug": {left: true, answer: func(_ *seen, a *Attempt) (*Answer, error) {
			a.Over = true
			panic("a bug")
		}},
		"made twice": {left: true, answer: func(s *seen, a *Attempt) (*Answer, error) {
			if a.Over = true; s.n == 1 {
				return nil, &AttemptError{Failure: FailAnswer, Text: "closed", Err: errBroken}
			}
			return nil, nil
		}},
		"a tunnel": {left: true, change: func(c *canned) {
			c.x.Body, c.x.Length, c.x.Method, c.x.Upgrade, c.x.Arrived = nil, 0, "GET", "websocket", false
		}, answer: func(_ *seen, a *Attempt) (*Answer, error) {
			a.Over = true
			return &Answer{Status: 101, Conn: endedConn{}}, nil
		}},
		"may be made twice at a time": {
			left: true, endpoint: &eventv1.RouteEndpoint{PriceNanos: 5, Hedge: &eventv1.HedgePolicy{AfterMs: 10_000, AnyMethod: true}},
			answer: func(_ *seen, a *Attempt) (*Answer, error) { a.Over = true; return nil, nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			endpoint := tc.endpoint
			if endpoint == nil {
				endpoint = &eventv1.RouteEndpoint{PriceNanos: 5}
			}
			c := newCanned(t, endpoint, cannedJSON)
			var s seen
			c.gateway.d.Upstream = upstreamFunc(func(ctx context.Context, a *Attempt) (*Answer, error) {
				if s.n++; s.n == 1 {
					s.first = a
				}
				answer, err := tc.answer(&s, a)
				if answer == nil && err == nil {
					c.pieces.at, answer = 0, &c.answer
				}
				return answer, err
			})
			if tc.change != nil {
				tc.change(c)
			}
			c.serve(t.Context())
			if s.first == nil {
				if tc.answer != nil {
					t.Fatalf("nothing was asked; answered %d", c.status)
				}
				return
			}
			if left := s.first.Target != nil; left != tc.left {
				t.Errorf("answered %d; it is left to the collector: %v, want %v", c.status, left, tc.left)
			}
		})
	}
}

// endedConn is a connection on which nothing comes any more.
type endedConn struct{}

func (endedConn) Read([]byte) (int, error)    { return 0, io.EOF }
func (endedConn) Write(p []byte) (int, error) { return len(p), nil }
func (endedConn) Close() error                { return nil }
func (endedConn) CloseWrite() error           { return nil }

// Guarantee: of an exchange nothing is seen in another one that has its memory, whatever became of it: not its headers, not its path,
// not its body, not what its answer says.
func TestExchangesDoNotMix(t *testing.T) {
	t.Parallel()
	c := newCanned(t, &eventv1.RouteEndpoint{PriceNanos: 5, Forward: eventv1.ForwardMode_FORWARD_MODE_ALL}, cannedJSON)
	c.gateway.d.Upstream = upstreamFunc(func(_ context.Context, a *Attempt) (*Answer, error) {
		who := get(a.Headers, "X-Who")
		if a.URI != "/base/"+who || len(a.Headers) != 2+len(who)%3 {
			return nil, fmt.Errorf("%s is asked for %s with %v", who, a.URI, a.Headers)
		}
		if a.Body != nil {
			text, err := a.Body.(Arrived).All()
			if err != nil || string(text) != strings.Repeat(who, 10) {
				return nil, fmt.Errorf("%s sends %q: %w", who, text, err)
			}
		}
		a.Over = len(who)%5 > 0
		if len(who)%7 == 0 {
			return nil, &AttemptError{Failure: FailTimeout, Text: who, Sent: true, Err: errBroken}
		}
		return &Answer{
			Status: 200, Length: -1, Headers: []Header{{"X-Who", who}, {"Connection", "x-" + who}, {"X-" + who, "1"}},
			Body: io.NopCloser(strings.NewReader("for " + who)),
		}, nil
	})
	var callers sync.WaitGroup
	for n := range 8 {
		callers.Go(func() {
			for i := range 300 {
				who := fmt.Sprintf("n%d%s", n, strings.Repeat("y", i%40))
				x := &Exchange{
					Method: "POST", Target: "/x/" + who, Proto: HTTP11, Text: make([]byte, 0, i%300),
					Headers: []Header{{"Authorization", "Bearer " + testKey}, {"X-Who", who}, {"Connection", "x-gone"}, {"X-Gone", who}, {"Accept", "a"}},
				}
				for j := range len(who) % 3 {
					x.Headers = append(x.Headers, Header{fmt.Sprintf("X-More-%d", j), who})
				}
				if i%2 == 0 {
					text := []byte(strings.Repeat(who, 10))
					x.Body, x.Length, x.Arrived = &cannedRequest{text: text}, int64(len(text)), true
				}
				out := &got{}
				x.Out = out
				c.gateway.Serve(context.Background(), x)
				want := "for " + who
				if len(who)%7 == 0 {
					want = "a.example sent no answer within " + who + "."
				}
				if body := out.body.String(); !strings.Contains(body, want) || len(who)%7 > 0 && (body != want || get(out.headers, "X-Who") != who || get(out.headers, "X-"+who) != "") {
					t.Errorf("%s got %d %v %s", who, out.status, out.headers, body)
				}
			}
		})
	}
	callers.Wait()
}
