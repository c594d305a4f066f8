package wire

import (
	"io"
	"strconv"
	"strings"
)

// Strict takes what RFC 9112 calls a request, and nothing that it merely lets a server put up with. It
// takes empty lines before a request and chunk extensions, because those are in the grammar; what an
// extension says does not matter to it, because nobody passes one on.
func Strict(data string) (r Request, rest string, err error) {
	for strings.HasPrefix(data, "\r\n") {
		data = data[2:]
	}
	if data == "" {
		return r, "", io.EOF
	}
	line, data, err := cutLine(data)
	if err != nil {
		return r, "", err
	}
	parts := strings.Split(line, " ")
	if len(parts) != 3 || !isToken(parts[0]) || !isTarget(parts[1]) || !isVersion(parts[2]) {
		return r, "", ErrInvalid
	}
	r.Method, r.Target, r.Proto = parts[0], parts[1], parts[2]
	if r.Headers, data, err = strictHeaders(data); err != nil {
		return r, "", err
	}
	codings, lengths := r.Values("Transfer-Encoding"), r.Values("Content-Length")
	switch {
	case len(codings) > 0:
		if len(lengths) > 0 || len(codings) > 1 || !strings.EqualFold(codings[0], "chunked") || r.Proto == "HTTP/1.0" {
			return r, "", ErrInvalid
		}
		r.Body, data, err = strictChunks(data)
	case len(lengths) > 0:
		var n uint64
		for _, l := range lengths {
			if l != lengths[0] || strings.Trim(l, "0123456789") != "" {
				return r, "", ErrInvalid
			}
		}
		if n, err = strconv.ParseUint(lengths[0], 10, 62); err != nil {
			return r, "", ErrInvalid
		}
		if n > uint64(len(data)) {
			return r, "", io.ErrUnexpectedEOF
		}
		r.Body, data = data[:n], data[n:]
	}
	return r, data, err
}

// cutLine takes a line that ends in CR LF and has no other CR or LF.
func cutLine(data string) (line, rest string, err error) {
	i := strings.IndexAny(data, "\r\n")
	switch {
	case i < 0 || data[i] == '\r' && i+1 == len(data):
		return "", "", io.ErrUnexpectedEOF
	case !strings.HasPrefix(data[i:], "\r\n"):
		return "", "", ErrInvalid
	}
	return data[:i], data[i+2:], nil
}

func strictHeaders(data string) (headers []Header, rest string, err error) {
	for {
		var line string
		if line, data, err = cutLine(data); err != nil || line == "" {
			return headers, data, err
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) || !isValue(value) {
			return nil, "", ErrInvalid
		}
		headers = append(headers, Header{name, strings.Trim(value, " \t")})
	}
}

func strictChunks(data string) (body, rest string, err error) {
	for {
		var line string
		if line, data, err = cutLine(data); err != nil {
			return "", "", err
		}
		size, _, _ := strings.Cut(line, ";")
		size = strings.TrimRight(size, " \t")
		if size == "" || strings.Trim(size, "0123456789abcdefABCDEF") != "" {
			return "", "", ErrInvalid
		}
		n, err := strconv.ParseUint(size, 16, 62)
		switch {
		case err != nil:
			return "", "", ErrInvalid
		case n == 0:
			_, rest, err = strictHeaders(data)
			return body, rest, err
		case n+2 > uint64(len(data)):
			return "", "", io.ErrUnexpectedEOF
		case data[n:n+2] != "\r\n":
			return "", "", ErrInvalid
		}
		body, data = body+data[:n], data[n+2:]
	}
}

func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// isVersion takes every minor version, because later ones are framed like 1.1.
func isVersion(s string) bool {
	minor, ok := strings.CutPrefix(s, "HTTP/1.")
	return ok && len(minor) == 1 && '0' <= minor[0] && minor[0] <= '9'
}

// isTarget takes any bytes that end no word: which of them a path may have is not about framing.
func isTarget(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return s != ""
}

func isValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
