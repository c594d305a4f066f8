package messages

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/completions"
	"tollgate/edge/adapter/sse"
	"tollgate/internal/meter/frame"
)

// stream translates a stream of Chat Completions into one of Messages. The blocks of the latter come one after another, each from
// its start to its stop, while the former may give parts of several at a time: see blocks.
type stream struct {
	format *format
	reader sse.Reader
	emit   func(sse.Event) error
	blocks blocks

	started  bool // message_start is written
	finished bool // the vendor has said why the answer ended
	complete bool // message_stop is written
	failure  error

	reason   string // finish_reason
	other    string // vLLM's stop_reason, JSON; empty for none
	usage    usage
	hasUsage bool
}

func newStream(f *format) *stream {
	s := &stream{format: f, blocks: blocks{format: f}}
	s.emit = s.event
	return s
}

func (s *stream) Next(dst, piece []byte) ([]byte, error) {
	if s.complete || s.failure != nil {
		return dst, s.failure
	}
	s.blocks.out = dst
	err := s.fail(s.reader.Next(piece, s.emit))
	return s.blocks.out, err
}

func (s *stream) End(dst []byte, whole bool) ([]byte, error) {
	if s.complete || s.failure != nil {
		return dst, s.failure
	}
	if !whole {
		return dst, s.fail(adapter.Fail("The vendor's stream broke off."))
	}
	s.blocks.out = dst
	err := s.reader.End(s.emit)
	if err == nil {
		err = s.finish()
	}
	err = s.fail(err)
	return s.blocks.out, err
}

func (s *stream) Fail(dst []byte, err *adapter.Error, requestID string) []byte {
	if s.complete {
		return dst
	}
	if s.failure == nil {
		s.failure = err
	}
	return adapter.AppendEvent(dst, adapter.Messages, err, requestID, 0)
}

func (s *stream) Ping(dst []byte) []byte {
	switch {
	case s.complete || s.failure != nil:
		return dst
	case !s.started:
		// Nothing may come before message_start, but for a comment.
		return append(dst, ": ping\n"...)
	}
	return append(dst, ping...)
}

const ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n"

// fail keeps the error that ends the stream.
func (s *stream) fail(err error) error {
	if errors.Is(err, sse.ErrTooLong) {
		err = adapter.Fail("The vendor's stream has an event that is too long.")
	}
	s.failure = err
	return err
}

// event translates one event.
func (s *stream) event(e sse.Event) error {
	data := bytes.TrimSpace(e.Data)
	switch {
	case s.complete || len(data) == 0:
		return nil
	case string(data) == "[DONE]":
		return s.finish()
	case !frame.Valid(data):
		return adapter.Fail("The vendor's stream has an event that is no JSON document.")
	}
	d := completions.Read(data)
	if d.Failed || e.Type == "error" {
		return adapter.Read(0, "", data)
	}
	if d.Used.IsObject() {
		s.usage, s.hasUsage = usage{completions.ReadUsage(d.Used)}, true
	} else if d.Aside.IsObject() && !s.hasUsage {
		s.usage = usage{completions.ReadUsage(d.Aside)}
	}
	if !d.Choice.IsObject() {
		return nil
	}
	if !s.started {
		s.start(d.ID)
	}
	return s.choice(d.Choice)
}

// start writes the first event. What the prompt took is known at the end as a rule.
func (s *stream) start(id string) {
	s.started = true
	out := append(s.blocks.out, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\""...)
	out = append(appendID(out, id, s.format), `","type":"message","role":"assistant","model":`...)
	out = append(append(out, s.format.asked...), `,"content":[],"stop_reason":null,"stop_sequence":null,"usage":`...)
	u := usage{completions.Usage{Prompt: s.usage.Prompt, Written: s.usage.Written, Cached: s.usage.Cached, Output: 1}}
	out = append(u.append(out), "}}\n\n"...)
	s.blocks.out = append(out, ping...)
}

// choice translates what an event adds to the answer.
func (s *stream) choice(choice gjson.Result) error {
	c := completions.ReadChoice(choice)
	if err := s.delta(c.Said); err != nil {
		return err
	}
	if c.Finish != "" {
		if err := adapter.Interrupted(choice); err != nil {
			return err
		}
		s.finished, s.reason = true, c.Finish
		if c.Stop.Type == gjson.String {
			s.other = c.Stop.Raw
		}
	}
	return nil
}

func (s *stream) delta(delta gjson.Result) error {
	said := completions.ReadSaid(delta)
	var err error
	say := func(kind blockKind, v gjson.Result) {
		if err == nil && (kind == textBlock || s.format.thoughts) {
			err = s.blocks.say(kind, v)
		}
	}
	text := func(v gjson.Result) { say(textBlock, v) }
	say(thinkingBlock, said.Thought)
	completions.Pieces(said.Content, func(v gjson.Result) { say(thinkingBlock, v) }, text, text)
	say(textBlock, said.Refusal)
	if err != nil {
		return err
	}
	said.Calls(func(call completions.Call) bool {
		err = s.blocks.call(&call)
		return err == nil
	})
	return err
}

// finish writes the end of the answer, if the vendor has said how it ended.
func (s *stream) finish() error {
	switch {
	case s.complete:
		return nil
	case !s.started:
		return adapter.Fail("The vendor's stream ended without an answer.")
	case !s.finished:
		return adapter.Fail("The vendor's stream ended early: it did not say why the answer ended.")
	}
	calls, err := s.blocks.finish(s.reason == "length")
	if err != nil {
		return err
	}
	var other gjson.Result
	if s.other != "" {
		other = gjson.Result{Type: gjson.String, Raw: s.other}
	}
	out := append(s.blocks.out, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"...)
	out = append(stopOf(s.reason, other, calls).append(out), `},"usage":`...)
	out = append(s.usage.append(out), "}\n\n"...)
	s.blocks.out = append(out, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...)
	s.complete = true
	return nil
}

// appendEventOf begins an event about a block.
func appendEventOf(dst []byte, typ string, index int) []byte {
	dst = append(append(append(dst, "event: "...), typ...), "\ndata: {\"type\":\""...)
	return strconv.AppendInt(append(append(dst, typ...), `","index":`...), int64(index), 10)
}
