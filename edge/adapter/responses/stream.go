package responses

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
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
	var choices gjson.Result
	failed := e.Type == "error"
	gjson.ParseBytes(data).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "choices":
			choices = value
		case "error":
			failed = failed || present(value)
		case "usage":
			if value.IsObject() {
				s.usage = readUsage(value)
			}
		case "x_groq": // where Groq has it
			if u := value.Get("usage"); u.IsObject() && !s.usage.known {
				s.usage = readUsage(u)
			}
		case "service_tier":
			s.tier = tier(value)
		}
		return true
	})
	if failed {
		return adapter.Read(0, "", data)
	}
	var err error
	choices.ForEach(func(_, choice gjson.Result) bool {
		err = s.choice(choice)
		return err == nil
	})
	return err
}

// choice reads one choice of a chunk. Those beside the first were not asked for.
func (s *stream) choice(choice gjson.Result) error {
	var delta, finish gjson.Result
	first := true
	choice.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "index":
			first = value.Int() == 0
		case "delta":
			delta = value
		case "finish_reason":
			finish = value
		}
		return true
	})
	if !first {
		return nil
	}
	s.begin()
	if err := s.delta(delta); err != nil {
		return err
	}
	if finish.Type == gjson.String && finish.Str != "" {
		if err := adapter.Interrupted(choice); err != nil {
			return err
		}
		s.finish = finish.String()
	}
	return nil
}

// delta reads what a chunk adds.
func (s *stream) delta(delta gjson.Result) error {
	var content, refusal, reasoning, other, calls, function, notes gjson.Result
	delta.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "content":
			content = value
		case "refusal":
			refusal = value
		case "reasoning_content":
			reasoning = value
		case "reasoning":
			other = value
		case "tool_calls":
			calls = value
		case "function_call":
			function = value
		case "annotations":
			notes = value
		}
		return true
	})
	if text := thoughts(reasoning, other); text != "" {
		s.think(text)
	}
	if present(content) {
		eachText(content, s.say, s.think)
	}
	if refusal.Type == gjson.String {
		s.refuse(inner(refusal))
	}
	if notes.IsArray() {
		s.annotate(notes)
	}
	var err error
	if calls.IsArray() {
		position := int64(0)
		calls.ForEach(func(_, fragment gjson.Result) bool {
			err = s.fragment(position, fragment)
			position++
			return err == nil
		})
	} else if function.IsObject() {
		err = s.fragment(0, delta)
	}
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
		s.say("") // an answer of nothing is a message that says nothing
		s.openText(textPart)
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
