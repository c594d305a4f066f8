package proxy

import (
	"io"
	"strings"
)

// Header is one header line. A list of them keeps how often a name occurs and in which order.
type Header struct{ Name, Value string }

// Exchange is one request and the way to answer it, as the stages see it. An engine makes it; the
// stages know no other form of a request.
type Exchange struct {
	Method string
	Target string // request target as it was sent: path and query, undecoded
	// Headers are those of the caller without Host, Content-Length and Transfer-Encoding, whose
	// meaning is in the fields below.
	Headers []Header
	Body    Body  // nil: there is none
	Length  int64 // of the body; -1: unknown until its end
	// EmptyBody: the caller said Content-Length: 0, which some targets tell from no length at all.
	EmptyBody bool
	Continue  bool // the caller waits for 100 Continue before it sends the body
	Remote    string
	Out       Responder
}

// Body is the body of a request.
type Body interface {
	io.Reader
	// Interrupt makes a Read that waits for the caller return, and all later ones fail.
	Interrupt()
	// Drain reads the rest, if it is short and comes at once, so that the connection can be used for
	// another request after an answer for which the body did not matter.
	Drain()
}

// Responder writes the answer. Only the goroutine that serves the exchange calls it, but for
// Interim, which the engine calls while an attempt runs.
type Responder interface {
	// Interim sends a 1xx answer, where the caller's protocol has them.
	Interim(status int, headers []Header)
	// Begin sends status and headers, once. length is that of the body, -1 if unknown.
	Begin(status int, headers []Header, length int64)
	// Write sends a piece of the body. An error means that the caller is gone.
	Write(p []byte) (int, error)
	// Flush sends what a buffer holds.
	Flush() error
	// Abort makes the answer end in a way that the caller cannot take for complete.
	Abort()
}

// get is the first value of a header.
func get(headers []Header, name string) string {
	for i := range headers {
		if strings.EqualFold(headers[i].Name, name) {
			return headers[i].Value
		}
	}
	return ""
}
