package adapter

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter/jsontext"
)

// said is how a kind of error is told in both vendors' words.
type said struct {
	anthropic   string // type
	status      int
	openai      string // type
	code        string // empty for null
	overOpenAI  int    // status in OpenAI's words; 0 for the same
	withMessage string // what stands for an empty one
}

var kinds = [...]said{
	Invalid:        {anthropic: "invalid_request_error", status: http.StatusBadRequest, openai: "invalid_request_error", withMessage: "The request is not valid."},
	Authentication: {anthropic: "authentication_error", status: http.StatusUnauthorized, openai: "invalid_request_error", code: "invalid_api_key", withMessage: "The key is missing or not known."},
	Permission:     {anthropic: "permission_error", status: http.StatusForbidden, openai: "invalid_request_error", code: "permission_denied", withMessage: "The key may not do this."},
	NotFound:       {anthropic: "not_found_error", status: http.StatusNotFound, openai: "invalid_request_error", code: "model_not_found", withMessage: "There is no such thing."},
	TooLarge:       {anthropic: "request_too_large", status: http.StatusRequestEntityTooLarge, openai: "invalid_request_error", code: "request_too_large", withMessage: "The request is too large."},
	Conflict:       {anthropic: "conflict_error", status: http.StatusConflict, openai: "invalid_request_error", code: "conflict", withMessage: "The request conflicts with another one."},
	RateLimit:      {anthropic: "rate_limit_error", status: http.StatusTooManyRequests, openai: "rate_limit_error", code: "rate_limit_exceeded", withMessage: "There were too many requests."},
	Billing:        {anthropic: "billing_error", status: http.StatusPaymentRequired, openai: "insufficient_quota", code: "insufficient_quota", withMessage: "Nothing is left to pay with."},
	Timeout:        {anthropic: "timeout_error", status: http.StatusGatewayTimeout, openai: "server_error", code: "timeout", withMessage: "There was no answer in time."},
	Overloaded:     {anthropic: "overloaded_error", status: 529, openai: "server_error", code: "overloaded", overOpenAI: http.StatusServiceUnavailable, withMessage: "There is too much to do."},
	Broken:         {anthropic: "api_error", status: http.StatusBadGateway, openai: "server_error", withMessage: "Something failed."},
}

func (k Kind) said() *said {
	if k < Invalid || int(k) >= len(kinds) {
		k = Broken
	}
	return &kinds[k]
}

// Write makes the answer of an error in the schema that the caller speaks. requestID is left out where it is empty, and where the
// schema has it in a header alone.
func Write(s Schema, e *Error, requestID string) (status int, body []byte) {
	return e.StatusIn(s), Append(nil, s, e, requestID)
}

// StatusIn is the status of the answer in a schema.
func (e *Error) StatusIn(s Schema) int {
	in := e.Kind.said()
	if s == Messages {
		return cmp.Or(e.Status, in.status)
	}
	return cmp.Or(e.Status, in.overOpenAI, in.status)
}

// Append appends the body of an error.
func Append(dst []byte, s Schema, e *Error, requestID string) []byte {
	if s == Messages {
		text := e.text()
		if e.Code == ContextLength && !strings.HasPrefix(text, tooLongPrefix) {
			text = tooLongPrefix + " " + text // by which clients know to make it shorter
		}
		dst = append(dst, `{"type":"error","error":{"type":"`...)
		dst = append(dst, e.Kind.said().anthropic...)
		dst = append(dst, `","message":`...)
		dst = gjson.AppendJSONString(dst, text)
		if e.Code == ThreadUnsupported {
			dst = append(dst, `,"details":{"error_code":"thread_unsupported_request","unsupported":["thread"]}`...)
		}
		dst = append(dst, '}')
		if requestID != "" {
			dst = gjson.AppendJSONString(append(dst, `,"request_id":`...), requestID)
		}
		return append(dst, '}')
	}
	return append(appendAbout(append(dst, `{"error":`...), e), '}')
}

// AppendEvent appends an error as an event of a stream in the schema that the caller speaks: the last one. number is its place among
// the events of Responses, which count them.
func AppendEvent(dst []byte, s Schema, e *Error, requestID string, number int64) []byte {
	switch s {
	case Messages:
		dst = Append(append(dst, "event: error\ndata: "...), s, e, requestID)
	case Responses:
		// OpenAI's reference has the fields of an error in the event itself, while its service and its clients have them in an object
		// "error": both are there.
		dst = append(dst, "event: error\ndata: {\"type\":\"error\",\"sequence_number\":"...)
		dst = strconv.AppendInt(dst, number, 10)
		dst = jsontext.OrNull(append(dst, `,"code":`...), cmp.Or(e.Code, e.Kind.said().code))
		dst = gjson.AppendJSONString(append(dst, `,"message":`...), e.text())
		dst = jsontext.OrNull(append(dst, `,"param":`...), e.Param)
		dst = append(appendAbout(append(dst, `,"error":`...), e), '}')
	default:
		dst = Append(append(dst, "data: "...), s, e, requestID)
	}
	return append(dst, "\n\n"...)
}

// appendAbout appends what OpenAI's schemas say of an error.
func appendAbout(dst []byte, e *Error) []byte {
	in := e.Kind.said()
	dst = gjson.AppendJSONString(append(dst, `{"message":`...), e.text())
	dst = append(append(dst, `,"type":"`...), in.openai...)
	dst = jsontext.OrNull(append(dst, `","param":`...), e.Param)
	return append(jsontext.OrNull(append(dst, `,"code":`...), cmp.Or(e.Code, in.code)), '}')
}

// text is the message, or what stands for an empty one.
func (e *Error) text() string { return cmp.Or(e.Message, e.Kind.said().withMessage) }

// tooLongPrefix is what Anthropic's own message begins with.
const tooLongPrefix = "prompt is too long:"
