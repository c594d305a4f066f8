package fastlane

import (
	"slices"
	"sync"
	"sync/atomic"
)

// idle is the connections to a target that nobody uses. The one that was used last is used first, so that those that are too many
// grow old.
type idle struct {
	clock *atomic.Int64 // counts the rounds of the sweeper
	most  int

	mu      sync.Mutex
	conns   []*targetConn
	retired bool // nothing is kept any more
}

// add keeps a connection, or ends it.
func (p *idle) add(c *targetConn) {
	c.put = p.clock.Load()
	p.mu.Lock()
	full := p.retired || len(p.conns) >= p.most
	if !full {
		p.conns = append(p.conns, c)
	}
	p.mu.Unlock()
	if full {
		c.destroy()
	}
}

// take returns one on which a request can be sent, or nil. What comes on a connection that nobody uses answers no request, and must
// never be taken for the answer to the next one: one in clear text has still to be looked at, which its talk does on the way.
func (p *idle) take() *targetConn {
	for {
		p.mu.Lock()
		n := len(p.conns) - 1
		if n < 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.conns[n]
		p.conns[n] = nil
		p.conns = p.conns[:n]
		p.mu.Unlock()
		if c.unseen = c.tls == nil; c.unseen || c.look.silent() {
			return c
		}
		c.destroy()
	}
}

// sweepRounds is after how many rounds of the sweeper a connection is too old.
const sweepRounds = 10

// sweep ends the connections that are too old, and those that the target has closed. It looks at one after the other, so that nobody
// who wants one waits for all of them.
func (p *idle) sweep(now int64) {
	for i := 0; ; {
		c, over := p.inspect(i, now)
		switch {
		case c == nil:
			return
		case over:
			c.destroy()
		default:
			i++
		}
	}
}

// inspect looks at a connection, which is kept no longer if it is over; nil behind the last one.
func (p *idle) inspect(i int, now int64) (c *targetConn, over bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i >= len(p.conns) {
		return nil, false
	}
	c = p.conns[i]
	if over = now-c.put >= sweepRounds || !c.look.silent(); over {
		p.conns = slices.Delete(p.conns, i, i+1)
	}
	return c, over
}

// retire ends all that are idle, and those that come back.
func (p *idle) retire() {
	p.mu.Lock()
	p.retired = true
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()
	for _, c := range conns {
		c.destroy()
	}
}
