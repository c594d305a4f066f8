package nethttp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
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
	Linger        time.Duration // how long an answer goes on for a caller that has closed its sending side
}

// DefaultServerConfig is what the internet calls for. Linger is below a second, so that a caller who
// left costs a target no more than that; callers that half-close on purpose are served if the target
// is quicker.
func DefaultServerConfig() ServerConfig {
	return ServerConfig{
		HeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, PeerTimeout: 5 * time.Minute,
		MaxHeader: 64 << 10, MaxLines: 256, Linger: 750 * time.Millisecond,
	}
}

// Server accepts HTTP/1.1 connections and has each request served by a Gateway.
type Server struct {
	cfg  ServerConfig
	g    *proxy.Gateway
	http *http.Server
	// cutOff ends every exchange with ErrCutOff.
	base   context.Context //nolint:containedctx // the server's own, which Close ends
	cutOff context.CancelCauseFunc
	busy   sync.WaitGroup
}

// NewServer makes a server for g.
func NewServer(cfg ServerConfig, g *proxy.Gateway, log *slog.Logger) *Server {
	s := &Server{cfg: cfg, g: g}
	s.base, s.cutOff = context.WithCancelCause(context.Background())
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: cfg.HeaderTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    cfg.MaxHeader,
		Protocols:         &protocols,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // about peers' mistakes
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
		// OPTIONS * is answered like every other request without an endpoint.
		DisableGeneralOptionsHandler: true,
	}
	return s
}

// connKey finds a request's connection in its context.
type connKey struct{}

// Serve accepts until Shutdown or Close.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(strictListener{l, s.cfg.MaxLines}); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown lets running exchanges end. When ctx ends first, it cuts them off and waits until they are
// settled, which takes no longer than the spool.
func (s *Server) Shutdown(ctx context.Context) error {
	s.g.Stop()
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.cutOff(proxy.ErrCutOff)
		err = errors.Join(err, s.http.Close())
	}
	s.busy.Wait()
	s.cutOff(proxy.ErrCutOff)
	return err
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
	ctx, cancel := context.WithCancelCause(s.base)
	defer cancel(nil)
	var v served
	v.watcher = watcher{caller: r.Context(), cancel: cancel, linger: s.cfg.Linger}
	defer context.AfterFunc(r.Context(), v.watcher.gone)()
	defer v.watcher.stop()

	control := http.NewResponseController(w)
	out, body := &v.out, &v.body
	*out = responder{w: w, control: control, proto11: r.ProtoAtLeast(1, 1), timeout: s.cfg.PeerTimeout}
	v.x = proxy.Exchange{
		Method: r.Method, Target: r.RequestURI, Headers: listOf(r.Header),
		Length: r.ContentLength, Remote: r.RemoteAddr, Out: out,
		EmptyBody: r.ContentLength == 0 && r.Header["Content-Length"] != nil,
		Continue:  r.Header["Expect"] != nil,
	}
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 {
		*body = requestBody{r: r.Body, control: control, length: r.ContentLength, timeout: s.cfg.PeerTimeout, expect: v.x.Continue}
		// Without it the server would read the whole body before it sends the first byte.
		if err := control.EnableFullDuplex(); err != nil {
			panic(err) // every connection of this server can
		}
		v.x.Body, out.body = body, body
		// The engine that performs the attempt may still wait for the caller's next byte.
		defer body.Interrupt()
	}
	s.g.Serve(ctx, &v.x)
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

// watcher ends an exchange some time after its caller has closed the connection. A caller may close
// its sending side only and still wait for the answer; the two look the same until something is sent,
// so that there is a short time for the answer.
type watcher struct {
	caller context.Context //nolint:containedctx // of the connection, read once when it has ended
	cancel context.CancelCauseFunc
	linger time.Duration

	mu    sync.Mutex // guards what follows
	timer *time.Timer
	ended bool
}

// gone follows the end of the connection.
func (w *watcher) gone() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch conn, ok := w.caller.Value(connKey{}).(*strictConn); {
	case w.ended:
	case ok && conn.broken.Load():
		w.cancel(proxy.ErrCallerGone)
	default:
		w.timer = time.AfterFunc(w.linger, func() { w.cancel(proxy.ErrCallerGone) })
	}
}

// stop follows the end of the exchange.
func (w *watcher) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.timer != nil {
		w.timer.Stop()
	}
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

// responder writes an answer through net/http.
type responder struct {
	w       http.ResponseWriter
	control *http.ResponseController
	body    *requestBody // nil without one
	proto11 bool
	timeout time.Duration
	last    time.Time // when the write deadline was set
	aborted bool

	mu    sync.Mutex // of 1xx answers and the beginning of the final one
	begun bool
}

// Interim sends a 1xx answer to callers whose protocol has them.
func (o *responder) Interim(status int, headers []proxy.Header) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.begun || !o.proto11 {
		return
	}
	o.patience() // else a caller who takes nothing would hold the attempt, and its timeout, for ever
	h := o.w.Header()
	addAll(h, headers)
	o.w.WriteHeader(status)
	clear(h)
}

// Begin sends status and headers; they leave with the first flush.
func (o *responder) Begin(status int, headers []proxy.Header, length int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.begun = true
	h := o.w.Header()
	addAll(h, headers)
	// A nil value keeps net/http from adding what the target did not send.
	for _, name := range []string{"Content-Type", "Date"} {
		if _, ok := h[name]; !ok {
			h[name] = nil
		}
	}
	if length >= 0 && h["Content-Length"] == nil && status != http.StatusNoContent && status != http.StatusNotModified {
		h.Set("Content-Length", formatLength(length))
	}
	if o.body != nil && !o.body.complete() {
		// What is left of the body must never be read as another request.
		h.Set("Connection", "close")
	}
	o.w.WriteHeader(status)
}

// addAll adds a list to headers. The values of names that occur once share one array.
func addAll(h http.Header, headers []proxy.Header) {
	values := make([]string, 0, len(headers))
	for _, kv := range headers {
		name := http.CanonicalHeaderKey(kv.Name)
		if have := h[name]; have != nil {
			h[name] = append(have, kv.Value)
			continue
		}
		values = append(values, kv.Value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
}

// Write sends a piece of the body.
func (o *responder) Write(p []byte) (int, error) {
	o.patience()
	return o.w.Write(p)
}

// Flush sends what is buffered.
func (o *responder) Flush() error {
	o.patience()
	return o.control.Flush()
}

// Abort makes the server break the connection when the exchange is over, after what was written
// until now.
func (o *responder) Abort() {
	if o.begun {
		_ = o.control.Flush() // it is about to be broken anyway
	}
	o.aborted = true
}

// patience gives the caller time to take what is written. A deadline is moved seldom, because each
// move costs more than most writes.
func (o *responder) patience() {
	if now := time.Now(); o.timeout > 0 && now.Sub(o.last) > o.timeout/8 {
		o.last = now
		_ = o.control.SetWriteDeadline(now.Add(o.timeout)) // fails only on a connection that is gone
	}
}

// Trailers sends what follows the body.
func (o *responder) Trailers([]proxy.Header) {}

// Switch hands over the connection.
func (o *responder) Switch([]proxy.Header) (proxy.Conn, error) {
	return nil, errors.ErrUnsupported
}
