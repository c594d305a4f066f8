package fastlane

import (
	"sync/atomic"
	"time"

	"tollgate/edge/proxy/http1"
)

// stay is how a connection in clear text waits for its next requests and serves them: in one turn of the poller, for as long as each of
// them is plain and has come as a whole. The poller forgets at the beginning of a turn what it was told, so that whoever waits anew
// has to look first whether something has come, which is a system call that nearly always says no. In the same turn nothing is forgotten:
// a read that has filled less than its buffer has emptied the socket, and whatever comes after it ends the waiting.
//
// What came with the last bytes and is no byte is the end of the connection, which the poller tells together with them. The watch tells
// of it too, and rouses who does not look.
//
// While the turn lasts nobody else may read from the connection, so that only exchanges that have nothing more to read are served in it.
type stay struct {
	turn   func(fd uintptr) (over bool) // conn.turn, made once
	asleep atomic.Int32
	ended  bool // the connection is over
	parsed bool // a head was read that next has not returned yet
}

// States of asleep.
const (
	awake  int32 = iota
	dozing       // it waits, and has not looked whether the connection has ended
	roused       // the watch has ended such a wait, by a deadline
)

// remain serves more requests. Without ok the connection is over; otherwise next goes on.
func (c *conn) remain() (ok bool) {
	if c.wire.tls != nil || len(c.wire.bytes()) > 0 {
		return true
	}
	if c.turn == nil {
		c.turn = c.serveTurn
	}
	c.alarm.set(moment(), c.s.cfg.IdleTimeout)
	err := c.wire.raw.Read(c.turn)
	if c.asleep.Load() == roused {
		c.calm()
		return c.alarm.clear()
	}
	return err == nil && !c.ended
}

// serveTurn is called by the poller at first, and when something may have come.
func (c *conn) serveTurn(fd uintptr) (over bool) {
	if c.asleep.Load() != awake && !c.asleep.CompareAndSwap(dozing, awake) {
		return true
	}
	w := &c.wire
	for {
		if w.n = leastRead; !w.read(fd) {
			return false
		}
		if w.err != nil || w.n == 0 {
			c.ended = true
			return true
		}
		if !c.whole() {
			return true
		}
		empty := len(w.buf) < cap(w.buf)
		if c.ended = !c.exchange(); c.ended {
			return true
		}
		c.alarm.set(moment(), c.s.cfg.IdleTimeout)
		if !empty {
			continue
		}
		c.asleep.Store(dozing)
		if !c.caller.shut.Load() {
			return false
		}
		if !c.asleep.CompareAndSwap(dozing, awake) {
			return true
		}
	}
}

// whole says whether what was read is one plain request with all of its body, and nothing behind it. Its head was read then. Otherwise
// next goes on, unless the connection has ended.
func (c *conn) whole() bool {
	w, r := &c.wire, &c.request
	n, verdict := 0, http1.Incomplete
	if c.blank == 0 || w.bytes()[0] != '\r' {
		n, verdict = r.Parse(w.bytes(), c.s.limits)
	}
	if c.ended = !c.alarm.clear(); c.ended || verdict != http1.Plain {
		return false
	}
	w.consume(n)
	if c.ended = !c.state.CompareAndSwap(waiting, serving); c.ended {
		return false
	}
	length := max(r.Length, 0)
	if missing := length - int64(len(w.bytes())); missing > 0 && length <= mostArrived {
		w.more(int(missing))
	}
	c.parsed = length != int64(len(w.bytes()))
	return !c.parsed
}

// rouse ends a wait that does not know of the end of the connection.
func (c *conn) rouse() {
	c.giving.Lock()
	defer c.giving.Unlock()
	if c.asleep.CompareAndSwap(dozing, roused) {
		c.wire.interrupt()
	}
}

// calm takes back what rouse did to the connection. All that is still to be read of it is there.
func (c *conn) calm() {
	c.giving.Lock()
	defer c.giving.Unlock()
	c.asleep.Store(awake)
	_ = c.socket.SetReadDeadline(time.Time{}) // fails only on a connection that is gone
}
