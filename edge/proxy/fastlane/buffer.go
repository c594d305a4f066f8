package fastlane

import "sync"

// Sizes of buffers: one that holds most heads and short messages whole, one for when much comes, and one for when it is known that there
// is even more: each piece of an answer costs two calls of the system, and wakes its caller.
const (
	littleBuffer = 4 << 10
	muchBuffer   = 32 << 10
	largeBuffer  = 128 << 10
)

var (
	littleBuffers = sync.Pool{New: func() any { return new([littleBuffer]byte) }}
	largeBuffers  = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
	muchBuffers   = sync.Pool{New: func() any { return new([muchBuffer]byte) }}
)

// takeBuffer returns an empty buffer for at least n bytes.
func takeBuffer(n int) []byte {
	switch {
	case n <= littleBuffer:
		return littleBuffers.Get().(*[littleBuffer]byte)[:0] //nolint:forcetypeassert // the pool holds nothing else
	case n <= muchBuffer:
		return muchBuffers.Get().(*[muchBuffer]byte)[:0] //nolint:forcetypeassert // the same
	case n <= largeBuffer:
		return largeBuffers.Get().(*[largeBuffer]byte)[:0] //nolint:forcetypeassert // the same
	default:
		return make([]byte, 0, n)
	}
}

// giveBuffer takes one back that nobody uses any more. b has to begin where takeBuffer's began.
func giveBuffer(b []byte) {
	switch cap(b) {
	case littleBuffer:
		littleBuffers.Put((*[littleBuffer]byte)(b[:littleBuffer]))
	case muchBuffer:
		muchBuffers.Put((*[muchBuffer]byte)(b[:muchBuffer]))
	case largeBuffer:
		largeBuffers.Put((*[largeBuffer]byte)(b[:largeBuffer]))
	}
}
