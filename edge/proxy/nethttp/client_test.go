package nethttp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/routing"
)

const patience = 10 * time.Second // for what happens at once unless something is broken

// listen plays script on each connection that comes, with its number, until the test ends.
func listen(t *testing.T, script func(n int, c *peer)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	wg.Go(func() {
		for n := 1; ; n++ {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[nc] = true
			mu.Unlock()
			wg.Go(func() {
				defer nc.Close()
				script(n, &peer{nc, bufio.NewReader(nc)})
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for nc := range open {
			nc.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// peer is a target's end of a connection.
type peer struct {
	net.Conn
	r *bufio.Reader
}

// head reads a request up to the empty line; empty when the connection ends.
func (c *peer) head() string {
	var b strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return ""
		}
		b.WriteString(line)
		if line == "\r\n" {
			return b.String()
		}
	}
}

func (c *peer) say(s string) { _, _ = io.WriteString(c, s) }

// rest reads until the other side ends.
func (c *peer) rest() string {
	b, _ := io.ReadAll(c.r)
	return string(b)
}

func testClient(t *testing.T, change ...func(*ClientConfig)) *Client {
	t.Helper()
	cfg := DefaultClientConfig()
	cfg.AllowPrivate = true
	for _, f := range change {
		f(&cfg)
	}
	c := NewClient(cfg)
	t.Cleanup(c.Close)
	return c
}

// targetAt is a target at a base URL.
func targetAt(t *testing.T, base string, transport routing.Transport) *routing.Target {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return &routing.Target{Scheme: u.Scheme, Host: u.Host, Key: base, Transport: transport}
}

// attemptAt is a GET that a case changes.
func attemptAt(target *routing.Target) *proxy.Attempt {
	return &proxy.Attempt{
		Target: target, Method: "GET", URI: "/", HeaderTimeout: patience, Interim: func(int, []proxy.Header) {},
	}
}

// body is a request body made of pieces, each of which is waited for.
type body struct {
	pieces   chan string
	end      error
	trailers []proxy.Header

	mu     sync.Mutex
	left   string
	broken chan struct{}
	once   sync.Once
}

// bodyOf is a body that is all there.
func bodyOf(pieces ...string) *body {
	b := &body{pieces: make(chan string, len(pieces)+16), end: io.EOF, broken: make(chan struct{})}
	for _, p := range pieces {
		b.pieces <- p
	}
	close(b.pieces)
	return b
}

// slowBody is one whose pieces a case sends.
func slowBody() *body {
	return &body{pieces: make(chan string, 16), end: io.EOF, broken: make(chan struct{})}
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left == "" {
		select {
		case <-b.broken:
			return 0, errInterrupted
		case s, ok := <-b.pieces:
			if !ok {
				return 0, b.end
			}
			b.left = s
		}
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}

func (b *body) Interrupt()               { b.once.Do(func() { close(b.broken) }) }
func (b *body) Drain()                   {}
func (b *body) Trailers() []proxy.Header { return b.trailers }

// do makes an attempt that must succeed, and reads its body.
func do(t *testing.T, c *Client, a *proxy.Attempt) (*proxy.Answer, string) {
	t.Helper()
	answer, err := c.RoundTrip(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("body: %v", err)
	}
	return answer, string(b)
}

// fail makes an attempt that must fail.
func fail(t *testing.T, c *Client, a *proxy.Attempt) *proxy.AttemptError {
	t.Helper()
	return failIn(t.Context(), t, c, a)
}

func failIn(ctx context.Context, t *testing.T, c *Client, a *proxy.Attempt) *proxy.AttemptError {
	t.Helper()
	answer, err := c.RoundTrip(ctx, a)
	e, ok := errors.AsType[*proxy.AttemptError](err)
	if !ok {
		if answer != nil && answer.Body != nil {
			answer.Body.Close()
		}
		t.Fatalf("got %v, %v", answer, err)
	}
	return e
}

func want(t *testing.T, e *proxy.AttemptError, failure proxy.Failure, sent bool, text string) {
	t.Helper()
	if e.Failure != failure || e.Sent != sent || !strings.Contains(e.Text, text) {
		t.Errorf("failure %d (%s), sent %t, %v; want %d (%s), %t", e.Failure, e.Text, e.Sent, e.Err, failure, text, sent)
	}
}

// receive is a value of a channel, or the end of the test.
func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

func has(headers []proxy.Header, name, value string) bool {
	for _, h := range headers {
		if strings.EqualFold(h.Name, name) && h.Value == value {
			return true
		}
	}
	return false
}
