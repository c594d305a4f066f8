package nethttp

import (
	"context"
	"sync"
	"time"

	"tollgate/edge/proxy"
)

// watcher ends an exchange some time after its caller has closed the connection. A caller may close
// its sending side only and still wait for the answer; the two look the same until something is sent,
// so that there is a short time for the answer. A stream of HTTP/2 says which of the two it is.
type watcher struct {
	conn   *strictConn
	cancel context.CancelCauseFunc
	linger time.Duration // 0 for a stream

	mu    sync.Mutex // guards what follows
	timer *time.Timer
	ended bool
}

// gone follows the end of the connection, or of the stream.
func (w *watcher) gone() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended:
	case w.linger <= 0 || w.conn.broken.Load():
		w.cancel(proxy.ErrCallerGone)
	default:
		w.timer = time.AfterFunc(w.linger, func() { w.cancel(proxy.ErrCallerGone) })
	}
}

// stop follows the end of the exchange, or the switch to another protocol.
func (w *watcher) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.timer != nil {
		w.timer.Stop()
	}
}
