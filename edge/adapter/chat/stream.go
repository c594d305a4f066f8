package chat

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/jsontext"
	"tollgate/edge/adapter/sse"
	"tollgate/internal/meter/frame"
)

// stream is a vendor's stream on its way. The reason for which an answer ended is kept until the vendor has said that it
// has ended, so that one that breaks off behind it does not look complete.
type stream struct {
	t      *translation
	reader sse.Reader
	emit   func(sse.Event) error
	dst    []byte

	id          string // of the message, as JSON
	head, tail  []byte // of each chunk, around what is new in it
	begun, done bool
	err         error // what ended it
	reason      gjson.Result
	usage       usage
	blocks      []block // that are open
	tools       int     // calls of tools so far
}

// block is a part of the vendor's answer.
type block struct {
	index int64
	kind  kind
	tool  int  // its number, if it is a call of a tool
	said  bool // the call has arguments
}

type kind uint8

const (
	ofNothing kind = iota
	ofText
	ofThought
	ofTool
)

// mostBlocks is how many parts of an answer may be open at a time. Vendors have one.
const mostBlocks = 256

func (s *stream) Next(dst, piece []byte) ([]byte, error) {
	if s.done || s.err != nil {
		return dst, s.err
	}
	s.dst = dst
	return s.run(s.reader.Next(piece, s.emit))
}

func (s *stream) End(dst []byte, whole bool) ([]byte, error) {
	if s.done || s.err != nil {
		return dst, s.err
	}
	if whole {
		var err error
		s.dst = dst
		if dst, err = s.run(s.reader.End(s.emit)); err != nil || s.done {
			return dst, err
		}
		// What ends an answer was there, but for the event that says so.
		if s.reason.Exists() {
			return s.finish(dst), nil
		}
	}
	s.err = adapter.Fail("The vendor's stream ended before the answer did.")
	return dst, s.err
}

// run ends a piece of work: what was appended is given back, and what went wrong is kept.
func (s *stream) run(err error) ([]byte, error) {
	out := s.dst
	s.dst = nil
	if errors.Is(err, sse.ErrTooLong) {
		err = adapter.Fail("An event of the vendor's stream is too long.")
	}
	s.err = err
	return out, err
}

func (s *stream) Fail(dst []byte, err *adapter.Error, requestID string) []byte {
	if s.done {
		return dst
	}
	s.done = true
	return adapter.AppendEvent(dst, adapter.Chat, err, requestID, 0)
}

// Ping has no blank line behind it: clients that take each one for the end of an event, as OpenAI's for Go did, stumble over one without
// data.
func (s *stream) Ping(dst []byte) []byte { return append(dst, ": ping\n"...) }

// event takes one event of the vendor's.
func (s *stream) event(e sse.Event) error {
	if s.done {
		return nil
	}
	if !frame.Valid(e.Data) {
		return adapter.Fail("An event of the vendor's stream is not valid JSON.")
	}
	doc := gjson.ParseBytes(e.Data)
	typ := doc.Get("type").Str
	if typ == "" {
		typ = e.Type
	}
	switch typ {
	case "message_start":
		return s.start(doc.Get("message"))
	case "ping":
		s.dst = s.Ping(s.dst)
		return nil
	case "error":
		return adapter.Read(0, "", e.Data)
	case "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop":
		if !s.begun {
			return adapter.Fail("The vendor's stream does not begin with message_start, but with %s.", typ)
		}
	default:
		return nil
	}
	switch typ {
	case "content_block_start":
		return s.open(doc.Get("index").Int(), doc.Get("content_block"))
	case "content_block_delta":
		return s.delta(doc.Get("index").Int(), doc.Get("delta"))
	case "content_block_stop":
		s.shut(doc.Get("index").Int())
	case "message_delta":
		if r := doc.Get("delta.stop_reason"); r.Type == gjson.String {
			s.reason = r
		}
		s.usage.read(doc.Get("usage"))
	case "message_stop":
		s.dst = s.finish(s.dst)
	}
	return nil
}

func (s *stream) start(message gjson.Result) error {
	id := message.Get("id")
	if s.begun {
		if jsonText(id) == s.id {
			return nil
		}
		return adapter.Fail("The vendor's stream has two messages in it.")
	}
	s.begun, s.id = true, jsonText(id)
	s.usage.read(message.Get("usage"))
	s.head = s.t.head(append(s.head, "data: "...), id, "chat.completion.chunk")
	s.head = append(s.head, `,"choices":[{"index":0,"delta":{`...)
	s.tail = append(s.tail, `},"logprobs":null,"finish_reason":null}]`...)
	if s.t.usage {
		s.tail = append(s.tail, `,"usage":null`...)
	}
	s.tail = append(s.tail, "}\n\n"...)
	s.chunk(`"role":"assistant","content":"","refusal":null`, "", "")
	return nil
}

// chunk writes a chunk with what is new.
func (s *stream) chunk(a, b, c string) {
	s.dst = append(append(append(append(append(s.dst, s.head...), a...), b...), c...), s.tail...)
}

// open begins a part of the answer.
func (s *stream) open(index int64, content gjson.Result) error {
	if len(s.blocks) == mostBlocks {
		return adapter.Fail("The vendor's stream has too many blocks open at a time.")
	}
	if s.at(index) != nil {
		return adapter.Fail("The vendor's stream begins block %d twice.", index)
	}
	b := block{index: index}
	switch content.Get("type").Str {
	case "text":
		b.kind = ofText
		s.say(`"content":`, content.Get("text"))
	case "thinking":
		b.kind = ofThought
		s.say(`"reasoning_content":`, content.Get("thinking"))
	case "tool_use":
		if err := complete(content); err != nil {
			return err
		}
		b.tool = s.tools
		s.tools++
		if s.t.legacy && b.tool > 0 {
			break // the old form has room for one, and no more were allowed
		}
		b.kind = ofTool
		name := string(gjson.AppendJSONString(nil, s.t.names.Callers(content.Get("name").String())))
		if s.t.legacy {
			s.chunk(`"function_call":{"name":`, name, `,"arguments":""}`)
		} else {
			s.chunk(`"tool_calls":[{"index":`+strconv.Itoa(b.tool)+`,"id":`+jsonText(content.Get("id")), `,"type":"function","function":{"name":`, name+`,"arguments":""}}]`)
		}
		// A vendor that does not stream arguments has them here.
		if input := content.Get("input"); input.IsObject() && strings.Trim(input.Raw, "{} \t\r\n") != "" {
			s.argue(&b, string(jsontext.AppendDocument(nil, input.Raw)))
		}
	}
	s.blocks = append(s.blocks, b)
	return nil
}

func (s *stream) at(index int64) *block {
	for i := range s.blocks {
		if s.blocks[i].index == index {
			return &s.blocks[i]
		}
	}
	return nil
}

// say writes text, if there is any.
func (s *stream) say(field string, text gjson.Result) {
	if text.Type == gjson.String && text.Raw != `""` {
		s.chunk(field, text.Raw, "")
	}
}

// argue writes a piece of a call's arguments, which is JSON text.
func (s *stream) argue(b *block, piece string) {
	b.said = true
	if s.t.legacy {
		s.chunk(`"function_call":{"arguments":`, piece, "}")
		return
	}
	var space [48]byte
	head := append(strconv.AppendInt(append(space[:0], `"tool_calls":[{"index":`...), int64(b.tool), 10), `,"function":{"arguments":`...)
	s.dst = append(append(append(append(append(s.dst, s.head...), head...), piece...), "}}]"...), s.tail...)
}

// delta continues a part of the answer.
func (s *stream) delta(index int64, delta gjson.Result) error {
	b := s.at(index)
	if b == nil {
		return adapter.Fail("The vendor's stream goes on with block %d, which has not begun.", index)
	}
	switch typ := delta.Get("type").Str; {
	case typ == "text_delta" && b.kind == ofText:
		s.say(`"content":`, delta.Get("text"))
	case typ == "thinking_delta" && b.kind == ofThought:
		s.say(`"reasoning_content":`, delta.Get("thinking"))
	case typ == "input_json_delta" && b.kind == ofTool:
		if p := delta.Get("partial_json"); p.Type == gjson.String && p.Raw != `""` {
			s.argue(b, p.Raw)
		}
	}
	return nil
}

// shut ends a part of the answer.
func (s *stream) shut(index int64) {
	for i := range s.blocks {
		if s.blocks[i].index != index {
			continue
		}
		s.close(&s.blocks[i])
		s.blocks = append(s.blocks[:i], s.blocks[i+1:]...)
		return
	}
}

// close gives a call arguments that has come without: callers parse them.
func (s *stream) close(b *block) {
	if b.kind == ofTool && !b.said {
		s.argue(b, `"{}"`)
	}
}

// finish writes the end of an answer.
func (s *stream) finish(dst []byte) []byte {
	s.dst = dst
	for i := range s.blocks {
		s.close(&s.blocks[i])
	}
	s.done, s.blocks = true, nil
	dst = append(append(s.dst, s.head...), `},"logprobs":null,"finish_reason":"`...)
	dst = append(append(dst, s.t.finish(s.reason.Str)...), `"}]`...)
	if s.t.usage {
		dst = append(dst, `,"usage":null}`+"\n\n"...)
		dst = append(dst, bytes.TrimSuffix(s.head, []byte(`[{"index":0,"delta":{`))...)
		dst = s.usage.write(append(dst, `[],"usage":`...))
	}
	dst = append(dst, "}\n\ndata: [DONE]\n\n"...)
	s.dst = nil
	return dst
}
