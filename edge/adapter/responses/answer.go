package responses

import (
	"bytes"
	"context"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/internal/meter/frame"
)

// Answer translates an answer that came as a whole.
func (t *translation) Answer(_ context.Context, body []byte) ([]byte, error) {
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\ufffd"))
	}
	if !frame.Valid(body) {
		return nil, adapter.Fail("%s answered with something that is no JSON.", t.call.Vendor)
	}
	var choice, failure, used, served gjson.Result
	gjson.ParseBytes(body).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "choices":
			choice = value.Get("0")
		case "error":
			failure = value
		case "usage":
			used = value
		case "service_tier":
			served = value
		}
		return true
	})
	var message, finish gjson.Result
	choice.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "message":
			message = value
		case "finish_reason":
			finish = value
		}
		return true
	})
	if present(failure) && !message.IsObject() {
		return nil, adapter.Read(0, "", body)
	}
	if !message.IsObject() {
		return nil, adapter.Fail("%s answered without a choice.", t.call.Vendor)
	}
	if err := adapter.Interrupted(choice); err != nil {
		return nil, err
	}
	o := end(finish.String())
	o.tier = tier(served)
	if used.IsObject() {
		o.usage = readUsage(used)
	}
	items, err := t.items(make([]byte, 0, len(body)), message, o.status)
	if err != nil {
		return nil, err
	}
	return t.echo.response(make([]byte, 0, len(items)+t.echo.size()), o, items), nil
}

// items appends the output of a message, with commas between its items. The last item ends as the answer does.
func (t *translation) items(dst []byte, message gjson.Result, status string) ([]byte, error) {
	m := readMessage(message)
	n := 0
	begin := func() int {
		if n > 0 {
			dst = append(dst, ',')
		}
		n++
		return n - 1
	}
	if m.tooLong {
		return nil, adapter.Fail("The answer of %s is too long.", t.call.Vendor)
	}
	if m.thought != "" {
		dst = appendReasoning(dst, t.itemID("rs_", begin()), m.thought)
	}
	if m.text != "" || m.refusal != "" || n+len(m.calls) == 0 {
		ends := status
		if len(m.calls) > 0 {
			ends = "completed"
		}
		parts := make([]byte, 0, len(m.text)+len(m.refusal)+128)
		if m.text != "" || m.refusal == "" {
			parts = appendTextPart(parts, m.text, annotations(m.notes))
		}
		if m.refusal != "" {
			if len(parts) > 0 {
				parts = append(parts, ',')
			}
			parts = appendRefusalPart(parts, m.refusal)
		}
		id := t.itemID("msg_", begin())
		dst = appendMessage(dst, id, ends, parts)
	}
	var err error
	for i, call := range m.calls {
		ends := "completed"
		if i == len(m.calls)-1 {
			ends = status
		}
		index := begin()
		if dst, err = t.callItem(dst, call, index, ends); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// message is what a vendor's message says. Its texts are JSON without quotes.
type message struct {
	text, refusal, thought string
	calls                  []gjson.Result
	notes                  gjson.Result
	tooLong                bool // there are too many calls
}

func readMessage(v gjson.Result) (m message) {
	var content, reasoning, other, calls, function gjson.Result
	v.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "content":
			content = value
		case "refusal":
			if value.Type == gjson.String {
				m.refusal = inner(value)
			}
		case "reasoning_content":
			reasoning = value
		case "reasoning":
			other = value
		case "tool_calls":
			calls = value
		case "function_call":
			function = value
		case "annotations":
			m.notes = value
		}
		return true
	})
	m.thought = thoughts(reasoning, other)
	if content.Type == gjson.String {
		m.text = inner(content)
	} else {
		var text, thought strings.Builder
		thought.WriteString(m.thought)
		eachText(content, func(s string) { text.WriteString(s) }, func(s string) { thought.WriteString(s) })
		m.text, m.thought = text.String(), thought.String()
	}
	if m.tooLong = calls.Get("#").Int() > mostItems; m.tooLong {
		return m
	}
	if m.calls = calls.Array(); function.IsObject() && len(m.calls) == 0 {
		m.calls = []gjson.Result{v}
	}
	return m
}

// callItem appends the item of a call.
func (t *translation) callItem(dst []byte, call gjson.Result, index int, status string) ([]byte, error) {
	f := call.Get("function")
	if !f.IsObject() {
		f = call.Get("function_call")
	}
	name := f.Get("name")
	if name.Type != gjson.String || name.Str == "" {
		return nil, adapter.Fail("%s called a tool that has no name.", t.call.Vendor)
	}
	id := call.Get("id").String()
	if id == "" || !call.Get("function").IsObject() {
		id = t.itemID("call_", index)
	}
	return appendCall(dst, t.itemID("fc_", index), status, id, t.names.Callers(name.String()), arguments(f.Get("arguments"))), nil
}

// arguments are those of a call as JSON without quotes. Nothing at all stands for no arguments, and some vendors send an object
// where a text with one belongs.
func arguments(v gjson.Result) string {
	switch {
	case v.Type == gjson.String && v.Str != "":
		return inner(v)
	case v.IsObject():
		quoted := gjson.AppendJSONString(nil, oneLine(v.Raw))
		return string(quoted[1 : len(quoted)-1])
	default:
		return "{}"
	}
}

func annotations(list gjson.Result) []byte {
	var out []byte
	for _, a := range adapter.Elements(list) {
		next := out
		if len(next) > 0 {
			next = append(next, ',')
		}
		if next, ok := appendAnnotation(next, a); ok {
			out = next
		}
	}
	return out
}
