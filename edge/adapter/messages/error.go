package messages

import (
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
)

// vendorError reads an error that the vendor told of in an answer that had begun well. What it is about is found
// by its type and code, in the words of OpenAI and in the numbers of others.
func vendorError(v gjson.Result) *adapter.Error {
	text := v.Get("message").String()
	if v.Type == gjson.String {
		text = v.Str
	}
	if text == "" {
		text = "it did not say why"
	}
	e := adapter.Fail("the vendor broke off: %s", text)
	code := v.Get("code")
	switch words := v.Get("type").String() + " " + code.String(); {
	case strings.Contains(words, "insufficient_quota"), code.Raw == "402":
		e.Kind = adapter.Billing
	case strings.Contains(words, "rate_limit"), code.Raw == "429":
		e.Kind = adapter.RateLimit
	case strings.Contains(words, "overloaded"), code.Raw == "503", code.Raw == "529":
		e.Kind = adapter.Overloaded
	case strings.Contains(words, "timeout"), code.Raw == "408", code.Raw == "504":
		e.Kind = adapter.Timeout
	case strings.Contains(words, "authentication"), strings.Contains(words, "invalid_api_key"), code.Raw == "401", code.Raw == "403":
		// What the vendor says of the gateway's credential is not for the caller.
		e.Message = "the vendor refused the gateway's credentials"
	case strings.Contains(words, "invalid_request"), code.Raw == "400":
		e.Kind = adapter.Invalid
	}
	return e
}

// kindName is what Anthropic calls an error.
func kindName(k adapter.Kind) string {
	switch k {
	case adapter.Invalid:
		return "invalid_request_error"
	case adapter.Authentication:
		return "authentication_error"
	case adapter.Permission:
		return "permission_error"
	case adapter.NotFound:
		return "not_found_error"
	case adapter.TooLarge:
		return "request_too_large"
	case adapter.Conflict:
		return "conflict_error"
	case adapter.RateLimit:
		return "rate_limit_error"
	case adapter.Billing:
		return "billing_error"
	case adapter.Timeout:
		return "timeout_error"
	case adapter.Overloaded:
		return "overloaded_error"
	default:
		return "api_error"
	}
}
