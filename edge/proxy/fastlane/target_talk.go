package fastlane

import "io"

// talk sends a request on a connection that was kept, and waits for the answer, in one turn of the poller. The poller is made ready first; then
// the connection is looked at, which must be silent, the request is written, and whatever comes after that wakes it. Otherwise it
// would cost a system call to look, and another one to find out that the answer has not come yet.
type talk struct {
	c     *targetConn
	turn  func(fd uintptr) bool
	one   [1]byte
	p     []byte
	asked bool
	n     int   // bytes that were written
	err   error // why not all of them
}

func (t *talk) prepare(c *targetConn) { t.c, t.turn = c, t.take }

// with sends p. Without an error something of the answer was read, unless only a part of p could be written at once: then the rest
// follows, and nothing was waited for. After errStale nothing was sent.
func (t *talk) with(p []byte) error {
	c := t.c
	t.p, t.asked, t.n, t.err = p, false, 0, nil
	c.unseen = false
	c.wire.n, c.wire.err = leastRead, nil
	err := c.raw.Read(t.turn)
	t.p = nil
	switch {
	case t.err != nil:
		return t.err
	case err != nil:
		return err
	case t.n < len(p):
		return c.transmit(p[t.n:], nil)
	case c.wire.err != nil:
		return c.wire.err
	case c.wire.n == 0:
		return io.EOF
	default:
		return nil
	}
}

// take is a turn.
func (t *talk) take(fd uintptr) (over bool) {
	if t.asked {
		return t.c.wire.read(fd)
	}
	t.asked = true
	if _, err := readNow(fd, t.one[:]); err != errAgain { //nolint:errorlint // it is never wrapped
		t.err = errStale
		return true
	}
	n, err := writeNow(fd, t.p)
	if err != nil && err != errAgain { //nolint:errorlint // the same
		t.err = err
		return true
	}
	t.n = n
	t.c.written.Add(int64(t.n))
	return t.n < len(t.p)
}
