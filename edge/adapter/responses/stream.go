package responses

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/completions"
	"tollgate/edge/adapter/sse"
	"tollgate/internal/meter/frame"
)

const (
	mostKept  = 64 << 20 // bytes of an answer that are kept to be told again at its end
	mostItems = 4096
)

// stream makes the events of a response of a stream of chunks.
//
// One item of text or thoughts is open at a time. Calls stay open until the end: their fragments come with an index of their own,
// and nothing says when a call has all of them.
type stream struct {
	t      *translation
	reader sse.Reader
	emit   func(sse.Event) error
	dst    []byte
	seq    int64

	begun, over bool
	items       []*item // of the output, by index
	block       *item   // the open one of text or thoughts
	calls       []*call
	kept        int

	finish string
	tier   string
	usage  usage
}

var errNoJSON = errors.New("no JSON")

func newStream(t *translation) *stream {
	s := &stream{t: t}
	s.emit = s.event
	return s
}

// Next translates a piece.
func (s *stream) Next(dst, piece []byte) ([]byte, error) {
	if s.over {
		return dst, nil
	}
	s.dst = dst
	err := s.reader.Next(piece, s.emit)
	return s.dst, s.told(err)
}

// End translates what is left.
func (s *stream) End(dst []byte, whole bool) ([]byte, error) {
	if s.over {
		return dst, nil
	}
	s.dst = dst
	if whole {
		if err := s.reader.End(s.emit); err != nil {
			return s.dst, s.told(err)
		}
		if !s.over && s.finish != "" {
			if err := s.complete(); err != nil {
				return s.dst, s.told(err)
			}
		}
	}
	if !s.over {
		return s.dst, adapter.Fail("The stream of %s ended early.", s.t.call.Vendor)
	}
	return s.dst, nil
}

// told makes an error that the caller can be told.
func (s *stream) told(err error) error {
	var known *adapter.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.Is(err, sse.ErrTooLong):
		return adapter.Fail("The stream of %s has an event that is too long.", s.t.call.Vendor)
	default:
		return adapter.Fail("The stream of %s has an event that is no JSON.", s.t.call.Vendor)
	}
}

var done = []byte("[DONE]")

// event reads one event of the vendor's.
func (s *stream) event(e sse.Event) error {
	data := bytes.TrimSpace(e.Data)
	switch {
	case s.over || len(data) == 0:
		return nil
	case bytes.Equal(data, done):
		return s.complete()
	}
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\ufffd"))
	}
	if !frame.Valid(data) {
		return errNoJSON
	}
	d := completions.Read(data)
	if d.Failed || e.Type == "error" {
		return adapter.Read(0, "", data)
	}
	if d.Used.IsObject() {
		s.usage = usage{completions.ReadUsage(d.Used)}
	} else if d.Aside.IsObject() && !s.usage.Known {
		s.usage = usage{completions.ReadUsage(d.Aside)}
	}
	if d.Tier.Exists() {
		s.tier = tier(d.Tier)
	}
	if !d.Choice.IsObject() {
		return nil
	}
	return s.choice(d.Choice)
}

// choice reads what an event adds.
func (s *stream) choice(choice gjson.Result) error {
	c := completions.ReadChoice(choice)
	s.begin()
	if err := s.delta(c.Said); err != nil {
		return err
	}
	if c.Finish != "" {
		if err := adapter.Interrupted(choice); err != nil {
			return err
		}
		s.finish = c.Finish
	}
	return nil
}

func (s *stream) delta(delta gjson.Result) error {
	said := completions.ReadSaid(delta)
	s.think(said.Thought)
	completions.Pieces(said.Content, s.think, s.say, s.refuse)
	s.refuse(said.Refusal)
	if said.Notes.IsArray() {
		s.annotate(said.Notes)
	}
	var err error
	position := int64(0)
	said.Calls(func(call completions.Call) bool {
		err = s.fragment(position, &call)
		position++
		return err == nil
	})
	if err == nil && (s.kept > mostKept || len(s.items) > mostItems) {
		err = adapter.Fail("The answer of %s is too long.", s.t.call.Vendor)
	}
	return err
}

// complete ends the answer.
func (s *stream) complete() error {
	if !s.begun {
		return adapter.Fail("%s answered without a choice.", s.t.call.Vendor)
	}
	o := end(s.finish)
	o.tier, o.usage = s.tier, s.usage
	for _, c := range s.calls {
		if c.item == nil {
			return adapter.Fail("%s called a tool that has no name.", s.t.call.Vendor)
		}
	}
	if len(s.items) == 0 {
		s.openText(textPart) // an answer of nothing is a message that says nothing
	}
	status := func(index int) string {
		if index == len(s.items)-1 {
			return o.status
		}
		return "completed"
	}
	if s.block != nil {
		s.closeBlock(status(s.block.index))
	}
	for _, c := range s.calls {
		s.closeCall(c, status(c.item.index))
	}
	output := make([]byte, 0, s.kept+len(s.items)*160)
	for i, it := range s.items {
		if i > 0 {
			output = append(output, ',')
		}
		output = append(output, it.json...)
	}
	name := "response.completed"
	if o.incomplete != "" {
		name = "response.incomplete"
	}
	s.lifecycle(name, o, output)
	s.over = true
	return nil
}

// begin writes the first events.
func (s *stream) begin() {
	if s.begun {
		return
	}
	s.begun = true
	o := outcome{status: "in_progress"}
	s.lifecycle("response.created", o, nil)
	s.lifecycle("response.in_progress", o, nil)
}

// Ping keeps the connection open. It has no blank line behind it, which some clients take for an event.
func (s *stream) Ping(dst []byte) []byte { return append(dst, ": ping\n"...) }

// Fail ends the stream with an error.
func (s *stream) Fail(dst []byte, err *adapter.Error, requestID string) []byte {
	if s.over {
		return dst
	}
	s.over = true
	return adapter.AppendEvent(dst, adapter.Responses, err, requestID, s.seq)
}
