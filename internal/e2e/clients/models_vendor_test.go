package clients_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/internal/testenv/schemas"
)

// A route of the dialect "models" is a vendor of language models: of Chat Completions and Responses below /v1, of Messages, and of
// Azure's form of Chat Completions. Every request is held against the strict schema of its language. What it answers with depends on
// the model that it is asked for:
//
//   - "recorded…" is answered with the same recordings as elsewhere, plain or with the call of a tool.
//   - "weather…" calls tools in several turns, "forecast…" too with numbers that JavaScript can tell, "json…" answers by the schema
//     that it is given, "see…" says which images it was shown, "think…" thinks before it answers, "long…" stops at its limit and "stop…" at the first stop sequence of the request (models_script_test.go).
//   - "status-CODE" is an error with that HTTP status; "status-429-quota" and "status-400-context" are two of their own kind.
//   - "endless-TAG", "silent-TAG", "torn-TAG" and "busy-TAG" are as with every dialect; "failing-TAG" sends an error in mid-stream.
//
// A vendor whose route is down (setDown) answers everything with 503.
func (v *vendor) serveModels(w http.ResponseWriter, status func(int), r *http.Request, route *expected, path string, body []byte) {
	note := func(format string, args ...any) {
		v.mu.Lock()
		defer v.mu.Unlock()
		route.problems = append(route.problems, fmt.Sprintf("%s %s: %s\n%.2000s", r.Method, path, fmt.Sprintf(format, args...), body))
	}
	fail := func(format string, args ...any) {
		note(format, args...)
		w.Header().Set("Content-Type", "text/plain")
		status(http.StatusTeapot) // no client repeats it
		_, _ = fmt.Fprintf(w, format, args...)
	}
	w.Header().Del("X-Body-Sha256") // what is translated has other bytes
	lang, counts := languageOf(path)
	if lang == "" || r.Method != http.MethodPost {
		fail("there is no such path")
		return
	}
	q := gjson.ParseBytes(body)
	if counts {
		countModelTokens(w, status, lang)
		return
	}
	if schema := map[string]string{"chat": "openai-chat-request", "messages": "anthropic-request"}[lang]; schema != "" {
		if err := schemas.Check(schema, body); err != nil {
			fail("%v", err)
			return
		}
	}
	model := q.Get("model").Str
	if azure, ok := strings.CutPrefix(path, "/openai/deployments/"); ok {
		model, _, _ = strings.Cut(azure, "/")
		if r.URL.Query().Get("api-version") == "" {
			fail("it has no api-version: %q", r.URL.RawQuery)
			return
		}
	}
	what, tag, _ := strings.Cut(model, "-")
	v.mu.Lock()
	down := route.down
	v.mu.Unlock()
	switch {
	case down:
		refuse(w, status, lang, "503")
	case what == "status":
		refuse(w, status, lang, tag)
	case what == "busy" && v.first(tag):
		w.Header().Set("Retry-After-Ms", "20")
		refuse(w, status, lang, "429")
	case what == "silent":
		<-r.Context().Done()
		v.end(tag)
	case what == "recorded":
		out, err := recordedModel(lang, q)
		if err != nil {
			fail("%v", err)
			return
		}
		for name, values := range out.header {
			w.Header()[name] = values
		}
		status(out.status)
		if out.stream {
			pieces(w, out.body)
		} else {
			_, _ = w.Write(out.body)
		}
	default:
		c, err := readConversation(lang, q)
		if err != nil {
			fail("%v", err)
			return
		}
		said, err := c.answer(lang, what)
		if err != nil {
			fail("%v", err)
			return
		}
		out := said.write(lang, q)
		stream := q.Get("stream").Bool()
		w.Header().Set("Content-Type", "application/json")
		if stream {
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		}
		w.Header().Set(map[string]string{"messages": "Request-Id", "chat": "X-Request-Id"}[lang], "req_of_the_vendor")
		w.Header().Set("X-Of-The-Vendor", "1")
		status(http.StatusOK)
		switch {
		case !stream:
			_, _ = w.Write(out)
		case what == "endless":
			begun := bytes.Index(out, []byte("Grüße")) // the first piece of text
			pieces(w, out[:begun+bytes.Index(out[begun:], []byte("\n\n"))+2])
			endless(r.Context(), w)
			v.end(tag)
		case what == "torn":
			pieces(w, out[:len(out)*3/4])
			panic(http.ErrAbortHandler)
		case what == "failing":
			pieces(w, said.fail(lang, out))
		default:
			pieces(w, out)
		}
	}
}

// setDown has the vendor of a route answer everything with 503, or no more.
func (v *vendor) setDown(route string, down bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.routes[route].down = down
}

// languageOf says which language is spoken at a path, and whether it only counts tokens.
func languageOf(path string) (lang string, counts bool) {
	switch {
	case path == "/v1/chat/completions", strings.HasPrefix(path, "/openai/deployments/") && strings.HasSuffix(path, "/chat/completions"):
		return "chat", false
	case path == "/v1/responses":
		return "responses", false
	case path == "/v1/responses/input_tokens":
		return "responses", true
	case path == "/v1/messages":
		return "messages", false
	case path == "/v1/messages/count_tokens":
		return "messages", true
	}
	return "", false
}

// The tokens that are counted before a request is sent.
const countedByOpenAI, countedByAnthropic = 1234, 4321

func countModelTokens(w http.ResponseWriter, status func(int), lang string) {
	w.Header().Set("Content-Type", "application/json")
	status(http.StatusOK)
	if lang == "messages" {
		_, _ = fmt.Fprintf(w, `{"input_tokens":%d}`, countedByAnthropic)
		return
	}
	_, _ = fmt.Fprintf(w, `{"object":"response.input_tokens","input_tokens":%d}`, countedByOpenAI)
}

// recordedModel is a recorded answer. A stream of chat tells its usage only if that was asked for.
func recordedModel(lang string, q gjson.Result) (answer, error) {
	dialect, path := "openai", "/v1/chat/completions"
	switch lang {
	case "messages":
		dialect, path = "anthropic", "/v1/messages"
	case "responses":
		path = "/v1/responses"
	}
	stream := q.Get("stream").Bool()
	out, err := script(dialect, path, stream, lang != "responses" && q.Get("tools.#").Int() > 0)
	if err == nil && stream && lang == "chat" && !q.Get("stream_options.include_usage").Bool() {
		out.body = withoutUsage(out.body)
	}
	return out, err
}

// refuse answers as the vendor of a language answers with an error.
func refuse(w http.ResponseWriter, status func(int), lang, what string) {
	code, kind, _ := strings.Cut(what, "-")
	n, _ := strconv.Atoi(code)
	message := "The vendor says: " + cmp.Or(kind, code) + "."
	if kind == "context" {
		message = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
		if lang == "messages" {
			message = "prompt is too long: 9000 tokens > 8192 maximum"
		}
	}
	if n == http.StatusUnauthorized {
		message = "Incorrect API key provided: " + vendorKey + "."
	}
	if n == http.StatusTooManyRequests && kind == "" {
		w.Header().Set("Retry-After", "7")
	}
	var out any
	if lang == "messages" {
		types := map[int]string{
			400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error",
			409: "conflict_error", 413: "request_too_large", 429: "rate_limit_error", 504: "timeout_error", 529: "overloaded_error",
		}
		out = map[string]any{
			"type": "error", "request_id": "req_of_the_vendor",
			"error": map[string]any{"type": cmp.Or(types[n], "api_error"), "message": message},
		}
	} else {
		types := map[int]string{429: "requests", 500: "server_error", 503: "server_error", 504: "server_error"}
		codes := map[string]any{
			"404": "model_not_found", "401": "invalid_api_key", "429": "rate_limit_exceeded", "429-quota": "insufficient_quota",
			"400-context": "context_length_exceeded",
		}
		typ := cmp.Or(types[n], "invalid_request_error")
		if kind == "quota" {
			typ = "insufficient_quota"
		}
		out = map[string]any{"error": map[string]any{"message": message, "type": typ, "param": nil, "code": codes[what]}}
	}
	w.Header().Set("Content-Type", "application/json")
	status(n)
	text, _ := json.Marshal(out)
	_, _ = io.WriteString(w, string(text))
}
