package nethttp

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/edge/proxy"
)

var errInterrupted = errors.New("the exchange is over")

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

// requestBody is a caller's body on a net/http connection.
type requestBody struct {
	r       io.Reader
	request *http.Request // which has the trailers at the end
	out     *responder
	stall   *stall // of a stream; nil for HTTP/1
	control *http.ResponseController
	length  int64 // -1 unknown
	timeout time.Duration
	arrived bool // all of it is there, so that no read waits
	expect  bool // the caller waits for 100 Continue, which the first Read sends

	mu          sync.Mutex // of Read, so that nobody reads when the handler has returned
	last        time.Time  // when the read deadline was set
	seen        int64
	asked       atomic.Bool // Read was called
	interrupted atomic.Bool
	ended       atomic.Bool // to its end, without an error
}

// Read reads on. It fails once the exchange is over.
func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.interrupted.Load():
		return 0, errInterrupted
	case b.ended.Load():
		return 0, io.EOF
	}
	if b.stall != nil {
		return b.readStream(p)
	}
	b.asked.Store(true)
	if now := time.Now(); b.timeout > 0 && !b.arrived && now.Sub(b.last) > b.timeout/8 {
		b.last = now
		_ = b.control.SetReadDeadline(now.Add(b.timeout)) // fails only on a connection that is gone
		if b.interrupted.Load() {                         // its deadline, which is over, was just replaced
			return 0, errInterrupted
		}
	}
	n, err := b.r.Read(p)
	b.seen += int64(n)
	if errors.Is(err, io.EOF) || err == nil && b.seen == b.length {
		b.ended.Store(true)
		if !b.last.IsZero() || b.interrupted.Load() {
			// From here on the server itself reads, to find out when the caller leaves.
			_ = b.control.SetReadDeadline(time.Time{})
		}
	}
	return n, err
}

// readStream is Read for a stream.
func (b *requestBody) readStream(p []byte) (int, error) {
	if !b.asked.Swap(true) {
		if b.out.ask(); b.interrupted.Load() {
			return 0, errInterrupted
		}
	}
	b.stall.begin(b.timeout)
	n, err := b.r.Read(p)
	b.stall.end()
	b.seen += int64(n)
	if errors.Is(err, io.EOF) {
		b.ended.Store(true)
	}
	return n, err
}

// Interrupt ends a Read that waits for the caller, and returns when nobody reads any more.
func (b *requestBody) Interrupt() {
	if b.ended.Load() {
		return
	}
	if !b.interrupted.Swap(true) {
		b.out.show()
		_ = b.control.SetReadDeadline(longAgo) // fails only on a connection that is gone
	}
	b.mu.Lock()
	defer b.mu.Unlock()
}

// awaited says whether the caller still waits to be asked for the body, so that none is on its way. It
// follows the end of the exchange.
func (b *requestBody) awaited() bool { return b.expect && !b.asked.Load() }

// complete says whether all of it was read, so that the next bytes are another request.
func (b *requestBody) complete() bool { return b.ended.Load() && !b.interrupted.Load() }

// How much of a body that did not matter is taken so that the connection can be used again, and for how long, on both lanes.
const (
	DrainBytes = 256 << 10
	DrainFor   = 100 * time.Millisecond
)

// Drain takes a short rest of the body. A stream needs none: the connection can be used in any case.
func (b *requestBody) Drain() {
	if b.stall != nil {
		return
	}
	b.mu.Lock()
	waiting := b.awaited()
	left := b.length - b.seen
	b.last = time.Now() // keeps Read from moving the deadline
	b.mu.Unlock()
	if waiting || b.length > 0 && left > DrainBytes || b.ended.Load() || b.interrupted.Load() {
		return
	}
	if b.control.SetReadDeadline(time.Now().Add(DrainFor)) == nil {
		_, _ = io.CopyN(io.Discard, b, DrainBytes) // if the end does not come, the connection is closed
	}
}

// How much of a body that nobody wants is still taken behind the answer, and for how long, on both lanes. A caller who is sending
// would otherwise see its connection reset and lose the answer that is on its way.
const (
	LingerFor   = 500 * time.Millisecond
	LingerBytes = 4 << 20
)

// linger takes what the caller still sends, after the answer. It follows Interrupt.
func (b *requestBody) linger() {
	if b.control.SetReadDeadline(time.Now().Add(LingerFor)) == nil {
		_, _ = io.CopyN(io.Discard, b.r, LingerBytes) // whatever comes of it, the connection ends
	}
}

func formatLength(n int64) string { return strconv.FormatInt(n, 10) }

// Trailers are what came behind the body.
func (b *requestBody) Trailers() []proxy.Header {
	if !b.ended.Load() || len(b.request.Trailer) == 0 {
		return nil
	}
	return listOf(b.request.Trailer)
}
