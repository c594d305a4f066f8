package http1

import (
	"bytes"
	"errors"
	"io"

	"tollgate/edge/proxy"
)

// ErrChunk says that a chunked body can not be read on.
var ErrChunk = errors.New("the chunks of the body are not well-formed")

// Bounds of what is not data, which are net/http's: of the line before a chunk and of the trailers, with the ends of their lines,
// and of what all lines may have in excess of what their data accounts for.
const (
	longestLine     = 4 << 10
	longestTrailers = 4 << 10
	mostExcess      = 16 << 10
)

// Chunks reads a chunked body in place. The zero value is before one.
type Chunks struct {
	part     part
	left     uint64 // of the chunk
	excess   int64
	trailers []proxy.Header
}

// part is a part of a chunked body.
type part uint8

const (
	inSize part = iota
	inData
	inEnd // of a chunk: CR LF
	inTrailers
	inNothing // behind all
)

// Reset makes c ready for another body.
func (c *Chunks) Reset() { *c = Chunks{} }

// Trailers are what came behind the body, once Next has returned io.EOF. They can be kept.
func (c *Chunks) Trailers() []proxy.Header { return c.trailers }

// Next returns the next piece of data in buf, and how many bytes of buf it has used up: what comes before the piece, the piece, and
// the end of its chunk if that is there. The next call has to begin behind them. Without a piece and without an error more bytes
// are needed; io.EOF comes without a piece, when the body and its trailers are over. A line and the trailers are only used up whole.
func (c *Chunks) Next(buf []byte) (data []byte, n int, err error) {
	for {
		rest := buf[n:]
		switch c.part {
		case inSize:
			used, err := c.size(rest)
			if used == 0 || err != nil {
				return nil, n, err
			}
			n += used
		case inData:
			if len(rest) == 0 {
				return nil, n, nil
			}
			if uint64(len(rest)) < c.left {
				c.left -= uint64(len(rest))
				return rest, len(buf), nil
			}
			data, n = rest[:c.left], n+int(c.left)
			c.left, c.part = 0, inEnd
			if rest = buf[n:]; len(rest) >= 2 && rest[0] == '\r' && rest[1] == '\n' {
				n, c.part = n+2, inSize
			}
			return data, n, nil
		case inEnd:
			switch begins(rest, 0, "\r\n") {
			case Incomplete:
				return nil, n, nil
			case Strange:
				return nil, n, ErrChunk
			case Plain:
			}
			n, c.part = n+2, inSize
		case inTrailers:
			used, v := c.behind(rest)
			switch v {
			case Incomplete:
				return nil, n, nil
			case Strange:
				return nil, n, ErrChunk
			case Plain:
			}
			c.part = inNothing
			return nil, n + used, io.EOF
		case inNothing:
			return nil, n, io.EOF
		}
	}
}

// size reads the line before a chunk (RFC 9112, 7.1), and says how many bytes it has; 0 if more are needed.
func (c *Chunks) size(buf []byte) (used int, err error) {
	end := bytes.IndexByte(buf[:min(len(buf), longestLine)], '\n')
	if end < 0 {
		if len(buf) >= longestLine || control(buf, 0) < len(buf)-1 {
			return 0, ErrChunk
		}
		return 0, nil
	}
	cr := control(buf, 0)
	if cr != end-1 || buf[cr] != '\r' {
		return 0, ErrChunk
	}
	digits := 0
	var size uint64
	for digits < cr && class[buf[digits]]&isHex != 0 {
		if digits == 16 {
			return 0, ErrChunk
		}
		size = size<<4 | uint64(unhex(buf[digits]))
		digits++
	}
	if digits == 0 {
		return 0, ErrChunk
	}
	if buf[digits] != ';' {
		// Some old servers fill their line up with spaces.
		for i := digits; i < cr; i++ {
			if !blank(buf[i]) {
				return 0, ErrChunk
			}
		}
	}
	used = end + 1
	switch {
	case size == 0:
		c.part = inTrailers
	case size > 1<<62:
		return 0, ErrChunk
	default:
		c.part, c.left = inData, size
	}
	c.excess = max(c.excess+int64(used)-16-2*int64(min(size, 1<<32)), 0)
	if c.excess > mostExcess {
		return 0, ErrChunk
	}
	return used, nil
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// behind reads the trailers with the empty line that ends them.
func (c *Chunks) behind(buf []byte) (used int, v Verdict) {
	limits := Limits{Bytes: longestTrailers}
	var space [4]line
	lines := space[:0]
	for {
		h, next, _, v := header(buf, used)
		if v != Plain {
			return 0, limits.unfinished(buf, v)
		}
		if used = next; h.colon == 0 {
			break
		}
		lines = append(lines, h)
	}
	if limits.excessive(used, 0) {
		return 0, Strange
	}
	if len(lines) > 0 {
		c.trailers = headersOf(lines, string(buf[:used]), nil)
	}
	return used, Plain
}
