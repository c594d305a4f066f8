package nethttp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"testing"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/testenv/pki"
)

const switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: chat\r\n\r\n"

// Guarantee: a connection that was switched carries bytes both ways from the first one behind the answer,
// and goes on after one side has ended, over http and https, whatever version requests are sent in.
func TestTunnel(t *testing.T) {
	t.Parallel()
	ca := pki.New(t)
	cfg := &tls.Config{
		Certificates: []tls.Certificate{ca.Issue(t, []string{"127.0.0.1"}).TLS(t)}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12,
	}
	for name, tc := range map[string]struct {
		scheme string
		http   eventv1.TargetHttp
	}{
		"http": {"http", 0}, "https": {"https", 0},
		"http, HTTP/2": {"http", eventv1.TargetHttp_TARGET_HTTP_2}, "https, HTTP/2": {"https", eventv1.TargetHttp_TARGET_HTTP_2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			head := make(chan string, 1)
			addr := clienttest.Listen(t, func(_ int, c *clienttest.Peer) {
				if tc.scheme == "https" {
					secure := tls.Server(c.Conn, cfg)
					c = &clienttest.Peer{Conn: secure, R: bufio.NewReader(secure)}
				}
				head <- c.Head()
				c.Say(switched + "early")
				got := c.Rest() // until the other side has closed its half
				c.Say("after " + got)
				c.Close()
			})
			a := clienttest.AttemptAt(clienttest.TargetAt(t, tc.scheme+"://"+addr, routing.Transport{HTTP: tc.http, CA: string(ca.PEM)}))
			a.Upgrade = "websocket"
			a.Headers = []proxy.Header{{Name: "Sec-WebSocket-Key", Value: "k"}}
			answer, err := testClient(t).RoundTrip(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			if answer.Status != 101 || answer.Body != nil || !clienttest.Has(answer.Headers, "Sec-WebSocket-Protocol", "chat") {
				t.Fatalf("got %+v", answer)
			}
			defer answer.Conn.Close()
			h := clienttest.Receive(t, head, "request")
			for _, s := range []string{"GET / HTTP/1.1\r\n", "Connection: Upgrade\r\n", "Upgrade: websocket\r\n", "Sec-Websocket-Key: k\r\n"} {
				if !strings.Contains(h, s) {
					t.Errorf("no %q in %q", s, h)
				}
			}
			early := make([]byte, 5)
			if _, err := io.ReadFull(answer.Conn, early); err != nil || string(early) != "early" {
				t.Errorf("got %q, %v", early, err)
			}
			long := strings.Repeat("x", 1<<20)
			if _, err := io.WriteString(answer.Conn, long); err != nil {
				t.Error(err)
			}
			if err := answer.Conn.CloseWrite(); err != nil {
				t.Error(err)
			}
			if b, err := io.ReadAll(answer.Conn); err != nil || string(b) != "after "+long {
				t.Errorf("got %d bytes, %v", len(b), err)
			}
		})
	}
}

// Guarantee: a switched connection ends with its attempt, however it does, and whoever reads returns.
func TestTunnelEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(a *proxy.Answer, cancel func()){
		"exchange over": func(_ *proxy.Answer, cancel func()) { cancel() },
		"canceled":      func(a *proxy.Answer, _ func()) { a.Cancel(errors.New("silent for too long")) },
		"closed":        func(a *proxy.Answer, _ func()) { a.Conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gone := make(chan string, 1)
			addr := clienttest.Listen(t, func(_ int, c *clienttest.Peer) {
				c.Head()
				c.Say(switched)
				gone <- c.Rest()
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			a := clienttest.AttemptAt(clienttest.TargetAt(t, "http://"+addr, routing.Transport{}))
			a.Upgrade = "websocket"
			answer, err := testClient(t).RoundTrip(ctx, a)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Conn.Close()
			read := make(chan error, 1)
			go func() {
				_, err := answer.Conn.Read(make([]byte, 1))
				read <- err
			}()
			end(answer, cancel)
			if clienttest.Receive(t, read, "end of reading") == nil {
				t.Error("a byte was read")
			}
			clienttest.Receive(t, gone, "end at the target")
		})
	}
}

// Guarantee: a target that does not switch answers like any other, and one that switches to what nobody
// asked for has given no answer.
func TestUpgradeRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ reply, text string }{
		"refused":          {"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", ""},
		"another protocol": {strings.Replace(switched, "WebSocket", "h2c", 1), "another protocol"},
		"no protocol":      {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n", "another protocol"},
		"not said":         {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "without saying so"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gone := make(chan string, 1)
			addr := clienttest.Listen(t, func(_ int, c *clienttest.Peer) {
				c.Head()
				c.Say(tc.reply)
				gone <- c.Rest()
			})
			a := clienttest.AttemptAt(clienttest.TargetAt(t, "http://"+addr, routing.Transport{}))
			a.Upgrade = "websocket"
			c := testClient(t)
			if tc.text == "" {
				if answer, b := clienttest.Do(t, c, a); answer.Status != 403 || b != "no" || answer.Conn != nil {
					t.Errorf("got %d %q", answer.Status, b)
				}
				return
			}
			clienttest.Want(t, clienttest.Fail(t, c, a), proxy.FailAnswer, true, tc.text)
			clienttest.Receive(t, gone, "end at the target")
		})
	}
}
