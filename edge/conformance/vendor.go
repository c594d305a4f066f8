package conformance

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
)

// vendor is a server that does what a case says. It takes requests on any connection; each waits
// until the case comes to it.
type vendor struct {
	l   net.Listener
	h2  bool
	rng *rand.Rand
	wg  sync.WaitGroup

	arrivals chan *arrival

	mu    sync.Mutex // guards what follows
	wires []*wire
	ended bool
	done  chan struct{}
}

// arrival is a request that came, or what came instead of one.
type arrival struct {
	h    *head
	f    flow
	w    *wire
	s    *session // of HTTP/2
	err  error
	next chan struct{} // closed when the connection may go on to the next request
}

// errTLS is what a vendor gets that is asked for TLS.
var errTLS = errors.New("it is TLS")

func newVendor(ctx context.Context, h2 bool, rng *rand.Rand) (*vendor, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	v := &vendor{l: l, h2: h2, rng: rng, arrivals: make(chan *arrival, 64), done: make(chan struct{})}
	v.wg.Go(v.accept)
	return v, nil
}

func (v *vendor) addr() string { return v.l.Addr().String() }

func (v *vendor) accept() {
	for {
		c, err := v.l.Accept()
		if err != nil {
			return
		}
		v.mu.Lock()
		if v.ended {
			v.mu.Unlock()
			c.Close()
			return
		}
		w := newWire(c, v.rng)
		v.wires = append(v.wires, w)
		v.mu.Unlock()
		if v.h2 {
			v.wg.Go(func() { v.serve2(w) })
		} else {
			v.wg.Go(func() { v.serve1(w) })
		}
	}
}

func (v *vendor) serve1(w *wire) {
	for {
		f := &flow1{w: w, server: true}
		h, err := (*head)(nil), errTLS
		if first, _ := w.r.Peek(1); string(first) != "\x16" {
			h, err = f.readHead(context.Background())
		}
		if err != nil && w.seen() == "" || errors.Is(err, net.ErrClosed) {
			return // a connection that was never used
		}
		a := &arrival{h: h, f: f, w: w, err: err, next: make(chan struct{})}
		if err == nil || !isEnd(err) {
			select {
			case v.arrivals <- a:
			case <-v.done:
				return
			}
		}
		if err != nil {
			return
		}
		select {
		case <-a.next:
		case <-v.done:
			return
		}
	}
}

// isEnd says whether a connection ended between requests.
func isEnd(err error) bool {
	return err != nil && (err.Error() == "EOF" || errors.Is(err, net.ErrClosed) || isReset(err))
}

func isReset(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}

func (v *vendor) serve2(w *wire) {
	s := newSession(w, true)
	for {
		select {
		case f := <-s.opened:
			h, err := f.readHead(context.Background())
			select {
			case v.arrivals <- &arrival{h: h, f: f, w: w, s: s, err: err, next: make(chan struct{})}:
			case <-v.done:
				return
			}
		case <-s.done:
			return
		case <-v.done:
			return
		}
	}
}

// seen is what came on all connections.
func (v *vendor) seen() (out []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, w := range v.wires {
		out = append(out, w.seen())
	}
	return out
}

func (v *vendor) stop() {
	v.mu.Lock()
	if !v.ended {
		v.ended = true
		close(v.done)
		v.l.Close()
	}
	wires := v.wires
	v.mu.Unlock()
	for _, w := range wires {
		w.release()
	}
	v.wg.Wait()
}
