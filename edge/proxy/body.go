package proxy

import (
	"errors"
	"io"
	"sync/atomic"
)

var (
	errTooLarge = errors.New("the body is over the limit")
	errTooDear  = errors.New("the body costs more than can be held")
)

// limited counts a body and breaks it off over the limit, and where it cannot be paid for. The engine
// reads it from a goroutine of its own, so what is asked of it meanwhile is atomic.
type limited struct {
	Body
	limit int64 // 0 for none
	left  int64
	pay   func(p []byte) error // for what is about to go on; nil where that costs nothing
	read  atomic.Int64
	begun atomic.Bool
	ended atomic.Bool // by an error: the caller is gone, or sends nonsense
	whole atomic.Bool // it was read to its end
	dear  atomic.Pointer[error]
}

// Read reads on, up to one byte over the limit. What is not paid for goes nowhere.
func (l *limited) Read(p []byte) (int, error) {
	l.begun.Store(true)
	if l.limit > 0 && l.left < int64(len(p)) {
		p = p[:l.left+1]
	}
	n, err := l.Body.Read(p)
	l.read.Add(int64(n))
	switch {
	case errors.Is(err, io.EOF):
		l.whole.Store(true)
	case err != nil:
		l.ended.Store(true)
	}
	if l.limit > 0 {
		if l.left -= int64(n); l.left < 0 {
			return 0, errTooLarge
		}
	}
	if n > 0 && l.pay != nil {
		if unpaid := l.pay(p[:n]); unpaid != nil {
			return 0, tooDear(&l.dear, unpaid)
		}
	}
	return n, err
}

// tooDear notes why a body goes no further. Only then that costs memory.
func tooDear(at *atomic.Pointer[error], why error) error {
	at.Store(&why)
	return errTooDear
}

// took counts what was taken of it in place of reading it, which is all of it.
func (l *limited) took(p []byte) []byte {
	l.begun.Store(true)
	l.read.Add(int64(len(p)))
	l.whole.Store(true)
	return p
}

// touched says whether any of it was asked for, and so may be lost to another attempt.
func (l *limited) touched() bool { return l.begun.Load() }

// broken says whether the caller's side of it failed.
func (l *limited) broken() bool { return l != nil && l.ended.Load() }

func (l *limited) seen() int64 { return l.read.Load() }

func (l *limited) over() bool { return l.limit > 0 && l.seen() > l.limit }

// unpaid says why it was broken off where it could not be paid for, or nil.
func (l *limited) unpaid() error {
	if l == nil {
		return nil
	}
	if err := l.dear.Load(); err != nil {
		return *err
	}
	return nil
}

// complete says whether all of it was read. There is nothing to read of none.
func (l *limited) complete(length int64) bool {
	return l == nil || l.whole.Load() || length >= 0 && l.seen() == length
}
