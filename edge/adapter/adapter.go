// Package adapter lets a client of one schema talk to a model of another: it says what a translation of an
// exchange is, and keeps the errors of all schemas in one form. It promises that what cannot be translated is refused
// by name, and that an answer that broke off is never made to look complete.
//
// The translations themselves are in the packages below it, each a pure function of what went by, but for remote, which asks servers
// that users run. Nothing here opens a connection, knows of money, or sees a credential.
package adapter

import (
	"context"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Schema is a language of requests and answers about models. The numbers are those of the protobuf enumeration.
type Schema uint8

// The schemas.
const (
	Chat      = Schema(controlv1.Schema_SCHEMA_OPENAI_CHAT)        // OpenAI Chat Completions
	Messages  = Schema(controlv1.Schema_SCHEMA_ANTHROPIC_MESSAGES) // Anthropic Messages
	Responses = Schema(controlv1.Schema_SCHEMA_OPENAI_RESPONSES)   // OpenAI Responses
)

// String is the name that people read.
func (s Schema) String() string {
	switch s {
	case Chat:
		return "openai-chat"
	case Messages:
		return "anthropic-messages"
	case Responses:
		return "openai-responses"
	default:
		return "unknown"
	}
}

// Call is what a translation has to know besides the request.
type Call struct {
	Asked   string                   // model that the caller asked for; its answer has it
	Model   string                   // the vendor's name of the model
	Options *controlv1.VendorOptions // what the vendor understands; never nil
	// Vendor names the vendor in refusals: the deployment, "my-claude/openai".
	Vendor string
	// ID is unique text, for identifiers that an answer needs and the vendor does not give: 26 letters and digits.
	ID   string
	Unix int64 // now, in seconds
}

// Translation is one exchange whose request was translated. It is used by one goroutine at a time.
type Translation interface {
	// Body is the translated request. It is not changed any more.
	Body() []byte
	// Streams says whether the caller wants a stream.
	Streams() bool
	// Dropped names fields of the caller's request that are not in the translated one, "top_k"; sorted.
	Dropped() []string
	// Answer translates an answer of status 2xx that came as a whole. The error is an *Error.
	Answer(ctx context.Context, body []byte) ([]byte, error)
	// Stream translates an answer that is a stream of server-sent events. It may be called once.
	Stream(ctx context.Context) Stream
}

// Stream translates a stream piece by piece. What it appends is whole events for the caller.
type Stream interface {
	// Next appends to dst what a piece of the vendor's stream comes to, which may be nothing. An *Error says that the stream cannot
	// go on: the vendor has told of an error, or what it sent makes no sense. dst is whole without it, and Fail writes it.
	Next(dst, piece []byte) ([]byte, error)
	// End appends what is missing when the vendor's stream has come to its end, if whole, or has broken off. An *Error says that
	// what has come is no whole answer.
	End(dst []byte, whole bool) ([]byte, error)
	// Fail appends an error as the last event.
	Fail(dst []byte, err *Error, requestID string) []byte
	// Ping appends what keeps a silent connection open.
	Ping(dst []byte) []byte
}
