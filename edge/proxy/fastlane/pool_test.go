package fastlane

import (
	"io"
	"net"
	"testing"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/proxy/nethttp"
	"tollgate/edge/routing"
)

// Guarantee: a connection is not kept for longer than it may be, nor beside more than there may be.
func TestIdle(t *testing.T) {
	t.Parallel()
	closed := make(chan int, 8)
	script := func(n int, c *clienttest.Peer) {
		numbered(n, c, nil)
		closed <- n
	}
	old := clienttest.TargetAt(t, "http://"+clienttest.Listen(t, script), routing.Transport{})
	c, _ := testClient(t, func(cfg *nethttp.ClientConfig) { cfg.IdleTimeout = 20 * time.Millisecond })
	clienttest.Do(t, c, clienttest.AttemptAt(old))
	clienttest.Receive(t, closed, "end of the old connection")
	many := clienttest.TargetAt(t, "http://"+clienttest.Listen(t, script), routing.Transport{})
	c, _ = testClient(t, func(cfg *nethttp.ClientConfig) { cfg.MaxIdle = 1 })
	var open []*proxy.Answer
	for range 2 {
		answer, err := c.RoundTrip(t.Context(), clienttest.AttemptAt(many))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, answer)
	}
	for _, answer := range open {
		_, _ = io.ReadAll(answer.Body)
		_ = answer.Body.Close()
	}
	if n := clienttest.Receive(t, closed, "end of one too many"); n != 2 {
		t.Errorf("connection %d ended", n)
	}
}

// Guarantee: a connection that the target closes while nobody uses it is not kept until somebody wants it.
func TestClosedWhileIdle(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	c, _ := testClient(t)
	target := clienttest.TargetAt(t, "http://"+clienttest.Listen(t, func(n int, p *clienttest.Peer) {
		p.Head()
		p.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		_ = p.Conn.(*net.TCPConn).CloseWrite()
		p.Rest() // until the other side has closed it, too
		close(closed)
	}), routing.Transport{})
	clienttest.Do(t, c, clienttest.AttemptAt(target))
	idle := &c.target(target).idle
	for patience := time.After(clienttest.Patience); ; {
		idle.sweep(0)
		select {
		case <-closed:
			return
		case <-patience:
			t.Fatal("it is still kept")
		default:
		}
	}
}
