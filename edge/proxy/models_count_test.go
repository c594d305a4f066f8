package proxy

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/routing"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
)

// Guarantee: tokens are counted as the vendor can, or estimated where the deployment says so; it is recorded as free, uses no units and
// asks no budget.
func TestTokensAreCounted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		speaks   controlv1.Schema
		how      controlv1.CountTokens
		answer   string
		status   int
		want     string
		uri      string
		estimate string
	}{
		"its own":    {schemaMessages, 0, `{"input_tokens": 14}`, 200, `{"input_tokens": 14}`, "/base/v1/messages/count_tokens", ""},
		"responses":  {schemaChat, controlv1.CountTokens_COUNT_TOKENS_RESPONSES, `{"object":"response.input_tokens","input_tokens":15}`, 200, `{"input_tokens":15}`, "/base/responses/input_tokens", ""},
		"tokenize":   {schemaChat, controlv1.CountTokens_COUNT_TOKENS_TOKENIZE, `{"count":16,"tokens":[]}`, 200, `{"input_tokens":16}`, "/tokenize", ""},
		"estimate":   {schemaChat, controlv1.CountTokens_COUNT_TOKENS_ESTIMATE, "", 200, "", "", "true"},
		"none":       {schemaChat, controlv1.CountTokens_COUNT_TOKENS_NONE, "", 404, "", "", ""},
		"nothing":    {schemaChat, 0, "", 404, "", "", ""},
		"an outcast": {schemaChat, controlv1.CountTokens_COUNT_TOKENS_TOKENIZE, `{"detail":"x"}`, 502, "", "/tokenize", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deployment(t, "vendor", "m", tc.speaks)
			d.Options = &controlv1.VendorOptions{CountTokens: tc.how}
			b := newModels(t, vendorsOfTest{"vendor": says(200, tc.answer)}, []*eventv1.RouteModel{modelOfTest("claude", d)}, func(o *options) { o.limits = everyUnit })
			b.money.left = 0
			out := b.ask(context.Background(), &got{}, "POST", "/v1/messages/count_tokens", `{"model":"claude","messages":[{"role":"user","content":"Hi"}]}`)
			text := out.body.String()
			if out.status != tc.status || tc.want != "" && text != tc.want || get(out.headers, headerEstimate) != tc.estimate {
				t.Fatalf("got %d %v %s", out.status, out.headers, text)
			}
			if tc.estimate != "" && gjson.Get(text, "input_tokens").Int() <= 0 {
				t.Errorf("got %s", text)
			}
			if tc.uri == "" {
				if len(b.sent) != 0 {
					t.Errorf("sent %+v", b.sent)
				}
				return
			}
			if b.sent[0].uri != tc.uri || gjson.Get(b.sent[0].body, "model").String() != "m" {
				t.Errorf("sent %+v", b.sent[0])
			}
			in, _, end := (&stages{bench: b.bench}).lastIntent()
			if in.Amount != 0 || end.Cost != 0 || end.Units != 0 || end.Unpriced || in.Deployment != "claude/vendor" {
				t.Errorf("recorded %+v, settled %+v", in, end)
			}
		})
	}
}

// Guarantee: clients of Chat Completions and of Responses are served by a vendor of Messages, the latter by two translations.
func TestOtherClientsOfMessages(t *testing.T) {
	t.Parallel()
	for path, tc := range map[string]struct{ body, text string }{
		"/chat/completions": {`{"model":"claude","max_tokens":50,"messages":[{"role":"user","content":"Hi"}]}`, "choices.0.message.content"},
		"/responses":        {`{"model":"claude","max_output_tokens":50,"input":"Hi"}`, "output.0.content.0.text"},
	} {
		b := newModels(t, vendorsOfTest{"anthropic": says(200, messagesAnswer)}, []*eventv1.RouteModel{modelOfTest("claude", deployment(t, "anthropic", "claude-real", schemaMessages))})
		out := b.ask(context.Background(), &got{}, "POST", path, tc.body)
		if out.status != 200 || gjson.Get(out.body.String(), tc.text).String() != "Hello there" || gjson.Get(out.body.String(), "model").String() != "claude" {
			t.Errorf("%s: got %d %s", path, out.status, out.body.String())
		}
		if id := get(out.headers, "X-Request-Id"); !strings.HasPrefix(id, "req_") {
			t.Errorf("%s: request id %q", path, id)
		}
		if s := b.sent[0]; gjson.Get(s.body, "messages.0.role").String() != "user" || gjson.Get(s.body, "max_tokens").Int() != 50 || get(s.headers, "Anthropic-Version") == "" {
			t.Errorf("%s: sent %+v", path, s)
		}
		if _, _, end := (&stages{bench: b.bench}).lastIntent(); end.Cost != messagesCost || end.Units != 58 {
			t.Errorf("%s: settled %+v", path, end)
		}
	}
}

const messagesStream = `event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-real","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":17,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello there"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":41}}

event: message_stop
data: {"type":"message_stop"}

`

// Guarantee: so are their streams, in pieces of any size.
func TestOtherClientsStreams(t *testing.T) {
	t.Parallel()
	for path, tc := range map[string]struct{ body, end string }{
		"/chat/completions": {`{"model":"claude","max_tokens":50,"stream":true,"messages":[{"role":"user","content":"Hi"}]}`, "data: [DONE]\n\n"},
		"/responses":        {`{"model":"claude","max_output_tokens":50,"stream":true,"input":"Hi"}`, ""},
	} {
		for _, size := range []int{1, 7, 100, 1 << 20} {
			var pieces []string
			for rest := messagesStream; rest != ""; {
				n := min(size, len(rest))
				pieces, rest = append(pieces, rest[:n]), rest[n:]
			}
			b := newModels(t, vendorsOfTest{"anthropic": streams(nil, pieces...)}, []*eventv1.RouteModel{modelOfTest("claude", deployment(t, "anthropic", "claude-real", schemaMessages))})
			out := b.ask(context.Background(), &got{}, "POST", path, tc.body)
			text := out.body.String()
			if out.aborted || !strings.Contains(text, "Hello there") || !strings.HasSuffix(text, tc.end) || path == "/responses" && gjson.Get(lastData(text), "type").String() != "response.completed" {
				t.Errorf("%s by %d: got %s", path, size, text)
			}
			if _, _, end := (&stages{bench: b.bench}).lastIntent(); end.Cost != messagesCost || end.Unpriced {
				t.Errorf("%s by %d: settled %+v", path, size, end)
			}
		}
	}
}

// scriptedAdapter translates by writing behind and before what it gets, as far as a test needs it.
type scriptedAdapter struct {
	refuse error
	closed atomic.Int64
}

func (s *scriptedAdapter) ForClient(_ context.Context, _ *routing.Adapter, r *AdapterRequest, _ *adapter.Call) (AdapterExchange, error) {
	if s.refuse != nil {
		return nil, s.refuse
	}
	if !strings.HasPrefix(string(r.Body), "say ") {
		return nil, adapter.Refuse("", "say something")
	}
	return &scriptedExchange{s: s, r: &AdapterRequest{Body: []byte(`{"model":"claude","messages":[{"role":"user","content":"` + string(r.Body[4:]) + `"}]}`)}}, nil
}

func (s *scriptedAdapter) ForVendor(_ context.Context, _ *routing.Adapter, r *AdapterRequest, call *adapter.Call) (AdapterExchange, error) {
	if s.refuse != nil {
		return nil, s.refuse
	}
	return &scriptedExchange{s: s, vendor: true, r: &AdapterRequest{
		Method: "PUT", Path: "/v1/chat/completions", Query: "v=2", Headers: []Header{{"x-version", "3"}}, Body: []byte(`{"model":"` + call.Model + `","was":` + string(r.Body) + `}`),
	}}, nil
}

type scriptedExchange struct {
	s      *scriptedAdapter
	r      *AdapterRequest
	vendor bool
}

func (x *scriptedExchange) Request() *AdapterRequest { return x.r }
func (x *scriptedExchange) Streams() bool            { return false }
func (x *scriptedExchange) Whole(_ context.Context, a *AdapterAnswer) (*AdapterAnswer, error) {
	if x.vendor {
		return &AdapterAnswer{Status: a.Status, Headers: []Header{jsonContent}, Body: a.Body}, nil
	}
	return &AdapterAnswer{Status: a.Status, Headers: []Header{{"Content-Type", "text/plain"}}, Body: []byte("said " + gjson.GetBytes(a.Body, "choices.0.message.content").String() + gjson.GetBytes(a.Body, "error.code").String())}, nil
}

func (x *scriptedExchange) Begin(context.Context, *AdapterAnswer) (AdapterStream, error) {
	return &scriptedStream{x.s}, nil
}

type scriptedStream struct{ s *scriptedAdapter }

func (scriptedStream) Next(dst, piece []byte) ([]byte, error) { return append(dst, piece...), nil }
func (scriptedStream) End(dst []byte, whole bool) ([]byte, error) {
	if !whole {
		return dst, adapter.Fail("broke off")
	}
	return append(dst, "end"...), nil
}

func (scriptedStream) Fail(dst []byte, err *adapter.Error, _ string) []byte {
	return append(dst, err.Message...)
}
func (scriptedStream) Ping(dst []byte) []byte { return dst }
func (scriptedStream) Head() *AdapterAnswer {
	return &AdapterAnswer{Status: 200, Headers: []Header{{"Content-Type", "application/x-lines"}}}
}
func (s *scriptedStream) Close() { s.s.closed.Add(1) }

func adapted(t *testing.T, s *scriptedAdapter, vendors vendorsOfTest, change func(e *eventv1.RouteEndpoint, d *eventv1.RouteDeployment)) *modelBench {
	t.Helper()
	d := deployment(t, "openai", "gpt-4o", schemaChat)
	b := newModels(t, vendors, nil)
	e := &eventv1.RouteEndpoint{Id: "ep_x", Name: "x", Path: "/x", Models: &eventv1.RouteModels{}}
	change(e, d)
	b.serve(&eventv1.RouteSnapshot{
		Endpoints: []*eventv1.RouteEndpoint{e}, Models: []*eventv1.RouteModel{modelOfTest("claude", d)},
		Adapters: []*eventv1.RouteAdapter{{Name: "own", Upstream: &eventv1.RouteEndpoint{Id: "adp_1", Name: "own", Path: "/", Targets: []string{"http://adapter.example"}}}},
		Accounts: []*eventv1.Account{accountOf(7, eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING, "")},
	})
	b.gateway.d.Adapters = s
	return b
}

// Guarantee: an endpoint with an adapter answers whatever its callers speak, errors too; the vendor is charged as always.
func TestClientsAdapter(t *testing.T) {
	t.Parallel()
	own := func(e *eventv1.RouteEndpoint, _ *eventv1.RouteDeployment) { e.Models.Adapter = "own" }
	b := adapted(t, &scriptedAdapter{}, vendorsOfTest{"openai": says(200, chatAnswer)}, own)
	out := b.ask(context.Background(), &got{}, "PUT", "/any/path", "say hi")
	if out.status != 200 || out.body.String() != "said Hello there" || get(out.headers, "Content-Type") != "text/plain" {
		t.Errorf("got %d %v %s", out.status, out.headers, out.body.String())
	}
	if _, _, end := (&stages{bench: b.bench}).lastIntent(); end.Cost != chatCost || gjson.Get(b.sent[0].body, "model").String() != "gpt-4o" {
		t.Errorf("settled %+v, sent %+v", end, b.sent)
	}
	if out = b.ask(context.Background(), &got{}, "POST", "/", "what"); out.status != 400 || get(out.headers, HeaderError) != "request_unsupported" {
		t.Errorf("got %d %s", out.status, out.body.String())
	}
	b.money.left = 0
	if out = b.ask(context.Background(), &got{}, "POST", "/", "say hi"); out.status != 402 || out.body.String() != "said budget_exceeded" {
		t.Errorf("got %d %s", out.status, out.body.String())
	}
	s := &scriptedAdapter{}
	b = adapted(t, s, vendorsOfTest{"openai": streams(nil, "a\n", "b\n")}, own)
	if out = b.ask(context.Background(), &got{}, "POST", "/", "say hi"); out.body.String() != "a\nb\nend" || get(out.headers, "Content-Type") != "application/x-lines" || s.closed.Load() != 1 {
		t.Errorf("got %d %v %s", out.status, out.headers, out.body.String())
	}
	b = adapted(t, s, vendorsOfTest{"openai": streams(errors.New("reset"), "a\n")}, own)
	if out = b.ask(context.Background(), &got{}, "POST", "/", "say hi"); out.body.String() != "a\nbroke off" || !out.aborted || s.closed.Load() != 2 {
		t.Errorf("got %s", out.body.String())
	}
}

// Guarantee: a deployment with an adapter gets what that makes of Chat Completions, at the path and with the headers that it says, and
// with the deployment's credential, which it never saw; callers of other schemas are translated before.
func TestVendorsAdapter(t *testing.T) {
	t.Parallel()
	own := func(_ *eventv1.RouteEndpoint, d *eventv1.RouteDeployment) { d.Schemas, d.Adapter = nil, "own" }
	for _, path := range []string{"/messages", "/chat/completions"} {
		b := adapted(t, &scriptedAdapter{}, vendorsOfTest{"openai": says(200, chatAnswer)}, own)
		out := b.ask(context.Background(), &got{}, "POST", path, hi)
		if out.status != 200 || !strings.Contains(out.body.String(), "Hello there") {
			t.Fatalf("got %d %s", out.status, out.body.String())
		}
		s := b.sent[0]
		if s.method != "PUT" || s.uri != "/base/v1/chat/completions?v=2" || get(s.headers, "X-Version") != "3" || get(s.headers, "X-Vendor-Key") != vendorKey || gjson.Get(s.body, "was.model").String() != "claude" {
			t.Errorf("sent %+v", s)
		}
		if _, _, end := (&stages{bench: b.bench}).lastIntent(); end.Cost != chatCost {
			t.Errorf("settled %+v", end)
		}
	}
	b := adapted(t, &scriptedAdapter{refuse: fault.New(fault.AdapterUnavailable, "It is away.")}, vendorsOfTest{"openai": says(200, chatAnswer)}, own)
	if out := b.ask(context.Background(), &got{}, "POST", "/messages", hi); get(out.headers, HeaderError) != "adapter_unavailable" || len(b.sent) != 0 {
		t.Errorf("got %d %s", out.status, out.body.String())
	}
}

// Guarantee: where one deployment's vendor counts tokens, none is asked that would only estimate.
func TestCountsGoBeforeEstimates(t *testing.T) {
	t.Parallel()
	guess, count := deployment(t, "guess", "m", schemaChat), deployment(t, "count", "m", schemaMessages)
	guess.Options = &controlv1.VendorOptions{CountTokens: controlv1.CountTokens_COUNT_TOKENS_ESTIMATE}
	b := newModels(t, vendorsOfTest{"count": says(200, `{"input_tokens":3}`)}, []*eventv1.RouteModel{modelOfTest("claude", guess, count)})
	out := b.ask(context.Background(), &got{}, "POST", "/messages/count_tokens", hi)
	if out.status != 200 || out.body.String() != `{"input_tokens":3}` || get(out.headers, HeaderModel) != "claude/count" {
		t.Errorf("got %d %s", out.status, out.body.String())
	}
}
