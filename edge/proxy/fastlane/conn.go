package fastlane

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/http1"
)

// conn is one connection of a caller, served by one goroutine from request to request. All that an exchange needs belongs to it and
// is used again.
type conn struct {
	s      *Server
	socket net.Conn // as it was accepted
	remote string
	began  int64

	wire    wire
	alarm   alarm // of the time that a head may take, and the next one to begin
	life    life
	caller  caller
	watched uint64      // its number there; 0 for none
	known   atomic.Bool // there was a request
	state   atomic.Int32
	giving  sync.Mutex // held while the socket is given away, and by others that touch it
	given   bool

	request http1.Request
	blank   int // empty lines that may still come before the next request
	x       proxy.Exchange
	out     responder
	short   body
	unread  *body // of the last exchange, which the caller may still be sending
	text    [textBytes]byte

	stay
}

// textBytes is how much an exchange has for texts in the headers of its answer.
const textBytes = 256

// States of a connection.
const (
	waiting int32 = iota // for a request, so that it may be closed at any time
	serving
	over // closed, or about to be
)

func (c *conn) prepare() {
	c.began = moment()
	c.life.begin()
	c.alarm.ring = c.wire.interrupt
	c.out.c, c.caller.c = c, c
}

// run serves the connection.
func (c *conn) run() {
	defer c.s.forget(c)
	defer c.life.cancel(nil)
	defer c.alarm.stop()
	if !c.open() {
		return
	}
	defer c.close()
	for c.next() && c.exchange() && c.remain() {
	}
	if c.unread != nil {
		c.unread.linger()
	}
}

// close ends the connection.
func (c *conn) close() {
	c.state.Store(over)
	c.s.watch.forget(c.watched)
	c.wire.drop()
	if c.wire.tls != nil {
		_ = c.wire.tls.Close() // tells the caller that it is the end, if it can be told
	}
	c.wire.close()
}

// dismiss ends the connection of a server that stops, if nothing is going on. On a new one a request may be on its way.
func (c *conn) dismiss() {
	c.giving.Lock()
	defer c.giving.Unlock()
	switch {
	case c.state.Load() != waiting: // it ends by itself, or has another owner
	case !c.known.Load():
		_ = c.socket.SetReadDeadline(time.Now().Add(fresh)) // fails only on a connection that is gone
	case c.state.CompareAndSwap(waiting, over):
		c.wire.interrupt()
	}
}

// cutOff ends it whatever is going on.
func (c *conn) cutOff() {
	c.giving.Lock()
	defer c.giving.Unlock()
	c.life.end(proxy.ErrCutOff)
	if !c.given {
		c.socket.Close()
	}
}

// give gives the connection to the general lane, with what was read of it and not served.
func (c *conn) give(secure *tls.Conn, head []byte) {
	c.giving.Lock()
	mine := c.state.CompareAndSwap(waiting, over)
	c.given = true
	c.giving.Unlock()
	if !mine {
		c.socket.Close()
		return
	}
	c.s.handOver(c.socket, secure, head)
}

// open prepares the connection for requests. Without ok it is not the lane's.
func (c *conn) open() (ok bool) {
	var secure *tls.Conn
	var below *under
	if c.s.cfg.TLS != nil {
		var err error
		if below, err = newUnder(c.socket); err != nil {
			c.give(tls.Server(c.socket, c.s.cfg.TLS), nil)
			return false
		}
		secure = tls.Server(below, c.s.cfg.TLS)
		if !c.handshake(secure) {
			c.give(secure, nil)
			return false
		}
	}
	if c.s.watch != nil && c.wire.open(c.socket, secure) == nil {
		c.wire.under = below
		number, err := c.s.watch.add(c, c.wire.raw)
		if c.watched = number; err == nil {
			return true
		}
		c.s.log.Debug("a connection goes over the general lane", "remote", c.remote, "err", err)
	}
	c.give(secure, nil)
	return false
}

// handshake makes TLS for HTTP/1.1. The general lane finds out again what went wrong, and deals with it, and with HTTP/2.
func (c *conn) handshake(secure *tls.Conn) (ok bool) {
	if wait := c.s.cfg.HeaderTimeout; wait > 0 && c.socket.SetDeadline(time.Now().Add(wait)) != nil {
		return false
	}
	// The context is that of no request: closing the connection ends the handshake.
	if secure.HandshakeContext(context.Background()) != nil {
		return false
	}
	return c.socket.SetDeadline(time.Time{}) == nil && secure.ConnectionState().NegotiatedProtocol != "h2"
}

// next waits for a request and reads its head. Without ok there is none, or none for this lane.
func (c *conn) next() (ok bool) {
	if c.parsed {
		c.parsed = false
		return true
	}
	w, limits := &c.wire, c.s.limits
	begun := !c.known.Load() // the time for the head runs
	set, looked := false, 0
	for {
		c.skip()
		have := w.bytes()
		half := c.blank > 0 && len(have) == 1 && have[0] == '\r' // perhaps of an empty line
		if len(have) > 0 && !half && (looked == 0 || bytes.IndexByte(have[looked:], '\n') >= 0 || limits.Bytes > 0 && len(have) > limits.Bytes) {
			n, verdict := c.request.Parse(have, limits)
			if verdict != http1.Incomplete && !c.alarm.clear() {
				return false // its time was over, a moment ago
			}
			switch verdict {
			case http1.Plain:
				w.consume(n)
				c.known.Store(true)
				return c.state.CompareAndSwap(waiting, serving)
			case http1.Strange:
				c.leave()
				return false
			case http1.Incomplete: // until there is another line, no other can be said of it
			}
			looked = len(have)
		}
		switch {
		case !set && !begun && len(have) == 0:
			c.alarm.set(moment(), c.s.cfg.IdleTimeout)
		case !set && !c.known.Load():
			now := moment()
			c.alarm.set(now, c.firstHead(now))
		case !set || !begun && len(have) > 0:
			if set && !c.alarm.clear() {
				return false
			}
			begun = true
			c.alarm.set(moment(), c.s.cfg.HeaderTimeout)
		}
		set = true
		if err := w.fill(0); err != nil {
			if errors.Is(err, io.EOF) && len(w.bytes()) > 0 && c.alarm.clear() {
				c.leave() // half a request is refused there
			}
			return false
		}
	}
}

// firstHead is how long the first head may still take: TLS was part of its time.
func (c *conn) firstHead(now int64) time.Duration {
	if c.s.cfg.HeaderTimeout <= 0 {
		return 0
	}
	return max(c.s.cfg.HeaderTimeout-time.Duration(now-c.began), 1)
}

// skip drops empty lines behind a POST, of which some callers send one more than they should. The general lane does the same.
func (c *conn) skip() {
	for ; c.blank > 0; c.blank-- {
		have := c.wire.bytes()
		if len(have) < 2 || have[0] != '\r' || have[1] != '\n' {
			return
		}
		c.wire.consume(2)
		c.wire.release()
	}
}

// mostBlank is how many empty lines are dropped behind a POST.
const mostBlank = 2

// leave has the general lane go on.
func (c *conn) leave() {
	if c.s.watch.remove(c.watched, c.wire.raw) != nil {
		return // it is closed
	}
	head, secure := bytes.Clone(c.wire.bytes()), c.wire.tls
	c.wire.drop()
	c.wire.conn, c.wire.tls = gone{}, nil
	c.give(secure, head)
}

// exchange serves the request that was read, and says whether there can be another one.
func (c *conn) exchange() (more bool) {
	b := c.begin()
	if !c.serve() {
		return false
	}
	if b != nil {
		b.Interrupt() // whoever performs an attempt may still wait for the caller's next byte
	}
	more = c.out.finish()
	c.caller.done()
	if b != nil {
		if !b.complete() {
			if !c.out.aborted {
				c.unread = b
			}
			return false
		}
		c.wire.release() // which an arrived body has kept from it
	}
	c.forgetHead()
	c.state.Store(waiting)
	return more && !c.s.stopping.Load()
}

// begin makes an exchange of the request that was read, and returns its body. Making it takes a lot of stack, which those who wait for
// the answer shall not have.
//
//go:noinline
func (c *conn) begin() *body {
	r := &c.request
	c.x = proxy.Exchange{
		Method: r.Method, Target: r.Target, Host: r.Host, Proto: proxy.HTTP11, Headers: r.Headers, Length: r.Length, Remote: c.remote,
		EmptyBody: r.Sized && r.Length == 0, Text: c.text[:0], Out: &c.out,
	}
	b := c.takeBody(r.Length)
	c.out.begin(b, r.Method == http.MethodHead, r.Close)
	behind := len(c.wire.bytes())
	if b != nil {
		c.x.Body, c.x.Arrived = b, b.arrived
		behind -= int(min(r.Length, int64(behind)))
	} else {
		c.wire.release()
	}
	if behind == 0 && (b == nil || b.arrived) {
		c.caller.alone()
	}
	c.blank = 0
	if r.Method == http.MethodPost {
		c.blank = mostBlank
	}
	return b
}

// mostHeaders is for how many headers a connection that waits keeps memory.
const mostHeaders = 32

// forgetHead lets go of the head of an exchange that is over, all of which a single string would keep.
func (c *conn) forgetHead() {
	c.x = proxy.Exchange{}
	headers := c.request.Headers
	if clear(headers); cap(headers) > mostHeaders {
		headers = nil
	}
	c.request = http1.Request{Headers: headers[:0]}
}

// serve has the exchange served. A bug that the handler does not deal with costs the connection.
func (c *conn) serve() (ok bool) {
	defer func() {
		if v := recover(); v != nil {
			c.s.log.Error("an exchange failed by a bug", "remote", c.remote, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			c.caller.done()
			ok = false
		}
	}()
	c.s.h.Serve(&c.life, &c.x)
	return true
}

// gone stands for a connection that was given away.
type gone struct{ net.Conn }

// Close does nothing: it is another's.
func (gone) Close() error { return nil }
