package proxy

import (
	"errors"
	"io"
	"sync/atomic"
)

var errTooLarge = errors.New("the body is over the limit")

// limited counts a body and breaks it off over the limit. The engine reads it from a goroutine of its
// own, so what is asked of it meanwhile is atomic.
type limited struct {
	Body
	limit int64 // 0 for none
	left  int64
	read  atomic.Int64
	begun atomic.Bool
	ended atomic.Bool // by an error: the caller is gone, or sends nonsense
}

// Read reads on, up to one byte over the limit.
func (l *limited) Read(p []byte) (int, error) {
	l.begun.Store(true)
	if l.limit > 0 && l.left < int64(len(p)) {
		p = p[:l.left+1]
	}
	n, err := l.Body.Read(p)
	l.read.Add(int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		l.ended.Store(true)
	}
	if l.limit > 0 {
		if l.left -= int64(n); l.left < 0 {
			return 0, errTooLarge
		}
	}
	return n, err
}

// touched says whether any of it was asked for, and so may be lost to another attempt.
func (l *limited) touched() bool { return l.begun.Load() }

// broken says whether the caller's side of it failed.
func (l *limited) broken() bool { return l != nil && l.ended.Load() }

func (l *limited) seen() int64 { return l.read.Load() }

func (l *limited) over() bool { return l.limit > 0 && l.seen() > l.limit }
