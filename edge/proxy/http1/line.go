package http1

import "tollgate/edge/proxy"

// line is where in a head a header is.
type line struct{ name, colon, value, end int32 }

// few is for how many headers a parser has room before it needs memory.
const few = 24

// header reads the header that begins at i, or the end of the head, which has no colon, and says where the next line does. tabs says
// that there are some around the value.
func header(buf []byte, i int) (l line, next int, tabs bool, v Verdict) {
	colon := i + tokens(buf[i:])
	switch {
	case colon == len(buf):
		return line{}, 0, false, Incomplete
	case colon == i && buf[i] == '\r':
		return line{}, i + len("\r\n"), false, newline(buf, i)
	case buf[colon] != ':' || colon == i:
		return line{}, 0, false, Strange // nothing may be before the colon, and a line does not go on with another one (RFC 9112, 5.1, 5.2)
	}
	start := colon + 1
	for start < len(buf) && blank(buf[start]) {
		tabs = tabs || buf[start] == '\t'
		start++
	}
	cr := control(buf, start)
	if v := newline(buf, cr); v != Plain {
		return line{}, 0, false, v
	}
	end := cr
	for end > start && blank(buf[end-1]) {
		end--
		tabs = tabs || buf[end] == '\t'
	}
	return line{int32(i), int32(colon), int32(start), int32(end)}, cr + len("\r\n"), tabs, Plain
}

// tokens is how many of the first bytes can be part of a name.
func tokens(p []byte) int {
	for i, c := range p {
		if class[c]&isToken == 0 {
			return i
		}
	}
	return len(p)
}

// newline says whether CR LF is at i.
func newline(buf []byte, i int) Verdict {
	switch {
	case i == len(buf):
		return Incomplete
	case buf[i] != '\r':
		return Strange
	case i+1 == len(buf):
		return Incomplete
	case buf[i+1] != '\n':
		return Strange
	}
	return Plain
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// begins says whether what begins at i is text, which comes first.
func begins(buf []byte, i int, text string) Verdict {
	n := min(len(buf)-i, len(text))
	switch {
	case string(buf[i:i+n]) != text[:n]:
		return Strange
	case n < len(text):
		return Incomplete
	}
	return Plain
}

// headersOf are the headers that lines have in the text of a head, in the memory of h or more.
func headersOf(lines []line, text string, h []proxy.Header) []proxy.Header {
	if cap(h) < len(lines) {
		h = make([]proxy.Header, len(lines), max(len(lines), 8))
	}
	h = h[:len(lines)]
	for i := range lines {
		l := &lines[i]
		h[i] = proxy.Header{Name: text[l.name:l.colon], Value: text[l.value:l.end]}
	}
	return h
}

// excessive says whether a head of which size bytes and lines headers are known can not be within the limits.
func (l Limits) excessive(size, lines int) bool {
	return l.Bytes > 0 && size > l.Bytes || l.Lines > 0 && lines > l.Lines
}

// unfinished is the verdict on a head that was not read to its end.
func (l Limits) unfinished(buf []byte, v Verdict) Verdict {
	if v == Incomplete && l.excessive(len(buf)+1, 0) {
		return Strange
	}
	return v
}
