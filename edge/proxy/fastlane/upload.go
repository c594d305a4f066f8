package fastlane

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/edge/proxy"
)

// upload sends a body while the answer is waited for, which may come before its end. The clock of the header timeout stands while
// the caller is waited for.
type upload struct {
	c      *targetConn
	body   proxy.Body // nil if it is known
	known  []byte
	left   int64 // of the body
	most   time.Duration
	ended  chan struct{}
	done   atomic.Bool // all of it was read
	whole  atomic.Bool // all of it was sent
	failed error       // why the body could not be read; for who has seen the end

	reading sync.Mutex // held while the body is read
	stopped atomic.Bool

	mu    sync.Mutex // guards the alarm of the connection as long as this goes on
	quiet bool       // there is an answer, and no clock runs any more
}

var (
	errStopped = errors.New("the attempt is over")
	errLength  = errors.New("the body has another length than was said")
)

// run sends it all.
func (u *upload) run() {
	defer close(u.ended)
	if u.body == nil {
		u.done.Store(true)
		u.whole.Store(u.c.transmit(u.known, nil) == nil)
		return
	}
	err := u.pass()
	switch {
	case err == nil:
		u.whole.Store(true)
	case errors.Is(err, errStopped), errors.Is(err, errUnsent):
	default:
		u.failed = err
		u.c.stop(errUnread)
	}
}

// errUnsent says that the target takes no more. Whoever waits for the answer finds out why.
var errUnsent = errors.New("the target took no more")

// pass reads the body and sends what was read. The error is about the body unless it is errUnsent.
func (u *upload) pass() error {
	buf := takeBuffer(int(min(u.left, muchBuffer)))
	defer giveBuffer(buf)
	room := buf[:cap(buf)]
	for u.left > 0 {
		n, err := u.read(room[:min(int64(len(room)), u.left)])
		if u.left -= int64(n); u.left == 0 {
			u.done.Store(true)
		}
		if n > 0 && u.c.transmit(room[:n], nil) != nil {
			return errUnsent
		}
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF):
			return err
		case u.left > 0:
			return errLength
		default:
			return nil
		}
	}
	for {
		// Its end is read too, because that is what whoever follows the body waits for.
		n, err := u.read(room)
		switch {
		case n > 0:
			return errLength
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func (u *upload) read(p []byte) (int, error) {
	u.reading.Lock()
	defer u.reading.Unlock()
	if u.stopped.Load() {
		return 0, errStopped
	}
	u.clock(false)
	defer u.clock(true)
	return u.body.Read(p)
}

// clock starts the header timeout anew, or stops it.
func (u *upload) clock(run bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.quiet:
	case !u.c.alarm.clear():
		u.quiet = true // it rings, which is the end
	case run:
		u.c.alarm.set(moment(), u.most)
	}
}

// hush stops the header timeout for good. Without ok it has rung, or is about to.
func (u *upload) hush() (ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.quiet {
		return false
	}
	u.quiet = true
	return u.c.alarm.clear()
}

// abandon follows an attempt without an answer, whose connection is closed. When it returns nobody reads the body for it any more.
func (u *upload) abandon() {
	u.stopped.Store(true)
	<-u.ended
}

// lastPiece is how long is waited for the last piece of a body to have been sent, where the target has answered by then: the two
// may be told in either order.
const lastPiece = 50 * time.Millisecond

// over follows an answer, and says whether the connection can be used again, which is asked for with wanted. A body of which more is
// to come is not for this target any more, and the goroutine ends when the caller sends more, or has left.
func (u *upload) over(wanted bool) (clean bool) {
	u.stopped.Store(true)
	if wanted && u.done.Load() {
		timer := time.NewTimer(lastPiece)
		defer timer.Stop()
		select {
		case <-u.ended:
		case <-timer.C:
		}
	}
	return u.whole.Load()
}
