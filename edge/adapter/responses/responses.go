// Package responses lets a client of OpenAI's Responses talk to a model of OpenAI's Chat Completions. It is pure: requests,
// answers and streams are translated as functions of what was sent, and nothing is guessed at that was not said.
//
// It keeps no conversations: a request that refers to an earlier answer is refused. It knows nothing of HTTP, of
// errors' statuses or of other vendors' schemas.
package responses

import (
	"context"
	"slices"

	"tollgate/edge/adapter"
)

// Translate translates a request. The error is an *adapter.Error that names the field.
func Translate(body []byte, call *adapter.Call) (adapter.Translation, error) {
	q := request{call: call, opt: call.Options}
	if err := q.translate(body); err != nil {
		return nil, err
	}
	slices.Sort(q.dropped)
	return &translation{
		call: call, body: q.out, streams: q.streams, dropped: q.dropped, names: q.names,
		echo: q.echo(),
	}, nil
}

// translation is one exchange.
type translation struct {
	call    *adapter.Call
	body    []byte
	streams bool
	dropped []string
	names   adapter.Names // of tools
	echo    echo
}

// Body is the translated request.
func (t *translation) Body() []byte { return t.body }

// Streams says whether the caller wants a stream.
func (t *translation) Streams() bool { return t.streams }

// Dropped names fields that were left out.
func (t *translation) Dropped() []string { return t.dropped }

// Stream translates a stream.
func (t *translation) Stream(context.Context) adapter.Stream { return newStream(t) }
