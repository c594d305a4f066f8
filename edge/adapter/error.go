package adapter

import "fmt"

// Kind says what an error is about, in the words of all schemas.
type Kind uint8

// The kinds.
const (
	Invalid        Kind = iota + 1 // the request is wrong
	Authentication                 // no key, or an unknown one
	Permission                     // the key may not
	NotFound                       // no such model, or path
	TooLarge                       // the request is too long
	Conflict                       // with something else
	RateLimit                      // too much in too little time
	Billing                        // nothing is left to pay with
	Timeout                        // no answer in time
	Overloaded                     // too much to do
	Broken                         // something failed
)

// Error is an error that the caller gets, in whatever schema it speaks.
type Error struct {
	Kind    Kind
	Message string // what happened and what to do, for people
	Param   string // field of the request that it is about: "messages[0].content"; empty for none
	Code    string // machine-readable, in OpenAI's words: "context_length_exceeded"; empty for the kind's own
	// Status is that of the answer where it is not the kind's own; 0 otherwise.
	Status int
	// RetryAfter is the header of that name; empty for none.
	RetryAfter string
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// Refuse makes an error about a field that cannot be translated. Callers may have named that field and chosen words of the message:
// more than anybody reads is cut off.
func Refuse(param, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Param: shorten(param), Message: shorten(fmt.Sprintf(format, args...))}
}

// Fail makes an error about what a vendor has answered.
func Fail(format string, args ...any) *Error {
	return &Error{Kind: Broken, Message: shorten(fmt.Sprintf(format, args...))}
}
