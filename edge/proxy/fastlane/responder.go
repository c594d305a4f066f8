package fastlane

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/http1"
)

// responder writes the answers of one connection. What is written waits in a buffer until it is flushed, or too much of it; a
// connection on which nothing waits to be sent has no buffer.
type responder struct {
	c *conn

	mu    sync.Mutex // of 1xx answers and the beginning of the final one
	begun bool

	body    *body // nil: the request has none
	head    bool  // the request was a HEAD
	final   bool  // the connection ends with this answer
	bodied  bool  // the answer has a body
	chunked bool
	ended   bool // the end of a chunked body was written
	aborted bool
	status  int
	left    int64 // of a body that is not chunked
	err     error // of writing

	buf   []byte
	parts net.Buffers // parts of one write
	space [3][]byte   // their memory
	last  int64       // moment at which the write deadline was set; 0 for never
}

// begin makes it ready for another answer. close is what the caller wants.
func (o *responder) begin(b *body, head, closes bool) {
	o.begun, o.body, o.head, o.final = false, b, head, closes
	o.bodied, o.chunked, o.ended, o.aborted, o.left, o.status = false, false, false, false, 0, 0
}

// Interim sends a 1xx answer. 100 Continue is not among them: no caller of this lane waits for one.
func (o *responder) Interim(status int, headers []proxy.Header) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.begun || status <= http.StatusSwitchingProtocols {
		return
	}
	o.buf = http1.AppendStatus(o.take(), status)
	for i := range headers {
		switch framing(headers[i].Name) {
		case ofLength, ofEncoding:
		default:
			o.buf = http1.AppendHeader(o.buf, headers[i].Name, headers[i].Value)
		}
	}
	o.buf = append(o.buf, "\r\n"...)
	_ = o.Flush() // the final answer finds out
}

// take is the buffer.
func (o *responder) take() []byte {
	if o.buf == nil {
		o.buf = takeBuffer(littleBuffer)
	}
	return o.buf
}

// framing says whether a header is about how the answer is framed.
func framing(name string) frame {
	switch len(name) {
	case len("Connection"):
		if strings.EqualFold(name, "Connection") {
			return ofConnection
		}
	case len("Content-Type"):
		if strings.EqualFold(name, "Content-Type") {
			return ofType
		}
	case len("Content-Length"):
		if strings.EqualFold(name, "Content-Length") {
			return ofLength
		}
	case len("Transfer-Encoding"):
		if strings.EqualFold(name, "Transfer-Encoding") {
			return ofEncoding
		}
	}
	return ofNothing
}

type frame uint8

const (
	ofNothing frame = iota
	ofConnection
	ofType
	ofLength
	ofEncoding
)

// Begin writes status and headers; they leave with the first flush. The answer is the same as the general lane's, which net/http
// frames, but for the order of the headers.
func (o *responder) Begin(status int, headers []proxy.Header, length int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.begun {
		return
	}
	o.begun, o.status = true, status
	none := status == http.StatusNoContent || status == http.StatusNotModified
	o.bodied = !o.head && !none
	buf := http1.AppendStatus(o.take(), status)
	sized := false
	for i := range headers {
		h := &headers[i]
		switch framing(h.Name) {
		case ofConnection:
			o.final = o.final || strings.EqualFold(h.Value, "close")
			continue
		case ofType:
			if status == http.StatusNotModified {
				continue
			}
		case ofLength:
			n, err := strconv.ParseInt(h.Value, 10, 64)
			if sized || none || err != nil || n < 0 {
				continue
			}
			sized, length = true, n
		case ofEncoding:
			continue
		case ofNothing:
		}
		buf = http1.AppendHeader(buf, h.Name, h.Value)
	}
	switch {
	case none || sized:
	case length >= 0:
		buf = append(buf, "Content-Length: "...)
		buf = append(strconv.AppendInt(buf, length, 10), "\r\n"...)
	case o.bodied:
		o.chunked = true
		buf = append(buf, "Transfer-Encoding: chunked\r\n"...)
	}
	o.left = max(length, 0)
	// What is left of a body must never be read as another request.
	o.final = o.final || o.body != nil && !o.body.complete() || o.c.s.stopping.Load()
	if o.final {
		buf = append(buf, "Connection: close\r\n"...)
	}
	o.buf = append(buf, "\r\n"...)
}

// Room that the line before a chunk takes at most, with the one behind it, and pieces from which on a copy costs more than it saves.
const (
	chunkRoom  = 16 + 2 + 2
	largePiece = littleBuffer
)

// Write sends a piece of the body.
func (o *responder) Write(p []byte) (int, error) {
	switch {
	case o.err != nil:
		return 0, o.err
	case !o.begun:
		return 0, errors.New("the answer has not begun")
	case len(p) == 0 || o.head:
		return len(p), nil
	case !o.bodied:
		return 0, http.ErrBodyNotAllowed
	case !o.chunked && int64(len(p)) > o.left:
		o.final, o.left = true, 0
		return 0, http.ErrContentLength
	}
	if !o.chunked {
		o.left -= int64(len(p))
	}
	if o.take(); cap(o.buf)-len(o.buf) < chunkRoom {
		if err := o.Flush(); err != nil {
			return 0, err
		}
		o.take()
	}
	behind := ""
	if o.chunked {
		o.buf, behind = http1.AppendChunk(o.buf, len(p)), "\r\n"
	}
	if len(p)+len(behind) <= cap(o.buf)-len(o.buf) && len(p) < largePiece {
		o.buf = append(append(o.buf, p...), behind...)
		return len(p), nil
	}
	if o.c.wire.tls != nil {
		return len(p), o.seal(p, behind)
	}
	return len(p), o.gather(p, behind)
}

var newline = []byte("\r\n")

// gather sends what waits and a piece in one write, without a copy of the piece.
func (o *responder) gather(p []byte, behind string) error {
	o.space = [3][]byte{o.buf, p, newline}
	o.parts = o.space[:2+len(behind)/2]
	o.patience()
	_, o.err = o.parts.WriteTo(o.c.wire.conn)
	o.space = [3][]byte{}
	o.drop()
	return o.err
}

// record is how much of TLS is sealed at once: what is written in one piece up to there leaves in one.
const record = 16 << 10

// seal does so for TLS, where a copy costs little beside what is done to it anyway.
func (o *responder) seal(p []byte, behind string) error {
	for o.err == nil {
		if cap(o.buf) < muchBuffer {
			more := append(takeBuffer(muchBuffer), o.buf...)
			giveBuffer(o.buf)
			o.buf = more
		}
		n := min(len(p), max(record-len(o.buf), 0))
		o.buf = append(o.buf, p[:n]...)
		if p = p[n:]; len(p) == 0 {
			o.buf = append(o.buf, behind...)
			return nil
		}
		o.send()
		o.buf = o.buf[:0]
	}
	return o.err
}

// Flush sends what waits.
func (o *responder) Flush() error {
	if len(o.buf) > 0 && o.err == nil {
		o.send()
	}
	o.drop()
	return o.err
}

func (o *responder) send() {
	o.patience()
	o.err = o.c.wire.write(o.buf)
}

// drop gives the buffer back.
func (o *responder) drop() {
	if o.buf != nil {
		giveBuffer(o.buf[:0])
		o.buf = nil
	}
}

// patience gives the caller time to take what is written. A deadline is moved seldom, because each move costs more than most writes.
func (o *responder) patience() {
	timeout := int64(o.c.s.cfg.PeerTimeout)
	if now := moment(); timeout > 0 && (o.last == 0 || now-o.last > timeout/8) {
		o.last = now
		_ = o.c.socket.SetWriteDeadline(time.Now().Add(o.c.s.cfg.PeerTimeout)) // fails only on a connection that is gone
	}
}

// Trailers ends a body of unknown length with what follows it. Where there can be none they are dropped.
func (o *responder) Trailers(headers []proxy.Header) {
	if o.chunked && !o.ended && len(headers) > 0 {
		o.end(headers)
	}
}

func (o *responder) end(trailers []proxy.Header) {
	o.ended = true
	o.buf = http1.AppendEnd(o.take(), trailers)
}

// Switch is for the general lane.
func (o *responder) Switch([]proxy.Header) (proxy.Conn, error) { return nil, errors.ErrUnsupported }

// Abort makes the connection break when the exchange is over, after what was written until now.
func (o *responder) Abort() {
	if o.begun {
		_ = o.Flush() // it is about to be broken anyway
	}
	o.aborted = true
}

// finish sends the rest of the answer, and says whether there can be another one on the connection.
func (o *responder) finish() (more bool) {
	if o.aborted {
		o.drop()
		return false
	}
	if !o.begun {
		o.Begin(http.StatusOK, nil, 0)
	}
	if o.chunked && !o.ended {
		o.end(nil)
	}
	err := o.Flush()
	o.body = nil
	return err == nil && !o.final && (!o.bodied || o.chunked || o.left == 0)
}
