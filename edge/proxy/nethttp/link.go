package nethttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// link is the connections to one target: all those that are made in the same way.
type link struct {
	err  error  // its settings cannot be used
	text string // for people

	dialer dialer
	main   *http.Transport
	// upgrade is for requests that ask for another protocol, which is a thing of HTTP/1.1.
	upgrade func() *http.Transport
	http2   bool // main may speak it
	direct  *Direct

	busy    atomic.Int64 // attempts whose answer has not ended
	retired atomic.Bool
}

// How much of an answer a target may send before the caller takes it, on each stream of HTTP/2, and how
// long a connection may take none of what is written to it.
const (
	streamWindow  = 1 << 20
	stuckAfter    = 30 * time.Second
	continueAfter = time.Second // the body is sent to a target that never answers Expect
)

func newLink(life context.Context, cfg *ClientConfig, t *routing.Target) *link {
	l := &link{}
	l.dialer.set(life, cfg, &t.Transport)
	secure := t.Scheme == "https"
	var main http.Protocols
	switch version := t.Transport.HTTP; {
	case version == eventv1.TargetHttp_TARGET_HTTP_2 && secure:
		main.SetHTTP2(true)
	case version == eventv1.TargetHttp_TARGET_HTTP_2:
		main.SetUnencryptedHTTP2(true)
	case version == eventv1.TargetHttp_TARGET_HTTP_1_1 || !secure:
		main.SetHTTP1(true)
	default:
		main.SetHTTP1(true)
		main.SetHTTP2(true)
	}
	l.http2 = main.HTTP2() || main.UnencryptedHTTP2()
	var tlsConfig *tls.Config
	if secure {
		if tlsConfig, l.text, l.err = configOf(cfg.TLS, &t.Transport); l.err != nil {
			return l
		}
	}
	l.main = l.newTransport(cfg, tlsConfig, main)
	if main.HTTP1() {
		l.direct = newDirect(l, t, tlsConfig, main)
	}
	l.upgrade = func() *http.Transport { return l.main }
	if l.http2 {
		l.upgrade = sync.OnceValue(func() *http.Transport {
			var only1 http.Protocols
			only1.SetHTTP1(true)
			return l.newTransport(cfg, tlsConfig, only1)
		})
	}
	return l
}

// configOf is the base with a target's own settings.
func configOf(base *tls.Config, t *routing.Transport) (*tls.Config, string, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if base != nil {
		cfg = base.Clone()
	}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12, t.MinTLS)
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(32)
	if t.ServerName != "" {
		cfg.ServerName = t.ServerName
	}
	if t.SkipVerify {
		cfg.InsecureSkipVerify = true // the target's configuration says so, and explains what that means
	}
	if t.CA != "" {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM([]byte(t.CA)) {
			return nil, "its authority in the configuration holds no certificate in PEM", errors.New("no certificate in PEM")
		}
	}
	if t.ClientCert != "" || t.ClientKey != "" {
		pair, err := tls.X509KeyPair([]byte(t.ClientCert), []byte(t.ClientKey))
		if err != nil {
			return nil, "the edge's certificate and key for it in the configuration do not fit together or are not PEM", errPair
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, "", nil
}

// errPair stands for an error of crypto/tls, which might show what the key holds.
var errPair = errors.New("certificate and key cannot be used")

func (l *link) newTransport(cfg *ClientConfig, tlsConfig *tls.Config, protocols http.Protocols) *http.Transport {
	t := &http.Transport{
		Protocols:              &protocols,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    cfg.MaxIdle,
		IdleConnTimeout:        cfg.IdleTimeout,
		ExpectContinueTimeout:  continueAfter,
		MaxResponseHeaderBytes: cfg.MaxHeader,
		WriteBufferSize:        8 << 10,
		ReadBufferSize:         8 << 10,
	}
	if protocols.UnencryptedHTTP2() {
		t.DialContext = l.dialer.dialPrior
	} else {
		t.DialContext = l.dialer.dialPlain
	}
	if tlsConfig != nil {
		t.DialTLSContext = l.dialer.dialTLS(asking(tlsConfig, protocols), !protocols.HTTP1())
	}
	if protocols.HTTP2() || protocols.UnencryptedHTTP2() {
		t.HTTP2 = &http.HTTP2Config{
			MaxReceiveBufferPerStream: streamWindow,
			WriteByteTimeout:          stuckAfter,
		}
	}
	return t
}

// asking is a configuration that asks for one of the protocols.
func asking(cfg *tls.Config, protocols http.Protocols) *tls.Config {
	cfg = cfg.Clone()
	cfg.NextProtos = nil
	if protocols.HTTP2() {
		cfg.NextProtos = append(cfg.NextProtos, "h2")
	}
	if protocols.HTTP1() {
		cfg.NextProtos = append(cfg.NextProtos, "http/1.1")
	}
	return cfg
}

func (l *link) transport(a *proxy.Attempt) *http.Transport {
	if a.Upgrade != "" {
		return l.upgrade()
	}
	return l.main
}

// forgets is within what time HTTP/2 takes a stream whose answer was closed for ended. Until then its connection is not idle.
const forgets = 250 * time.Millisecond

// done ends an attempt. The last one closes the connections of a link that is wanted no more.
func (l *link) done() {
	if l.busy.Add(-1) == 0 && l.retired.Load() {
		l.closeIdle()
		if l.http2 {
			time.AfterFunc(forgets, l.closeIdle)
		}
	}
}

// retire closes what is idle, now and when the last attempt has ended.
func (l *link) retire() {
	l.retired.Store(true)
	l.closeIdle()
}

func (l *link) closeIdle() {
	if l.main == nil {
		return
	}
	l.main.CloseIdleConnections()
	if l.http2 {
		l.upgrade().CloseIdleConnections()
	}
}
