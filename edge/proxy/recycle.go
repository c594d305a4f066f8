package proxy

import (
	"sync"

	"tollgate/edge/limit"
)

// calls is the memory of calls that are over.
var calls = sync.Pool{New: func() any { return new(call) }}

// longestKept is how long the target of a request may be of which the memory is kept for the next one.
const longestKept = 4 << 10

// recycle leaves the memory of the call to another one, unless somebody may still know of it: a goroutine of its own, who made
// its attempt, or a target that it was translated for. Then the collector finds out when nobody does.
func (c *call) recycle() {
	if t := c.newest; c.shared || c.ask != nil || t != nil && (t != &c.first || !t.request.Over) {
		return
	}
	if c.body != nil && (c.kept == nil || c.kept.size == 0) {
		return // it was sent as it came, and who sends it may still wait for the caller after an early answer
	}
	if c.sent.Responder != nil {
		c.x.Out = c.sent.Responder
	}
	t := &c.first
	// Not what they say: it is the caller's, and the engine's.
	clear(c.lines)
	clear(t.lines)
	clear(t.request.Memory.Headers)
	if t.told != nil {
		t.told.Reset()
	}
	clear(c.connected)
	room := c.found.room
	if made := c.found.spellings.Load(); made != nil {
		room = made
	}
	line, lastLine := c.line[:0], c.lastLine
	if cap(line) > longestKept {
		line, lastLine = nil, ""
	}
	place := c.bound.place
	if place != nil {
		*place = limit.Pass{}
	}
	// In place: as a value it would take more stack than all of an exchange.
	kinds, connected, lines, header := c.kinds[:0], c.connected[:0], c.lines[:0], c.header
	attempt, passes, pays, told, answer := t.lines[:0], t.passes, t.pays, t.told, t.request.Memory.Headers[:0]
	*c = call{}
	c.kinds, c.connected, c.line, c.lastLine, c.lines, c.header, c.found.room = kinds, connected, line, lastLine, lines, header, room
	c.bound.place = place
	t.lines, t.passes, t.pays, t.told, t.request.Memory.Headers = attempt, passes, pays, told, answer
	calls.Put(c)
}
