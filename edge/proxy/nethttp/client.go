package nethttp

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/routing"
)

// ClientConfig is what the calling side of the net/http engine needs to know.
type ClientConfig struct {
	AllowPrivate   bool          // connect to loopback and private addresses
	ConnectTimeout time.Duration // for a connection, and again for TLS, where a target has none of its own
	IdleTimeout    time.Duration // unused connections are kept as long
	MaxIdle        int           // of them per target
	MaxHeader      int64         // bytes of an answer's headers
	MaxLines       int           // of an answer's headers
	TLS            *tls.Config   // what targets' own settings are added to; nil for the system's certificates
	Resolver       *net.Resolver // nil for the system's
}

// DefaultClientConfig keeps connections for a shorter time than most servers do, so that a request
// seldom meets one that is just being closed.
func DefaultClientConfig() ClientConfig {
	return ClientConfig{
		ConnectTimeout: 10 * time.Second, IdleTimeout: 50 * time.Second,
		MaxIdle: 1024, MaxHeader: 256 << 10, MaxLines: 1024,
	}
}

// Client performs attempts with net/http's Transport, one for each way of connecting to a target. It
// goes through no forward proxy, because the addresses it connects to would then not be its own to
// check.
type Client struct {
	cfg ClientConfig
	// life ends with Close, and with it every attempt to connect.
	life context.Context //nolint:containedctx // the client's own
	end  context.CancelFunc

	mu sync.Mutex // of those who change links
	// links holds one for each target's key. It is replaced, never changed, so that looking one up
	// takes no lock.
	links atomic.Pointer[map[string]*link]
}

// NewClient makes a client.
func NewClient(cfg ClientConfig) *Client {
	c := &Client{cfg: cfg}
	c.life, c.end = context.WithCancel(context.Background())
	c.links.Store(&map[string]*link{})
	return c
}

// Close ends the connections that nobody uses, and those that are being made.
func (c *Client) Close() {
	c.end()
	for _, l := range *c.links.Load() {
		l.retire()
	}
}

// Sync makes the client forget targets that are no longer configured: their connections are closed, at
// once or when the requests on them have ended.
func (c *Client) Sync(endpoints []*routing.Endpoint) {
	wanted := KeysOf(endpoints)
	c.mu.Lock()
	old := *c.links.Load()
	next := maps.Clone(old)
	maps.DeleteFunc(next, func(key string, _ *link) bool { return !wanted[key] })
	c.links.Store(&next)
	c.mu.Unlock()
	for key, l := range old {
		if !wanted[key] {
			l.retire()
		}
	}
}

// KeysOf are the keys of all targets that endpoints have.
func KeysOf(endpoints []*routing.Endpoint) map[string]bool {
	keys := map[string]bool{}
	for _, e := range endpoints {
		for _, t := range e.Targets {
			keys[t.Key] = true
		}
		if e.Signing != nil && e.Signing.STS != nil {
			keys[e.Signing.STS.Key] = true
		}
	}
	return keys
}

// link finds the connections to a target, or makes a place for them.
func (c *Client) link(t *routing.Target) *link {
	if l := (*c.links.Load())[t.Key]; l != nil {
		return l
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	links := *c.links.Load()
	if l := links[t.Key]; l != nil {
		return l
	}
	l := newLink(c.life, &c.cfg, t)
	links = maps.Clone(links)
	links[t.Key] = l
	c.links.Store(&links)
	return l
}

var errStatus = errors.New("status is not final")

// RoundTrip performs one attempt.
func (c *Client) RoundTrip(ctx context.Context, a *proxy.Attempt) (*proxy.Answer, error) {
	l := c.link(a.Target)
	if l.err != nil {
		return nil, &proxy.AttemptError{Failure: proxy.FailTLS, Text: l.text, Err: l.err}
	}
	known, err := l.knownBody(ctx, a)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	p := newProgress(l, a, cancel)
	var body *watchedBody
	watching := func() bool { return false }
	if a.Body != nil && known == nil {
		body = &p.body
		body.watch(a, p, ctx.Done())
		// The Transport does not return before its reading of the body has.
		watching = context.AfterFunc(ctx, a.Body.Interrupt)
	}
	l.busy.Add(1)
	resp, err := l.transport(a).RoundTrip(newRequest(httptrace.WithClientTrace(ctx, p.trace(a)), a, body, known)) //nolint:bodyclose // the answer's Close closes it
	p.end()
	watching() // from here on the end of the attempt is no reason to leave the body alone
	if err != nil {
		e := explain(ctx, p, body, a, err)
		cancel(nil)
		if body != nil {
			body.stop()
		}
		l.done()
		return nil, e
	}
	p.answer = answerBody{ReadCloser: resp.Body, p: p, resp: resp}
	if text := Unusable(resp, a, c.cfg.MaxLines); text != "" {
		_ = p.answer.Close() // nothing of it is wanted
		return nil, &proxy.AttemptError{
			Failure: proxy.FailAnswer, Text: text, Sent: true, Whole: p.whole.Load(), Err: errStatus,
		}
	}
	answer := &proxy.Answer{
		Status: resp.StatusCode, Headers: HeadersOf(resp), Length: resp.ContentLength, Cancel: cancel, Setup: p.setup(),
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		answer.Conn, answer.Length = newUpgraded(ctx, &p.answer), 0
		return answer, nil
	}
	answer.Body = &p.answer
	if mayHaveTrailers(resp) {
		answer.Trailers = p.answer.trailers
	}
	return answer, nil
}
