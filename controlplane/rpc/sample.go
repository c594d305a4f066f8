package rpc

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strings"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter"
	"tollgate/internal/meter/frame"
)

// mostPlain is how much a meter sees of a body that was compressed, as on edges.
const mostPlain = 16 << 20

// exchange is a sample with everything filled in that was left out.
type exchange struct {
	request  meter.Request
	sent     []byte // what the target gets, as the meter reads it
	status   int
	answer   http.Header
	received []byte
	whole    bool
	notes    []string
}

// newExchange reads a sample.
func newExchange(s *controlv1.Sample) *exchange {
	asked := headers(s.GetRequestHeaders())
	path, query, _ := strings.Cut(cmp.Or(s.GetPath(), "/"), "?")
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	x := &exchange{
		request: meter.Request{
			Method: strings.ToUpper(cmp.Or(s.GetMethod(), http.MethodPost)), Path: path, Query: query, Header: asked.Get,
			WebSocket: strings.EqualFold(asked.Get("Upgrade"), "websocket"),
			Body:      s.GetRequestBody(), Whole: true, Length: int64(len(s.GetRequestBody())),
		},
		status: int(cmp.Or(s.GetStatus(), http.StatusOK)), answer: headers(s.GetHeaders()),
		sent: s.GetRequestBody(), received: s.GetBody(), whole: !s.GetInterrupted(),
	}
	if encoding, r := asked.Get("Content-Encoding"), &x.request; encoding != "" {
		if r.Body, r.Whole = frame.Plain(r.Body, encoding, mostPlain, func(int64) bool { return true }); !r.Whole {
			x.notes = append(x.notes, "The body of the request cannot be read whole without its content encoding.")
		}
	}
	if x.request.WebSocket {
		x.request.Method = cmp.Or(s.GetMethod(), http.MethodGet)
		if s.GetStatus() == 0 {
			x.status = http.StatusSwitchingProtocols
		}
		x.request.Body, x.request.Length = nil, 0
		x.sent, x.received = messages(x.sent, true), messages(x.received, false)
		return x
	}
	if x.answer.Get("Content-Type") == "" && len(x.received) > 0 {
		if guess := contentType(x.received); guess != "" {
			x.answer.Set("Content-Type", guess)
			x.notes = append(x.notes, "The answer has no content-type: "+guess+" is assumed, by its body.")
		}
	}
	return x
}

func headers(all []*controlv1.SampleHeader) http.Header {
	out := http.Header{}
	for _, h := range all {
		out.Add(h.GetName(), h.GetValue())
	}
	return out
}

// Lengths of the parts of a message of AWS before its headers.
const awsPrelude = 12

// contentType guesses what a body is from how it begins; empty if it could be anything. Samples are often
// pasted without their headers.
func contentType(body []byte) string {
	if len(body) >= awsPrelude {
		total, head := binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
		if total >= awsPrelude+4 && head <= total-awsPrelude-4 && int64(total) <= int64(len(body)) && body[0] == 0 {
			return "application/vnd.amazon.eventstream"
		}
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n")
	for _, field := range []string{"data:", "event:", "id:", "retry:", ":"} {
		if bytes.HasPrefix(text, []byte(field)) {
			return "text/event-stream"
		}
	}
	if len(text) == 0 || text[0] != '{' && text[0] != '[' {
		return ""
	}
	if lines(text) {
		return "application/x-ndjson"
	}
	return "application/json"
}

// lines says whether a text is several documents, one a line, and not one.
func lines(text []byte) bool {
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	return len(bytes.TrimSpace(rest)) > 0 && json.Valid(first) && !json.Valid(text)
}

// messages writes each line as a text message of a WebSocket. A caller's are masked, as the protocol wants it;
// a mask of zeros leaves them as they are.
func messages(text []byte, masked bool) []byte {
	const (
		finText  = 0x81
		mask     = 0x80
		short    = 125
		twoBytes = 126
		eight    = 127
	)
	var out []byte
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			continue
		}
		var first byte
		if masked {
			first = mask
		}
		out = append(out, finText)
		switch n := len(line); {
		case n <= short:
			out = append(out, first|byte(n))
		case n < 1<<16:
			out = binary.BigEndian.AppendUint16(append(out, first|twoBytes), uint16(n))
		default:
			out = binary.BigEndian.AppendUint64(append(out, first|eight), uint64(n))
		}
		if masked {
			out = append(out, 0, 0, 0, 0)
		}
		out = append(out, line...)
	}
	return out
}
