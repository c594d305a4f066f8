package adapter_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"tollgate/edge/adapter"
	"tollgate/internal/fault"
	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vectors"
)

// told is an error as a caller gets it: "404 not_found_error", or "404 invalid_request_error model_not_found". It is checked with
// the schema's own schema.
func told(tb rapid.TB, s adapter.Schema, e *adapter.Error) (short, message string) {
	tb.Helper()
	status, body := adapter.Write(s, e, "req_1")
	name := "openai-error"
	if s == adapter.Messages {
		name = "anthropic-error"
	}
	if err := schemas.Check(name, body); err != nil {
		tb.Fatalf("%s: %v", body, err)
	}
	got := gjson.ParseBytes(body)
	short = fmt.Sprint(status, " ", got.Get("error.type").Str)
	if code := got.Get("error.code").Str; code != "" {
		short += " " + code
	}
	if s == adapter.Messages && got.Get("request_id").Str != "req_1" {
		tb.Fatalf("%s does not name the request", body)
	}
	return short, got.Get("error.message").Str
}

// Guarantee: an error of a vendor reaches callers of either schema with the type and status that their clients know it by.
func TestVendorsErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		status            int
		body              string
		anthropic, openai string
	}{
		{400, `{"error":{"message":"no","type":"x","param":null,"code":null}}`, "400 invalid_request_error", "400 invalid_request_error"},
		{422, `{"detail":[{"loc":["body","model"],"msg":"field required"}]}`, "400 invalid_request_error", "400 invalid_request_error"},
		{400, `{"error":{"message":"x","code":"context_length_exceeded"}}`, "400 invalid_request_error", "400 invalid_request_error context_length_exceeded"},
		{401, `{"error":{"message":"Incorrect API key provided: sk-abc","code":"invalid_api_key"}}`, "502 api_error", "502 server_error upstream_refused"},
		{403, `{"message":"no"}`, "502 api_error", "502 server_error upstream_refused"},
		{404, `{"type":"error","error":{"type":"not_found_error","message":"model: x"}}`, "404 not_found_error", "404 invalid_request_error model_not_found"},
		{408, ``, "504 timeout_error", "504 server_error timeout"},
		{504, `<html>`, "504 timeout_error", "504 server_error timeout"},
		{409, `{}`, "409 conflict_error", "409 invalid_request_error conflict"},
		{413, `{}`, "413 request_too_large", "413 invalid_request_error request_too_large"},
		{429, `{"error":{"message":"slow","type":"tokens","code":"rate_limit_exceeded"}}`, "429 rate_limit_error", "429 rate_limit_error rate_limit_exceeded"},
		{429, `{"error":{"message":"pay","type":"insufficient_quota","code":"insufficient_quota"}}`, "402 billing_error", "402 insufficient_quota insufficient_quota"},
		{402, `{"error":{"message":"Insufficient Balance"}}`, "402 billing_error", "402 insufficient_quota insufficient_quota"},
		{500, `{"error":{"message":"x","type":"server_error"}}`, "500 api_error", "500 server_error"},
		{502, `bad gateway`, "502 api_error", "502 server_error"},
		{503, `{"error":{"message":"x","code":"busy"}}`, "529 overloaded_error", "503 server_error overloaded"},
		{529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, "529 overloaded_error", "503 server_error overloaded"},
		{500, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, "529 overloaded_error", "503 server_error overloaded"},
		{418, `[]`, "400 invalid_request_error", "400 invalid_request_error"},
		{520, `null`, "502 api_error", "502 server_error"},
		// Without a status: events of streams.
		{0, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, "529 overloaded_error", "503 server_error overloaded"},
		{0, `{"type":"error","error":{"type":"authentication_error","message":"sk-abc"}}`, "502 api_error", "502 server_error upstream_refused"},
		{0, `{"error":{"message":"x","type":"server_error","code":null}}`, "502 api_error", "502 server_error"},
		{0, `{"error":{"message":"x","code":429}}`, "429 rate_limit_error", "429 rate_limit_error rate_limit_exceeded"},
		{0, `{"type":"error","code":"rate_limit_exceeded","message":"x"}`, "429 rate_limit_error", "429 rate_limit_error rate_limit_exceeded"},
		{0, `{"type":"response.failed","response":{"error":{"code":"server_error","message":"x"}}}`, "502 api_error", "502 server_error"},
		{0, `{"error":{"message":"x","type":"BadRequestError","code":400}}`, "400 invalid_request_error", "400 invalid_request_error"},
	} {
		e := adapter.Read(tc.status, "7", []byte(tc.body))
		if got, _ := told(t, adapter.Messages, e); got != tc.anthropic {
			t.Errorf("%d %s: %s, not %s", tc.status, tc.body, got, tc.anthropic)
		}
		for _, s := range []adapter.Schema{adapter.Chat, adapter.Responses} {
			got, message := told(t, s, e)
			if got != tc.openai || strings.Contains(message, "sk-abc") {
				t.Errorf("%d %s: %s %q, not %s", tc.status, tc.body, got, message, tc.openai)
			}
		}
		if e.Kind == adapter.RateLimit && e.RetryAfter != "7" {
			t.Errorf("%d %s: retry after %q", tc.status, tc.body, e.RetryAfter)
		}
	}
}

// Guarantee: every error that was recorded of a vendor is told in either schema with the vendor's own words, but for those about the
// gateway's credential, of which nothing is told.
func TestRecordedErrors(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for _, x := range vectors.All(t) {
		if x.Status < 400 {
			continue
		}
		seen[x.Vendor]++
		e := adapter.Read(x.Status, "", x.Body)
		short, message := told(t, adapter.Messages, e)
		_, _ = told(t, adapter.Chat, e)
		body := gjson.ParseBytes(x.Body)
		var words string
		for _, path := range []string{"error.message", "message", "detail"} {
			if words == "" {
				words = body.Get(path).Str
			}
		}
		credential := x.Status == 401 || x.Status == 403 || strings.Contains(string(x.Body), "API_KEY_INVALID")
		switch {
		case words == "":
			t.Errorf("%s: the test does not know where its words are", x.Name)
		case credential && (short != "502 api_error" || strings.Contains(message, words)):
			t.Errorf("%s: %s %q", x.Name, short, message)
		case !credential && !strings.HasSuffix(message, strings.TrimSpace(words)):
			t.Errorf("%s: %q in place of %q", x.Name, message, words)
		}
		tooLong := strings.Contains(words, "too many tokens") || strings.Contains(words, "input token count")
		if tooLong != strings.HasPrefix(message, "prompt is too long:") || tooLong != (e.Code == adapter.ContextLength) {
			t.Errorf("%s: %q, code %q", x.Name, message, e.Code)
		}
	}
	for _, vendor := range []string{"anthropic", "azure-openai", "bedrock", "cohere", "gemini", "groq", "mistral", "openai", "vertex"} {
		if seen[vendor] == 0 {
			t.Errorf("no error of %s was read", vendor)
		}
	}
}

// Guarantee: what a vendor says is found wherever vendors put it, and the time to wait as well.
func TestShapesOfErrors(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"detail":"Not Found"}`:                                   "Not Found",
		`{"error":"model 'x' not found"}`:                          "model 'x' not found",
		`{"object":"error","message":"m","code":404}`:              "m",
		`{"object":"error","message":{"detail":[{"msg":"deep"}]}}`: "deep",
		`{"Message":"aws"}`:                                        "aws",
		`[{"error":{"code":400,"message":"in a list"}}]`:           "in a list",
		`{"detail":[{"loc":["body",0,"x"],"msg":"bad"}]}`:          "body.0.x: bad",
		`{"errors":["first","second"]}`:                            "first",
		`plain words`:                                              "plain words",
		`<html>x</html>`:                                           "The vendor answered with status 400 and did not say why.",
		`{"error":`:                                                "The vendor answered with status 400 and did not say why.",
		``:                                                         "The vendor answered with status 400 and did not say why.",
		`{"error":{"message":"prompt is too long: 9 > 8"}}`:        "prompt is too long: 9 > 8",
	} {
		if _, got := told(t, adapter.Messages, adapter.Read(400, "", []byte(body))); got != want {
			t.Errorf("%s: %q, not %q", body, got, want)
		}
	}
	long := adapter.Read(400, "", []byte(strings.Repeat("é", 1<<20)))
	if _, got := told(t, adapter.Chat, long); len(got) > 5000 {
		t.Errorf("a text of %d bytes goes on", len(got))
	}
	delay := `{"error":{"code":429,"message":"m","details":[{"retryDelay":"34.4s"}]}}`
	if e := adapter.Read(429, "", []byte(delay)); e.RetryAfter != "35" {
		t.Errorf("retry after %q", e.RetryAfter)
	}
	if e := adapter.Read(429, "Fri, 31 Dec 1999 23:59:59 GMT", []byte(delay)); e.RetryAfter != "Fri, 31 Dec 1999 23:59:59 GMT" {
		t.Errorf("retry after %q", e.RetryAfter)
	}
	if e := adapter.Read(400, "", []byte(`{"error":{"message":"m","param":"stop","code":"unsupported_parameter"}}`)); e.Param != "stop" || e.Code != "unsupported_parameter" {
		t.Errorf("%+v", e)
	}
}

// Guarantee: whatever a vendor answers, callers get an error of their schema with a status that means one, and nothing of an answer
// about the gateway's credential.
func TestAnyError(t *testing.T) {
	t.Parallel()
	words := rapid.SampledFrom([]string{"", "error", "message", "type", "overloaded_error", "insufficient_quota", "invalid_api_key", "\xff", "\n\"", "prompt is too long"})
	rapid.Check(t, func(t *rapid.T) {
		status := rapid.OneOf(rapid.Just(0), rapid.IntRange(300, 600)).Draw(t, "status")
		body := fmt.Sprintf(`{"error":{"message":%q,"type":%q,"code":%q,"param":%q}}`, words.Draw(t, "message")+"SECRET", words.Draw(t, "type"), words.Draw(t, "code"), words.Draw(t, "param"))
		e := adapter.Read(status, "", []byte(body))
		for _, s := range []adapter.Schema{adapter.Messages, adapter.Chat, adapter.Responses} {
			short, message := told(t, s, e)
			if !slices.Contains([]string{"400", "402", "404", "409", "413", "429", "500", "502", "503", "504", "529"}, short[:3]) {
				t.Fatalf("%d %s: %s", status, body, short)
			}
			if (status == 401 || status == 403) && strings.Contains(message, "SECRET") {
				t.Fatalf("%d %s: %s", status, body, message)
			}
			toldInStream(t, s, e, message)
		}
	})
}

// toldInStream checks that an error says the same as an event: one of the schema, and no more than one.
func toldInStream(tb rapid.TB, s adapter.Schema, e *adapter.Error, message string) {
	tb.Helper()
	name, typ := "openai-error", ""
	switch s {
	case adapter.Messages:
		name, typ = "anthropic-error", "error"
	case adapter.Responses:
		name, typ = "openai-response-event", "error"
	}
	n := 0
	stream := adapter.AppendEvent(nil, s, e, "req_1", 7)
	err := schemas.Events(stream, func(event string, data []byte) error {
		if n++; event != typ || gjson.GetBytes(data, "error.message").Str != message {
			return fmt.Errorf("event %q: %s", event, data)
		}
		if s == adapter.Responses && (gjson.GetBytes(data, "message").Str != message || gjson.GetBytes(data, "sequence_number").Int() != 7) {
			return fmt.Errorf("it does not say itself what it is: %s", data)
		}
		return schemas.Check(name, data)
	})
	if err != nil || n != 1 {
		tb.Fatalf("%d events in %q: %v", n, stream, err)
	}
}

// Guarantee: each of the gateway's own errors is told in either schema, with its hint; those that clients try again are those for
// which that makes sense.
func TestGatewaysErrors(t *testing.T) {
	t.Parallel()
	want := map[fault.Code]string{
		fault.KeyMissing:          "401 authentication_error|401 invalid_request_error invalid_api_key",
		fault.KeyUnknown:          "401 authentication_error|401 invalid_request_error invalid_api_key",
		fault.KeyExpired:          "403 permission_error|403 invalid_request_error permission_denied",
		fault.KeyRevoked:          "403 permission_error|403 invalid_request_error permission_denied",
		fault.KeyNotAllowed:       "403 permission_error|403 invalid_request_error permission_denied",
		fault.ModelNotAllowed:     "403 permission_error|403 invalid_request_error permission_denied",
		fault.ModelNotFound:       "404 not_found_error|404 invalid_request_error model_not_found",
		fault.EndpointNotFound:    "404 not_found_error|404 invalid_request_error endpoint_not_found",
		fault.MethodNotAllowed:    "405 invalid_request_error|405 invalid_request_error method_not_allowed",
		fault.RequestUnsupported:  "400 invalid_request_error|400 invalid_request_error request_unsupported",
		fault.BodyTooLarge:        "413 request_too_large|413 invalid_request_error request_too_large",
		fault.BudgetExhausted:     "402 billing_error|402 insufficient_quota budget_exceeded",
		fault.BudgetUnavailable:   "529 overloaded_error|503 server_error overloaded",
		fault.RateLimited:         "429 rate_limit_error|429 rate_limit_error rate_limit_exceeded",
		fault.UpstreamThrottled:   "429 rate_limit_error|429 rate_limit_error rate_limit_exceeded",
		fault.UpstreamTimeout:     "504 timeout_error|504 server_error timeout",
		fault.UpstreamUnreachable: "502 api_error|502 server_error upstream_unreachable",
		fault.UpstreamRefused:     "502 api_error|502 server_error upstream_refused",
		fault.UpstreamAnswerWrong: "502 api_error|502 server_error upstream_answer_invalid",
		fault.AdapterFailed:       "502 api_error|502 server_error adapter_failed",
		fault.AdapterUnavailable:  "529 overloaded_error|503 server_error overloaded",
		fault.BreakerOpen:         "529 overloaded_error|503 server_error overloaded",
		fault.SecretUnresolved:    "500 api_error|500 server_error secret_unresolved",
		fault.StaleETag:           "409 conflict_error|409 invalid_request_error stale_etag",
	}
	for _, code := range fault.Codes() {
		f := fault.New(code, "What happened.").WithHint("What to do.").WithRetryAfter(1500 * time.Millisecond)
		e := adapter.FromFault(f)
		anthropic, message := told(t, adapter.Messages, e)
		openai, _ := told(t, adapter.Chat, e)
		if want := want[code]; want != "" && anthropic+"|"+openai != want {
			t.Errorf("%s: %s|%s, not %s", code, anthropic, openai, want)
		}
		if message != "What happened. What to do." || e.RetryAfter != "2" {
			t.Errorf("%s: %q, retry after %q", code, message, e.RetryAfter)
		}
		// What can never succeed as sent is not sent again.
		known := []fault.Code{fault.BudgetExhausted, fault.EncodingUnsupported, fault.UpgradeUnsupported} // by their statuses
		if tried := e.StatusIn(adapter.Chat) == 429 || e.StatusIn(adapter.Chat) >= 500; tried != again(f.Kind()) && !slices.Contains(known, code) {
			t.Errorf("%s: %s", code, openai)
		}
	}
	if e := adapter.FromFault(fault.New(fault.KeyMissing, "")); e.Message == "" {
		t.Error("an error without words")
	}
	if got, _ := told(t, adapter.Chat, &adapter.Error{}); got != "502 server_error" {
		t.Errorf("an error of no kind: %s", got)
	}
}

func again(k fault.Kind) bool {
	return k == fault.Unavailable || k == fault.Timeout || k == fault.Internal || k == fault.Exhausted
}

// Guarantee: a request for a conversation that the server should keep is refused with the details by which Anthropic's libraries know to
// send all of it, and other errors have none.
func TestThreadsAreRefusedWithDetails(t *testing.T) {
	t.Parallel()
	e := adapter.Refuse("thread", "thread cannot be sent to a.")
	e.Code = adapter.ThreadUnsupported
	_, body := adapter.Write(adapter.Messages, e, "req_1")
	want := `{"error_code":"thread_unsupported_request","unsupported":["thread"]}`
	if got := gjson.GetBytes(body, "error.details").Raw; got != want {
		t.Errorf("%s", body)
	}
	if short, _ := told(t, adapter.Messages, e); short != "400 invalid_request_error" {
		t.Error(short)
	}
	_, body = adapter.Write(adapter.Messages, adapter.Refuse("top_k", "no"), "req_1")
	if gjson.GetBytes(body, "error.details").Exists() {
		t.Errorf("%s", body)
	}
}

// FuzzRead: no answer of a vendor makes an error that its caller's schema does not have.
func FuzzRead(f *testing.F) {
	for _, x := range vectors.All(f) {
		if x.Status >= 400 {
			f.Add(x.Status, x.Body)
		}
	}
	f.Add(0, []byte(strings.Repeat(`{"error":`, 10000)))
	f.Add(500, []byte("\xff\xfe"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := adapter.Read(status, "", body)
		for _, s := range []adapter.Schema{adapter.Messages, adapter.Chat} {
			_, _ = told(t, s, e)
		}
	})
}
