package nethttp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"

	"tollgate/edge/proxy"
	"tollgate/edge/routing"
)

// Direct makes connections to one target for who speaks HTTP/1.1 on them without the Transport. Addresses, certificates and times
// are treated as for attempts.
type Direct struct {
	link *link
	host string // as requests name it
	addr string
	tls  *tls.Config // nil for http

	// newer says that the last connection was one of HTTP/2.
	newer atomic.Bool
	mu    sync.Mutex
	given []*tls.Conn // connections of HTTP/2 that the Transport takes before it makes others
}

// Direct finds out how to connect to a target. It is nil if only the client itself can reach it, or tell why not.
func (c *Client) Direct(t *routing.Target) *Direct { return c.link(t).direct }

func newDirect(l *link, t *routing.Target, cfg *tls.Config, protocols http.Protocols) *Direct {
	host, err := httpguts.PunycodeHostPort(t.Host)
	if err != nil {
		return nil
	}
	u := url.URL{Host: host}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[t.Scheme]
	}
	d := &Direct{link: l, host: host, addr: net.JoinHostPort(u.Hostname(), port)}
	if cfg == nil {
		return d
	}
	d.tls = asking(cfg, protocols)
	if protocols.HTTP2() {
		dial := l.main.DialTLSContext
		l.main.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if conn := d.take(); conn != nil {
				return conn, nil
			}
			conn, err := dial(ctx, network, addr)
			if err == nil {
				d.newer.Store(countingOf(conn).shared)
			}
			return conn, err
		}
	}
	return d
}

// Host is the target as requests name it that name no other.
func (d *Direct) Host() string { return d.host }

// HTTP2 says whether the target spoke HTTP/2 when it was last connected to.
func (d *Direct) HTTP2() bool { return d.newer.Load() }

// ErrHTTP2 says that the target has chosen HTTP/2.
var ErrHTTP2 = errors.New("HTTP/2 was negotiated")

// Dial makes a connection, up to a moment if there is one. With ErrHTTP2 it is one for the client: an attempt through it uses it, and Drop has to follow.
func (d *Direct) Dial(ctx context.Context, until time.Time) (*Connection, error) {
	if d.tls == nil {
		conn, err := d.link.dialer.dial(ctx, until, "tcp", d.addr)
		if err != nil {
			return nil, err
		}
		return &Connection{Conn: conn.Conn, Setup: conn.setup, below: conn}, nil
	}
	secure, conn, err := d.link.dialer.secure(ctx, until, d.tls, false, "tcp", d.addr)
	if err != nil {
		return nil, err
	}
	d.newer.Store(conn.shared)
	c := &Connection{Conn: conn.Conn, TLS: secure, Setup: conn.setup, below: conn}
	if conn.shared {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.given = append(d.given, secure)
		return c, ErrHTTP2
	}
	return c, nil
}

func (d *Direct) take() *tls.Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.given) == 0 {
		return nil
	}
	conn := d.given[0]
	d.given = slices.Delete(d.given, 0, 1)
	return conn
}

// Drop closes a connection that Dial has returned with ErrHTTP2, if nobody uses it.
func (d *Direct) Drop(c *Connection) {
	d.mu.Lock()
	at := slices.Index(d.given, c.TLS)
	if at >= 0 {
		d.given = slices.Delete(d.given, at, at+1)
	}
	d.mu.Unlock()
	if at >= 0 {
		_ = c.TLS.Close() // nothing was sent
	}
}

// Connection is one that a Direct has made. Conn is what is below TLS.
type Connection struct {
	net.Conn

	TLS   *tls.Conn   // nil for http
	Setup proxy.Setup // how long it took

	below *countingConn
}

// Written is how many bytes TLS has sent.
func (c *Connection) Written() int64 { return c.below.written.Load() }

// Look has TLS read with f in place of the connection's Read, until it is called with nil. It is for the one who reads.
func (c *Connection) Look(f func(p []byte) (int, error)) { c.below.look = f }
