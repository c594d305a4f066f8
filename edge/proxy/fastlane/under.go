package fastlane

import (
	"errors"
	"io"
	"net"
)

// under is what TLS of a caller reads from. TLS would wait for the next record with a buffer in its hands, and with the lane's: so a
// Read of it that finds nothing fails while the lane reads, which then waits below TLS with empty hands.
type under struct {
	net.Conn
	in  wire // of the same connection, below TLS
	now bool // a Read waits for nobody
}

func newUnder(conn net.Conn) (*under, error) {
	u := &under{Conn: conn}
	return u, u.in.open(conn, nil)
}

// Read reads what is there, or waits for it.
func (u *under) Read(p []byte) (int, error) {
	if len(u.in.bytes()) == 0 {
		if u.now {
			return 0, errNothingYet
		}
		if err := u.in.fill(len(p)); err != nil {
			return 0, err
		}
	}
	n := copy(p, u.in.bytes())
	u.in.consume(n)
	u.in.release()
	return n, nil
}

// CloseWrite is that of the connection.
func (u *under) CloseWrite() error {
	if half, ok := u.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// fillSealed is fill over TLS.
func (w *wire) fillSealed(want int) error {
	if w.under != nil {
		w.under.now = true
		defer func() { w.under.now = false }()
	}
	for {
		w.room(min(max(want, leastRead), muchBuffer))
		n, err := w.tls.Read(w.buf[len(w.buf):cap(w.buf)])
		w.buf = w.buf[:len(w.buf)+n]
		if n > 0 {
			return nil // an error comes again
		}
		w.release()
		switch {
		case errors.Is(err, errNothingYet):
			err = w.under.in.fill(0)
		case err == nil:
			err = io.ErrNoProgress
		}
		if err != nil {
			return err
		}
	}
}

// moreSealed is more over TLS.
func (w *wire) moreSealed(want int) {
	if w.under == nil {
		return
	}
	w.under.in.more(want)
	w.under.now = true
	defer func() { w.under.now = false }()
	for want > 0 {
		w.room(want)
		n, err := w.tls.Read(w.buf[len(w.buf):cap(w.buf)])
		w.buf = w.buf[:len(w.buf)+n]
		if want -= n; err != nil {
			break
		}
	}
	w.release()
}
