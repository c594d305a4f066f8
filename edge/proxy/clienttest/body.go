package clienttest

import (
	"errors"
	"io"
	"sync"

	"tollgate/edge/proxy"
)

var errInterrupted = errors.New("the body was interrupted")

// Body is a request body made of pieces, each of which is waited for.
type Body struct {
	Pieces chan string
	End    error          // of the pieces
	Sent   []proxy.Header // trailers

	mu     sync.Mutex
	left   string
	broken chan struct{}
	once   sync.Once
}

// BodyOf is a body that is all there.
func BodyOf(pieces ...string) *Body {
	b := &Body{Pieces: make(chan string, len(pieces)+16), End: io.EOF, broken: make(chan struct{})}
	for _, p := range pieces {
		b.Pieces <- p
	}
	close(b.Pieces)
	return b
}

// SlowBody is one whose pieces a case sends.
func SlowBody() *Body {
	return &Body{Pieces: make(chan string, 16), End: io.EOF, broken: make(chan struct{})}
}

// Read reads on.
func (b *Body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left == "" {
		select {
		case <-b.broken:
			return 0, errInterrupted
		case s, ok := <-b.Pieces:
			if !ok {
				return 0, b.End
			}
			b.left = s
		}
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}

// Interrupt makes Read fail.
func (b *Body) Interrupt() { b.once.Do(func() { close(b.broken) }) }

// Drain does nothing.
func (b *Body) Drain() {}

// Trailers are those that were sent.
func (b *Body) Trailers() []proxy.Header { return b.Sent }

// Arrived is a body that has come.
type Arrived struct {
	*Body

	text []byte
	err  error // why it cannot be had
}

// ArrivedBody is one that can be had.
func ArrivedBody(text string) *Arrived { return &Arrived{BodyOf(text), []byte(text), nil} }

// All is the text.
func (b *Arrived) All() ([]byte, error) { return b.text, b.err }
