package feed_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tollgate/internal/feed"
	"tollgate/internal/natsd"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func connect(t *testing.T, s interface{ URL() string }) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(s.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func setup(t *testing.T) jetstream.JetStream {
	t.Helper()
	js := connect(t, testenv.NATS(t))
	create(t, js)
	return js
}

func create(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.*"}}); err != nil {
		t.Fatal(err)
	}
}

func publish(t *testing.T, js jetstream.JetStream, n int) {
	t.Helper()
	for i := range n {
		if _, err := js.Publish(t.Context(), fmt.Sprintf("s.%d", i%3), []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
}

// read takes n messages and checks that they follow each other from first.
func read(t *testing.T, r *feed.Reader, first uint64, n int) {
	t.Helper()
	for got := 0; got < n; {
		msgs, err := r.Next(t.Context(), 100, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range msgs {
			if m.Seq != first+uint64(got) {
				t.Fatalf("message %d, want %d", m.Seq, first+uint64(got))
			}
			got++
		}
	}
}

// Guarantee: every message comes once and in order, however many requests that takes.
func TestReads(t *testing.T) {
	t.Parallel()
	js := setup(t)
	publish(t, js, 300)
	r, err := feed.From(t.Context(), js, "S", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	read(t, r, 1, 300)
	if msgs, err := r.Next(t.Context(), 10, time.Millisecond); len(msgs) != 0 || err != nil {
		t.Errorf("after the last: %v, %v", msgs, err)
	}
	publish(t, js, 10) // into the request that is open already
	read(t, r, 301, 10)

	behind, err := feed.From(t.Context(), js, "S", 200)
	if err != nil {
		t.Fatal(err)
	}
	defer behind.Close()
	read(t, behind, 201, 110)

	newest, err := feed.Newest(t.Context(), js, "S", "s.*")
	if err != nil {
		t.Fatal(err)
	}
	defer newest.Close()
	read(t, newest, 308, 3)
}

// Guarantee: a reader never waits beyond its context.
func TestStops(t *testing.T) {
	t.Parallel()
	r, err := feed.From(t.Context(), setup(t), "S", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if _, err := r.Next(ctx, 1, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Next = %v", err)
	}
}

// Guarantee: whoever reads learns that the stream is gone, and that a server came back that may have
// forgotten the reader, instead of waiting for messages that never come.
func TestNoticesTrouble(t *testing.T) {
	t.Parallel()
	broken := func(t *testing.T, r *feed.Reader) {
		t.Helper()
		testenv.Eventually(t, 10*time.Second, func() error {
			_, err := r.Next(t.Context(), 10, 50*time.Millisecond)
			if err == nil {
				return errors.New("still reading")
			}
			if !errors.Is(err, feed.ErrBroken) {
				return fmt.Errorf("not broken but: %w", err)
			}
			return nil
		})
	}
	t.Run("stream deleted", func(t *testing.T) {
		t.Parallel()
		js := setup(t)
		r, err := feed.From(t.Context(), js, "S", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := js.DeleteStream(t.Context(), "S"); err != nil {
			t.Fatal(err)
		}
		create(t, js)
		broken(t, r)
	})
	t.Run("consumer forgotten", func(t *testing.T) {
		t.Parallel()
		js := setup(t)
		r, err := feed.From(t.Context(), js, "S", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for name := range streamOf(t, js).ConsumerNames(t.Context()).Name() {
			if err := js.DeleteConsumer(t.Context(), "S", name); err != nil {
				t.Fatal(err)
			}
		}
		broken(t, r)
	})
	t.Run("server restarted", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s, err := natsd.Start(natsd.Options{StoreDir: dir, Port: -1})
		if err != nil {
			t.Fatal(err)
		}
		js := connect(t, s)
		create(t, js)
		r, err := feed.From(t.Context(), js, "S", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		s.Stop()
		broken(t, r)
	})
	// As after kill -9: the server that comes back has forgotten the reader, and nothing said so.
	t.Run("server replaced while there is long to wait", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		first, err := natsd.Start(natsd.Options{StoreDir: dir, Port: -1})
		if err != nil {
			t.Fatal(err)
		}
		wire := newWire(t, first.URL())
		js := connect(t, wire)
		create(t, js)
		r, err := feed.Newest(t.Context(), js, "S", "s.*")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		waited := make(chan error, 1)
		go func() {
			_, err := r.Next(t.Context(), 1, time.Hour)
			waited <- err
		}()
		wire.lead("")
		first.Stop()
		second, err := natsd.Start(natsd.Options{StoreDir: dir, Port: -1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(second.Stop)
		wire.lead(second.URL())
		select {
		case err := <-waited:
			if !errors.Is(err, feed.ErrBroken) {
				t.Errorf("Next = %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("still waiting 10 s after a server came back")
		}
	})
	t.Run("no such stream", func(t *testing.T) {
		t.Parallel()
		if _, err := feed.From(t.Context(), setup(t), "T", 0); err == nil {
			t.Error("a stream that does not exist was opened")
		}
	})
}

func streamOf(t *testing.T, js jetstream.JetStream) jetstream.Stream {
	t.Helper()
	s, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wire is an address behind which servers can be exchanged.
type wire struct {
	listener net.Listener

	mu    sync.Mutex // guards the fields below
	to    string     // empty while there is no server
	conns []net.Conn
}

func newWire(t *testing.T, server string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l}
	w.lead(server)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			w.mu.Lock()
			to, err := net.Dial("tcp", w.to)
			if err != nil {
				_ = from.Close()
				w.mu.Unlock()
				continue
			}
			w.conns = append(w.conns, from, to)
			w.mu.Unlock()
			wg.Go(func() { _, _ = io.Copy(to, from) })
			wg.Go(func() { _, _ = io.Copy(from, to) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		w.lead("")
		wg.Wait()
	})
	return w
}

// URL is the address.
func (w *wire) URL() string { return "nats://" + w.listener.Addr().String() }

// lead cuts every connection; new ones go to this server.
func (w *wire) lead(server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to = strings.TrimPrefix(server, "nats://")
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}
