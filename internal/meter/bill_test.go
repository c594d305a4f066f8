package meter_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter"
	"tollgate/internal/money"
)

// said makes an answer of JSON.
func said(body string) *answer {
	return &answer{headers: map[string]string{"Content-Type": "application/json"}, body: []byte(body)}
}

// events makes a stream of events.
func events(list ...string) *answer {
	var b strings.Builder
	for _, data := range list {
		b.WriteString("data: " + data + "\n\n")
	}
	return &answer{headers: map[string]string{"Content-Type": "text/event-stream"}, body: []byte(b.String())}
}

// Guarantee: of OpenAI, cached and audio tokens are contained in the prompt, and reasoning in the completion: each token is
// billed once.
func TestOpenAIIsInclusive(t *testing.T) {
	t.Parallel()
	b := play(t, only(t, "openai", "chat"), post(`{}`), said(`{"model":"gpt","usage":{"prompt_tokens":1000,"completion_tokens":100,
		"prompt_tokens_details":{"cached_tokens":400,"audio_tokens":100},"completion_tokens_details":{"reasoning_tokens":60,"audio_tokens":10}}}`))
	if want := money.Nanos(500*2500 + 400*1250 + 100*40000 + 90*10000 + 10*80000); b.Cost != want || b.Units != 1100 {
		t.Errorf("%d for %d units, want %d", b.Cost, b.Units, want)
	}
}

// Guarantee: of Anthropic, what is read from the cache and written to it is on top of the input.
func TestAnthropicIsAdditive(t *testing.T) {
	t.Parallel()
	b := play(t, only(t, "anthropic", "messages"), post(`{}`), said(`{"model":"claude","usage":{"input_tokens":10,"cache_read_input_tokens":1000,
		"cache_creation_input_tokens":300,"cache_creation":{"ephemeral_5m_input_tokens":200,"ephemeral_1h_input_tokens":100},"output_tokens":50}}`))
	if want := money.Nanos(10*3000 + 1000*300 + 200*3750 + 100*6000 + 50*15000); b.Cost != want || b.Units != 1360 {
		t.Errorf("%d for %d units, want %d", b.Cost, b.Units, want)
	}
}

// Guarantee: of Anthropic's streams the last number of each kind counts, also where the beginning comes twice or is corrected.
func TestAnthropicStreamsAreMerged(t *testing.T) {
	t.Parallel()
	start := `{"type":"message_start","message":{"model":"claude","usage":{"input_tokens":43,"cache_read_input_tokens":7,"output_tokens":1}}}`
	b := play(t, only(t, "anthropic", "messages"), post(`{}`), events(start, start,
		`{"type":"content_block_delta","delta":{"text":"hi"}}`,
		`{"type":"message_delta","usage":{"input_tokens":61,"cache_read_input_tokens":null,"output_tokens":25}}`,
		`{"type":"message_delta","usage":{"output_tokens":30}}`))
	if b.Counts != "in=61,read=7,out=30" {
		t.Error(b.Counts)
	}
}

// Guarantee: of Gemini, what is cached is contained in the prompt, thoughts are on top of the candidates and the prompts
// of tools on top of the prompt; a long prompt makes everything dearer.
func TestGeminiIsBoth(t *testing.T) {
	t.Parallel()
	plan := only(t, "gemini", "generate")
	usage := func(prompt string) *answer {
		return said(`{"modelVersion":"gemini","usageMetadata":{"promptTokenCount":` + prompt +
			`,"toolUsePromptTokenCount":50,"cachedContentTokenCount":400,"candidatesTokenCount":20,"thoughtsTokenCount":80}}`)
	}
	if b := play(t, plan, post(`{}`), usage("1000")); b.Cost != 650*1250+400*125+100*10000 {
		t.Errorf("%d", b.Cost)
	}
	if b := play(t, plan, post(`{}`), usage("200001")); b.Cost != (200001+50-400)*2500+400*250+100*15000 {
		t.Errorf("above 200,000: %d", b.Cost)
	}
	if b := play(t, plan, post(`{}`), usage("200000")); b.Cost != (200000+50-400)*1250+400*125+100*10000 {
		t.Errorf("at 200,000: %d", b.Cost)
	}
}

// Guarantee: of Bedrock, what is read from the cache and written to it is on top of the input; headers count before frames.
func TestBedrockIsAdditive(t *testing.T) {
	t.Parallel()
	a := said(`{"usage":{"inputTokens":10,"outputTokens":4,"cacheReadInputTokens":1000,"cacheWriteInputTokens":200}}`)
	want := money.Nanos(10*3000 + 1000*300 + 200*3750 + 4*15000)
	if b := play(t, only(t, "bedrock", "converse"), post(`{}`), a); b.Cost != want {
		t.Errorf("%d, want %d", b.Cost, want)
	}
	a.headers["X-Amzn-Bedrock-Input-Token-Count"] = " 20 "
	if b := play(t, only(t, "bedrock", "converse"), post(`{}`), a); b.Cost != want+10*3000 {
		t.Errorf("with a header: %d", b.Cost)
	}
}

// Guarantee: of xAI's chat, reasoning is on top of the completion, if the meter adds it.
func TestXAIIsAdditive(t *testing.T) {
	t.Parallel()
	m := read(t, "openai")
	m.Meters = m.GetMeters()[:1]
	m.Meters[0].Match = nil
	m.Meters[0].Units[4].Add = []string{"out", "reasoning"}
	b := play(t, compile(t, m), post(`{}`), said(`{"model":"grok","usage":{"prompt_tokens":361,"completion_tokens":26,"completion_tokens_details":{"reasoning_tokens":235}}}`))
	if want := money.Nanos(361*2500 + 261*10000); b.Cost != want || b.Units != 622 {
		t.Errorf("%d for %d units, want %d", b.Cost, b.Units, want)
	}
}

// Guarantee: totals that are told again with every event count once; those that are told apart are added.
func TestAggregates(t *testing.T) {
	t.Parallel()
	for how, want := range map[string]string{"last": "n=3", "first": "n=5", "max": "n=7.5", "sum": "n=15.5", "count": "n=4", "": "n=3"} {
		plan := parse(t, `
unmatched: refuse
fallback: "0.05"
meters: [{name: a, base: "1", counters: [{name: n, aggregate: "`+how+`", sources: [{frame: a.n}, {frame: n}]}]}]
`)
		b := play(t, plan, post(``), events(`{"n":5}`, `{"n":null}`, `{"a":{"n":7.5},"n":100}`, `{"x":1}`, `{"n":3}`))
		if how == "count" {
			want = "n=3" // null is nothing
		}
		if b.Counts != want {
			t.Errorf("%s: %s, want %s", how, b.Counts, want)
		}
		b = play(t, plan, post(``), events(`{"n":"12"}`, `{"n":-1}`, `{"n":true}`, `{"n":1e400}`))
		if how != "count" && (b.Counts != "" || len(b.Unpriced) != 1) {
			t.Errorf("%s of no numbers: %s, %q", how, b.Counts, b.Unpriced)
		}
	}
}

// Guarantee: whatever is missing makes the cost unknown, says so, and is charged what the price declares, as far as it was held,
// and never nothing.
func TestUnpriced(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, fallback, body string
		want                 money.Nanos
		why                  string
	}{
		{"a counter", `"0.05"`, `{"model":"gpt"}`, 50_000_000, "prompt was not found"},
		{"a model", `"0.05"`, `{"usage":{"prompt":5}}`, 50_000_000, "no model is named"},
		{"a row", `"0.05"`, `{"model":"other","usage":{"prompt":5}}`, 50_000_000, `the model "other" is in no list`},
		{"a price", `"0.05"`, `{"model":"gpt","usage":{"prompt":2,"audio":1}}`, 52_000_000, "audio has no price"},
		{"what was held", `held`, `{"model":"gpt","usage":{"prompt":2,"audio":1}}`, 59_000_000, "audio has no price"},
		{"more than was held", `held`, `{"model":"gpt","usage":{"prompt":70,"audio":1}}`, 70_000_000, "audio has no price"},
		{"as much as was held", `"0.05"`, `{"model":"gpt","usage":{"prompt":20,"audio":1}}`, 59_000_000, "audio has no price"},
		{"that, and more than was held", `"0.05"`, `{"model":"gpt","usage":{"prompt":70,"audio":1}}`, 70_000_000, "audio has no price"},
		{"sense", `"0.05"`, `{"model":"gpt","usage":{"prompt":1e18}}`, 1_000_000 * money.Dollar, "more than a million"},
		{"JSON", `"0.05"`, `{"model":"gpt","usage":{"prompt":2}`, 52_000_000, "broke off"},
	} {
		plan := parse(t, `
unmatched: refuse
fallback: `+c.fallback+`
meters:
  - name: a
    model: [{frame: model}]
    counters: [{name: prompt, sources: [{frame: usage.prompt}]}, {name: audio, sources: [{frame: usage.audio}], optional: true}]
    units: [{name: prompt}, {name: audio}]
    prices: [{model: 'gpt*', rates: [{unit: prompt, price: "0.001"}]}]
    hold: {least: "0.009"}
`)
		a := said(c.body)
		a.held = 59_000_000
		b := play(t, plan, post(``), a)
		if c.name == "JSON" {
			if len(b.Unpriced) == 0 || b.Cost < 50_000_000 {
				t.Errorf("%s: %d, %q", c.name, b.Cost, b.Unpriced)
			}
			continue
		}
		if b.Cost != c.want || !strings.Contains(strings.Join(b.Unpriced, "; "), c.why) {
			t.Errorf("%s: %d, %q, want %d, %s", c.name, b.Cost, b.Unpriced, c.want, c.why)
		}
	}
}

// Guarantee: the model of the answer counts; where it is in no list but what was asked for is, that does. The name that the
// target said is kept.
func TestModels(t *testing.T) {
	t.Parallel()
	m := read(t, "openai").GetMeters()[0]
	m.Match, m.Models = nil, map[string]string{"my-deployment": "gpt-4o"}
	rate := func(price string) []*controlv1.UnitPrice {
		return []*controlv1.UnitPrice{{Unit: "input", Price: price}, {Unit: "output", Price: "0"}}
	}
	m.Prices = []*controlv1.ModelPrice{{Model: "gpt-4o-2024-*", Rates: rate("1")}, {Model: "gpt-4o", Rates: rate("2")}}
	m.Book = "openai"
	plan, err := meter.Compile(&controlv1.Metered{Unmatched: "free", Fallback: "7", Meters: []*controlv1.Meter{m}}, func(list string) []*controlv1.ModelPrice {
		if list != "openai" {
			t.Errorf("asked for %s", list)
		}
		return []*controlv1.ModelPrice{{Model: "gpt-4o", Rates: rate("3")}, {Model: "o3", Rates: rate("4")}, {Model: "odd", Rates: rate("many")}}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		asked, told, model string
		want               money.Nanos
	}{
		{"gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06", 1},
		{"gpt-4o", "GPT-4o", "GPT-4o", 2},
		{"gpt-4o", "", "gpt-4o", 2},
		{"x", "my-deployment", "my-deployment", 2},
		{"o3", "models/o3", "models/o3", 4},
		{"o3", "unknown", "unknown", 4},
		{"y", "unknown", "unknown", 7},
		{"odd", "odd", "odd", 7},
	} {
		b := play(t, plan, post(`{"model":"`+c.asked+`"}`), said(`{"model":"`+c.told+`","usage":{"prompt_tokens":1,"completion_tokens":0}}`))
		if b.Cost != c.want*money.Dollar || b.Model != c.model || (len(b.Unpriced) > 0) != (c.want == 7) {
			t.Errorf("%s answered by %s: $%s of %s, %q", c.asked, c.told, b.Cost, b.Model, b.Unpriced)
		}
	}
}

// Guarantee: the variant that the answer says chooses the price, and what has none costs what it always does.
func TestVariants(t *testing.T) {
	t.Parallel()
	for tier, want := range map[string]money.Nanos{"flex": 2500 + 5000, "default": 2500 + 10000, "priority": 2500 + 10000} {
		b := play(t, only(t, "openai", "chat"), post(`{"service_tier":"auto"}`), said(`{"model":"m","service_tier":"`+tier+`","usage":{"prompt_tokens":1,"completion_tokens":1}}`))
		if b.Cost != want {
			t.Errorf("%s: %d, want %d", tier, b.Cost, want)
		}
	}
}

// Guarantee: a stream that breaks off is charged what it last said, and is marked; what it comes to never falls while it
// grows.
func TestInterruptedStreams(t *testing.T) {
	t.Parallel()
	plan := only(t, "anthropic", "messages")
	rapid.Check(t, func(t *rapid.T) {
		outs := rapid.SliceOfN(rapid.IntRange(0, 50), 1, 12).Draw(t, "outs")
		list := []string{`{"type":"message_start","message":{"model":"claude","usage":{"input_tokens":100,"output_tokens":0}}}`}
		total := 0
		for _, n := range outs {
			total += n
			list = append(list, `{"type":"message_delta","usage":{"output_tokens":`+strconv.Itoa(total)+`}}`)
		}
		var before money.Nanos
		for k := 1; k <= len(list); k++ {
			r := post(`{}`)
			x := plan.Match(r).Start(r, nil)
			a := events(list[:k]...)
			x.Answered(200, a.header)
			x.Received(a.body)
			if !x.Streams() || x.Boundary() != len(a.body) {
				t.Fatalf("streams %t, boundary %d of %d", x.Streams(), x.Boundary(), len(a.body))
			}
			running, final := x.Cost()
			b := x.End(meter.End{Held: 1})
			if final || b.Cost < before || b.Cost != running || len(b.Unpriced) != 1 {
				t.Fatalf("after %d: %d (running %d), before %d, %q", k, b.Cost, running, before, b.Unpriced)
			}
			before = b.Cost
		}
		if want := money.Nanos(100*3000 + total*15000); before != want {
			t.Fatalf("%d, want %d", before, want)
		}
	})
}

// Guarantee: an answer is charged as its conditions say.
func TestCharge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		charge string
		status int
		body   string
		want   bool
	}{
		{"{}", 200, "{}", true},
		{"{}", 404, "{}", false},
		{"{}", 302, "{}", false},
		{"{statuses: [any]}", 500, "{}", true},
		{"{statuses: ['404', 2xx]}", 404, "{}", true},
		{"{statuses: ['404', 2xx]}", 200, "{}", true},
		{"{statuses: ['404']}", 200, "{}", false},
		{"{unless: [{source: {frame: status}, in: [ERROR]}]}", 200, `{"status":"ERROR"}`, false},
		{"{unless: [{source: {frame: status}, in: [ERROR]}]}", 200, `{"status":"OK"}`, true},
		{"{unless: [{source: {frame: error}}]}", 200, `{"error":null}`, true},
		{"{unless: [{source: {frame: error}}]}", 200, `{"error":{"code":1}}`, false},
		{"{unless: [{source: {header: finish-reason}, in: [CONTENT_FILTERED]}]}", 200, `{}`, false},
		{"{unless: [{source: {measure: frames, event: error}}]}", 200, `{"type":"error"}`, false},
		{"{unless: [{source: {measure: frames, event: error}}]}", 200, `{"type":"fine"}`, true},
		{"{only_if: [{source: {frame: ok}}]}", 200, `{"ok":false}`, false},
		{"{only_if: [{source: {frame: ok}, in: ['true']}]}", 200, `{"ok":true}`, true},
		{"{only_if: [{source: {frame: n}, in: ['3']}]}", 200, `{"n":3}`, true},
		{"{only_if: [{source: {frame: 'list.#.s'}, in: ['b']}]}", 200, `{"list":[{"s":"a"},{"s":"b"}]}`, true},
	} {
		plan := parse(t, "unmatched: free\nfallback: held\nmeters: [{name: a, base: '2', charge: "+c.charge+"}]")
		a := said(c.body)
		a.status, a.headers["Finish-Reason"] = c.status, "CONTENT_FILTERED"
		b := play(t, plan, post(`{}`), a)
		if b.Charged != c.want || (b.Cost == 2*money.Dollar) != c.want || len(b.Unpriced) > 0 {
			t.Errorf("%s of %d %s: %+v", c.charge, c.status, c.body, b)
		}
	}
}

// Guarantee: a fixed price is charged for answered calls, and known when the answer begins; a reported one is what the
// target says, at most its ceiling, and its fallback where that cannot be read.
func TestFixedAndReported(t *testing.T) {
	t.Parallel()
	plan, err := meter.Fixed(12*money.Dollar, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := post(`{}`)
	m := plan.Match(r)
	if h := m.Hold(r, nil); h.Amount != 12*money.Dollar || !h.Bound || m.WantsBody() {
		t.Errorf("%+v", h)
	}
	x := m.Start(r, nil)
	x.Answered(200, said(``).header)
	if cost, final := x.Cost(); cost != 12*money.Dollar || !final {
		t.Errorf("%d, %t", cost, final)
	}
	if b := play(t, plan, &meter.Request{Method: "GET"}, said(`{}`)); b.Charged || b.Cost != 0 {
		t.Errorf("GET: %+v", b)
	}
	if b := play(t, plan, &meter.Request{Method: "GET", WebSocket: true}, &answer{status: 101}); b.Cost != 12*money.Dollar {
		t.Errorf("WebSocket: %+v", b)
	}
	plan, err = meter.Reported("X-Cost", 2*money.Dollar, money.Dollar, nil)
	if err != nil {
		t.Fatal(err)
	}
	if h := plan.Match(r).Hold(r, nil); h.Amount != 2*money.Dollar || !h.Bound {
		t.Errorf("%+v", h)
	}
	for said, want := range map[string]money.Nanos{"0.0042": 4_200_000, "3": 2 * money.Dollar, "": money.Dollar, "-1": money.Dollar, "1e-9": 1, "0": 0, "0.0000000025": 2} {
		b := play(t, plan, post(`{}`), &answer{headers: map[string]string{"x-cost": said}})
		if b.Cost != want || (len(b.Unpriced) > 0) != (want == money.Dollar) || b.Units != 0 {
			t.Errorf("%q: %+v, want %d", said, b, want)
		}
	}
	for _, amount := range []money.Nanos{-1, money.Max} {
		if _, err := meter.Fixed(amount, nil); err == nil {
			t.Errorf("%d is a price", amount)
		}
		if _, err := meter.Reported("", amount, 0, nil); err == nil {
			t.Errorf("%d is a ceiling", amount)
		}
	}
}

// Guarantee: what the edge measures is counted exactly.
func TestMeasures(t *testing.T) {
	t.Parallel()
	plan := parse(t, `
unmatched: free
fallback: held
meters:
  - name: a
    counters:
      - {name: sent, sources: [{measure: request_bytes}]}
      - {name: got, sources: [{measure: response_bytes}]}
      - {name: time, sources: [{measure: seconds}]}
      - {name: frames, sources: [{measure: frames}]}
      - {name: deltas, sources: [{measure: frames, event: delta}]}
    units: [{name: time}]
    prices: [{model: '*', rates: [{unit: time, price: "0.36", per: 3600}]}]
    hold: {least: "0.01"}
`)
	r := post(`{"a":1}`)
	x := plan.Match(r).Start(r, nil)
	x.Sent(r.Body)
	a := events(`{"type":"delta"}`, `{"type":"end"}`, `{"type":"delta"}`)
	x.Answered(200, a.header)
	x.Received(a.body)
	b := x.End(meter.End{Whole: true, Elapsed: 1500 * time.Millisecond})
	if b.Counts != "sent=7,got="+strconv.Itoa(len(a.body))+",time=1.5,frames=3,deltas=2" || b.Cost != 150_000 || b.Units != 2 {
		t.Errorf("%+v", b)
	}
}

// Guarantee: a bill can be read: what was counted and where, and lines whose sum is the cost.
func TestDetail(t *testing.T) {
	t.Parallel()
	m := read(t, "openai")
	m.Meters = m.GetMeters()[:1]
	m.Meters[0].Match, m.Meters[0].Minimum, m.Meters[0].Base = nil, "1", "0.5"
	b := play(t, compile(t, m), post(`{}`), said(`{"model":"m","usage":{"prompt_tokens":3,"completion_tokens":1,"prompt_tokens_details":{"image_tokens":2}}}`))
	counters, lines := b.Detail()
	if len(counters) != 10 || counters[0] != (meter.Counted{Name: "prompt", Value: "3", Source: "frame usage.prompt_tokens"}) || counters[2].Value != "" {
		t.Errorf("%+v", counters)
	}
	want := []meter.Line{
		{Unit: "base", Quantity: "1", Price: "0.5", Per: 1, Amount: "0.5"},
		{Unit: "input", Quantity: "3", Price: "2.5", Per: 1000000, Amount: "0.0000075"},
		{Unit: "output", Quantity: "1", Price: "10", Per: 1000000, Amount: "0.00001"},
		{Unit: "minimum", Quantity: "1", Price: "0.4999825", Per: 1, Amount: "0.4999825"},
	}
	for i := range max(len(lines), len(want)) {
		if i >= len(lines) || i >= len(want) || lines[i] != want[i] {
			t.Fatalf("%+v", lines)
		}
	}
	if b.Cost != money.Dollar {
		t.Errorf("%d", b.Cost)
	}
}
