package nethttp

import (
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"tollgate/internal/fault"
)

// malformedHere is malformed for one stream, which does not end the connection.
func malformedHere(format string, args ...any) *fault.Error {
	return malformed(format, args...).WithHint("Send a request whose head and body everybody reads alike.")
}

// malformedStream says what is wrong with a request of HTTP/2 that net/http takes and HTTP/1.1 could not
// say, or would say to two servers in two ways; nil if nothing is. Of HTTP/1.1 net/http itself takes none
// of it.
func malformedStream(r *http.Request) *fault.Error {
	if !httpguts.ValidHeaderFieldName(r.Method) {
		return malformedHere("The method of the request is not one word.")
	}
	if !httpguts.ValidHostHeader(r.Host) {
		return malformedHere("The authority of the request is not one.")
	}
	for _, host := range r.Header["Host"] {
		if !strings.EqualFold(host, r.Host) {
			return malformedHere("Two servers could read the request in two ways: it names two hosts.")
		}
	}
	if lengths := r.Header["Content-Length"]; len(lengths) > 0 {
		// Of a request that ends with its head, net/http compares nothing.
		n, err := strconv.ParseUint(lengths[0], 10, 63)
		if len(lengths) > 1 || err != nil || int64(n) != r.ContentLength { //nolint:gosec // 63 bits
			return malformedHere("Two servers could read the request in two ways: its Content-Length is not that of its body.")
		}
	}
	for _, expected := range r.Header["Expect"] {
		if !httpguts.HeaderValuesContainsToken([]string{expected}, "100-continue") {
			return malformedHere("The request expects something other than 100-continue.")
		}
	}
	return nil
}
