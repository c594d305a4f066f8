package clienttest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/testenv/pki"
)

// secureTarget serves HTTP over TLS in the versions that cfg names, tells in its answers what it was
// spoken to in, and stays until the other side leaves when it does not like a handshake, so that its
// reason arrives.
func secureTarget(t *testing.T, cfg *tls.Config) (addr string) {
	t.Helper()
	served := make(chan net.Conn)
	done := make(chan struct{})
	addr = Listen(t, func(_ int, c *Peer) {
		closed := make(chan struct{})
		conn := tls.Server(&closingConn{Conn: c.Conn, closed: closed}, cfg)
		if conn.HandshakeContext(t.Context()) != nil {
			c.R = bufio.NewReader(c.Conn)
			c.Rest()
			return
		}
		select {
		case served <- conn: // the server wants to see that it is TLS
			<-closed
		case <-done:
		}
	})
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	server := &http.Server{
		ReadHeaderTimeout: Patience, Protocols: &protocols,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Proto", r.Proto)
			w.Header().Set("X-Name", r.TLS.ServerName)
			if len(r.TLS.PeerCertificates) > 0 {
				w.Header().Set("X-Client", r.TLS.PeerCertificates[0].Subject.CommonName)
			}
		}),
	}
	l := &chanListener{served, done}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(l) }()
	t.Cleanup(func() {
		close(done)
		_ = server.Close() // what is open is nobody's any more
		if err := <-stopped; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return addr
}

// chanListener accepts what a channel yields.
type chanListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *chanListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *chanListener) Close() error   { return nil }
func (l *chanListener) Addr() net.Addr { return &net.TCPAddr{} }

// Guarantee: a target over https is spoken to in the version, with the certificates, the name and the
// oldest version of TLS that are configured, how long the connection took is told, and when it cannot be the text says why.
func (n New) secure(t *testing.T) {
	t.Helper()
	ca, stranger := pki.New(t), pki.New(t)
	good := ca.Issue(t, []string{"127.0.0.1", "vendor.example"})
	client := ca.Issue(t, []string{"edge.example"})
	strange := stranger.Issue(t, []string{"edge.example"})
	server := func(pair pki.Pair, protocols ...string) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{pair.TLS(t)}, NextProtos: protocols, MinVersion: tls.VersionTLS12}
	}
	demanding := func(version uint16) *tls.Config {
		cfg := server(good, "h2", "http/1.1")
		cfg.ClientAuth, cfg.ClientCAs, cfg.MinVersion, cfg.MaxVersion = tls.RequireAndVerifyClientCert, ca.Pool(), version, version
		return cfg
	}
	only12 := server(good, "http/1.1")
	only12.MaxVersion = tls.VersionTLS12
	expired := ca.Issue(t, []string{"127.0.0.1"}, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	trust := routing.Transport{CA: string(ca.PEM)}
	with := func(change func(*routing.Transport)) routing.Transport {
		tr := trust
		change(&tr)
		return tr
	}
	shown := func(pair pki.Pair) func(*routing.Transport) {
		return func(tr *routing.Transport) { tr.ClientCert, tr.ClientKey = string(pair.Cert), string(pair.Key) }
	}
	const http1, http2 = eventv1.TargetHttp_TARGET_HTTP_1_1, eventv1.TargetHttp_TARGET_HTTP_2
	both := server(good, "h2", "http/1.1")
	for _, tc := range []struct {
		name      string
		server    *tls.Config
		transport routing.Transport
		headers   string // of the answer; empty if there is none
		text      string // of the failure
	}{
		{"newest version by itself", both, trust, "X-Proto: HTTP/2.0", ""},
		{"the older one where there is no other", server(good, "http/1.1"), trust, "X-Proto: HTTP/1.1", ""},
		{"a target without ALPN", server(good), trust, "X-Proto: HTTP/1.1", ""},
		{"HTTP/1.1 as configured", both, with(func(tr *routing.Transport) { tr.HTTP = http1 }), "X-Proto: HTTP/1.1", ""},
		{"HTTP/2 as configured", both, with(func(tr *routing.Transport) { tr.HTTP = http2 }), "X-Proto: HTTP/2.0", ""},
		{"HTTP/2 not spoken", server(good, "http/1.1"), with(func(tr *routing.Transport) { tr.HTTP = http2 }), "", "no version of HTTP"},
		{"HTTP/2 not spoken, without ALPN", server(good), with(func(tr *routing.Transport) { tr.HTTP = http2 }), "", "does not speak HTTP/2"},
		{"name asked for", both, with(func(tr *routing.Transport) { tr.ServerName = "vendor.example" }), "X-Name: vendor.example", ""},
		{"wrong name", both, with(func(tr *routing.Transport) { tr.ServerName = "other.example" }), "", "for another name"},
		{"expired", server(expired, "h2"), trust, "", "has expired"},
		{"unknown authority", both, routing.Transport{}, "", "unknown authority"},
		{"another authority", both, routing.Transport{CA: string(stranger.PEM)}, "", "unknown authority"},
		{"any certificate", server(expired, "h2"), routing.Transport{SkipVerify: true}, "X-Proto: HTTP/2.0", ""},
		{"too old", only12, with(func(tr *routing.Transport) { tr.MinTLS = tls.VersionTLS13 }), "", "version of TLS"},
		{"old enough", only12, trust, "X-Proto: HTTP/1.1", ""},
		{"certificate shown", demanding(tls.VersionTLS13), with(shown(client)), "X-Client: edge.example", ""},
		{"certificate shown, 1.2", demanding(tls.VersionTLS12), with(shown(client)), "X-Client: edge.example", ""},
		{"certificate demanded", demanding(tls.VersionTLS13), trust, "", "demands a certificate"},
		{"certificate demanded, HTTP/1.1", demanding(tls.VersionTLS13), with(func(tr *routing.Transport) { tr.HTTP = http1 }), "", "demands a certificate"},
		{"certificate demanded, 1.2", demanding(tls.VersionTLS12), trust, "", "broke the handshake off"},
		{"certificate of a stranger", demanding(tls.VersionTLS13), with(shown(strange)), "", "edge's certificate"},
		{"authority that is none", both, routing.Transport{CA: "none"}, "", "holds no certificate"},
		{"certificate that is none", both, with(func(tr *routing.Transport) { tr.ClientCert, tr.ClientKey = "a", "secret" }), "", "do not fit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			target := TargetAt(t, "https://"+secureTarget(t, tc.server), tc.transport)
			c := n.client(t)
			if tc.text != "" {
				e := Fail(t, c, AttemptAt(target))
				Want(t, e, proxy.FailTLS, false, tc.text)
				if strings.Contains(e.Error(), "secret") {
					t.Errorf("the key is shown: %v", e)
				}
				return
			}
			answer, _ := Do(t, c, AttemptAt(target))
			if name, value, _ := strings.Cut(tc.headers, ": "); !Has(answer.Headers, name, value) {
				t.Errorf("no %s in %v", tc.headers, answer.Headers)
			}
			if s := answer.Setup; s.Connect <= 0 || s.TLS <= 0 || s.DNS != 0 {
				t.Errorf("a new connection to an address took %+v", s)
			}
		})
	}
}

// Guarantee: what does not speak TLS is told as such.
func (n New) unsecured(t *testing.T) {
	t.Helper()
	addr := Listen(t, func(_ int, c *Peer) {
		c.Say("HTTP/1.1 400 Bad Request\r\n\r\n")
		c.Rest()
	})
	Want(t, Fail(t, n.client(t), AttemptAt(TargetAt(t, "https://"+addr, routing.Transport{}))), proxy.FailTLS, false, "does not speak TLS")
}

// closingConn tells when it is closed.
type closingConn struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

// Close closes the connection.
func (c *closingConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
