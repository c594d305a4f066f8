package proxy

import "unsafe"

// texts is memory for what is written into headers of an answer: what the engine has lent, or some of its own. The texts are
// good for as long as the engine says, so they are for the headers of an answer and nothing else.
type texts struct{ buf []byte }

// begin is where the next text is appended to.
func (t *texts) begin() []byte {
	if cap(t.buf) == 0 {
		const enough = 192
		t.buf = make([]byte, 0, enough)
	}
	return t.buf[len(t.buf):]
}

// end is what was appended as a text. One that did not fit has memory of its own.
func (t *texts) end(text []byte) string {
	if len(text) == 0 {
		return ""
	}
	if room := t.buf[len(t.buf):cap(t.buf)]; len(room) >= len(text) && &room[0] == &text[0] {
		t.buf = t.buf[:len(t.buf)+len(text)]
	}
	return unsafe.String(&text[0], len(text)) //nolint:gosec // nobody writes there again as long as the text is good
}
