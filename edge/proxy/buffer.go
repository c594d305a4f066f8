package proxy

import "sync"

// How much is read at once: a little while something is waited for, so that thousands of silent streams
// and tunnels hold no more than that, and more while much comes.
const (
	littleBuffer = 4 << 10
	muchBuffer   = 32 << 10
)

var (
	littleBuffers = sync.Pool{New: func() any { b := make([]byte, littleBuffer); return &b }}
	muchBuffers   = sync.Pool{New: func() any { b := make([]byte, muchBuffer); return &b }}
)

// buffer is what pieces are read into. It is made by bufferFor and ended with leave.
type buffer struct{ buf *[]byte }

// bufferFor begins with what suits n bytes; -1 is for those that nobody knows.
func bufferFor(n int64) buffer {
	if n > littleBuffer {
		return buffer{muchBuffers.Get().(*[]byte)} //nolint:forcetypeassert // the pool holds nothing else
	}
	return buffer{littleBuffers.Get().(*[]byte)} //nolint:forcetypeassert // the same
}

// after makes it suit what comes next, by how much came at last. What was read is gone then.
func (r *buffer) after(n int) {
	if much := len(*r.buf) == muchBuffer; much == (n >= littleBuffer) {
		return
	}
	r.leave()
	*r = bufferFor(int64(n) + 1)
}

// leave gives it back.
func (r *buffer) leave() {
	if len(*r.buf) == muchBuffer {
		muchBuffers.Put(r.buf)
	} else {
		littleBuffers.Put(r.buf)
	}
}
