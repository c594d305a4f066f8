package frame

import (
	"bytes"
)

// lines reads one JSON document a line. Empty lines are none.
type lines struct {
	w    *work
	bom  byteOrderMark
	some bool // the line has begun
}

func (l *lines) reset(w *work) { *l = lines{w: w} }

func (l *lines) write(p []byte) {
	i := l.bom.skip(p)
	for i < len(p) {
		n := bytes.IndexByte(p[i:], '\n')
		if n < 0 {
			l.take(p[i:])
			return
		}
		if !l.glance(p[i : i+n]) {
			l.take(p[i : i+n])
			l.finish(false)
		}
		i += n + 1
		l.w.done = i
	}
}

// glance reads a whole line at a glance, if it can.
func (l *lines) glance(p []byte) bool {
	if l.some {
		return false
	}
	n := l.w.look(p)
	if n == 0 || blank(p, n) < len(p) {
		return false
	}
	l.w.read(nil, false)
	return true
}

func (l *lines) take(p []byte) {
	if !l.some {
		p = bytes.TrimLeft(p, " \t\r")
		if len(p) == 0 {
			return
		}
		l.some = true
		l.w.proj.begin(l.w.paths.root)
	}
	l.w.proj.only(p)
}

// only takes a piece of a text that is to be one document, and nothing beside it but space.
func (j *projector) only(p []byte) {
	n := j.feed(p)
	if j.st == atEnd && len(bytes.TrimLeft(p[n:], " \t\r\n")) > 0 {
		j.st = broken
	}
}

func (l *lines) finish(partial bool) {
	if !l.some {
		return
	}
	l.some = false
	j := &l.w.proj
	if j.finish() == nil && !j.over {
		l.w.blame("line " + l.w.next() + " is not JSON")
	}
	l.w.give(nil, j, partial, false)
}

// end takes a last line without an end for whole if its document is.
func (l *lines) end() {
	if l.some {
		j := &l.w.proj
		l.finish(j.finish() == nil && j.partial())
	}
}
