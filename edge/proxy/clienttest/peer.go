package clienttest

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is for what happens at once unless something is broken.
const Patience = 10 * time.Second

// Listen plays script on each connection that comes, with its number, until the test ends.
func Listen(tb testing.TB, script func(n int, c *Peer)) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
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
				script(n, &Peer{nc, bufio.NewReader(nc)})
			})
		}
	})
	tb.Cleanup(func() {
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

// Peer is a target's end of a connection.
type Peer struct {
	net.Conn
	R *bufio.Reader
}

// Head reads a request up to the empty line; empty when the connection ends.
func (c *Peer) Head() string {
	var b strings.Builder
	for {
		line, err := c.R.ReadString('\n')
		if err != nil {
			return ""
		}
		b.WriteString(line)
		if line == "\r\n" {
			return b.String()
		}
	}
}

// Say writes.
func (c *Peer) Say(s string) { _, _ = io.WriteString(c, s) }

// Rest reads until the other side ends.
func (c *Peer) Rest() string {
	b, _ := io.ReadAll(c.R)
	return string(b)
}

// Receive is a value of a channel, or the end of the test.
func Receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(Patience):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}
