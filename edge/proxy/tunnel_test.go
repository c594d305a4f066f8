package proxy

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// wire is a connection in memory of which each direction ends on its own.
type wire struct {
	in  *io.PipeReader
	out *io.PipeWriter
}

// newWire is the two ends of one.
func newWire() (a, b wire) {
	toB, fromA := io.Pipe()
	toA, fromB := io.Pipe()
	return wire{toA, fromA}, wire{toB, fromB}
}

func (w wire) Read(p []byte) (int, error)  { return w.in.Read(p) }
func (w wire) Write(p []byte) (int, error) { return w.out.Write(p) }
func (w wire) CloseWrite() error           { return w.out.Close() }

func (w wire) Close() error {
	_ = w.in.CloseWithError(net.ErrClosed)
	return w.out.CloseWithError(net.ErrClosed)
}

// switched is a caller that asked for an upgrade.
type switched struct {
	got

	conn Conn
}

func (s *switched) Switch(headers []Header) (Conn, error) {
	s.headers = headers
	if s.conn == nil {
		return nil, io.EOF
	}
	return s.conn, nil
}

// serveTunnel begins a tunnel and returns its two far ends. The target's 101 has some more headers. The channel is closed
// when it is over.
func serveTunnel(t *testing.T, ctx context.Context, change func(e *routing.Endpoint), more ...Header) (s *stages, out *switched, caller, target wire, over chan struct{}) { //nolint:revive // the test comes first
	t.Helper()
	s, _ = newTries(t, 1, change)
	caller, nearCaller := newWire()
	target, nearTarget := newWire()
	s.gateway.d.Upstream = upstreamFunc(func(_ context.Context, a *Attempt) (*Answer, error) {
		if a.Upgrade != "websocket" {
			t.Errorf("the target was asked for %q", a.Upgrade)
		}
		return &Answer{Status: 101, Headers: append([]Header{{"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Sec-Websocket-Accept", "x"}}, more...), Conn: nearTarget}, nil
	})
	out, over = &switched{conn: nearCaller}, make(chan struct{})
	go func() {
		defer close(over)
		s.gateway.Serve(ctx, &Exchange{Method: "GET", Target: "/x", Upgrade: "websocket", Out: out, Headers: []Header{{"Authorization", s.key}}})
	}()
	return s, out, caller, target, over
}

func (w wire) say(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Errorf("say %q: %v", text, err)
	}
}

func (w wire) hear(t *testing.T, text string) {
	t.Helper()
	buf := make([]byte, len(text))
	if n, err := io.ReadFull(w, buf); err != nil || string(buf) != text {
		t.Errorf("heard %q, %v, want %q", buf[:n], err, text)
	}
}

func (w wire) hearEnd(t *testing.T) {
	t.Helper()
	if rest, err := io.ReadAll(w); err != nil || len(rest) > 0 {
		t.Errorf("heard %q, %v in place of the end", rest, err)
	}
}

// Guarantee (55, 57): after 101 bytes go both ways as they come, one side may stop sending and still
// hear the other, and a tunnel that both have ended is charged like an answer.
func TestTunnel(t *testing.T) {
	t.Parallel()
	s, out, caller, target, over := serveTunnel(t, t.Context(), nil)
	caller.say(t, "hello")
	target.hear(t, "hello")
	target.say(t, "welcome")
	caller.hear(t, "welcome")
	if err := caller.CloseWrite(); err != nil {
		t.Error(err)
	}
	target.hearEnd(t)
	big := strings.Repeat("z", 1<<20)
	var saying sync.WaitGroup
	saying.Go(func() {
		target.say(t, big)
		_ = target.CloseWrite()
	})
	caller.hear(t, big)
	caller.hearEnd(t)
	saying.Wait()
	<-over
	s.checkMoney()
	if _, _, end := s.lastIntent(); end.Outcome != outcomeOK || end.Status != 101 || end.Cost != price {
		t.Errorf("settled %+v", end)
	}
	if get(out.headers, "Sec-Websocket-Accept") != "x" || get(out.headers, "Upgrade") != "" || get(out.headers, HeaderCost) != "2.00" || out.aborted {
		t.Errorf("headers %q, aborted %v", out.headers, out.aborted)
	}
}

// Guarantee: however a tunnel ends, both sides are closed and what it cost is recorded with the reason.
func TestTunnelEnds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end     func(caller, target wire, stop context.CancelCauseFunc)
		outcome eventv1.SpendOutcome
	}{
		"the target breaks":  {func(_, target wire, _ context.CancelCauseFunc) { _ = target.out.CloseWithError(errBroken) }, outcomeInterrupted},
		"the caller breaks":  {func(caller, _ wire, _ context.CancelCauseFunc) { _ = caller.out.CloseWithError(errBroken) }, outcomeCallerGone},
		"the caller leaves":  {func(_, _ wire, stop context.CancelCauseFunc) { stop(ErrCallerGone) }, outcomeCallerGone},
		"the edge stops":     {func(_, _ wire, stop context.CancelCauseFunc) { stop(ErrCutOff) }, outcomeAbandoned},
		"silence":            {func(_, _ wire, _ context.CancelCauseFunc) {}, outcomeInterrupted},
		"silence of one end": {func(caller, _ wire, _ context.CancelCauseFunc) { _ = caller.CloseWrite() }, outcomeInterrupted},
		"the target is done while the caller speaks": {func(caller, target wire, _ context.CancelCauseFunc) {
			_ = target.CloseWrite()
			_ = target.in.CloseWithError(net.ErrClosed)
			synctest.Wait()
			_, _ = io.WriteString(caller, "more")
		}, outcomeOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancelCause(t.Context())
				defer stop(nil)
				s, _, caller, target, over := serveTunnel(t, ctx, func(e *routing.Endpoint) { e.Idle = 5 * time.Second })
				caller.say(t, "hello")
				target.hear(t, "hello")
				tc.end(caller, target, stop)
				<-over
				s.checkMoney()
				if _, _, end := s.lastIntent(); end.Outcome != tc.outcome || end.Cost != price {
					t.Errorf("settled %+v, want %s", end, tc.outcome)
				}
				if _, err := io.WriteString(caller, "x"); err == nil {
					t.Error("the caller's side is open")
				}
				if _, err := io.WriteString(target, "x"); err == nil {
					t.Error("the target's side is open")
				}
			})
		})
	}
}

// Guarantee: a tunnel is paid for in both directions as it goes, and cut where there is no more money.
func TestTunnelOfUsage(t *testing.T) {
	t.Parallel()
	s, out, caller, target, over := serveTunnel(t, t.Context(), func(e *routing.Endpoint) {
		e.Price = 0
		e.Usage = &routing.Usage{Hold: 100, Ceiling: true}
		e.Usage.RequestBytes.Counted, e.Usage.RequestBytes.PerMillion = true, 1_000_000
		e.Usage.ResponseBytes.Counted, e.Usage.ResponseBytes.PerMillion = true, 2_000_000
	})
	caller.say(t, strings.Repeat("u", 20))
	target.hear(t, strings.Repeat("u", 20))
	target.say(t, strings.Repeat("d", 30))
	caller.hear(t, strings.Repeat("d", 30))
	var saying sync.WaitGroup
	saying.Go(func() { target.say(t, strings.Repeat("d", 30)) })
	caller.hear(t, strings.Repeat("d", 10))
	saying.Wait()
	<-over
	s.checkMoney()
	if _, _, end := s.lastIntent(); end.Outcome != outcomeCut || end.Cost != money.Nanos(100) || end.Units != 60 {
		t.Errorf("settled %+v", end)
	}
	if told := get(out.headers, HeaderCost); told != "" {
		t.Errorf("a cost of %s was told before it was known", told)
	}
}

// Guarantee: a caller who is gone when the target switches leaves nothing open.
func TestTunnelWithoutCaller(t *testing.T) {
	t.Parallel()
	s, _ := newTries(t, 1, nil)
	far, near := newWire()
	s.gateway.d.Upstream = upstreamFunc(func(context.Context, *Attempt) (*Answer, error) {
		return &Answer{Status: 101, Conn: near}, nil
	})
	out := &switched{}
	s.gateway.Serve(t.Context(), &Exchange{Method: "GET", Target: "/x", Upgrade: "websocket", Out: out, Headers: []Header{{"Authorization", s.key}}})
	s.checkMoney()
	if _, _, end := s.lastIntent(); end.Outcome != outcomeCallerGone || !out.aborted {
		t.Errorf("settled %+v", end)
	}
	if _, err := far.Read(make([]byte, 1)); err == nil {
		t.Error("the target's side is open")
	}
}

// Guarantee (58): an upgrade that the target refuses is relayed as an ordinary answer.
func TestRefusedUpgrade(t *testing.T) {
	t.Parallel()
	s, _ := newTries(t, 1, nil, step{status: 403, body: `{"no":1}`})
	out := &switched{}
	s.gateway.Serve(t.Context(), &Exchange{Method: "GET", Target: "/x", Upgrade: "websocket", Out: out, Headers: []Header{{"Authorization", s.key}}})
	if out.status != 403 || out.body.String() != `{"no":1}` || s.money.spent != 0 {
		t.Errorf("got %d %q", out.status, out.body.String())
	}
}
