package fastlane

import (
	"errors"
	"io"
	"net/http"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/http1"
)

// answerBody is where the body of an answer stands. Its pieces are where the connection has read them.
type answerBody struct {
	ending ending
	left   int64 // of a body of a known length
	chunks http1.Chunks
	piece  []byte // that was found and not returned yet
	rest   []byte // of the last piece, for who reads
	much   bool   // a lot comes at once
	err    error  // how it ended: io.EOF, or why it broke off
}

// ending is how the end of a body is known.
type ending uint8

const (
	byLength ending = iota
	byChunks
	byClose // of the connection
)

// answer makes the answer of the head that was read.
func (c *targetConn) answer() (*proxy.Answer, error) {
	c.body = answerBody{}
	out := &c.a.Memory
	*out = proxy.Answer{Cancel: c.cancel, Body: c}
	if !c.reused {
		out.Setup = c.under.Setup
	}
	if c.odd != nil {
		c.odd.answer(out)
		return out, nil
	}
	r := &c.response
	out.Status, out.Headers, out.Length = r.Status, r.Headers, r.Length
	if c.a.Method == http.MethodHead {
		out.Length = r.Declared
	}
	switch {
	case r.Chunked:
		c.body.ending, out.Trailers = byChunks, noTrailers
	case r.Length < 0:
		c.body.ending = byClose
	case r.Length == 0:
		c.body.err = io.EOF
	default:
		c.body.left = r.Length
	}
	return out, nil
}

func noTrailers() []proxy.Header { return nil }

// Next waits for the next piece of the body.
func (c *targetConn) Next(most time.Duration) ([]byte, error) {
	b := &c.body
	b.rest = nil
	if c.odd != nil {
		return c.odd.next(c, most)
	}
	for {
		c.advance()
		if b.piece != nil || b.err != nil {
			break
		}
		if err := c.wait(most); err != nil {
			b.err = c.broken(err)
		}
	}
	piece := b.piece
	b.piece = nil
	if piece == nil {
		return nil, b.err
	}
	// What else has come is one piece with it, moved to its end over what was between the two: who looks for events in a body, or
	// sends it on, has less to do with few pieces.
	for c.advance(); b.piece != nil; c.advance() {
		piece = append(piece, b.piece...)
		b.piece = nil
	}
	if errors.Is(b.err, io.EOF) {
		return piece, io.EOF
	}
	return piece, nil // what is wrong behind it comes next
}

// Ready says whether there is a piece, or the end.
func (c *targetConn) Ready() bool {
	if c.odd != nil {
		return c.odd.over()
	}
	c.advance()
	return c.body.piece != nil || c.body.err != nil
}

// advance finds the next piece in what was read, or the end.
func (c *targetConn) advance() {
	b := &c.body
	if b.piece != nil || b.err != nil {
		return
	}
	in := c.bytes()
	switch b.ending {
	case byLength:
		if n := min(int64(len(in)), b.left); n > 0 {
			b.piece, b.left = in[:n], b.left-n
			c.consume(int(n))
		} else if b.left == 0 {
			b.err = io.EOF
		}
	case byClose:
		if len(in) > 0 {
			b.piece = in
			c.consume(len(in))
		}
	case byChunks:
		if len(in) == 0 {
			return
		}
		data, n, err := b.chunks.Next(in)
		c.consume(n)
		if len(data) > 0 {
			b.piece = data
		}
		if b.err = err; errors.Is(err, io.EOF) {
			if trailers := b.chunks.Trailers(); len(trailers) > 0 {
				c.a.Memory.Trailers = func() []proxy.Header { return trailers }
			}
		}
	}
}

// wait waits for more of the body.
func (c *targetConn) wait(longest time.Duration) error {
	want := 0
	if c.body.ending == byLength {
		want = int(min(c.body.left, largeBuffer))
	} else if c.body.much {
		want = muchBuffer
	}
	if longest > 0 {
		c.alarm.set(moment(), longest)
	}
	had := len(c.bytes())
	err := c.fill(want)
	if longest > 0 && !c.alarm.clear() {
		c.stop(errSilent) // if the alarm comes late
		if err == nil {
			err = errSilent
		}
	}
	c.body.much = len(c.bytes())-had >= littleBuffer/2
	return err
}

// broken says how a body has ended for which more was waited.
func (c *targetConn) broken(err error) error {
	if cause := c.why(); cause != nil {
		return cause
	}
	if errors.Is(err, io.EOF) && c.body.ending != byClose {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Read reads on, for who wants the body elsewhere.
func (c *targetConn) Read(p []byte) (int, error) {
	b := &c.body
	if c.odd != nil {
		return c.odd.read(c, p)
	}
	if len(b.rest) == 0 {
		piece, err := c.Next(0)
		if len(piece) == 0 {
			return 0, err
		}
		b.rest = piece // an end beside it comes again
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close ends the attempt, and keeps the connection if the answer has come to its end.
func (c *targetConn) Close() error {
	if c.a == nil {
		return nil
	}
	clean := c.odd == nil && !c.response.Close
	if clean && c.body.piece == nil {
		c.advance()
		clean = errors.Is(c.body.err, io.EOF)
	}
	clean = clean && c.body.piece == nil
	c.body.piece, c.body.rest = nil, nil
	c.response.Headers = nil // they are the attempt's
	c.leave(clean)
	return nil
}
