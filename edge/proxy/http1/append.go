package http1

import (
	"net/http"
	"strconv"

	"golang.org/x/net/http/httpguts"

	"tollgate/edge/proxy"
)

// ValidRequest says whether the first line and the Host header of a request can be written as they are.
func ValidRequest(method, target, host string) bool {
	for i := range len(target) {
		if target[i] <= ' ' || target[i] == 0x7f {
			return false
		}
	}
	return is([]byte(method), isToken) && target != "" && host != "" && httpguts.ValidHostHeader(host)
}

// ValidHeader says whether a header can be written as it is.
func ValidHeader(name, value string) bool {
	return is([]byte(name), isToken) && control([]byte(value), 0) == len(value)
}

// AppendRequest appends the first line of a request and its Host header. What is not a ValidRequest would be another request, so that
// it comes out without what does not belong there.
func AppendRequest(dst []byte, method, target, host string) []byte {
	dst = appendVisible(dst, method)
	dst = append(dst, ' ')
	dst = appendVisible(dst, target)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = appendVisible(dst, host)
	return append(dst, "\r\n"...)
}

// appendVisible leaves spaces and control characters out.
func appendVisible(dst []byte, s string) []byte {
	from := 0
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			dst = append(dst, s[from:i]...)
			from = i + 1
		}
	}
	return append(dst, s[from:]...)
}

// AppendStatus appends the first line of an answer.
func AppendStatus(dst []byte, status int) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	if text := http.StatusText(status); text != "" {
		dst = append(dst, text...)
	} else {
		dst = append(dst, "status code "...)
		dst = strconv.AppendInt(dst, int64(status), 10)
	}
	return append(dst, "\r\n"...)
}

// AppendHeader appends a header. It never writes what would be more than one line, or another one, as net/http does not: a header
// whose name is none is left out, and control characters of a value become spaces. ValidHeader tells who wants to know.
func AppendHeader(dst []byte, name, value string) []byte {
	if !is([]byte(name), isToken) {
		return dst
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	for {
		at := control([]byte(value), 0)
		dst = append(dst, value[:at]...)
		if at == len(value) {
			return append(dst, "\r\n"...)
		}
		dst = append(dst, ' ')
		value = value[at+1:]
	}
}

// AppendChunk appends the line before a chunk of n bytes, behind which CR LF has to follow. Nothing is no chunk, because one
// without bytes would end the body.
func AppendChunk(dst []byte, n int) []byte {
	if n <= 0 {
		return dst
	}
	return append(strconv.AppendInt(dst, int64(n), 16), "\r\n"...)
}

// AppendEnd appends the end of a chunked body, with its trailers.
func AppendEnd(dst []byte, trailers []proxy.Header) []byte {
	dst = append(dst, "0\r\n"...)
	for _, h := range trailers {
		dst = AppendHeader(dst, h.Name, h.Value)
	}
	return append(dst, "\r\n"...)
}
