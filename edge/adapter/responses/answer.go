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
	message := choice.Get("message")
	if present(failure) && !message.IsObject() {
		return nil, adapter.Read(0, "", body)
	}
	if !message.IsObject() {
		return nil, adapter.Fail("%s answered without a choice.", t.call.Vendor)
	}
	if err := adapter.Interrupted(choice); err != nil {
		return nil, err
	}
	o := end(choice.Get("finish_reason").String())
	o.tier = tier(served)
	if used.IsObject() {
		o.usage = readUsage(used)
	}
	items, err := t.items(message, o.status)
	if err != nil {
		return nil, err
	}
	return t.echo.response(make([]byte, 0, len(body)+2048), o, bytes.Join(items, []byte{','})), nil
}

// items makes the output of a message. The last item ends as the answer does.
func (t *translation) items(message gjson.Result, status string) ([][]byte, error) {
	var items [][]byte
	var text, refusal, thought strings.Builder
	thought.WriteString(thoughts(message.Get("reasoning_content"), message.Get("reasoning")))
	eachText(message.Get("content"), func(s string) { text.WriteString(s) }, func(s string) { thought.WriteString(s) })
	if v := message.Get("refusal"); v.Type == gjson.String {
		refusal.WriteString(inner(v))
	}
	if message.Get("tool_calls.#").Int() > mostItems {
		return nil, adapter.Fail("The answer of %s is too long.", t.call.Vendor)
	}
	calls := message.Get("tool_calls").Array()
	if f := message.Get("function_call"); f.IsObject() && len(calls) == 0 {
		calls = []gjson.Result{message}
	}
	if thought.Len() > 0 {
		items = append(items, appendReasoning(nil, t.itemID("rs_", 0), thought.String()))
	}
	if text.Len() > 0 || refusal.Len() > 0 || len(items)+len(calls) == 0 {
		ends := status
		if len(calls) > 0 {
			ends = "completed"
		}
		var parts []byte
		if text.Len() > 0 || refusal.Len() == 0 {
			parts = appendTextPart(parts, text.String(), annotations(message.Get("annotations")))
		}
		if refusal.Len() > 0 {
			if parts != nil {
				parts = append(parts, ',')
			}
			parts = appendRefusalPart(parts, refusal.String())
		}
		items = append(items, appendMessage(nil, t.itemID("msg_", len(items)), ends, parts))
	}
	for i, call := range calls {
		ends := "completed"
		if i == len(calls)-1 {
			ends = status
		}
		item, err := t.callItem(call, len(items), ends)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// callItem makes the item of a call.
func (t *translation) callItem(call gjson.Result, index int, status string) ([]byte, error) {
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
	return appendCall(nil, t.itemID("fc_", index), status, id, t.names.Callers(name.String()), arguments(f.Get("arguments"))), nil
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
