package responses

import (
	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
)

// Fail appends the event of an error. OpenAI's reference has its fields in the event itself, while its service and its clients
// have them in an object "error": both are there.
func (s *stream) Fail(dst []byte, err *adapter.Error, _ string) []byte {
	if s.over {
		return dst
	}
	s.over = true
	s.dst = dst
	typ, code := words(err)
	fields := gjson.AppendJSONString([]byte(`"code":`), code)
	fields = gjson.AppendJSONString(append(fields, `,"message":`...), err.Message)
	fields = append(fields, `,"param":`...)
	if err.Param != "" {
		fields = gjson.AppendJSONString(fields, err.Param)
	} else {
		fields = append(fields, "null"...)
	}
	s.start("error")
	s.dst = append(append(s.dst, ','), fields...)
	s.dst = append(append(append(s.dst, `,"error":{"type":"`...), typ...), `",`...)
	s.dst = append(append(s.dst, fields...), '}')
	s.end()
	return s.dst
}

// words are an error's type and code as OpenAI has them.
func words(err *adapter.Error) (typ, code string) {
	switch err.Kind {
	case adapter.RateLimit:
		typ, code = "rate_limit_error", "rate_limit_exceeded"
	case adapter.Billing:
		typ, code = "insufficient_quota", "insufficient_quota"
	case adapter.Timeout:
		typ, code = "server_error", "timeout"
	case adapter.Overloaded:
		typ, code = "server_error", "overloaded"
	case adapter.Broken:
		typ, code = "server_error", "server_error"
	case adapter.Invalid, adapter.Authentication, adapter.Permission, adapter.NotFound, adapter.TooLarge, adapter.Conflict:
		typ, code = "invalid_request_error", "invalid_request_error"
	default:
		typ, code = "server_error", "server_error"
	}
	if err.Code != "" {
		code = err.Code
	}
	return typ, code
}

// vendorError is an error that a vendor tells of where an answer was expected. What it says of the gateway's credential is not for
// the caller.
func vendorError(vendor string, v gjson.Result) *adapter.Error {
	message := v.Get("message").String()
	if v.Type == gjson.String {
		message = v.String()
	}
	if message == "" {
		message = vendor + " told of an error without saying which."
	}
	err := &adapter.Error{Kind: adapter.Broken, Message: message}
	for _, field := range [...]string{"type", "code"} {
		switch v.Get(field).String() {
		case "rate_limit_error", "rate_limit_exceeded", "429":
			err.Kind = adapter.RateLimit
		case "insufficient_quota", "402":
			err.Kind = adapter.Billing
		case "overloaded_error", "overloaded", "503", "529":
			err.Kind = adapter.Overloaded
		case "timeout_error", "timeout", "408", "504":
			err.Kind = adapter.Timeout
		case "invalid_request_error", "400":
			err.Kind = adapter.Invalid
		case "authentication_error", "permission_error", "invalid_api_key", "401", "403":
			return adapter.Fail("%s refused the gateway's credential.", vendor)
		}
	}
	return err
}
