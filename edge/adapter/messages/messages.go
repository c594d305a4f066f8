// Package messages lets a client of Anthropic Messages talk to a model of OpenAI's Chat Completions. It is pure: requests,
// answers and streams are translated as functions of what was sent, and nothing is guessed at that was not said.
//
// It knows nothing of HTTP, of errors' statuses or of other vendors' schemas.
package messages

import (
	"context"
	"slices"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/jsontext"
)

// Translate translates a request. The error is an *adapter.Error that names the field.
func Translate(body []byte, call *adapter.Call) (adapter.Translation, error) {
	r, err := read(body, call, false)
	if err != nil {
		return nil, err
	}
	out, err := r.write()
	if err != nil {
		return nil, err
	}
	t := &translation{
		call: call, body: out, streams: r.streams, dropped: r.dropped,
		format: format{asked: jsontext.Quote(call.Asked), id: call.ID, names: r.names, thoughts: r.showsThoughts()},
	}
	slices.Sort(t.dropped)
	return t, nil
}

// translation is one exchange.
type translation struct {
	call    *adapter.Call
	body    []byte
	streams bool
	dropped []string
	format  format
}

// format is what an answer needs of its request, whether it comes whole or as a stream.
type format struct {
	asked    []byte        // the model as the caller called it, in quotes
	id       string        // where the vendor has none
	names    adapter.Names // of tools
	thoughts bool          // the caller is shown what the model thought
}

func (t *translation) Body() []byte      { return t.body }
func (t *translation) Streams() bool     { return t.streams }
func (t *translation) Dropped() []string { return t.dropped }

func (t *translation) Answer(_ context.Context, body []byte) ([]byte, error) {
	return answer(body, &t.format)
}

func (t *translation) Stream(context.Context) adapter.Stream { return newStream(&t.format) }
