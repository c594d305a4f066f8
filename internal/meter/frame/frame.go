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
	// Fields are what was asked for, if Read says so: of each path at most one, in the order in which they stand in the frame. Those
	// that are null are left out. They are valid until emit returns.
	Fields []Field
	// Read says that the frame was read at a glance, and that Fields are in place of Doc.
	Read bool
	kept []byte

	// Sent says that it went to the target, of a WebSocket.
	Sent bool
	// Partial says that the body ended, or broke off, before the frame did. It has a document all the same if that was whole.
	Partial bool
}

// Value is a field as it is written, a text without its quotes. It has no backslashes.
func (f *Frame) Value(x Field) []byte { return f.kept[x.from:x.to] }

// Stream takes one body apart. It is used by one goroutine at a time.
type Stream struct {
	work    *work // until it ends, but while nothing of a frame is there: what is silent takes no memory
	frames  int64
	trouble string
	done    int           // what work would say of the piece that was written last
	bom     byteOrderMark // at the beginning of events

	kind     Kind // None also when it has ended
	agreed   bool
	encoding string
	keep     *Paths
	emit     func(*Frame)
	top      *spot
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

	top      *spot // what a glance looks for; nil if nobody wants fields
	glance   glance
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
	s.begin(kind, encoding, keep, emit)
	return s
}

// Begin makes it the stream of a body, as New does, but its frames may have Fields in place of Doc. It has ended before, or
// never begun.
func (s *Stream) Begin(kind Kind, encoding string, keep *Paths, emit func(*Frame)) {
	s.begin(kind, encoding, keep, emit)
	if s.top = keep.top; s.work != nil {
		s.work.top = keep.top
	}
}

func (s *Stream) begin(kind Kind, encoding string, keep *Paths, emit func(*Frame)) {
	*s = Stream{kind: kind, encoding: encoding, keep: keep, emit: emit}
	if kind != None && encoding != "" { // of which it is known now whether it can be read
		s.start()
	}
}

// start takes the memory to read with.
func (s *Stream) start() {
	w, _ := works.Get().(*work)
	s.work = w
	w.paths, w.emit, w.top = s.keep, s.emit, s.top
	w.frames, w.trouble, w.dead, w.done = s.frames, s.trouble, false, 0
	switch s.kind {
	case JSON:
		w.document.reset(w)
		w.framer = &w.document
	case Events:
		w.events.reset(w)
		w.events.bom = s.bom
		w.framer = &w.events
	case Lines:
		w.lines.reset(w)
		w.framer = &w.lines
	case AWS:
		w.aws.reset(w)
		w.framer = &w.aws
	case Messages:
		w.messages.reset(w)
		w.messages.agreed = s.agreed
		w.framer = &w.messages
	case None:
	}
	w.decoder = decode(w, s.encoding)
}

// Compressed says that messages of a WebSocket may be compressed, because permessage-deflate was agreed on. It is
// called before anything is written.
func (s *Stream) Compressed(agreed bool) {
	if s.agreed = agreed; s.work != nil {
		s.work.messages.agreed = agreed
	}
}

// Write takes the next piece.
func (s *Stream) Write(p []byte) {
	if s.work == nil {
		if s.done = 0; s.kind == None || len(p) == 0 {
			return
		}
		s.start()
	}
	w := s.work
	w.done = 0
	switch {
	case w.dead || len(p) == 0:
	case w.decoder != nil:
		w.decoder.write(p)
	default:
		w.framer.write(p)
		s.rest(len(p))
	}
}

// rest gives the memory back after a piece that ends between two events, the next of which may take long.
func (s *Stream) rest(n int) {
	if w := s.work; s.kind == Events && w.done == n && w.events.between() {
		s.frames, s.trouble, s.done, s.bom, s.work = w.frames, w.trouble, n, w.events.bom, nil
		w.release()
	}
}

// Boundary is how many bytes of the piece written last end with a whole frame: 0 if no frame ended in it, -1 if that
// cannot be said because the body is compressed.
func (s *Stream) Boundary() int {
	switch {
	case s.work != nil && s.work.decoder != nil:
		return -1
	case s.work != nil:
		return s.work.done
	}
	return s.done
}

// End says that no more comes, and whether that was the end of the body or it broke off. It gives the
// stream's memory back.
func (s *Stream) End(whole bool) {
	if s.kind == None {
		return
	}
	if s.work == nil {
		s.start() // nothing at all may be worth a word
	}
	w := s.work
	if w.decoder != nil {
		w.decoder.end(whole)
	}
	w.framer.end()
	*s = Stream{frames: w.frames, trouble: w.trouble}
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
	w.paths, w.emit, w.framer, w.decoder, w.frame, w.top = nil, nil, nil, nil, Frame{}, nil
	w.messages.stop()
	w.proj.trim()
	w.aws.trim()
	if cap(w.glance.kept) > 1<<10 {
		w.glance.kept = nil
	}
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

// read emits a frame that was read at a glance.
func (w *work) read(event []byte, partial bool) {
	w.frames++
	g := &w.glance
	w.frame = Frame{Read: true, Partial: partial, Fields: g.fields, kept: g.kept}
	if len(event) > 0 {
		w.frame.Event = w.intern(event, false)
	} else {
		w.frame.Event = w.intern(g.kind(), false)
	}
	w.emit(&w.frame)
}

// look reads a document of which p is the beginning at a glance, and says how much of p that is; 0 if it cannot.
func (w *work) look(p []byte) int {
	if w.top == nil || len(p) == 0 || p[0] != '{' {
		return 0
	}
	return w.glance.document(w.top, p)
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
