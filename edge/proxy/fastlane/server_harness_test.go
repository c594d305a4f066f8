package fastlane

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/proxy/nethttp"
	"tollgate/internal/testenv"
)

// handle is a Handler that tests write as a function.
type handle = clienttest.Handle

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
	e := &served{t: t, stop: shutdown, sockets: make(chan *net.TCPConn, 100)}
	e.addr = clienttest.Serve(t, func(l net.Listener) net.Listener { return accepting{l, e.sockets} }, serve, shutdown)
	return e
}

// peer is a caller on a raw connection.
type peer struct {
	*clienttest.Caller

	t      *testing.T
	socket *net.TCPConn // the server's side
}

func (e *served) dial() *peer { return e.dialTLS(nil) }

func (e *served) dialTLS(cfg *tls.Config) *peer {
	e.t.Helper()
	return &peer{t: e.t, Caller: clienttest.Dial(e.t, e.addr, cfg), socket: clienttest.Receive(e.t, e.sockets, "connection")}
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

// until waits for a condition.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(clienttest.Patience); !is(); runtime.Gosched() {
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
	clienttest.Reply(x, fmt.Sprintf("%s %s %s %d %q", x.Method, x.Target, x.Host, x.Length, body))
}
