package messages

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
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
		return dst, s.fail(adapter.Fail("the vendor's stream broke off"))
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
		return append(dst, ": ping\n\n"...)
	}
	return append(dst, ping...)
}

const ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n"

// fail keeps the error that ends the stream.
func (s *stream) fail(err error) error {
	if errors.Is(err, sse.ErrTooLong) {
		err = adapter.Fail("the vendor's stream has an event that is too long")
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
		return adapter.Fail("the vendor's stream has an event that is no JSON document")
	}
	var id, object, choices, used, groq, failure gjson.Result
	gjson.ParseBytes(data).ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "id":
			id = v
		case "object":
			object = v
		case "choices":
			choices = v
		case "usage":
			used = v
		case "x_groq":
			groq = v
		case "error":
			failure = v
		}
		return true
	})
	if present(failure) || e.Type == "error" || object.Str == "error" {
		return adapter.Read(0, "", data)
	}
	if used.IsObject() {
		s.usage, s.hasUsage = readUsage(used), true
	} else if used = groq.Get("usage"); used.IsObject() && !s.hasUsage {
		s.usage = readUsage(used)
	}
	choice := first(choices)
	if !choice.IsObject() {
		return nil
	}
	if !s.started {
		s.start(id.Str)
	}
	return s.choice(choice)
}

// start writes the first event. What the prompt took is known at the end as a rule.
func (s *stream) start(id string) {
	s.started = true
	out := append(s.blocks.out, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\""...)
	out = append(appendID(out, id, s.format), `","type":"message","role":"assistant","model":`...)
	out = append(append(out, s.format.asked...), `,"content":[],"stop_reason":null,"stop_sequence":null,"usage":`...)
	u := usage{input: s.usage.input, cacheWrite: s.usage.cacheWrite, cacheRead: s.usage.cacheRead, output: 1}
	out = append(u.append(out), "}}\n\n"...)
	s.blocks.out = append(out, ping...)
}

// choice translates what an event adds to the answer.
func (s *stream) choice(choice gjson.Result) error {
	var delta, finish, other gjson.Result
	choice.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "delta":
			delta = v
		case "finish_reason":
			finish = v
		case "stop_reason":
			other = v
		}
		return true
	})
	if err := s.delta(delta); err != nil {
		return err
	}
	if finish.Type == gjson.String && finish.Str != "" {
		if err := adapter.Interrupted(choice); err != nil {
			return err
		}
		s.finished, s.reason = true, finish.Str
		if other.Type == gjson.String {
			s.other = other.Raw
		}
	}
	return nil
}

func (s *stream) delta(delta gjson.Result) error {
	var text, refusal, reasoning, reasoningContent, calls, call gjson.Result
	delta.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "content":
			text = v
		case "refusal":
			refusal = v
		case "reasoning":
			reasoning = v
		case "reasoning_content":
			reasoningContent = v
		case "tool_calls":
			calls = v
		case "function_call":
			call = v
		}
		return true
	})
	if reasoningContent.Type == gjson.String && reasoningContent.Str != "" {
		reasoning = reasoningContent
	}
	var err error
	say := func(kind blockKind, v gjson.Result) {
		if err == nil && (kind == textBlock || s.format.thoughts) {
			err = s.blocks.say(kind, v)
		}
	}
	say(thinkingBlock, reasoning)
	pieces(text, func(v gjson.Result) { say(thinkingBlock, v) }, func(v gjson.Result) { say(textBlock, v) })
	say(textBlock, refusal)
	each(calls, func(v gjson.Result) bool {
		if err == nil {
			err = s.blocks.call(v, v.Get("function"))
		}
		return err == nil
	})
	if err == nil && call.IsObject() {
		err = s.blocks.call(gjson.Result{}, call)
	}
	return err
}

// finish writes the end of the answer, if the vendor has said how it ended.
func (s *stream) finish() error {
	switch {
	case s.complete:
		return nil
	case !s.started:
		return adapter.Fail("the vendor's stream ended without an answer")
	case !s.finished:
		return adapter.Fail("the vendor's stream ended early: it did not say why the answer ended")
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
