package responses

import (
	"strconv"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
)

// start begins an event; finish ends it. Everything between them is fields.
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

// Fail appends the event of an error. OpenAI's reference has its fields in the event itself, while its service and its clients
// have them in an object "error": both are there.
func (s *stream) Fail(dst []byte, err *adapter.Error, _ string) []byte {
	if s.over {
		return dst
	}
	s.over = true
	s.dst = dst
	typ, code := words(err)
	fields := gjson.AppendJSONString([]byte(`"code":`), code)
	fields = gjson.AppendJSONString(append(fields, `,"message":`...), err.Message)
	fields = append(fields, `,"param":`...)
	if err.Param != "" {
		fields = gjson.AppendJSONString(fields, err.Param)
	} else {
		fields = append(fields, "null"...)
	}
	s.start("error")
	s.dst = append(append(s.dst, ','), fields...)
	s.dst = append(append(append(s.dst, `,"error":{"type":"`...), typ...), `",`...)
	s.dst = append(append(s.dst, fields...), '}')
	s.end()
	return s.dst
}

// words are an error's type and code as OpenAI has them.
func words(err *adapter.Error) (typ, code string) {
	switch err.Kind {
	case adapter.RateLimit:
		typ, code = "rate_limit_error", "rate_limit_exceeded"
	case adapter.Billing:
		typ, code = "insufficient_quota", "insufficient_quota"
	case adapter.Timeout:
		typ, code = "server_error", "timeout"
	case adapter.Overloaded:
		typ, code = "server_error", "overloaded"
	case adapter.Broken:
		typ, code = "server_error", "server_error"
	case adapter.Invalid, adapter.Authentication, adapter.Permission, adapter.NotFound, adapter.TooLarge, adapter.Conflict:
		typ, code = "invalid_request_error", "invalid_request_error"
	default:
		typ, code = "server_error", "server_error"
	}
	if err.Code != "" {
		code = err.Code
	}
	return typ, code
}

// vendorError is an error that a vendor tells of within a stream.
func vendorError(vendor string, v gjson.Result) *adapter.Error {
	message := v.Get("message").String()
	if v.Type == gjson.String {
		message = v.String()
	}
	if message == "" {
		message = "The stream of " + vendor + " told of an error without saying which."
	}
	err := &adapter.Error{Kind: adapter.Broken, Message: message}
	for _, field := range []string{"type", "code"} {
		switch v.Get(field).String() {
		case "rate_limit_error", "rate_limit_exceeded", "429":
			err.Kind = adapter.RateLimit
		case "insufficient_quota", "402":
			err.Kind = adapter.Billing
		case "overloaded_error", "overloaded", "503", "529":
			err.Kind = adapter.Overloaded
		case "invalid_request_error", "400":
			err.Kind = adapter.Invalid
		}
	}
	return err
}

// appendReasoningBegun is an item of thoughts that has none yet.
func appendReasoningBegun(dst []byte, id string) []byte {
	return append(append(append(dst, `{"id":"`...), id...), `","type":"reasoning","summary":[],"content":[]}`...)
}
