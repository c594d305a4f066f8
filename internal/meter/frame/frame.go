// Package frame takes the copy of a body apart into frames: the JSON document of an answer, the events of a
// stream, lines, the elements of a streamed array, AWS event messages, the messages of a WebSocket. Of each
// frame it keeps what is asked for and nothing else, so that its memory is bounded whatever comes, in
// pieces of any size. It never fails: what it cannot read it says.
//
// It changes nothing of what is sent on, and knows nothing of counters or money.
package frame

import (
	"bytes"
	"strconv"
	"sync"

	"github.com/tidwall/gjson"
)

// Frame is one of them.
type Frame struct {
	// Event is what the framing calls it: the event field, or :event-type or :exception-type of AWS. Where that says nothing
	// it is the text at "type" or "event_type" in the document; empty for none. Of a long one it is the first 256 bytes.
	Event string
	// Doc is a JSON document in which every path that was asked for has the same value as in the frame; the rest may be left
	// out. Texts are cut at 64 KiB. It is nil if the frame is no JSON document, or more than 1 MiB of it is asked for. It is
	// valid until emit returns.
	Doc []byte
	// Sent says that it went to the target, of a WebSocket.
	Sent bool
	// Partial says that the body ended, or broke off, before the frame did. It has a document all the same if that was whole.
	Partial bool
}

// Stream takes one body apart. It is used by one goroutine at a time.
type Stream struct {
	work    *work // until it ends
	frames  int64
	trouble string
}

// framer finds frames in a body.
type framer interface {
	write(p []byte)
	end()
}

// work is the memory that a stream needs while it is read. It is used again by others.
type work struct {
	framer  framer
	decoder *decoder // nil if the body is not encoded
	paths   *Paths
	emit    func(*Frame)
	frame   Frame
	frames  int64
	trouble string
	dead    bool // nothing that follows can be read
	done    int  // bytes of the piece that is being read that end with a whole frame

	proj     projector
	document document
	events   events
	lines    lines
	aws      aws
	messages messages

	names [8]string // of events that came last, so that they need no memory of their own
	name  int
}

var works = sync.Pool{New: func() any { return new(work) }}

// New reads a body with that content encoding, empty for none. emit gets its frames in order, while Write and End run.
func New(kind Kind, encoding string, keep *Paths, emit func(*Frame)) *Stream {
	s := &Stream{}
	if kind == None {
		return s
	}
	w, _ := works.Get().(*work)
	s.work = w
	w.paths, w.emit = keep, emit
	w.frames, w.trouble, w.dead, w.done = 0, "", false, 0
	switch kind {
	case JSON:
		w.document.reset(w)
		w.framer = &w.document
	case Events:
		w.events.reset(w)
		w.framer = &w.events
	case Lines:
		w.lines.reset(w)
		w.framer = &w.lines
	case AWS:
		w.aws.reset(w)
		w.framer = &w.aws
	case Messages:
		w.messages.reset(w)
		w.framer = &w.messages
	case None:
	}
	w.decoder = decode(w, encoding)
	return s
}

// Compressed says that messages of a WebSocket may be compressed, because permessage-deflate was agreed on. It is
// called before anything is written.
func (s *Stream) Compressed(agreed bool) {
	if s.work != nil {
		s.work.messages.agreed = agreed
	}
}

// Write takes the next piece.
func (s *Stream) Write(p []byte) {
	w := s.work
	if w == nil {
		return
	}
	w.done = 0
	switch {
	case w.dead || len(p) == 0:
	case w.decoder != nil:
		w.decoder.write(p)
	default:
		w.framer.write(p)
	}
}

// Boundary is how many bytes of the piece written last end with a whole frame: 0 if no frame ended in it, -1 if that
// cannot be said because the body is compressed.
func (s *Stream) Boundary() int {
	switch {
	case s.work == nil:
		return 0
	case s.work.decoder != nil:
		return -1
	}
	return s.work.done
}

// End says that no more comes, and whether that was the end of the body or it broke off. It gives the
// stream's memory back.
func (s *Stream) End(whole bool) {
	w := s.work
	if w == nil {
		return
	}
	if w.decoder != nil {
		w.decoder.end(whole)
	}
	w.framer.end()
	s.frames, s.trouble = w.frames, w.trouble
	s.work = nil
	w.release()
}

// Frames is how many there were, also such as are no JSON documents.
func (s *Stream) Frames() int64 {
	if s.work != nil {
		return s.work.frames
	}
	return s.frames
}

// Trouble says what could not be read and why, for people; empty if all was.
func (s *Stream) Trouble() string {
	if s.work != nil {
		return s.work.trouble
	}
	return s.trouble
}

// release gives the memory back, unless it is unusually much.
func (w *work) release() {
	w.paths, w.emit, w.framer, w.decoder, w.frame = nil, nil, nil, nil, Frame{}
	w.messages.stop()
	w.proj.trim()
	w.aws.trim()
	works.Put(w)
}

func (j *projector) trim() {
	j.node, j.key = nil, nil
	clear(j.levels[:cap(j.levels)]) // paths are not held on to
	if cap(j.out) > maxText {
		j.out = nil
	}
	if cap(j.text.raw) > 1<<10 {
		j.text.raw = nil
	}
}

// blame keeps the first trouble.
func (w *work) blame(trouble string) {
	if w.trouble == "" {
		w.trouble = trouble
	}
}

// give emits a frame with what a projector has read; nil for none.
func (w *work) give(event []byte, j *projector, partial, sent bool) {
	w.frames++
	w.frame = Frame{Sent: sent, Partial: partial}
	if j != nil {
		w.frame.Doc = j.finish()
		if j.over {
			w.blame(w.nth() + " has more in it than is kept")
		} else if j.cut {
			w.blame(w.nth() + " has a text that is longer than is kept")
		}
	}
	switch {
	case len(event) > 0:
		w.frame.Event = w.intern(event, false)
	case w.frame.Doc != nil:
		w.frame.Event = w.intern(j.label(), true)
	}
	w.emit(&w.frame)
	w.frame.Doc = nil
}

// nth names the frame that is being emitted.
func (w *work) nth() string { return "frame " + strconv.FormatInt(w.frames, 10) }

// intern is the text as a string, that of an earlier frame if it is the same.
func (w *work) intern(text []byte, escaped bool) string {
	if escaped && bytes.IndexByte(text, '\\') >= 0 {
		quoted := append(append([]byte{'"'}, text...), '"')
		text = []byte(gjson.ParseBytes(quoted).Str)
	}
	text = text[:min(len(text), maxLabel)]
	if len(text) == 0 {
		return ""
	}
	for _, name := range w.names {
		if name == string(text) {
			return name
		}
	}
	w.name = (w.name + 1) % len(w.names)
	w.names[w.name] = string(text)
	return w.names[w.name]
}

// next is the number of the frame that comes next.
func (w *work) next() string { return strconv.FormatInt(w.frames+1, 10) }

// before is how many frames there were.
func (w *work) before() string { return strconv.FormatInt(w.frames, 10) }
