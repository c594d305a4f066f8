package proxy

import "bytes"

// eventCounter counts the events of a server-sent event stream as a client's EventSource would see
// them: blocks of lines that end with an empty one and have a data field. Comments, and an event that
// the stream ends in the middle of, are none. It keeps nothing of the stream, which may come in pieces
// of any size with any of the three line ends. The zero value is at the beginning of one.
type eventCounter struct {
	bom   uint8 // bytes of the byte order mark that were seen, 3 when no more are expected
	at    uint8 // bytes of the line that agree with dataField, or elsewhere
	begun bool  // something of the block at hand was seen
	data  bool  // the block has a data field
	cr    bool  // the last byte was CR: an LF is the rest of the same line end
}

const (
	dataField = "data"
	byteOrder = "\ufeff"
	elsewhere = ^uint8(0) // in a line that is not, or no longer needs to be, compared
)

// next reads to the end of a block, or to that of p. It says how far that is, and whether an event
// ended there.
func (e *eventCounter) next(p []byte) (n int, event bool) {
	for n < len(p) {
		c := p[n]
		if e.bom < uint8(len(byteOrder)) {
			if c == byteOrder[e.bom] {
				e.bom++
				n++
				continue
			}
			if e.bom > 0 {
				e.at, e.begun = elsewhere, true
			}
			e.bom = uint8(len(byteOrder))
		}
		lineFeed := e.cr && c == '\n'
		e.cr = c == '\r'
		switch {
		case lineFeed:
			n++
		case c == '\r' || c == '\n':
			n++
			switch e.at {
			case 0:
				event = e.data
				e.data, e.begun = false, false
				return n, event
			case uint8(len(dataField)):
				e.data = true
			}
			e.at = 0
		case e.at == elsewhere:
			n += lineLength(p[n:])
		default:
			e.begun = true
			n++
			e.compare(c)
		}
	}
	return n, false
}

// inLine says whether a line has begun that has not ended.
func (e *eventCounter) inLine() bool {
	return e.at > 0 || e.bom > 0 && e.bom < uint8(len(byteOrder))
}

// compare takes one more byte of a field's name.
func (e *eventCounter) compare(c byte) {
	switch {
	case e.at < uint8(len(dataField)) && c == dataField[e.at]:
		e.at++
	case e.at == uint8(len(dataField)) && c == ':':
		e.data, e.at = true, elsewhere
	default:
		e.at = elsewhere
	}
}

// count reads all of p and says how many events ended in it.
func (e *eventCounter) count(p []byte) (events int64) {
	for len(p) > 0 {
		n, event := e.next(p)
		if event {
			events++
		}
		p = p[n:]
	}
	return events
}

// lineLength is how many bytes come before a line end.
func lineLength(p []byte) int {
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		p = p[:i]
	}
	if i := bytes.IndexByte(p, '\r'); i >= 0 {
		return i
	}
	return len(p)
}
