package chat

import (
	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
)

// vendors is the error that a vendor has told of where an answer should have been.
func vendors(doc gjson.Result) *adapter.Error {
	message := doc.Get("error.message").String()
	if message == "" {
		message = "The vendor has answered with an error, and has not said which."
	}
	kind := adapter.Broken
	switch doc.Get("error.type").Str {
	case "invalid_request_error":
		kind = adapter.Invalid
	case "not_found_error":
		kind = adapter.NotFound
	case "request_too_large":
		kind = adapter.TooLarge
	case "conflict_error":
		kind = adapter.Conflict
	case "rate_limit_error":
		kind = adapter.RateLimit
	case "billing_error":
		kind = adapter.Billing
	case "timeout_error":
		kind = adapter.Timeout
	case "overloaded_error":
		kind = adapter.Overloaded
	case "authentication_error", "permission_error":
		// The credential is the gateway's, and its name is not for the caller.
		message = "The vendor has refused the gateway's credential."
	}
	return &adapter.Error{Kind: kind, Message: message}
}

// appendError writes an error as OpenAI has it.
func appendError(dst []byte, e *adapter.Error) []byte {
	typ, code := "server_error", e.Code
	standing := func(own string) {
		if code == "" {
			code = own
		}
	}
	switch e.Kind {
	case adapter.Invalid, adapter.TooLarge, adapter.Conflict:
		typ = "invalid_request_error"
	case adapter.Authentication:
		typ = "invalid_request_error"
		standing("invalid_api_key")
	case adapter.Permission:
		typ = "invalid_request_error"
		standing("permission_denied")
	case adapter.NotFound:
		typ = "invalid_request_error"
		standing("model_not_found")
	case adapter.RateLimit:
		typ = "rate_limit_error"
		standing("rate_limit_exceeded")
	case adapter.Billing:
		typ = "insufficient_quota"
		standing("insufficient_quota")
	case adapter.Timeout:
		standing("timeout")
	case adapter.Overloaded:
		standing("overloaded")
	case adapter.Broken:
	}
	dst = gjson.AppendJSONString(append(dst, `{"error":{"message":`...), e.Message)
	dst = append(append(append(dst, `,"type":"`...), typ...), `","param":`...)
	dst = orNull(dst, e.Param)
	return append(orNull(append(dst, `,"code":`...), code), "}}"...)
}

func orNull(dst []byte, text string) []byte {
	if text == "" {
		return append(dst, "null"...)
	}
	return gjson.AppendJSONString(dst, text)
}
