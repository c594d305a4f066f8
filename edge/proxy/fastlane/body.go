package fastlane

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/nethttp"
)

var errInterrupted = errors.New("the exchange is over")

// body is the body of a request. One that has come as a whole lies in the connection's buffer, and is used there; the memory for it
// is the connection's, because nobody who is late can do harm to it: there is nothing to interrupt. One that is waited for has its own.
type body struct {
	c       *conn
	arrived bool

	mu          sync.Mutex // of Read, so that nobody reads when the exchange is over
	left        int64
	last        int64       // moment at which the read deadline was set; 0 for never
	interrupted atomic.Bool // never of one that has arrived
	ended       atomic.Bool
}

// mostArrived is how long a body may be for which it is worth a look whether it has come.
const mostArrived = muchBuffer / 2

// takeBody is the body of the request that was read, nil for none.
func (c *conn) takeBody(length int64) *body {
	if length <= 0 {
		return nil
	}
	w := &c.wire
	if missing := length - int64(len(w.bytes())); missing > 0 && length <= mostArrived {
		w.more(int(missing))
	}
	b := &c.short
	if length > int64(len(w.bytes())) {
		b = &body{c: c, left: length}
		return b
	}
	b.c, b.arrived, b.left = c, true, length
	b.ended.Store(false)
	return b
}

// Read reads on. It fails once the exchange is over.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.interrupted.Load():
		return 0, errInterrupted
	case b.ended.Load():
		return 0, io.EOF
	}
	n, err := b.next(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	switch {
	case b.left == 0:
		b.end()
		return n, io.EOF
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// next reads from what came with the head, then from the connection. b.mu is held.
func (b *body) next(p []byte) (int, error) {
	w := &b.c.wire
	if have := w.bytes(); len(have) > 0 {
		n := copy(p, have)
		if w.consume(n); !b.arrived {
			w.release()
		}
		return n, nil
	}
	if err := b.patience(); err != nil {
		return 0, err
	}
	if w.tls != nil {
		return w.tls.Read(p)
	}
	return w.conn.Read(p)
}

// patience gives the caller time for what it sends. A deadline is moved seldom, because each move costs more than most reads.
func (b *body) patience() error {
	timeout := int64(b.c.s.cfg.PeerTimeout)
	now := moment()
	if timeout <= 0 || b.last != 0 && now-b.last <= timeout/8 {
		return nil
	}
	b.last = now
	_ = b.c.socket.SetReadDeadline(time.Now().Add(b.c.s.cfg.PeerTimeout)) // fails only on a connection that is gone
	if b.interrupted.Load() {                                             // its deadline, which is over, was just replaced
		return errInterrupted
	}
	return nil
}

// end follows the last byte. b.mu is held, or nobody else has b.
func (b *body) end() {
	b.ended.Store(true)
	if b.arrived {
		return
	}
	if b.last != 0 || b.interrupted.Load() {
		_ = b.c.socket.SetReadDeadline(time.Time{}) // the next head has an alarm
	}
	if !b.interrupted.Load() && len(b.c.wire.bytes()) == 0 {
		b.c.caller.alone()
	}
}

// Bytes is what of the body was not read yet.
func (b *body) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.arrived || b.ended.Load() {
		return nil
	}
	n := int(b.left)
	rest := b.c.wire.bytes()[:n:n]
	b.c.wire.consume(n) // the buffer stays until the exchange is over
	b.left = 0
	b.ended.Store(true)
	return rest
}

// Release gives the buffer back in which the body has come, unless another request came behind it.
func (b *body) Release() {
	if b.arrived && b.ended.Load() {
		b.c.wire.release()
	}
}

// Interrupt ends a Read that waits for the caller, and returns when nobody reads any more.
func (b *body) Interrupt() {
	if b.arrived || b.ended.Load() {
		return
	}
	if !b.interrupted.Swap(true) {
		b.c.wire.interrupt()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
}

// complete says whether all of it was read, so that the next bytes are another request.
func (b *body) complete() bool { return b.ended.Load() && !b.interrupted.Load() }

// Drain takes a short rest of the body.
func (b *body) Drain() {
	b.mu.Lock()
	left := b.left
	b.last = moment() // keeps Read from moving the deadline
	b.mu.Unlock()
	switch {
	case b.ended.Load() || b.interrupted.Load():
	case b.arrived:
		b.Bytes()
	case left <= nethttp.DrainBytes && b.c.socket.SetReadDeadline(time.Now().Add(nethttp.DrainFor)) == nil:
		_, _ = io.CopyN(io.Discard, b, nethttp.DrainBytes) // if the end does not come, the connection is closed
	}
}

// Trailers are none: a body with a length has none behind it.
func (b *body) Trailers() []proxy.Header { return nil }

// linger takes what the caller still sends. It follows Interrupt and the end of the answer, and the connection is closed behind it.
func (b *body) linger() {
	w := &b.c.wire
	if w.closeWrite() != nil || b.c.socket.SetReadDeadline(time.Now().Add(nethttp.LingerFor)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, w.conn, nethttp.LingerBytes) // whatever comes of it, the connection ends
}
