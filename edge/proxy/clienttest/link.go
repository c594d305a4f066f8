package clienttest

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
func (n New) sync(t *testing.T) {
	t.Helper()
	opened, closed := make(chan int, 8), make(chan int, 8)
	goOn := make(chan struct{})
	addr := Listen(t, func(n int, c *Peer) {
		opened <- n
		for {
			h := c.Head()
			if h == "" {
				break
			}
			if strings.HasPrefix(h, "GET /slow ") {
				c.Say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl")
				<-goOn
				c.Say("ow")
				continue
			}
			c.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
		closed <- n
	})
	c := n.client(t)
	one, same := TargetAt(t, "http://"+addr, routing.Transport{}), TargetAt(t, "http://"+addr, routing.Transport{})
	configured := []*routing.Endpoint{{Targets: []*routing.Target{one, same}}}
	Do(t, c, AttemptAt(one))
	Do(t, c, AttemptAt(same))
	c.Sync(configured)
	Do(t, c, AttemptAt(one))
	Receive(t, opened, "connection")
	slow := AttemptAt(one)
	slow.URI = "/slow"
	answer, err := c.RoundTrip(t.Context(), slow)
	if err != nil {
		t.Fatal(err)
	}
	Do(t, c, AttemptAt(one)) // on a second connection, which is idle then
	Receive(t, opened, "second connection")
	c.Sync(nil)
	if n := Receive(t, closed, "end of the idle connection"); n != 2 {
		t.Errorf("connection %d was closed", n)
	}
	close(goOn)
	if b, err := io.ReadAll(answer.Body); string(b) != "slow" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	answer.Body.Close()
	Receive(t, closed, "end of the other")
	Do(t, c, AttemptAt(one)) // configured again
	if n := Receive(t, opened, "third connection"); n != 3 {
		t.Errorf("connection %d", n)
	}
	c.Close()
	Receive(t, closed, "end of the third")
}

// Guarantee: how a target is connected to is its own: what one of them is configured with does nothing to
// another at the same address.
func (n New) linksApart(t *testing.T) {
	t.Helper()
	addr := Listen(t, func(_ int, c *Peer) {
		if first, err := c.R.Peek(3); err != nil || string(first) == "PRI" {
			return
		}
		for c.Head() != "" {
			c.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	old := TargetAt(t, "http://"+addr, routing.Transport{})
	fresh := TargetAt(t, "http://"+addr, routing.Transport{HTTP: eventv1.TargetHttp_TARGET_HTTP_2})
	fresh.Key += " 2"
	c := n.client(t)
	Do(t, c, AttemptAt(old))
	if e := Fail(t, c, AttemptAt(fresh)); e.Failure != proxy.FailAnswer {
		t.Errorf("got %d %s", e.Failure, e.Text)
	}
	Do(t, c, AttemptAt(old))
}
