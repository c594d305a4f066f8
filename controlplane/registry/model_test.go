package registry_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/id"
)

// goodModel is a model that uses all settings, and breaks no rule.
func goodModel() registry.Model {
	return registry.Model{
		ID: "mdl_1", Name: "gpt-*", Balance: registry.BalanceWeighted,
		Deployments: []registry.Deployment{
			{
				Name: "one", Target: registry.Target{URL: "https://api.openai.com/v1", Weight: 3},
				Schemas: []registry.Schema{registry.SchemaResponses, registry.SchemaChat}, Model: "openai/gpt-*", APIKey: "os.environ/OPENAI_API_KEY",
				Headers: []registry.Header{{Name: "openai-project", Value: "${secret:bria}"}}, Query: []registry.Query{{Name: "api-version", Value: "1"}},
				Price: registry.Price{PerRequest: 5}, Timeout: time.Minute,
				Options: &registry.VendorOptions{Message: &controlv1.VendorOptions{Files: true}},
			},
			{Target: registry.Target{URL: "https://API.Anthropic.com", Priority: 1}, Schemas: []registry.Schema{registry.SchemaMessages}, APIKey: "${secret:bria}", Price: registry.Price{Free: true}},
			{Target: registry.Target{URL: "https://vendor.example.com"}, Adapter: "mine", Price: registry.Price{Free: true}},
		},
	}
}

func modelFacts() registry.ModelFacts {
	return registry.ModelFacts{
		Secrets: []string{"bria"}, Adapters: []string{"mine"}, Taken: map[string]string{"taken": "taken", "other": "taken"},
	}
}

// Guarantee: each rule of models and their deployments finds what it is for, under the right field, and nothing else is
// found.
func TestModelRules(t *testing.T) {
	t.Parallel()
	check := func(m *registry.Model, p *registry.Problems) {
		m.Normalize()
		m.Check(p, modelFacts())
	}
	first := func(edit func(*registry.Deployment)) func(*registry.Model) {
		return func(m *registry.Model) { edit(&m.Deployments[0]) }
	}
	checkRules(t, goodModel, check, []rule[registry.Model]{
		{"good", func(*registry.Model) {}, nil},
		{"a name of a vendor's kind", func(m *registry.Model) { m.Name = "@cf/meta/llama-3:8b*" }, nil},
		{"aliases", func(m *registry.Model) { m.Aliases, m.Deployments[0].Model = []string{"a", "b"}, "" }, nil},
		{"no name", func(m *registry.Model) { m.Name, m.Deployments[0].Model = "", "" }, []string{"name:required"}},
		{"name with a quote", func(m *registry.Model) { m.Name = `a"*` }, []string{"name:invalid"}},
		{"name that ends in a space", func(m *registry.Model) { m.Name = "a* " }, []string{"name:invalid"}},
		{"name of two stars", func(m *registry.Model) { m.Name = "a*b*" }, []string{"name:invalid"}},
		{"name like an id", func(m *registry.Model) { m.Name, m.Deployments[0].Model = id.New(id.Model), "" }, []string{"name:reserved"}},
		{"name of another", func(m *registry.Model) { m.Name, m.Deployments[0].Model = "taken", "" }, []string{"name:taken"}},
		{"alias of another", func(m *registry.Model) { m.Name, m.Deployments[0].Model = "other", "" }, []string{"name:taken"}},
		{"alias with a star", func(m *registry.Model) { m.Aliases, m.Deployments[0].Model = []string{"a*"}, "" }, []string{"aliases:forbidden"}},
		{"alias twice", func(m *registry.Model) { m.Aliases, m.Deployments[0].Model = []string{"a", "a"}, "" }, []string{"aliases:duplicate"}},
		{"alias that is the name", func(m *registry.Model) { m.Name, m.Aliases, m.Deployments[0].Model = "a", []string{"a"}, "" }, []string{"aliases:duplicate"}},
		{"alias that is taken", func(m *registry.Model) { m.Aliases, m.Deployments[0].Model = []string{"taken"}, "" }, []string{"aliases:taken"}},
		{"too many aliases", func(m *registry.Model) {
			for i := range 65 {
				m.Aliases = append(m.Aliases, strings.Repeat("a", i+1))
			}
			m.Deployments[0].Model = ""
		}, []string{"aliases:out_of_range"}},
		{"no deployments", func(m *registry.Model) { m.Deployments = nil }, []string{"deployments:out_of_range"}},
		{"17 deployments", func(m *registry.Model) {
			m.Deployments = slices.Repeat(m.Deployments[1:2], 17)
		}, []string{"deployments:out_of_range"}},
		{"16 deployments of one vendor", func(m *registry.Model) { m.Deployments = slices.Repeat(m.Deployments[1:2], 16) }, nil},
		{"one name twice", func(m *registry.Model) { m.Deployments[1].Name = "one" }, []string{"deployments[1].name:duplicate"}},
		{"name in capitals", first(func(d *registry.Deployment) { d.Name = "One" }), []string{"deployments[0].name:invalid"}},
		{"no URL", first(func(d *registry.Deployment) { d.Target.URL = "" }), []string{"deployments[0].target.url:target_required"}},
		{"metadata", first(func(d *registry.Deployment) { d.Target.URL = "http://169.254.169.254" }), []string{"deployments[0].target.url:target_metadata"}},
		{"TLS over http", first(func(d *registry.Deployment) {
			d.Target.URL, d.Target.TLS = "http://x.example.com", &registry.TLS{}
		}), []string{"deployments[0].target.tls:forbidden"}},
		{"weight for failover", func(m *registry.Model) { m.Balance = 0 }, []string{"deployments[0].target.weight:forbidden", "deployments[1].target.priority:forbidden"}},
		{"unknown balance", func(m *registry.Model) { m.Balance = 9 }, []string{"balance:invalid"}},
		{"no language", first(func(d *registry.Deployment) { d.Schemas = nil }), []string{"deployments[0].schemas:required"}},
		{"responses alone", first(func(d *registry.Deployment) { d.Schemas = d.Schemas[:1] }), []string{"deployments[0].schemas:forbidden"}},
		{"unknown language", first(func(d *registry.Deployment) { d.Schemas = []registry.Schema{1, 9} }), []string{"deployments[0].schemas:invalid"}},
		{"a language twice", first(func(d *registry.Deployment) { d.Schemas = []registry.Schema{1, 1} }), []string{"deployments[0].schemas:duplicate"}},
		{"languages and adapter", first(func(d *registry.Deployment) { d.Adapter = "mine" }), []string{"deployments[0].adapter:forbidden"}},
		{"adapter that is not there", func(m *registry.Model) { m.Deployments[2].Adapter = "gone" }, []string{"deployments[2].adapter:unknown"}},
		{"star without a star", func(m *registry.Model) { m.Name = "gpt" }, []string{"deployments[0].model:forbidden"}},
		{"star and aliases", func(m *registry.Model) { m.Aliases = []string{"a"} }, []string{"deployments[0].model:forbidden"}},
		{"two stars", first(func(d *registry.Deployment) { d.Model = "**" }), []string{"deployments[0].model:invalid"}},
		{"vendor's name with a line end", first(func(d *registry.Deployment) { d.Model = "a\nb" }), []string{"deployments[0].model:invalid"}},
		{"key in plain sight", first(func(d *registry.Deployment) { d.APIKey = "sk-123" }), []string{"deployments[0].api_key:forbidden"}},
		{"key and more", first(func(d *registry.Deployment) { d.APIKey = "Bearer ${secret:bria}" }), []string{"deployments[0].api_key:forbidden"}},
		{"secret that is not there", first(func(d *registry.Deployment) { d.APIKey = "${secret:gone}" }), []string{"deployments[0].api_key:secret_missing"}},
		{"key beside its header", first(func(d *registry.Deployment) {
			d.Headers = []registry.Header{{Name: "authorization", Value: "x"}}
		}), []string{"deployments[0].api_key:duplicate"}},
		{"key of Anthropic beside its header", func(m *registry.Model) {
			m.Deployments[1].Headers = []registry.Header{{Name: "X-Api-Key", Value: "x"}}
		}, []string{"deployments[1].api_key:duplicate"}},
		{"another vendor's header", func(m *registry.Model) {
			m.Deployments[1].Headers = []registry.Header{{Name: "authorization", Value: "x"}}
		}, nil},
		{"host header", first(func(d *registry.Deployment) { d.Headers[0].Name = "Host" }), []string{"deployments[0].headers[0].name:header_host"}},
		{"secret of a header", first(func(d *registry.Deployment) { d.Headers[0].Value = "${secret:gone}" }), []string{"deployments[0].headers[0].value:secret_missing"}},
		{"parameter without a name", first(func(d *registry.Deployment) { d.Query[0].Name = "" }), []string{"deployments[0].query[0].name:required"}},
		{"negative price", first(func(d *registry.Deployment) { d.Price.PerRequest = -1 }), []string{"deployments[0].price.fixed.per_request:price_negative"}},
		{"price of other methods", first(func(d *registry.Deployment) {
			d.Price.Charge = &registry.Charge{Message: &controlv1.Charge{Methods: []string{"GET"}}}
		}), []string{"deployments[0].price.fixed.charge.methods:forbidden"}},
		{"price without meters", first(func(d *registry.Deployment) {
			d.Price = registry.Price{Metered: &registry.Metered{Message: &controlv1.Metered{Unmatched: "refuse", Fallback: "0"}}}
		}), []string{"deployments[0].price.metered.meters:invalid"}},
		{"two hours", first(func(d *registry.Deployment) { d.Timeout = 2 * time.Hour }), []string{"deployments[0].timeout:out_of_range"}},
		{"negative tokens", first(func(d *registry.Deployment) { d.Options.Message = &controlv1.VendorOptions{DefaultMaxTokens: -1} }), []string{"deployments[0].options.default_max_tokens:out_of_range"}},
		{"six retries", func(m *registry.Model) { m.Retry = &registry.Retry{Attempts: 6} }, []string{"retry.attempts:out_of_range"}},
		{"hedge after the end", func(m *registry.Model) { m.Hedge = &registry.Hedge{After: 2 * time.Minute} }, []string{"hedge.after:out_of_range"}},
		{"ejection of the only one", func(m *registry.Model) {
			m.Deployments, m.Outlier = m.Deployments[:1], &registry.Outlier{}
		}, []string{"outlier_ejection:forbidden"}},
	})
}

// Guarantee: deployments without a name are named after their hosts, each differently, and a name that was given stays; of
// several deployments, requests that one had no room for are sent to another, which is written down.
func TestModelDefaults(t *testing.T) {
	t.Parallel()
	m := goodModel()
	m.Deployments = append(m.Deployments,
		registry.Deployment{Target: registry.Target{URL: "https://api.anthropic.com/v1"}},
		registry.Deployment{Target: registry.Target{URL: "http://[::1]:8000"}},
		registry.Deployment{Target: registry.Target{URL: "://"}},
		registry.Deployment{Target: registry.Target{URL: "https://" + strings.Repeat("a", 80) + ".example"}},
		registry.Deployment{Target: registry.Target{URL: "https://" + strings.Repeat("a", 80) + ".example"}},
	)
	given := m.Deployments
	m.Normalize()
	var names []string
	for _, d := range m.Deployments {
		names = append(names, d.Name)
	}
	long := strings.Repeat("a", 58)
	want := []string{"one", "api.anthropic.com", "vendor.example.com", "api.anthropic.com-2", "1", "deployment", long, long + "-2"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if given[1].Name != "" || given[0].APIKey != "os.environ/OPENAI_API_KEY" {
		t.Error("what was handed in was changed")
	}
	retry := &registry.Retry{Attempts: 5, Statuses: []uint32{429, 503, 529}, AnyMethod: true, BudgetPercent: 100}
	if diff := cmp.Diff(retry, m.Retry); diff != "" {
		t.Errorf("retry (-want +got):\n%s", diff)
	}
	one := goodModel()
	one.Deployments = one.Deployments[:1]
	if one.Normalize(); one.Retry != nil {
		t.Errorf("one deployment is tried again: %+v", one.Retry)
	}
	if got := one.Deployments[0].APIKey; got != "${env:OPENAI_API_KEY}" {
		t.Errorf("key %s", got)
	}
}

// Guarantee: whatever their hosts are, deployments without a name get names that are valid, and no two of a model get the same.
func TestAnyHostMakesAName(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts := rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z0-9._:-]{0,80}`), rapid.SampledFrom([]string{"a.b", "A.B", "a-b"})), 1, 16).Draw(t, "hosts")
		m := registry.Model{Name: "m"}
		for _, h := range hosts {
			m.Deployments = append(m.Deployments, registry.Deployment{
				Target: registry.Target{URL: "https://" + h}, Schemas: []registry.Schema{registry.SchemaChat}, Price: registry.Price{Free: true},
			})
		}
		m.Normalize()
		p := registry.NewProblems("")
		m.Check(p, registry.ModelFacts{})
		for i := range m.Deployments {
			if field := fmt.Sprintf("deployments[%d].name", i); p.Has(field) {
				t.Fatalf("%q: %v", m.Deployments[i].Name, p.Err("it"))
			}
		}
	})
}

// Guarantee: a deployment's credential is sent where its vendor looks for it, and everything that it refers to is known.
func TestUpstreamOfDeployment(t *testing.T) {
	t.Parallel()
	m := goodModel()
	m.Normalize()
	want := [][]registry.Header{
		{{Name: "openai-project", Value: "${secret:bria}", Mode: registry.ModeSet}, {Name: "Authorization", Value: "Bearer ${env:OPENAI_API_KEY}", Mode: registry.ModeSet}},
		{{Name: "x-api-key", Value: "${secret:bria}", Mode: registry.ModeSet}},
		nil,
	}
	for i := range m.Deployments {
		e := m.Upstream(i)
		if diff := cmp.Diff(want[i], e.Headers); diff != "" {
			t.Errorf("headers of %s (-want +got):\n%s", e.Name, diff)
		}
		if e.ID != "mdl_1/"+m.Deployments[i].Name || e.Name != "gpt-*/"+m.Deployments[i].Name || e.Path != "/" || len(e.Targets) != 1 {
			t.Errorf("upstream %+v", e)
		}
	}
	if got := m.SecretRefs(); !slices.Equal(got, []string{"bria"}) {
		t.Errorf("secrets %v", got)
	}
	if got := m.AdapterRefs(); !slices.Equal(got, []string{"mine"}) {
		t.Errorf("adapters %v", got)
	}
	m.Deployments[0].Target.URL, m.Deployments[1].Target.URL = "http://api.example.com", "http://10.0.0.7"
	m.Deployments[2].Target.TLS = &registry.TLS{SkipVerify: true}
	var got []string
	for _, w := range m.Warnings() {
		got = append(got, w.Field+":"+w.Code)
	}
	if want := []string{"deployments[0].target.url:target_plain", "deployments[1].target.url:target_private", "deployments[2].target.tls.skip_verify:tls_not_verified"}; !slices.Equal(got, want) {
		t.Errorf("warnings %v, want %v", got, want)
	}
}

// Guarantee: an endpoint that serves models has none of the settings that their deployments have, and its own are checked.
func TestServingRules(t *testing.T) {
	t.Parallel()
	serving := func() registry.Endpoint {
		return registry.Endpoint{Name: "models", Path: "/v1", Models: &registry.Models{}, Timeout: time.Minute}
	}
	check := func(e *registry.Endpoint, p *registry.Problems) {
		e.Normalize()
		e.Check(p, registry.EndpointFacts{Adapter: e.Models.Adapter == "mine", Secrets: []string{"bria"}})
	}
	checkRules(t, serving, check, []rule[registry.Endpoint]{
		{"good", func(*registry.Endpoint) {}, nil},
		{"languages and default", func(e *registry.Endpoint) { e.Models.Schemas, e.Models.Default = []registry.Schema{3, 1}, "gpt" }, nil},
		{"what goes along", func(e *registry.Endpoint) { e.Forward, e.PassHeaders, e.KeyHeader = registry.ForwardAll, true, "x-key" }, nil},
		{"adapter", func(e *registry.Endpoint) { e.Models.Adapter, e.Exact, e.Path = "mine", true, "/anything" }, nil},
		{"exact", func(e *registry.Endpoint) { e.Exact, e.Path = true, "/v1/messages" }, nil},
		{"exact that ends in nothing", func(e *registry.Endpoint) { e.Exact, e.Path = true, "/v1/chat" }, []string{"path:invalid"}},
		{"adapter that is not there", func(e *registry.Endpoint) { e.Models.Adapter = "gone" }, []string{"models.adapter:unknown"}},
		{"adapter and languages", func(e *registry.Endpoint) { e.Models.Adapter, e.Models.Schemas = "mine", []registry.Schema{1} }, []string{"models.adapter:forbidden"}},
		{"unknown language", func(e *registry.Endpoint) { e.Models.Schemas = []registry.Schema{9} }, []string{"models.schemas:invalid"}},
		{"default with a star", func(e *registry.Endpoint) { e.Models.Default = "gpt-*" }, []string{"models.default_model:invalid"}},
		{"targets", func(e *registry.Endpoint) { e.Targets = []registry.Target{{URL: "https://x.example.com"}} }, []string{"targets:forbidden"}},
		{"everything else", func(e *registry.Endpoint) {
			e.Balance, e.CredentialBalance = registry.BalanceWeighted, registry.BalanceWeighted
			e.Headers, e.Query, e.Host = []registry.Header{{Name: "a", Value: "1"}}, []registry.Query{{Name: "a", Value: "1"}}, registry.Host{Kind: registry.HostCaller}
			e.Credentials = []registry.Credential{{Name: "c", Headers: []registry.Header{{Name: "b", Value: "${secret:bria}"}}}}
			e.AWS = signing()
			e.Retry, e.Hedge, e.Breaker = &registry.Retry{Attempts: 1}, &registry.Hedge{After: time.Second}, &registry.Breaker{}
			e.Health, e.Outlier = &registry.Health{Path: "/h"}, &registry.Outlier{}
		}, []string{
			"balance:forbidden", "headers:forbidden", "query:forbidden", "host_header:forbidden", "credentials:forbidden", "credential_balance:forbidden",
			"aws_signing:forbidden", "retry:forbidden", "hedge:forbidden", "breaker:forbidden",
			"health_check:forbidden", "outlier_ejection:forbidden",
		}},
	})
	e := serving()
	e.Models.Default, e.Models.DefaultUnknown = "gone", true
	if w := e.Warnings(); len(w) != 1 || w[0].Code != registry.WarnDefault {
		t.Errorf("warnings %v", w)
	}
}

// Guarantee: each rule of adapters finds what it is for, and what is left out is filled in.
func TestAdapterRules(t *testing.T) {
	t.Parallel()
	mine := func() registry.Adapter {
		return registry.Adapter{
			Name: "mine", Target: registry.Target{URL: "http://adapter:8080/base"},
			Headers: []registry.Header{{Name: "authorization", Value: "Bearer os.environ/TOKEN"}},
		}
	}
	check := func(a *registry.Adapter, p *registry.Problems) {
		a.Normalize()
		a.Check(p, registry.AdapterFacts{NameTaken: a.Name == "taken", Secrets: []string{"bria"}})
	}
	checkRules(t, mine, check, []rule[registry.Adapter]{
		{"good", func(*registry.Adapter) {}, nil},
		{"no name", func(a *registry.Adapter) { a.Name = "" }, []string{"name:required"}},
		{"name like an id", func(a *registry.Adapter) { a.Name = id.New(id.Adapter) }, []string{"name:invalid"}},
		{"name of another", func(a *registry.Adapter) { a.Name = "taken" }, []string{"name:taken"}},
		{"no URL", func(a *registry.Adapter) { a.Target.URL = "" }, []string{"target.url:target_required"}},
		{"URL with a query", func(a *registry.Adapter) { a.Target.URL += "?a=1" }, []string{"target.url:invalid"}},
		{"HTTP/1.1", func(a *registry.Adapter) { a.Target.HTTP = registry.HTTP1 }, []string{"target.http_version:forbidden"}},
		{"a weight", func(a *registry.Adapter) { a.Target.Weight = 2 }, []string{"target.weight:forbidden"}},
		{"secret that is not there", func(a *registry.Adapter) { a.Headers[0].Value = "${secret:gone}" }, []string{"headers[0].value:secret_missing"}},
		{"six minutes", func(a *registry.Adapter) { a.Timeout = 6 * time.Minute }, []string{"timeout:out_of_range"}},
		{"a gibibyte", func(a *registry.Adapter) { a.MaxBytes = 1 << 30 }, []string{"max_bytes:out_of_range"}},
	})
	a := mine()
	a.Normalize()
	if a.Timeout != 10*time.Second || a.MaxBytes != 16<<20 || a.Target.HTTP != registry.HTTP2 || a.Headers[0].Value != "Bearer ${env:TOKEN}" {
		t.Errorf("defaults %+v", a)
	}
}

// Guarantee: patterns of the models of a key name models, each once, at most a thousand.
func TestKeyModels(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		patterns []string
		want     []string
	}{
		"good":       {[]string{"gpt-*", "*", "claude-*-4*", "a/b:c"}, nil},
		"empty name": {[]string{""}, []string{"models:invalid"}},
		"a quote":    {[]string{`"`}, []string{"models:invalid"}},
		"twice":      {[]string{"a", "a"}, []string{"models:duplicate"}},
	} {
		p := registry.NewProblems("")
		registry.CheckModels(p, registry.NormalizeModels(c.patterns))
		if diff := cmp.Diff(c.want, found(t, p)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
