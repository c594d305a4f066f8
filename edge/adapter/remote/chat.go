package remote

import (
	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
)

// words are an error's kind in the words of Chat Completions: its type, and its code where the error has none of its own.
func words(k adapter.Kind) (typ, code string) {
	switch k {
	case adapter.Invalid, adapter.TooLarge, adapter.Conflict:
		return "invalid_request_error", ""
	case adapter.NotFound:
		return "invalid_request_error", "model_not_found"
	case adapter.Authentication:
		return "invalid_request_error", "invalid_api_key"
	case adapter.Permission:
		return "invalid_request_error", "permission_denied"
	case adapter.RateLimit:
		return "rate_limit_error", "rate_limit_exceeded"
	case adapter.Billing:
		return "insufficient_quota", "insufficient_quota"
	case adapter.Timeout:
		return "server_error", "timeout"
	case adapter.Overloaded:
		return "server_error", "overloaded"
	case adapter.Broken:
	}
	return "server_error", ""
}

// appendChatError writes an error as Chat Completions has it.
func appendChatError(dst []byte, e *adapter.Error) []byte {
	typ, code := words(e.Kind)
	if e.Code != "" {
		code = e.Code
	}
	dst = gjson.AppendJSONString(append(dst, `{"error":{"message":`...), e.Message)
	dst = gjson.AppendJSONString(append(dst, `,"type":`...), typ)
	dst = appendOrNull(append(dst, `,"param":`...), e.Param)
	dst = appendOrNull(append(dst, `,"code":`...), code)
	return append(dst, "}}"...)
}

func appendOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return gjson.AppendJSONString(dst, s)
}

// chatError reads an error of Chat Completions, which is valid JSON.
func chatError(body []byte) *adapter.Error {
	in := gjson.GetBytes(body, "error")
	e := &adapter.Error{Kind: adapter.Broken, Message: in.Get("message").String(), Param: in.Get("param").String(), Code: in.Get("code").String()}
	if e.Message == "" {
		e.Message = "The vendor answered with an error and no reason."
	}
	typ := in.Get("type").String()
	switch {
	case e.Code == "rate_limit_exceeded" || typ == "rate_limit_error":
		e.Kind = adapter.RateLimit
	case e.Code == "insufficient_quota" || typ == "insufficient_quota":
		e.Kind = adapter.Billing
	case e.Code == "timeout":
		e.Kind = adapter.Timeout
	case e.Code == "overloaded":
		e.Kind = adapter.Overloaded
	case e.Code == "model_not_found":
		e.Kind = adapter.NotFound
	case typ == "invalid_request_error":
		e.Kind = adapter.Invalid
	}
	return e
}
