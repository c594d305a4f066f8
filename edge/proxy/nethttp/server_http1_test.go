package nethttp

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
)

// Guarantee (70, 72): what never becomes an exchange is answered with an error of the catalogue, behind
// the answers to what came before it, and the connection ends.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const host = "Host: h\r\n"
	for name, tc := range map[string]struct {
		send   string
		status int
		code   string
	}{
		"LF alone":          {"GET /x HTTP/1.1\nHost: h\r\n\r\n", 400, "request_malformed"},
		"folded":            {"GET /x HTTP/1.1\r\n" + host + "A: b\r\n c\r\n\r\n", 400, "request_malformed"},
		"two framings":      {"POST /x HTTP/1.1\r\n" + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "request_malformed"},
		"space and colon":   {"GET /x HTTP/1.1\r\n" + host + "A : b\r\n\r\n", 400, "request_malformed"},
		"two lengths":       {"POST /x HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", 400, "request_malformed"},
		"no host":           {"GET /x HTTP/1.1\r\n\r\n", 400, "request_malformed"},
		"another version":   {"GET /x HTTP/3.0\r\n" + host + "\r\n", 400, "request_malformed"},
		"another encoding":  {"POST /x HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n", 501, "transfer_encoding_unsupported"},
		"an expectation":    {"POST /x HTTP/1.1\r\n" + host + "Expect: more\r\nContent-Length: 1\r\n\r\n", 400, "request_malformed"},
		"too many lines":    {"GET /x HTTP/1.1\r\n" + host + strings.Repeat("A: b\r\n", 256) + "\r\n", 431, "headers_too_large"},
		"a long line":       {"GET /x HTTP/1.1\r\n" + host + "A: " + strings.Repeat("b", 65<<10) + "\r\n\r\n", 431, "headers_too_large"},
		"a long path":       {"GET /" + strings.Repeat("b", 5<<20) + " HTTP/1.1\r\n" + host + "\r\n", 431, "headers_too_large"},
		"many of some size": {"GET /x HTTP/1.1\r\n" + host + strings.Repeat("A: "+strings.Repeat("b", 700)+"\r\n", 100) + "\r\n", 431, "headers_too_large"},
	} {
		for _, before := range []int{0, 1} {
			t.Run(fmt.Sprint(name, " after ", before), func(t *testing.T) {
				t.Parallel()
				e := serve(t, echo)
				p := e.dial()
				go func() { // who sends much must not wait for itself
					_, _ = io.WriteString(p.Conn, strings.Repeat("GET /ok HTTP/1.1\r\nHost: h\r\n\r\n", before)+tc.send+"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
				}()
				for range before {
					if _, body := p.Answer("GET"); !strings.HasPrefix(body, "GET /ok") {
						t.Errorf("got %q", body)
					}
				}
				res, body := p.Answer("GET")
				wantFault(t, res.StatusCode, res.Header, body, tc.status, tc.code)
				if !res.Close {
					t.Error("the caller is not told that the connection ends")
				}
				if rest := p.Rest(); rest != "" {
					t.Errorf("then came %q", rest)
				}
			})
		}
	}
}

// Guarantee (70): a hundred headers and 60 KB of them pass.
func TestLargeHead(t *testing.T) {
	t.Parallel()
	e := serve(t, func(_ context.Context, x *proxy.Exchange) { clienttest.Reply(x, fmt.Sprint(len(x.Headers))) })
	p := e.dial()
	for range 2 { // the count begins anew with each request
		p.Send("GET /x HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: "+strings.Repeat("b", 600)+"\r\n", 100) + "\r\n")
		if _, body := p.Answer("GET"); body != "100" {
			t.Errorf("got %q", body)
		}
	}
}

// Guarantee: what an exchange says about a request is what the caller has sent.
func TestExchange(t *testing.T) {
	t.Parallel()
	e := serve(t, echo)
	p := e.dial()
	for _, tc := range [][2]string{
		{"GET /a%2Fb?x=1;y HTTP/1.1\r\nHost: h:1\r\n\r\n", "GET /a%2Fb?x=1;y h:1 1 0 [] []"},
		{"GET http://other/x HTTP/1.1\r\nHost: h\r\n\r\n", "GET http://other/x other 1 0 [] []"},
		{"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * h 1 0 [] []"},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab", "POST / h 1 2 [ab <nil>] [] []"},
		{
			"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n2\r\nab\r\n0\r\nSum: 1\r\n\r\n",
			"POST / h 1 -1 [ab <nil>] [Sum] [{Sum 1}]",
		},
		{
			"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nSum: 1\r\nSum: 2\r\n\r\n",
			"POST / h 1 -1 [ab <nil>] [] [{Sum 1} {Sum 2}]",
		},
		{"GET / HTTP/1.0\r\n\r\n", "GET /  0 0 [] []"},
	} {
		p.Send(tc[0])
		if _, body := p.Answer("GET"); body != tc[1] {
			t.Errorf("%q: got %q, want %q", tc[0], body, tc[1])
		}
	}
}

// Guarantee (41, 43, 47, 52): trailers follow a body of HTTP/1.1, announced or not and also when it is
// empty; where there can be none they are dropped.
func TestTrailers(t *testing.T) {
	t.Parallel()
	status, length := 200, int64(-1)
	e := serve(t, func(_ context.Context, x *proxy.Exchange) {
		status, length := status, length
		body := "ab"
		switch x.Target {
		case "/empty":
			body = ""
		case "/204":
			status, body = 204, ""
		case "/sized":
			length = 2
		}
		x.Out.Begin(status, []proxy.Header{{Name: "Trailer", Value: "Sum"}, {Name: "Sum", Value: "head"}}, length)
		if x.Method != "HEAD" {
			_, _ = io.WriteString(x.Out, body)
		}
		x.Out.Trailers([]proxy.Header{{Name: "sum", Value: "1"}, {Name: "More", Value: "2"}, {Name: "More", Value: "3"}})
	})
	for _, tc := range [][2]string{
		{"GET / HTTP/1.1", "2\r\nab\r\n0\r\nMore: 2\r\nMore: 3\r\nSum: 1\r\n\r\n"},
		{"GET /empty HTTP/1.1", "0\r\nMore: 2\r\nMore: 3\r\nSum: 1\r\n\r\n"},
		{"GET /sized HTTP/1.1", "ab"},
		{"GET /204 HTTP/1.1", ""},
		{"HEAD / HTTP/1.1", ""},
		{"GET / HTTP/1.0", "ab"},
	} {
		p := e.dial()
		p.Send(tc[0] + "\r\nHost: h\r\nConnection: close\r\n\r\n")
		head, body, ok := strings.Cut(p.Rest(), "\r\n\r\n")
		if !ok || body != tc[1] || !strings.Contains(head, "\r\nSum: head") {
			t.Errorf("%s: got %q and %q, want %q", tc[0], head, body, tc[1])
		}
	}
}

// Guarantee (46-48): HTTP/1.1 gets interim answers with nothing of them left in the final one, one 100
// when the body is first read and none when the answer comes first; HTTP/1.0 gets none at all.
func TestInterim(t *testing.T) {
	t.Parallel()
	e := serve(t, func(_ context.Context, x *proxy.Exchange) {
		x.Out.Interim(103, []proxy.Header{{Name: "Link", Value: "a"}})
		x.Out.Interim(100, nil)
		x.Out.Interim(101, nil)
		if x.Target == "/refuse" {
			x.Body.Drain()
			x.Out.Begin(401, nil, 0)
			x.Out.Interim(103, nil)
			return
		}
		all, _ := io.ReadAll(x.Body)
		x.Out.Interim(100, nil)
		clienttest.Reply(x, string(all))
	})
	const final = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
	p := e.dial()
	p.Send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	p.Expect("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
	p.Send("abc")
	p.Expect(final)
	p.Send("POST /refuse HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	p.Expect("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	if rest := p.Rest(); rest != "" {
		t.Errorf("then came %q", rest)
	}
	p = e.dial()
	p.Send("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
	if got := p.Rest(); !strings.HasPrefix(got, "HTTP/1.0 200") || strings.Contains(got, "Link") {
		t.Errorf("HTTP/1.0 got %q", got)
	}
}
