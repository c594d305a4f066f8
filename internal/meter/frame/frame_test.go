package frame_test

import (
	"strings"
	"testing"

	"tollgate/internal/meter/frame"
)

// paths are a Paths that a test asks for.
func paths(tb testing.TB, list ...string) *frame.Paths {
	tb.Helper()
	p, err := frame.NewPaths(list...)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// read is what a stream makes of pieces.
type read struct {
	frames  []seen
	count   int64
	trouble string
}

type seen struct {
	event, doc    string
	none          bool // it is no document
	sent, partial bool
}

// readAll reads a body in these pieces.
func readAll(kind frame.Kind, encoding string, p *frame.Paths, pieces ...string) read {
	var r read
	s := frame.New(kind, encoding, p, func(f *frame.Frame) {
		r.frames = append(r.frames, seen{f.Event, string(f.Doc), f.Doc == nil, f.Sent, f.Partial})
	})
	s.Compressed(true)
	for _, piece := range pieces {
		s.Write([]byte(piece))
	}
	s.End(true)
	r.count, r.trouble = s.Frames(), s.Trouble()
	return r
}

// docs are the documents of the frames, one after the other; "-" for none.
func (r read) docs() string {
	var b strings.Builder
	for i, f := range r.frames {
		if i > 0 {
			b.WriteString(" ")
		}
		if f.event != "" {
			b.WriteString(f.event + ":")
		}
		if f.none {
			b.WriteString("-")
		}
		b.WriteString(f.doc)
		if f.partial {
			b.WriteString("…")
		}
	}
	return b.String()
}

// split cuts a body into bytes.
func split(body string) []string { return strings.Split(body, "") }
