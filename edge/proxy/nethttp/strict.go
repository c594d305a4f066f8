package nethttp

import (
	"bytes"
	"strconv"

	"golang.org/x/net/http/httpguts"
)

// limits are those of the head of a request; 0 for none.
type limits struct{ bytes, lines int }

// framing is where in a request the next byte stands. The zero value is before one.
type framing struct {
	part   part
	line   []byte  // beginning of the current line
	tail   [9]byte // end of the current line
	length int     // of the line so far
	wild   bool    // the line, which is a chunk's size, has a control character in it
	last   byte    // of the line so far
	first  bool    // the request line was read
	old    bool    // HTTP/1.0, which has no chunks
	skip   uint64  // bytes of body, or of chunk and its CR LF, to go
	size   uint64  // Content-Length
	sized  bool    // Content-Length was there
	chunks bool    // Transfer-Encoding was there
	get    bool    // the method is GET
	swap   bool    // the request asks to switch to the one protocol that it can
	head   int     // bytes of the head so far
	lines  int     // of headers so far
	limits limits
	excess bool   // more of them than there may be
	why    string // the last line is refused, unless for excess
}

// part is a part of a request.
type part uint8

const (
	inHead part = iota
	inBody
	inChunkSize
	inChunk
	inTrailer
	inOpaque // behind a request to switch; it is not for this server to read
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
		if f.part == inOpaque {
			return len(p)
		}
		end := bytes.IndexByte(p[i:], '\n')
		if f.part == inHead && !f.fits(p[i:], end) {
			return i
		}
		if end < 0 {
			f.add(p[i:])
			return len(p)
		}
		f.add(p[i : i+end])
		if f.last != '\r' {
			f.why = "a line ends in LF alone"
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
	if f.part == inChunkSize && !f.wild {
		f.wild = controlled(p, f.last == '\r')
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

// controlled says whether a piece of a line has a control character in it that is no tab and not the CR at
// its end. It follows a CR, or not.
func controlled(p []byte, cr bool) bool {
	if cr {
		return true // something follows
	}
	for i, c := range p {
		if (c < ' ' || c == 0x7f) && c != '\t' && (c != '\r' || i != len(p)-1) {
			return true
		}
	}
	return false
}

// next follows the end of a body or of a chunk.
func (f *framing) next() {
	if f.part == inChunk {
		f.part = inChunkSize
		return
	}
	f.reset()
}

func (f *framing) reset() { *f = framing{line: f.line[:0], limits: f.limits} }

// fits counts what of p belongs to the line that ends at end, or does not end in p.
func (f *framing) fits(p []byte, end int) bool {
	if end < 0 {
		end = len(p) - 1
	}
	f.head += end + 1
	f.excess = f.limits.bytes > 0 && f.head > f.limits.bytes
	return !f.excess
}

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
		case !f.first:
			f.first = true
			f.get = bytes.HasPrefix(line, []byte("GET "))
			f.old = string(f.tail[:]) == "HTTP/1.0\r"
			// A CR before it is skipped by net/http where the request before was a POST.
			good = len(line) > 0 && line[0] != '\r' && (f.old || string(f.tail[:]) == "HTTP/1.1\r")
			f.why = "the request line does not end in HTTP/1.0 or HTTP/1.1"
		default:
			good = f.header(line)
		}
	case inChunkSize:
		digits, _, _ := bytes.Cut(line, []byte(";"))
		if f.wild {
			f.why = "a chunk's extension has a control character in it"
			return false
		}
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
		good = f.trailer(line)
	case inBody, inChunk, inOpaque:
	}
	f.line, f.length, f.last, f.wild = f.line[:0], 0, 0, false
	return good
}

const whyFolded = "a header is folded over two lines"

// folded says whether a line goes on with the header of the line before.
func folded(line []byte) bool { return len(line) > 0 && (line[0] == ' ' || line[0] == '\t') }

// trailer takes a line behind the chunks. net/http takes names there that it takes in no head, such as one
// with a space behind it, which others cut off.
func (f *framing) trailer(line []byte) (good bool) {
	if f.why = whyFolded; folded(line) {
		return false
	}
	name, _, _ := bytes.Cut(line, []byte(":"))
	f.why = "the name of a header behind the body is not one"
	return httpguts.ValidHeaderFieldName(string(name))
}

func (f *framing) header(line []byte) (good bool) {
	f.lines++
	if f.excess = f.limits.lines > 0 && f.lines > f.limits.lines; f.excess || folded(line) {
		f.why = whyFolded
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
	case bytes.EqualFold(name, []byte("upgrade")):
		f.swap = f.swap || bytes.EqualFold(bytes.TrimSpace(value), []byte(websocket))
		return true
	default:
		return true
	}
	f.why = "the header that frames the body is too long"
	return f.length <= kept // else its value may be behind what was looked at
}

func (f *framing) endHead() (good bool) {
	switch {
	case f.chunks && (f.old || f.sized):
		f.why = "it has a transfer encoding beside Content-Length, or in HTTP/1.0"
		return false
	case f.chunks:
		f.part = inChunkSize
	case f.size > 0:
		f.part, f.skip = inBody, f.size
	case f.swap && f.get && !f.old:
		f.part = inOpaque
	default:
		f.reset()
	}
	return true
}
