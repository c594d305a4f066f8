package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// message is a request or an answer as it went over the wire.
type message struct {
	first   string   // request or status line
	headers []string // lines as they came
	body    string   // without its framing
	chunked bool
	err     error // how reading it ended, nil if it was complete
}

// head reads the first line and the headers.
func readHead(r *bufio.Reader) (message, error) {
	var m message
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return m, err
		}
		line = strings.TrimRight(line, "\r\n")
		switch {
		case m.first == "":
			m.first = line
		case line == "":
			return m, nil
		default:
			m.headers = append(m.headers, line)
		}
	}
}

// readBody reads the body that the head announces. Without framing that is none for a request, and
// all until the end of the connection for an answer.
func (m *message) readBody(r *bufio.Reader, untilEnd bool) {
	var body io.Reader
	switch length := all(m.headers, "Content-Length"); {
	case len(all(m.headers, "Transfer-Encoding")) > 0:
		m.chunked = true
		body = httputil.NewChunkedReader(r)
	case len(length) > 0:
		n, err := strconv.ParseInt(length[0], 10, 64)
		if err != nil {
			m.err = err
			return
		}
		buf := make([]byte, n)
		got, err := io.ReadFull(r, buf)
		m.body, m.err = string(buf[:got]), err
		return
	case untilEnd:
		body = r
	default:
		return
	}
	var buf bytes.Buffer
	_, m.err = io.Copy(&buf, body)
	if m.err == nil && m.chunked {
		var line string
		if line, m.err = r.ReadString('\n'); m.err == nil && line != "\r\n" {
			m.err = fmt.Errorf("trailer %q", line)
		}
	}
	m.body = buf.String()
}

// conn is one raw connection with a reader.
type conn struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func (c *conn) send(format string, args ...any) {
	c.t.Helper()
	text := format
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	}
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Logf("send: %v", err)
	}
}

// dial connects to the gateway.
func (b *bench) dial() *conn {
	b.t.Helper()
	nc, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		b.t.Fatal(err)
	}
	return &conn{b.t, nc, bufio.NewReader(nc)}
}

// answer reads one whole answer. A HEAD request's has no body, whatever its headers say.
func (c *conn) answer(method string) message {
	c.t.Helper()
	m := c.answerHead()
	status := m.status()
	if m.err == nil && method != "HEAD" && status >= 200 && status != 204 && status != 304 {
		m.readBody(c.r, true)
	}
	return m
}

func (c *conn) answerHead() message {
	c.t.Helper()
	m, err := readHead(c.r)
	m.err = err
	return m
}

func (m *message) status() int {
	fields := strings.Fields(m.first)
	if len(fields) < 2 {
		return 0
	}
	n, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return n
}

// gone waits until the other side has closed the connection.
func (c *conn) gone(within time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	_, err := c.r.ReadByte()
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return fmt.Errorf("still there after %s", within)
	}
	if err == nil {
		return errors.New("a byte came")
	}
	return nil
}

// reset closes the connection so that the other side sees a reset.
func (c *conn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

// rawVendor plays a script on each connection that comes.
type rawVendor struct {
	t    testing.TB
	addr string
	l    net.Listener
	wg   sync.WaitGroup

	mu     sync.Mutex // guards what follows
	script func(c *conn)
	open   map[net.Conn]bool
	conns  int
	ended  bool
	done   chan struct{}
}

func newRawVendor(t *testing.T) *rawVendor {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &rawVendor{t: t, l: l, addr: l.Addr().String(), open: map[net.Conn]bool{}, done: make(chan struct{})}
	v.script = func(c *conn) { v.serve(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") }
	v.wg.Go(v.accept)
	t.Cleanup(v.stop)
	return v
}

func (v *rawVendor) accept() {
	for {
		nc, err := v.l.Accept()
		if err != nil {
			return
		}
		v.mu.Lock()
		v.open[nc] = true
		v.conns++
		script, ended := v.script, v.ended
		v.mu.Unlock()
		if ended {
			nc.Close()
			return
		}
		v.wg.Go(func() {
			defer func() {
				nc.Close()
				v.mu.Lock()
				delete(v.open, nc)
				v.mu.Unlock()
			}()
			script(&conn{v.t, nc, bufio.NewReader(nc)})
		})
	}
}

// play sets what happens on connections from now on.
func (v *rawVendor) play(script func(c *conn)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.script = script
}

// answer makes every request get the same bytes, and hands the requests over.
func (v *rawVendor) answer(reply string) <-chan message {
	got := make(chan message, 1000)
	v.play(func(c *conn) {
		for {
			m, err := readHead(c.r)
			if err != nil {
				return
			}
			m.readBody(c.r, false)
			got <- m
			c.send("%s", reply)
			if strings.Contains(reply, "Connection: close") {
				return
			}
		}
	})
	return got
}

// serve answers each request of a connection with the same bytes.
func (v *rawVendor) serve(c *conn, reply string) {
	for {
		m, err := readHead(c.r)
		if err != nil {
			return
		}
		m.readBody(c.r, false)
		c.send("%s", reply)
	}
}

func (v *rawVendor) stop() {
	v.mu.Lock()
	if !v.ended {
		v.ended = true
		close(v.done)
		v.l.Close()
		for nc := range v.open {
			nc.Close()
		}
	}
	v.mu.Unlock()
	v.wg.Wait()
}

// wait is for what a script waits on: it ends with the test at the latest.
func (v *rawVendor) wait(c <-chan struct{}) {
	select {
	case <-c:
	case <-v.done:
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
