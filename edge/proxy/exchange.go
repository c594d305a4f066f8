package proxy

import (
	"io"
	"strings"
	"time"
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
	Arrived   bool // all of the body has come, and it is short: reading it waits for nobody
	Continue  bool // the caller waits for 100 Continue before it sends the body
	// TrailerNames are those that the caller has announced to send after the body.
	TrailerNames []string
	// Upgrade is the protocol that the caller asks to switch to and the engine can, in lower case.
	Upgrade string
	Host    string // that the caller addressed
	Proto   Proto
	Remote  string
	// Source is by what means it was sent, as its ticket says; empty for a request without one.
	Source string
	// Text is memory for what the stages write into headers of the answer. The engine lends it until the answer has left; nil
	// makes them take memory of their own.
	Text []byte
	Out  Responder
}

// Proto is the version of HTTP that a caller speaks.
type Proto uint8

// The versions.
const (
	HTTP10 Proto = iota
	HTTP11
	HTTP2
)

// Body is the body of a request.
type Body interface {
	io.Reader
	// Interrupt makes a Read that waits for the caller return, and all later ones fail.
	Interrupt()
	// Drain reads the rest, if it is short and comes at once, so that the connection can be used for
	// another request after an answer for which the body did not matter.
	Drain()
	// Trailers are what came behind the body, once it was read to its end.
	Trailers() []Header
}

// Borrowed is the body of a request that has arrived as a whole, where the engine keeps it.
type Borrowed interface {
	// Bytes is what of it was not read yet, and counts as read from then on. It is valid until the exchange has ended: who may
	// outlive that copies it. Nobody changes it.
	Bytes() []byte
	// Release says that nobody needs it any more, though the exchange may last. Only who serves the exchange calls it.
	Release()
}

// Pieces is the body of an answer whose pieces can be had where the engine keeps them, without a copy.
type Pieces interface {
	// Next waits for the next piece, which is valid until the next call or Close. Like a Read it may return an error beside
	// it; io.EOF follows the last one. A single wait of more than most fails; 0 is for ever.
	Next(most time.Duration) ([]byte, error)
	// Ready says whether Next would wait for nobody.
	Ready() bool
}

// Conn is a connection that was switched to another protocol. Read and Write may be called by two
// goroutines; Close makes both return.
type Conn interface {
	io.ReadWriteCloser
	// CloseWrite says that nothing more will be written.
	CloseWrite() error
}

// Responder writes the answer. Only the goroutine that serves the exchange calls it, but for
// Interim, which the engine calls while an attempt runs.
type Responder interface {
	// Interim sends a 1xx answer, where the caller's protocol has them.
	Interim(status int, headers []Header)
	// Begin sends status and headers, once. length is that of the body, -1 if unknown. The list of headers is the caller's own
	// again when Begin returns.
	Begin(status int, headers []Header, length int64)
	// Write sends a piece of the body. An error means that the caller is gone.
	Write(p []byte) (int, error)
	// Flush sends what a buffer holds.
	Flush() error
	// Trailers sends what follows the body, after the last Write, where the caller's protocol has it.
	Trailers(headers []Header)
	// Switch answers 101 in place of Begin and hands over the connection, with what the caller has sent
	// behind its request. Only for an exchange with an Upgrade.
	Switch(headers []Header) (Conn, error)
	// Abort makes the answer end in a way that the caller cannot take for complete.
	Abort()
}

// get is the first value of a header.
func get(headers []Header, name string) string {
	for i := range headers {
		if h := &headers[i]; len(h.Name) == len(name) && (h.Name == name || strings.EqualFold(h.Name, name)) {
			return headers[i].Value
		}
	}
	return ""
}
