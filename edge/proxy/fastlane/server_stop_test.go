package fastlane

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/proxy/nethttp"
	"tollgate/internal/testenv"
)

// Guarantee: a stop closes what only waits, lets what runs end on either lane, tells its callers that the connection ends, and
// returns when all of it is over.
func TestShutdown(t *testing.T) {
	t.Parallel()
	began, release := make(chan struct{}, 2), make(chan struct{})
	e := serveFast(t, handle(func(ctx context.Context, x *proxy.Exchange) {
		if x.Target == "/wait" {
			began <- struct{}{}
			<-release
		}
		echo(ctx, x)
	}))
	idle, running, handed := e.dial(), e.dial(), e.dial()
	idle.Send(plainGet)
	idle.Answer("GET")
	running.Send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
	handed.Send("POST /wait HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
	clienttest.Receive(t, began, "exchange")
	clienttest.Receive(t, began, "exchange")
	done := make(chan error, 1)
	go func() { done <- e.stop(context.Background()) }()
	if rest := idle.Rest(); rest != "" {
		t.Errorf("an idle connection got %q", rest)
	}
	if _, err := net.Dial("tcp", e.addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection: %v", err)
	}
	select {
	case err := <-done:
		t.Errorf("it returned before what runs had ended: %v", err)
	default:
	}
	close(release)
	for _, p := range []*peer{running, handed} {
		if res, body := p.Answer("GET"); !strings.Contains(body, "/wait") || !res.Close {
			t.Errorf("got %q, the last one: %v", body, res.Close)
		}
	}
	if err := clienttest.Receive(t, done, "end of the server"); err != nil {
		t.Error(err)
	}
}

// Guarantee: what runs when the time is over is cut off, whatever it waits for, and the stop waits until it has ended.
func TestCutOff(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var causes []error
	began := make(chan struct{}, 10)
	e := serveFast(t, handle(func(ctx context.Context, x *proxy.Exchange) {
		began <- struct{}{}
		switch x.Target {
		case "/body":
			_, _ = io.ReadAll(x.Body)
		case "/answer":
			x.Out.Begin(200, nil, -1)
			for ctx.Err() == nil {
				if _, err := x.Out.Write(make([]byte, 1<<20)); err != nil {
					break
				}
			}
		}
		<-ctx.Done()
		mu.Lock()
		defer mu.Unlock()
		causes = append(causes, context.Cause(ctx))
	}))
	sent := []string{
		"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n", "GET /answer HTTP/1.1\r\nHost: h\r\n\r\n", "POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\na",
		"POST /wait HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
	}
	e.dial() // one that says nothing
	for _, text := range sent {
		e.dial().Send(text)
		clienttest.Receive(t, began, "exchange")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the stop says %v", err)
	}
	if len(causes) != len(sent) {
		t.Errorf("%d exchanges have ended, want %d", len(causes), len(sent))
	}
	for _, cause := range causes {
		if !errors.Is(cause, proxy.ErrCutOff) {
			t.Errorf("one ended with %v", cause)
		}
	}
}

// Guarantee: a server that was stopped before it began accepts nothing.
func TestStoppedBefore(t *testing.T) {
	t.Parallel()
	cfg := nethttp.DefaultServerConfig()
	s := NewServer(cfg, handle(echo), nethttp.NewServer(cfg, handle(echo), testenv.Logger(t)), testenv.Logger(t))
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(l); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is open: %v", err)
	}
}

// failing is a listener that cannot accept for a while, and then not at all.
type failing struct {
	net.Listener
	errors chan error
}

func (f failing) Accept() (net.Conn, error) {
	if err, ok := <-f.errors; ok {
		return nil, err
	}
	return f.Listener.Accept()
}

// Guarantee: want of file descriptors ends no server, and what cannot pass does.
func TestAcceptErrors(t *testing.T) {
	t.Parallel()
	cfg := nethttp.DefaultServerConfig()
	s := NewServer(cfg, handle(echo), nethttp.NewServer(cfg, handle(echo), testenv.Logger(t)), testenv.Logger(t))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := failing{l, make(chan error, 3)}
	f.errors <- &net.OpError{Op: "accept", Err: syscall.EMFILE}
	f.errors <- &net.OpError{Op: "accept", Err: syscall.ENFILE}
	f.errors <- &net.OpError{Op: "accept", Err: syscall.EINVAL}
	if err := s.Serve(f); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("it ended with %v", err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	l.Close()
}

// Guarantee: a connection that waits, for a request or in the middle of an answer, holds no buffer, over TLS neither.
func TestWaitsWithoutBuffers(t *testing.T) {
	t.Parallel()
	secure, client := overTLS(t)
	h := handle(func(_ context.Context, x *proxy.Exchange) {
		out, ok := x.Out.(*responder)
		if !ok {
			t.Error("no responder")
			return
		}
		w := &out.c.wire
		x.Out.Begin(200, nil, -1)
		_, _ = io.WriteString(x.Out, "data: 1\n\n")
		if out.buf == nil {
			t.Error("what waits to be sent is nowhere")
		}
		if err := x.Out.Flush(); err != nil {
			t.Error(err)
		}
		if out.buf != nil || w.buf != nil {
			t.Error("a silent stream holds a buffer")
		}
		below := w
		if w.under != nil {
			below = &w.under.in
			w.under.now = true
			if _, err := w.tls.Read(make([]byte, 1)); !errors.Is(err, errNothingYet) {
				t.Errorf("TLS waits: %v", err)
			}
			w.under.now = false
		}
		// This is what the poller calls while there is nothing to read.
		below.n = leastRead
		if err := below.raw.Control(func(fd uintptr) {
			if below.read(fd) {
				t.Error("there is something to read")
			}
		}); err != nil {
			t.Error(err)
		}
		if below.buf != nil || w.buf != nil {
			t.Error("a connection that waits holds a buffer")
		}
	})
	plain, sealed := serveFast(t, h), serveFast(t, h, secure)
	for _, p := range []*peer{plain.dial(), sealed.dialTLS(client)} {
		for range 2 {
			p.Send(plainGet)
			if _, body := p.Answer("GET"); body != "data: 1\n\n" {
				t.Errorf("got %q", body)
			}
		}
	}
}
