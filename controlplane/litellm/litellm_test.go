package litellm_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"tollgate/controlplane/litellm"
	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
	"tollgate/internal/headervalue"
	"tollgate/internal/meter"
	"tollgate/internal/money"
	"tollgate/internal/plan"
)

var update = flag.Bool("update", false, "write the .json files")

// Guarantee: the examples of LiteLLM's documentation, and every setting that this package reads or
// leaves out, convert to exactly what the file beside them says.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := litellm.Convert(filepath.Base(file), text)
			if err == nil {
				sound(t, p)
			}
			got := show(t, p, err)
			golden := strings.TrimSuffix(file, ".yaml") + ".json"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// show writes out a plan or an error.
func show(t *testing.T, p *plan.Plan, err error) []byte {
	t.Helper()
	out := map[string]any{}
	if err != nil {
		e, ok := errors.AsType[*fault.Error](err)
		if !ok {
			t.Fatalf("%v is not of the catalogue", err)
		}
		out["error"] = map[string]any{"code": e.Code, "message": e.Message, "violations": e.Violations}
	}
	if p != nil {
		var secrets, keys, models, endpoints []any
		for _, s := range p.Secrets {
			secrets = append(secrets, map[string]string{"name": s.Name, "value": s.Value.Reveal()})
		}
		for _, k := range p.Keys {
			keys = append(keys, map[string]string{"name": k.Name, "sha256": hex.EncodeToString(k.SHA256)})
		}
		for _, m := range p.Models {
			models = append(models, showModel(t, m))
		}
		for _, e := range p.Endpoints {
			raw, err := protojson.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			endpoints = append(endpoints, json.RawMessage(raw))
		}
		out["secrets"], out["keys"], out["endpoints"], out["notes"] = secrets, keys, endpoints, p.Notes
		if models != nil {
			out["models"] = models
		}
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		t.Fatal(err)
	}
	return []byte(b.String())
}

// showModel writes out a model, with its prices in a few words: their meters are the templates'.
func showModel(t *testing.T, m *controlv1.Model) any {
	t.Helper()
	m = proto.CloneOf(m)
	prices := map[string][]string{}
	for _, d := range m.GetDeployments() {
		metered := d.GetPrice().GetMetered()
		lines := []string{"unmatched " + metered.GetUnmatched() + ", fallback " + metered.GetFallback()}
		for _, meter := range metered.GetMeters() {
			line := meter.GetName() + " " + meter.GetMatch().GetPath() + " book=" + meter.GetBook()
			for name, as := range meter.GetModels() {
				line += " " + name + "=" + as
			}
			for _, row := range meter.GetPrices() {
				for _, r := range row.GetRates() {
					line += fmt.Sprintf(" %s:%s=%s/%d", row.GetModel(), r.GetUnit(), r.GetPrice(), r.GetPer())
				}
			}
			lines = append(lines, line+" least="+meter.GetHold().GetLeast()+meter.GetHold().GetAmount())
		}
		prices[d.GetName()] = lines
		d.Price = nil
	}
	raw, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"model": json.RawMessage(raw), "prices": prices}
}

// sound checks what holds for every plan: the schema's rules, unique names, references that have a
// secret, and no credential outside the secrets.
func sound(t *testing.T, p *plan.Plan) {
	t.Helper()
	secrets, names := map[string]bool{}, map[string]bool{}
	for _, s := range p.Secrets {
		if secrets[s.Name] {
			t.Errorf("two secrets are called %s", s.Name)
		}
		secrets[s.Name] = true
		valid(t, &controlv1.CreateSecretRequest{Name: s.Name, Value: s.Value.Reveal()})
	}
	for _, k := range p.Keys {
		valid(t, &controlv1.CreateKeyRequest{Name: k.Name, SecretSha256: k.SHA256})
	}
	models := map[string]bool{}
	for _, m := range p.Models {
		valid(t, m)
		for _, name := range append([]string{m.GetName()}, m.GetAliases()...) {
			if models[name] {
				t.Errorf("two models are called %s", name)
			}
			models[name] = true
		}
		for _, d := range m.GetDeployments() {
			for _, text := range append([]string{d.GetApiKey()}, headerValues(d.GetHeaders())...) {
				value, err := headervalue.Parse(text)
				if err != nil {
					t.Errorf("%s: %v", m.GetName(), err)
				}
				for _, ref := range value.Refs() {
					if ref.Kind == headervalue.Secret && !secrets[ref.Name] {
						t.Errorf("%s refers to the secret %s, which is not in the plan", m.GetName(), ref.Name)
					}
				}
			}
			if problems := meter.Check(d.GetPrice().GetMetered()); len(problems) > 0 {
				t.Errorf("%s, %s: %v", m.GetName(), d.GetName(), problems)
			}
		}
	}
	for _, e := range p.Endpoints {
		valid(t, e)
		if names[e.GetName()] {
			t.Errorf("two endpoints are called %s", e.GetName())
		}
		names[e.GetName()] = true
		for _, h := range e.GetHeaders() {
			value, err := headervalue.Parse(h.GetValue())
			if err != nil {
				t.Errorf("%s: header %s: %v", e.GetName(), h.GetName(), err)
			}
			for _, ref := range value.Refs() {
				if ref.Kind == headervalue.Secret && !secrets[ref.Name] {
					t.Errorf("%s: header %s refers to the secret %s, which is not in the plan", e.GetName(), h.GetName(), ref.Name)
				}
			}
		}
	}
	for i, n := range p.Notes {
		if n.Text == "" || (i > 0 && n.File == p.Notes[i-1].File && n.Line < p.Notes[i-1].Line) {
			t.Errorf("note %d: %+v", i, n)
		}
	}
}

// Guarantee: of a file whose every entry is refused, the error names each with its line.
func TestNothingLeftIsAnError(t *testing.T) {
	t.Parallel()
	_, err := litellm.Convert("config.yaml", []byte(`model_list:
  - model_name: m
    litellm_params:
      model: bedrock/x
general_settings:
  pass_through_endpoints:
    - path: /v1/messages
      target: custom_callbacks.my_handler
`))
	e := fault.From(err)
	for _, want := range []string{"config.yaml:4", "Bedrock", "config.yaml:8", "custom_callbacks.my_handler", "tollgate adapter create", "None of the 1 models and 1 pass-through endpoints"} {
		if e.Code != fault.InvalidArgument || !strings.Contains(err.Error()+e.Message, want) {
			t.Errorf("no %q in err = %v", want, err)
		}
	}
}

// Guarantee: a master key in a variable is taken over only from an environment that was given, and
// variables that are not set there are named.
func TestGetenv(t *testing.T) {
	t.Parallel()
	const text = `general_settings:
  master_key: os.environ/MASTER
  pass_through_endpoints:
    - {path: /a, target: "https://t.example", auth: true, cost_per_request: 1, headers: {x-a: os.environ/SET, x-b: os.environ/UNSET}}
`
	env := map[string]string{"MASTER": "sk-a-master-key-of-some-length", "SET": "a value that must not appear"}
	p, err := litellm.Converter{Getenv: func(name string) string { return env[name] }}.Convert("config.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Keys) != 1 || p.Keys[0].Name != litellm.MasterKeyName || len(p.Keys[0].SHA256) != 32 {
		t.Errorf("keys = %+v", p.Keys)
	}
	out := string(show(t, p, nil))
	if strings.Contains(out, env["SET"]) || strings.Contains(out, env["MASTER"]) {
		t.Error("a value of the environment is in the plan")
	}
	if !strings.Contains(out, "UNSET is read on the edges, and is not set here") || strings.Contains(out, `SET is read on the edges, and is not set here", "x-a`) {
		t.Errorf("notes = %+v", p.Notes)
	}
}

// Guarantee: an amount keeps every digit from the file to the plan.
func TestAmountsAreExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		amount := money.Nanos(rapid.Int64Range(1, int64(registry.MaxPrice)).Draw(rt, "amount"))
		p, err := litellm.Convert("c", []byte("general_settings: {pass_through_endpoints: [{path: /a, target: 'https://t.example', cost_per_request: "+amount.String()+"}]}"))
		if err != nil {
			rt.Fatal(err)
		}
		m := p.Endpoints[0].GetPrice().GetFixed().GetPerRequest()
		got, err := money.FromParts(m.GetUnits(), m.GetNanos())
		if err != nil || got != amount {
			rt.Fatalf("%v became %v, %v", amount, got, err)
		}
	})
}

// Guarantee: a header's text reaches the target as it stands in the file, whatever it looks like to
// Tollgate's own references.
func TestHeaderTextIsKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("$${}:secretnv ab")), 0, 40, -1).Draw(rt, "text")
		quoted, err := json.Marshal(text)
		if err != nil {
			rt.Fatal(err)
		}
		p, err := litellm.Convert("c", []byte("general_settings: {pass_through_endpoints: [{path: /a, target: 'https://t.example', headers: {x-text: "+string(quoted)+"}}]}"))
		if err != nil {
			rt.Fatal(err)
		}
		value, err := headervalue.Parse(p.Endpoints[0].GetHeaders()[0].GetValue())
		if err != nil {
			rt.Fatal(err)
		}
		got, err := value.Resolve(func(headervalue.Ref) (string, error) { return "", errors.New("a reference where there is none") })
		if err != nil || got != text {
			rt.Fatalf("%q became %q, %v", text, got, err)
		}
	})
}

// Guarantee: a small file cannot take long or much memory by aliases that multiply.
func TestAliasesAreBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("a0: &a0 {k: v}\n")
	for i := 1; i < 12; i++ {
		prev, this := string(rune('a'+i-1)), string(rune('a'+i))
		if i == 1 {
			prev = "a0"
		}
		b.WriteString(this + ": &" + this + " {<<: [" + strings.TrimSuffix(strings.Repeat("*"+prev+", ", 12), ", ") + "]}\n")
	}
	b.WriteString("general_settings: *l\n")
	_, err := litellm.Convert("bomb.yaml", []byte(b.String()))
	if e := fault.From(err); e.Code != fault.InvalidArgument || !strings.Contains(e.Message, "aliases") {
		t.Errorf("err = %v", err)
	}
}

// Guarantee: no file makes the conversion panic, and whatever it accepts the control plane's schema
// accepts.
func FuzzConvert(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := litellm.Convert("fuzz.yaml", text)
		if err != nil {
			if e := fault.From(err); e.Code != fault.InvalidArgument {
				t.Errorf("err = %v", err)
			}
			return
		}
		sound(t, p)
	})
}

func headerValues(all []*controlv1.Header) []string {
	values := make([]string, len(all))
	for i, h := range all {
		values[i] = h.GetValue()
	}
	return values
}

func valid(t *testing.T, m proto.Message) {
	t.Helper()
	if err := protovalidate.Validate(m); err != nil {
		t.Errorf("%v", err)
	}
}
