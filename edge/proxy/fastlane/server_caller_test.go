package fastlane

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/proxy/nethttp"
	"tollgate/internal/testenv/pki"
)

// ends answers when its context has ended, with the reason, and tells it.
func ends(began chan<- struct{}, causes chan<- error) handle {
	return func(ctx context.Context, x *proxy.Exchange) {
		if x.Target == "/ok" {
			clienttest.Reply(x, "ok")
			return
		}
		began <- struct{}{}
		<-ctx.Done()
		causes <- context.Cause(ctx)
		x.Out.Abort()
	}
}

func lingers(d time.Duration) func(*nethttp.ServerConfig) {
	return func(cfg *nethttp.ServerConfig) { cfg.Linger = d }
}

func overTLS(t *testing.T) (func(*nethttp.ServerConfig), *tls.Config) {
	t.Helper()
	authority := pki.New(t)
	issued := authority.Issue(t, []string{"127.0.0.1"})
	pair, err := tls.X509KeyPair(issued.Cert, issued.Key)
	if err != nil {
		t.Fatal(err)
	}
	server := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
	return func(cfg *nethttp.ServerConfig) { cfg.TLS = server }, &tls.Config{RootCAs: authority.Pool(), NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
}

// Guarantee: a caller who closes the connection ends its exchange within a short time, and one that breaks it at once, also on a
// connection that has served others before, over TLS too.
func TestCallerGone(t *testing.T) {
	t.Parallel()
	secure, client := overTLS(t)
	old := client.Clone()
	old.MaxVersion = tls.VersionTLS12
	for name, tc := range map[string]struct {
		linger time.Duration
		tls    *tls.Config
		leave  func(p *peer)
	}{
		"closes":          {time.Millisecond, nil, func(p *peer) { p.Close() }},
		"closes one side": {time.Millisecond, nil, (*peer).half},
		"without linger":  {0, nil, (*peer).half},
		"resets":          {time.Hour, nil, func(p *peer) { reset(p.t, p.Conn); p.Close() }},
		"TLS":             {time.Millisecond, client, func(p *peer) { p.Close() }},
		"TLS 1.2":         {time.Millisecond, old, func(p *peer) { p.Close() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began, causes := make(chan struct{}, 1), make(chan error, 1)
			change := []func(*nethttp.ServerConfig){lingers(tc.linger)}
			if tc.tls != nil {
				change = append(change, secure)
			}
			e := serveFast(t, ends(began, causes), change...)
			for _, before := range []int{0, 2} {
				var p *peer
				if tc.tls != nil {
					p = e.dialTLS(tc.tls)
				} else {
					p = e.dial()
				}
				for range before {
					p.Send(plainGet)
					p.Answer("GET")
				}
				p.Send("POST /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
				clienttest.Receive(t, began, "exchange")
				tc.leave(p)
				if cause := clienttest.Receive(t, causes, "end"); !errors.Is(cause, proxy.ErrCallerGone) {
					t.Errorf("it ended with %v", cause)
				}
			}
		})
	}
}

func reset(t *testing.T, c net.Conn) {
	t.Helper()
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		t.Fatal("no TCP")
	}
	if err := tcp.SetLinger(0); err != nil {
		t.Error(err)
	}
}

// Guarantee: a caller who closes its sending side only gets its answer, and so do requests that it has sent before.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	var e *served
	e = serveFast(t, handle(func(ctx context.Context, x *proxy.Exchange) {
		if x.Target != "/first" {
			echo(ctx, x)
			return
		}
		close(left)
		// What follows is still to be served, so that the end behind it says nothing about this exchange.
		until(t, "the end is seen", func() bool {
			seen := false
			e.server.each(func(c *conn) { seen = seen || c.caller.shut.Load() })
			return seen
		})
		e.server.each(func(c *conn) {
			if c.caller.linger(); ctx.Err() != nil {
				t.Error("the exchange ended, and others were still to come")
			}
		})
		echo(ctx, x)
	}), lingers(0))
	p := e.dial()
	p.Send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n")
	clienttest.Receive(t, left, "exchange")
	p.Send(plainGet)
	p.half()
	for _, want := range []string{`GET /first h 0 ""`, `GET /ok h 0 ""`} {
		if _, body := p.Answer("GET"); body != want {
			t.Errorf("got %q, want %q", body, want)
		}
	}
	if rest := p.Rest(); rest != "" {
		t.Errorf("then came %q", rest)
	}
}

// Guarantee: a body that does not come, or not whole, ends as an error of the body, and an early answer reaches a caller that goes on
// sending, behind which the connection ends.
func TestBodies(t *testing.T) {
	t.Parallel()
	read := make(chan error, 1)
	e := serveFast(t, handle(func(_ context.Context, x *proxy.Exchange) {
		switch x.Target {
		case "/early":
			x.Out.Begin(401, nil, 2)
			_, _ = io.WriteString(x.Out, "no")
		default:
			_, err := io.ReadAll(x.Body)
			read <- err
			x.Out.Abort()
		}
	}), func(cfg *nethttp.ServerConfig) { cfg.PeerTimeout = 20 * time.Millisecond })
	const head = " HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"
	p := e.dial()
	p.Send("POST /x" + head + "abc")
	var wait net.Error
	if err := clienttest.Receive(t, read, "end"); !errors.As(err, &wait) || !wait.Timeout() {
		t.Errorf("a caller that goes silent: %v", err)
	}
	p = e.dial()
	p.Send("POST /x" + head + "abc")
	p.half()
	if err := clienttest.Receive(t, read, "end"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a body: %v", err)
	}
	p = e.dial()
	go func() { _, _ = io.WriteString(p.Conn, "POST /early"+head+strings.Repeat("a", 1000000)) }() // nobody has to take all of it
	res, body := p.Answer("POST")
	if res.StatusCode != 401 || body != "no" || !res.Close {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
}

// Guarantee: a caller that is slow with a head, or with the next one, or with TLS, is not waited for for ever, and gets no answer.
func TestSlowCallers(t *testing.T) {
	t.Parallel()
	secure, _ := overTLS(t)
	short := func(cfg *nethttp.ServerConfig) { cfg.HeaderTimeout, cfg.IdleTimeout = 20*time.Millisecond, time.Hour }
	idle := func(cfg *nethttp.ServerConfig) { cfg.HeaderTimeout, cfg.IdleTimeout = time.Hour, 20*time.Millisecond }
	for name, tc := range map[string]struct {
		change []func(*nethttp.ServerConfig)
		before int
		send   string
	}{
		"nothing":               {[]func(*nethttp.ServerConfig){short}, 0, ""},
		"half a head":           {[]func(*nethttp.ServerConfig){short}, 0, "GET / HT"},
		"half of the next head": {[]func(*nethttp.ServerConfig){short}, 1, "GET / HTTP/1.1\r\nHo"},
		"no next head":          {[]func(*nethttp.ServerConfig){idle}, 1, ""},
		"no TLS":                {[]func(*nethttp.ServerConfig){short, secure}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := serveFast(t, handle(echo), tc.change...)
			p := e.dial()
			for range tc.before {
				p.Send(plainGet)
				p.Answer("GET")
			}
			p.Send(tc.send)
			if rest := p.Rest(); rest != "" {
				t.Errorf("got %q", rest)
			}
		})
	}
}

// Guarantee: over TLS the lane serves HTTP/1.1, and gives HTTP/2 and callers that speak no TLS to the general one.
func TestServerTLS(t *testing.T) {
	t.Parallel()
	secure, client := overTLS(t)
	e := serveFast(t, handle(func(ctx context.Context, x *proxy.Exchange) {
		if x.Source != "" {
			t.Errorf("%s went over lane %s", x.Target, x.Source)
		}
		echo(ctx, x)
	}), secure)
	p := e.dialTLS(client)
	long := strings.Repeat("b", 50000)
	for range 2 {
		p.Send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n" + long)
		if _, body := p.Answer("POST"); body != `POST /x h 50000 "`+long+`"` {
			t.Errorf("got %.50q", body)
		}
		p.Send(plainGet)
		p.Answer("GET")
	}
	plain := e.dial()
	plain.Send(plainGet)
	if res, body := plain.Answer("GET"); res.StatusCode != 400 || !strings.Contains(body, "HTTPS") {
		t.Errorf("without TLS: %d %q", res.StatusCode, body)
	}
	modern := client.Clone()
	modern.NextProtos = []string{"h2"}
	h2 := e.dialTLS(modern)
	h2.Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	settings := make([]byte, 9)
	if _, err := io.ReadFull(h2.R, settings); err != nil || settings[3] != 4 {
		t.Errorf("HTTP/2 got %q, %v", settings, err)
	}
}
