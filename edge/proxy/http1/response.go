package http1

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"tollgate/edge/proxy"
)

// Response is the head of an answer. What Parse has found is valid if it is Plain. Its strings are parts of one string, and can be
// kept.
type Response struct {
	Status int
	// Headers are those that were sent, without Transfer-Encoding, in their order and spelling.
	Headers []proxy.Header
	Length  int64 // of the body that follows; -1: until its end, which is that of the chunks or of the connection
	// Declared is what Content-Length says, also where no body follows; -1 without one.
	Declared int64
	Chunked  bool // chunks follow
	Close    bool // nothing follows on the connection
}

// Parse reads the head that buf begins with, of an answer to a request with the method, into the memory that r's headers have, and
// says how many bytes it has.
func (r *Response) Parse(buf []byte, method string, l Limits) (n int, v Verdict) {
	start, old, v := r.first(buf)
	if v != Plain {
		return 0, l.unfinished(buf, v)
	}
	var space [few]line
	lines := space[:0]
	count, chunked, connection, trailer := 0, false, false, false
	r.Declared = -1
	n = start
	for {
		h, next, _, v := header(buf, n)
		if v != Plain {
			return 0, l.unfinished(buf, v)
		}
		if n = next; h.colon == 0 {
			break
		}
		if count++; l.excessive(n, count) {
			return 0, Strange
		}
		name, value := buf[h.name:h.colon], buf[h.value:h.end]
		switch len(name) {
		case len("trailer"):
			trailer = trailer || named(name, "trailer")
		case len("connection"):
			connection = connection || named(name, "connection")
		case len("content-length"):
			if named(name, "content-length") {
				length, ok := number(value)
				if !ok || r.Declared >= 0 {
					return 0, Strange
				}
				r.Declared = length
			}
		case len("transfer-encoding"):
			if named(name, "transfer-encoding") {
				if chunked || old || !named(value, "chunked") {
					return 0, Strange
				}
				chunked = true
				continue
			}
		}
		lines = append(lines, h)
	}
	if l.excessive(n, count) || !r.frame(method, chunked) {
		return 0, Strange
	}
	r.Headers = headersOf(lines, string(buf[:n]), r.Headers)
	if chunked && trailer && framesBehind(r.Headers) {
		return 0, Strange
	}
	endless := r.Length < 0 && !r.Chunked
	r.Close = endless || connection && closes(r.Headers) || old && !(connection && connectionHas(r.Headers, "keep-alive"))
	return n, Plain
}

// first reads the first line, and says where the headers begin and whether the answer is of HTTP/1.0.
func (r *Response) first(buf []byte) (end int, old bool, v Verdict) {
	const name = "HTTP/1."
	if v = begins(buf, 0, name); v != Plain {
		return 0, false, v
	}
	i := len(name)
	if i == len(buf) {
		return 0, false, Incomplete
	}
	if old = buf[i] == '0'; !old && buf[i] != '1' {
		return 0, false, Strange
	}
	if i++; i == len(buf) {
		return 0, false, Incomplete
	}
	if buf[i] != ' ' {
		return 0, false, Strange
	}
	i++
	digits := buf[i:min(i+3, len(buf))]
	if len(digits) > 0 && (!is(digits, isDigit) || digits[0] == '0') {
		return 0, false, Strange
	}
	if len(digits) < 3 {
		return 0, false, Incomplete
	}
	r.Status = int(digits[0]-'0')*100 + int(digits[1]-'0')*10 + int(digits[2]-'0')
	if i += len(digits); i < len(buf) && buf[i] != '\r' && buf[i] != ' ' {
		return 0, false, Strange
	}
	// The reason may be missing, also with the space before it, which many leave out.
	i = control(buf, i)
	if v = newline(buf, i); v != Plain {
		return 0, false, v
	}
	return i + len("\r\n"), old, Plain
}

// frame finds out what follows the head (RFC 9112, 6.3), and says whether all would agree.
func (r *Response) frame(method string, chunked bool) bool {
	r.Length, r.Chunked = 0, false
	switch {
	case chunked && r.Declared >= 0:
		return false // RFC 9112, 6.3: it ought to be handled as an error
	case r.Status == http.StatusSwitchingProtocols:
		return false // what follows is not HTTP
	case r.Status < http.StatusOK:
		return !chunked && r.Declared < 0 // RFC 9110, 8.6; RFC 9112, 6.1
	case r.Status == http.StatusNoContent:
		return !chunked && r.Declared <= 0 // the same; but many say that there is nothing
	case r.Status == http.StatusNotModified || method == http.MethodHead:
		return true
	case chunked:
		r.Length, r.Chunked = -1, true
	default:
		r.Length = r.Declared
	}
	return true
}

// framesBehind says whether an answer announces trailers that would frame it, which net/http refuses.
func framesBehind(headers []proxy.Header) bool {
	for _, h := range headers {
		if len(h.Name) != len("trailer") || !strings.EqualFold(h.Name, "trailer") {
			continue
		}
		for _, name := range [...]string{"transfer-encoding", "content-length", "trailer"} {
			if httpguts.HeaderValuesContainsToken([]string{h.Value}, name) {
				return true
			}
		}
	}
	return false
}
