package proxy

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

const (
	outcomeOK          = eventv1.SpendOutcome_SPEND_OUTCOME_OK
	outcomeTargetError = eventv1.SpendOutcome_SPEND_OUTCOME_TARGET_ERROR
	outcomeUnreachable = eventv1.SpendOutcome_SPEND_OUTCOME_UNREACHABLE
	outcomeCallerGone  = eventv1.SpendOutcome_SPEND_OUTCOME_CALLER_GONE
	outcomeInterrupted = eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED
	outcomeAbandoned   = eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED
)

const chunkedHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

// auth fills in the key of a request.
func auth(text string) string {
	return strings.ReplaceAll(text, "{A}", "Authorization: Bearer "+testKey)
}

// reader takes exactly what is expected next, and fails if it does not come.
func (c *conn) expect(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.r, got)
	if string(got[:n]) != want {
		c.t.Fatalf("got %q and %v, want %q", got[:n], err, want)
	}
}

// Guarantee (1, 4, 27): headers and the first bytes reach the caller while the vendor is silent,
// whether or not it said how much will come.
func TestNothingIsHeldBack(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ reply, body string }{
		"1 headers of a stream":    {chunkedHead, ""},
		"1 headers with a length":  {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", ""},
		"4 ten bytes of a hundred": {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789", "0123456789"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			release := make(chan struct{})
			b.vendor.play(func(c *conn) {
				if _, err := readHead(c.r); err == nil {
					c.send("%s", tc.reply)
					b.vendor.wait(release)
				}
			})
			c := b.dial()
			c.send("%s", auth(get1("/x")))
			if m := c.answerHead(); m.err != nil || m.status() != 200 {
				t.Fatalf("got %+v", m)
			}
			c.expect(tc.body)
			close(release)
			if err := c.gone(patience); err != nil {
				t.Error(err)
			}
			b.wantSettled(200, outcomeInterrupted, price)
		})
	}
}

// Guarantee (2, 3, 5): each piece arrives before the vendor sends the next one, whatever the type and
// however small.
func TestPiecesAreNotBatched(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"text/event-stream", "application/x-ndjson", "application/stream+json", "application/vnd.amazon.eventstream", "application/json"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			next := make(chan struct{})
			b.vendor.play(func(c *conn) {
				if _, err := readHead(c.r); err != nil {
					return
				}
				c.send("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", kind)
				for _, piece := range []string{"d", "ata: 1\n", "\n", "\xe2", "\x82", "\xac"} {
					c.send("%x\r\n%s\r\n", len(piece), piece)
					b.vendor.wait(next)
				}
				c.send("0\r\n\r\n")
			})
			c := b.dial()
			c.send("%s", auth(get1("/x")))
			m := c.answerHead()
			if h := header(m.headers, "Content-Type"); h != kind {
				t.Errorf("Content-Type %s", h)
			}
			for _, piece := range []string{"1\r\nd\r\n", "7\r\nata: 1\n\r\n", "1\r\n\n\r\n", "1\r\n\xe2\r\n", "1\r\n\x82\r\n", "1\r\n\xac\r\n"} {
				c.expect(piece)
				next <- struct{}{}
			}
			c.expect("0\r\n\r\n")
			b.wantSettled(200, outcomeOK, price)
		})
	}
}

// Guarantee (12): bytes that are no text pass as they are.
func TestForeignBytes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	body := "data: [DONE]\r\rdata:\xff\xfe\x00\n\n: c\n\nretry: x\r\n\r\n"
	b.vendor.answer(reply("200 OK", body, "Content-Type: text/event-stream"))
	c := b.dial()
	c.send("%s", auth(get1("/x")))
	if m := c.answer("GET"); m.body != body {
		t.Errorf("got %q", m.body)
	}
	b.wantSettled(200, outcomeOK, price)
}

// Guarantee (26, 27): an answer that the vendor breaks off arrives as far as it came and is seen to be
// broken, and is charged, because it began with a 2xx.
func TestVendorBreaksOff(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reply, got string
		reset      bool
	}{
		"26 in the middle of chunks":    {chunkedHead + "5\r\nhello\r\n", "5\r\nhello\r\n", false},
		"26 reset in the middle":        {chunkedHead + "5\r\nhello\r\n", "5\r\nhello\r\n", true},
		"27 short of its length":        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "abc", false},
		"27 headers and nothing":        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "", false},
		"26 a malformed chunk":          {chunkedHead + "zz\r\n", "", false},
		"37 no text of errors in there": {chunkedHead + "1\r\nx\r\n", "1\r\nx\r\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			seen := make(chan struct{})
			b.vendor.play(func(c *conn) {
				if _, err := readHead(c.r); err != nil {
					return
				}
				c.send("%s", tc.reply)
				if tc.reset {
					b.vendor.wait(seen) // a reset may overtake what was sent
					c.reset()
				}
			})
			c := b.dial()
			c.send("%s", auth(get1("/x")))
			if m := c.answerHead(); m.status() != 200 {
				t.Fatalf("got %+v", m)
			}
			c.expect(tc.got)
			close(seen)
			if rest, err := io.ReadAll(c.r); len(rest) > 0 {
				t.Errorf("%q followed, %v", rest, err)
			}
			b.wantSettled(200, outcomeInterrupted, price)
		})
	}
}

// Guarantee (29-32): a target without a valid answer costs nothing and is a 502 or 504 in JSON.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		path   string
		reply  string // "" closes without a byte, "wait" never answers
		status int
		code   string
	}{
		"29 silent":            {"/slow", "wait", 504, "upstream_timeout"},
		"30 refused":           {"/dead", "", 502, "upstream_unreachable"},
		"30 not TLS":           {"/tls", "HTTP/1.0 400 Bad Request\r\n\r\n", 502, "upstream_tls"},
		"31 garbage":           {"/x", "SSH-2.0-OpenSSH\r\n\r\n", 502, "upstream_unreachable"},
		"31 closed":            {"/x", "", 502, "upstream_unreachable"},
		"31 switches":          {"/x", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", 502, "upstream_unreachable"},
		"32 headers too large": {"/x", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 300<<10) + "\r\n\r\n", 502, "upstream_unreachable"},
		"two lengths":          {"/x", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 502, "upstream_unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.vendor.play(func(c *conn) {
				if tc.path == "/tls" {
					_, _ = c.r.ReadByte()
				} else if _, err := readHead(c.r); err != nil {
					return
				}
				if tc.reply == "wait" {
					<-b.vendor.done
					return
				}
				c.send("%s", tc.reply)
			})
			c := b.dial()
			c.send("%s", auth(post(tc.path, "{}")))
			m := c.answer("POST")
			if m.status() != tc.status || !strings.Contains(m.body, `"code":"`+tc.code+`"`) || header(m.headers, "Content-Type") != "application/json" {
				t.Errorf("got %s\n%s", m.first, m.body)
			}
			if h := header(m.headers, "X-Tollgate-Cost"); h != "0.00" {
				t.Errorf("cost %s", h)
			}
			b.wantSettled(0, outcomeUnreachable, 0)

			// 39: the connection is clean.
			b.vendor.answer(okReply)
			c.send("%s", auth(get1("/free")))
			if m := c.answer("GET"); m.status() != 200 || m.body != "ok" {
				t.Errorf("the next request got %s %q %v", m.first, m.body, m.err)
			}
		})
	}
}

// Guarantee (33, 34): a caller who leaves ends the vendor's request within a second, and pays for what
// the vendor was asked to do.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reply  string
		reset  bool
		status int
	}{
		"33 in a silent stream":       {chunkedHead + "1\r\nx\r\n", false, 200},
		"33 by reset":                 {chunkedHead + "1\r\nx\r\n", true, 200},
		"34 before the answer":        {"", false, 0},
		"34 by reset, before it":      {"", true, 0},
		"33 in an answer of a length": {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx", false, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			asked, gone := make(chan struct{}), make(chan error, 1)
			b.vendor.play(func(c *conn) {
				m, err := readHead(c.r)
				if err != nil {
					return
				}
				m.readBody(c.r, false)
				c.send("%s", tc.reply)
				close(asked)
				gone <- c.gone(patience)
			})
			c := b.dial()
			c.send("%s", auth(post("/x", "{}")))
			receive(t, asked, "request")
			if tc.reply != "" {
				c.answerHead()
			}
			if tc.reset {
				c.reset()
			} else {
				c.Close()
			}
			left := time.Now()
			if err := receive(t, gone, "end of the vendor's connection"); err != nil {
				t.Error(err)
			}
			// Long before any timeout of the gateway would have ended it.
			if took := time.Since(left); took > patience/2 {
				t.Errorf("it took %s", took)
			}
			b.wantSettled(tc.status, outcomeCallerGone, price)
		})
	}
}

// Guarantee: a caller who leaves before all of the request was sent pays nothing.
func TestCallerLeavesWhileSending(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	asked := make(chan struct{})
	b.vendor.play(func(c *conn) {
		if _, err := readHead(c.r); err == nil {
			close(asked)
			_ = c.gone(patience)
		}
	})
	c := b.dial()
	c.send("%s", auth(request("POST", "/x", "{A}", "Content-Length: 100")))
	receive(t, asked, "request")
	c.Close()
	b.wantSettled(0, outcomeCallerGone, 0)
}

// Guarantee (35): a caller who closes its sending side gets the whole answer.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	closed := make(chan struct{})
	b.vendor.play(func(c *conn) {
		if _, err := readHead(c.r); err == nil {
			b.vendor.wait(closed)
			c.send("%s", okReply)
		}
	})
	c := b.dial()
	c.send("%s", auth(get1("/x")))
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	close(closed)
	if m := c.answer("GET"); m.body != "ok" || m.err != nil {
		t.Errorf("got %+v", m)
	}
	b.wantSettled(200, outcomeOK, price)
}

// Guarantee (36): a caller that reads slowly costs the gateway buffers, not the size of the answer.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const size = 100 << 20
	sent := make(chan int64, 1)
	b.vendor.play(func(c *conn) {
		if _, err := readHead(c.r); err != nil {
			return
		}
		c.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
		n := int64(0)
		piece := make([]byte, 64<<10)
		for {
			// When nobody takes more for a while, every buffer on the way is full.
			_ = c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			m, err := c.Write(piece)
			n += int64(m)
			if err != nil {
				break
			}
		}
		sent <- n
	})
	c := b.dial()
	c.send("%s", auth(get1("/x")))
	c.answerHead()
	// What it could send is in the buffers of four sockets and one of the gateway's.
	if n := receive(t, sent, "stall"); n > size/2 {
		t.Errorf("the vendor could send %d bytes to a caller that reads nothing", n)
	}
	c.Close()
	b.settled()
}

// Guarantee (40): a request that may have had an effect is not sent twice when the vendor closes a
// kept connection under it, and one without effects at most twice.
func TestReuseOfAClosingConnection(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		send string
		most int
	}{"40 POST": {post("/x", "{}"), 1}, "40 GET": {get1("/x"), 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			got := make(chan string, 10)
			b.vendor.play(func(c *conn) {
				for i := range 2 {
					m, err := readHead(c.r)
					if err != nil {
						return
					}
					m.readBody(c.r, false)
					got <- m.first
					if i == 0 && strings.HasPrefix(m.first, "GET /first") {
						c.send("%s", okReply)
						continue
					}
					return // without an answer
				}
			})
			c := b.dial()
			c.send("%s", auth(get1("/root/first")))
			c.answer("GET")
			b.settled()
			receive(t, got, "first request")
			c.send("%s", auth(tc.send))
			if m := c.answer(""); m.status() != 502 {
				t.Errorf("got %s", m.first)
			}
			b.settled()
			if n := len(got); n < 1 || n > tc.most {
				t.Errorf("the vendor got it %d times", n)
			}
		})
	}
}

// Guarantee (46): interim answers pass, without connection headers, and the final one follows.
func TestEarlyHints(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vendor.answer("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-P\r\nX-P: 1\r\n\r\n" + okReply)
	c := b.dial()
	c.send("%s", auth(get1("/x")))
	m := c.answerHead()
	if m.status() != 103 || header(m.headers, "Link") != "</a>" || len(all(m.headers, "X-P"))+len(all(m.headers, "Connection")) > 0 {
		t.Errorf("interim %+v", m)
	}
	if m := c.answer("GET"); m.body != "ok" || len(all(m.headers, "Link")) > 0 {
		t.Errorf("final %+v", m)
	}
	b.settled()

	old := b.dial()
	old.send("%s", auth(strings.Replace(get1("/x"), "HTTP/1.1", "HTTP/1.0", 1)))
	if m := old.answer("GET"); m.status() != 200 || m.body != "ok" {
		t.Errorf("47: HTTP/1.0 got %+v", m)
	}
	b.settled()
}

// Guarantee (28): a stream that goes silent for too long is broken off; one that does not may last.
func TestSilentStream(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *options) { o.proxy.StreamIdle = 100 * time.Millisecond })
	b.vendor.play(func(c *conn) {
		if _, err := readHead(c.r); err == nil {
			c.send("%s", chunkedHead+"1\r\nx\r\n")
			_ = c.gone(patience)
		}
	})
	c := b.dial()
	c.send("%s", auth(get1("/x")))
	c.answerHead()
	c.expect("1\r\nx\r\n")
	if rest, err := io.ReadAll(c.r); len(rest) > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("then %q and %v", rest, err)
	}
	b.wantSettled(200, outcomeInterrupted, price)
}
