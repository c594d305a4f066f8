package nethttp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/routing"
)

// dialer makes the connections of a link.
type dialer struct {
	net     net.Dialer
	timeout time.Duration   // of connecting, and of TLS
	life    context.Context //nolint:containedctx // of the client
}

// Kept connections to a machine that is gone without a word are found out within this time.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 10 * time.Second, Count: 3}

func (d *dialer) set(life context.Context, cfg *ClientConfig, t *routing.Transport) {
	timeout := t.Connect
	if timeout <= 0 {
		timeout = cfg.ConnectTimeout
	}
	allowPrivate := cfg.AllowPrivate
	d.life, d.timeout = life, timeout
	d.net = net.Dialer{
		KeepAliveConfig: keepAlive, Resolver: cfg.Resolver,
		// Called with each address after names are resolved, so that no answer of a name server
		// can lead elsewhere.
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			return checkAddress(address, allowPrivate)
		},
	}
}

// dialError is a connection that could not be made.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

// tlsError is a connection on which TLS could not be set up.
type tlsError struct{ error }

func (e tlsError) Unwrap() error { return e.error }

// errNoHTTP2 says that a target that is to be spoken to in HTTP/2 speaks something else.
var errNoHTTP2 = errors.New("HTTP/2 was not negotiated")

// within is the time that connecting or TLS has, up to a moment if there is one. The Transport goes on connecting when the attempt has
// ended, so that the next one can have the connection; it must not outlive the client.
func (d *dialer) within(ctx context.Context, until time.Time) (within context.Context, cancel func()) {
	deadline := time.Now().Add(d.timeout)
	if !until.IsZero() && until.Before(deadline) {
		deadline = until
	}
	ctx, end := context.WithDeadline(ctx, deadline)
	stop := context.AfterFunc(d.life, end)
	return ctx, func() {
		stop()
		end()
	}
}

func (d *dialer) dial(ctx context.Context, until time.Time, network, addr string) (*countingConn, error) {
	ctx, cancel := d.within(ctx, until)
	defer cancel()
	began := time.Now()
	var found dnsTime
	if _, err := netip.ParseAddrPort(addr); err != nil { // a name has to be looked up
		ctx = found.watch(ctx)
	}
	conn, err := d.net.DialContext(ctx, network, addr)
	if err != nil {
		return nil, dialError{err}
	}
	took, dns := time.Since(began), found.took()
	return &countingConn{Conn: conn, setup: proxy.Setup{DNS: dns, Connect: max(took-dns, 0)}}, nil
}

// dnsTime is how long a name server was waited for. Its callbacks may come after the connection was made or given up.
type dnsTime struct{ began, ended atomic.Int64 }

func (d *dnsTime) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { d.began.Store(time.Now().UnixNano()) },
		DNSDone:  func(httptrace.DNSDoneInfo) { d.ended.Store(time.Now().UnixNano()) },
	})
}

func (d *dnsTime) took() time.Duration {
	return max(time.Duration(d.ended.Load()-d.began.Load()), 0)
}

// dialPlain is for HTTP/1.1 over http.
func (d *dialer) dialPlain(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := d.dial(ctx, time.Time{}, network, addr)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// dialPrior is for HTTP/2 over http, without asking.
func (d *dialer) dialPrior(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := d.dial(ctx, time.Time{}, network, addr)
	if err != nil {
		return nil, err
	}
	conn.shared = true
	return conn, nil
}

// dialTLS is for https. only2 wants HTTP/2 or nothing.
func (d *dialer) dialTLS(cfg *tls.Config, only2 bool) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		secure, _, err := d.secure(ctx, time.Time{}, cfg, only2, network, addr)
		if err != nil {
			return nil, err
		}
		return secure, nil
	}
}

// secure makes a connection with TLS, and returns what is below it as well.
func (d *dialer) secure(ctx context.Context, until time.Time, cfg *tls.Config, only2 bool, network, addr string) (*tls.Conn, *countingConn, error) {
	conn, err := d.dial(ctx, until, network, addr)
	if err != nil {
		return nil, nil, err
	}
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			conn.Close()
			return nil, nil, dialError{err}
		}
		cfg = cfg.Clone()
		cfg.ServerName = host
	}
	ctx, cancel := d.within(ctx, until)
	defer cancel()
	secure := tls.Client(conn, cfg)
	began := time.Now()
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, nil, tlsError{err}
	}
	conn.setup.TLS = time.Since(began)
	conn.shared = secure.ConnectionState().NegotiatedProtocol == "h2"
	if only2 && !conn.shared {
		_ = secure.Close() // nothing was sent
		return nil, nil, tlsError{errNoHTTP2}
	}
	return secure, conn, nil
}

// countingConn knows how much was written to it.
type countingConn struct {
	net.Conn
	shared  bool        // by several requests at a time, as HTTP/2 does; set before the first of them
	setup   proxy.Setup // how long it took to make; set before the first request
	written atomic.Int64
	look    func(p []byte) (int, error) // reads in place of Read while it is set, which is for who reads
}

func (c *countingConn) Read(p []byte) (int, error) {
	if c.look != nil {
		return c.look(p)
	}
	return c.Conn.Read(p)
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// CloseWrite says that nothing more will be written.
func (c *countingConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// countingOf is the connection below TLS.
func countingOf(conn net.Conn) *countingConn {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	c, _ := conn.(*countingConn)
	return c
}
