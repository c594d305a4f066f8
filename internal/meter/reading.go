package meter

import (
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"tollgate/internal/meter/frame"
	"tollgate/internal/money"
)

// Reading is one exchange as its meter reads it. It is used by one goroutine at a time.
type Reading struct {
	m     *Meter
	req   *Request
	edits []Edit

	hidden struct{ body, form bool } // what was looked for there could not be read

	answered bool
	charged  bool // by its status and method
	silent   bool // the answer has no body that is read
	over     bool
	unread   bool // it has a body that nobody could read
	kind     frame.Kind
	encoded  bool

	out, in  *frame.Stream // of room: what goes to the target and what comes from it; nil if nothing looks
	last     int           // how long the last piece was that came
	begun    bool          // something but spaces has come of a JSON body
	array    bool          // it is an array
	sent     int64
	received int64
	frames   int64
	events   []int64 // of kinds that are counted
	elapsed  time.Duration

	tallies []tally
	texts   []string
	holds   []bool // conditions that have held
	before  string // the last document of the answer
	event   string // and what it was called
	stale   bool   // cost is not what it comes to
	cost    money.Nanos
	unknown bool // it is not what it comes to

	bill Bill // that is made at the end
	// room is what most meters need, so that it comes with the reading.
	room struct {
		texts   [4]string
		holds   [8]bool
		out, in frame.Stream
	}
	emit, emitSent func(*frame.Frame) // of frames of the target and of the caller, made once
}

// looked is the memory for the values of one frame, which nobody needs when it has been read.
var looked = sync.Pool{New: func() any { return new([]gjson.Result) }}

// atLeast is a slice of n zero values, of room if that is enough.
func atLeast[T any](n int, room []T) []T {
	if n <= len(room) {
		return room[:n:n]
	}
	return make([]T, n)
}

// Start begins to read a request's exchange. edits are those of its hold that were made.
func (m *Meter) Start(r *Request, edits []Edit) *Reading {
	x := &Reading{}
	x.Begin(m, r, edits)
	return x
}

// Begin makes it the reading of another exchange, as Start does, in the memory that it has already.
func (r *Reading) Begin(m *Meter, req *Request, edits []Edit) {
	r.Reset()
	r.m, r.req, r.edits, r.stale = m, req, edits, true
	if m.Free {
		return
	}
	r.tallies = atLeast(m.tallies, r.tallies[:cap(r.tallies)])
	r.texts = atLeast(len(m.texts), r.room.texts[:])
	r.holds = atLeast(len(m.conditions), r.room.holds[:])
	if len(m.events) > 0 {
		r.events = make([]int64, len(m.events))
	}
	r.hidden.body, r.hidden.form = m.wantsBody && req.hidden(inRequest), len(m.wanted.forms) > 0 && req.hidden(inForm)
	if now := &m.stages[early]; !now.empty() {
		r.stage(now, func(s *source) value { return s.find(req, edits) })
	}
}

// Reset forgets the exchange and what was found, also the bill.
func (r *Reading) Reset() {
	if !r.over { // nobody has asked for the bill
		if r.out != nil {
			r.out.End(false)
		}
		if r.in != nil {
			r.in.End(false)
		}
	}
	clear(r.tallies)
	// Made empty where it is, and not copied over: it is long.
	tallies, emit, emitSent := r.tallies[:0], r.emit, r.emitSent
	*r = Reading{}
	r.tallies, r.emit, r.emitSent = tallies, emit, emitSent
}

// stage takes in the values that are known by now, which are found in sources of one moment.
func (r *Reading) stage(now *staged, find func(*source) value) {
	m := r.m
	for _, one := range now.counters {
		c := &m.counters[one.counter]
		a := &c.sources[one.alternative]
		v := find(&a.single)
		t, taken := &r.tallies[a.tally], false
		if v.there {
			taken, _ = t.take(v, c.how, c.quoted, &a.single)
		}
		if !taken {
			t.doubt = a.single.doubt(r.req, v)
		}
	}
	for _, i := range now.texts {
		if v := find(&m.texts[i]); v.there {
			r.texts[i] = plainText(v)
		}
	}
	for _, i := range now.conditions {
		if v := find(&m.conditions[i].source); v.there && m.conditions[i].holds(v) {
			r.holds[i] = true
		}
	}
	r.stale = true
}

// Sent takes what goes to the target: pieces of the body, or of a WebSocket the bytes of the connection.
func (r *Reading) Sent(p []byte) {
	if r.over {
		return
	}
	r.sent += int64(len(p))
	r.stale = r.stale || r.m.measures
	if r.out != nil {
		r.out.Write(p)
	}
}

// Answered takes the beginning of the answer.
func (r *Reading) Answered(status int, header func(name string) string) {
	m := r.m
	if r.over || r.answered || m.Free {
		return
	}
	r.answered = true
	r.charged = m.charge.status(status, r.req.WebSocket) && m.charge.method(r.req)
	if !r.charged {
		return
	}
	if now := &m.stages[answered]; !now.empty() {
		r.stage(now, func(s *source) value {
			text := header(s.name)
			return textValue(text, text != "")
		})
	}
	r.stale = true
	encoding := header("Content-Encoding")
	if strings.EqualFold(encoding, "identity") {
		encoding = ""
	}
	switch {
	case r.req.WebSocket && status == 101:
		r.kind, encoding = frame.Messages, ""
		compressed := strings.Contains(strings.ToLower(header("Sec-WebSocket-Extensions")), "permessage-deflate")
		if !m.messages.empty() {
			if r.emitSent == nil {
				r.emitSent = func(f *frame.Frame) { f.Sent = true; r.frame(f) }
			}
			r.out = &r.room.out
			r.out.Begin(r.kind, "", m.messages.keep, r.emitSent)
			r.out.Compressed(compressed)
		}
		if m.late.frames || m.measures {
			r.receive("")
			r.in.Compressed(compressed)
		}
	case bodyless(r.req.Method, status):
	default:
		r.kind = frame.JSON // also of an answer that does not say what it is
		if kind := header("Content-Type"); kind != "" {
			r.kind = frame.KindOf(kind)
		}
	}
	r.encoded = encoding != ""
	r.silent = r.kind == frame.None
	if !r.silent && r.in == nil && (m.late.frames || m.measures) {
		r.receive(encoding)
	}
}

// receive begins to read what the target sends.
func (r *Reading) receive(encoding string) {
	if r.emit == nil {
		r.emit = func(f *frame.Frame) { f.Sent = false; r.frame(f) }
	}
	r.in = &r.room.in
	r.in.Begin(r.kind, encoding, r.m.frames.keep, r.emit)
}

// bodyless says whether an answer has no body.
func bodyless(method string, status int) bool {
	return method == "HEAD" || status < 200 || status == 204 || status == 304
}

// Received takes what comes from the target: pieces of the body, or of a WebSocket the bytes of the connection.
func (r *Reading) Received(p []byte) {
	if r.over || !r.charged || len(p) == 0 {
		return
	}
	r.received += int64(len(p))
	r.unread = r.silent
	r.last, r.stale = len(p), r.stale || r.m.measures
	if r.in == nil {
		return
	}
	if r.kind == frame.JSON && !r.begun && !r.encoded {
		if start := spaceless(p); len(start) > 0 {
			r.begun, r.array = true, start[0] == '['
		}
	}
	r.in.Write(p)
}

// frame takes in a frame of either side.
func (r *Reading) frame(f *frame.Frame) {
	m := r.m
	looks := &m.frames
	if f.Sent {
		looks = &m.messages
	} else {
		r.frames++
		for i, kind := range m.events {
			if kind == f.Event {
				r.events[i]++
			}
		}
	}
	if f.Read {
		r.fields(f, looks)
		return
	}
	if f.Doc == nil || looks.empty() {
		return
	}
	// Most events of a stream say the same of what is asked for, and what was said again changes nothing.
	again := !m.adds && !f.Sent
	if again && string(f.Doc) == r.before && f.Event == r.event {
		return
	}
	doc := string(f.Doc)
	if again {
		r.before, r.event = doc, f.Event
	}
	values, _ := looked.Get().(*[]gjson.Result)
	if n := len(looks.paths); cap(*values) < n {
		*values = make([]gjson.Result, n)
	} else {
		*values = (*values)[:n]
	}
	if looks.read(doc, *values) {
		r.counts(f, *values)
		r.names(f, *values)
	}
	clear(*values) // the next has them empty, and documents are not held on to
	looked.Put(values)
}

// counts takes in the numbers of a frame: for each counter those of its first path that has one.
func (r *Reading) counts(f *frame.Frame, values []gjson.Result) {
	for i := range r.m.counters {
		c := &r.m.counters[i]
		for j := range c.sources {
			a := &c.sources[j]
			if !a.grouped || a.sent != f.Sent {
				continue
			}
			for k := range a.group {
				s := &a.group[k]
				v := docValue(values[s.path])
				if !v.there || s.event != "" && s.event != f.Event {
					continue
				}
				taken, changed := r.tallies[a.tally].take(v, c.how, c.quoted, s)
				r.stale = r.stale || changed
				if taken {
					break
				}
			}
		}
	}
}

// names takes in the texts of a frame and what it says of conditions.
func (r *Reading) names(f *frame.Frame, values []gjson.Result) {
	from := inFrame
	if f.Sent {
		from = inMessage
	}
	for i := range r.m.texts {
		s := &r.m.texts[i]
		if s.place != from || s.event != "" && s.event != f.Event {
			continue
		}
		if text := plainText(docValue(values[s.path])); text != "" && text != r.texts[i] {
			r.texts[i], r.stale = strings.Clone(text), true // without the document it is in
		}
	}
	for i := range r.m.conditions {
		c := &r.m.conditions[i]
		if r.holds[i] || c.source.place != from || c.source.event != "" && c.source.event != f.Event {
			continue
		}
		if c.holds(docValue(values[c.source.path])) {
			r.holds[i], r.stale = true, true
		}
	}
}

// measured is what the edge has measured.
func (r *Reading) measured(s *source) decimal {
	switch s.name {
	case requestBytes:
		return whole(r.sent)
	case responseBytes:
		return whole(r.received)
	case seconds:
		return secondsOf(r.elapsed)
	default:
		if s.event != "" {
			return whole(r.events[s.path])
		}
		return whole(r.frames)
	}
}

// text is the first of some texts that is there.
func (r *Reading) text(slots []int) string {
	for _, i := range slots {
		if r.texts[i] != "" {
			return r.texts[i]
		}
	}
	return ""
}

// any says whether one of some conditions has held.
func (r *Reading) any(slots []int) bool {
	for _, i := range slots {
		if r.holds[i] {
			return true
		}
	}
	return false
}

// chargeable says that neither the status nor what was read so far keeps the answer from being charged.
func (r *Reading) chargeable() bool {
	return r.answered && r.charged && !r.any(r.m.charge.unless)
}

// Charged says whether the answer is charged, as far as it is known.
func (r *Reading) Charged() bool {
	return r.chargeable() && (len(r.m.charge.onlyIf) == 0 || r.any(r.m.charge.onlyIf))
}

// Cost is what it comes to as things stand, and whether more could follow. Of an answer that is charged only if something
// holds that was not seen yet, it is what it comes to if that follows.
func (r *Reading) Cost() (cost money.Nanos, final bool) {
	if r.m.Free {
		return 0, true
	}
	if !r.answered {
		return 0, false
	}
	final = r.settled()
	if !r.chargeable() || final && !r.Charged() || r.m.job != nil {
		return 0, final
	}
	if m := r.m; m.silent && !final && r.frames == 0 && r.out == nil {
		return m.first, false
	}
	if r.stale {
		a := r.account(false)
		r.cost, r.unknown, r.stale = a.cost, !a.known, false
	}
	return r.cost, final
}

// settled says that nothing that follows changes the cost.
func (r *Reading) settled() bool {
	if !r.charged {
		return r.answered
	}
	if j := r.m.job; j != nil {
		return !j.begins // who asks after a job pays nothing
	}
	return !r.m.late.other && (!r.m.late.frames || r.silent)
}

// Unpriced says whether it is known by now that the cost will not be known.
func (r *Reading) Unpriced() bool {
	_, final := r.Cost()
	return final && r.Charged() && r.unknown
}

// Streams says whether the answer is a stream that can be broken off between two frames.
func (r *Reading) Streams() bool {
	return !r.encoded && (r.kind == frame.Events || r.kind == frame.Lines || r.kind == frame.AWS)
}

// Boundary is how many bytes of what was received last, at most all, end with a whole frame. Where nothing is read they
// all do.
func (r *Reading) Boundary() int {
	if r.in == nil {
		return r.last
	}
	return max(r.in.Boundary(), 0)
}

// streamed says whether the answer came in parts each of which counts: it is one also if it is an array.
func (r *Reading) streamed() bool {
	switch r.kind {
	case frame.None:
		return false
	case frame.JSON:
		return r.frames > 1 || r.array
	default:
		return true
	}
}
