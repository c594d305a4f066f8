package proxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"tollgate/edge/breaker"
	"tollgate/edge/pool"
	"tollgate/edge/routing"
)

// Guarantee: above the limit of requests at a time the next ones are refused at once and told when to
// come back; refused ones keep nobody out, and a place that is left is taken again.
func TestTooManyAtATime(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *options) { o.proxy.MaxInFlight = 2 })
	asked, finish := make(chan struct{}, 10), make(chan struct{})
	b.vendor.play(func(c *conn) {
		for {
			if _, err := readHead(c.r); err != nil {
				return
			}
			asked <- struct{}{}
			b.vendor.wait(finish)
			c.send("%s", okReply)
		}
	})
	running := []*conn{b.dial(), b.dial()}
	for _, c := range running {
		c.send("%s", auth(get1("/x")))
		receive(t, asked, "request")
	}
	// Some of the refused ones are still held up by the rest of their bodies.
	for range 5 {
		c := b.dial()
		c.send("%s", auth(request("POST", "/x", "{A}", "Content-Length: 1000")))
		if m := c.answer("POST"); m.status() != 503 || header(m.headers, "Retry-After") != "1" || !strings.Contains(m.body, `"code":"overloaded"`) {
			t.Errorf("got %s %q %s", m.first, m.headers, m.body)
		}
	}
	close(finish)
	for _, c := range running {
		if m := c.answer("GET"); m.status() != 200 {
			t.Errorf("got %s", m.first)
		}
	}
	for range 3 { // one at a time, so there is always a place
		running[0].send("%s", auth(get1("/x")))
		if m := running[0].answer("GET"); m.status() != 200 {
			t.Errorf("after the others: got %s %s", m.first, m.body)
		}
	}
	if n := b.gateway.admitted.Load(); n > 1 {
		t.Errorf("%d places are taken", n)
	}
}

// outcomes is a pool that notes what it is told.
type outcomes struct {
	*pool.Pools
	mu   sync.Mutex // guards told
	told []breaker.Outcome
}

func (o *outcomes) Pick(e *routing.Endpoint, t *pool.Tries, _ *pool.Choice) (*pool.Choice, error) {
	if _, err := o.Pools.Pick(e, t, nil); err != nil {
		return nil, err
	}
	var once sync.Once
	return pool.NewChoice(e, 0, -1, func(r pool.Result) {
		once.Do(func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.told = append(o.told, r.Outcome)
		})
	}), nil
}

// Guarantee (40): a kept connection that turns out to be closed before anything was written costs one
// more attempt on a new one, and does not count against the target; a second time does.
func TestStaleConnection(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fails  int
		status int
		told   []breaker.Outcome
	}{
		"once":  {1, 200, []breaker.Outcome{breaker.Abandoned, breaker.Success}},
		"twice": {2, 502, []breaker.Outcome{breaker.Abandoned, breaker.Failure}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told, calls := &outcomes{Pools: pool.New(slog.New(slog.DiscardHandler))}, 0
			b := newBench(t, func(o *options) {
				o.pools = told
				o.upstream = broken{answer: func() (*Answer, error) {
					if calls++; calls <= tc.fails {
						return nil, &AttemptError{Failure: FailAnswer, Text: "closed", Err: io.EOF}
					}
					return &Answer{Status: 200, Body: io.NopCloser(strings.NewReader(""))}, nil
				}}
			})
			c := b.dial()
			c.send("%s", auth(post("/x", "{}")))
			if m := c.answer("POST"); m.status() != tc.status {
				t.Errorf("got %s", m.first)
			}
			told.mu.Lock()
			defer told.mu.Unlock()
			if fmt.Sprint(told.told) != fmt.Sprint(tc.told) || len(b.spool.intents) != 2 {
				t.Errorf("the breaker was told %v in %d attempts", told.told, len(b.spool.intents))
			}
		})
	}
}

// Guarantee: a caller who takes nothing cannot hold an attempt with interim answers beyond its timeouts.
func TestInterimsToNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *options) {
		o.server.PeerTimeout = 100 * time.Millisecond
		o.proxy.HeaderTimeout = 300 * time.Millisecond
	})
	b.vendor.play(func(c *conn) {
		if _, err := readHead(c.r); err != nil {
			return
		}
		hint := "HTTP/1.1 103 Early Hints\r\nLink: " + strings.Repeat("x", 64<<10) + "\r\n\r\n"
		for {
			if _, err := io.WriteString(c.Conn, hint); err != nil {
				return
			}
		}
	})
	c := b.dial()
	if err := c.Conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	c.send("%s", auth(get1("/x")))
	b.wantSettled(0, outcomeUnreachable, 0)
}

// resolver answers every question with one address.
func resolver(t *testing.T, address [4]byte) *net.Resolver {
	t.Helper()
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			length := make([]byte, 2)
			if _, err := io.ReadFull(server, length); err != nil {
				return
			}
			raw := make([]byte, int(length[0])<<8|int(length[1]))
			if _, err := io.ReadFull(server, raw); err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(raw); err != nil {
				t.Error(err)
				return
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
					Body:   &dnsmessage.AResource{A: address},
				}}
			}
			raw, err := m.Pack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = server.Write(append([]byte{byte(len(raw) >> 8), byte(len(raw))}, raw...)) // the client may be gone
		}()
		return client, nil
	}}
}

// Guarantee: a name leads nowhere that its address would not, whatever a name server says; and no
// environment variable leads elsewhere.
func TestNamesAreGuarded(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		address [4]byte
		private bool
	}{
		"metadata":                {[4]byte{169, 254, 169, 254}, true},
		"another metadata":        {[4]byte{100, 100, 100, 200}, true},
		"this host":               {[4]byte{0, 0, 0, 0}, true},
		"a private address":       {[4]byte{10, 1, 2, 3}, false},
		"the loopback, by a name": {[4]byte{127, 0, 0, 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(o *options) {
				o.client.AllowPrivate, o.client.Resolver = tc.private, resolver(t, tc.address)
				for _, e := range o.endpoints {
					e.Targets = []string{"http://target.example:80"}
				}
			})
			c := b.dial()
			c.send("%s", auth(get1("/x")))
			if m := c.answer("GET"); m.status() != 502 || !strings.Contains(m.body, "does not connect to") {
				t.Errorf("got %s %s", m.first, m.body)
			}
			b.wantSettled(0, outcomeUnreachable, 0)
		})
	}
}

// Guarantee: addresses written as numbers in other bases are no way around the guard.
func TestNumbersAreNames(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"2130706433", "0177.0.0.1", "0x7f.1", "127.1", "[::ffff:7f00:1]", "[::]", "0.0.0.0"} {
		b := newBench(t, func(o *options) {
			o.client.AllowPrivate = false
			o.client.Resolver = resolver(t, [4]byte{127, 0, 0, 1})
			for _, e := range o.endpoints {
				e.Targets[0] = strings.Replace(e.GetTargets()[0], "127.0.0.1", host, 1)
			}
		})
		c := b.dial()
		c.send("%s", auth(get1("/x")))
		if m := c.answer("GET"); m.status() != 502 {
			t.Errorf("%s: got %s %s", host, m.first, m.body)
		}
		b.vendor.mu.Lock()
		if b.vendor.conns > 0 {
			t.Errorf("%s: connected", host)
		}
		b.vendor.mu.Unlock()
	}
}
