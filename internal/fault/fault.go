// Package fault is the one catalogue of errors that Tollgate shows: each has a code, a kind, an HTTP
// status, a text that says what happened and why, and a hint that says what to do. It carries causes
// for logs and never prints them. It is not for errors that only code sees: those stay plain.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what a caller can do about an error. Each boundary maps kinds, never codes, to its own
// numbers: Connect codes in rpc, exit codes in the CLI.
type Kind uint8

// The kinds.
const (
	Internal        Kind = iota // a bug or a broken dependency
	Invalid                     // it can never succeed as sent
	Unauthenticated             // no usable credential
	Denied                      // the credential may not do this
	NotFound                    // no such thing
	Exists                      // the name or path is taken
	Conflict                    // someone else changed it first: read and try again
	Precondition                // something else must be changed first
	Exhausted                   // a budget or limit is used up
	Unavailable                 // try again later
	Timeout                     // it took too long
)

// Violation is one thing wrong with one field of the input.
type Violation struct {
	Field  string // path of the field, "endpoint.targets[0].url"
	Code   string // machine-readable: "required", "invalid", "taken", …
	Reason string // what is wrong and what would be right
	Object string // name of another object that it is about; empty for none
}

// Error is an entry of the catalogue as it happened. Make it with New; the With methods return a
// changed copy.
type Error struct {
	Code       Code
	Message    string // what happened and why, for the caller
	Hint       string // what to do next
	Violations []Violation
	RetryAfter time.Duration // when it makes sense to try again; 0 if unknown
	Allow      []string      // methods that would be answered, for method_not_allowed
	cause      error
}

// New makes an error of the catalogue.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Hint: entryOf(code).hint}
}

// WithHint replaces the catalogue's hint.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// WithCause keeps err for logs.
func (e *Error) WithCause(err error) *Error {
	c := *e
	c.cause = err
	return &c
}

// WithViolations adds violations.
func (e *Error) WithViolations(v ...Violation) *Error {
	c := *e
	c.Violations = append(c.Violations[:len(c.Violations):len(c.Violations)], v...)
	return &c
}

// WithRetryAfter says when to try again.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Error is the text for logs: code, message and cause.
func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Message
	for _, v := range e.Violations {
		s += "; " + v.Field + ": " + v.Reason
	}
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is compare codes, so that New(code, "") serves as a sentinel.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Kind is what the caller can do about it.
func (e *Error) Kind() Kind { return entryOf(e.Code).kind }

// Status is the HTTP status.
func (e *Error) Status() int { return entryOf(e.Code).status }

// From finds the catalogue error in err. Anything else becomes internal_error with err as its cause,
// so that nothing is ever shown that was not written to be shown.
func From(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return New(InternalError, "Something went wrong inside Tollgate.").WithCause(err)
}
