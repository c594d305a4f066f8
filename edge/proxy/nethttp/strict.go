package nethttp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync/atomic"
)

// errFraming makes net/http answer 400.
var errFraming = errors.New("the head of the request can be read in two ways")

// strictListener refuses requests about whose end two servers might not agree, which is what request
// smuggling is made of. net/http takes a line that ends in LF alone, a header that is folded over two
// lines, and chunks beside a length; so do some proxies and not others. It also limits how many header
// lines there are, each of which costs memory however short it is.
type strictListener struct {
	net.Listener
	lines int // of headers; 0 for no limit
}

func (l strictListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &strictConn{Conn: conn, framing: framing{most: l.lines}}, nil
}

// strictConn follows the framing of what it reads. It changes nothing; where it and the server
// disagreed about a body, a good request would be refused and none let through.
type strictConn struct {
	net.Conn
	framing framing
	err     error // returned when the bytes before it were taken
	excess  bool  // too many header lines
	broken  atomic.Bool
}

func (c *strictConn) Read(p []byte) (int, error) {
	switch {
	case c.excess:
		// Too many lines are made too many bytes, for which the server has its own answer, 431.
		for i := range p {
			p[i] = 'x'
		}
		return len(p), nil
	case c.err != nil:
		return 0, c.err
	}
	n, err := c.Conn.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.broken.Store(true) // by a reset: the caller has not just closed its sending side
	}
	good := c.framing.follow(p[:n])
	if good == n {
		return n, err
	}
	if c.excess = c.framing.tooMany(); !c.excess {
		c.err = errFraming
	}
	if good == 0 {
		return c.Read(p)
	}
	return good, nil
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
	line   []byte  // beginning of the current line
	tail   [9]byte // end of the current line
	length int     // of the line so far
	last   byte    // of the line so far
	first  bool    // the request line was read
	old    bool    // HTTP/1.0, which has no chunks
	skip   uint64  // bytes of body, or of chunk and its CR LF, to go
	size   uint64  // Content-Length
	sized  bool    // Content-Length was there
	chunks bool    // Transfer-Encoding was there
	lines  int     // of headers so far
	most   int     // of them, 0 for no limit
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
		if !f.endLine() {
			return i + end
		}
		i += end + 1
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
	if n := len(p); n < len(f.tail) {
		copy(f.tail[:], f.tail[n:])
		copy(f.tail[len(f.tail)-n:], p)
	} else {
		copy(f.tail[:], p[n-len(f.tail):])
	}
}

// next follows the end of a body or of a chunk.
func (f *framing) next() {
	if f.part == inChunk {
		f.part = inChunkSize
		return
	}
	f.reset()
}

func (f *framing) reset() { *f = framing{line: f.line[:0], most: f.most} }

// tooMany says whether there are more header lines than there may be.
func (f *framing) tooMany() bool { return f.most > 0 && f.lines > f.most }

// endLine takes the line that has just ended, and says whether it is one that everybody reads alike.
func (f *framing) endLine() (good bool) {
	line, empty := bytes.TrimRight(f.line, "\r"), f.length == 1
	good = true
	switch f.part {
	case inHead:
		switch {
		case empty && !f.first: // between requests
		case empty:
			good = f.endHead()
		case !f.first: // net/http skips a CR before a request that follows a POST
			f.first, good = true, len(line) > 0 && line[0] != '\r'
			f.old = string(f.tail[:]) == "HTTP/1.0\r"
		default:
			good = f.header(line)
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
			return true
		}
		good = !folded(line)
	case inBody, inChunk:
	}
	f.line, f.length, f.last = f.line[:0], 0, 0
	return good
}

// folded says whether a line goes on with the header of the line before.
func folded(line []byte) bool { return len(line) > 0 && (line[0] == ' ' || line[0] == '\t') }

func (f *framing) header(line []byte) (good bool) {
	f.lines++
	if folded(line) || f.tooMany() {
		return false
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case bytes.EqualFold(name, []byte("content-length")):
		// What is no number is refused by the server.
		f.size, _ = strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 63)
		f.sized = true
	case bytes.EqualFold(name, []byte("transfer-encoding")):
		f.chunks = true
	default:
		return true
	}
	return f.length <= kept // else its value may be behind what was looked at
}

func (f *framing) endHead() (good bool) {
	switch {
	case f.chunks && (f.old || f.sized):
		return false
	case f.chunks:
		f.part = inChunkSize
	case f.size > 0:
		f.part, f.skip = inBody, f.size
	default:
		f.reset()
	}
	return true
}
