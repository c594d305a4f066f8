package nethttp

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/http1"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// Why a request that never became an exchange was refused.
func malformed(format string, args ...any) *fault.Error {
	return fault.New(fault.RequestMalformed, format, args...)
}

func (l limits) tooLarge() *fault.Error {
	return fault.New(fault.HeadersTooLarge, "The headers of a request may have %d bytes and %d lines.", l.bytes, l.lines)
}

// refusalOf is what a caller gets to read in place of an answer that net/http has made itself: plain
// text, from the status line of which its reason is known.
func refusalOf(answer []byte) *fault.Error {
	status := ""
	if fields := bytes.Fields(answer[:min(len(answer), 16)]); len(fields) > 1 {
		status = string(fields[1])
	}
	switch status {
	case "501":
		return fault.New(fault.EncodingUnsupported, "The request has a transfer encoding other than chunked.")
	case "417":
		return malformed("The request expects something other than 100-continue.")
	case "505":
		return malformed("The request is not of HTTP/1.0, HTTP/1.1 or HTTP/2.")
	default:
		return malformed("The head of the request is not well-formed.")
	}
}

// refusalHeaders are those of an answer with an error and no exchange.
func refusalHeaders(requestID string, length int) []proxy.Header {
	return []proxy.Header{
		{Name: proxy.HeaderRequestID, Value: requestID},
		{Name: "Date", Value: time.Now().UTC().Format(http.TimeFormat)},
		{Name: "Cache-Control", Value: "no-store"},
		{Name: "Content-Type", Value: "application/json"},
		{Name: "Content-Length", Value: strconv.Itoa(length)},
	}
}

// refusal is a whole answer of HTTP/1.1, after which the connection ends.
func refusal(f *fault.Error) []byte {
	requestID := id.New(id.Request)
	body := append(proxy.ErrorBody(f, requestID), '\n')
	out := http1.AppendStatus(nil, f.Status())
	for _, h := range refusalHeaders(requestID, len(body)) {
		out = http1.AppendHeader(out, h.Name, h.Value)
	}
	out = http1.AppendHeader(out, "Connection", "close")
	return append(append(out, "\r\n"...), body...)
}

// refuseStream answers a request of HTTP/2 that does not become an exchange.
func refuseStream(w http.ResponseWriter, f *fault.Error) {
	requestID := id.New(id.Request)
	body := append(proxy.ErrorBody(f, requestID), '\n')
	addAll(w.Header(), refusalHeaders(requestID, len(body)))
	w.WriteHeader(f.Status())
	_, _ = w.Write(body) // a caller who is gone needs no answer
}
