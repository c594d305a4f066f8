// Package chat lets a client of OpenAI's Chat Completions talk to a model of Anthropic Messages. It is pure: requests,
// answers and streams are translated as functions of what was sent, and nothing is guessed at that was not said.
//
// It knows nothing of HTTP, of errors' statuses or of other vendors' schemas.
package chat

import "tollgate/edge/adapter"

// Translate translates a request. The error is an *adapter.Error that names the field.
func Translate(body []byte, call *adapter.Call) (adapter.Translation, error) {
	panic("not built")
}
