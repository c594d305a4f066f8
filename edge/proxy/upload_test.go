package proxy

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// Guarantee (48): the vendor decides whether the body is sent, and the caller gets one 100 at most.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	send := auth(request("POST", "/x", "{A}", "Content-Length: 2", "Expect: 100-continue"))

	b.vendor.play(func(c *conn) {
		m, err := readHead(c.r)
		if err != nil {
			return
		}
		if header(m.headers, "Expect") != "100-continue" {
			t.Errorf("vendor got %q", m.headers)
		}
		c.send("HTTP/1.1 100 Continue\r\n\r\n")
		m.readBody(c.r, false)
		c.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
	})
	c := b.dial()
	c.send("%s", send)
	if m := c.answerHead(); m.status() != 100 {
		t.Fatalf("got %+v", m)
	}
	c.send("ab")
	if m := c.answer("POST"); m.status() != 200 || m.body != "ok" {
		t.Errorf("got %+v", m)
	}
	b.settled()

	b.vendor.play(func(c *conn) {
		if _, err := readHead(c.r); err == nil {
			c.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
			_ = c.gone(patience)
		}
	})
	c = b.dial()
	c.send("%s", send)
	if m := c.answer("POST"); m.status() != 401 || m.body != "no" {
		t.Errorf("got %+v", m)
	}
	b.wantSettled(401, outcomeTargetError, 0)
}

// Guarantee (49): a key that is refused is refused before the body is asked for.
func TestExpectContinueWithABadKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.dial()
	c.send("%s", request("POST", "/x", "Authorization: Bearer tgk_wrong", "Content-Length: 1000000", "Expect: 100-continue"))
	if m := c.answer("POST"); m.status() != 401 {
		t.Errorf("got %+v", m)
	}
	if err := c.gone(patience); err != nil {
		t.Error(err)
	}
}

// Guarantee (82): each part of a body reaches the vendor before the next one is sent, with and without
// a length, and a large one takes no memory.
func TestUploadStreams(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ head, one, end string }{
		"chunks": {"Transfer-Encoding: chunked", "1\r\nx\r\n", "0\r\n\r\n"},
		"length": {"Content-Length: 3", "x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			got := make(chan byte)
			b.vendor.play(func(c *conn) {
				if _, err := readHead(c.r); err != nil {
					return
				}
				for n := 0; n < 3; {
					x, err := c.r.ReadByte()
					if err != nil {
						return
					}
					if x == 'x' {
						n++
						got <- x
					}
				}
				c.send("%s", okReply)
			})
			c := b.dial()
			c.send("%s", auth(request("POST", "/x", "{A}", tc.head)))
			for range 3 {
				c.send("%s", tc.one)
				receive(t, got, "byte")
			}
			c.send("%s", tc.end)
			if m := c.answer("POST"); m.body != "ok" {
				t.Errorf("got %+v", m)
			}
			b.wantSettled(200, outcomeOK, price)
		})
	}
}

// Guarantee: both directions stream at the same time.
func TestFullDuplex(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vendor.play(func(c *conn) {
		if _, err := readHead(c.r); err != nil {
			return
		}
		c.send("%s", chunkedHead)
		for range 3 {
			piece := make([]byte, len("1\r\nx\r\n"))
			if _, err := io.ReadFull(c.r, piece); err != nil {
				return
			}
			c.send("%s", bytes.ToUpper(piece))
		}
		_, _ = io.ReadFull(c.r, make([]byte, 5))
		c.send("0\r\n\r\n")
	})
	c := b.dial()
	c.send("%s", auth(request("POST", "/x", "{A}", "Transfer-Encoding: chunked")))
	c.answerHead()
	for range 3 {
		c.send("1\r\nx\r\n")
		c.expect("1\r\nX\r\n")
	}
	c.send("0\r\n\r\n")
	c.expect("0\r\n\r\n")
	b.wantSettled(200, outcomeOK, price)
}

// Guarantee (83): an answer that comes before the body was sent reaches a caller that is still
// sending, and nothing of the body is taken for another request.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vendor.play(func(c *conn) {
		if _, err := readHead(c.r); err == nil {
			c.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
			_ = c.gone(patience)
		}
	})
	c := b.dial()
	c.send("%s", auth(request("POST", "/x", "{A}", "Content-Length: 1000")))
	c.send("%s", auth(get1("/x")))
	if m := c.answer("POST"); m.status() != 413 || m.body != "no" {
		t.Errorf("got %+v", m)
	}
	if rest, err := io.ReadAll(c.r); len(rest) > 0 {
		t.Errorf("then %q and %v", rest, err)
	}
	b.wantSettled(413, outcomeTargetError, 0)
}

// Guarantee: a body without a length is cut off at the limit, with a 413, and costs nothing.
func TestChunksOverTheLimit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vendor.play(func(c *conn) { _, _ = io.Copy(io.Discard, c.r) })
	c := b.dial()
	c.send("%s", auth(request("POST", "/small", "{A}", "Transfer-Encoding: chunked"))+"8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n")
	if m := c.answer("POST"); m.status() != 413 || !strings.Contains(m.body, "body_too_large") {
		t.Errorf("got %+v", m)
	}
	if end := b.settled(); end.Cost != 0 {
		t.Errorf("it cost %s", end.Cost)
	}
}
