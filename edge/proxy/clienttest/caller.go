package clienttest

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// Caller is a server's caller on a raw connection, which ends with the test.
type Caller struct {
	net.Conn
	R *bufio.Reader

	t *testing.T
}

// NewCaller makes a caller of a connection.
func NewCaller(t *testing.T, conn net.Conn) *Caller {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * Patience)); err != nil {
		t.Fatal(err)
	}
	return &Caller{Conn: conn, R: bufio.NewReader(conn), t: t}
}

// Dial connects a caller, by TLS if it is told how.
func Dial(t *testing.T, addr string, secure *tls.Config) *Caller {
	t.Helper()
	dial := (&net.Dialer{}).DialContext
	if secure != nil {
		dial = (&tls.Dialer{Config: secure}).DialContext
	}
	conn, err := dial(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return NewCaller(t, conn)
}

// Send writes.
func (c *Caller) Send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Errorf("send: %v", err)
	}
}

// Expect reads exactly text.
func (c *Caller) Expect(text string) {
	c.t.Helper()
	buf := make([]byte, len(text))
	if n, err := io.ReadFull(c.R, buf); err != nil || string(buf) != text {
		c.t.Fatalf("got %q, %v, want %q", buf[:n], err, text)
	}
}

// Answer reads one whole answer to a method.
func (c *Caller) Answer(method string) (*http.Response, string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.R, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Errorf("after %q: %v", body, err)
	}
	return res, string(body)
}

// Rest is all that comes until the end.
func (c *Caller) Rest() string {
	c.t.Helper()
	text, err := io.ReadAll(c.R)
	if err != nil {
		c.t.Errorf("after %q: %v", text, err)
	}
	return string(text)
}
