package nethttp

import (
	"bytes"
	"io"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// framed is a target's end of a connection in HTTP/2, whose script decides about each frame.
type framed struct {
	*http2.Framer
	t       *testing.T
	block   bytes.Buffer
	encoder *hpack.Encoder
}

// listen2 plays script on each connection that comes and speaks HTTP/2 without asking.
func listen2(t *testing.T, script func(n int, f *framed)) *routing.Target {
	t.Helper()
	addr := clienttest.Listen(t, func(n int, c *clienttest.Peer) {
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(c.R, preface); err != nil || string(preface) != http2.ClientPreface {
			return
		}
		f := &framed{Framer: http2.NewFramer(c.Conn, c.R), t: t}
		f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		f.encoder = hpack.NewEncoder(&f.block)
		if f.WriteSettings() == nil {
			script(n, f)
		}
	})
	return clienttest.TargetAt(t, "http://"+addr, routing.Transport{HTTP: eventv1.TargetHttp_TARGET_HTTP_2})
}

// next is the next frame that says something; nil when the connection has ended.
func (f *framed) next() http2.Frame {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return nil
		}
		switch fr := frame.(type) {
		case *http2.SettingsFrame:
			if !fr.IsAck() {
				err = f.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !fr.IsAck() {
				err = f.WritePing(true, fr.Data)
			}
		case *http2.WindowUpdateFrame:
		default:
			return frame
		}
		if err != nil {
			return nil
		}
	}
}

// head is the next request; nil when the connection has ended.
func (f *framed) head() *http2.MetaHeadersFrame {
	for {
		switch frame := f.next().(type) {
		case nil:
			return nil
		case *http2.MetaHeadersFrame:
			return frame
		}
	}
}

// body reads a request's body to its end.
func (f *framed) body() {
	for {
		if d, ok := f.next().(*http2.DataFrame); !ok || d.StreamEnded() {
			return
		}
	}
}

// rest reads until the other side ends.
func (f *framed) rest() {
	for f.next() != nil {
	}
}

// say sends headers given as pairs; end says whether nothing follows them.
func (f *framed) say(stream uint32, end bool, pairs ...string) {
	f.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		if err := f.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}); err != nil {
			f.t.Error(err)
		}
	}
	left := f.block.Bytes()
	first := left[:min(len(left), 16<<10)]
	left = left[len(first):]
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndStream: end, EndHeaders: len(left) == 0})
	for len(left) > 0 {
		piece := left[:min(len(left), 16<<10)]
		left = left[len(piece):]
		_ = f.WriteContinuation(stream, len(left) == 0, piece)
	}
}

// ok answers with a short body.
func (f *framed) ok(stream uint32) {
	f.say(stream, false, ":status", "200")
	_ = f.WriteData(stream, true, []byte("ok"))
}

// post gives an attempt a body.
func post(a *proxy.Attempt, b *clienttest.Body, length int64) *proxy.Attempt {
	a.Method, a.Body, a.Length = "POST", b, length
	return a
}
