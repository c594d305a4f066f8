// Package frame takes the copy of a body apart into frames: the JSON document of an answer, the events of a
// stream, lines, the elements of a streamed array, AWS event messages, the messages of a WebSocket. Of each
// frame it keeps what is asked for and nothing else, so that its memory is bounded whatever comes, in
// pieces of any size. It never fails: what it cannot read it says.
//
// It changes nothing of what is sent on, and knows nothing of counters or money.
package frame

// Kind is how a body is made of frames.
type Kind uint8

// The kinds.
const (
	None     Kind = iota // no frames: a body that is not read
	JSON                 // one document; an array at its top has one frame for each element
	Events               // server-sent events
	Lines                // one JSON document a line
	AWS                  // application/vnd.amazon.eventstream
	Messages             // of a WebSocket, from one side; what is written are the bytes of the connection
)

// KindOf is the kind of a body by its content type.
func KindOf(contentType string) Kind { return None }

// Frame is one of them.
type Frame struct {
	// Event is what the framing calls it: the event field, or :event-type or :exception-type of AWS. Where that says nothing
	// it is the text at "type" or "event_type" in the document; empty for none.
	Event string
	// Doc is a JSON document in which every path that was asked for has the same value as in the frame; the rest may be left
	// out. It is nil if the frame is no JSON document. It is valid until emit returns.
	Doc []byte
	// Sent says that it went to the target, of a WebSocket.
	Sent bool
	// Partial says that the body ended, or broke off, before the frame did.
	Partial bool
}

// Paths are what is asked for of frames.
type Paths struct{}

// NewPaths takes paths in the language of gjson, without modifiers, pipes, and multipaths. The error names the place: "at 7: a
// name is missing after the point".
func NewPaths(paths ...string) (*Paths, error) { return &Paths{}, nil }

// Stream takes one body apart. It is used by one goroutine at a time.
type Stream struct{}

// New reads a body with that content encoding, empty for none. emit gets its frames in order.
func New(kind Kind, encoding string, keep *Paths, emit func(*Frame)) *Stream { return &Stream{} }

// Write takes the next piece.
func (s *Stream) Write(p []byte) {}

// End says that no more comes, and whether that was the end of the body or it broke off. It gives the
// stream's memory back.
func (s *Stream) End(whole bool) {}

// Frames is how many there were, also such as are no JSON documents.
func (s *Stream) Frames() int64 { return 0 }

// Trouble says what could not be read and why, for people; empty if all was.
func (s *Stream) Trouble() string { return "" }
