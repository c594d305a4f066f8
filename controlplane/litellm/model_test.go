package litellm_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/controlplane/litellm"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/plan"
)

// Guarantee: where the file names no URL, the one in the environment counts, that of the file's own variables first; and
// where it names no key, the variable that is set, whose value stays where it is.
func TestModelsTakeWhatTheEnvironmentSays(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"ANTHROPIC_BASE_URL": "https://claude.example/", "OPENAI_API_BASE": "https://not-this.example/v1",
		"TOGETHER_API_KEY": "a-key-that-must-not-appear", "HOSTED_VLLM_API_BASE": "http://gpu:8000/v1", "HOSTED_VLLM_API_KEY": "k", "NAME": "gpt-4o-mini",
	}
	p, err := litellm.Converter{Getenv: func(name string) string { return env[name] }}.Convert("config.yaml", []byte(`
environment_variables: {OPENAI_BASE_URL: "https://first.example/v1"}
model_list:
  - {model_name: a, litellm_params: {model: claude-sonnet-4-5, api_key: k}}
  - {model_name: b, litellm_params: {model: os.environ/NAME, api_key: k}}
  - {model_name: c, litellm_params: {model: together_ai/x/y}}
  - {model_name: d, litellm_params: {model: hosted_vllm/x}}
`))
	if err != nil {
		t.Fatal(err)
	}
	sound(t, p)
	var got []string
	for _, m := range p.Models {
		d := m.GetDeployments()[0]
		got = append(got, d.GetTarget().GetUrl()+" "+d.GetModel()+" "+d.GetApiKey())
	}
	want := []string{
		"https://claude.example claude-sonnet-4-5 ${secret:a-api-key}",
		"https://first.example/v1 gpt-4o-mini ${secret:b-api-key}",
		"https://api.together.xyz/v1 x/y ${env:TOGETHER_API_KEY}",
		"http://gpu:8000/v1 x ${env:HOSTED_VLLM_API_KEY}",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if strings.Contains(string(show(t, p, nil)), env["TOGETHER_API_KEY"]) {
		t.Error("a value of the environment is in the plan")
	}
}

// Guarantee: weights keep the proportions of the file within what a weight can be; what has none while others have is
// asked only when they fail; and a lower order comes before a higher one.
func TestSharesKeepTheirProportions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		rpm := rapid.SliceOfN(rapid.Int64Range(0, 2_000_000), 2, 6).Draw(rt, "rpm")
		order := rapid.SliceOfN(rapid.Int64Range(1, 3), len(rpm), len(rpm)).Draw(rt, "order")
		var b strings.Builder
		b.WriteString("model_list:\n")
		for i := range rpm {
			b.WriteString("  - {model_name: m, litellm_params: {model: gpt-4o, rpm: " + strconv.FormatInt(rpm[i], 10) + ", order: " + strconv.FormatInt(order[i], 10) + "}}\n")
		}
		p, err := litellm.Convert("c", []byte(b.String()))
		if err != nil {
			rt.Fatal(err)
		}
		all := p.Models[0].GetDeployments()
		most := slices.Max(rpm)
		for i, d := range all {
			if w := int64(d.GetTarget().GetWeight()); (w == 0) != (rpm[i] == 0) || w > 1000 {
				rt.Fatalf("rpm %d has weight %d", rpm[i], w)
			}
			for j, e := range all {
				before := order[i] < order[j] || order[i] == order[j] && rpm[i] > 0 && rpm[j] == 0
				if before != (d.GetTarget().GetPriority() < e.GetTarget().GetPriority()) {
					rt.Fatalf("%d, %d: priorities %d and %d", i, j, d.GetTarget().GetPriority(), e.GetTarget().GetPriority())
				}
				if rpm[i] == 0 || rpm[j] == 0 {
					continue
				}
				// A weight is off by one at most, of a thousand that the largest may have.
				wi, wj := int64(d.GetTarget().GetWeight()), int64(e.GetTarget().GetWeight())
				if diff := wi*rpm[j] - wj*rpm[i]; max(diff, -diff) > rpm[i]+rpm[j] && most > 1000 || diff != 0 && most <= 1000 {
					rt.Fatalf("rpm %d and %d have weights %d and %d", rpm[i], rpm[j], wi, wj)
				}
			}
		}
	})
}

// Guarantee: a price of a token keeps every digit: what a million tokens cost is the file's number times a million.
func TestPricesOfTokensAreExact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0.0000025": "2.5", "2.5e-06": "2.5", "7.5E-8": "0.075", ".000001": "1", "1": "1000000", "0": "0", "1.25e-10": "0.000125", "0.000_003": "3",
	} {
		p, err := litellm.Convert("c", []byte("model_list: [{model_name: m, litellm_params: {model: gpt-4o, input_cost_per_token: "+text+", output_cost_per_token: "+text+"}}]"))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for _, r := range p.Models[0].GetDeployments()[0].GetPrice().GetMetered().GetMeters()[0].GetPrices()[0].GetRates() {
			if r.GetPrice() != want || r.GetPer() != 1_000_000 {
				t.Errorf("%s: %s costs %s for %d, want %s", text, r.GetUnit(), r.GetPrice(), r.GetPer(), want)
			}
		}
	}
}

// Guarantee: the configuration of LiteLLM's guide to adapters imports as it stands: its path answers Anthropic Messages with
// the key in x-api-key, and its model is OpenAI's.
func TestAdapterOfTheGuide(t *testing.T) {
	t.Parallel()
	const config = `model_list:
  - model_name: my-claude-endpoint
    litellm_params:
      model: gpt-3.5-turbo
      api_key: os.environ/OPENAI_API_KEY

general_settings:
  master_key: sk-1234
  pass_through_endpoints:
    - path: "/v1/messages"
      target: custom_callbacks.anthropic_adapter
      headers:
        litellm_user_api_key: "x-api-key"
`
	p, err := litellm.Convert("config.yaml", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	sound(t, p)
	e, d := p.Endpoints[0], p.Models[0].GetDeployments()[0]
	if e.GetPath() != "/v1/messages" || e.GetMatch() != controlv1.MatchKind_MATCH_KIND_EXACT || e.GetKeyHeader() != "x-api-key" ||
		!slices.Equal(e.GetModels().GetSchemas(), []controlv1.Schema{controlv1.Schema_SCHEMA_ANTHROPIC_MESSAGES}) || e.GetPrice() != nil || len(e.GetTargets()) > 0 {
		t.Errorf("endpoint = %v", e)
	}
	if p.Models[0].GetName() != "my-claude-endpoint" || d.GetModel() != "gpt-3.5-turbo" || d.GetApiKey() != "${env:OPENAI_API_KEY}" || d.GetTarget().GetUrl() != "https://api.openai.com/v1" {
		t.Errorf("model = %v", p.Models[0])
	}
	if p.Count(plan.Refused) != 0 {
		t.Errorf("notes = %+v", p.Notes)
	}
}
