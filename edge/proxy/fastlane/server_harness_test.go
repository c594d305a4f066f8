package fastlane

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/nethttp"
	"tollgate/internal/testenv"
)

// waitMost is for what happens at once unless something is broken.
const waitMost = 10 * time.Second

// handle is a Handler that tests write as a function.
type handle func(ctx context.Context, x *proxy.Exchange)

func (h handle) Serve(ctx context.Context, x *proxy.Exchange) { h(ctx, x) }
func (handle) Stop()                                          {}

// accepting tells of the connections that a listener has accepted.
type accepting struct {
	net.Listener
	sockets chan *net.TCPConn
}

func (a accepting) Accept() (net.Conn, error) {
	c, err := a.Listener.Accept()
	if socket, ok := c.(*net.TCPConn); ok {
		a.sockets <- socket
	}
	return c, err
}

// served is a server under test.
type served struct {
	t       *testing.T
	server  *Server // nil for the general lane alone
	stop    func(ctx context.Context) error
	sockets chan *net.TCPConn
	addr    string
}

// serveFast runs a server of the fast lane until the test ends, serveGeneral one without it.
func serveFast(t *testing.T, h nethttp.Handler, change ...func(*nethttp.ServerConfig)) *served {
	t.Helper()
	cfg := configure(change)
	log := testenv.Logger(t)
	s := NewServer(cfg, h, nethttp.NewServer(cfg, general{h}, log), log)
	e := run(t, s.Serve, s.Shutdown)
	e.server = s
	return e
}

func serveGeneral(t *testing.T, h nethttp.Handler, change ...func(*nethttp.ServerConfig)) *served {
	t.Helper()
	s := nethttp.NewServer(configure(change), general{h}, testenv.Logger(t))
	return run(t, s.Serve, s.Shutdown)
}

// general marks the exchanges that come over the general lane.
type general struct{ nethttp.Handler }

func (g general) Serve(ctx context.Context, x *proxy.Exchange) {
	x.Source = "general"
	g.Handler.Serve(ctx, x)
}

func configure(change []func(*nethttp.ServerConfig)) nethttp.ServerConfig {
	cfg := nethttp.DefaultServerConfig()
	for _, f := range change {
		f(&cfg)
	}
	return cfg
}

func run(t *testing.T, serve func(net.Listener) error, shutdown func(context.Context) error) *served {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &served{t: t, stop: shutdown, sockets: make(chan *net.TCPConn, 100), addr: l.Addr().String()}
	done := make(chan error, 1)
	go func() { done <- serve(accepting{l, e.sockets}) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // whatever a test leaves open is cut off
		_ = shutdown(ctx)
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return e
}

// peer is a caller on a raw connection.
type peer struct {
	t *testing.T
	net.Conn
	r      *bufio.Reader
	socket *net.TCPConn // the server's side
}

func (e *served) dial() *peer {
	e.t.Helper()
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	return e.peer(conn)
}

func (e *served) dialTLS(cfg *tls.Config) *peer {
	e.t.Helper()
	conn, err := tls.Dial("tcp", e.addr, cfg)
	if err != nil {
		e.t.Fatal(err)
	}
	return e.peer(conn)
}

func (e *served) peer(conn net.Conn) *peer {
	e.t.Helper()
	e.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * waitMost)); err != nil {
		e.t.Fatal(err)
	}
	return &peer{t: e.t, Conn: conn, r: bufio.NewReader(conn), socket: take(e.t, e.sockets, "connection")}
}

func (p *peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.Conn, text); err != nil {
		p.t.Errorf("send: %v", err)
	}
}

// taken waits until the server has read all that was sent.
func (p *peer) taken() {
	p.t.Helper()
	raw, err := p.socket.SyscallConn()
	if err != nil {
		p.t.Fatal(err)
	}
	until(p.t, "the server reads", func() bool {
		n, err := peek(raw, make([]byte, 1))
		return n == 0 || err != nil
	})
}

// answer reads one whole answer to a method.
func (p *peer) answer(method string) (*http.Response, string) {
	p.t.Helper()
	res, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Errorf("after %q: %v", body, err)
	}
	return res, string(body)
}

// rest is all that comes until the end.
func (p *peer) rest() string {
	p.t.Helper()
	text, err := io.ReadAll(p.r)
	if err != nil {
		p.t.Errorf("after %q: %v", text, err)
	}
	return string(text)
}

// half closes the sending side.
func (p *peer) half() {
	p.t.Helper()
	half, ok := p.Conn.(interface{ CloseWrite() error })
	if !ok {
		p.t.Fatal("it has no sides")
	}
	if err := half.CloseWrite(); err != nil {
		p.t.Error(err)
	}
}

// take is what comes of a channel.
func take[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(waitMost):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

// until waits for a condition.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(waitMost); !is(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// echo answers with what it was asked.
func echo(_ context.Context, x *proxy.Exchange) {
	var body []byte
	if x.Body != nil {
		body, _ = io.ReadAll(x.Body)
	}
	reply(x, fmt.Sprintf("%s %s %s %d %q", x.Method, x.Target, x.Host, x.Length, body))
}

// reply answers with a text.
func reply(x *proxy.Exchange, text string, headers ...proxy.Header) {
	x.Out.Begin(200, headers, int64(len(text)))
	_, _ = io.Copy(x.Out, strings.NewReader(text))
}
