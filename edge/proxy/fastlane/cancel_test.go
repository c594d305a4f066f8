package fastlane

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/routing"
)

// teller is a context as a server has it for a connection.
type teller struct {
	context.Context

	mu   sync.Mutex
	kept interruptible
}

func (c *teller) Value(key any) any {
	if key == any(interrupterKey) {
		return c
	}
	return c.Context.Value(key)
}

func (c *teller) onEnd(i interruptible) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = i
	return true
}

func (c *teller) offEnd(interruptible) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = nil
	return true
}

// tell tells what is bound at present.
func (c *teller) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept.interrupted()
}

// Guarantee: an attempt ends when its exchange does, whatever it waits for, and its connection is no other attempt's then; the body
// of the caller is not waited for either.
func TestCancel(t *testing.T) {
	t.Parallel()
	for state, tc := range map[string]struct {
		script func(c *clienttest.Peer, there chan<- struct{}, over <-chan struct{})
		change func(a *proxy.Attempt)
		sent   bool
	}{
		"head": {func(c *clienttest.Peer, there chan<- struct{}, over <-chan struct{}) {
			c.Head()
			there <- struct{}{}
			c.Rest()
		}, nil, true},
		"half a head": {func(c *clienttest.Peer, there chan<- struct{}, over <-chan struct{}) {
			c.Head()
			c.Say("HTTP/1.1 200 OK\r\nX-A")
			there <- struct{}{}
			c.Rest()
		}, nil, true},
		"odd head": {func(c *clienttest.Peer, there chan<- struct{}, over <-chan struct{}) {
			c.Head()
			c.Say("HTTP/1.1 200 OK\nX-A")
			there <- struct{}{}
			c.Rest()
		}, nil, true},
		"body of the caller": {func(c *clienttest.Peer, there chan<- struct{}, over <-chan struct{}) {
			c.Head()
			there <- struct{}{}
			c.Rest()
		}, func(a *proxy.Attempt) { a.Method, a.Body, a.Length = "POST", clienttest.SlowBody(), 5 }, true},
		"long arrived body that is not taken": {func(c *clienttest.Peer, there chan<- struct{}, over <-chan struct{}) {
			c.Head()
			there <- struct{}{}
			<-over
		}, func(a *proxy.Attempt) {
			a.Method, a.Body, a.Length = "POST", clienttest.ArrivedBody(strings.Repeat("x", 32<<20)), 32<<20
		}, true},
	} {
		for _, by := range []string{"context", "server", "time"} {
			t.Run(state+" "+by, func(t *testing.T) {
				t.Parallel()
				there, over := make(chan struct{}, 1), make(chan struct{})
				defer close(over)
				target := clienttest.TargetAt(t, "http://"+clienttest.Listen(t, func(n int, c *clienttest.Peer) {
					if n == 1 {
						tc.script(c, there, over)
						return
					}
					numbered(n, c, nil)
				}), routing.Transport{})
				c, _ := testClient(t)
				a := clienttest.AttemptAt(target)
				if tc.change != nil {
					tc.change(a)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				failure, text := proxy.FailCanceled, "the exchange ended"
				switch by {
				case "context":
					go func() { <-there; cancel() }()
				case "server":
					server := &teller{Context: ctx}
					ctx = server
					go func() { <-there; server.tell() }()
				case "time":
					if state == "body of the caller" {
						return // the clock stands
					}
					a.HeaderTimeout, failure, text = 30*time.Millisecond, proxy.FailTimeout, "30ms"
				}
				clienttest.Want(t, clienttest.FailIn(ctx, t, c, a), failure, tc.sent, text)
				if _, got := clienttest.Do(t, c, clienttest.AttemptAt(target)); got != "2.1" {
					t.Errorf("the next answer is %q", got)
				}
			})
		}
	}
}

// Guarantee: a body that is waited for ends with its exchange, or when it is canceled, and nothing of either reaches the attempt that
// comes next on the same memory.
func TestCancelBody(t *testing.T) {
	t.Parallel()
	cause := errors.New("nobody reads it")
	for _, by := range []string{"context", "server", "cancel"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			target := clienttest.TargetAt(t, "http://"+clienttest.Listen(t, func(n int, c *clienttest.Peer) {
				if n > 1 {
					numbered(n, c, nil)
					return
				}
				c.Head()
				c.Say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
				c.Rest()
			}), routing.Transport{})
			c, _ := testClient(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			told := &teller{Context: ctx}
			if by == "server" {
				ctx = told
			}
			a := clienttest.AttemptAt(target)
			answer, err := c.RoundTrip(ctx, a)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(answer.Body, make([]byte, 2)); err != nil {
				t.Fatal(err)
			}
			switch by {
			case "context":
				time.AfterFunc(time.Millisecond, cancel)
			case "server":
				time.AfterFunc(time.Millisecond, told.tell)
			case "cancel":
				time.AfterFunc(time.Millisecond, func() { answer.Cancel(cause) })
			}
			if n, err := answer.Body.Read(make([]byte, 9)); err == nil || errors.Is(err, io.EOF) || by == "cancel" && !errors.Is(err, cause) {
				t.Errorf("got %d, %v", n, err)
			}
			_ = answer.Body.Close()
			if _, got := clienttest.Do(t, c, clienttest.AttemptAt(target)); got != "2.1" {
				t.Errorf("the next answer is %q", got)
			}
		})
	}
}

// Guarantee: an attempt that ends while it is being connected says so.
func TestCancelDial(t *testing.T) {
	t.Parallel()
	addr := clienttest.Listen(t, func(_ int, c *clienttest.Peer) { c.Rest() })
	c, _ := testClient(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	target := clienttest.TargetAt(t, "https://"+addr, routing.Transport{}) // the handshake never ends
	clienttest.Want(t, clienttest.FailIn(ctx, t, c, clienttest.AttemptAt(target)), proxy.FailCanceled, false, "the exchange ended")
	clienttest.Want(t, clienttest.FailIn(ctx, t, c, clienttest.AttemptAt(target)), proxy.FailCanceled, false, "the exchange ended")
	a := clienttest.AttemptAt(target)
	a.HeaderTimeout = 10 * time.Millisecond
	clienttest.Want(t, clienttest.Fail(t, c, a), proxy.FailConnect, false, "it timed out")
}
