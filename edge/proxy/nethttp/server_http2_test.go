package nethttp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/internal/testenv/pki"
)

// echo tells what an exchange is.
func echo(_ context.Context, x *proxy.Exchange) {
	body := ""
	if x.Body != nil {
		all, err := io.ReadAll(x.Body)
		body = fmt.Sprintf("%s %v", all, err)
	}
	text := fmt.Sprintf("%s %s %s %d %d [%s] %v", x.Method, x.Target, x.Host, x.Proto, x.Length, body, x.TrailerNames)
	if x.Body != nil {
		text += fmt.Sprint(" ", x.Body.Trailers())
	}
	clienttest.Reply(x, text)
}

func tlsOf(t *testing.T, ca *pki.Authority) *tls.Config {
	t.Helper()
	return &tls.Config{
		Certificates: []tls.Certificate{ca.Issue(t, []string{"127.0.0.1"}).TLS(t)},
		NextProtos:   []string{protoH2, protoH1}, MinVersion: tls.VersionTLS12,
	}
}

func clientOf(ca *pki.Authority, protos ...string) *tls.Config {
	return &tls.Config{RootCAs: ca.Pool(), NextProtos: protos}
}

// Guarantee (53): one address takes HTTP/2 by prior knowledge beside HTTP/1.1, also when the preface
// comes byte by byte.
func TestPriorKnowledge(t *testing.T) {
	t.Parallel()
	e := serve(t, echo)
	for name, write := range map[string]func(p *clienttest.Caller, all []byte){
		"at once": func(p *clienttest.Caller, all []byte) { p.Send(string(all)) },
		"byte by byte": func(p *clienttest.Caller, all []byte) {
			for _, b := range all {
				p.Send(string(b))
			}
		},
	} {
		p := e.dial()
		s := open2(t, p, func(all []byte) { write(p, all) })
		s.request(1, "GET", "/a%2Fb//?q=%zz", true)
		const text = `GET /a%2Fb//?q=%zz h 2 0 [] []`
		if head := s.next(); !strings.HasPrefix(head, "head 1 :status=200 content-length=") {
			t.Fatalf("%s: %s", name, head)
		}
		s.want(fmt.Sprintf("data 1 %q end", text))
	}
	p := e.dial()
	p.Send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, body := p.Answer("GET"); body != "GET /x h 1 0 [] []" {
		t.Errorf("HTTP/1.1 got %q", body)
	}
}

// Guarantee: what only begins like the preface is refused, or served as what it is.
func TestAlmostPreface(t *testing.T) {
	t.Parallel()
	e := serve(t, echo)
	for _, text := range []string{
		"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\rx", "PRI * HTTP/2.0\r\nHost: h\r\n\r\n", "PRI * HTTP/2.1\r\n\r\n",
	} {
		p := e.dial()
		p.Send(text)
		res, body := p.Answer("GET")
		wantFault(t, res.StatusCode, res.Header, body, 400, "request_malformed")
		if rest := p.Rest(); rest != "" {
			t.Errorf("%q: then came %q", text, rest)
		}
	}
	p := e.dial()
	p.Send("P")
	p.Send("RI /x HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, body := p.Answer("PRI"); body != "PRI /x h 1 0 [] []" {
		t.Errorf("got %q", body)
	}
	p.Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") // behind a request it is none
	res, body := p.Answer("GET")
	wantFault(t, res.StatusCode, res.Header, body, 400, "request_malformed")
}

// Guarantee: over TLS the version is the one agreed on, the framing of HTTP/1.1 is looked at as
// without TLS, and a request without TLS is told what is wrong.
func TestServerTLS(t *testing.T) {
	t.Parallel()
	ca := pki.New(t)
	e := serve(t, echo, func(c *ServerConfig) { c.TLS = tlsOf(t, ca) })
	p := e.dialTLS(clientOf(ca, protoH2))
	s := open2(t, p, func(all []byte) { p.Send(string(all)) })
	s.request(1, "POST", "/x", false)
	if err := s.f.WriteData(1, true, []byte("abc")); err != nil {
		t.Fatal(err)
	}
	if head := s.next(); !strings.HasPrefix(head, "head 1 :status=200") {
		t.Fatal(head)
	}
	s.want(fmt.Sprintf("data 1 %q end", "POST /x h 2 -1 [abc <nil>] [] []"))

	for _, protos := range [][]string{{protoH1}, nil} {
		p = e.dialTLS(clientOf(ca, protos...))
		p.Send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
		if _, body := p.Answer("GET"); body != "GET /x h 1 0 [] []" {
			t.Errorf("%v: got %q", protos, body)
		}
		p.Send("GET /x HTTP/1.1\nHost: h\r\n\r\n")
		res, body := p.Answer("GET")
		wantFault(t, res.StatusCode, res.Header, body, 400, "request_malformed")
		p = e.dialTLS(clientOf(ca, protos...))
		p.Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		res, body = p.Answer("GET")
		wantFault(t, res.StatusCode, res.Header, body, 400, "request_malformed")
	}
	p = e.dialTLS(clientOf(ca, protoH2))
	p.Send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
	if rest := p.Rest(); rest != "" {
		t.Errorf("HTTP/1.1 where HTTP/2 was agreed on got %q", rest)
	}
	p = e.dial()
	p.Send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
	res, body := p.Answer("GET")
	wantFault(t, res.StatusCode, res.Header, body, 400, "request_malformed")
}

// Guarantee: a handshake that does not end in time costs a connection and nothing else.
func TestSlowHandshake(t *testing.T) {
	t.Parallel()
	e := serve(t, echo, func(c *ServerConfig) { c.TLS, c.HeaderTimeout = tlsOf(t, pki.New(t)), 50*time.Millisecond })
	p := e.dial()
	p.Send("\x16\x03\x01")
	if rest := p.Rest(); rest != "" {
		t.Errorf("got %q", rest)
	}
}

// Guarantee (52): trailers reach HTTP/2 callers, announced or not, and theirs reach the exchange.
func TestStreamTrailers(t *testing.T) {
	t.Parallel()
	e := serve(t, func(_ context.Context, x *proxy.Exchange) {
		_, err := io.Copy(io.Discard, x.Body)
		got := fmt.Sprint(x.TrailerNames, x.Body.Trailers(), err)
		x.Out.Begin(200, []proxy.Header{{Name: "Trailer", Value: "Sum"}, {Name: "Sum", Value: "in the head"}}, -1)
		if x.Target == "/body" {
			_, _ = io.WriteString(x.Out, got)
		}
		x.Out.Trailers([]proxy.Header{{Name: "sum", Value: got}, {Name: "grpc-status", Value: "0"}, {Name: "grpc-status", Value: "1"}})
	})
	s := e.dial2()
	for i, path := range []string{"/body", "/empty"} {
		id := uint32(2*i + 1)
		s.request(id, "POST", path, false, "trailer", "sum", "content-length", "3")
		if err := s.f.WriteData(id, false, []byte("abc")); err != nil {
			t.Fatal(err)
		}
		s.headers(id, true, "sum", "7")
		const got = "[Sum] [{Sum 7}] <nil>"
		s.want(fmt.Sprintf("head %d :status=200 sum=in the head trailer=Sum", id))
		if path == "/body" {
			s.want(fmt.Sprintf("data %d %q", id, got))
		}
		s.want(fmt.Sprintf("head %d grpc-status=0 grpc-status=1 sum=%s end", id, got))
	}
}

// Guarantee (33, 53): a stream that is reset ends its exchange at once and no other; so does the end of
// the connection for all.
func TestStreamReset(t *testing.T) {
	t.Parallel()
	causes, open := make(chan error), make(chan string)
	e := serve(t, func(ctx context.Context, x *proxy.Exchange) {
		x.Out.Begin(200, nil, -1)
		_ = x.Out.Flush()
		open <- x.Target
		<-ctx.Done()
		causes <- context.Cause(ctx)
		x.Out.Abort()
	}, func(c *ServerConfig) { c.Linger = time.Hour })
	s := e.dial2()
	for i := range 3 {
		s.request(uint32(2*i+1), "GET", fmt.Sprint("/", i), true)
		clienttest.Receive(t, open, "exchange")
	}
	if err := s.f.WriteRSTStream(3, 8); err != nil {
		t.Fatal(err)
	}
	if err := clienttest.Receive(t, causes, "end"); !errors.Is(err, proxy.ErrCallerGone) {
		t.Error(err)
	}
	select {
	case err := <-causes:
		t.Errorf("a stream that was not reset ended: %v", err)
	default:
	}
	s.Close()
	for range 2 {
		if err := clienttest.Receive(t, causes, "end"); !errors.Is(err, proxy.ErrCallerGone) {
			t.Error(err)
		}
	}
}

// Guarantee (26): an answer that is aborted ends in a reset, behind what was written; the connection
// goes on.
func TestStreamAbort(t *testing.T) {
	t.Parallel()
	e := serve(t, func(_ context.Context, x *proxy.Exchange) {
		if x.Target == "/good" {
			x.Out.Begin(204, nil, 0)
			return
		}
		x.Out.Begin(200, nil, -1)
		_, _ = io.WriteString(x.Out, "some")
		x.Out.Abort()
	})
	s := e.dial2()
	s.request(1, "GET", "/bad", true)
	s.want("head 1 :status=200", `data 1 "some"`, "reset 1 INTERNAL_ERROR")
	s.request(3, "GET", "/good", true)
	s.want("head 3 :status=204 end")
}

// Guarantee (46, 48): a stream gets interim answers, exactly one 100 when its body is wanted, and none
// once the answer has begun.
func TestStreamInterim(t *testing.T) {
	t.Parallel()
	unread := make(chan error, 1)
	e := serve(t, func(_ context.Context, x *proxy.Exchange) {
		x.Out.Interim(103, []proxy.Header{{Name: "Link", Value: "a"}})
		x.Out.Interim(100, nil)
		if x.Target == "/refuse" {
			x.Body.Drain()
			x.Out.Begin(401, nil, 0)
			go func() {
				_, err := x.Body.Read(make([]byte, 1))
				unread <- err
			}()
			return
		}
		all, _ := io.ReadAll(x.Body)
		x.Out.Interim(100, nil)
		clienttest.Reply(x, string(all))
	})
	s := e.dial2()
	s.request(1, "POST", "/take", false, "expect", "100-continue")
	s.want("head 1 :status=103 link=a", "head 1 :status=100")
	if err := s.f.WriteData(1, true, []byte("abc")); err != nil {
		t.Fatal(err)
	}
	s.want("head 1 :status=200 content-length=3", `data 1 "abc" end`)
	s.request(3, "POST", "/refuse", false, "expect", "100-continue")
	s.want("head 3 :status=103 link=a", "head 3 :status=401 content-length=0 end", "reset 3 NO_ERROR")
	if err := clienttest.Receive(t, unread, "error"); err == nil {
		t.Error("a body that nobody asked for was read")
	}
}

// Guarantee (41): HEAD keeps the length, and flushing its head does not look like the end of the caller.
func TestStreamHead(t *testing.T) {
	t.Parallel()
	e := serve(t, func(ctx context.Context, x *proxy.Exchange) {
		x.Out.Begin(200, []proxy.Header{{Name: "Content-Length", Value: "12345"}}, -1)
		_ = x.Out.Flush()
		x.Out.Trailers([]proxy.Header{{Name: "X", Value: "1"}})
		if ctx.Err() != nil {
			t.Error("the exchange was ended")
		}
	})
	s := e.dial2()
	s.request(1, "HEAD", "/", true)
	s.want("head 1 :status=200 content-length=12345 end")
}

// Guarantee (70): a stream's headers have the limits that HTTP/1.1 has, and beyond them the error of the
// catalogue; the connection goes on.
func TestStreamHeaderLimits(t *testing.T) {
	t.Parallel()
	e := serve(t, func(_ context.Context, x *proxy.Exchange) { x.Out.Begin(204, nil, 0) })
	many := func(n int) (fields []string) {
		for i := range n {
			fields = append(fields, fmt.Sprint("x-", i), "1")
		}
		return fields
	}
	s := e.dial2()
	for i, tc := range []struct {
		fields []string
		status int
	}{
		{many(200), 204},
		{many(257), 431},
		{[]string{"x", strings.Repeat("a", 60<<10)}, 204},
		{[]string{"x", strings.Repeat("a", 65<<10)}, 431},
		{nil, 204},
	} {
		id := uint32(2*i + 1)
		s.request(id, "GET", "/", true, tc.fields...)
		head := s.next()
		if !strings.HasPrefix(head, fmt.Sprintf("head %d :status=%d", id, tc.status)) {
			t.Errorf("%d: got %s", i, head)
		}
		if tc.status == 431 {
			if body := s.next(); !strings.Contains(body, "headers_too_large") {
				t.Error(body)
			}
		}
	}
}

// Guarantee: a caller of HTTP/2 who takes nothing for too long loses the stream and not the connection;
// an answer that is silent for as long is none of its faults.
func TestStreamPeerTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 50 * time.Millisecond
	stuck, silent, asked := make(chan error, 1), make(chan struct{}), make(chan error, 1)
	e := serve(t, func(_ context.Context, x *proxy.Exchange) {
		switch x.Target {
		case "/silent":
			x.Out.Begin(200, nil, -1)
			_, _ = io.WriteString(x.Out, "a")
			_ = x.Out.Flush()
			<-silent
			_, _ = io.WriteString(x.Out, "b")
		case "/upload":
			_, err := io.ReadAll(x.Body)
			asked <- err
			x.Out.Begin(400, nil, 0)
		default:
			x.Out.Begin(200, nil, -1)
			_, err := x.Out.Write(make([]byte, 1<<20))
			stuck <- err
			x.Out.Abort()
		}
	}, func(c *ServerConfig) { c.PeerTimeout = timeout })
	s := e.dial2()
	s.request(1, "GET", "/silent", true)
	s.want("head 1 :status=200", `data 1 "a"`)
	s.request(3, "GET", "/stuck", true) // its window is 64 KB and nothing enlarges it
	if err := clienttest.Receive(t, stuck, "end of a write"); err == nil {
		t.Error("a write to a caller who takes nothing came to an end")
	}
	for !strings.HasPrefix(s.next(), "reset 3") {
	}
	if err := s.f.WriteWindowUpdate(0, 1<<20); err != nil { // the stuck one has used up that of the connection
		t.Fatal(err)
	}
	s.request(5, "POST", "/upload", false) // and nothing more
	if err := clienttest.Receive(t, asked, "end of a read"); err == nil {
		t.Error("a body that does not end came to an end")
	}
	close(silent)
	var got []string
	for range 3 {
		got = append(got, s.next())
	}
	slices.Sort(got)
	want := []string{`data 1 "b" end`, "head 5 :status=400 content-length=0 end", "reset 5 NO_ERROR"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
