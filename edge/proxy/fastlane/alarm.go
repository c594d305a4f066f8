package fastlane

import (
	"sync"
	"sync/atomic"
	"time"
)

// alarm calls a function when something has taken too long. Setting and clearing it costs next to nothing, because its timer is not
// touched by that: it runs on, and looks when it rings how much time there is left. The zero value needs its ring.
type alarm struct {
	ring func()       // called by a goroutine of its own
	due  atomic.Int64 // a moment, or one of the two below
	next atomic.Int64 // when the timer rings; 0 for never

	mu    sync.Mutex // guards what follows
	timer *time.Timer
	over  bool
}

// What due says besides.
const (
	unset = 0
	rung  = -1
)

// epoch is what moments of alarms are counted from.
var epoch = time.Now()

// moment is now, in nanoseconds since the start of the process.
func moment() int64 { return int64(time.Since(epoch)) }

// set rings after d, counted from now; 0 or less is never. It follows clear, or is the first.
func (a *alarm) set(now int64, d time.Duration) {
	if d <= 0 {
		return
	}
	due := now + int64(d)
	a.due.Store(due)
	if next := a.next.Load(); next != 0 && next <= due {
		return // it looks again then
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wake(due, now)
}

// clear lets it not ring any more. Without ok it has rung, or is about to: what the ring does may still come.
func (a *alarm) clear() (ok bool) {
	due := a.due.Load()
	return due == unset || due != rung && a.due.CompareAndSwap(due, unset)
}

// wake has the timer ring at a moment. a.mu is held.
func (a *alarm) wake(due, now int64) {
	if a.over {
		return
	}
	d := time.Duration(max(due-now, 0))
	a.next.Store(due)
	if a.timer == nil {
		a.timer = time.AfterFunc(d, a.look)
	} else {
		a.timer.Reset(d)
	}
}

// look is what the timer calls.
func (a *alarm) look() {
	if a.rings() {
		a.ring()
	}
}

func (a *alarm) rings() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		due, now := a.due.Load(), moment()
		switch {
		case a.over:
			return false
		case due == rung:
			a.next.Store(0)
			return false
		case due == unset:
			a.next.Store(0)
		case now >= due:
			if a.due.CompareAndSwap(due, rung) {
				a.next.Store(0)
				return true
			}
			continue
		default:
			a.wake(due, now)
		}
		// What was set meanwhile may have seen the moment of before, and left the timer alone.
		if a.due.Load() == due {
			return false
		}
	}
}

// stop ends it. It may ring for the last time while stop is called.
func (a *alarm) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	if a.timer != nil {
		a.timer.Stop()
	}
}
