package meter_test

import (
	"slices"
	"strings"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter"
	"tollgate/internal/meter/document"
	"tollgate/internal/money"
)

// parse makes a plan of a document.
func parse(t *testing.T, text string) *meter.Plan {
	t.Helper()
	var m controlv1.Metered
	if err := document.Parse([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return compile(t, &m)
}

// hold makes a plan of a meter of which all but the hold is always the same.
func holding(t *testing.T, hold string) *meter.Plan {
	t.Helper()
	return parse(t, `
unmatched: refuse
fallback: "0.000001"
meters:
  - name: chat
    model: [{frame: model}, {request: model}]
    counters:
      - {name: prompt, sources: [{frame: usage.prompt}]}
      - {name: cached, sources: [{frame: usage.cached}], optional: true}
      - {name: out, sources: [{frame: usage.out}]}
    units:
      - {name: input, add: [prompt], subtract: [cached]}
      - {name: cache_write, add: [cached]}
      - {name: output, add: [out]}
    tier: [prompt]
    prices:
      - model: gpt
        rates:
          - {unit: input, price: "1", per: 1000000}
          - {unit: input, price: "2", per: 1000000, above: 200000}
          - {unit: cache_write, price: "3", per: 1000000}
          - {unit: output, price: "10", per: 1000000}
      - {model: free, rates: [{unit: input, price: "0"}, {unit: output, price: "0"}]}
    hold: `+hold)
}

const bounds = `{least: "0.000001", learned: true, bounds: [
  {unit: input, sources: [{measure: request_bytes}]},
  {unit: output, sources: [{request: max_tokens}, {request: max}], times: {request: n}, factor: "1", plus: "2", assume: "100", enforce: max_tokens}]}`

func post(body string) *meter.Request {
	return &meter.Request{Method: "POST", Path: "/chat", Body: []byte(body), Whole: true, Length: int64(len(body))}
}

// Guarantee: what is held is the most that a request can cost, at the dearest of the model's prices, and says why; where
// that cannot be known, what was learned, and else the least.
func TestHold(t *testing.T) {
	t.Parallel()
	learned := func(meter, model string) (money.Nanos, bool) { return 777_000, meter == "chat" && model == "gpt-9" }
	for _, c := range []struct {
		name, hold, body string
		want             money.Nanos
		bound            bool
		reason           string
		edits            int
	}{
		{"bound", bounds, `{"model":"gpt","max_tokens":50}`, 31*3000 + 52*10000, true, "the bound of 31 input, 52 output of gpt", 0},
		{"second source", bounds, `{"model":"GPT","max":50}`, 24*3000 + 52*10000, true, "52 output", 0},
		{"times", bounds, `{"model":"gpt","max_tokens":50,"n":3}`, 37*3000 + 152*10000, true, "152 output", 0},
		{"times that are no number", bounds, `{"model":"gpt","max_tokens":50,"n":"3"}`, 1000, false, "request n is no number", 0},
		{"enforced", bounds, `{"model":"gpt"}`, 15*3000 + 102*10000, true, "102 output", 1},
		{"enforced where it is null", bounds, `{"model":"gpt","max_tokens":null}`, 33*3000 + 102*10000, true, "102 output", 1},
		{"not a number", bounds, `{"model":"gpt","max_tokens":"50"}`, 1000, false, "no number", 0},
		{"below nothing", bounds, `{"model":"gpt","max_tokens":-1}`, 1000, false, "no number", 0},
		{"much", bounds, `{"model":"gpt","max_tokens":100000000000000000}`, 1_000_000 * money.Dollar, true, "output of gpt", 0},
		{"more than can be counted", bounds, `{"model":"gpt","max_tokens":9223372036854775807}`, 1_000_000 * money.Dollar, true, "output of gpt", 0},
		{"more than any number", bounds, `{"model":"gpt","max_tokens":1e999}`, 1_000_000 * money.Dollar, true, "output of gpt", 0},
		{"nothing to enforce it in", bounds, `["gpt"]`, 1000, false, "the model is in no list", 0},
		{"unknown model", bounds, `{"model":"gpt-8"}`, 1000, false, "the least that is held: the model is in no list", 0},
		{"learned", bounds, `{"model":"gpt-9"}`, 777_000, false, "almost all such requests", 0},
		{"free model", bounds, `{"model":"free"}`, 1000, true, "the least", 1},
		{"amount", `{amount: "0.5"}`, `{"model":"gpt"}`, 500_000_000, false, "every such request", 0},
		{"assumed", `{least: "0.01", bounds: [{unit: input, assume: "10"}, {unit: output, plus: "1"}]}`, `{"model":"gpt"}`, 10_000_000, true, "the least", 0},
		{"a unit without a bound", `{least: "0.01", bounds: [{unit: input, plus: "5"}]}`, `{"model":"gpt"}`, 10_000_000, false, "nothing bounds the output that it uses", 0},
		{"length of texts", `{least: "0.000001", bounds: [{unit: input, sources: [{request: texts}], aggregate: length}, {unit: output, sources: [{request: texts}], aggregate: count}]}`, `{"model":"gpt","texts":["äö","c"]}`, 3*3000 + 2*10000, true, "3 input, 2 output", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := post(c.body)
			h := holding(t, c.hold).Match(r).Hold(r, learned)
			if h.Amount != c.want || h.Bound != c.bound || !strings.Contains(h.Reason, c.reason) || len(h.Edits) != c.edits {
				t.Errorf("%+v, want %d, %t, %q", h, c.want, c.bound, c.reason)
			}
			if c.edits > 0 && (h.Edits[0] != meter.Edit{Path: "max_tokens", Value: "100", Bound: true}) {
				t.Errorf("edits %+v", h.Edits)
			}
		})
	}
}

// Guarantee: what a request itself says of its cost is its bound, without anybody declaring one.
func TestHoldKnowsWhatTheRequestSays(t *testing.T) {
	t.Parallel()
	plan := parse(t, `
unmatched: refuse
fallback: "0.05"
meters:
  - name: speech
    model: [{request: model}]
    counters:
      - {name: characters, sources: [{request: input}], aggregate: length}
      - {name: images, sources: [{request: num_results}, {form: n}], default: "1"}
    units: [{name: characters}, {name: images}]
    prices: [{model: '*', rates: [{unit: characters, price: "15", per: 1000000}, {unit: images, price: "0.04"}]}]
    base: "0.001"
    maximum: "1"
    hold: {least: "0.000001"}
`)
	for body, want := range map[string]money.Nanos{
		`{"model":"tts","input":"hallö"}`:                40_000_000 + 5*15_000 + 1_000_000,
		`{"input":"hi","num_results":4}`:                 160_000_000 + 2*15_000 + 1_000_000,
		`{"input":"` + strings.Repeat("x", 99999) + `"}`: 1_000_000_000,
	} {
		r := post(body)
		if h := plan.Match(r).Hold(r, nil); h.Amount != want || !h.Bound {
			t.Errorf("%.40s: %+v, want %d", body, h, want)
		}
	}
}

// Guarantee: fields are set where the meter says so and the caller has not set them, and nowhere else; who sets that they
// want to see no usage is counted all the same.
func TestInjections(t *testing.T) {
	t.Parallel()
	plan := only(t, "openai", "chat")
	usage := meter.Edit{Path: "stream_options.include_usage", Value: "true", Strip: "usage_only"}
	for body, want := range map[string]bool{
		`{"model":"m","stream":true,"max_tokens":5}`:                                          true,
		`{"model":"m","stream":true,"max_tokens":5,"stream_options":{}}`:                      true,
		`{"model":"m","stream":true,"max_tokens":5,"stream_options":{"include_usage":false}}`: true,
		`{"model":"m","stream":true,"max_tokens":5,"stream_options":{"include_usage":null}}`:  true,
		`{"model":"m","stream":true,"max_tokens":5,"stream_options":{"include_usage":true}}`:  false,
		`{"model":"m","max_tokens":5}`:                                                        false,
		`{"model":"m","stream":false,"max_tokens":5}`:                                         false,
		`{"model":"m","stream":true,`:                                                         false,
		`[{"stream":true}]`:                                                                   false,
	} {
		r := post(body)
		m := plan.Match(r)
		if !m.WantsBody() {
			t.Fatal("it does not look into the body")
		}
		if h := m.Hold(r, nil); slices.Contains(h.Edits, usage) != want {
			t.Errorf("%s: %+v", body, h.Edits)
		}
	}
}
