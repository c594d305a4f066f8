package nethttp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/edge/proxy"
)

// maxInterims bounds the 1xx answers of one attempt, each of which makes the caller wait longer.
const maxInterims = 64

// Why an attempt was broken off by itself.
var (
	errHeaderTimeout = errors.New("no answer in time")
	errReplayed      = errors.New("the connection was closed twice")
	errTurnedAway    = errors.New("the target did not take the request")
	errInterims      = errors.New("too many 1xx answers")
)

// progress follows one attempt through the Transport's callbacks, which come from several
// goroutines.
type progress struct {
	link   *link
	method string

	mu      sync.Mutex
	over    bool // RoundTrip has returned: no more 1xx answers
	interim func(int, []proxy.Header)
	count   int           // of 1xx answers
	conns   int           // connections it was given
	conn    *countingConn // the last of them that it was to use
	outer   net.Conn      // the same, with TLS if it has it
	before  int64         // what was written to it before, if it is not shared
	headers bool          // were written to it, if it is shared
	fresh   bool          // it was not used before
	earlier bool          // something was written to one before it
	away    bool          // what was written to it was not acted upon
	cancel  context.CancelCauseFunc

	first  atomic.Bool   // a byte of an answer came; known only where the caller waits for 100 Continue
	wanted chan struct{} // closed when the target asked for the body with 100 Continue
	asked  sync.Once
	whole  atomic.Bool // all of the request was written
	timer  *time.Timer
	wait   time.Duration

	body   watchedBody // unused without one
	answer answerBody
}

func newProgress(l *link, a *proxy.Attempt, cancel context.CancelCauseFunc) *progress {
	p := &progress{
		link: l, method: a.Method,
		interim: a.Interim, cancel: cancel, wait: a.HeaderTimeout,
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = time.AfterFunc(a.HeaderTimeout, func() { cancel(errHeaderTimeout) })
	return p
}

// trace is what the Transport is to call. What an attempt has no use for is left out.
func (p *progress) trace(a *proxy.Attempt) *httptrace.ClientTrace {
	t := &httptrace.ClientTrace{GotConn: p.gotConn, Got1xxResponse: p.got1xx, WroteRequest: p.wrote}
	if a.Continue {
		p.wanted = make(chan struct{})
		t.GotFirstResponseByte = func() { p.first.Store(true) }
		t.Got100Continue = func() { p.asked.Do(func() { close(p.wanted) }) }
	}
	if p.link.http2 {
		t.WroteHeaders = p.wroteHeaders
	}
	return t
}

func (p *progress) wrote(info httptrace.WroteRequestInfo) {
	if info.Err == nil {
		p.whole.Store(true)
	}
}

func (p *progress) wroteHeaders() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.headers = true
}

func (p *progress) gotConn(info httptrace.GotConnInfo) {
	conn := countingOf(info.Conn)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns++
	if err := p.mayRepeat(conn); err != nil {
		p.cancel(err)
		if conn != nil && !conn.shared {
			// The Transport would write to it before it finds out. Nobody else has it.
			info.Conn.Close()
		}
		return
	}
	p.earlier = p.earlier || p.onConn()
	p.conn, p.outer, p.before, p.headers, p.fresh = conn, info.Conn, 0, false, !info.Reused
	if conn != nil {
		p.before = conn.written.Load()
	}
}

// mayRepeat decides when the Transport has come with another connection, which it does by itself when
// one turned out to be closed, or a stream was refused. p.mu is held.
func (p *progress) mayRepeat(conn *countingConn) error {
	const most = 4
	switch {
	case p.conns == 1:
		return nil
	case p.conns <= most && !p.onConn():
		return nil // nothing was sent
	case p.conn.shared && p.conn == conn:
		// REFUSED_STREAM: after everything else the Transport takes another connection. The request may
		// be made again, but as another attempt, which is written down before it is made.
		p.away = true
		return errTurnedAway
	case p.conns == 2 && idempotent(p.method):
		return nil
	default:
		return errReplayed // after that it is the target
	}
}

// idempotent says whether a request may be sent twice. Methods that only should have no effect the
// second time are not among them, because whether they cost something the second time is another
// question.
func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	default:
		return false
	}
}

// onConn says whether any byte of the request was written to the last connection. p.mu is held.
func (p *progress) onConn() bool {
	if p.conn == nil || p.conn.shared {
		return p.headers
	}
	return p.conn.written.Load() > p.before
}

// sent says whether the target may have seen any of the request. ended is set if the attempt was
// broken off, which a stream that is just being opened may not have noticed.
func (p *progress) sent(ended bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away {
		return p.earlier
	}
	return p.earlier || p.onConn() || ended && p.conn != nil && p.conn.shared
}

// state tells what an error is to be judged by. first is set on a connection that has just been made,
// if there was none before it.
func (p *progress) state() (connected, shared, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conns > 0, p.conn != nil && p.conn.shared, p.conns == 1 && p.fresh
}

// setup is what the connection took that was made for the attempt.
func (p *progress) setup() proxy.Setup {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil || !p.fresh {
		return proxy.Setup{}
	}
	return p.conn.setup
}

// whyClosed is what the other side has said when it ended TLS, if that is how the connection ended.
// The Transport has read it and told nobody, but TLS tells it to all who read later.
func (p *progress) whyClosed(err error) error {
	p.mu.Lock()
	conn, ok := p.outer.(*tls.Conn)
	p.mu.Unlock()
	if !ok {
		return err
	}
	_ = conn.Close() // so that Read cannot wait
	if _, why := conn.Read(make([]byte, 1)); isAlert(why) {
		return why
	}
	return err
}

// turnedAway notes that what was written was not acted upon.
func (p *progress) turnedAway() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = true
}

func (p *progress) got1xx(status int, h textproto.MIMEHeader) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count++; p.count > maxInterims {
		return errInterims
	}
	// 100 is about the body and was handled; 101 is no interim answer.
	if status > 101 && !p.over {
		p.interim(status, listOf(http.Header(h)))
	}
	return nil
}

// clock starts the header timeout anew, or stops it. Bodies may be sent longer than the answer takes
// to begin; then there is nothing to wait for any more.
func (p *progress) clock(run bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if run && !p.over {
		p.timer.Reset(p.wait)
	} else {
		p.timer.Stop()
	}
}

func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.timer.Stop()
}
