package fastlane

import (
	"context"
	"errors"
	"sync/atomic"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/http1"
	"tollgate/edge/proxy/nethttp"
)

// target is the connections of the lane to one target: all those that are made in the same way.
type target struct {
	direct *nethttp.Direct // nil: it is the general lane's
	limits http1.Limits
	idle   idle
}

// Why an attempt, or what follows it on its connection, was broken off by this side.
var (
	errHeaderTimeout = errors.New("no answer in time")
	errSilent        = errors.New("the answer went silent")
	errEnded         = errors.New("the exchange is over")
	errUnread        = errors.New("the body could not be read")
	errInterims      = errors.New("too many 1xx answers")
	errStale         = errors.New("the connection was closed, or something came on it, while nobody used it")
)

// maxInterims bounds the 1xx answers of one attempt, each of which makes the caller wait longer.
const maxInterims = 64

// targetConn is a connection to a target, with everything that one attempt after the other needs on it. One goroutine at a time
// uses it, but for what may break the attempt off.
type targetConn struct {
	wire

	target *target
	under  *nethttp.Connection
	reused bool  // an attempt was made on it
	unseen bool  // and since then nobody has looked whether anything has come on it
	put    int64 // when it became idle, as idle counts
	alarm  alarm
	look   looking
	talk   talk
	vector *vector // nil until two pieces were sent
	cancel func(error)

	a        *proxy.Attempt
	response http1.Response
	body     answerBody
	upload   *upload // nil where the caller's goroutine sends the request whole
	odd      *odd    // an answer that net/http reads; nil for none
	before   int64   // what TLS had sent before the attempt
	written  atomic.Int64
	binding  binding
	stopping
}

// newTargetConn is for a connection that was just made.
func newTargetConn(t *target, made *nethttp.Connection) (*targetConn, error) {
	c := &targetConn{target: t, under: made}
	if err := c.open(made.Conn, made.TLS); err != nil {
		return nil, err
	}
	c.alarm.ring = c.tooLong
	c.cancel = c.stop
	c.look.prepare(c)
	c.talk.prepare(c)
	return c, nil
}

// begin makes the connection one for an attempt.
func (c *targetConn) begin(ctx context.Context, a *proxy.Attempt) {
	c.a, c.upload, c.odd = a, nil, nil
	c.written.Store(0)
	if c.tls != nil {
		c.before = c.under.Written()
	}
	c.stopping.begin()
	c.binding.bind(ctx, c)
}

// sent says whether the target may have seen any of the request.
func (c *targetConn) sent() bool {
	if c.tls != nil {
		return c.under.Written() > c.before
	}
	return c.written.Load() > 0
}

// transmit sends two pieces of a request, the second of which may be empty, as far as possible at once.
func (c *targetConn) transmit(p, q []byte) error {
	if c.tls != nil {
		err := c.write(p)
		if err == nil && len(q) > 0 {
			err = c.write(q)
		}
		return err
	}
	if len(q) == 0 {
		n, err := c.conn.Write(p)
		c.written.Add(int64(n))
		return err
	}
	if c.vector == nil {
		c.vector = &vector{}
	}
	n, err := c.vector.write(c.conn, p, q)
	c.written.Add(n)
	return err
}

// tooLong is what the alarm does.
func (c *targetConn) tooLong() {
	if c.answered() {
		c.stop(errSilent)
	} else {
		c.stop(errHeaderTimeout)
	}
}

// interrupted is what the end of the exchange does.
func (c *targetConn) interrupted() { c.stop(errEnded) }

// stop breaks the attempt off: what waits for the target fails.
func (c *targetConn) stop(cause error) {
	if unread, ok := c.stopping.note(cause); ok {
		c.close()
		if unread != nil {
			unread.Interrupt()
		}
	}
}

// destroy ends a connection that nobody uses any more. Whoever it goes to is told so if that costs nobody any time.
func (c *targetConn) destroy() {
	c.alarm.stop()
	if c.tls != nil && c.why() == nil && c.upload == nil {
		_ = c.tls.Close()
	} else {
		c.close()
	}
	c.drop()
}

// leave ends the attempt, and keeps the connection for another one if it is clean: if nothing is on it, and nothing that belongs to
// this attempt can still touch it.
func (c *targetConn) leave(clean bool) {
	if c.upload != nil {
		clean = c.upload.over(clean) && clean
	}
	clean = c.binding.release() && clean
	clean = c.stopping.end() && clean
	c.a = nil
	if !clean || c.odd != nil || len(c.bytes()) > 0 {
		c.destroy()
		if c.upload != nil && c.upload.body == nil {
			<-c.upload.ended // what it sends is somebody else's memory
		}
		return
	}
	c.release()
	c.reused, c.upload = true, nil
	c.target.idle.add(c)
}
