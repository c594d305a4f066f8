package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync/atomic"
)

// errBareLF makes net/http answer 400.
var errBareLF = errors.New("a line of the request's head does not end in CR LF")

// strictListener refuses requests in whose heads a line ends in LF alone. net/http takes such lines,
// and so do some proxies and not others, which is what request smuggling is made of.
type strictListener struct{ net.Listener }

func (l strictListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &strictConn{Conn: conn}, nil
}

// strictConn follows the framing of what it reads. It changes nothing; where it and the server
// disagreed about a body, a good request would be refused and none let through.
type strictConn struct {
	net.Conn
	framing framing
	err     error // returned when the bytes before it were taken
	broken  atomic.Bool
}

func (c *strictConn) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.Conn.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.broken.Store(true) // by a reset: the caller has not just closed its sending side
	}
	if good := c.framing.follow(p[:n]); good < n {
		c.err = errBareLF
		if good == 0 {
			return 0, c.err
		}
		return good, nil
	}
	return n, err
}

// CloseWrite lets the server end its side first when the caller is still sending.
func (c *strictConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// framing is where in a request the next byte stands. The zero value is before one.
type framing struct {
	part   part
	line   []byte // beginning of the current line
	length int    // of the line so far
	last   byte   // of the line so far
	first  bool   // the request line was read
	old    bool   // HTTP/1.0: no chunks
	skip   uint64 // bytes of body, or of chunk and its CR LF, to go
	size   uint64 // Content-Length
	chunks bool   // Transfer-Encoding was there
}

// part is a part of a request.
type part uint8

const (
	inHead part = iota
	inBody
	inChunkSize
	inChunk
	inTrailer
)

// kept is how much of a line is looked at: enough for the names and values that frame a body.
const kept = 128

// follow goes over the next bytes and says how many of them are good.
func (f *framing) follow(p []byte) (good int) {
	for i := 0; i < len(p); {
		if f.part == inBody || f.part == inChunk {
			n := min(uint64(len(p)-i), f.skip)
			i += int(n)
			if f.skip -= n; f.skip == 0 {
				f.next()
			}
			continue
		}
		end := bytes.IndexByte(p[i:], '\n')
		if end < 0 {
			f.add(p[i:])
			return len(p)
		}
		f.add(p[i : i+end])
		if f.last != '\r' {
			return i + end
		}
		i += end + 1
		f.endLine()
	}
	return len(p)
}

func (f *framing) add(p []byte) {
	if len(p) == 0 {
		return
	}
	if room := kept - len(f.line); room > 0 {
		f.line = append(f.line, p[:min(room, len(p))]...)
	}
	f.length += len(p)
	f.last = p[len(p)-1]
}

// next follows the end of a body or of a chunk.
func (f *framing) next() {
	if f.part == inChunk {
		f.part = inChunkSize
		return
	}
	f.reset()
}

func (f *framing) reset() { *f = framing{line: f.line[:0]} }

// endLine takes the line that has just ended.
func (f *framing) endLine() {
	line, empty := bytes.TrimRight(f.line, "\r"), f.length == 1
	switch f.part {
	case inHead:
		switch {
		case empty && !f.first: // between requests
		case empty:
			f.endHead()
		case !f.first:
			f.first = true
			// The version is at the end of the line, which may be longer than what is kept; then
			// it is taken for HTTP/1.1, as nearly all are.
			f.old = bytes.HasSuffix(line, []byte(" HTTP/1.0"))
		default:
			f.header(line)
		}
	case inChunkSize:
		digits, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(digits)), 16, 62)
		switch {
		case err != nil: // the server refuses it
			f.reset()
		case n == 0:
			f.part = inTrailer
		default:
			f.part, f.skip = inChunk, n+2
		}
	case inTrailer:
		if empty {
			f.reset()
			return
		}
	case inBody, inChunk:
	}
	f.line, f.length, f.last = f.line[:0], 0, 0
}

func (f *framing) header(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case bytes.EqualFold(name, []byte("content-length")):
		// What is no number is refused by the server.
		f.size, _ = strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 63)
	case bytes.EqualFold(name, []byte("transfer-encoding")):
		f.chunks = true
	}
}

func (f *framing) endHead() {
	switch {
	case f.chunks && !f.old:
		f.part = inChunkSize
	case f.size > 0:
		f.part, f.skip = inBody, f.size
	default:
		f.reset()
	}
}
