package nethttp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/internal/testenv/pki"
)

const upgradeHead = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n"

const serverSwitched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n"

// mirror switches and sends back what comes until the caller has ended its side, and then a last word.
func mirror(t *testing.T) handle {
	t.Helper()
	return func(_ context.Context, x *proxy.Exchange) {
		if x.Upgrade != websocket || x.Body != nil {
			t.Errorf("upgrade %q, body %v", x.Upgrade, x.Body)
			return
		}
		conn, err := x.Out.Switch([]proxy.Header{{Name: "Sec-WebSocket-Accept", Value: "x"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		buf := make([]byte, 1000)
		if _, err := io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{conn}, buf); err != nil {
			t.Error(err)
		}
		if _, err := io.WriteString(conn, "last"); err != nil {
			t.Error(err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Error(err)
		}
	}
}

// Guarantee (55-57): what a caller sends behind its upgrade is the other protocol's, whether it comes
// with the request, right behind it or later, looks like a request or not; and the other side may go on
// when the caller has ended its own.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	ca := pki.New(t)
	plain := serve(t, mirror(t))
	secure := serve(t, mirror(t), func(c *ServerConfig) { c.TLS = tlsOf(t, ca) })
	dials := map[string]func() *clienttest.Caller{
		"plain": plain.dial,
		"TLS":   func() *clienttest.Caller { return secure.dialTLS(clientOf(ca, protoH1)) },
	}
	late := strings.Repeat("b\n", 3000)
	for name, dial := range dials {
		for _, early := range []string{"", "\x81", "GET / HTTP/1.1\nHost", strings.Repeat("a\n", 1500), strings.Repeat("a\n", 100<<10)} {
			for _, apart := range []bool{false, true} {
				p := dial()
				got := make(chan string, 1)
				go func() {
					text, _ := io.ReadAll(p.R)
					got <- string(text)
				}()
				if apart {
					p.Send(upgradeHead)
					p.Send(early)
				} else {
					p.Send(upgradeHead + early)
				}
				p.Send(late)
				if err := p.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if text := clienttest.Receive(t, got, "answer"); text != serverSwitched+early+late+"last" {
					t.Errorf("%s, %d early bytes, apart %v: got %d bytes, %.300q", name, len(early), apart, len(text), text)
				}
			}
		}
	}
}

// Guarantee: bytes of the other protocol that come after the switch are passed on as they come.
func TestUpgradeLater(t *testing.T) {
	t.Parallel()
	e := serve(t, mirror(t))
	p := e.dial()
	p.Send(upgradeHead)
	p.Expect(serverSwitched)
	for _, text := range []string{"\x00", "a\n", strings.Repeat("c", 10000)} {
		p.Send(text)
		p.Expect(text)
	}
	if err := p.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest := p.Rest(); rest != "last" {
		t.Errorf("in the end came %q", rest)
	}
}

// Guarantee (58, 59): an upgrade that is not granted, or that nobody can grant, is an ordinary request;
// what was sent behind it is never taken for one, unless the connection could not be serverSwitched at all.
func TestNoUpgrade(t *testing.T) {
	t.Parallel()
	e := serve(t, func(_ context.Context, x *proxy.Exchange) {
		if x.Upgrade == "" {
			if _, err := x.Out.Switch(nil); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("switch: %v", err)
			}
		}
		clienttest.Reply(x, x.Target+" "+x.Upgrade)
	})
	const next = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, tc := range map[string]struct {
		send, upgrade string
		closes        bool
	}{
		"refused":       {upgradeHead, websocket, true},
		"no connection": {strings.Replace(upgradeHead, "keep-alive, Upgrade", "keep-alive", 1), "", true},
		"h2c":           {"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", "", false},
		"two":           {strings.Replace(upgradeHead, "WebSocket", "websocket, h2c", 1), "", false},
		"a body":        {strings.Replace(upgradeHead, "Host", "Content-Length: 1\r\nHost", 1) + "x", "", true}, // nobody reads the body
		"a POST":        {strings.Replace(upgradeHead, "GET", "POST", 1), "", false},
		"HTTP/1.0":      {strings.Replace(upgradeHead, "1.1", "1.0", 1), "", false},
	} {
		p := e.dial()
		p.Send(tc.send + next)
		if _, body := p.Answer("GET"); body != "/ws "+tc.upgrade {
			t.Errorf("%s: got %q", name, body)
		}
		var rest string
		if tc.closes {
			rest = p.Rest()
		} else {
			_, rest = p.Answer("GET")
		}
		if (rest == "") != tc.closes || rest != "" && rest != "/next " {
			t.Errorf("%s: then came %q", name, rest)
		}
	}
}

// Guarantee (38): a stop lets tunnels, streams and answers go on until its time is over, ends them then,
// and returns when they are settled; new connections are refused.
func TestShutdownEndsEverything(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan string, 3), make(chan error, 3)
	e := serve(t, func(ctx context.Context, x *proxy.Exchange) {
		if x.Upgrade != "" {
			conn, err := x.Out.Switch(nil)
			if err != nil {
				t.Error(err)
				return
			}
			begun <- x.Target
			_, err = conn.Read(make([]byte, 1)) // ends with the connection alone
			if err == nil {
				t.Error("a byte came")
			}
		} else {
			x.Out.Begin(200, nil, -1)
			_ = x.Out.Flush()
			begun <- x.Target
			<-ctx.Done()
			x.Out.Abort()
		}
		<-ctx.Done()
		ended <- context.Cause(ctx)
	})
	tunnel, answer, s := e.dial(), e.dial(), e.dial2()
	tunnel.Send(strings.Replace(upgradeHead, "/ws", "/tunnel", 1))
	answer.Send("GET /answer HTTP/1.1\r\nHost: h\r\n\r\n")
	s.request(1, "GET", "/stream", true)
	for range 3 {
		clienttest.Receive(t, begun, "exchange")
	}
	s.want("head 1 :status=200")
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- e.server.Shutdown(ctx) }()
	s.want("goaway NO_ERROR")
	select {
	case err := <-stopped:
		t.Fatalf("it stopped while exchanges ran: %v", err)
	case err := <-ended:
		t.Fatalf("an exchange was ended: %v", err)
	default:
	}
	cancel()
	for range 3 {
		if err := clienttest.Receive(t, ended, "end"); !errors.Is(err, proxy.ErrCutOff) {
			t.Errorf("an exchange ended with %v", err)
		}
	}
	if err := clienttest.Receive(t, stopped, "stop"); !errors.Is(err, context.Canceled) {
		t.Errorf("stop: %v", err)
	}
}

// Guarantee: a stop with nothing but a tunnel waits for it, and for no longer.
func TestShutdownWaitsForTunnel(t *testing.T) {
	t.Parallel()
	e := serve(t, mirror(t))
	p := e.dial()
	p.Send(upgradeHead)
	p.Expect(serverSwitched)
	stopped := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), clienttest.Patience)
	defer cancel()
	go func() { stopped <- e.server.Shutdown(ctx) }()
	p.Send("still there")
	p.Expect("still there")
	if err := p.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	p.Expect("last")
	if err := clienttest.Receive(t, stopped, "stop"); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// Guarantee: a caller who takes nothing from a tunnel does not hold it for ever.
func TestTunnelPeerTimeout(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	e := serve(t, func(_ context.Context, x *proxy.Exchange) {
		conn, err := x.Out.Switch(nil)
		if err != nil {
			t.Error(err)
			return
		}
		for err == nil {
			_, err = conn.Write(bytes.Repeat([]byte("x"), 1<<20))
		}
		failed <- err
	}, func(c *ServerConfig) { c.PeerTimeout = 50 * time.Millisecond })
	p := e.dial()
	p.Send(upgradeHead)
	if err := clienttest.Receive(t, failed, "end of writing"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("writing ended with %v", err)
	}
}
