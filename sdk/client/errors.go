package client

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

// Codes that programs act upon. docs/reference/errors.md has all.
const (
	InvalidArgument    = "invalid_argument"
	NotFound           = "not_found"
	AlreadyExists      = "already_exists"
	StaleETag          = "stale_etag"
	ManagedByFile      = "managed_by_file"
	FailedPrecondition = "failed_precondition"
	Unauthenticated    = "unauthenticated"
	PermissionDenied   = "permission_denied"
	Unavailable        = "unavailable"
	DeadlineExceeded   = "deadline_exceeded"
	InternalError      = "internal_error"
	IdempotencyReused  = "idempotency_key_reused"
)

// Error is why a call failed. Every error of a call is one, also inside of others: find it with errors.As.
type Error struct {
	Code       string        // of the catalogue, such as StaleETag
	Message    string        // what is wrong, for people
	Hint       string        // what to do about it; may be empty
	RequestID  string        // finds the call in the server's log; empty if no server answered
	Violations []Violation   // fields of the request that are wrong
	RetryAfter time.Duration // when the server may do better; 0 if it did not say

	cause error
}

// Violation is one field that is wrong.
type Violation struct {
	Field  string // "price.amount", "targets[1].url"
	Code   string // what is wrong, for programs
	Reason string // the same for people
}

// Error is the message with its code.
func (e *Error) Error() string {
	if e.RequestID == "" {
		return fmt.Sprintf("%s (%s)", e.Message, e.Code)
	}
	return fmt.Sprintf("%s (%s, request %s)", e.Message, e.Code, e.RequestID)
}

// Unwrap is the error of the connection or of the protocol, a *connect.Error among them.
func (e *Error) Unwrap() error { return e.cause }

// CodeOf is the code of an error, or empty if it is none of a call.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// plain are the codes of what was not answered by Tollgate itself.
var plain = map[connect.Code]string{
	connect.CodeCanceled:           DeadlineExceeded,
	connect.CodeInvalidArgument:    InvalidArgument,
	connect.CodeDeadlineExceeded:   DeadlineExceeded,
	connect.CodeNotFound:           NotFound,
	connect.CodeAlreadyExists:      AlreadyExists,
	connect.CodePermissionDenied:   PermissionDenied,
	connect.CodeResourceExhausted:  Unavailable,
	connect.CodeFailedPrecondition: FailedPrecondition,
	connect.CodeAborted:            StaleETag,
	connect.CodeOutOfRange:         InvalidArgument,
	connect.CodeUnavailable:        Unavailable,
	connect.CodeUnauthenticated:    Unauthenticated,
}

// describe makes an Error of what a call failed with.
func describe(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	c, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return err
	}
	e := &Error{Code: plain[c.Code()], Message: c.Message(), cause: err}
	if e.Code == "" {
		e.Code = InternalError
	}
	for _, d := range c.Details() {
		value, err := d.Value()
		if err != nil {
			continue // of a server that is newer
		}
		switch v := value.(type) {
		case *errdetails.ErrorInfo:
			if v.GetDomain() != "tollgate" {
				continue
			}
			e.Code, e.Hint, e.RequestID = v.GetReason(), v.GetMetadata()["hint"], v.GetMetadata()["request_id"]
			if ms, err := strconv.ParseInt(v.GetMetadata()["retry_after_ms"], 10, 32); err == nil {
				e.RetryAfter = time.Duration(ms) * time.Millisecond
			}
		case *errdetails.BadRequest:
			for _, f := range v.GetFieldViolations() {
				e.Violations = append(e.Violations, Violation{Field: f.GetField(), Code: f.GetReason(), Reason: f.GetDescription()})
			}
		}
	}
	return e
}
