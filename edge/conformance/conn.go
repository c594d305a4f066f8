package conformance

import (
	"bufio"
	"context"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"
)

// mostKept is how much of what a connection got is kept for the checks at the end of a case.
const mostKept = 4 << 20

// wire is one connection of a caller or a vendor. What is sent goes out behind the player's back, so
// that one who does not read yet holds nobody up.
type wire struct {
	net.Conn
	r   *bufio.Reader
	rng *rand.Rand

	mu     sync.Mutex // guards what follows
	queue  []func()
	wake   chan struct{}
	closed bool
	got    []byte // of what came, the beginning
	wg     sync.WaitGroup
}

func newWire(c net.Conn, rng *rand.Rand) *wire {
	w := &wire{Conn: c, rng: rng, wake: make(chan struct{}, 1)}
	w.r = bufio.NewReader(recorder{w})
	w.wg.Go(w.send)
	return w
}

type recorder struct{ w *wire }

func (r recorder) Read(p []byte) (int, error) {
	n, err := r.w.Conn.Read(p)
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if room := mostKept - len(r.w.got); room > 0 {
		r.w.got = append(r.w.got, p[:min(n, room)]...)
	}
	return n, err
}

// seen is what came so far.
func (w *wire) seen() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.got)
}

func (w *wire) send() {
	for range w.wake {
		for {
			w.mu.Lock()
			if len(w.queue) == 0 {
				w.mu.Unlock()
				break
			}
			next := w.queue[0]
			w.queue = w.queue[1:]
			w.mu.Unlock()
			next()
		}
	}
}

// later queues what is to happen on the connection after all that was queued before.
func (w *wire) later(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.queue = append(w.queue, f)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// text queues bytes, in pieces that chance makes or, bytewise, one by one.
func (w *wire) text(s string, bytewise bool) {
	var parts []string
	switch {
	case bytewise:
		parts = strings.Split(s, "")
		if len(parts) != len(s) { // Split knows characters
			parts = parts[:0]
			for i := range len(s) {
				parts = append(parts, s[i:i+1])
			}
		}
	default:
		parts = pieces(w.rng, s)
	}
	for _, p := range parts {
		w.later(func() { _, _ = w.Write([]byte(p)) }) // one who is gone is noticed in reading
	}
}

// shut says that nothing more will be sent.
func (w *wire) shut() {
	w.later(func() {
		if half, ok := w.Conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	})
}

// end closes the connection after all that was queued.
func (w *wire) end() { w.later(func() { w.Close() }) }

// abort closes it so that the other side sees a reset.
func (w *wire) abort() {
	w.later(func() {
		c := w.Conn
		if t, ok := c.(interface{ NetConn() net.Conn }); ok {
			c = t.NetConn()
		}
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		c.Close()
	})
}

// release ends all that belongs to the connection.
func (w *wire) release() {
	w.mu.Lock()
	if !w.closed {
		w.closed, w.queue = true, nil
		close(w.wake)
	}
	w.mu.Unlock()
	w.Close()
	w.wg.Wait()
}

// within makes reads end with the context.
func (w *wire) within(ctx context.Context) (stop func()) {
	undo := context.AfterFunc(ctx, func() { _ = w.SetReadDeadline(time.Unix(1, 0)) })
	return func() { undo() }
}
