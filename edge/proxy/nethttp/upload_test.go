package nethttp

import (
	"io"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"tollgate/edge/proxy"
	"tollgate/edge/routing"
)

// endless is a body that is made while it is read. It keeps the most memory that was in use meanwhile.
type endless struct {
	left, read int64
	most       atomic.Uint64
}

func (b *endless) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), b.left)
	b.left -= n
	if b.read += n; b.read%(64<<20) < n {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.most.Store(max(b.most.Load(), m.HeapInuse))
	}
	return int(n), nil
}

func (b *endless) Interrupt()               {}
func (b *endless) Drain()                   {}
func (b *endless) Trailers() []proxy.Header { return nil }

// Guarantee: a body of any length passes through memory that does not grow with it.
func TestLongUpload(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	const length, bound = 512 << 20, 128 << 20
	plain := targetAt(t, "http://"+listen(t, func(_ int, c *peer) {
		c.head()
		if n, err := io.CopyN(io.Discard, c.r, length); err != nil {
			t.Errorf("%d bytes came: %v", n, err)
		}
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		c.rest()
	}), routing.Transport{})
	framed2 := listen2(t, func(_ int, f *framed) {
		h := f.head()
		for {
			d, ok := f.next().(*http2.DataFrame)
			if !ok || d.StreamEnded() {
				break
			}
			if n := d.Length; n > 0 {
				_ = f.WriteWindowUpdate(0, n)
				_ = f.WriteWindowUpdate(h.StreamID, n)
			}
		}
		f.ok(h.StreamID)
		f.rest()
	})
	for name, target := range map[string]*routing.Target{"HTTP/1.1": plain, "HTTP/2": framed2} {
		b := &endless{left: length}
		a := attemptAt(target)
		a.Method, a.Body, a.Length = "POST", b, length
		if _, text := do(t, testClient(t), a); text != "ok" {
			t.Errorf("%s: got %q", name, text)
		}
		if b.read != length || b.most.Load() == 0 || b.most.Load() > bound {
			t.Errorf("%s: %d bytes read, %d MB in use", name, b.read, b.most.Load()>>20)
		}
	}
}
