package wire

import (
	"io"
	"strconv"
	"strings"
)

// Lenient reads like servers that put up with everything: lines end in LF alone, white space around names
// and values does not matter, a folded line goes on with the one before, Transfer-Encoding wins over
// Content-Length if the word chunked is anywhere in it, of several lengths the last one counts, and a
// number ends where its digits do.
func Lenient(data string) (r Request, rest string, err error) {
	data = strings.TrimLeft(data, "\r\n \t")
	if data == "" {
		return r, "", io.EOF
	}
	line, data, ok := looseLine(data)
	if !ok {
		return r, "", io.ErrUnexpectedEOF
	}
	parts := strings.Fields(line)
	if len(parts) < 2 {
		return r, "", ErrInvalid
	}
	r.Method, r.Target, r.Proto = parts[0], parts[1], parts[len(parts)-1]
	if r.Headers, data, ok = looseHeaders(data); !ok {
		return r, "", io.ErrUnexpectedEOF
	}
	for _, v := range r.Values("Transfer-Encoding") {
		if strings.Contains(strings.ToLower(v), "chunked") {
			r.Body, data, err = looseChunks(data)
			return r, data, err
		}
	}
	if lengths := r.Values("Content-Length"); len(lengths) > 0 {
		n, ok := leading(lengths[len(lengths)-1], 10)
		switch {
		case !ok:
			return r, "", ErrInvalid
		case n > uint64(len(data)):
			return r, "", io.ErrUnexpectedEOF
		}
		r.Body, data = data[:n], data[n:]
	}
	return r, data, nil
}

func looseLine(data string) (line, rest string, ok bool) {
	line, rest, ok = strings.Cut(data, "\n")
	return strings.TrimRight(line, "\r"), rest, ok
}

func looseHeaders(data string) (headers []Header, rest string, ok bool) {
	for {
		var line string
		if line, data, ok = looseLine(data); !ok || line == "" {
			return headers, data, ok
		}
		if folded := line[0] == ' ' || line[0] == '\t'; folded && len(headers) > 0 {
			last := &headers[len(headers)-1]
			last.Value = strings.TrimSpace(last.Value + " " + strings.TrimSpace(line))
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		headers = append(headers, Header{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
}

func looseChunks(data string) (body, rest string, err error) {
	for {
		line, after, ok := looseLine(data)
		if !ok {
			return "", "", io.ErrUnexpectedEOF
		}
		n, ok := leading(strings.TrimSpace(line), 16)
		switch {
		case !ok:
			return "", "", ErrInvalid
		case n == 0:
			if _, rest, ok = looseHeaders(after); !ok {
				return "", "", io.ErrUnexpectedEOF
			}
			return body, rest, nil
		case n > uint64(len(after)):
			return "", "", io.ErrUnexpectedEOF
		}
		body += after[:n]
		if _, data, ok = looseLine(after[n:]); !ok {
			return "", "", io.ErrUnexpectedEOF
		}
	}
}

// leading is the number that text begins with.
func leading(text string, base int) (n uint64, ok bool) {
	digits := "0123456789"
	if base == 16 {
		digits += "abcdefABCDEF"
	}
	text = strings.TrimLeft(text, "+ \t")
	n, err := strconv.ParseUint(text[:len(text)-len(strings.TrimLeft(text, digits))], base, 62)
	return n, err == nil
}
