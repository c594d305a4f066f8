package meter

import (
	"bytes"
	"encoding/binary"

	"tollgate/internal/meter/frame"
)

// edge finds where frames end in the bytes of a stream, so that it can be broken off there. What it has not seen the
// end of it does not keep.
type edge struct {
	kind     frame.Kind
	boundary int  // of the last piece
	array    bool // a JSON body is an array
	begun    bool // something but spaces was seen of it

	tail  [3]byte // the last bytes before a piece, of events
	tails int

	head  [4]byte // the length of an AWS message, as far as it is there
	heads int
	rest  uint32 // bytes of the message that are to come
}

func (e *edge) take(p []byte) {
	switch e.kind {
	case frame.Events:
		e.events(p)
	case frame.Lines:
		e.boundary = bytes.LastIndexByte(p, '\n') + 1
	case frame.AWS:
		e.messages(p)
	case frame.JSON:
		e.boundary = 0
		if start := bytes.TrimLeft(p, " \t\r\n"); !e.begun && len(start) > 0 {
			e.begun, e.array = true, start[0] == '['
		}
	default:
		e.boundary = len(p)
	}
}

// events looks for the last empty line.
func (e *edge) events(p []byte) {
	e.boundary = 0
	for n := len(p); n > 0; n-- {
		c := p[n-1]
		if c != '\n' && c != '\r' {
			next := bytes.LastIndexAny(p[:n], "\r\n")
			if next < 0 {
				break
			}
			n = next + 2 // which the loop makes the end of that line
			continue
		}
		if e.ends(p[:n]) {
			e.boundary = n
			break
		}
	}
	var both [2 * len(e.tail)]byte
	n := copy(both[:], e.tail[:e.tails])
	n += copy(both[n:], p[max(0, len(p)-len(e.tail)):])
	e.tails = copy(e.tail[:], both[max(0, n-len(e.tail)):n])
}

// ends says whether what went by and p together end with an empty line.
func (e *edge) ends(p []byte) bool {
	var last [4]byte
	k := len(last)
	for i := len(p) - 1; i >= 0 && k > 0; i-- {
		k--
		last[k] = p[i]
	}
	for i := e.tails - 1; i >= 0 && k > 0; i-- {
		k--
		last[k] = e.tail[i]
	}
	text := last[k:]
	return bytes.HasSuffix(text, []byte("\n\n")) || bytes.HasSuffix(text, []byte("\r\r")) || bytes.HasSuffix(text, []byte("\n\r\n"))
}

// messages follows the lengths of AWS event messages.
func (e *edge) messages(p []byte) {
	e.boundary = 0
	for at := 0; at < len(p); {
		if e.rest == 0 {
			n := copy(e.head[e.heads:], p[at:])
			at += n
			if e.heads += n; e.heads < len(e.head) {
				return
			}
			e.heads = 0
			if size := binary.BigEndian.Uint32(e.head[:]); size > uint32(len(e.head)) {
				e.rest = size - uint32(len(e.head))
			}
			continue
		}
		n := min(int(e.rest), len(p)-at)
		at += n
		if e.rest -= uint32(n); e.rest == 0 {
			e.boundary = at
		}
	}
}
