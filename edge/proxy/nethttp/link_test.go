package nethttp

import (
	"io"
	"strings"
	"testing"

	"tollgate/edge/proxy"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Guarantee: targets of one key share connections. Those of a target that is no longer configured are
// closed, at once if they are idle, else when what runs on them has ended, which it does undisturbed.
func TestSync(t *testing.T) {
	t.Parallel()
	opened, closed := make(chan int, 8), make(chan int, 8)
	goOn := make(chan struct{})
	addr := listen(t, func(n int, c *peer) {
		opened <- n
		for {
			h := c.head()
			if h == "" {
				break
			}
			if strings.HasPrefix(h, "GET /slow ") {
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl")
				<-goOn
				c.say("ow")
				continue
			}
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
		closed <- n
	})
	c := testClient(t)
	one, same := targetAt(t, "http://"+addr, routing.Transport{}), targetAt(t, "http://"+addr, routing.Transport{})
	configured := []*routing.Endpoint{{Targets: []*routing.Target{one, same}}}
	do(t, c, attemptAt(one))
	do(t, c, attemptAt(same))
	c.Sync(configured)
	do(t, c, attemptAt(one))
	receive(t, opened, "connection")
	slow := attemptAt(one)
	slow.URI = "/slow"
	answer, err := c.RoundTrip(t.Context(), slow)
	if err != nil {
		t.Fatal(err)
	}
	do(t, c, attemptAt(one)) // on a second connection, which is idle then
	receive(t, opened, "second connection")
	c.Sync(nil)
	if n := receive(t, closed, "end of the idle connection"); n != 2 {
		t.Errorf("connection %d was closed", n)
	}
	close(goOn)
	if b, err := io.ReadAll(answer.Body); string(b) != "slow" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	answer.Body.Close()
	receive(t, closed, "end of the other")
	do(t, c, attemptAt(one)) // configured again
	if n := receive(t, opened, "third connection"); n != 3 {
		t.Errorf("connection %d", n)
	}
	c.Close()
	receive(t, closed, "end of the third")
}

// Guarantee: a shared connection in HTTP/2 of a target that is gone is closed with its last stream.
func TestSyncHTTP2(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	goOn := make(chan struct{})
	target := listen2(t, func(_ int, f *framed) {
		h := f.head()
		f.say(h.StreamID, false, ":status", "200")
		<-goOn
		_ = f.WriteData(h.StreamID, true, []byte("ok"))
		f.rest()
		close(closed)
	})
	c := testClient(t)
	answer, err := c.RoundTrip(t.Context(), attemptAt(target))
	if err != nil {
		t.Fatal(err)
	}
	c.Sync(nil)
	close(goOn)
	if b, err := io.ReadAll(answer.Body); string(b) != "ok" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	answer.Body.Close()
	receive(t, closed, "end of the connection")
}

// Guarantee: how a target is connected to is its own: what one of them is configured with does nothing to
// another at the same address.
func TestLinksApart(t *testing.T) {
	t.Parallel()
	addr := listen(t, func(_ int, c *peer) {
		if first, err := c.r.Peek(3); err != nil || string(first) == "PRI" {
			return
		}
		for c.head() != "" {
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	old := targetAt(t, "http://"+addr, routing.Transport{})
	fresh := targetAt(t, "http://"+addr, routing.Transport{HTTP: eventv1.TargetHttp_TARGET_HTTP_2})
	fresh.Key += " 2"
	c := testClient(t)
	do(t, c, attemptAt(old))
	if e := fail(t, c, attemptAt(fresh)); e.Failure != proxy.FailAnswer {
		t.Errorf("got %d %s", e.Failure, e.Text)
	}
	do(t, c, attemptAt(old))
}
