package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"time"
)

// Option changes how a client calls.
type Option func(*settings) error

type settings struct {
	token   func(context.Context) (string, error)
	servers []string
	roots   []byte
	http    *http.Client
	retry   Retry
	agent   string
}

// WithToken calls as whoever the token belongs to: of `tollgate token create`, or the admin token.
func WithToken(token string) Option {
	return WithTokens(func(context.Context) (string, error) { return token, nil })
}

// WithTokens asks for the token before each call, for tokens that are read from a file or change. An empty token is not sent.
func WithTokens(source func(context.Context) (string, error)) Option {
	return func(s *settings) error {
		s.token = source
		return nil
	}
}

// WithCA trusts authorities, in PEM, beside the system's.
func WithCA(pem []byte) Option {
	return func(s *settings) error {
		s.roots = pem
		return nil
	}
}

// WithServers adds further addresses of the same deployment. One that does not answer is left for the next, and the one
// that answered is kept to.
func WithServers(servers ...string) Option {
	return func(s *settings) error {
		s.servers = append(s.servers, servers...)
		return nil
	}
}

// WithHTTPClient calls through a client of one's own, with its TLS, proxies and timeouts. A timeout also ends streams.
func WithHTTPClient(c *http.Client) Option {
	return func(s *settings) error {
		if c == nil {
			return errors.New("the HTTP client is nil")
		}
		s.http = c
		return nil
	}
}

// WithRetry changes how often and when calls are made again.
func WithRetry(r Retry) Option {
	return func(s *settings) error {
		if r.Attempts < 1 || r.First < 0 || r.Most < r.First {
			return errors.New("a retry has at least one attempt, and pauses that do not shrink")
		}
		s.retry = r
		return nil
	}
}

// WithUserAgent says which program calls, such as "billing/1.4".
func WithUserAgent(name string) Option {
	return func(s *settings) error {
		s.agent = name
		return nil
	}
}

// Retry says how often a call is made that does not come through, and the pauses between: First, twice that, and so on up to Most,
// each drawn at random from its upper half, or longer if the server says so.
type Retry struct {
	Attempts    int // 1 is never again
	First, Most time.Duration
}

// DefaultRetry is used without WithRetry.
var DefaultRetry = Retry{Attempts: 4, First: 200 * time.Millisecond, Most: 3 * time.Second}

// newTransport bounds what connecting takes. What an answer takes is bounded by each call's context.
func newTransport(roots []byte) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		MaxIdleConnsPerHost: 16,
		ForceAttemptHTTP2:   true,
	}
	if roots == nil {
		return t, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(roots) {
		return nil, errors.New("the CA has no certificate in PEM")
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}

// asked is what a context asks of the calls made with it.
type asked struct {
	dryRun   bool
	override bool
	key      string
}

type askedKey struct{}

func askedOf(ctx context.Context) asked {
	a, _ := ctx.Value(askedKey{}).(asked)
	return a
}

// DryRun has writes made with the context be tried and taken back: they answer as if they had been made, without the secrets
// that a real call shows once.
func DryRun(ctx context.Context) context.Context {
	a := askedOf(ctx)
	a.dryRun = true
	return context.WithValue(ctx, askedKey{}, a)
}

// Override has writes made with the context also change what a file manages. The next `tollgate apply` of the file changes it back.
func Override(ctx context.Context) context.Context {
	a := askedOf(ctx)
	a.override = true
	return context.WithValue(ctx, askedKey{}, a)
}

// IdempotencyKey has one write be done once, also by processes that start again: the second call with the same key and request gets
// the first one's answer, for a day. Without it, each call has a key of its own, for its retries. It is for one call: a key that
// comes with another request is refused with the code idempotency_key_reused.
func IdempotencyKey(ctx context.Context, key string) context.Context {
	a := askedOf(ctx)
	a.key = key
	return context.WithValue(ctx, askedKey{}, a)
}
