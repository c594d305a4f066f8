package clienttest

import (
	"io"
	"runtime"
	"sync/atomic"
	"testing"

	"tollgate/edge/proxy"
	"tollgate/edge/routing"
)

// What a body of LongUpload has, and the most memory that may be in use meanwhile.
const (
	longUpload = 512 << 20
	longMemory = 128 << 20
)

// Swallowing is a target that takes the body of LongUpload and answers ok.
func Swallowing(t *testing.T) *routing.Target {
	t.Helper()
	return TargetAt(t, "http://"+Listen(t, func(_ int, c *Peer) {
		c.Head()
		if n, err := io.CopyN(io.Discard, c.R, longUpload); err != nil {
			t.Errorf("%d bytes came: %v", n, err)
		}
		c.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		c.Rest()
	}), routing.Transport{})
}

// LongUpload shows that a long body passes through memory that does not grow with it. It measures the memory of the process.
func LongUpload(t *testing.T, c proxy.Upstream, target *routing.Target) {
	t.Helper()
	b := &endless{left: longUpload}
	a := AttemptAt(target)
	a.Method, a.Body, a.Length = "POST", b, longUpload
	if _, text := Do(t, c, a); text != "ok" {
		t.Errorf("got %q", text)
	}
	if b.read != longUpload || b.most.Load() == 0 || b.most.Load() > longMemory {
		t.Errorf("%d bytes read, %d MB in use", b.read, b.most.Load()>>20)
	}
}

// endless is a body that is made while it is read. It keeps the most memory that was in use meanwhile.
type endless struct {
	left, read int64
	most       atomic.Uint64
}

// Read makes more.
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
