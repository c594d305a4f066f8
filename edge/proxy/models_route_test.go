package proxy

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Guarantee: what a path below an endpoint that serves models asks for is found with and without "/v1", and nothing else is
// answered there; an exact endpoint answers what its own path ends in.
func TestWanted(t *testing.T) {
	t.Parallel()
	all := []adapter.Schema{adapter.Chat, adapter.Messages, adapter.Responses}
	for name, tc := range map[string]struct {
		endpoint     routing.Endpoint
		method, rest string
		headers      []Header
		op           operation
		schema       adapter.Schema
		one          string
		code         string
	}{
		"messages":            {method: "POST", rest: "/v1/messages", op: opGenerate, schema: adapter.Messages},
		"without v1":          {method: "POST", rest: "/messages", op: opGenerate, schema: adapter.Messages},
		"with a slash behind": {method: "POST", rest: "/chat/completions/", op: opGenerate, schema: adapter.Chat},
		"count":               {method: "POST", rest: "/v1/messages/count_tokens", op: opCount, schema: adapter.Messages},
		"responses":           {method: "POST", rest: "/responses", op: opGenerate, schema: adapter.Responses},
		"list":                {method: "GET", rest: "/v1/models", op: opList, schema: adapter.Chat},
		"list of Anthropic":   {method: "GET", rest: "/v1/models", headers: []Header{{"anthropic-version", "2023-06-01"}}, op: opList, schema: adapter.Messages},
		"one":                 {method: "GET", rest: "/models/meta/llama-3", op: opOne, schema: adapter.Chat, one: "meta/llama-3"},
		"one, encoded":        {method: "HEAD", rest: "/models/meta%2Fllama-3", op: opOne, schema: adapter.Chat, one: "meta/llama-3"},
		"twice v1":            {method: "POST", rest: "/v1/v1/messages", code: "endpoint_not_found", schema: adapter.Chat},
		"something longer":    {method: "POST", rest: "/messages/batches", code: "endpoint_not_found", schema: adapter.Chat},
		"nothing":             {method: "POST", rest: "", code: "endpoint_not_found", schema: adapter.Chat},
		"wrong method":        {method: "GET", rest: "/messages", code: "method_not_allowed", schema: adapter.Messages},
		"wrong method of one": {method: "DELETE", rest: "/models/x", code: "method_not_allowed", schema: adapter.Chat},
		"exact":               {endpoint: routing.Endpoint{Exact: true, Path: "/a/v1/messages"}, method: "POST", op: opGenerate, schema: adapter.Messages},
		"exact count":         {endpoint: routing.Endpoint{Exact: true, Path: "/messages/count_tokens"}, method: "POST", op: opCount, schema: adapter.Messages},
		"exact nothing":       {endpoint: routing.Endpoint{Exact: true, Path: "/a"}, method: "POST", code: "endpoint_not_found", schema: adapter.Chat},
		"another schema":      {endpoint: routing.Endpoint{Models: &routing.Models{Schemas: all[1:2]}}, method: "POST", rest: "/chat/completions", code: "endpoint_not_found", schema: adapter.Messages},
		"an adapter":          {endpoint: routing.Endpoint{Models: &routing.Models{Adapter: &routing.Adapter{}}}, method: "PUT", rest: "/what/ever", op: opForeign, schema: adapter.Chat},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := tc.endpoint
			if e.Models == nil {
				e.Models = &routing.Models{Schemas: all}
			}
			w, err := wantedOf(&e, tc.method, tc.rest, tc.headers)
			if w.op != tc.op || w.schema != tc.schema || w.one != tc.one {
				t.Errorf("found %+v", w)
			}
			if (err != nil) != (tc.code != "") || err != nil && !strings.HasPrefix(err.Error(), tc.code) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// Guarantee: no body is sent on in which a reader might find another model than the one that was checked; all others keep each byte
// but the model's name.
func TestModelField(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"model":"a","x":1.0}`:                 `{"model":"b","x":1.0}`,
		` { "x" : [1e3] , "model" : "\u0061" }`: ` { "x" : [1e3] , "model" : "b" }`,
		`{"\u006dodel":"a"}`:                    `{"\u006dodel":"b"}`,
		`{"messages":[{"model":"z"}]}`:          `{"model":"b","messages":[{"model":"z"}]}`,
		` {} `:                                  ` {"model":"b"} `,
		`{"model":"a","model":"a"}`:             "",
		`{"model":"a","\u006dodel":"a"}`:        "",
		`{"model":"a","Model":"z"}`:             "",
		`{"MODEL":"z"}`:                         "",
		`{"model":null}`:                        "",
		`{"model":["a"]}`:                       "",
		`["model"]`:                             "",
		`{"model":"a"`:                          "",
		`{"model":"a"}{"model":"z"}`:            "",
		``:                                      "",
	} {
		f, err := modelOf([]byte(body))
		if want == "" {
			if err == nil {
				t.Errorf("%s is taken", body)
			}
			continue
		}
		if err != nil || string(f.with([]byte(body), "b")) != want {
			t.Errorf("%s becomes %s (%v)", body, f.with([]byte(body), "b"), err)
		}
	}
}

// FuzzModelField: whatever a body is, what is sent names the model that it should, once, and is JSON as before.
func FuzzModelField(f *testing.F) {
	f.Add(`{"model":"a","x":{"model":1}}`, "b")
	f.Add(` {"x":1}`, "\"\n")
	f.Add(`{"model":"a","Model":"b"}`, "c")
	f.Fuzz(func(t *testing.T, body, model string) {
		field, err := modelOf([]byte(body))
		if err != nil {
			return
		}
		again, err := modelOf(field.with([]byte(body), model))
		if err != nil || again.name != strings.ToValidUTF8(model, "\ufffd") {
			t.Fatalf("%q with %q: %q, %v", body, model, again.name, err)
		}
	})
}

// Guarantee: where the vendor speaks the caller's schema, the request goes on with another model and nothing else changed, and the
// answer comes back byte for byte with the vendor's own headers.
func TestSameSchemaPassesThrough(t *testing.T) {
	t.Parallel()
	const body = ` {"extra":{"a":1.0,"b":1e3},"model":"gpt","messages":[{"role":"user","content":"\u0048i"}]} `
	const answer = ` {"weird" : 1.00, "model":"gpt-4o-2024","usage":{"prompt_tokens":17,"completion_tokens":41}}` + "\n"
	b := newModels(t, vendorsOfTest{"openai": says(200, answer, Header{"X-Request-Id", "theirs"})}, []*eventv1.RouteModel{
		modelOfTest("gpt", deployment(t, "openai", "gpt-4o", schemaChat)),
	})
	out := b.ask(context.Background(), &got{}, "POST", "/v1/chat/completions?a=1&key=x", body, Header{"OpenAI-Beta", "x=1"}, Header{"X-Api-Key", "other"}, Header{"Cookie", "a=b"}, Header{"Content-MD5", "abc"})
	if out.status != 200 || out.body.String() != answer || get(out.headers, "X-Vendor") != "yes" || get(out.headers, "X-Request-Id") != "theirs" || get(out.headers, HeaderModel) != "gpt/openai" {
		t.Errorf("got %d %v %q", out.status, out.headers, out.body.String())
	}
	sent := b.sent[0]
	if want := strings.Replace(body, `"gpt"`, `"gpt-4o"`, 1); sent.body != want {
		t.Errorf("sent %q", sent.body)
	}
	if !strings.HasPrefix(sent.uri, "/base/chat/completions?a=1") || get(sent.headers, "OpenAI-Beta") != "x=1" || get(sent.headers, "X-Vendor-Key") != vendorKey {
		t.Errorf("sent %s %v", sent.uri, sent.headers)
	}
	for _, name := range []string{"Authorization", "X-Api-Key", "Cookie", "Content-MD5", "X-Custom"} {
		if v := get(sent.headers, name); v != "" {
			t.Errorf("sent %s: %s", name, v)
		}
	}
	if _, _, end := (&stages{bench: b.bench}).lastIntent(); end.Cost != chatCost {
		t.Errorf("settled %+v", end)
	}
}

// Guarantee: a stream of the caller's own schema passes byte for byte, but for the usage that only the meter has asked for.
func TestSameSchemaStream(t *testing.T) {
	t.Parallel()
	pieces := chatStream()
	b := newModels(t, vendorsOfTest{"openai": streams(nil, pieces...)}, []*eventv1.RouteModel{modelOfTest("gpt", deployment(t, "openai", "gpt-4o", schemaChat))})
	out := b.ask(context.Background(), &got{}, "POST", "/chat/completions", `{"model":"gpt","stream":true,"messages":[]}`)
	if want := strings.Join(append(append([]string{}, pieces[:4]...), pieces[5]), ""); out.body.String() != want || out.aborted {
		t.Errorf("got %q", out.body.String())
	}
	if _, _, end := (&stages{bench: b.bench}).lastIntent(); end.Cost != chatCost || end.Unpriced {
		t.Errorf("settled %+v", end)
	}
}

// Guarantee: a vendor of Messages gets a version, the caller's own if there is one, at the path that its base URL needs.
func TestMessagesVendor(t *testing.T) {
	t.Parallel()
	d := deployment(t, "anthropic", "claude-real", schemaMessages)
	b := newModels(t, vendorsOfTest{"anthropic": says(200, messagesAnswer)}, []*eventv1.RouteModel{modelOfTest("claude", d)})
	b.ask(context.Background(), &got{}, "POST", "/messages", hi)
	b.ask(context.Background(), &got{}, "POST", "/messages", hi, Header{"Anthropic-Version", "2024-01-01"}, Header{"Anthropic-Beta", "b1"})
	if s := b.sent[0]; s.uri != "/base/v1/messages" || get(s.headers, "Anthropic-Version") != messagesVersion {
		t.Errorf("sent %+v", s)
	}
	if s := b.sent[1]; get(s.headers, "Anthropic-Version") != "2024-01-01" || get(s.headers, "Anthropic-Beta") != "b1" {
		t.Errorf("sent %+v", s)
	}
	d.Upstream.Targets[0] = "https://anthropic.example/proxy/v1"
	b = newModels(t, vendorsOfTest{"anthropic": says(200, messagesAnswer)}, []*eventv1.RouteModel{modelOfTest("claude", d)})
	b.ask(context.Background(), &got{}, "POST", "/messages", hi)
	if b.sent[0].uri != "/proxy/v1/messages" {
		t.Errorf("sent to %s", b.sent[0].uri)
	}
}

// Guarantee: a wildcard's text is in the vendor's name of the model, a default stands for what nobody knows, and a key is held to its
// models under whichever name it asks.
func TestWhichModel(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		model, standard string
		status          int
		code, vendor    string
		asked           string // as the answer has it
	}{
		"a wildcard":         {"openai/gpt-5", "", 200, "", "gpt-5", "openai/gpt-5"},
		"an alias":           {"best", "", 200, "", "gpt-4o", "best"},
		"nobody knows":       {"other", "", 404, "model_not_found", "", ""},
		"a default":          {"other", "claude", 200, "", "gpt-4o", "other"},
		"none named":         {"", "claude", 200, "", "gpt-4o", "claude"},
		"none named, none":   {"", "", 400, "body_invalid", "", ""},
		"not allowed":        {"secret", "", 403, "model_not_allowed", "", ""},
		"not allowed, known": {"secret", "claude", 403, "model_not_allowed", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain := modelOfTest("claude", deployment(t, "openai", "gpt-4o", schemaChat))
			plain.Aliases = []string{"best"}
			b := newModels(t, vendorsOfTest{"openai": says(200, chatAnswer), "wild": says(200, chatAnswer)}, []*eventv1.RouteModel{
				plain, modelOfTest("openai/*", deployment(t, "wild", "*", schemaChat)), modelOfTest("secret", deployment(t, "openai", "x", schemaChat)),
			}, func(o *options) {
				o.endpoints[0].Models.DefaultModel = tc.standard
				k := keyOf("tgk_restricted0123456789abcdefghijkl")
				k.Models = []string{"claude", "best", "openai/*", "other"}
				o.keys = []*eventv1.ShardKey{k}
			})
			body := `{"max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}`
			if tc.model != "" {
				body = strings.Replace(body, "{", `{"model":"`+tc.model+`",`, 1)
			}
			out := &got{}
			x := &Exchange{Method: "POST", Target: "/x/messages", Length: int64(len(body)), Out: out, Body: sentBody{strings.NewReader(body)}, Headers: []Header{{"x-api-key", "tgk_restricted0123456789abcdefghijkl"}}}
			b.gateway.Serve(context.Background(), x)
			if out.status != tc.status || get(out.headers, HeaderError) != tc.code {
				t.Fatalf("got %d %v %s", out.status, out.headers, out.body.String())
			}
			if tc.status == 200 {
				if got := gjson.Get(b.sent[0].body, "model").String(); got != tc.vendor || gjson.Get(out.body.String(), "model").String() != tc.asked {
					t.Errorf("sent %q, answered %s", got, out.body.String())
				}
				return
			}
			checkSchema(t, "anthropic-error", out.body.String())
			if len(b.sent) != 0 || len(b.spool.order) != 0 {
				t.Error("something was sent or recorded")
			}
		})
	}
}

// Guarantee: lists have what the key may ask for, in the caller's form; they cost nothing and leave no record.
func TestModelsAreListed(t *testing.T) {
	t.Parallel()
	b := newModels(t, nil, []*eventv1.RouteModel{modelOfTest("claude", deployment(t, "openai", "gpt-4o", schemaChat))})
	b.money.left = 0
	out := b.ask(context.Background(), &got{}, "GET", "/v1/models", "")
	if out.status != 200 || gjson.Get(out.body.String(), "data.0.id").String() != "claude" || gjson.Get(out.body.String(), "object").String() != "list" {
		t.Errorf("got %d %s", out.status, out.body.String())
	}
	out = b.ask(context.Background(), &got{}, "GET", "/v1/models/claude", "", Header{"Anthropic-Version", "2023-06-01"})
	if out.status != 200 || gjson.Get(out.body.String(), "type").String() != "model" {
		t.Errorf("got %d %s", out.status, out.body.String())
	}
	if out = b.ask(context.Background(), &got{}, "GET", "/models/none", ""); out.status != 404 || get(out.headers, HeaderError) != "model_not_found" {
		t.Errorf("got %d %s", out.status, out.body.String())
	}
	out = &got{}
	b.gateway.Serve(context.Background(), &Exchange{Method: "GET", Target: "/x/models", Out: out})
	if out.status != http.StatusUnauthorized {
		t.Errorf("without a key: %d", out.status)
	}
	checkSchema(t, "openai-error", out.body.String())
	if len(b.spool.order) != 0 {
		t.Error("a list was recorded")
	}
}

// Guarantee: a compressed request is read, and one that cannot be read, is too long or is empty is refused in the caller's schema
// before anything is held.
func TestBodiesOfModels(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(hi))
	_ = z.Close()
	var bomb bytes.Buffer
	z = gzip.NewWriter(&bomb)
	_, _ = z.Write(bytes.Repeat([]byte(" "), 1<<20))
	_ = z.Close()
	for name, tc := range map[string]struct {
		body, encoding string
		status         int
		code           string
	}{
		"compressed":         {zipped.String(), "gzip", 200, ""},
		"compressed too far": {bomb.String(), "gzip", 413, "body_too_large"},
		"broken":             {zipped.String()[:20], "gzip", 400, "body_invalid"},
		"nobody knows":       {hi, "lzma", 400, "body_invalid"},
		"too long":           {`{"model":"claude","x":"` + strings.Repeat("x", 5000) + `"}`, "", 413, "body_too_large"},
		"empty":              {"", "", 400, "body_invalid"},
		"no JSON":            {"model=claude", "", 400, "body_invalid"},
		"twice":              {`{"model":"claude","\u006dodel":"x"}`, "", 400, "body_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newModels(t, vendorsOfTest{"openai": says(200, chatAnswer)}, []*eventv1.RouteModel{
				modelOfTest("claude", deployment(t, "openai", "gpt-4o", schemaChat)),
			}, func(o *options) { o.proxy.ModelBody = 4 << 10 })
			var more []Header
			if tc.encoding != "" {
				more = append(more, Header{"Content-Encoding", tc.encoding})
			}
			out := b.ask(context.Background(), &got{}, "POST", "/messages", tc.body, more...)
			if out.status != tc.status || get(out.headers, HeaderError) != tc.code {
				t.Fatalf("got %d %v %s", out.status, out.headers, out.body.String())
			}
			if tc.status != 200 {
				checkSchema(t, "anthropic-error", out.body.String())
				if len(b.spool.order) != 0 {
					t.Error("something was recorded")
				}
			}
			if used := b.gateway.room.used.Load(); used != 0 {
				t.Errorf("%d bytes of the room are gone", used)
			}
		})
	}
}

// Guarantee: of deployments that understand the same and call the model differently each is asked for its own name of it, and for
// nothing else than the others.
func TestEachDeploymentHasItsNameOfTheModel(t *testing.T) {
	t.Parallel()
	names := []string{"gpt-4o", `odd "name"`, "gpt-4o-mini"}
	vendors, deployments := vendorsOfTest{}, []*eventv1.RouteDeployment{}
	for i, name := range names {
		key := string(rune('a' + i))
		vendors[key] = says(429, `{"error":{"message":"slow down"}}`)
		deployments = append(deployments, deployment(t, key, name, schemaChat))
	}
	m := modelOfTest("claude", deployments...)
	m.Retry.Attempts = uint32(len(names) - 1)
	b := newModels(t, vendors, []*eventv1.RouteModel{m})
	b.ask(t.Context(), &got{}, "POST", "/v1/messages", hi)
	if len(b.sent) != len(names) {
		t.Fatalf("%d vendors were asked", len(b.sent))
	}
	rest := map[string]bool{}
	for _, s := range b.sent {
		want := names[s.host[0]-'a']
		if got := gjson.Get(s.body, "model").String(); got != want || !gjson.Valid(s.body) {
			t.Errorf("%s was asked for %q and not %q: %s", s.host, got, want, s.body)
		}
		_, after, _ := strings.Cut(s.body, `,"messages"`)
		rest[after] = true
	}
	if len(rest) != 1 || rest[""] {
		t.Errorf("the requests differ in more than the model: %v", rest)
	}
}

// Guarantee: the twins of a deployment are sent what was made for it, and each of those that a price can't read is left out.
func TestTwinsAndUnpriced(t *testing.T) {
	t.Parallel()
	first, second := deployment(t, "a", "m", schemaChat), deployment(t, "b", "m", schemaChat)
	unpriced := deployment(t, "c", "m", schemaChat)
	unpriced.Upstream.Metered.Meters = unpriced.Upstream.GetMetered().GetMeters()[1:]
	b := newModels(t, vendorsOfTest{"a": says(503, "{}"), "b": says(503, "{}"), "c": says(200, chatAnswer)}, []*eventv1.RouteModel{modelOfTest("claude", first, second, unpriced)})
	out := b.ask(context.Background(), &got{}, "POST", "/messages", hi)
	if out.status != 529 || len(b.sent) != 2 || b.sent[0].body != b.sent[1].body || b.sent[0].host == b.sent[1].host {
		t.Errorf("got %d %s, sent %+v", out.status, out.body.String(), b.sent)
	}
	b = newModels(t, nil, []*eventv1.RouteModel{modelOfTest("claude", unpriced)})
	if out = b.ask(context.Background(), &got{}, "POST", "/messages", hi); out.status != 403 || get(out.headers, HeaderError) != "not_priced" {
		t.Errorf("got %d %s", out.status, out.body.String())
	}
}
