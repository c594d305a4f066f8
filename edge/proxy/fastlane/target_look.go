package fastlane

import (
	"errors"
	"net"
	"syscall"
)

// looking finds out whether anything has come on a connection, without waiting for it. A target may say that it is about to close
// the connection, or answer what it was not asked.
type looking struct {
	c     *targetConn
	peek  func(fd uintptr)
	read  func(fd uintptr) bool
	below func(p []byte) (int, error)
	one   [1]byte
	into  []byte
	n     int
	err   error
}

func (l *looking) prepare(c *targetConn) {
	l.c = c
	l.peek = func(fd uintptr) {
		l.n, _, l.err = syscall.Recvfrom(int(fd), l.one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	}
	l.read = func(fd uintptr) bool {
		l.n, l.err = syscall.Read(int(fd), l.into)
		return true
	}
	l.below = l.readNow
}

// silent says whether the connection is open and nothing has come on it.
func (l *looking) silent() bool {
	if l.c.tls == nil {
		return l.c.raw.Control(l.peek) == nil && errors.Is(l.err, syscall.EAGAIN)
	}
	// TLS may hold what came together with the last answer, and takes tickets and new keys from what has come since.
	l.c.under.Look(l.below)
	defer l.c.under.Look(nil)
	n, err := l.c.tls.Read(l.one[:])
	return n == 0 && errors.Is(err, errNothingYet)
}

// readNow is what TLS reads with meanwhile.
func (l *looking) readNow(p []byte) (int, error) {
	l.into = p
	err := l.c.raw.Read(l.read)
	l.into = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(l.err, syscall.EAGAIN):
		return 0, nothingYetError{}
	case l.err != nil:
		return 0, l.err
	case l.n == 0:
		return 0, net.ErrClosed
	default:
		return l.n, nil
	}
}

// nothingYetError is an error after which TLS goes on, as after a deadline.
type nothingYetError struct{}

var errNothingYet net.Error = nothingYetError{}

func (nothingYetError) Error() string   { return "nothing has come" }
func (nothingYetError) Timeout() bool   { return true }
func (nothingYetError) Temporary() bool { return true }
