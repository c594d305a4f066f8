// Package chat lets a client of OpenAI's Chat Completions talk to a model of Anthropic Messages. It is pure: requests,
// answers and streams are translated as functions of what was sent, and nothing is guessed at that was not said.
//
// Text, and the arguments of tools, are copied as they were written in JSON, so that they arrive as they were sent. It knows nothing of
// HTTP, of errors' statuses or of other vendors' schemas.
package chat

import (
	"context"
	"slices"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/internal/meter/frame"
)

// Translate translates a request. The error is an *adapter.Error that names the field.
func Translate(body []byte, call *adapter.Call) (adapter.Translation, error) {
	if !frame.Valid(body) {
		return nil, adapter.Refuse("", "The request is not valid JSON, or is nested too deeply.")
	}
	doc := gjson.ParseBytes(body)
	if !doc.IsObject() {
		return nil, adapter.Refuse("", "The request is not a JSON object.")
	}
	r := request{call: call, names: adapter.Names{Most: mostName}}
	if err := r.read(doc); err != nil {
		return nil, err
	}
	out, err := r.write(make([]byte, 0, len(body)+len(body)/4+256))
	if err != nil {
		return nil, err
	}
	slices.Sort(r.dropped)
	return &translation{
		call: call, body: out, streams: r.streams, usage: r.usage, legacy: r.legacy(), names: r.names,
		dropped: r.dropped,
	}, nil
}

// translation is one exchange.
type translation struct {
	call    *adapter.Call
	body    []byte
	dropped []string
	names   adapter.Names // of tools
	streams bool
	usage   bool // the caller wants a stream to end with usage
	legacy  bool // the caller knows functions, and not tools
}

func (t *translation) Body() []byte      { return t.body }
func (t *translation) Streams() bool     { return t.streams }
func (t *translation) Dropped() []string { return t.dropped }

func (t *translation) Answer(_ context.Context, body []byte) ([]byte, error) { return t.answer(body) }

func (t *translation) Stream(context.Context) adapter.Stream {
	s := &stream{t: t}
	s.emit = s.event
	return s
}
