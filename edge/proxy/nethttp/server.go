package nethttp

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"tollgate/edge/proxy"
)

// ServerConfig is what the listening side of the net/http engine needs to know.
type ServerConfig struct {
	HeaderTimeout time.Duration // for a request's headers to arrive
	IdleTimeout   time.Duration // between requests of a connection
	PeerTimeout   time.Duration // longest time in which a caller neither sends nor takes a byte it is waited for
	MaxHeader     int           // bytes of a request's headers
	MaxLines      int           // of a request's headers
	MaxStreams    int           // at a time on one connection of HTTP/2
	TLS           *tls.Config   // nil for none
	Linger        time.Duration // how long an answer goes on for a caller that has closed its sending side
}

// DefaultServerConfig is what the internet calls for. Linger is below a second, so that a caller who
// left costs a target no more than that; callers that half-close on purpose are served if the target
// is quicker.
func DefaultServerConfig() ServerConfig {
	return ServerConfig{
		HeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, PeerTimeout: 5 * time.Minute,
		MaxHeader: 64 << 10, MaxLines: 256, MaxStreams: 250, Linger: 750 * time.Millisecond,
	}
}

// Handler serves exchanges: a proxy.Gateway, but for tests.
type Handler interface {
	Serve(ctx context.Context, x *proxy.Exchange)
	// Stop makes the handler refuse new exchanges.
	Stop()
}

// Server accepts connections of HTTP/1.1 and HTTP/2, with TLS or without, and has each request served
// by a Handler.
type Server struct {
	cfg  ServerConfig
	h    Handler
	log  *slog.Logger
	http *http.Server
	// cutOff ends every exchange with ErrCutOff.
	base   context.Context //nolint:containedctx // the server's own, which Close ends
	cutOff context.CancelCauseFunc
	busy   sync.WaitGroup
}

// How long a connection of HTTP/2 may be silent while it is in use before the caller is asked for a
// sign of life, and how long the caller has for it.
const (
	pingAfter = time.Minute
	pingWait  = 15 * time.Second
)

// NewServer makes a server for h.
func NewServer(cfg ServerConfig, h Handler, log *slog.Logger) *Server {
	s := &Server{cfg: cfg, h: h, log: log}
	s.base, s.cutOff = context.WithCancelCause(context.Background())
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // what is encrypted was decrypted below
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: cfg.HeaderTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		// The limits are kept by the connections and, for HTTP/2, before an exchange begins: with an
		// error of the catalogue. This one is for what is far beyond them.
		MaxHeaderBytes: 2 * cfg.MaxHeader,
		Protocols:      &protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: cfg.MaxStreams, SendPingTimeout: pingAfter, PingTimeout: pingWait, WriteByteTimeout: cfg.PeerTimeout,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), // about peers' mistakes
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
		ConnState: func(conn net.Conn, state http.ConnState) {
			if c, ok := conn.(*strictConn); ok && state == http.StateIdle && !c.h2 {
				c.serving = false
			}
		},
		// OPTIONS * is answered like every other request without an endpoint.
		DisableGeneralOptionsHandler: true,
	}
	return s
}

// connKey finds a request's connection in its context.
type connKey struct{}

// Serve accepts until Shutdown or Close. A connection that is a *Begun is taken over where another engine has left it.
func (s *Server) Serve(l net.Listener) error {
	strict := strictListener{
		Listener: l, limits: limits{s.cfg.MaxHeader, s.cfg.MaxLines}, tls: s.cfg.TLS, wait: s.cfg.HeaderTimeout, log: s.log,
	}
	if err := s.http.Serve(strict); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown lets running exchanges end. When ctx ends first, it cuts them off and waits until they are
// settled, which takes no longer than the spool.
func (s *Server) Shutdown(ctx context.Context) error {
	s.h.Stop()
	err := s.http.Shutdown(ctx)
	if err == nil {
		err = s.settled(ctx) // connections that were switched are none of net/http's any more
	}
	if err != nil {
		s.cutOff(proxy.ErrCutOff)
		err = errors.Join(err, s.http.Close())
	}
	s.busy.Wait()
	s.cutOff(proxy.ErrCutOff)
	return err
}

// settled waits for all exchanges, as long as ctx does.
func (s *Server) settled(ctx context.Context) error {
	all := make(chan struct{})
	go func() {
		s.busy.Wait() // as Shutdown does in the end
		close(all)
	}()
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// served is one request on its way through net/http: all that lives as long as it.
type served struct {
	x       proxy.Exchange
	out     responder
	body    requestBody
	watcher watcher
}

// ServeHTTP is the adapter from net/http to an Exchange.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.busy.Add(1)
	defer s.busy.Done()
	conn, ok := r.Context().Value(connKey{}).(*strictConn)
	if !ok {
		panic("a connection that is not of this server")
	}
	proto, linger := proxy.HTTP11, s.cfg.Linger
	switch {
	case conn.h2:
		if s.excessive(r.Header) {
			refuseStream(w, limits{s.cfg.MaxHeader, s.cfg.MaxLines}.tooLarge())
			return
		}
		if f := malformedStream(r); f != nil {
			refuseStream(w, f)
			return
		}
		proto, linger = proxy.HTTP2, 0
	case !r.ProtoAtLeast(1, 1):
		proto = proxy.HTTP10
	}
	ctx, cancel := context.WithCancelCause(s.base)
	defer cancel(nil)
	var v served
	v.watcher = watcher{conn: conn, cancel: cancel, linger: linger}
	defer context.AfterFunc(r.Context(), v.watcher.gone)()
	defer v.watcher.stop()

	control := http.NewResponseController(w)
	out, body := &v.out, &v.body
	*out = responder{
		w: w, control: control, ctx: ctx, conn: conn, watcher: &v.watcher,
		proto: proto, head: r.Method == http.MethodHead, timeout: s.cfg.PeerTimeout,
	}
	emptyBody := r.ContentLength == 0 && r.Header["Content-Length"] != nil
	delete(r.Header, "Content-Length") // an exchange has fields for these two
	delete(r.Header, "Host")
	v.x = proxy.Exchange{
		Method: r.Method, Target: r.RequestURI, Host: r.Host, Proto: proto, Headers: listOf(r.Header),
		Length: r.ContentLength, Remote: r.RemoteAddr, Out: out,
		EmptyBody: emptyBody,
		Continue:  r.Header["Expect"] != nil,
	}
	if r.Trailer != nil {
		v.x.TrailerNames = namesOf(r.Trailer)
	}
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 {
		*body = requestBody{r: r.Body, request: r, out: out, control: control, length: r.ContentLength, timeout: s.cfg.PeerTimeout, expect: v.x.Continue}
		// Without it the server would read the whole body before it sends the first byte.
		if err := control.EnableFullDuplex(); err != nil {
			panic(err) // every connection of this server can
		}
		v.x.Body, out.body = body, body
		v.x.Arrived = proto != proxy.HTTP2 && conn.framing.between()
		body.arrived = v.x.Arrived
		// The engine that performs the attempt may still wait for the caller's next byte.
		defer body.Interrupt()
	}
	if proto == proxy.HTTP2 {
		s.serveStream(ctx, &v)
		return
	}
	conn.serving = true
	v.x.Upgrade = upgradeOf(r, conn)
	out.upgrade = v.x.Upgrade != ""
	s.h.Serve(ctx, &v.x)
	if out.tunnel != nil {
		conn.Close() // the stages have closed it, unless something went wrong
		return
	}
	if out.aborted {
		panic(http.ErrAbortHandler) // ends the connection without a proper end of the answer
	}
	if b := out.body; b != nil && !b.complete() && !b.awaited() {
		b.Interrupt()
		if control.Flush() == nil {
			b.linger()
		}
	}
}

// serveStream serves a request of HTTP/2.
func (s *Server) serveStream(ctx context.Context, v *served) {
	out := &v.out
	out.stall = &stall{breakOff: func() { _ = out.control.SetWriteDeadline(longAgo) }} // never fails
	defer out.stall.stop()
	if out.body != nil {
		out.shown = make(chan struct{})
		out.body.stall = &stall{breakOff: func() { _ = out.control.SetReadDeadline(longAgo) }}
		defer out.body.stall.stop()
	}
	s.h.Serve(ctx, &v.x)
	if out.aborted {
		panic(http.ErrAbortHandler) // resets the stream
	}
	if s.cfg.PeerTimeout > 0 {
		// For what net/http still holds and sends when this has returned.
		_ = out.control.SetWriteDeadline(time.Now().Add(s.cfg.PeerTimeout)) // never fails
	}
}

// excessive says whether there are more headers than there may be.
func (s *Server) excessive(h http.Header) bool {
	lines, size := 0, 0
	for name, values := range h {
		for _, v := range values {
			lines++
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	return s.cfg.MaxLines > 0 && lines > s.cfg.MaxLines || s.cfg.MaxHeader > 0 && size > s.cfg.MaxHeader
}

// namesOf lists the names of headers.
func namesOf(h http.Header) []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// listOf makes a list of headers. The order between names is lost in net/http; that within a name is
// kept.
func listOf(h http.Header) []proxy.Header {
	out := make([]proxy.Header, 0, len(h)+4)
	for name, values := range h {
		for _, v := range values {
			out = append(out, proxy.Header{Name: name, Value: v})
		}
	}
	return out
}
