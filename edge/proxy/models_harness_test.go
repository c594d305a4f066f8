package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"tollgate/edge/metrics"
	"tollgate/edge/pool"
	"tollgate/edge/routing"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/meter/document"
	"tollgate/internal/money"
	"tollgate/internal/testenv/schemas"
)

// Prices of tokens at the vendors of these tests, as of language models: in and out.
const vendorPrice = `
unmatched: refuse
fallback: "0.05"
meters:
- name: chat
  match: {methods: [POST], path: ^/v1/chat/completions$}
  model: [{request: model}]
  counters:
  - {name: prompt, sources: [{frame: usage.prompt_tokens}]}
  - {name: output, sources: [{frame: usage.completion_tokens}]}
  units:
  - {name: input, add: [prompt]}
  - {name: output}
  prices: [{model: "*", rates: [{unit: input, price: "2.50", per: 1000000}, {unit: output, price: "10", per: 1000000}]}]
  hold: {bounds: [{unit: input, sources: [{measure: request_bytes}]}, {unit: output, sources: [{request: max_completion_tokens}, {request: max_tokens}], assume: "100"}], least: "0.000001"}
  inject: [{when: {source: {request: stream}, in: ["true"]}, field: stream_options.include_usage, value: "true", strip: usage_only}]
- name: messages
  match: {methods: [POST], path: ^/v1/messages$}
  model: [{request: model}]
  counters:
  - {name: input, sources: [{frame: message.usage.input_tokens}, {frame: usage.input_tokens}]}
  - {name: output, sources: [{frame: message.usage.output_tokens}, {frame: usage.output_tokens}]}
  units:
  - {name: input}
  - {name: output}
  prices: [{model: "*", rates: [{unit: input, price: "5", per: 1000000}, {unit: output, price: "20", per: 1000000}]}]
  hold: {bounds: [{unit: input, sources: [{measure: request_bytes}]}, {unit: output, sources: [{request: max_tokens}]}], least: "0.000001"}
`

const (
	schemaChat      = controlv1.Schema_SCHEMA_OPENAI_CHAT
	schemaMessages  = controlv1.Schema_SCHEMA_ANTHROPIC_MESSAGES
	schemaResponses = controlv1.Schema_SCHEMA_OPENAI_RESPONSES
)

// deployment is one at https://NAME.example with a credential of its own.
func deployment(tb testing.TB, name, model string, speaks ...controlv1.Schema) *eventv1.RouteDeployment {
	tb.Helper()
	var price controlv1.Metered
	if err := document.Parse([]byte(vendorPrice), &price); err != nil {
		tb.Fatal(err)
	}
	return &eventv1.RouteDeployment{
		Name: name, Model: model, Schemas: speaks,
		Upstream: &eventv1.RouteEndpoint{
			Id: "mdl_x/" + name, Name: "x/" + name, Path: "/", Targets: []string{"https://" + name + ".example/base"},
			Headers: []*eventv1.RouteHeader{{Name: "X-Vendor-Key", Value: vendorKey}}, Metered: &price, PriceVersion: 7,
		},
	}
}

// modelOfTest is a model that retries as the control plane has it where nothing is said.
func modelOfTest(name string, deployments ...*eventv1.RouteDeployment) *eventv1.RouteModel {
	m := &eventv1.RouteModel{Id: "mdl_" + name, Name: name, Deployments: deployments, CreateUnix: 1_700_000_000}
	if len(deployments) > 1 {
		m.Retry = &eventv1.RetryPolicy{Statuses: []uint32{429, 503, 529}, AnyMethod: true, BackoffMs: 1}
	}
	return m
}

// host is what a vendor answers, by the name of its deployment.
type vendorsOfTest map[string]upstreamFunc

// modelBench is a gateway between vendors that are functions and nobody.
type modelBench struct {
	*bench
	mu   sync.Mutex // guards what follows
	sent []sentOfTest
}

// sentOfTest is a request that a vendor has got.
type sentOfTest struct {
	host, method, uri, body string
	headers                 []Header
}

func newModels(tb testing.TB, vendors vendorsOfTest, models []*eventv1.RouteModel, change ...func(*options)) *modelBench {
	tb.Helper()
	b := &modelBench{bench: &bench{money: &purse{left: 100 * money.Dollar}, gate: &gate{}, metrics: metrics.New(), routes: &routing.Holder{}}}
	o := options{
		accounts:  []*eventv1.Account{accountOf(7, eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING, "")},
		endpoints: []*eventv1.RouteEndpoint{{Id: "ep_x", Name: "x", Path: "/x", Models: &eventv1.RouteModels{}}},
	}
	for _, f := range change {
		f(&o)
	}
	b.t = tb
	b.serve(&eventv1.RouteSnapshot{Endpoints: o.endpoints, Accounts: o.accounts, Limits: o.limits, Models: models})
	b.spool = newWatchedSpool(tb)
	log := slog.New(slog.DiscardHandler)
	upstream := upstreamFunc(func(ctx context.Context, a *Attempt) (*Answer, error) {
		name, _, _ := strings.Cut(a.Target.Host, ".")
		s := sentOfTest{host: name, method: a.Method, uri: a.URI, headers: a.Headers}
		if a.Body != nil {
			text, err := io.ReadAll(a.Body)
			if err != nil {
				return nil, &AttemptError{Failure: FailBody, Text: "x", Sent: true, Err: err}
			}
			s.body = string(text)
		}
		b.mu.Lock()
		b.sent = append(b.sent, s)
		b.mu.Unlock()
		return vendors[name](ctx, a)
	})
	b.gateway = New(o.proxy, Deps{
		Routes: b.routes, Keys: newKeys(tb, o.keys...), Budgets: b.money, Limits: b.gate, Spool: b.spool,
		Pools: pool.New(log), Upstream: upstream, Metrics: b.metrics, Log: log,
	})
	return b
}

// ask sends one request to the endpoint with a good key.
func (b *modelBench) ask(ctx context.Context, out *got, method, path, body string, headers ...Header) *got {
	b.t.Helper()
	x := &Exchange{
		Method: method, Target: "/x" + path, Length: int64(len(body)), Out: out,
		Headers: append([]Header{{"Authorization", "Bearer " + testKey}, jsonType, {"User-Agent", "test/1"}, {"X-Custom", "caller"}}, headers...),
	}
	if body != "" {
		x.Body = sentBody{strings.NewReader(body)}
	}
	b.gateway.Serve(ctx, x)
	b.checkMoney()
	for _, s := range b.sent {
		for _, h := range s.headers {
			if strings.Contains(h.Value, testKey) {
				b.t.Errorf("the key has left in %s", h.Name)
			}
		}
	}
	return out
}

// says is an answer of a vendor that came as a whole.
func says(status int, body string, headers ...Header) upstreamFunc {
	return func(context.Context, *Attempt) (*Answer, error) {
		return &Answer{Status: status, Headers: append([]Header{jsonType, {"X-Vendor", "yes"}}, headers...), Length: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

// streams is one that is a stream, in pieces. breaks is in place of its end.
func streams(breaks error, pieces ...string) upstreamFunc {
	return func(context.Context, *Attempt) (*Answer, error) {
		s := &script{pieces: pieces, breaks: breaks}
		return &Answer{Status: 200, Headers: []Header{{"Content-Type", "text/event-stream"}}, Length: -1, Body: &scriptBody{s: s}}, nil
	}
}

// fails is a vendor that cannot be reached.
func unreachable(context.Context, *Attempt) (*Answer, error) {
	return nil, &AttemptError{Failure: FailConnect, Text: "refused", Err: errors.New("refused")}
}

// checkSchema checks a document by a schema.
func checkSchema(tb testing.TB, name, doc string) {
	tb.Helper()
	if err := schemas.Check(name, []byte(doc)); err != nil {
		tb.Errorf("no %s: %v\n%s", name, err, doc)
	}
}

const (
	chatAnswer = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-2024","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":17,"completion_tokens":41,"total_tokens":58}}`
	chatCost   = 17*2_500 + 41*10_000
	hi         = `{"model":"claude","max_tokens":50,"messages":[{"role":"user","content":"Hi"}]}`
	hiStream   = `{"model":"claude","max_tokens":50,"stream":true,"messages":[{"role":"user","content":"Hi"}]}`

	messagesAnswer = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-real","content":[{"type":"text","text":"Hello there"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":17,"output_tokens":41}}`
	messagesCost   = 17*5_000 + 41*20_000
)

// chatStream is a stream of Chat Completions, an event a piece.
func chatStream() []string {
	chunk := func(delta, finish string) string {
		return `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024","choices":[{"index":0,"delta":` + delta + `,"finish_reason":` + finish + `}]}` + "\n\n"
	}
	return []string{
		chunk(`{"role":"assistant","content":""}`, "null"), chunk(`{"content":"Hello"}`, "null"), chunk(`{"content":" there"}`, "null"), chunk(`{}`, `"stop"`),
		`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024","choices":[],"usage":{"prompt_tokens":17,"completion_tokens":41,"total_tokens":58}}` + "\n\n",
		"data: [DONE]\n\n",
	}
}
