// Package sse reads and writes server-sent events as the HTML standard has them
// (https://html.spec.whatwg.org/multipage/server-sent-events.html), in pieces of any size. It keeps no more of an event than it is
// told to, and knows nothing of what events say.
package sse

import (
	"bytes"
	"errors"
)

// Event is one event.
type Event struct {
	Type string // the event field; empty if there is none
	Data []byte // the data fields, with line ends between them; valid until emit returns
}

// ErrTooLong says that an event is longer than the reader keeps.
var ErrTooLong = errors.New("an event is too long")

// Reader takes a stream apart. The zero value is ready; Most must be set before the first piece.
type Reader struct {
	Most int // bytes of an event that are kept; 0 for 16 MiB

	line  []byte // a line whose end has not come
	typ   string
	last  string // typ of the event before, which the next one mostly has too
	data  []byte
	have  bool // a data field has come
	cr    bool // the last piece ended in CR: an LF that follows belongs to it
	begun bool
}

const defaultMost = 16 << 20

// Next reads a piece. emit gets each event that has data, in order; its error ends the reading and is returned.
func (r *Reader) Next(piece []byte, emit func(Event) error) error {
	most := r.Most
	if most <= 0 {
		most = defaultMost
	}
	for len(piece) > 0 {
		if r.cr {
			r.cr = false
			if piece[0] == '\n' {
				piece = piece[1:]
				continue
			}
		}
		i := bytes.IndexAny(piece, "\r\n")
		if i < 0 {
			if len(r.line)+len(piece)+len(r.data) > most {
				return ErrTooLong
			}
			r.line = append(r.line, piece...)
			return nil
		}
		line := piece[:i]
		if len(r.line) > 0 {
			r.line = append(r.line, line...)
			line = r.line
		}
		if len(line)+len(r.data) > most {
			return ErrTooLong
		}
		r.cr = piece[i] == '\r'
		piece = piece[i+1:]
		err := r.take(line, emit)
		r.line = r.line[:0]
		if err != nil {
			return err
		}
	}
	return nil
}

// End reads what is left of a stream that has come to its end. By the standard an event without an empty line
// behind it is thrown away; vendors are known to leave that line out, so that it counts here.
func (r *Reader) End(emit func(Event) error) error {
	if len(r.line) > 0 {
		if err := r.take(r.line, emit); err != nil {
			return err
		}
		r.line = r.line[:0]
	}
	return r.dispatch(emit)
}

var bom = []byte("\xef\xbb\xbf")

// take reads one line.
func (r *Reader) take(line []byte, emit func(Event) error) error {
	if !r.begun {
		r.begun = true
		line = bytes.TrimPrefix(line, bom)
	}
	if len(line) == 0 {
		return r.dispatch(emit)
	}
	name, value, _ := bytes.Cut(line, []byte{':'})
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	switch string(name) {
	case "data":
		if r.have {
			r.data = append(r.data, '\n')
		}
		r.data, r.have = append(r.data, value...), true
	case "event":
		if string(value) != r.last {
			r.last = string(value)
		}
		r.typ = r.last
	}
	return nil
}

func (r *Reader) dispatch(emit func(Event) error) error {
	typ, have := r.typ, r.have
	r.typ, r.have = "", false
	if !have {
		return nil
	}
	err := emit(Event{Type: typ, Data: r.data})
	r.data = r.data[:0]
	return err
}

// Append writes an event. data has no line ends in it.
func Append(dst []byte, typ string, data []byte) []byte {
	if typ != "" {
		dst = append(append(append(dst, "event: "...), typ...), '\n')
	}
	return append(append(append(dst, "data: "...), data...), "\n\n"...)
}
