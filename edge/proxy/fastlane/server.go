package fastlane

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/http1"
	"tollgate/edge/proxy/nethttp"
)

// Server accepts callers' connections. It serves what is plain HTTP/1.1 itself and has everything else served by the general lane,
// of which it is the only listener.
type Server struct {
	cfg     nethttp.ServerConfig
	limits  http1.Limits
	h       nethttp.Handler
	general *nethttp.Server
	handed  *handed
	log     *slog.Logger

	stopping atomic.Bool
	ending   chan struct{} // closed with it
	once     sync.Once
	watch    *watch // set before the first connection; nil where callers who leave cannot be noticed, so that the lane is not used

	mu       sync.Mutex // guards what follows
	listener net.Listener
	conns    map[*conn]struct{}
	running  sync.WaitGroup // a goroutine for each of conns; it grows only under mu and while the server is not stopping
}

// NewServer makes a server for h. general has to be a server for the same exchanges, with the same configuration; it is this
// server's from here on.
func NewServer(cfg nethttp.ServerConfig, h nethttp.Handler, general *nethttp.Server, log *slog.Logger) *Server {
	return &Server{
		cfg: cfg, limits: http1.Limits{Bytes: cfg.MaxHeader, Lines: cfg.MaxLines}, h: h, general: general, handed: newHanded(), log: log,
		conns: map[*conn]struct{}{}, ending: make(chan struct{}),
	}
}

// Serve accepts until Shutdown. It is called once.
func (s *Server) Serve(l net.Listener) error {
	watch, err := newWatch()
	if err != nil {
		s.log.Info("all connections go over the general lane", "err", err)
	}
	s.handed.addr = l.Addr()
	if !s.open(l, watch) {
		watch.close()
		return l.Close()
	}
	general := make(chan error, 1)
	go func() { general <- s.general.Serve(s.handed) }()
	if err := s.accept(l); err != nil {
		return err // Shutdown ends the rest
	}
	return <-general
}

// open notes what Shutdown has to close. It says false when the server has stopped before it began.
func (s *Server) open(l net.Listener, w *watch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return false
	}
	s.listener, s.watch = l, w
	return true
}

// Between failed attempts to accept, such as for want of file descriptors, which others give back.
const (
	shortPause = 5 * time.Millisecond
	longPause  = time.Second
)

func (s *Server) accept(l net.Listener) error {
	pause := shortPause
	for {
		socket, err := l.Accept()
		if err != nil {
			if s.stopping.Load() {
				return nil
			}
			if number, ok := errors.AsType[syscall.Errno](err); !ok || !number.Temporary() {
				return err
			}
			s.log.Error("a connection could not be accepted", "err", err, "again_in", pause)
			select {
			case <-time.After(pause):
			case <-s.ending:
			}
			pause = min(2*pause, longPause)
			continue
		}
		pause = shortPause
		s.begin(socket)
	}
}

// begin has a connection served.
func (s *Server) begin(socket net.Conn) {
	c := &conn{s: s, socket: socket, remote: socket.RemoteAddr().String()}
	c.prepare()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		socket.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.running.Go(c.run)
}

// forget follows the end of a connection, or that it was handed over.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// fresh is how long a new connection on which nothing was said is still waited for by a server that stops, because its caller
// cannot know whether a request that is on its way was seen.
const fresh = 5 * time.Second

// Shutdown lets running exchanges end. When ctx ends first, it cuts them off and waits until they are settled, which takes no
// longer than the spool.
func (s *Server) Shutdown(ctx context.Context) error {
	s.h.Stop()
	s.stop()
	general := make(chan error, 1)
	go func() { general <- s.general.Shutdown(ctx) }()
	ended := make(chan struct{})
	go func() {
		s.running.Wait()
		close(ended)
	}()
	var err error
	select {
	case <-ended:
	case <-ctx.Done():
		err = ctx.Err()
		s.each(func(c *conn) { c.life.end(proxy.ErrCutOff) }) // all at once: closing a connection waits for who serves it
		s.each((*conn).cutOff)
		<-ended
	}
	s.watch.close()
	if other := <-general; err == nil || other != nil && !errors.Is(other, err) {
		err = errors.Join(err, other)
	}
	return err
}

// stop ends the listeners and what only waits.
func (s *Server) stop() {
	s.mu.Lock()
	s.stopping.Store(true)
	s.once.Do(func() { close(s.ending) })
	if s.listener != nil {
		s.listener.Close() // it accepts no more, whatever it says
	}
	s.mu.Unlock()
	s.each((*conn).dismiss)
}

// each calls f for all connections.
func (s *Server) each(f func(*conn)) {
	s.mu.Lock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		f(c)
	}
}

// handed is where the general lane gets its connections from.
type handed struct {
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	over  chan struct{}
}

func newHanded() *handed { return &handed{conns: make(chan net.Conn), over: make(chan struct{})} }

// Accept waits for the next one.
func (h *handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.over:
		return nil, net.ErrClosed
	}
}

// Close is called by the general lane when it stops.
func (h *handed) Close() error {
	h.once.Do(func() { close(h.over) })
	return nil
}

// Addr is that of the real listener.
func (h *handed) Addr() net.Addr { return h.addr }

// handOver gives a connection to the general lane for the rest of its life, with what was read of it.
func (s *Server) handOver(socket net.Conn, secure *tls.Conn, head []byte) {
	select {
	case s.handed.conns <- &nethttp.Begun{Conn: socket, TLS: secure, Head: head}:
	case <-s.handed.over:
		socket.Close()
	}
}
