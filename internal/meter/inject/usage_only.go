package inject

import (
	"bytes"

	"github.com/tidwall/gjson"

	"tollgate/internal/meter/frame"
)

// mostKept is the longest event that is kept back. A longer one is not there for its usage alone.
const mostKept = 64 << 10

// UsageOnly leaves out of a server-sent event stream the events that have usage and no choices: what an API in the
// manner of OpenAI's sends before its end where usage was asked for. Every event goes on as soon as it has
// ended, one of more than 64 KiB before. The zero value is at the beginning of a stream.
type UsageOnly struct {
	held []byte // of the event at hand, as it came
	pass bool   // the event at hand goes on as it comes
	line bool   // the line at hand has something in it
	cr   bool   // the last byte was CR: an LF is the rest of the same line end
	ends bool   // the last line end was the end of an event
	gone bool   // that event was left out
}

// Next takes the next piece and appends to out what goes on of it and of those before.
func (u *UsageOnly) Next(out, p []byte) []byte {
	if u.cr && len(p) > 0 {
		u.cr = false
		if p[0] == '\n' {
			out, p = u.lineFeed(out), p[1:]
		}
	}
	for len(p) > 0 {
		n := bytes.IndexAny(p, "\r\n")
		if n < 0 {
			u.line = true
			out = u.keep(out, p)
			break
		}
		empty := n == 0 && !u.line
		end := n + 1
		if p[n] == '\r' {
			if end == len(p) {
				u.cr = true
			} else if p[end] == '\n' {
				end++
			}
		}
		out = u.keep(out, p[:end])
		p, u.line, u.ends = p[end:], false, empty
		if empty {
			out = u.end(out)
		}
	}
	return out
}

// lineFeed takes the second half of a line end whose first half came with the piece before.
func (u *UsageOnly) lineFeed(out []byte) []byte {
	switch {
	case !u.ends:
		return u.keep(out, []byte{'\n'})
	case u.gone:
		return out
	default:
		return append(out, '\n')
	}
}

// keep takes bytes of the event at hand.
func (u *UsageOnly) keep(out, p []byte) []byte {
	if u.pass {
		return append(out, p...)
	}
	if u.held = append(u.held, p...); len(u.held) > mostKept {
		u.pass = true
		out = append(out, u.held...)
		u.held = u.held[:0]
	}
	return out
}

// end decides about the event at hand.
func (u *UsageOnly) end(out []byte) []byte {
	u.gone = !u.pass && usageOnly(u.held)
	if !u.gone {
		out = append(out, u.held...)
	}
	u.held, u.pass = u.held[:0], false
	return out
}

// Rest appends what was kept back, when the stream has ended.
func (u *UsageOnly) Rest(out []byte) []byte { return append(out, u.held...) }

// usageOnly says whether an event has usage and no choices.
func usageOnly(event []byte) bool {
	var data []byte
	event = bytes.TrimPrefix(event, []byte("\ufeff"))
	lines := 0
	for line := range bytes.FieldsFuncSeq(event, func(r rune) bool { return r == '\r' || r == '\n' }) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if string(name) != "data" {
			continue
		}
		if lines++; lines > 1 {
			data = append(data, '\n')
		}
		data = append(data, bytes.TrimPrefix(value, []byte(" "))...)
	}
	if !frame.Valid(data) {
		return false
	}
	doc := gjson.ParseBytes(data)
	choices := doc.Get("choices")
	return choices.IsArray() && choices.Get("#").Int() == 0 && doc.Get("usage").IsObject()
}
