package responses

import (
	"bytes"
	"cmp"
	"context"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/completions"
	"tollgate/edge/adapter/jsontext"
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
	d := completions.Read(body)
	choice := completions.ReadChoice(d.Choice)
	if !choice.Said.IsObject() {
		if d.Failed {
			return nil, adapter.Read(0, "", body)
		}
		return nil, adapter.Fail("%s answered without a choice.", t.call.Vendor)
	}
	if err := adapter.Interrupted(d.Choice); err != nil {
		return nil, err
	}
	o := end(choice.Finish)
	o.tier = tier(d.Tier)
	if d.Used.IsObject() {
		o.usage = usage{completions.ReadUsage(d.Used)}
	}
	items, err := t.items(make([]byte, 0, len(body)), choice.Said, o.status)
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
	for i := range m.calls {
		ends := "completed"
		if i == len(m.calls)-1 {
			ends = status
		}
		index := begin()
		if dst, err = t.callItem(dst, &m.calls[i], index, ends); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// message is what a vendor's message says. Its texts are JSON without quotes.
type message struct {
	text, refusal, thought string
	calls                  []completions.Call
	notes                  gjson.Result
	tooLong                bool // there are too many calls
}

func readMessage(v gjson.Result) message {
	said := completions.ReadSaid(v)
	m := message{thought: jsontext.Inner(said.Thought), refusal: jsontext.Inner(said.Refusal), notes: said.Notes}
	if said.Content.Type == gjson.String {
		m.text = jsontext.Inner(said.Content)
	} else {
		var text, refusal, thought strings.Builder
		thought.WriteString(m.thought)
		completions.Pieces(said.Content, inside(thought.WriteString), inside(text.WriteString), inside(refusal.WriteString))
		refusal.WriteString(m.refusal)
		m.text, m.refusal, m.thought = text.String(), refusal.String(), thought.String()
	}
	said.Calls(func(c completions.Call) bool {
		m.tooLong = len(m.calls) == mostItems
		m.calls = append(m.calls, c)
		return !m.tooLong
	})
	return m
}

// inside gives what is between the quotes of texts.
func inside(write func(string) (int, error)) func(gjson.Result) {
	return func(v gjson.Result) { _, _ = write(jsontext.Inner(v)) }
}

// callItem appends the item of a call.
func (t *translation) callItem(dst []byte, call *completions.Call, index int, status string) ([]byte, error) {
	if call.Name == "" {
		return nil, adapter.Fail("%s called a tool that has no name.", t.call.Vendor)
	}
	id := call.ID
	if id == "" {
		id = t.itemID("call_", index)
	}
	// Nothing at all stands for no arguments.
	arguments := cmp.Or(jsontext.Inner(call.Arguments), "{}")
	return appendCall(dst, t.itemID("fc_", index), status, id, t.names.Callers(call.Name), arguments), nil
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
