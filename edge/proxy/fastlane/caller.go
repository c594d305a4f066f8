package fastlane

import (
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tollgate/edge/proxy"
)

// caller finds out that the caller of a connection is gone. One who closes its sending side may still wait for the answer, and looks
// the same as one who is gone until something is sent: there is a short time for the answer then. It begins when all that the caller
// has sent belongs to the exchange that runs.
type caller struct {
	c      *conn
	single atomic.Bool // there is nothing behind the running exchange
	shut   atomic.Bool // the sending side was closed

	mu    sync.Mutex // guards what follows
	timer *time.Timer
}

// left is told that the caller has closed the connection, or broken it.
func (k *caller) left(broken bool) {
	if broken {
		k.c.life.end(proxy.ErrCallerGone)
		return
	}
	k.shut.Store(true)
	k.c.rouse()
	if k.single.Load() {
		k.linger()
	}
}

// alone says that all of the running exchange was read, and nothing of another one.
func (k *caller) alone() {
	k.single.Store(true)
	if k.shut.Load() {
		k.linger()
	}
}

// done follows the end of the exchange.
func (k *caller) done() {
	if !k.single.Swap(false) || !k.shut.Load() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
}

// linger gives the exchange its last moments.
func (k *caller) linger() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.timer != nil || !k.single.Load() || !k.silent() {
		return
	}
	if k.c.s.cfg.Linger <= 0 {
		k.c.life.end(proxy.ErrCallerGone)
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(k.c.s.cfg.Linger, func() {
		k.mu.Lock()
		late := k.timer == timer
		k.mu.Unlock()
		if late {
			k.c.life.end(proxy.ErrCallerGone)
		}
	})
	k.timer = timer
}

// silent says whether nothing but the end is still to be read, of TLS nothing but the record that announces it. A request that came
// before the end is served in its turn.
func (k *caller) silent() bool {
	var record [5]byte
	n, err := peek(k.c.wire.raw, record[:])
	switch {
	case err != nil:
		return !errors.Is(err, syscall.EAGAIN)
	case k.c.wire.tls == nil || n < len(record):
		return n == 0
	}
	const alert, data, length = 21, 23, 2 + 1 + 16 // in TLS 1.3 it looks like data: level and reason, what it is, and the seal
	return record[0] == alert || record[0] == data && record[3] == 0 && record[4] == length
}
