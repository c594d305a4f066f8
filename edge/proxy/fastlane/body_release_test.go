package fastlane

import (
	"context"
	"strings"
	"testing"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
)

// Guarantee: a body that nobody needs any more leaves the connection without a buffer while the answer lasts, but not if another
// request came behind it, or if it was not read.
func TestReleasedBodiesHoldNoBuffer(t *testing.T) {
	t.Parallel()
	const first = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
	second := strings.Replace(first, "/a", "/b", 1)
	type state struct{ unread, read bool } // whether there is a buffer
	seen := make(chan state, 2)
	e := serveFast(t, handle(func(_ context.Context, x *proxy.Exchange) {
		b, ok := x.Body.(*body)
		if !ok || !b.arrived {
			t.Errorf("the body of %s is no arrived one", x.Target)
			return
		}
		var s state
		b.Release()
		s.unread = b.c.wire.buf != nil
		if text := string(b.Bytes()); text != "abc" {
			t.Errorf("the body of %s is %q", x.Target, text)
		}
		b.Release()
		s.read = b.c.wire.buf != nil
		seen <- s
		clienttest.Reply(x, x.Target)
	}))
	p := e.dial()
	p.Send(first + second)
	for _, want := range []struct {
		text string
		state
	}{{"/a", state{true, true}}, {"/b", state{true, false}}} {
		if got := clienttest.Receive(t, seen, "an exchange"); got != want.state {
			t.Errorf("%s: %+v, want %+v", want.text, got, want.state)
		}
		if _, text := p.Answer("POST"); text != want.text {
			t.Errorf("answer %q, want %q", text, want.text)
		}
	}
}
