package responses

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// start begins an event; end ends it. Everything between them is fields.
func (s *stream) start(name string) {
	s.dst = append(append(append(s.dst, "event: "...), name...), "\ndata: {\"type\":\""...)
	s.dst = append(append(s.dst, name...), `","sequence_number":`...)
	s.dst = strconv.AppendInt(s.dst, s.seq, 10)
	s.seq++
}

func (s *stream) end() { s.dst = append(s.dst, "}\n\n"...) }

// place writes where in the output an event belongs.
func (s *stream) place(it *item) {
	s.dst = append(append(append(s.dst, `,"item_id":"`...), it.id...), `","output_index":`...)
	s.dst = strconv.AppendInt(s.dst, int64(it.index), 10)
}

// spot is place, and which part of the item.
func (s *stream) spot(it *item) {
	s.place(it)
	s.dst = strconv.AppendInt(append(s.dst, `,"content_index":`...), int64(it.part), 10)
}

// lifecycle writes an event that has the whole response.
func (s *stream) lifecycle(name string, o outcome, output []byte) {
	s.start(name)
	s.dst = s.t.echo.response(append(s.dst, `,"response":`...), o, output)
	s.end()
}

func (s *stream) itemEvent(name string, index int, json []byte) {
	s.start(name)
	s.dst = strconv.AppendInt(append(s.dst, `,"output_index":`...), int64(index), 10)
	s.dst = append(append(s.dst, `,"item":`...), json...)
	s.end()
}

func (s *stream) partEvent(name string, it *item, json []byte) {
	s.start(name)
	s.spot(it)
	s.dst = append(append(s.dst, `,"part":`...), json...)
	s.end()
}

// deltaEvent writes a piece of a part's text.
func (s *stream) deltaEvent(name string, it *item, text string) {
	s.start(name)
	s.spot(it)
	s.dst = append(append(append(s.dst, `,"delta":"`...), text...), '"')
	if !it.reasoning && it.kind == textPart {
		s.dst = append(s.dst, `,"logprobs":[]`...)
	}
	s.end()
}

// doneEvent writes a part's whole text.
func (s *stream) doneEvent(name, field string, it *item) {
	s.start(name)
	s.spot(it)
	s.dst = append(append(append(s.dst, `,"`...), field...), `":"`...)
	s.dst = append(append(s.dst, it.text...), '"')
	if !it.reasoning && it.kind == textPart {
		s.dst = append(s.dst, `,"logprobs":[]`...)
	}
	s.end()
}

func (s *stream) annotationEvent(it *item, note []byte) {
	s.start("response.output_text.annotation.added")
	s.spot(it)
	s.dst = strconv.AppendInt(append(s.dst, `,"annotation_index":`...), it.noted, 10)
	s.dst = append(append(s.dst, `,"annotation":`...), note...)
	s.end()
}

func (s *stream) argumentsEvent(it *item, text string) {
	s.start("response.function_call_arguments.delta")
	s.place(it)
	s.dst = append(append(append(s.dst, `,"delta":"`...), text...), '"')
	s.end()
}

func (s *stream) argumentsDoneEvent(it *item, name string) {
	s.start("response.function_call_arguments.done")
	s.place(it)
	s.dst = gjson.AppendJSONString(append(s.dst, `,"name":`...), name)
	s.dst = append(append(append(s.dst, `,"arguments":"`...), it.text...), '"')
	s.end()
}

// appendReasoningBegun is an item of thoughts that has none yet.
func appendReasoningBegun(dst []byte, id string) []byte {
	return append(append(append(dst, `{"id":"`...), id...), `","type":"reasoning","summary":[],"content":[]}`...)
}
