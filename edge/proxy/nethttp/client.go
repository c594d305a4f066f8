package nethttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tollgate/edge/proxy"
)

// ClientConfig is what the calling side of the net/http engine needs to know.
type ClientConfig struct {
	AllowPrivate   bool          // connect to loopback and private addresses
	ConnectTimeout time.Duration // for a connection, and again for TLS
	IdleTimeout    time.Duration // unused connections are kept as long
	MaxIdle        int           // of them per target
	MaxHeader      int64         // bytes of an answer's headers
	TLS            *tls.Config   // nil for the system's certificates
	Resolver       *net.Resolver // nil for the system's
}

// DefaultClientConfig keeps connections for a shorter time than most servers do, so that a request
// seldom meets one that is just being closed.
func DefaultClientConfig() ClientConfig {
	return ClientConfig{
		ConnectTimeout: 10 * time.Second, IdleTimeout: 50 * time.Second,
		MaxIdle: 1024, MaxHeader: 256 << 10,
	}
}

// Client performs attempts with net/http's Transport. It goes through no forward proxy, because the
// addresses it connects to would then not be its own to check.
type Client struct{ transport *http.Transport }

// NewClient makes a client.
func NewClient(cfg ClientConfig) *Client {
	dialer := &net.Dialer{
		Timeout: cfg.ConnectTimeout, KeepAlive: 30 * time.Second, Resolver: cfg.Resolver,
		// Called with each address after names are resolved, so that no answer of a name server
		// can lead elsewhere.
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			return checkAddress(address, cfg.AllowPrivate)
		},
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &Client{&http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &countingConn{Conn: conn}, nil
		},
		Protocols:              &protocols,
		TLSClientConfig:        cfg.TLS,
		TLSHandshakeTimeout:    cfg.ConnectTimeout,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    cfg.MaxIdle,
		IdleConnTimeout:        cfg.IdleTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: cfg.MaxHeader,
		WriteBufferSize:        8 << 10,
		ReadBufferSize:         8 << 10,
	}}
}

// Close ends the connections that nobody uses.
func (t *Client) Close() { t.transport.CloseIdleConnections() }

// countingConn knows how much was written to it.
type countingConn struct {
	net.Conn
	written atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// progress follows one attempt through the Transport's callbacks, which come from several
// goroutines.
type progress struct {
	mu      sync.Mutex
	over    bool // RoundTrip has returned: no more 1xx answers
	interim func(int, []proxy.Header)
	conns   int           // connections it was given
	conn    *countingConn // the last of them
	before  int64         // what was written to it before
	cancel  context.CancelCauseFunc

	first  atomic.Bool   // a byte of an answer came; known only where the caller waits for 100 Continue
	wanted chan struct{} // closed when the target asked for the body with 100 Continue
	asked  sync.Once
	tlsErr error       // of the last handshake
	whole  atomic.Bool // all of the request was written
	timer  *time.Timer
	wait   time.Duration

	body   watchedBody // unused without one
	answer answerBody
}

var errUnwanted = errors.New("the target did not ask for the body")

var errStatus = errors.New("status is not final")

var errHeaderTimeout = errors.New("no answer in time")

var errReplayed = errors.New("the connection was closed twice")

// trace is what the Transport is to call. What an attempt has no use for is left out.
func (p *progress) trace(a *proxy.Attempt) *httptrace.ClientTrace {
	t := &httptrace.ClientTrace{GotConn: p.gotConn, Got1xxResponse: p.got1xx, WroteRequest: p.wrote}
	if a.Continue {
		p.wanted = make(chan struct{})
		t.GotFirstResponseByte = func() { p.first.Store(true) }
		t.Got100Continue = func() { p.asked.Do(func() { close(p.wanted) }) }
	}
	if a.Target.Scheme == "https" {
		t.TLSHandshakeDone = func(_ tls.ConnectionState, err error) {
			p.mu.Lock()
			p.tlsErr = err
			p.mu.Unlock()
		}
	}
	return t
}

func (p *progress) wrote(info httptrace.WroteRequestInfo) {
	if info.Err == nil {
		p.whole.Store(true)
	}
}

func (p *progress) gotConn(info httptrace.GotConnInfo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// The Transport repeats a request without side effects when a connection turns out to be
	// closed. Once is enough: after that it is the target.
	if p.conns++; p.conns > 2 {
		p.cancel(errReplayed)
	}
	conn := info.Conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	p.conn, _ = conn.(*countingConn)
	if p.conn != nil {
		p.before = p.conn.written.Load()
	}
}

// sent says whether any byte of the request was written to a connection.
func (p *progress) sent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conns > 1 || p.conn != nil && p.conn.written.Load() > p.before
}

func (p *progress) got1xx(status int, h textproto.MIMEHeader) error {
	p.mu.Lock()
	defer p.mu.Unlock()
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

// watchedBody holds the clock of the header timeout while the caller is waited for, and reports a
// body that could not be read.
type watchedBody struct {
	proxy.Body
	p     *progress
	ended <-chan struct{} // the attempt
	waits bool            // for 100 Continue
	err   atomic.Pointer[error]
}

func (b *watchedBody) Read(q []byte) (int, error) {
	if b.waits && b.p.first.Load() {
		// The target has answered. Unless that was 100 Continue, it does not want the body, which the
		// Transport would now read just to keep the connection, and so make the caller send it.
		select {
		case <-b.p.wanted:
		case <-b.ended:
			return 0, errUnwanted
		}
	}
	b.p.clock(false)
	defer b.p.clock(true)
	n, err := b.Body.Read(q)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err.Store(&err)
	}
	return n, err
}

// Close does nothing: the body belongs to the exchange, which may make another attempt.
func (b *watchedBody) Close() error { return nil }

// RoundTrip performs one attempt.
func (t *Client) RoundTrip(ctx context.Context, a *proxy.Attempt) (*proxy.Answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &progress{interim: a.Interim, cancel: cancel, wait: a.HeaderTimeout}
	p.mu.Lock()
	p.timer = time.AfterFunc(a.HeaderTimeout, func() { cancel(errHeaderTimeout) })
	p.mu.Unlock()
	var body *watchedBody
	watching := func() bool { return false }
	if a.Body != nil {
		body = &p.body
		body.Body, body.p, body.ended, body.waits = a.Body, p, ctx.Done(), a.Continue
		// The Transport does not return before its reading of the body has.
		watching = context.AfterFunc(ctx, a.Body.Interrupt)
	}
	resp, err := t.transport.RoundTrip(newRequest(httptrace.WithClientTrace(ctx, p.trace(a)), a, body))
	p.end()
	watching() // from here on the end of the attempt is no reason to leave the body alone
	if err != nil {
		defer cancel(nil)
		return nil, explain(ctx, p, body, a, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 999 { // 101 to a request that asked for no upgrade
		defer cancel(nil)
		resp.Body.Close()
		return nil, &proxy.AttemptError{
			Failure: proxy.FailAnswer, Text: fmt.Sprintf("status %d answers nothing", resp.StatusCode),
			Sent: true, Whole: p.whole.Load(), Err: errStatus,
		}
	}
	p.answer = answerBody{resp.Body, cancel}
	return &proxy.Answer{
		Status: resp.StatusCode, Headers: listOf(resp.Header), Length: resp.ContentLength,
		Body: &p.answer, Cancel: cancel,
	}, nil
}

// answerBody ends the attempt's context with the body.
type answerBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *answerBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

var nameless = []string{""}

func newRequest(ctx context.Context, a *proxy.Attempt, body *watchedBody) *http.Request {
	h := make(http.Header, len(a.Headers)+2)
	addAll(h, a.Headers)
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nameless // the Transport would name itself
	}
	host := a.HostHeader
	if host == "" {
		host = a.Target.Host
	}
	r := (&http.Request{
		Method: a.Method, URL: rawURL(a.Target.Scheme, a.Target.Host, a.URI), Host: host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h,
	}).WithContext(ctx)
	switch {
	case body != nil:
		r.Body, r.ContentLength = body, a.Length
		if a.Continue {
			h["Expect"] = []string{"100-continue"}
		}
	case a.EmptyBody:
		// Together these make the Transport write Content-Length: 0 whatever the method.
		r.Body, r.TransferEncoding = http.NoBody, []string{"identity"}
	}
	return r
}

// rawURL is a URL whose request line is uri as it stands.
func rawURL(scheme, host, uri string) *url.URL {
	path, query, marked := strings.Cut(uri, "?")
	u := &url.URL{Scheme: scheme, Host: host, RawQuery: query, ForceQuery: marked && query == ""}
	// An opaque part that begins with two slashes would be taken for an authority. The path form
	// keeps such a path, too, as long as its characters are ones that paths have.
	if strings.HasPrefix(path, "//") {
		if plain, err := url.PathUnescape(path); err == nil {
			u.Path, u.RawPath = plain, path
			return u
		}
	}
	u.Opaque = path
	return u
}

// explain finds out what an error of the Transport means.
func explain(ctx context.Context, p *progress, body *watchedBody, a *proxy.Attempt, err error) *proxy.AttemptError {
	e := &proxy.AttemptError{Sent: p.sent(), Whole: p.whole.Load(), Err: err}
	cause := context.Cause(ctx)
	p.mu.Lock()
	tlsErr, connected := p.tlsErr, p.conns > 0
	p.mu.Unlock()
	switch {
	case errors.Is(cause, errHeaderTimeout) && !connected:
		e.Failure, e.Text = proxy.FailConnect, "it timed out"
	case errors.Is(cause, errHeaderTimeout):
		e.Failure, e.Text = proxy.FailTimeout, a.HeaderTimeout.String()
	case errors.Is(cause, errReplayed):
		e.Failure, e.Text = proxy.FailAnswer, "it closed the connection without an answer"
	case ctx.Err() != nil:
		e.Failure, e.Text = proxy.FailCanceled, "the exchange ended"
	case body != nil && body.err.Load() != nil:
		e.Failure, e.Text, e.Err = proxy.FailBody, "the body could not be read", *body.err.Load()
	case connected:
		e.Failure, e.Text = proxy.FailAnswer, answerText(err)
	case errors.Is(err, errAddress):
		e.Failure, e.Text = proxy.FailRefused, "its address is one that this edge does not connect to"
	case tlsErr != nil || isTLS(err):
		e.Failure, e.Text = proxy.FailTLS, tlsText(err)
	default:
		e.Failure, e.Text = proxy.FailConnect, connectText(err)
	}
	return e
}

func answerText(err error) string {
	switch text := err.Error(); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), strings.Contains(text, "server closed idle connection"):
		return "it closed the connection without an answer"
	case strings.Contains(text, "headers exceeded"):
		return "its headers are too large"
	default:
		return "what it sent is not HTTP"
	}
}

func connectText(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "the name does not exist"
		}
		return "the name could not be looked up"
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "it timed out"
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to it"
	default:
		return "the connection failed"
	}
}

func isTLS(err error) bool {
	_, verify := errors.AsType[*tls.CertificateVerificationError](err)
	_, header := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return verify || header || alert || strings.Contains(err.Error(), "TLS handshake")
}

func tlsText(err error) string {
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "its certificate is for another name"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "its certificate has expired"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "its certificate is signed by an unknown authority"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "it does not speak TLS"
	}
	return "the handshake failed"
}
