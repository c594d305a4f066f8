package vendor

import (
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"
)

// JSON answers with a body: a string is sent as it is, anything else encoded.
func JSON(status int, body any) http.HandlerFunc {
	text, ok := body.(string)
	if !ok {
		raw, err := json.Marshal(body)
		if err != nil {
			panic(err) // a mistake in the test
		}
		text = string(raw)
	}
	return Text(status, text, "Content-Type", "application/json")
}

// Text answers with a body and headers given as name, value, name, value.
func Text(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Add(headers[i], headers[i+1])
		}
		if w.Header().Get("Content-Length") == "" {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // the client may be gone
	}
}

// Status answers without a body.
func Status(status int) http.HandlerFunc { return Text(status, "") }

// Drop resets the connection without an answer.
func Drop() http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { reset(w) }
}

// Truncate announces size bytes, sends only body and resets the connection.
func Truncate(status, size int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // the client may be gone
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// reset breaks the connection with RST where it can be taken over (HTTP/1.1),
// and ends the stream with an error elsewhere.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	raw := conn
	if t, ok := conn.(*tapConn); ok {
		raw = t.Conn
	}
	if t, ok := raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // closing then sends RST
	}
	_ = conn.Close()
}

// Hold is an answer that waits. Make it with Stall or SSE.
type Hold struct {
	opened, gone, release chan struct{}
	opening, going        sync.Once
	releasing             sync.Once
}

func newHold() *Hold {
	return &Hold{opened: make(chan struct{}), gone: make(chan struct{}), release: make(chan struct{})}
}

// Opened is closed when the first request for this answer has come.
func (h *Hold) Opened() <-chan struct{} { return h.opened }

// Gone is closed when a client has gone away before its answer ended.
func (h *Hold) Gone() <-chan struct{} { return h.gone }

// AwaitOpened waits for the first request.
func (h *Hold) AwaitOpened(tb testing.TB) { tb.Helper(); await(tb, h.opened, "no request came") }

// AwaitGone waits for the client to go away.
func (h *Hold) AwaitGone(tb testing.TB) {
	tb.Helper()
	await(tb, h.gone, "the client's connection is still there")
}

func await(tb testing.TB, c <-chan struct{}, otherwise string) {
	tb.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-c:
	case <-timeout.C:
		tb.Fatalf("vendor: %s after %s", otherwise, patience)
	}
}

func (h *Hold) open() { h.opening.Do(func() { close(h.opened) }) }
func (h *Hold) went() { h.going.Do(func() { close(h.gone) }) }

// Release lets the answer end. It may be called again.
func (h *Hold) Release() { h.releasing.Do(func() { close(h.release) }) }

// Stall accepts the request and sends nothing until Release, after which then
// answers it. It may serve several requests at once.
func Stall(then http.HandlerFunc) (*Hold, http.HandlerFunc) {
	h := newHold()
	return h, func(w http.ResponseWriter, r *http.Request) {
		h.open()
		select {
		case <-h.release:
			then(w, r)
		case <-r.Context().Done():
			h.went()
		case <-closing(r):
			panic(http.ErrAbortHandler)
		}
	}
}

// Stream is one event stream driven by the test step by step.
type Stream struct {
	*Hold
	steps chan step
}

type step struct {
	text  string
	abort bool
	end   bool
	done  chan error
}

// SSE answers one request with a text/event-stream whose headers go out at
// once and whose content comes from Send. headers are name, value pairs.
func SSE(headers ...string) (*Stream, http.HandlerFunc) {
	s := &Stream{Hold: newHold(), steps: make(chan step)}
	return s, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(http.StatusOK)
		flush := http.NewResponseController(w).Flush
		if flush() != nil {
			s.open()
			s.went()
			return
		}
		s.open()
		for {
			select {
			case st := <-s.steps:
				switch {
				case st.abort:
					close(st.done)
					panic(http.ErrAbortHandler)
				case st.end:
					close(st.done)
					return
				}
				_, err := w.Write([]byte(st.text))
				if err == nil {
					err = flush()
				}
				st.done <- err
			case <-s.release:
				return
			case <-r.Context().Done():
				s.went()
				return
			case <-closing(r):
				panic(http.ErrAbortHandler)
			}
		}
	}
}

// Send writes text as it is, in one piece, and returns when it is on its way.
// It fails the test if the client has gone away.
func (s *Stream) Send(tb testing.TB, text string) {
	tb.Helper()
	if !s.do(tb, step{text: text}) {
		tb.Fatalf("vendor: cannot send %q: the client is gone", text)
	}
}

// Event sends one event with this data.
func (s *Stream) Event(tb testing.TB, data string) {
	tb.Helper()
	s.Send(tb, "data: "+data+"\n\n")
}

// TrySend is Send for a client that may be gone; it says whether it is there.
func (s *Stream) TrySend(tb testing.TB, text string) bool {
	tb.Helper()
	return s.do(tb, step{text: text})
}

// End finishes the response properly.
func (s *Stream) End(tb testing.TB) { tb.Helper(); s.do(tb, step{end: true}) }

// Abort breaks the connection in the middle of the response.
func (s *Stream) Abort(tb testing.TB) { tb.Helper(); s.do(tb, step{abort: true}) }

func (s *Stream) do(tb testing.TB, st step) bool {
	tb.Helper()
	st.done = make(chan error, 1)
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case s.steps <- st:
		return <-st.done == nil
	case <-s.gone:
		return false
	case <-timeout.C:
		tb.Fatalf("vendor: nobody reads this stream after %s", patience)
		return false
	}
}
