package nethttp

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/internal/testenv"
)

// handle is a Handler that tests write as a function.
type handle = clienttest.Handle

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
	e := &engine{t: t, server: NewServer(cfg, h, testenv.Logger(t))}
	e.addr = clienttest.Serve(t, func(l net.Listener) net.Listener { return l }, e.server.Serve, e.server.Shutdown)
	return e
}

func (e *engine) dial() *clienttest.Caller { return e.dialTLS(nil) }

func (e *engine) dialTLS(cfg *tls.Config) *clienttest.Caller {
	e.t.Helper()
	return clienttest.Dial(e.t, e.addr, cfg)
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
	*clienttest.Caller

	t    *testing.T
	f    *http2.Framer
	head bytes.Buffer
	enc  *hpack.Encoder
}

// open2 makes a connection of HTTP/2 on conn, whose preface and settings are written as given.
func open2(t *testing.T, p *clienttest.Caller, write func(all []byte)) *stream2 {
	t.Helper()
	s := &stream2{t: t, Caller: p}
	var first bytes.Buffer
	first.WriteString(http2.ClientPreface)
	if err := http2.NewFramer(&first, nil).WriteSettings(); err != nil {
		t.Fatal(err)
	}
	write(first.Bytes())
	s.f = http2.NewFramer(p.Conn, p.R)
	s.f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	s.enc = hpack.NewEncoder(&s.head)
	return s
}

func (e *engine) dial2() *stream2 {
	e.t.Helper()
	p := e.dial()
	return open2(e.t, p, func(all []byte) { p.Send(string(all)) })
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
