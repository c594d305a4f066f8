package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/internal/money"
	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vendor"
)

// Credentials of the vendors of models in these tests.
const (
	openaiCredential    = "sk-the-credential-at-openai"
	anthropicCredential = "sk-ant-the-credential-at-anthropic"
)

// tokensIn is what vendors of models say of every request.
const tokensIn = 10

// rates are nano-dollars a token.
type rates struct{ in, out money.Nanos }

// of is what so many tokens out cost.
func (r rates) of(out int) money.Nanos { return tokensIn*r.in + money.Nanos(out)*r.out }

// modelPrice is by what vendors count, in both vendors' words. At most as much is held as an answer can cost.
const modelPrice = `
metered:
  unmatched: refuse
  fallback: "0.05"
  meters:
    - name: chat
      match: {methods: [POST], path: ^/v1/chat/completions$}
      model: [{request: model}]
      counters:
        - {name: prompt, sources: [{frame: usage.prompt_tokens}]}
        - {name: output, sources: [{frame: usage.completion_tokens}]}
      units: [{name: input, add: [prompt]}, {name: output}]
      prices: [{model: "*", rates: [{unit: input, price: "IN"}, {unit: output, price: "OUT"}]}]
      hold: HOLD
      inject: [{when: {source: {request: stream}, in: ["true"]}, field: stream_options.include_usage, value: "true", strip: usage_only}]
    - name: messages
      match: {methods: [POST], path: ^/v1/messages$}
      model: [{request: model}]
      counters:
        - {name: input, sources: [{frame: usage.input_tokens}, {frame: message.usage.input_tokens}]}
        - {name: output, sources: [{frame: usage.output_tokens}, {frame: message.usage.output_tokens}]}
      units: [{name: input}, {name: output}]
      prices: [{model: "*", rates: [{unit: input, price: "IN"}, {unit: output, price: "OUT"}]}]
      hold: HOLD
`

const (
	// modelHold is what an answer costs at most, as vendors say always the same of what goes in.
	modelHold = `{bounds: [{unit: input, sources: [{request: none}], assume: "10"}, {unit: output, sources: [{request: max_completion_tokens}, {request: max_tokens}]}], least: "0.000001"}`
	// tinyHold leaves the cost to what the vendor tells on the way.
	tinyHold = `{amount: "0.000001"}`
)

// modelPrice writes a price into a file.
func (c *cluster) modelPrice(r rates, hold string) string {
	c.t.Helper()
	return c.file("price.yaml", []byte(strings.NewReplacer("IN", r.in.String(), "OUT", r.out.String(), "HOLD", hold).Replace(modelPrice)))
}

// modelVendor answers as a vendor of models does, and adds up what it is owed.
type modelVendor struct {
	*vendor.Vendor
	rates  rates
	schema string // that it speaks, as the command line has it
	secret string
	owed   atomic.Int64
}

// openai makes a vendor of Chat Completions. It uses all tokens that an answer may have, or a part of them.
func openai(t *testing.T, r rates, part func() int) *modelVendor {
	t.Helper()
	v := &modelVendor{Vendor: vendor.New(t), rates: r, schema: "openai-chat", secret: "model-openai"}
	v.Handle(v.answers(t, "openai-chat-request", part, chatWhole, func(out int) string { return strings.Join(chatEvents(out), "") }))
	return v
}

// anthropic makes a vendor of Anthropic Messages.
func anthropic(t *testing.T, r rates, part func() int) *modelVendor {
	t.Helper()
	v := &modelVendor{Vendor: vendor.New(t), rates: r, schema: "anthropic-messages", secret: "model-anthropic"}
	v.Handle(v.answers(t, "anthropic-request", part, messagesWhole, func(out int) string { return strings.Join(messagesEvents(out), "") }))
	return v
}

// inFull has a vendor use as many tokens as it may.
func inFull() int { return 1 }

func (v *modelVendor) answers(t *testing.T, request string, part func() int, whole, stream func(out int) string) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = schemas.Check(request, body)
		}
		if err != nil {
			t.Errorf("the vendor got %q: %v", body, err)
		}
		asked := gjson.ParseBytes(body)
		most := asked.Get("max_completion_tokens").Int() + asked.Get("max_tokens").Int()
		out := int(most) / part()
		v.owed.Add(int64(v.rates.of(out)))
		if !asked.Get("stream").Bool() {
			vendor.JSON(http.StatusOK, whole(out))(w, r)
			return
		}
		if v.schema == "openai-chat" && !asked.Get("stream_options.include_usage").Bool() {
			t.Errorf("nobody asks for usage: %s", body)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, stream(out)) // the edge may be gone
	}
}

func chatWhole(out int) string {
	return fmt.Sprintf(`{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there","refusal":null},"logprobs":null,"finish_reason":"stop"}],`+
		`"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}`, tokensIn, out, tokensIn+out)
}

// chatChunk is an event of a stream of Chat Completions; rest goes on after the choices.
func chatChunk(choices, rest string) string {
	return `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024-08-06","choices":[` + choices + `]` + rest + "}\n\n"
}

// chatUsage is what such an event tells of usage.
func chatUsage(out int) string {
	return fmt.Sprintf(`,"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`, tokensIn, out, tokensIn+out)
}

func chatDelta(delta, finish string) string {
	return `{"index":0,"delta":` + delta + `,"finish_reason":` + finish + `}`
}

// chatEvents is a stream, an event a piece.
func chatEvents(out int) []string {
	return []string{
		chatChunk(chatDelta(`{"role":"assistant","content":""}`, "null"), ""), chatChunk(chatDelta(`{"content":"Hello"}`, "null"), ""),
		chatChunk(chatDelta(`{"content":" there"}`, "null"), ""), chatChunk(chatDelta(`{}`, `"stop"`), ""), chatChunk("", chatUsage(out)), "data: [DONE]\n\n",
	}
}

func messagesWhole(out int) string {
	return fmt.Sprintf(`{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[{"type":"text","text":"Hello there"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":%d,"output_tokens":%d}}`, tokensIn, out)
}

func messagesEvents(out int) (events []string) {
	for _, data := range []string{
		fmt.Sprintf(`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":%d,"output_tokens":1}}}`, tokensIn),
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" there"}}`,
		`{"type":"content_block_stop","index":0}`,
		fmt.Sprintf(`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":%d}}`, out),
		`{"type":"message_stop"}`,
	} {
		events = append(events, "event: "+gjson.Get(data, "type").Str+"\ndata: "+data+"\n\n")
	}
	return events
}

// language is one that callers speak.
type language struct {
	path    string
	body    string // of a request; MODEL, MOST and STREAM are put in
	whole   string // schema of an answer
	text    string // where an answer has its text
	stream  func(text []byte) (said string, err error)
	refusal string // schema of an error
}

var languages = map[string]*language{
	"messages": {
		path: "/v1/messages", whole: "anthropic-message", text: "content.0.text", refusal: "anthropic-error",
		body: `{"model":"MODEL","max_tokens":MOST,"stream":STREAM,"messages":[{"role":"user","content":"Hello, world"}]}`,
		stream: func(text []byte) (said string, err error) {
			var s schemas.MessagesStream
			if err = s.Read(text); err == nil && !s.Complete() {
				err = errors.New("the message does not end")
			}
			for line := range bytes.Lines(text) {
				said += gjson.GetBytes(bytes.TrimPrefix(line, []byte("data: ")), "delta.text").Str
			}
			return said, err
		},
	},
	"chat": {
		path: "/v1/chat/completions", whole: "openai-chat-completion", text: "choices.0.message.content", refusal: "openai-error",
		body: `{"model":"MODEL","max_completion_tokens":MOST,"stream":STREAM,"messages":[{"role":"user","content":"Hello, world"}]}`,
		stream: func(text []byte) (said string, err error) {
			s, err := schemas.ChatStream(text, false)
			if err == nil && !s.Done {
				err = errors.New("there is no [DONE]")
			}
			return s.Text, err
		},
	},
	"responses": {
		path: "/v1/responses", whole: "openai-response", text: "output.0.content.0.text", refusal: "openai-error",
		body: `{"model":"MODEL","max_output_tokens":MOST,"stream":STREAM,"input":"Hello, world"}`,
		stream: func(text []byte) (said string, err error) {
			s, err := schemas.ResponsesStream(text)
			if err == nil && s.Final == "" {
				err = errors.New("there is no response at the end")
			}
			return s.Text, err
		},
	},
}

// spoken are their names.
var spoken = []string{"messages", "chat", "responses"}

// ask is a request in a language.
func (l *language) ask(model string, most int, stream bool) string {
	return strings.NewReplacer("MODEL", model, "MOST", fmt.Sprint(most), "STREAM", fmt.Sprint(stream)).Replace(l.body)
}

// answered checks that an answer is whole, as the schema has it, and what the vendors of these tests say.
func (l *language) answered(resp *http.Response, text string, stream bool) error {
	var said string
	var err error
	switch {
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s %s", resp.Status, text)
	case stream:
		said, err = l.stream([]byte(text))
	default:
		said, err = gjson.Get(text, l.text).Str, schemas.Check(l.whole, []byte(text))
	}
	if err == nil && said != "Hello there" {
		err = fmt.Errorf("it says %q", said)
	}
	if err != nil {
		return fmt.Errorf("%w:\n%s", err, text)
	}
	return nil
}

// model makes a model of vendors, the first of which gets the requests unless they are balanced, with an endpoint of its own that
// serves it, both with the same name.
func (c *cluster) model(name, hold string, vendors map[string]*modelVendor, order []string, flags ...string) {
	c.t.Helper()
	for i, d := range order {
		verb, more := "create", flags
		if i > 0 {
			verb, more = "add-deployment", nil
		}
		c.deploy(verb, name, d, vendors[d], hold, more...)
	}
	c.does("endpoint", "create", name, "--path", "/"+name, "--models")
}

// deploy adds a deployment to a model, or makes it.
func (c *cluster) deploy(verb, model, deployment string, v *modelVendor, hold string, flags ...string) {
	c.t.Helper()
	url := v.URL
	if v.schema == "openai-chat" {
		url += "/v1"
	}
	c.does(append([]string{
		"model", verb, model, "--deployment-name", deployment, "--url", url, "--schema", v.schema, "--vendor-model", "vendors-" + deployment,
		"--secret", v.secret, "--price-file", c.modelPrice(v.rates, hold),
	}, flags...)...)
}
