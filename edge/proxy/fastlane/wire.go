package fastlane

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// wire is one connection as the lane reads and writes it: by one goroutine at a time, but for interrupt and close. It holds a buffer
// only while there is something in it: a caller of fill waits with empty hands.
type wire struct {
	conn net.Conn // below TLS
	tls  *tls.Conn
	// under is what TLS reads from, where it shall not wait itself; nil where it may.
	under *under
	raw   syscall.RawConn
	try   func(fd uintptr) bool // read, made once
	look  func(fd uintptr)      // the same for who does not wait, made when it is needed

	buf   []byte // nil, or what takeBuffer gave, with all that was read
	start int    // of what was not consumed yet
	n     int    // what the last read got
	err   error  // how it ended

	put    func(fd uintptr) bool // send, made when something is first written
	out    []byte                // of what is written, what has not left yet
	failed error                 // why it did not
}

// open makes w the wire of a connection; secure is nil, or TLS on top of it.
func (w *wire) open(conn net.Conn, secure *tls.Conn) error {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	*w = wire{conn: conn, tls: secure, raw: raw}
	w.try = w.read
	return nil
}

// bytes are what was read and not consumed. They are valid until the next fill, consume of all of them, or release.
func (w *wire) bytes() []byte { return w.buf[w.start:] }

// consume drops the first n of bytes.
func (w *wire) consume(n int) { w.start += n }

// release gives the buffer back if nothing is in it.
func (w *wire) release() {
	if w.buf != nil && w.start == len(w.buf) {
		giveBuffer(w.buf)
		w.buf, w.start = nil, 0
	}
}

// drop gives the buffer back with whatever is in it.
func (w *wire) drop() {
	if w.buf != nil {
		giveBuffer(w.buf)
		w.buf, w.start = nil, 0
	}
}

// room makes room for at least n more bytes, of which the bytes that are there keep their order.
func (w *wire) room(n int) {
	have := w.buf[w.start:]
	switch {
	case w.buf == nil:
		w.buf = takeBuffer(n)
	case cap(w.buf)-len(w.buf) >= n:
	case cap(w.buf)-len(have) >= n:
		w.buf, w.start = w.buf[:copy(w.buf[:cap(w.buf)], have)], 0
	default:
		bigger := append(takeBuffer(max(len(have)+n, 2*len(have))), have...)
		giveBuffer(w.buf)
		w.buf, w.start = bigger, 0
	}
}

// leastRead is how much room a read has at least.
const leastRead = 1 << 10

// fill waits for more bytes and puts them behind those that are there. It waits as long as the connection's read deadline lets it.
// io.EOF is the end; want is how many bytes are expected, 0 if nobody knows.
func (w *wire) fill(want int) error {
	if w.tls != nil {
		return w.fillSealed(want)
	}
	w.n, w.err = min(max(want, leastRead), largeBuffer), nil
	if err := w.raw.Read(w.try); err != nil {
		return err
	}
	if w.err != nil {
		return w.err
	}
	if w.n == 0 {
		return io.EOF
	}
	return nil
}

// read is what fill has the poller call: it reads what there is, or lets the poller wait, without a buffer.
func (w *wire) read(fd uintptr) bool {
	w.room(w.n)
	n, err := readNow(fd, w.buf[len(w.buf):cap(w.buf)])
	if err == errAgain { //nolint:errorlint // it is never wrapped
		w.release()
		return false
	}
	w.buf = w.buf[:len(w.buf)+n]
	if n == 0 {
		w.release()
	}
	w.n, w.err = n, err
	return true
}

// more reads what has come by now, up to want bytes, and waits for nobody. Its errors come again with the next fill.
func (w *wire) more(want int) {
	if w.tls != nil {
		w.moreSealed(want)
		return
	}
	if w.look == nil {
		w.look = func(fd uintptr) { w.read(fd) }
	}
	w.n = want
	_ = w.raw.Control(w.look) // fails only on a connection that is gone
}

// write sends all of p.
func (w *wire) write(p []byte) error {
	if w.tls != nil {
		_, err := w.tls.Write(p)
		return err
	}
	if w.put == nil {
		w.put = w.send
	}
	w.out, w.failed = p, nil
	err := w.raw.Write(w.put)
	w.out = nil
	if err != nil {
		return err
	}
	return w.failed
}

// send is what write has the poller call: it writes what there is room for, until all is written.
func (w *wire) send(fd uintptr) bool {
	for len(w.out) > 0 {
		n, err := writeNow(fd, w.out)
		switch {
		case err == errAgain: //nolint:errorlint // it is never wrapped
			return false
		case err != nil:
			w.failed = err
			return true
		}
		w.out = w.out[n:]
	}
	return true
}

// errAgain says that a call would have to wait.
var errAgain error = syscall.EAGAIN

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

// interrupt makes a fill that waits fail, and all later ones until the deadline is set anew. Any goroutine may call it.
func (w *wire) interrupt() { _ = w.conn.SetReadDeadline(longAgo) } // fails only on a connection that is gone

// closeWrite says that nothing more will be written.
func (w *wire) closeWrite() error {
	if w.tls != nil {
		return w.tls.CloseWrite()
	}
	if half, ok := w.conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// close ends the connection. Any goroutine may call it.
func (w *wire) close() { _ = w.conn.Close() } // there is nothing to be done about it
