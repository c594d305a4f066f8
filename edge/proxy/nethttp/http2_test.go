package nethttp

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Guarantee: paths leave over HTTP/2 byte for byte, and only headers that it has.
func TestHTTP2Request(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"/", "/x?", "//evil.example/%2F?", "/a%2Fb//c/../d%20e?x=1;y=2&z&q=a+b%2B&a=%zz", "//evil.example/%zz", `//evil.example/"?q`, `/x;y="<>|^`,
	} {
		t.Run(uri, func(t *testing.T) {
			t.Parallel()
			got := make(chan *http2.MetaHeadersFrame, 1)
			target := listen2(t, func(_ int, f *framed) {
				h := f.head()
				if h == nil {
					return
				}
				got <- h
				f.ok(h.StreamID)
				f.rest()
			})
			a := clienttest.AttemptAt(target)
			a.URI, a.HostHeader = uri, "other.example"
			a.Headers = []proxy.Header{{Name: "Te", Value: "trailers"}, {Name: "X-Two", Value: "1"}, {Name: "x-two", Value: "2"}}
			if answer, b := clienttest.Do(t, testClient(t), a); answer.Status != 200 || b != "ok" {
				t.Errorf("got %d %q", answer.Status, b)
			}
			h := clienttest.Receive(t, got, "request")
			var names []string
			for _, f := range h.Fields {
				names = append(names, f.Name+"="+f.Value)
			}
			fields := strings.Join(names, "\n")
			for _, s := range []string{":authority=other.example", "te=trailers", "x-two=1\nx-two=2", ":path=" + uri} {
				if !strings.Contains(fields, s) {
					t.Errorf("no %q in %q", s, fields)
				}
			}
			for _, s := range []string{"user-agent", "accept-encoding", "content-length"} {
				if strings.Contains(fields, s) {
					t.Errorf("%q in %q", s, fields)
				}
			}
		})
	}
}

// Guarantee: it is known whether a target has acted on a request: not if it refused the stream, or left
// before it came to it; perhaps in all other cases, and then nothing that may have effects is sent twice.
func TestHTTP2Sent(t *testing.T) {
	t.Parallel()
	reset := func(code http2.ErrCode) func(*framed, uint32) {
		return func(f *framed, stream uint32) { _ = f.WriteRSTStream(stream, code) }
	}
	goAway := func(before uint32, code http2.ErrCode) func(*framed, uint32) {
		return func(f *framed, stream uint32) { _ = f.WriteGoAway(stream-before, code, []byte("REFUSED_STREAM")) }
	}
	// A request without a body is repeated by the Transport before anybody can ask why, so that what is
	// told of it is more careful.
	for name, tc := range map[string]struct {
		end        func(f *framed, stream uint32)
		hang       bool // the target closes the connection after it
		bare, body bool // whether a request without and with a body may have been acted upon
		again      bool // a GET is repeated, with success
		text       string
	}{
		"refused":               {reset(http2.ErrCodeRefusedStream), false, false, false, false, "did not take"},
		"left before":           {goAway(2, http2.ErrCodeNo), false, true, false, true, ""},
		"left before, closed":   {goAway(2, http2.ErrCodeNo), true, true, false, true, ""},
		"left before, in anger": {goAway(2, http2.ErrCodeEnhanceYourCalm), true, true, false, true, ""},
		"left behind":           {goAway(0, http2.ErrCodeNo), true, true, true, false, "closed the connection"},
		"closed":                {func(*framed, uint32) {}, true, true, true, false, "closed the connection"},
		"protocol error":        {reset(http2.ErrCodeProtocol), false, true, true, true, ""},
		"internal error":        {reset(http2.ErrCodeInternal), false, true, true, false, "broke the request off"},
		"nonsense":              {func(f *framed, s uint32) { f.say(s, true, ":status", "many") }, false, true, true, false, "not HTTP"},
		"no status":             {func(f *framed, s uint32) { f.say(s, true, "x-a", "1") }, false, true, true, false, "not HTTP"},
	} {
		for _, kind := range []string{"GET", "POST", "POST with a body"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				var requests atomic.Int64
				target := listen2(t, func(n int, f *framed) {
					for h := f.head(); h != nil; h = f.head() {
						if h.PseudoValue("path") == "/first" {
							f.ok(h.StreamID)
							continue
						}
						requests.Add(1)
						if !h.StreamEnded() {
							f.body()
						}
						if n > 1 {
							f.ok(h.StreamID)
						} else if tc.end(f, h.StreamID); tc.hang {
							return
						}
					}
				})
				c := testClient(t)
				first := clienttest.AttemptAt(target)
				first.URI = "/first"
				clienttest.Do(t, c, first)
				a, sent, most := clienttest.AttemptAt(target), tc.bare, int64(1)
				switch kind {
				case "POST":
					a.Method = "POST"
				case "POST with a body":
					a, sent = post(a, clienttest.BodyOf("abc"), 3), tc.body
				}
				if tc.again && kind == "GET" {
					clienttest.Do(t, c, a)
					most = 2
				} else {
					clienttest.Want(t, clienttest.Fail(t, c, a), proxy.FailAnswer, sent, tc.text)
				}
				if n := requests.Load(); n != most {
					t.Errorf("%d requests", n)
				}
				clienttest.Do(t, c, first) // the target is reached again
			})
		}
	}
}

// Guarantee: an answer over HTTP/2 that ends before its time is never taken for complete, and one that a
// target finishes while it is leaving is.
func TestHTTP2Bodies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		length   string
		end      func(f *framed, stream uint32)
		complete bool
	}{
		"complete":       {"6", func(f *framed, s uint32) { _ = f.WriteData(s, true, []byte("def")) }, true},
		"reset":          {"", func(f *framed, s uint32) { _ = f.WriteRSTStream(s, http2.ErrCodeInternal) }, false},
		"reset, no code": {"", func(f *framed, s uint32) { _ = f.WriteRSTStream(s, http2.ErrCodeNo) }, false},
		"reset, cancel":  {"", func(f *framed, s uint32) { _ = f.WriteRSTStream(s, http2.ErrCodeCancel) }, false},
		"closed":         {"", nil, false},
		"too short":      {"9", func(f *framed, s uint32) { _ = f.WriteData(s, true, []byte("def")) }, false},
		"too long":       {"4", func(f *framed, s uint32) { _ = f.WriteData(s, true, []byte("def")) }, false},
		"leaving": {"", func(f *framed, s uint32) {
			_ = f.WriteGoAway(s, http2.ErrCodeNo, nil)
			_ = f.WriteData(s, true, []byte("def"))
		}, true},
		"left": {"", func(f *framed, s uint32) { _ = f.WriteGoAway(0, http2.ErrCodeInternal, nil) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			goOn := make(chan struct{})
			target := listen2(t, func(_ int, f *framed) {
				h := f.head()
				if tc.length == "" {
					f.say(h.StreamID, false, ":status", "200")
				} else {
					f.say(h.StreamID, false, ":status", "200", "content-length", tc.length)
				}
				_ = f.WriteData(h.StreamID, false, []byte("abc"))
				<-goOn
				if tc.end != nil {
					tc.end(f, h.StreamID)
					f.rest()
				}
			})
			answer, err := testClient(t).RoundTrip(t.Context(), clienttest.AttemptAt(target))
			if err != nil {
				close(goOn)
				t.Fatal(err)
			}
			defer answer.Body.Close()
			piece := make([]byte, 3)
			_, err = io.ReadFull(answer.Body, piece)
			close(goOn)
			if err != nil || string(piece) != "abc" {
				t.Fatalf("got %q, %v", piece, err)
			}
			if b, err := io.ReadAll(answer.Body); (err == nil) != tc.complete {
				t.Errorf("then %q, %v", b, err)
			}
		})
	}
}

// Guarantee: trailers go both ways over HTTP/2, announced or not, and 1xx answers come back.
func TestHTTP2Trailers(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	target := listen2(t, func(_ int, f *framed) {
		h := f.head()
		f.say(h.StreamID, false, ":status", "103", "link", "</a>")
		for {
			frame := f.next()
			if m, ok := frame.(*http2.MetaHeadersFrame); ok {
				got <- m.Fields[0].Name + "=" + m.Fields[0].Value
				break
			}
		}
		f.say(h.StreamID, false, ":status", "200", "trailer", "x-said")
		_ = f.WriteData(h.StreamID, false, []byte("ok"))
		f.say(h.StreamID, true, "x-said", "1", "grpc-status", "0")
		f.rest()
	})
	b := clienttest.BodyOf("abc")
	b.Sent = []proxy.Header{{Name: "X-Sum", Value: "7"}}
	a := post(clienttest.AttemptAt(target), b, -1)
	a.TrailerNames = []string{"x-sum"}
	var interims []int
	a.Interim = func(status int, _ []proxy.Header) { interims = append(interims, status) }
	answer, text := clienttest.Do(t, testClient(t), a)
	if text != "ok" || len(interims) != 1 || interims[0] != 103 {
		t.Errorf("got %q after %v", text, interims)
	}
	if tr := answer.Trailers(); len(tr) != 2 || !clienttest.Has(tr, "X-Said", "1") || !clienttest.Has(tr, "Grpc-Status", "0") {
		t.Errorf("trailers %v", tr)
	}
	if s := clienttest.Receive(t, got, "trailers"); s != "x-sum=7" {
		t.Errorf("the target got %s", s)
	}
}

// Guarantee: an answer over HTTP/2 that comes while the body is being sent is passed on.
func TestHTTP2EarlyAnswer(t *testing.T) {
	t.Parallel()
	target := listen2(t, func(_ int, f *framed) {
		h := f.head()
		f.say(h.StreamID, false, ":status", "413")
		_ = f.WriteData(h.StreamID, true, []byte("big"))
		f.rest()
	})
	b := clienttest.SlowBody()
	b.Pieces <- "some"
	answer, text := clienttest.Do(t, testClient(t), post(clienttest.AttemptAt(target), b, -1))
	if answer.Status != 413 || text != "big" {
		t.Errorf("got %d %q", answer.Status, text)
	}
	b.Interrupt() // as the end of an exchange does
}

// Guarantee: with 100 Continue over HTTP/2 the body is read when the target asks for it, and never if it
// does not want it.
func TestHTTP2Continue(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]string{"asked": "100", "refused": "401"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := listen2(t, func(_ int, f *framed) {
				h := f.head()
				f.say(h.StreamID, status != "100", ":status", status)
				if status == "100" {
					if d, ok := f.next().(*http2.DataFrame); ok && string(d.Data()) == "abc" {
						f.ok(h.StreamID)
					}
				}
				f.rest()
			})
			b := clienttest.BodyOf("abc")
			a := post(clienttest.AttemptAt(target), b, 3)
			a.Continue = true
			answer, _ := clienttest.Do(t, testClient(t), a)
			if (answer.Status == 401) != (name == "refused") || (len(b.Pieces) == 1) != (name == "refused") {
				t.Errorf("got %d, %d pieces left", answer.Status, len(b.Pieces))
			}
		})
	}
}

// Guarantee: what is too much or not HTTP/2 is told as such.
func TestHTTP2BadAnswers(t *testing.T) {
	t.Parallel()
	small := func(cfg *ClientConfig) { cfg.MaxHeader, cfg.MaxLines = 64<<10, 32 }
	for name, tc := range map[string]struct {
		answer func(f *framed, stream uint32)
		text   string
	}{
		"endless 1xx": {func(f *framed, s uint32) {
			for range maxInterims + 1 {
				f.say(s, false, ":status", "103")
			}
		}, "too many interim answers"},
		"headers too large": {func(f *framed, s uint32) { f.say(s, true, ":status", "200", "x-a", strings.Repeat("x", 90<<10)) }, "headers are too large"},
		"too many headers": {func(f *framed, s uint32) {
			f.say(s, true, append([]string{":status", "200"}, strings.Split(strings.Repeat("x-a,1,", 40), ",")[:80]...)...)
		}, "more than 32 headers"},
		"headers too large in sum": {func(f *framed, s uint32) {
			pairs := []string{":status", "200"}
			for range 8 {
				pairs = append(pairs, "x-a", strings.Repeat("x", 9<<10))
			}
			f.say(s, true, pairs...)
		}, "headers are too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := listen2(t, func(_ int, f *framed) {
				if h := f.head(); h != nil {
					tc.answer(f, h.StreamID)
				}
				f.rest()
			})
			clienttest.Want(t, clienttest.Fail(t, testClient(t, small), clienttest.AttemptAt(target)), proxy.FailAnswer, true, tc.text)
		})
	}
	old := clienttest.Listen(t, func(_ int, c *clienttest.Peer) {
		c.Say("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
		c.Rest()
	})
	target := clienttest.TargetAt(t, "http://"+old, routing.Transport{HTTP: eventv1.TargetHttp_TARGET_HTTP_2})
	// It may have ended the connection before the request came to it.
	if e := clienttest.Fail(t, testClient(t), clienttest.AttemptAt(target)); e.Failure != proxy.FailAnswer || !strings.Contains(e.Text, "HTTP/2") && !strings.Contains(e.Text, "closed the connection") {
		t.Errorf("got %d %s: %v", e.Failure, e.Text, e.Err)
	}
}

// Guarantee: attempts share a connection, the end of one resets its stream and leaves the others alone,
// and none is said to be sent because others were.
func TestHTTP2Shared(t *testing.T) {
	t.Parallel()
	resets, heads, conns := make(chan uint32, 8), make(chan uint32, 8), make(chan int, 8)
	release := make(chan struct{})
	target := listen2(t, func(n int, f *framed) {
		conns <- n
		for {
			switch frame := f.next().(type) {
			case nil:
				return
			case *http2.MetaHeadersFrame:
				heads <- frame.StreamID
				if frame.PseudoValue("path") == "/kept" {
					f.say(frame.StreamID, false, ":status", "200")
				}
			case *http2.RSTStreamFrame:
				resets <- frame.StreamID
				<-release
				_ = f.WriteData(1, true, []byte("still there"))
			}
		}
	})
	c := testClient(t)
	kept := clienttest.AttemptAt(target)
	kept.URI = "/kept"
	answer, err := c.RoundTrip(t.Context(), kept)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	clienttest.Receive(t, heads, "first request")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan *proxy.AttemptError, 1)
	go func() {
		_, err := c.RoundTrip(ctx, clienttest.AttemptAt(target))
		e, _ := errors.AsType[*proxy.AttemptError](err)
		ended <- e
	}()
	stream := clienttest.Receive(t, heads, "second request")
	cancel(errors.New("the caller is gone"))
	clienttest.Want(t, clienttest.Receive(t, ended, "end"), proxy.FailCanceled, true, "ended")
	if got := clienttest.Receive(t, resets, "reset"); got != stream {
		t.Errorf("stream %d was reset, not %d", got, stream)
	}
	close(release)
	if b, err := io.ReadAll(answer.Body); string(b) != "still there" || err != nil {
		t.Errorf("the other answer: %q, %v", b, err)
	}
	if len(conns) != 1 {
		t.Errorf("%d connections", len(conns))
	}
	// A body that fails before a byte of the request could be written is not one that was sent.
	over, stop := context.WithCancel(t.Context())
	stop()
	clienttest.Want(t, clienttest.FailIn(over, t, c, clienttest.AttemptAt(target)), proxy.FailCanceled, false, "ended")
}
