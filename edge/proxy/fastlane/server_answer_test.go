package fastlane

import (
	"bufio"
	"context"
	"io"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
)

// Guarantee: what a caller gets is the same over both lanes, but for the order of the headers, whatever the stages answer with and
// whatever they do with the body; and so is whether the connection goes on.
func TestSameAnswers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 1000)
	type header = proxy.Header
	answers := map[string]func(x *proxy.Exchange){
		"with a length": func(x *proxy.Exchange) {
			clienttest.Reply(x, "hello", header{Name: "A", Value: "1"}, header{Name: "B", Value: "2"})
		},
		"its own length": func(x *proxy.Exchange) {
			x.Out.Begin(200, []header{{Name: "Content-Length", Value: "2"}}, -1)
			write(x, "ok")
		},
		"long":              func(x *proxy.Exchange) { clienttest.Reply(x, long) },
		"of unknown length": func(x *proxy.Exchange) { x.Out.Begin(200, nil, -1); flush(x); write(x, "a"); flush(x); write(x, long) },
		"nothing of it":     func(x *proxy.Exchange) { x.Out.Begin(200, nil, -1); flush(x) },
		"trailers": func(x *proxy.Exchange) {
			x.Out.Begin(200, []header{{Name: "Trailer", Value: "Sum"}}, -1)
			write(x, "a")
			trail(x)
		},
		"trailers, no chunks": func(x *proxy.Exchange) { x.Out.Begin(200, nil, 1); write(x, "a"); trail(x) },
		"204":                 func(x *proxy.Exchange) { x.Out.Begin(204, []header{{Name: "Content-Length", Value: "0"}}, 0) },
		"304": func(x *proxy.Exchange) {
			x.Out.Begin(304, []header{{Name: "Content-Type", Value: "a/b"}, {Name: "Etag", Value: "1"}}, 5)
		},
		"interim": func(x *proxy.Exchange) {
			x.Out.Interim(103, []header{{Name: "Link", Value: "a"}})
			x.Out.Interim(101, nil)
			clienttest.Reply(x, "ok")
		},
		"an odd status": func(x *proxy.Exchange) { x.Out.Begin(599, nil, 0) },
		"dates and types": func(x *proxy.Exchange) {
			clienttest.Reply(x, "{}", header{Name: "Date", Value: "x"}, header{Name: "Content-Type", Value: "y/z"})
		},
		"closes": func(x *proxy.Exchange) { clienttest.Reply(x, "ok", header{Name: "Connection", Value: "close"}) },
		"line breaks": func(x *proxy.Exchange) {
			clienttest.Reply(x, "ok", header{Name: "A", Value: "b\r\nC: d"}, header{Name: "A b", Value: "1"})
		},
		"aborted":         func(x *proxy.Exchange) { x.Out.Begin(200, nil, -1); write(x, "a"); x.Out.Abort() },
		"aborted at once": func(x *proxy.Exchange) { x.Out.Abort() },
		"too little":      func(x *proxy.Exchange) { x.Out.Begin(200, nil, 5); write(x, "abc") },
		"too much":        func(x *proxy.Exchange) { x.Out.Begin(200, nil, 2); write(x, "ab"); write(x, "c") },
		"bug":             func(*proxy.Exchange) { panic("on purpose") },
		"drained":         func(x *proxy.Exchange) { drain(x); clienttest.Reply(x, "ok") },
	}
	requests := map[string]string{
		"GET":         "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"HEAD":        "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST":        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
		"GET, close":  "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"POST, large": "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("a", 100000),
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := handle(func(_ context.Context, x *proxy.Exchange) {
				if x.Target == "/second" {
					clienttest.Reply(x, "second")
					return
				}
				answer(x)
			})
			fast, general := serveFast(t, h), serveGeneral(t, h)
			for name, request := range requests {
				a, b := transcript(t, fast, request), transcript(t, general, request)
				if !slices.Equal(a, b) {
					t.Errorf("%s: the fast lane gives\n%q, the general one\n%q", name, a, b)
				}
			}
		})
	}
}

func write(x *proxy.Exchange, text string) { _, _ = io.WriteString(x.Out, text) }

func flush(x *proxy.Exchange) { _ = x.Out.Flush() }

func trail(x *proxy.Exchange) {
	x.Out.Trailers([]proxy.Header{{Name: "More", Value: "2"}, {Name: "Sum", Value: "1"}})
}

func drain(x *proxy.Exchange) {
	if x.Body != nil {
		x.Body.Drain()
	}
}

// transcript is all that a connection gets for a request and another one behind it: lines of heads in alphabetical order, and what
// is left of chunks when they are put together.
func transcript(t *testing.T, e *served, request string) (out []string) {
	t.Helper()
	p := e.dial()
	defer p.Close()
	go func() {
		_, _ = io.WriteString(p.Conn, request+"GET /second HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") // it may be closed before
	}()
	method, _, _ := strings.Cut(request, " ")
	r := textproto.NewReader(p.R)
	for {
		first, err := r.ReadLine()
		if err != nil {
			return append(out, "the end")
		}
		out = append(out, first)
		h, err := r.ReadMIMEHeader()
		if err != nil {
			return append(out, "no head")
		}
		var lines []string
		for name, values := range h {
			for _, v := range values {
				lines = append(lines, name+": "+v)
			}
		}
		slices.Sort(lines)
		out = append(out, lines...)
		if strings.HasPrefix(first, "HTTP/1.1 1") {
			continue
		}
		out = append(out, content(p.R, method, first, h))
		method = "GET"
	}
}

// content is the body of an answer, and how it ended.
func content(r *bufio.Reader, method, first string, h textproto.MIMEHeader) string {
	switch {
	case method == "HEAD" || strings.HasPrefix(first, "HTTP/1.1 204") || strings.HasPrefix(first, "HTTP/1.1 304"):
		return "no body"
	case h.Get("Transfer-Encoding") == "chunked":
		var body strings.Builder
		lines := textproto.NewReader(r)
		for {
			size, err := lines.ReadLine()
			if err != nil {
				return "broken off after " + body.String()
			}
			if size == "0" {
				trailers, err := lines.ReadMIMEHeader()
				if err != nil {
					return "broken off in trailers"
				}
				return body.String() + " with " + strings.Join(trailers["Sum"], ",") + " " + strings.Join(trailers["More"], ",")
			}
			var n int64
			for _, c := range size {
				n = n*16 + int64(strings.IndexRune("0123456789abcdef", c))
			}
			if _, err := io.CopyN(&body, r, n); err != nil {
				return "broken off in a chunk after " + body.String()
			}
			if end, err := lines.ReadLine(); err != nil || end != "" {
				return "a chunk too long"
			}
		}
	default:
		n := int64(0)
		for _, c := range h.Get("Content-Length") {
			n = n*10 + int64(c-'0')
		}
		body, err := io.ReadAll(io.LimitReader(r, n))
		if err != nil || int64(len(body)) != n {
			return "broken off after " + string(body)
		}
		return string(body)
	}
}
