// Package http1 reads and writes messages of HTTP/1.1 as bytes, strictly: it vouches only for what RFC 9112 lets nobody read in
// two ways, and says of everything else that it is strange, so that somebody else can deal with it. It promises that what it
// vouches for means the same to net/http, that it keeps nothing of the bytes it is given, and that it allocates one piece of
// memory for a head and none for a body.
//
// It knows no connections and no timeouts, and of this gateway no more than how it writes a list of headers.
package http1

// Limits are those of a head; 0 for none.
type Limits struct {
	Bytes int // with the first line and the empty one
	Lines int // of headers
}

// Verdict is what a parser thinks of a head.
type Verdict uint8

// The verdicts.
const (
	Incomplete Verdict = iota // more bytes are needed
	Plain                     // everybody reads it alike
	Strange                   // it is for somebody else
)
