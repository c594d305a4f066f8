package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/tidwall/gjson"

	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vendor"
	"tollgate/sdk/adapter"
)

const (
	cohereCredential = "the-credential-at-cohere"
	adapterToken     = "the-token-of-the-adapters"
)

// What a process of these tests is told that is an adapter, not the tests.
const (
	politeAddr  = "TOLLGATE_E2E_ADAPTER"
	politeHeard = "TOLLGATE_E2E_ADAPTER_HEARD"
)

// servePolite serves the adapter until the process is told to stop.
func servePolite(addr string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	heard, err := os.OpenFile(os.Getenv(politeHeard), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		err = adapter.ListenAndServe(ctx, addr, &polite{heard: json.NewEncoder(heard)}, adapter.Options{Token: adapterToken})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// polite is an adapter for callers who say {"please": "…"} and want {"said": "…"}, or lines of words. It writes down all that
// it is told.
type polite struct {
	mu    sync.Mutex // guards heard
	heard *json.Encoder
}

func (p *polite) hear(all ...any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard.Encode(all)
}

// TranslateRequest makes a request of Chat Completions.
func (p *polite) TranslateRequest(_ context.Context, call *adapter.Call, r *adapter.Request) (*adapter.Request, error) {
	if err := p.hear(call, r, string(r.Body)); err != nil {
		return nil, err
	}
	in := gjson.ParseBytes(r.Body)
	if in.Get("please").Str == "" {
		return nil, adapter.Refuse(http.StatusBadRequest, "please", "It has to say what is wanted.")
	}
	body, err := json.Marshal(map[string]any{
		"model": in.Get("model").Str, "max_completion_tokens": in.Get("words").Int(), "stream": in.Get("slowly").Bool(),
		"messages": []map[string]string{{"role": "user", "content": in.Get("please").Str}},
	})
	return &adapter.Request{Body: body}, err
}

// TranslateResponse answers what was said.
func (p *polite) TranslateResponse(_ context.Context, call *adapter.Call, r *adapter.Response) (*adapter.Response, error) {
	if err := p.hear(call, r, string(r.Body)); err != nil {
		return nil, err
	}
	if r.Status >= http.StatusBadRequest {
		body, err := json.Marshal(map[string]string{"sorry": gjson.GetBytes(r.Body, "error.message").Str})
		return &adapter.Response{Status: r.Status, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}, err
	}
	body, err := json.Marshal(map[string]string{"said": gjson.GetBytes(r.Body, "choices.0.message.content").Str})
	return &adapter.Response{Status: r.Status, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}, err
}

// NewStream answers word by word.
func (p *polite) NewStream(_ context.Context, call *adapter.Call, r *adapter.Response) (adapter.Stream, *adapter.Response, error) {
	return politeStream{p}, &adapter.Response{Status: r.Status, Header: http.Header{"Content-Type": {"application/x-ndjson"}}}, p.hear(call, r)
}

type politeStream struct{ *polite }

// Event is the words of an event.
func (p politeStream) Event(_ context.Context, e adapter.Event) ([]adapter.Event, error) {
	if err := p.hear(e.Type, string(e.Data)); err != nil {
		return nil, err
	}
	if string(e.Data) == "[DONE]" {
		return []adapter.Event{{Data: []byte(`{"done":true}`)}}, nil
	}
	words := gjson.GetBytes(e.Data, "choices.0.delta.content").Str
	if words == "" {
		return nil, nil
	}
	line, err := json.Marshal(map[string]string{"said": words})
	return []adapter.Event{{Data: line}}, err
}

// End adds nothing.
func (p politeStream) End(context.Context, bool) ([]adapter.Event, error) { return nil, nil }

// comesBack kills an adapter: requests that need it are refused, and reach no vendor, others go on; then it is started again, and all is
// as before.
func (c *cluster) comesBack(p *process, ask func(edge int) (*http.Response, string), fine func(*http.Response, string) error, other func(edge int) error, v *vendor.Vendor) {
	t := c.t
	t.Helper()
	p.kill()
	seen := v.Count()
	for range 6 { // more than a breaker needs
		for edge := range 2 {
			resp, text := ask(edge)
			if resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != 529 || resp.Header.Get("X-Tollgate-Error") != "adapter_unavailable" {
				t.Errorf("without its adapter: %s %s %s", resp.Status, resp.Header.Get("X-Tollgate-Error"), text)
			}
			if err := other(edge); err != nil {
				t.Errorf("what needs no adapter: %v", err)
			}
		}
	}
	if n := v.Count(); n != seen {
		t.Errorf("%d requests came to the vendor that nobody had translated", n-seen)
	}
	p.start()
	for edge := range 2 {
		testenv.Eventually(t, eventually, func() error {
			resp, text := ask(edge)
			return fine(resp, text)
		})
	}
}

// withoutAdapter makes a model that needs none.
func (c *cluster) withoutAdapter(name, key string) func(edge int) error {
	v := openai(c.t, rates{2_500, 10_000}, inFull)
	c.model(name, modelHold, map[string]*modelVendor{"openai": v}, []string{"openai"})
	return func(edge int) error {
		resp, text := c.post(edge, key, "/"+name+"/v1/messages", languages["messages"].ask(name, 50, false))
		return languages["messages"].answered(resp, text, false)
	}
}

// coherePrice is by what Cohere counts.
const coherePrice = `
metered:
  unmatched: refuse
  fallback: "0.05"
  meters:
    - name: chat
      match: {methods: [POST], path: ^/v2/chat$}
      model: [{request: model}]
      counters:
        - {name: input, sources: [{frame: usage.tokens.input_tokens}, {frame: delta.usage.tokens.input_tokens}]}
        - {name: output, sources: [{frame: usage.tokens.output_tokens}, {frame: delta.usage.tokens.output_tokens}]}
      units: [{name: input}, {name: output}]
      prices: [{model: "*", rates: [{unit: input, price: "0.0000025"}, {unit: output, price: "0.00001"}]}]
      hold: {amount: "0.01"}
`

const (
	cohereWhole = `{"id":"1","message":{"role":"assistant","content":[{"type":"text","text":"Hello there"}]},"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":8,"output_tokens":8},"tokens":{"input_tokens":503,"output_tokens":11}}}`
	cohereCost  = 503*2_500 + 11*10_000
)

func cohereEvents() (events []string) {
	for _, data := range []string{
		`{"id":"1","type":"message-start","delta":{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}}}`,
		`{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}`,
		`{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"Hello"}}}}`,
		`{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":" there"}}}}`,
		`{"type":"content-end","index":0}`,
		`{"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":8,"output_tokens":8},"tokens":{"input_tokens":503,"output_tokens":11}}}}`,
	} {
		events = append(events, "event: "+gjson.Get(data, "type").Str+"\ndata: "+data+"\n\n")
	}
	return append(events, "data: [DONE]\n\n")
}

// The shipped example of an adapter lets callers of all languages talk to a vendor that speaks none of them, at the price of what it
// counts. While it is dead, models that need it answer so, a stream that it was translating does not look whole, and all else goes on.
func adapterOfADeployment(c *cluster) {
	t := c.t
	const name, most = "command", 50
	addr := address(t)
	p := newProcess(t, "adapter-go", bin.adapter, []string{"-addr", addr}, []string{"ADAPTER_TOKEN=" + adapterToken})
	p.start()
	p.awaitHTTP("http://" + addr + adapter.Healthz)
	v := vendor.New(t)
	v.Handle(func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); !gjson.GetBytes(body, "stream").Bool() {
			vendor.JSON(http.StatusOK, cohereWhole)(w, r)
			return
		}
		vendor.Text(http.StatusOK, strings.Join(cohereEvents(), ""), "Content-Type", "text/event-stream")(w, r)
	})
	c.does("secret", "create", "cohere", "--value-file", c.file("cohere", []byte(cohereCredential)))
	c.does("secret", "create", "of-adapters", "--value-file", c.file("token", []byte(adapterToken)))
	c.does("adapter", "create", "cohere", "--url", "http://"+addr, "--header", "authorization: Bearer ${secret:of-adapters}")
	c.does("model", "create", name, "--deployment-name", "cohere", "--url", v.URL, "--adapter", "cohere", "--vendor-model", "command-a", "--secret", "cohere",
		"--price-file", c.file("price.yaml", []byte(coherePrice)))
	c.does("endpoint", "create", name, "--path", "/"+name, "--models")
	key := c.key(name)
	other := c.withoutAdapter("no-adapter", key)
	c.awaitLive()
	ask := func(edge int, lang string, stream bool) (*http.Response, string) {
		l := languages[lang]
		return c.post(edge, key, "/"+name+l.path, l.ask(name, most, stream))
	}
	for i, lang := range spoken {
		for _, stream := range []bool{false, true} {
			resp, text := ask(i%2, lang, stream)
			if err := languages[lang].answered(resp, text, stream); err != nil || resp.Header.Get("X-Tollgate-Model") != name+"/cohere" {
				t.Errorf("%s, stream %v: %v", lang, stream, err)
			}
		}
	}
	for _, got := range v.Requests() {
		if got.URI != "/v2/chat" || got.Get("Authorization") != "Bearer "+cohereCredential || gjson.GetBytes(got.Body, "model").Str != "command-a" || gjson.GetBytes(got.Body, "max_tokens").Int() != most {
			t.Errorf("the vendor received %s %v %s", got.URI, got.Header, got.Body)
		}
	}
	c.usageOf(name, 6*money.Nanos(cohereCost))

	stream, answer := vendor.SSE()
	v.Next(answer)
	l := languages["messages"]
	resp := c.open(0, http.MethodPost, key, "/"+name+l.path, l.ask(name, most, true))
	defer resp.Body.Close()
	for _, e := range cohereEvents()[:3] {
		stream.Send(t, e)
	}
	text := readUntil(t, resp.Body, "Hello")
	p.kill()
	if stream.TrySend(t, cohereEvents()[3]) {
		stream.AwaitGone(t)
	}
	rest, err := io.ReadAll(resp.Body)
	if text += string(rest); err == nil || strings.Contains(text, "message_stop") || schemas.Check("anthropic-error", []byte(lastData(text))) != nil {
		t.Errorf("%v: without its adapter the stream looks whole, or does not say why it ends: %s", err, text)
	}
	c.comesBack(p, func(edge int) (*http.Response, string) { return ask(edge, "messages", false) },
		func(resp *http.Response, text string) error { return l.answered(resp, text, false) }, other, v)
}

// An adapter on an endpoint lets callers speak a language of their own; it hears what they say, and no credential of anybody.
func adapterOfAnEndpoint(c *cluster, w *witness) {
	t := c.t
	const name = "polite"
	addr, heard := address(t), filepath.Join(c.dir, "heard") // which outlives this part
	p := newProcess(t, "polite", os.Args[0], nil, []string{politeAddr + "=" + addr, politeHeard + "=" + heard})
	p.start()
	p.awaitHTTP("http://" + addr + adapter.Healthz)
	c.does("secret", "create", "of-polite", "--value-file", c.file("token", []byte(adapterToken)))
	c.does("adapter", "create", name, "--url", "http://"+addr, "--header", "authorization: Bearer ${secret:of-polite}")
	v := openai(t, rates{2_500, 10_000}, inFull)
	c.deploy("create", name, "openai", v, modelHold)
	claude := anthropic(t, rates{2_500, 10_000}, inFull)
	c.deploy("create", name+"-claude", "claude", claude, modelHold)
	c.does("endpoint", "create", name, "--path", "/"+name, "--models", "--models-adapter", name)
	key := c.key(name)
	w.knows([]string{key, adapterToken}, heard)
	other := c.withoutAdapter("impolite", key)
	c.awaitLive()
	ask := func(edge int, model string, slowly bool) (*http.Response, string) {
		return c.post(edge, key, "/"+name+"/say", fmt.Sprintf(`{"please":"Say hello","model":%q,"words":50,"slowly":%v}`, model, slowly))
	}
	fine := func(resp *http.Response, text string) error {
		if resp.StatusCode != http.StatusOK || text != `{"said":"Hello there"}` {
			return fmt.Errorf("%s %s", resp.Status, text)
		}
		return nil
	}
	for i, model := range []string{name, name + "-claude"} {
		resp, text := ask(i, model, false)
		if err := fine(resp, text); err != nil {
			t.Errorf("%s: %v", model, err)
		}
		const lines = `{"said":"Hello"}` + "\n" + `{"said":" there"}` + "\n" + `{"done":true}` + "\n"
		if resp, text := ask(i, model, true); resp.StatusCode != http.StatusOK || text != lines || resp.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s: %s %s %s", model, resp.Status, resp.Header.Get("Content-Type"), text)
		}
	}
	c.usageOf(name, money.Nanos(v.owed.Load()+claude.owed.Load()))
	if resp, text := c.post(0, key, "/"+name+"/say", `{"model":"polite"}`); resp.StatusCode != http.StatusBadRequest || !strings.Contains(text, "It has to say what is wanted.") {
		t.Errorf("refused: %s %s", resp.Status, text)
	}
	// Wherever the caller has its key, the adapter hears nothing of it.
	for _, headers := range [][]string{{"User-Agent", "mine/" + key}, {"Anthropic-Beta", key}, {"X-Api-Key", key}, {"Accept-Language", key}, {"Some-Version", key}} {
		if resp, text, err := c.call(1, key, "/"+name+"/say?b=1&key="+key, headers...); err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%v: %v %v %s", headers, err, resp, text)
		}
	}
	v.Next(vendor.JSON(http.StatusUnauthorized, `{"error":{"message":"Incorrect API key provided: `+openaiCredential+`"}}`))
	if resp, text := ask(0, name, false); resp.StatusCode != http.StatusBadGateway || strings.Contains(text, openaiCredential) || gjson.Get(text, "sorry").Str == "" {
		t.Errorf("a vendor that refuses the credential: %s %s", resp.Status, text)
	}
	c.comesBack(p, func(edge int) (*http.Response, string) { return ask(edge, name, false) }, fine, other, v.Vendor)
}
