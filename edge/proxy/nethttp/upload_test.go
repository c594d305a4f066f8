package nethttp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
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

// arrived is a body that has come.
type arrived struct {
	*body

	text []byte
	err  error
}

func arrivedBody(text string) *arrived { return &arrived{bodyOf(text), []byte(text), nil} }

func (b *arrived) All() ([]byte, error) { return b.text, b.err }

// Guarantee: a body that has come leaves in one piece with the headers, as it came.
func TestArrivedBody(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	target := targetAt(t, "http://"+listen(t, func(_ int, c *peer) {
		buf := make([]byte, 64<<10)
		n, err := c.Read(buf)
		if err != nil {
			t.Error(err)
		}
		got <- string(buf[:n])
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		c.rest()
	}), routing.Transport{})
	sent := strings.Repeat("x", 3000)
	a := attemptAt(target)
	a.Method, a.Body, a.Length = "POST", arrivedBody(sent), int64(len(sent))
	if _, text := do(t, testClient(t), a); text != "ok" {
		t.Errorf("answer %q", text)
	}
	head, body, _ := strings.Cut(receive(t, got, "the request"), "\r\n\r\n")
	if body != sent || !strings.Contains(head, "\r\nContent-Length: 3000") {
		t.Errorf("%q with %d bytes of body", head, len(body))
	}
}

// Guarantee: nothing of a request leaves whose body cannot be had.
func TestArrivedBodyFails(t *testing.T) {
	t.Parallel()
	a := attemptAt(targetAt(t, "http://"+listen(t, func(int, *peer) { t.Error("connected") }), routing.Transport{}))
	a.Method, a.Body, a.Length = "POST", &arrived{bodyOf("abc"), nil, errors.New("cannot be paid")}, 3
	want(t, fail(t, testClient(t), a), proxy.FailBody, false, "could not be read")
}

// Guarantee: a body counts as arrived only if all of it is there; else it is read as it comes.
func TestArrived(t *testing.T) {
	t.Parallel()
	type seen struct {
		arrived bool
		body    string
	}
	began, got := make(chan bool, 1), make(chan seen, 1)
	p := serve(t, func(_ context.Context, x *proxy.Exchange) {
		began <- x.Arrived
		var all bytes.Buffer
		_, _ = all.ReadFrom(x.Body)
		got <- seen{x.Arrived, all.String()}
		reply(x, "ok")
	}).dial()
	const head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n"
	for name, tc := range map[string]struct {
		first, then string
		want        bool
	}{
		"whole":        {head + "abc", "", true},
		"in pieces":    {head + "a", "bc", false},
		"head alone":   {head, "abc", false},
		"chunked, cut": {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "0\r\n\r\n", false},
	} {
		p.send(tc.first)
		if early := receive(t, began, "the request"); early != tc.want {
			t.Errorf("%s: arrived is %v", name, early)
		}
		p.send(tc.then)
		if s := receive(t, got, "the body"); s != (seen{tc.want, "abc"}) {
			t.Errorf("%s: got %+v", name, s)
		}
		if _, text := p.answer("POST"); text != "ok" {
			t.Errorf("%s: answer %q", name, text)
		}
	}
}
