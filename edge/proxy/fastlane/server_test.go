package fastlane

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
)

const plainGet = "GET /ok HTTP/1.1\r\nHost: h\r\n\r\n"

// Guarantee: a request that the lane will not vouch for reaches the general lane with every byte that was read of it and of what is
// behind it, wherever what was sent was cut, behind nothing and behind a request that the lane has served.
func TestHandOver(t *testing.T) {
	t.Parallel()
	for name, strange := range map[string]string{
		"chunks":        "POST /x?a=1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
		"absolute form": "GET http://h/x?a=1 HTTP/1.1\r\nHost: h\r\n\r\n",
		"expects":       "POST /x?a=1 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lanes := make(chan string, 10)
			e := serveFast(t, handle(func(ctx context.Context, x *proxy.Exchange) {
				lanes <- x.Source
				echo(ctx, x)
			}))
			want := fmt.Sprintf("%s 3 %q", "POST /x?a=1 h", "abc")
			switch name {
			case "chunks":
				want = fmt.Sprintf("%s -1 %q", "POST /x?a=1 h", "abc")
			case "absolute form":
				want = fmt.Sprintf("%s 0 %q", "GET http://h/x?a=1 h", "")
			}
			for _, before := range []string{"", plainGet} {
				all := before + strange + plainGet
				for cut := 1; cut < len(all); cut++ {
					p := e.dial()
					p.Send(all[:cut])
					p.taken()
					p.Send(all[cut:])
					if before != "" {
						if _, body := p.Answer("GET"); body != `GET /ok h 0 ""` {
							t.Fatalf("cut at %d: the request before got %q", cut, body)
						}
						if lane := <-lanes; lane != "" {
							t.Errorf("a plain request went over lane %q", lane)
						}
					}
					for _, wanted := range []string{want, `GET /ok h 0 ""`} {
						res, body := p.Answer("GET")
						for res.StatusCode == 100 {
							res, body = p.Answer("GET")
						}
						if body != wanted {
							t.Fatalf("cut at %d: got %q, want %q", cut, body, wanted)
						}
						if lane := <-lanes; lane != "general" {
							t.Errorf("a strange request, or one behind it, went over lane %q", lane)
						}
					}
					p.Close()
				}
			}
		})
	}
}

// Guarantee: what is refused is refused by the general lane, also behind requests that were served, and half a request is.
func TestRefusedByTheGeneralLane(t *testing.T) {
	t.Parallel()
	e := serveFast(t, handle(echo))
	for name, send := range map[string]string{
		"LF alone":  "GET /x HTTP/1.1\nHost: h\r\n\r\n",
		"no host":   "GET /x HTTP/1.1\r\n\r\n",
		"two hosts": "GET /x HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
		"half":      "GET /x HTTP/1.1\r\nHost: h\r\n",
		"too large": "GET /x HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("a", 100<<10) + "\r\n\r\n",
		"lines":     "GET /x HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: b\r\n", 300) + "\r\n",
	} {
		for before := range 2 {
			t.Run(fmt.Sprint(name, " after ", before), func(t *testing.T) {
				t.Parallel()
				p := e.dial()
				p.Send(strings.Repeat(plainGet, before) + send)
				p.half()
				for range before {
					p.Answer("GET")
				}
				res, body := p.Answer("GET")
				if res.StatusCode != 400 && res.StatusCode != 431 || !strings.Contains(body, `"error":{"code":"`) || !res.Close {
					t.Errorf("got %d %q", res.StatusCode, body)
				}
			})
		}
	}
}

// Guarantee: requests that come at once are answered in their order, each with its own body, and empty lines behind a POST are
// nothing.
func TestPipelining(t *testing.T) {
	t.Parallel()
	e := serveFast(t, handle(echo))
	long := strings.Repeat("b", 100<<10)
	all := plainGet + "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc\r\n" + plainGet +
		"PUT /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 102400\r\n\r\n" + long + "POST /3 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n" + plainGet
	want := []string{`GET /ok h 0 ""`, `POST /1 h 3 "abc"`, `GET /ok h 0 ""`, fmt.Sprintf("PUT /2 h 102400 %q", long), `POST /3 h 0 ""`, `GET /ok h 0 ""`}
	for _, pieces := range []int{1, 7, len(all)} {
		p := e.dial()
		go func() {
			for piece := range slices.Chunk([]byte(all), (len(all)+pieces-1)/pieces) {
				if _, err := p.Conn.Write(piece); err != nil {
					return
				}
			}
		}()
		for _, w := range want {
			if _, body := p.Answer("GET"); body != w {
				t.Fatalf("in %d pieces: got %.60q, want %.60q", pieces, body, w)
			}
		}
	}
}

// Guarantee: an exchange says what the caller has sent, and bodies that have come are there without a wait.
func TestExchange(t *testing.T) {
	t.Parallel()
	got := make(chan proxy.Exchange, 1)
	read := make(chan string, 1)
	e := serveFast(t, handle(func(_ context.Context, x *proxy.Exchange) {
		y := *x
		y.Headers = slices.Clone(x.Headers)
		if x.Body != nil {
			if b, ok := x.Body.(proxy.Borrowed); ok && x.Arrived {
				read <- string(b.Bytes())
			} else {
				all, _ := io.ReadAll(x.Body)
				read <- string(all)
			}
		}
		got <- y
		clienttest.Reply(x, "ok")
	}))
	p := e.dial()
	p.Send("PATCH /a%2Fb?x=1;y HTTP/1.1\r\nhost: h:1\r\nx-b: 1\r\nX-A:2 \r\nx-b: 3\r\nContent-Length: 3\r\n\r\nabc")
	p.Answer("PATCH")
	x := clienttest.Receive(t, got, "exchange")
	want := []proxy.Header{{Name: "x-b", Value: "1"}, {Name: "X-A", Value: "2"}, {Name: "x-b", Value: "3"}}
	if x.Method != "PATCH" || x.Target != "/a%2Fb?x=1;y" || x.Host != "h:1" || !slices.Equal(x.Headers, want) || x.Length != 3 || !x.Arrived ||
		x.Proto != proxy.HTTP11 || x.Remote != p.LocalAddr().String() || x.Source != "" {
		t.Errorf("got %+v", x)
	}
	if body := <-read; body != "abc" {
		t.Errorf("the body is %q", body)
	}
	p.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
	p.Answer("POST")
	if x := clienttest.Receive(t, got, "exchange"); !x.EmptyBody || x.Body != nil {
		t.Errorf("an empty body is %+v", x)
	}
	p.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 40000\r\n\r\n")
	p.taken()
	p.Send(strings.Repeat("c", 40000))
	p.Answer("POST")
	if x := clienttest.Receive(t, got, "exchange"); x.Arrived || x.Length != 40000 || len(<-read) != 40000 {
		t.Errorf("a long body is %+v", x)
	}
}
