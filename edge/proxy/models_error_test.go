package proxy

import (
	"context"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// Guarantee: what a vendor answers as an error reaches the caller in its own schema, with the status and the type that its library
// knows, whichever schema the vendor speaks; a refusal of the gateway's credential is none of the caller's, and its text is not shown.
func TestErrorsOfVendors(t *testing.T) {
	t.Parallel()
	const said = `{"error":{"message":"it is wrong: sk-secret","type":"some_error","param":null,"code":null}}`
	for name, tc := range map[string]struct {
		status int
		body   string
		want   int
		typ    string
		code   string // of the gateway
	}{
		"400":        {400, said, 400, "invalid_request_error", ""},
		"401":        {401, said, 502, "api_error", "upstream_refused"},
		"403":        {403, said, 502, "api_error", "upstream_refused"},
		"404":        {404, said, 404, "not_found_error", ""},
		"409":        {409, said, 409, "conflict_error", ""},
		"413":        {413, said, 413, "request_too_large", ""},
		"429":        {429, said, 429, "rate_limit_error", ""},
		"no quota":   {429, `{"error":{"message":"no quota","type":"insufficient_quota","code":"insufficient_quota"}}`, 402, "billing_error", ""},
		"500":        {500, said, 500, "api_error", ""},
		"503":        {503, said, 529, "overloaded_error", ""},
		"504":        {504, said, 504, "timeout_error", ""},
		"no JSON":    {500, "<html>", 500, "api_error", ""},
		"a redirect": {302, "", 502, "api_error", ""},
		"nonsense":   {200, "<html>", 502, "api_error", "upstream_answer_invalid"},
		"no choice":  {200, `{"choices":[]}`, 502, "api_error", "upstream_answer_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newModels(t, vendorsOfTest{"openai": says(tc.status, tc.body, Header{"Retry-After", "7"})}, []*eventv1.RouteModel{
				modelOfTest("claude", deployment(t, "openai", "gpt-4o", schemaChat)),
			})
			out := b.ask(context.Background(), &got{}, "POST", "/messages", hi)
			text := out.body.String()
			checkSchema(t, "anthropic-error", text)
			if out.status != tc.want || gjson.Get(text, "error.type").String() != tc.typ || get(out.headers, HeaderError) != tc.code {
				t.Errorf("got %d %v %s", out.status, out.headers, text)
			}
			if tc.code == "upstream_refused" && strings.Contains(text, "sk-secret") {
				t.Errorf("the vendor's text is shown: %s", text)
			}
			if after := get(out.headers, "Retry-After"); (after == "7") != (tc.code == "") {
				t.Errorf("retry-after %q", after)
			}
			if get(out.headers, "X-Vendor") != "" || get(out.headers, "Request-Id") == "" || get(out.headers, HeaderModel) != "claude/openai" {
				t.Errorf("headers %v", out.headers)
			}
			_, _, end := (&stages{bench: b.bench}).lastIntent()
			if end.Outcome != eventv1.SpendOutcome_SPEND_OUTCOME_TARGET_ERROR || end.Status != tc.status || tc.status != 200 && end.Cost != 0 {
				t.Errorf("settled %+v", end)
			}
		})
	}
}

// Guarantee: a vendor of the caller's own schema is passed on as it is, errors too, but for a refusal of the gateway's credential.
func TestErrorsOfTheSameSchema(t *testing.T) {
	t.Parallel()
	const said = `{"error" : {"message":"x","type":"t"}}`
	for status, want := range map[int]int{400: 400, 401: 502, 403: 502, 404: 404, 429: 429, 503: 503} {
		b := newModels(t, vendorsOfTest{"openai": says(status, said)}, []*eventv1.RouteModel{modelOfTest("gpt", deployment(t, "openai", "gpt-4o", schemaChat))})
		out := b.ask(context.Background(), &got{}, "POST", "/chat/completions", `{"model":"gpt","messages":[]}`)
		if out.status != want || want == status && out.body.String() != said {
			t.Errorf("%d: got %d %s", status, out.status, out.body.String())
		}
		if want == 502 {
			checkSchema(t, "openai-error", out.body.String())
		}
	}
}

// Guarantee: every refusal of the gateway on such an endpoint is in the schema of the caller, with the gateway's own code in a header.
func TestRefusalsInSchema(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		path    string
		key     string
		headers []Header
		change  func(b *modelBench)
		status  int
		code    string
		schema  string
		typ     string
	}{
		"no key":               {path: "/messages", status: 401, code: "key_missing", schema: "anthropic-error", typ: "authentication_error"},
		"no key, Chat":         {path: "/chat/completions", status: 401, code: "key_missing", schema: "openai-error", typ: "invalid_request_error"},
		"unknown key":          {path: "/messages", key: "tgk_wrong", status: 401, code: "key_unknown", schema: "anthropic-error", typ: "authentication_error"},
		"unknown path":         {path: "/other", key: testKey, status: 404, code: "endpoint_not_found", schema: "openai-error", typ: "invalid_request_error"},
		"unknown path, theirs": {path: "/other", key: testKey, headers: []Header{{"anthropic-version", "x"}}, status: 404, code: "endpoint_not_found", schema: "anthropic-error", typ: "not_found_error"},
		"no money":             {path: "/messages", key: testKey, change: func(b *modelBench) { b.money.left = 0 }, status: 402, code: "budget_exhausted", schema: "anthropic-error", typ: "billing_error"},
		"stopping":             {path: "/messages", key: testKey, change: func(b *modelBench) { b.gateway.Stop() }, status: 529, code: "shutting_down", schema: "anthropic-error", typ: "overloaded_error"},
		"limited":              {path: "/messages", key: testKey, change: func(b *modelBench) { b.gate.fails = func() bool { return true } }, status: 429, code: "rate_limited", schema: "anthropic-error", typ: "rate_limit_error"},
		"unreachable":          {path: "/messages", key: testKey, status: 502, code: "upstream_unreachable", schema: "anthropic-error", typ: "api_error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newModels(t, vendorsOfTest{"openai": unreachable}, []*eventv1.RouteModel{modelOfTest("claude", deployment(t, "openai", "gpt-4o", schemaChat))},
				func(o *options) { o.limits = everyUnit })
			if tc.change != nil {
				tc.change(b)
			}
			headers := tc.headers
			if tc.key != "" {
				headers = append(headers, Header{"x-api-key", tc.key})
			}
			out := &got{}
			b.gateway.Serve(context.Background(), &Exchange{Method: "POST", Target: "/x" + tc.path, Length: int64(len(hi)), Out: out, Body: sentBody{strings.NewReader(hi)}, Headers: headers})
			text := out.body.String()
			checkSchema(t, tc.schema, text)
			if out.status != tc.status || get(out.headers, HeaderError) != tc.code || gjson.Get(text, "error.type").String() != tc.typ {
				t.Errorf("got %d %v %s", out.status, out.headers, text)
			}
			id := get(out.headers, "Request-Id")
			if tc.schema == "openai-error" {
				id = get(out.headers, "X-Request-Id")
			}
			if !strings.HasPrefix(id, "req_") {
				t.Errorf("request id %q", id)
			}
		})
	}
}

// Guarantee: a request that a vendor's schema cannot say goes to another deployment that can; where none can, the caller learns which
// field it is, before anything is held.
func TestWhatNoVendorCanSay(t *testing.T) {
	t.Parallel()
	const odd = `{"model":"claude","max_tokens":50,"container":"c_1","messages":[{"role":"user","content":"Hi"}]}`
	b := newModels(t, vendorsOfTest{"openai": says(200, chatAnswer), "anthropic": says(200, messagesAnswer)}, []*eventv1.RouteModel{
		modelOfTest("claude", deployment(t, "openai", "gpt-4o", schemaChat), deployment(t, "anthropic", "claude-real", schemaMessages)),
	})
	out := b.ask(context.Background(), &got{}, "POST", "/messages", odd)
	if out.status != 200 || len(b.sent) != 1 || b.sent[0].host != "anthropic" || get(out.headers, HeaderModel) != "claude/anthropic" {
		t.Errorf("got %d %s, sent %+v", out.status, out.body.String(), b.sent)
	}
	b = newModels(t, vendorsOfTest{"openai": says(200, chatAnswer)}, []*eventv1.RouteModel{modelOfTest("claude", deployment(t, "openai", "gpt-4o", schemaChat))})
	b.money.left = 0
	out = b.ask(context.Background(), &got{}, "POST", "/messages", odd)
	text := out.body.String()
	if out.status != 400 || get(out.headers, HeaderError) != "request_unsupported" || !strings.Contains(text, "container") || !strings.Contains(text, "claude/openai") || len(b.sent) != 0 {
		t.Errorf("got %d %v %s", out.status, out.headers, text)
	}
	checkSchema(t, "anthropic-error", text)
}

// Guarantee: where a deployment is busy or away, the request goes to the next one in the schema of that one, and each attempt is
// charged by the deployment that it went to.
func TestFailoverToAnotherSchema(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]upstreamFunc{"busy": says(503, `{"error":{"message":"x"}}`), "throttled": says(429, "{}"), "away": unreachable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newModels(t, vendorsOfTest{"openai": first, "anthropic": says(200, messagesAnswer)}, []*eventv1.RouteModel{
				modelOfTest("claude", deployment(t, "openai", "gpt-4o", schemaChat), deployment(t, "anthropic", "claude-real", schemaMessages)),
			})
			out := b.ask(context.Background(), &got{}, "POST", "/messages", hi)
			if out.status != 200 || out.body.String() != messagesAnswer || get(out.headers, HeaderModel) != "claude/anthropic" {
				t.Fatalf("got %d %s", out.status, out.body.String())
			}
			if len(b.spool.order) != 2 {
				t.Fatalf("%d intents", len(b.spool.order))
			}
			for i, want := range []struct {
				deployment, model string
				cost              money.Nanos
			}{{"claude/openai", "gpt-4o", 0}, {"claude/anthropic", "claude-real", messagesCost}} {
				in, end := b.spool.intents[b.spool.order[i]], b.spool.ends[b.spool.order[i]][0]
				if in.Deployment != want.deployment || in.Model != want.model || end.Cost != want.cost {
					t.Errorf("%d: recorded %+v, settled %+v", i, in, end)
				}
			}
			if b.spool.intents[b.spool.order[1]].Amount <= b.spool.intents[b.spool.order[0]].Amount {
				t.Error("the dearer deployment is not held for")
			}
		})
	}
}
