package fastlane

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/routing"
	"tollgate/internal/testenv/pki"
)

// Guarantee: attempts that are not plain HTTP/1.1 go by the general lane, and all others do not.
func TestLanes(t *testing.T) {
	t.Parallel()
	target := clienttest.TargetAt(t, "http://"+clienttest.Listen(t, func(n int, c *clienttest.Peer) { numbered(n, c, nil) }), routing.Transport{})
	for name, tc := range map[string]struct {
		change func(a *proxy.Attempt)
		fast   bool
	}{
		"GET":            {func(*proxy.Attempt) {}, true},
		"body that came": {func(a *proxy.Attempt) { a.Method, a.Body, a.Length = "POST", clienttest.ArrivedBody("abc"), 3 }, true},
		"unknown length": {func(a *proxy.Attempt) { a.Method, a.Body, a.Length = "POST", clienttest.BodyOf("abc"), -1 }, false},
		"100 Continue": {func(a *proxy.Attempt) {
			a.Method, a.Body, a.Length, a.Continue = "POST", clienttest.BodyOf(""), 3, true
		}, false},
		"another method":    {func(a *proxy.Attempt) { a.Method = "PURGE" }, false},
		"asterisk":          {func(a *proxy.Attempt) { a.Method, a.URI = "OPTIONS", "*" }, false},
		"two slashes":       {func(a *proxy.Attempt) { a.URI = "//x" }, false},
		"a byte of a path":  {func(a *proxy.Attempt) { a.URI = "/\xff" }, false},
		"a bad header":      {func(a *proxy.Attempt) { a.Headers = []proxy.Header{{Name: "X A", Value: "1"}} }, false},
		"a line in a value": {func(a *proxy.Attempt) { a.Headers = []proxy.Header{{Name: "X-A", Value: "1\r\nX-B: 2"}} }, false},
		"a line in a path":  {func(a *proxy.Attempt) { a.URI = "/ HTTP/1.1\r\nX: " }, false},
		"connection":        {func(a *proxy.Attempt) { a.Headers = []proxy.Header{{Name: "connection", Value: "X"}} }, false},
		"expectation":       {func(a *proxy.Attempt) { a.Headers = []proxy.Header{{Name: "expect", Value: "100-continue"}} }, false},
		"a bad host":        {func(a *proxy.Attempt) { a.HostHeader = "a b" }, false},
		"a framed header":   {func(a *proxy.Attempt) { a.Headers = []proxy.Header{{Name: "content-length", Value: "7"}} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, went := testClient(t)
			a := clienttest.AttemptAt(target)
			tc.change(a)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if !tc.fast && a.Continue {
				cancel() // which lane it is, is decided all the same
			}
			if answer, err := c.RoundTrip(ctx, a); err == nil {
				_ = answer.Body.Close()
			}
			if went.fast+went.general != 1 || (went.fast == 1) != tc.fast {
				t.Errorf("lanes %+v", went)
			}
		})
	}
}

// Guarantee: a target that chooses HTTP/2 is spoken to in it on the very connection on which it has, later attempts go there at
// once, and one that stops speaking it is spoken to in HTTP/1.1 by the lane that is for it. What was taken of a body is sent whole.
func TestHTTP2IsLearned(t *testing.T) {
	t.Parallel()
	ca := pki.New(t)
	var conns atomic.Int64
	var older atomic.Bool
	cert := ca.Issue(t, []string{"127.0.0.1"}).TLS(t)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		ReadHeaderTimeout: clienttest.Patience, Protocols: protocols,
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				conns.Add(1)
			}
		},
		TLSConfig: &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			next := []string{"h2", "http/1.1"}
			if older.Load() {
				next = next[1:]
			}
			return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: next, MinVersion: tls.VersionTLS12}, nil
		}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			if r.URL.Path == "/last" {
				w.Header().Set("Connection", "close") // of HTTP/2 as well
			}
			_, _ = io.WriteString(w, r.Proto+" "+string(bytes.ToUpper(b)))
		}),
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); _ = server.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = server.Close(); <-stopped })
	target := clienttest.TargetAt(t, "https://"+l.Addr().String(), routing.Transport{CA: string(ca.PEM)})
	c, went := testClient(t)
	post := func(uri string) *proxy.Attempt {
		a := clienttest.AttemptAt(target)
		a.Method, a.URI, a.Body, a.Length = "POST", uri, clienttest.ArrivedBody("abc"), 3
		return a
	}
	for _, uri := range []string{"/", "/", "/last"} {
		if _, text := clienttest.Do(t, c, post(uri)); text != "HTTP/2.0 ABC" {
			t.Errorf("got %q", text)
		}
	}
	if n := conns.Load(); n != 1 || *went != (lanes{general: 3}) {
		t.Errorf("%d connections, lanes %+v", n, went)
	}
	older.Store(true)
	for range 3 {
		if _, text := clienttest.Do(t, c, post("/")); text != "HTTP/1.1 ABC" {
			t.Errorf("got %q", text)
		}
	}
	if *went != (lanes{general: 4, fast: 2}) {
		t.Errorf("lanes %+v", went)
	}
}

// shortAttempt sends a body of 1 KB that has come to a target that answers it with 1.5 KB, on a connection that is kept.
func shortAttempt(tb testing.TB) *proxy.Attempt {
	tb.Helper()
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nX-Request-Id: 0123456789\r\nContent-Length: 1500\r\n\r\n" + string(bytes.Repeat([]byte("x"), 1500)))
	target := clienttest.TargetAt(tb, "http://"+clienttest.Listen(tb, func(_ int, c *clienttest.Peer) {
		in := make([]byte, 4096)
		for {
			for n := 0; n < 1024; {
				m, err := c.Conn.Read(in)
				if err != nil {
					return
				}
				n += m
			}
			if _, err := c.Conn.Write(answer); err != nil {
				return
			}
		}
	}), routing.Transport{})
	a := clienttest.AttemptAt(target)
	a.Method, a.Body, a.Length = "POST", clienttest.ArrivedBody(string(bytes.Repeat([]byte("y"), 1024))), 1024
	a.Headers = []proxy.Header{{Name: "content-type", Value: "application/json"}, {Name: "authorization", Value: "Bearer abc"}}
	return a
}

// Guarantee: an attempt with a body that has come takes one piece of memory: the text of the answer's head.
func TestAllocations(t *testing.T) { //nolint:paralleltest // it counts what the process allocates
	c, _ := testClient(t)
	ctx := &teller{Context: t.Context()}
	a := shortAttempt(t)
	once := func() {
		answer, err := c.RoundTrip(ctx, a)
		if err != nil {
			t.Fatal(err)
		}
		body := answer.Body.(proxy.Pieces)
		for n := 0; n < 1500; {
			p, err := body.Next(clienttest.Patience)
			n += len(p)
			if err != nil && n < 1500 {
				t.Fatal(err)
			}
		}
		_ = answer.Body.Close()
	}
	once()
	if n := testing.AllocsPerRun(200, once); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
