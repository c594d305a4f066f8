package http1

import "tollgate/edge/proxy"

// line is where in a head a header is.
type line struct{ name, colon, value, end int32 }

// few is for how many headers a parser has room before it needs memory.
const few = 24

// header reads the header that begins at i, and says where the next line does. tabs says that there are some around the value.
func header(buf []byte, i int) (l line, next int, tabs bool, v Verdict) {
	colon := i + tokens(buf[i:])
	if colon == len(buf) {
		return line{}, 0, false, Incomplete
	}
	if buf[colon] != ':' || colon == i {
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
	return line{int32(i), int32(colon), int32(start), int32(end)}, cr + 2, tabs, Plain
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

// of is the header in the text of a head.
func (l *line) of(text string) proxy.Header {
	return proxy.Header{Name: text[l.name:l.colon], Value: text[l.value:l.end]}
}

// excessive says whether a head of which size bytes and lines headers are known can not be within the limits.
func (l Limits) excessive(size, lines int) bool {
	return l.Bytes > 0 && size > l.Bytes || l.Lines > 0 && lines > l.Lines
}

// room is memory for n headers: that of h, or more.
func room(h []proxy.Header, n int) []proxy.Header {
	if cap(h) < n {
		h = make([]proxy.Header, n, max(n, 8))
	}
	return h[:n]
}
