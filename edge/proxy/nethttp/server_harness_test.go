package nethttp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/internal/testenv"
)

// handle is a Handler that tests write as a function.
type handle func(ctx context.Context, x *proxy.Exchange)

func (h handle) Serve(ctx context.Context, x *proxy.Exchange) { h(ctx, x) }
func (handle) Stop()                                          {}

// engine is a server under test.
type engine struct {
	t      *testing.T
	server *Server
	addr   string
}

func serve(t *testing.T, h handle, change ...func(*ServerConfig)) *engine {
	t.Helper()
	cfg := DefaultServerConfig()
	for _, f := range change {
		f(&cfg)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{t, NewServer(cfg, h, testenv.Logger(t)), l.Addr().String()}
	done := make(chan error, 1)
	go func() { done <- e.server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // whatever a test leaves open is cut off
		_ = e.server.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return e
}

// rawCaller is one raw connection of a caller.
type rawCaller struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (e *engine) dial() *rawCaller {
	e.t.Helper()
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	return newPeer(e.t, conn)
}

func newPeer(t *testing.T, conn net.Conn) *rawCaller {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * clienttest.Patience)); err != nil {
		t.Fatal(err)
	}
	return &rawCaller{t, conn, bufio.NewReader(conn)}
}

func (e *engine) dialTLS(cfg *tls.Config) *rawCaller {
	e.t.Helper()
	conn, err := tls.Dial("tcp", e.addr, cfg)
	if err != nil {
		e.t.Fatal(err)
	}
	return newPeer(e.t, conn)
}

func (p *rawCaller) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.Conn, text); err != nil {
		p.t.Errorf("send: %v", err)
	}
}

// rest is all that comes until the end.
func (p *rawCaller) rest() string {
	p.t.Helper()
	text, err := io.ReadAll(p.r)
	if err != nil {
		p.t.Errorf("after %q: %v", text, err)
	}
	return string(text)
}

// expect reads exactly text.
func (p *rawCaller) expect(text string) {
	p.t.Helper()
	buf := make([]byte, len(text))
	if n, err := io.ReadFull(p.r, buf); err != nil || string(buf) != text {
		p.t.Fatalf("got %q, %v, want %q", buf[:n], err, text)
	}
}

// answer reads one whole answer to a method.
func (p *rawCaller) answer(method string) (*http.Response, string) {
	p.t.Helper()
	res, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Errorf("after %q: %v", body, err)
	}
	return res, string(body)
}

// wantFault checks an error of the catalogue, which comes without an exchange.
func wantFault(t *testing.T, status int, h http.Header, body string, wantStatus int, code string) {
	t.Helper()
	var got struct {
		Error struct {
			Code, Message, Hint string
			RequestID           string `json:"request_id"`
		}
	}
	err := json.Unmarshal([]byte(body), &got)
	switch e := got.Error; {
	case err != nil || e.Message == "" || e.Hint == "" || e.RequestID == "":
		t.Errorf("body %q: %v", body, err)
	case status != wantStatus || e.Code != code || h.Get("Content-Type") != "application/json" || h.Get(proxy.HeaderRequestID) != e.RequestID:
		t.Errorf("got %d %v %q, want %d %s", status, h, body, wantStatus, code)
	}
}

// stream2 is a connection of HTTP/2 on which frames are written and read one by one.
type stream2 struct {
	*rawCaller
	f    *http2.Framer
	head bytes.Buffer
	enc  *hpack.Encoder
}

// open2 makes a connection of HTTP/2 on conn, whose preface and settings are written as given.
func open2(p *rawCaller, write func(all []byte)) *stream2 {
	p.t.Helper()
	s := &stream2{rawCaller: p}
	var first bytes.Buffer
	first.WriteString(http2.ClientPreface)
	if err := http2.NewFramer(&first, nil).WriteSettings(); err != nil {
		p.t.Fatal(err)
	}
	write(first.Bytes())
	s.f = http2.NewFramer(p.Conn, p.r)
	s.f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	s.enc = hpack.NewEncoder(&s.head)
	return s
}

func (e *engine) dial2() *stream2 {
	e.t.Helper()
	p := e.dial()
	return open2(p, func(all []byte) { p.send(string(all)) })
}

// request sends the head of a request; fields are alternating names and values.
func (s *stream2) request(id uint32, method, path string, end bool, fields ...string) {
	s.t.Helper()
	s.headers(id, end, append([]string{":method", method, ":scheme", "http", ":authority", "h", ":path", path}, fields...)...)
}

func (s *stream2) headers(id uint32, end bool, fields ...string) {
	s.t.Helper()
	s.head.Reset()
	for i := 0; i < len(fields); i += 2 {
		if err := s.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			s.t.Fatal(err)
		}
	}
	block, first := s.head.Bytes(), true
	for {
		n := min(len(block), 16<<10)
		var err error
		if first {
			err = s.f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block[:n], EndStream: end, EndHeaders: n == len(block)})
		} else {
			err = s.f.WriteContinuation(id, n == len(block), block[:n])
		}
		if err != nil {
			s.t.Fatal(err)
		}
		if block, first = block[n:], false; len(block) == 0 {
			return
		}
	}
}

// next is the next frame that is not about the connection's state, in words; a head's status and
// names are in it, and data.
func (s *stream2) next() string {
	s.t.Helper()
	for {
		f, err := s.f.ReadFrame()
		if err != nil {
			return "error: " + err.Error()
		}
		end := ""
		if f.Header().Flags.Has(http2.FlagDataEndStream) { // the same bit for HEADERS
			end = " end"
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			var b strings.Builder
			fmt.Fprintf(&b, "head %d", f.StreamID)
			for _, h := range f.Fields {
				b.WriteString(" " + h.Name + "=" + h.Value)
			}
			return b.String() + end
		case *http2.DataFrame:
			if len(f.Data()) == 0 && end == "" {
				continue
			}
			return fmt.Sprintf("data %d %q%s", f.StreamID, f.Data(), end)
		case *http2.RSTStreamFrame:
			return fmt.Sprintf("reset %d %s", f.StreamID, f.ErrCode)
		case *http2.GoAwayFrame:
			return fmt.Sprintf("goaway %s", f.ErrCode)
		}
	}
}

func (s *stream2) want(frames ...string) {
	s.t.Helper()
	for _, want := range frames {
		if got := s.next(); got != want {
			s.t.Fatalf("got frame %q, want %q", got, want)
		}
	}
}

// reply answers with a text.
func reply(x *proxy.Exchange, text string, headers ...proxy.Header) {
	x.Out.Begin(200, headers, int64(len(text)))
	_, _ = io.WriteString(x.Out, text)
}
