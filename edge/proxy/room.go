package proxy

import "sync"

// How much is read at once: a little while something is waited for, so that thousands of silent streams
// and tunnels hold no more than that, and more while much comes.
const (
	littleRoom = 4 << 10
	muchRoom   = 32 << 10
)

var (
	littleRooms = sync.Pool{New: func() any { b := make([]byte, littleRoom); return &b }}
	muchRooms   = sync.Pool{New: func() any { b := make([]byte, muchRoom); return &b }}
)

// room is what pieces are read into. It is made by roomFor and ended with leave.
type room struct{ buf *[]byte }

// roomFor begins with what suits n bytes; -1 is for those that nobody knows.
func roomFor(n int64) room {
	if n > littleRoom {
		return room{muchRooms.Get().(*[]byte)} //nolint:forcetypeassert // the pool holds nothing else
	}
	return room{littleRooms.Get().(*[]byte)} //nolint:forcetypeassert // the same
}

// after makes it suit what comes next, by how much came at last. What was read is gone then.
func (r *room) after(n int) {
	if much := len(*r.buf) == muchRoom; much == (n >= littleRoom) {
		return
	}
	r.leave()
	*r = roomFor(int64(n) + 1)
}

// leave gives it back.
func (r *room) leave() {
	if len(*r.buf) == muchRoom {
		muchRooms.Put(r.buf)
	} else {
		littleRooms.Put(r.buf)
	}
}
