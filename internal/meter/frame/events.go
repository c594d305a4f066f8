package frame

import "bytes"

// events reads server-sent events as the standard says. An event is a frame if it has data. Only its name is kept, its
// data go straight into the projection.
type events struct {
	w     *work
	bom   byteOrderMark
	at    eventsAt
	cr    bool // a carriage return came last; a line feed right behind it belongs to it
	field [8]byte
	size  int // of the field's name, as far as it has come
	kind  eventField

	name []byte // of the event
	data bool   // the event has data
	some bool   // which are more than an empty line
	seen bool   // which were read at a glance, so that the projection has nothing of them

	// Where the next of them is in the piece that is being read; so each is looked for once.
	lf, ret int
}

type eventsAt uint8

const (
	inField eventsAt = iota
	inSpace          // behind the colon, where one space does not count
	inData           // in the value of a field
)

type eventField uint8

const (
	fieldOther eventField = iota
	fieldData
	fieldEvent
)

func (e *events) reset(w *work) { *e = events{w: w, name: e.name[:0]} }

// between says whether nothing has come of another event, and no half of the end of a line.
func (e *events) between() bool {
	return e.at == inField && e.size == 0 && !e.cr && !e.data && len(e.name) == 0 && !e.w.dead
}

func (e *events) write(p []byte) {
	e.lf, e.ret = -1, -1
	for i := e.bom.skip(p); i < len(p); {
		c := p[i]
		if e.cr {
			e.cr = false
			if c == '\n' {
				if i++; e.w.done == i-1 && e.at == inField && e.size == 0 && !e.data {
					e.w.done = i
				}
				continue
			}
		}
		switch e.at {
		case inField:
			i = e.fieldName(p, i)
		case inSpace:
			if c == ' ' {
				i++
			}
			e.begin()
			e.at = inData
		case inData:
			end := e.lineEnd(p, i)
			if end == len(p) || !e.glance(p[i:end]) {
				e.value(p[i:end])
			}
			if i = end; i < len(p) {
				i = e.endLine(p, i)
			}
		}
	}
}

// fieldName reads the name of a field, up to its colon or the end of the line.
func (e *events) fieldName(p []byte, i int) int {
	if e.size == 0 && len(p)-i > 5 && string(p[i:i+5]) == "data:" { // almost every line
		e.kind, e.at = fieldData, inSpace
		return i + 5
	}
	switch c := p[i]; c {
	case ':':
		e.kind = e.known()
		e.at = inSpace
		return i + 1
	case '\n', '\r':
		if e.size == 0 {
			e.dispatch(false)
			i = e.endLine(p, i)
			e.w.done = i
			return i
		}
		e.kind = e.known()
		e.begin()
		return e.endLine(p, i)
	default:
		if e.size < len(e.field) {
			e.field[e.size] = c
		}
		e.size++
		return i + 1
	}
}

func (e *events) known() eventField {
	switch {
	case e.size > len(e.field):
	case string(e.field[:e.size]) == "data":
		return fieldData
	case string(e.field[:e.size]) == "event":
		return fieldEvent
	}
	return fieldOther
}

// lineEnd is where the line ends that i is in; the end of the piece if it does not.
func (e *events) lineEnd(p []byte, i int) int {
	e.lf = next(p, i, e.lf, '\n')
	e.ret = next(p, i, e.ret, '\r')
	return min(e.lf, e.ret)
}

// next is where c is from i on, if it was at last before.
func next(p []byte, i, last int, c byte) int {
	if last >= i {
		return last
	}
	if n := bytes.IndexByte(p[i:], c); n >= 0 {
		return i + n
	}
	return len(p)
}

// endLine is behind the end of a line that is at i.
func (e *events) endLine(p []byte, i int) int {
	e.cr = p[i] == '\r'
	e.at, e.size = inField, 0
	if i++; e.cr && i < len(p) && p[i] == '\n' {
		e.cr = false
		i++
	}
	return i
}

// begin begins the value of a field.
func (e *events) begin() {
	switch e.kind {
	case fieldData:
		if e.data {
			e.value([]byte{'\n'})
			e.some = true
			return
		}
		e.data = true
		e.w.proj.begin(e.w.paths.root)
	case fieldEvent:
		e.name = e.name[:0]
	case fieldOther:
	}
}

// glance reads a line of data, if that is all that has come of the event and it can be read at a glance.
func (e *events) glance(line []byte) bool {
	if e.kind != fieldData || e.some {
		return false
	}
	n := e.w.look(line)
	e.seen = n > 0 && blank(line, n) == len(line)
	e.some = e.seen
	return e.seen
}

// value takes a part of it.
func (e *events) value(p []byte) {
	switch e.kind {
	case fieldData:
		switch {
		case len(p) == 0:
		case !e.seen:
			e.some = true
			e.w.proj.only(p)
		case blank(p, 0) < len(p): // more than a document
			e.seen = false
			e.w.proj.st = broken
		}
	case fieldEvent:
		e.name = append(e.name, p[:min(len(p), maxLabel-len(e.name))]...)
	case fieldOther:
	}
}

// dispatch is behind an event.
func (e *events) dispatch(partial bool) {
	switch {
	case !e.data || !e.some:
	case e.seen:
		e.w.read(e.name, partial)
	default:
		j := &e.w.proj
		if j.finish() == nil && !j.over && j.depth > 0 && !j.kinds[0] { // what begins as an array is mostly [DONE]
			e.w.blame("event " + e.w.next() + " is not JSON, though it begins so")
		}
		e.w.give(e.name, j, partial, false)
	}
	e.data, e.some, e.seen, e.name = false, false, false, e.name[:0]
}

// end gives what came of an event whose end did not come.
func (e *events) end() {
	if e.data && e.some {
		e.dispatch(true)
	}
}
