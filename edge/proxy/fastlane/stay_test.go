package fastlane

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/proxy/nethttp"
)

// staying has a connection serve requests in one turn of the poller, until it waits without having looked.
func staying(e *served) *peer {
	e.t.Helper()
	p := e.dial()
	for range 3 {
		p.Send(plainGet)
		p.Answer("GET")
	}
	until(e.t, "it waits", func() bool {
		waits := false
		e.server.each(func(c *conn) { waits = waits || c.remote == p.LocalAddr().String() && c.asleep.Load() == dozing })
		return waits
	})
	return p
}

func patient(cfg *nethttp.ServerConfig) { cfg.IdleTimeout, cfg.HeaderTimeout = time.Hour, time.Hour }

// Guarantee: on a connection that waits without having looked, whatever comes is served, however it is cut, and so is what follows.
func TestStay(t *testing.T) {
	t.Parallel()
	e := serveFast(t, handle(echo), patient)
	long := strings.Repeat("b", 3*muchBuffer)
	for name, tc := range map[string]struct {
		send []string
		want []string
	}{
		"a head in pieces":   {[]string{"GET /1 HT", "TP/1.1\r\nHost: h\r\n", "\r\n"}, []string{`GET /1 h 0 ""`}},
		"a body behind":      {[]string{"POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n", "ab", "c"}, []string{`POST /2 h 3 "abc"`}},
		"a long body":        {[]string{fmt.Sprintf("PUT /3 HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", len(long)), long}, []string{fmt.Sprintf("PUT /3 h %d %q", len(long), long)}},
		"an empty line":      {[]string{"POST /4 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na", "\r\n" + plainGet}, []string{`POST /4 h 1 "a"`, `GET /ok h 0 ""`}},
		"two at once":        {[]string{plainGet + "POST /5 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na"}, []string{`GET /ok h 0 ""`, `POST /5 h 1 "a"`}},
		"as long as buffers": {[]string{"GET /" + strings.Repeat("c", littleBuffer-len("GET / HTTP/1.1\r\nHost: h\r\n\r\n")) + " HTTP/1.1\r\nHost: h\r\n\r\n"}, []string{"GET /" + strings.Repeat("c", littleBuffer-len("GET / HTTP/1.1\r\nHost: h\r\n\r\n")) + ` h 0 ""`}},
		"what is strange":    {[]string{"GET /6 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n"}, []string{`GET /6 h 0 ""`}},
	} {
		t.Run(name, func(t *testing.T) {
			p := staying(e)
			for i, piece := range tc.send {
				if p.Send(piece); i < len(tc.send)-1 {
					p.taken()
				}
			}
			for _, want := range tc.want {
				if _, body := p.Answer("GET"); body != want {
					t.Errorf("got %.60q, want %.60q", body, want)
				}
			}
			p.Send(plainGet)
			if _, body := p.Answer("GET"); body != `GET /ok h 0 ""` {
				t.Errorf("then got %.60q", body)
			}
		})
	}
}

// Guarantee: a connection whose end has come together with its last request ends behind the answer, also if the server hears of the
// end later.
func TestEndWithRequest(t *testing.T) {
	t.Parallel()
	began, on := make(chan struct{}), make(chan struct{})
	e := serveFast(t, handle(func(ctx context.Context, x *proxy.Exchange) {
		if x.Target == "/wait" {
			began <- struct{}{}
			<-on
		}
		echo(ctx, x)
	}), patient)
	for i := range 20 { // how much of it the poller tells at once differs
		p, late := staying(e), i%2 == 1
		if late {
			e.server.watch.mu.Lock()
		}
		p.Send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
		clienttest.Receive(t, began, "exchange")
		p.Send(plainGet)
		p.half()
		on <- struct{}{}
		p.Answer("GET")
		p.Answer("GET")
		if late {
			e.server.watch.mu.Unlock()
		}
		if rest := p.Rest(); rest != "" {
			t.Errorf("then came %q", rest)
		}
	}
}

// Guarantee: who is told of the end of the connection looks itself, and serves on if something else has come.
func TestRouse(t *testing.T) {
	t.Parallel()
	e := serveFast(t, handle(echo), patient)
	p := staying(e)
	e.server.each((*conn).rouse)
	for range 3 {
		p.Send(plainGet)
		if _, body := p.Answer("GET"); body != `GET /ok h 0 ""` {
			t.Errorf("got %q", body)
		}
	}
}
