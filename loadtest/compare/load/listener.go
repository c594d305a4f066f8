package load

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"time"
)

// listener has a stream open that says nothing after its first event.
type listener struct {
	c net.Conn
}

func newListener(j Job) (prepared, tally, error) {
	c, err := dial(j, "http/1.1")
	if err != nil {
		return nil, tally{}, err
	}
	if err := first(c, request(j)); err != nil {
		return nil, tally{}, errors.Join(err, c.Close())
	}
	return &listener{c}, tally{sent: 1}, nil
}

// first returns when the first event has come.
func first(c net.Conn, request []byte) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write(request); err != nil {
		return err
	}
	const small = 2 << 10 // there are many of them
	in := bufio.NewReaderSize(c, small)
	length, err := head(in, "200")
	if err != nil {
		return err
	}
	if length >= 0 {
		return fmt.Errorf("a stream that is %d bytes long", length)
	}
	_, err = chunk(in)
	return err
}

// start lets it be until the time is over.
func (one *listener) start(_, until time.Time) tally {
	if err := one.c.SetReadDeadline(until); err != nil {
		return tally{err: err}
	}
	n, err := one.c.Read(make([]byte, 1))
	if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
		return tally{done: 1, left: 1}
	}
	return tally{err: fmt.Errorf("a silent stream said %d bytes: %w", n, err)}
}

func (one *listener) close() { _ = one.c.Close() }
