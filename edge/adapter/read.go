package adapter

import (
	"bytes"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"tollgate/internal/meter/frame"
)

// mostText is how much of a vendor's words about an error goes on.
const mostText = 4096

// refused is all that callers hear when a vendor does not take the credential of the gateway. What vendors write about it has parts
// of the credential in it.
const refused = "The vendor refused the gateway's credential. This is not about your key."

// ContextLength is the code of a request that has more tokens than the model takes.
const ContextLength = "context_length_exceeded"

// ThreadUnsupported is the code of a request that begins or continues a conversation of which the server should keep the turns.
// Anthropic's libraries know it by its details, and then send the whole conversation each time.
const ThreadUnsupported = "thread_unsupported_request"

// Read makes an error of a vendor's: of an answer, or with status 0 of an event in a stream. It knows the shapes of OpenAI,
// Anthropic, Google, AWS, Azure, Cohere, Mistral, Voyage and Ollama, takes others for plain text, and is never nil. retryAfter is the
// vendor's header. The status decides; what the body says of the kind of error counts where there is none.
func Read(status int, retryAfter string, body []byte) *Error {
	said := read(body)
	if status == 0 {
		status = said.statusOf()
	}
	e := &Error{Message: said.message, Param: said.param, Code: said.code, RetryAfter: retryAfter}
	if e.RetryAfter == "" {
		e.RetryAfter = said.retryAfter
	}
	e.Kind, e.Status = kindOf(status, &said)
	switch {
	case said.credential || status == http.StatusUnauthorized || status == http.StatusForbidden:
		return &Error{Kind: Broken, Status: http.StatusBadGateway, Message: refused, Code: "upstream_refused"}
	case e.Kind == Invalid && said.tooLong():
		e.Code = ContextLength
	case e.Kind != Invalid && e.Kind != NotFound:
		e.Code = "" // the words of the kind are what clients look for
	}
	if e.Message == "" {
		e.Message = silence(status)
	}
	return e
}

func silence(status int) string {
	if status < 100 || status > 999 {
		return "The vendor reported an error and did not say which."
	}
	return "The vendor answered with status " + strconv.Itoa(status) + " and did not say why."
}

// kindOf is the kind of a status, and the status to pass on where it is not the kind's own.
func kindOf(status int, said *account) (Kind, int) {
	switch status {
	case http.StatusNotFound:
		return NotFound, 0
	case http.StatusRequestTimeout, http.StatusGatewayTimeout, 524: // of a proxy in front of the vendor
		return Timeout, 0
	case http.StatusConflict:
		return Conflict, 0
	case http.StatusRequestEntityTooLarge:
		return TooLarge, 0
	case http.StatusPaymentRequired:
		return Billing, 0
	case http.StatusTooManyRequests:
		if said.code == "insufficient_quota" || said.kind == "insufficient_quota" {
			return Billing, 0
		}
		return RateLimit, 0
	case http.StatusServiceUnavailable, 498, 529: // Groq's and Anthropic's own
		return Overloaded, 0
	}
	switch {
	case status >= 400 && status < 500:
		return Invalid, 0
	case said.kind == "overloaded_error":
		return Overloaded, 0
	case status == http.StatusInternalServerError:
		return Broken, status
	default:
		return Broken, 0
	}
}

// account is what a vendor has said of an error.
type account struct {
	message, kind, code, param, retryAfter string

	number     int  // its status, where the body has one
	credential bool // it is about the gateway's credential
}

// statusOf is the status that an event in a stream would have had as an answer.
func (a *account) statusOf() int {
	if a.number >= 400 && a.number <= 599 {
		return a.number
	}
	for _, word := range []string{a.code, a.kind} {
		switch word {
		case "invalid_request_error", "invalid_request", "BadRequestError", "INVALID_ARGUMENT", ContextLength:
			return http.StatusBadRequest
		case "authentication_error", "permission_error", "invalid_api_key", "PERMISSION_DENIED", "UNAUTHENTICATED":
			return http.StatusForbidden
		case "billing_error", "insufficient_quota":
			return http.StatusPaymentRequired
		case "not_found_error", "model_not_found", "NotFoundError", "NOT_FOUND":
			return http.StatusNotFound
		case "request_too_large":
			return http.StatusRequestEntityTooLarge
		case "conflict_error":
			return http.StatusConflict
		case "rate_limit_error", "rate_limit_exceeded", "RESOURCE_EXHAUSTED":
			return http.StatusTooManyRequests
		case "timeout_error", "timeout", "DEADLINE_EXCEEDED":
			return http.StatusGatewayTimeout
		case "overloaded_error", "overloaded", "server_overloaded", "UNAVAILABLE":
			return http.StatusServiceUnavailable
		}
	}
	return http.StatusBadGateway
}

// read finds the words of an error in a body.
func read(body []byte) (a account) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return a
	}
	if !frame.Valid(body) {
		if body[0] != '<' && body[0] != '{' && body[0] != '[' { // a page, or part of something
			a.message = shorten(string(body))
		}
		return a
	}
	doc := gjson.ParseBytes(body)
	if doc.IsArray() { // Google's streams
		doc = doc.Get("0")
	}
	about := doc
	switch e := doc.Get("error"); {
	case e.IsObject():
		about = e
	case e.Type == gjson.String && !doc.Get("message").Exists(): // Ollama
		a.message = e.Str
	case doc.Get("type").Str == "response.failed": // an event of OpenAI's Responses
		about = doc.Get("response.error")
	}
	for _, path := range [...]string{"message", "detail", "Message", "errors", "msg"} {
		if a.message != "" {
			break
		}
		a.message = words(about.Get(path))
	}
	for _, path := range [...]string{"type", "status", "error_type"} { // everybody, Google, Cohere
		if a.kind = about.Get(path).Str; a.kind != "" && a.kind != "error" {
			break
		}
	}
	a.param = shorten(about.Get("param").Str)
	if code := about.Get("code"); code.Type == gjson.Number {
		a.number = int(min(max(code.Num, 0), 1000))
	} else if n, err := strconv.Atoi(code.Str); err == nil { // Azure
		a.number = min(max(n, 0), 1000)
	} else {
		a.code = shorten(code.Str)
	}
	about.Get("details").ForEach(func(_, d gjson.Result) bool {
		if delay, err := time.ParseDuration(d.Get("retryDelay").Str); err == nil && delay > 0 && a.retryAfter == "" {
			a.retryAfter = strconv.FormatInt(int64(math.Ceil(delay.Seconds())), 10)
		}
		a.credential = a.credential || d.Get("reason").Str == "API_KEY_INVALID"
		return true
	})
	a.credential = a.credential || a.code == "invalid_api_key" || a.kind == "authentication_error"
	a.message = shorten(a.message)
	return a
}

// words is a text, the first of several, or what a list of things that are wrong says of the first.
func words(v gjson.Result) string {
	switch {
	case v.Type == gjson.String:
		return v.Str
	case v.IsArray():
		v = v.Get("0")
		if v.Type == gjson.String {
			return v.Str
		}
		text := v.Get("msg").Str
		if text == "" {
			return v.Get("message").Str
		}
		var at []string
		v.Get("loc").ForEach(func(_, part gjson.Result) bool {
			at = append(at, part.String())
			return true
		})
		if len(at) > 0 {
			text = strings.Join(at, ".") + ": " + text
		}
		return text
	case v.IsObject():
		return words(v.Get("detail"))
	default:
		return ""
	}
}

// tooLong says whether a refused request had more tokens than the model takes. Vendors have words for it, but hardly a code.
func (a *account) tooLong() bool {
	if a.code == ContextLength || a.kind == "TOO_MANY_TOKENS" || a.kind == "exceed_context_size_error" {
		return true
	}
	text := strings.ToLower(a.message)
	for _, phrase := range [...]string{
		"maximum context length", "prompt is too long", "maximum prompt length", "input is too long", "exceeds the maximum number of tokens",
		"exceed context limit", "exceeds the available context size", "context window", "too many tokens", "input token count exceeds",
	} {
		if strings.Contains(text, phrase) {
			return true
		}
	}
	return false
}

func shorten(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > mostText {
		s = s[:mostText] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
