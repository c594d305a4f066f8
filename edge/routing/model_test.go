package routing_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/edge/adapter"
	"tollgate/edge/breaker"
	"tollgate/edge/routing"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
)

// deployment is one at a vendor of Chat Completions.
func deployment(name, url string) *eventv1.RouteDeployment {
	return &eventv1.RouteDeployment{
		Name: name, Schemas: []controlv1.Schema{controlv1.Schema_SCHEMA_OPENAI_CHAT},
		Upstream: &eventv1.RouteEndpoint{Id: "mdl/" + name, Name: "m/" + name, Path: "/", RouteTargets: []*eventv1.RouteTarget{{Url: url, Weight: 3, Priority: 2}}},
	}
}

func modelNamed(name string, aliases ...string) *eventv1.RouteModel {
	return &eventv1.RouteModel{
		Id: "id of " + name, Name: name, Aliases: aliases, CreateUnix: 7,
		Deployments: []*eventv1.RouteDeployment{deployment("one", "https://one.example/v1")},
	}
}

func modelsEndpoint(change func(*eventv1.RouteModels)) *eventv1.RouteEndpoint {
	e := ep("/v1")
	e.Targets, e.Models = nil, &eventv1.RouteModels{}
	change(e.Models)
	return e
}

func compileModels(s *eventv1.RouteSnapshot) (*routing.Table, error) {
	return routing.Compile(s, v1, routing.Lookups{
		Secret: func(name string) (string, error) {
			if name == "gone" {
				return "", errors.New("no such secret")
			}
			return "s3cret", nil
		},
		Env: func(string) (string, bool) { return "", false },
	})
}

// Guarantee: a model arrives with all that its deployments are reached by and chosen with, and each part of it is in the list of
// those who follow it.
func TestModelCarriesEverything(t *testing.T) {
	t.Parallel()
	m := modelNamed("claude", "sonnet")
	two := deployment("two", "https://two.example")
	two.Schemas, two.Adapter, two.Model, two.Options = nil, "mine", "their-claude", &controlv1.VendorOptions{TopK: true}
	two.Upstream.Headers, two.Upstream.PriceNanos, two.Upstream.TimeoutMs = []*eventv1.RouteHeader{{Name: "x-api-key", Value: "${secret:a}"}}, 5, 9
	m.Deployments = append(m.Deployments, two)
	m.Balance, m.Retry = eventv1.BalancePolicy_BALANCE_POLICY_WEIGHTED, &eventv1.RetryPolicy{Statuses: []uint32{529}, AnyMethod: true}
	m.Hedge, m.Outlier, m.Breaker = &eventv1.HedgePolicy{AfterMs: 3}, &eventv1.OutlierPolicy{}, &eventv1.BreakerPolicy{MinAttempts: 77}
	serving := modelsEndpoint(func(in *eventv1.RouteModels) { in.DefaultModel = "sonnet" })
	table, err := compileModels(&eventv1.RouteSnapshot{
		Endpoints: []*eventv1.RouteEndpoint{ep("/plain"), serving}, Models: []*eventv1.RouteModel{modelNamed("zebra"), m},
		Accounts: []*eventv1.Account{account(1, "")},
		Adapters: []*eventv1.RouteAdapter{{Name: "mine", Upstream: &eventv1.RouteEndpoint{Id: "adp_1", Targets: []string{"http://adapter.example"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, wild, ok := table.Model("sonnet")
	if !ok || wild != "" || got.Name != "claude" || got.Created != 7 || got.ID != "id of claude" || got.Pattern() || len(got.Deployments) != 2 {
		t.Fatalf("sonnet = %+v, %q, %v", got, wild, ok)
	}
	if u := got.Upstream; u.ID != got.ID || u.Name != "model claude" || u.Balance != m.GetBalance() || u.Retry.Statuses[0] != 529 || u.Hedge.After != 3*time.Millisecond || u.Outlier == nil || u.Err != nil {
		t.Errorf("upstream = %+v", u)
	}
	for i, d := range got.Deployments {
		target := got.Upstream.Targets[i]
		if d.Options == nil || d.Upstream.Targets[0] != target || target.Weight != 3 || target.Breaker.MinEnded != 77 || target.BreakerKey == target.Name {
			t.Errorf("deployment %d: %+v, target %+v", i, d, target)
		}
		if len(d.Upstream.Accounts) > 0 {
			t.Errorf("deployment %d draws on %v, which is for the endpoint to say", i, d.Upstream.Accounts)
		}
	}
	one, second := got.Deployments[0], got.Deployments[1]
	if one.Name != "claude/one" || !slices.Equal(one.Schemas, []adapter.Schema{adapter.Chat}) || one.Adapter != nil || one.Vendor("sonnet", "") != "sonnet" || one.Upstream.Targets[0].Priority != 2 {
		t.Errorf("one = %+v", one)
	}
	if a := second.Adapter; a == nil || a.Name != "mine" || a.Timeout != 10*time.Second || a.MaxBytes != 16<<20 || a.Upstream.Name != "adapter mine" {
		t.Errorf("adapter = %+v", a)
	}
	if second.Vendor("sonnet", "") != "their-claude" || !second.Options.GetTopK() || second.Upstream.Headers[0].Value != "s3cret" || second.Upstream.Price != 5 || second.Upstream.Timeout != 9*time.Millisecond {
		t.Errorf("two = %+v", second)
	}
	e, rest, err := table.Match("POST", "/v1/messages")
	if err != nil || rest != "/messages" || e.Models == nil || len(e.Models.Schemas) != 3 || !e.Models.Speaks(adapter.Responses) || e.Models.Default != "sonnet" || len(e.Targets) != 0 || len(e.Accounts) != 1 {
		t.Errorf("endpoint = %+v, %v", e, err)
	}
	for _, tc := range []struct {
		list []*routing.Endpoint
		want []string
	}{
		{table.Upstreams(), []string{"/plain", "adapter mine", "model claude", "model zebra"}},
		{table.Destinations(), []string{"/plain", "adapter mine", "claude/one", "claude/two", "zebra/one"}},
	} {
		var names []string
		for _, e := range tc.list {
			names = append(names, e.Name)
		}
		if slices.Sort(names); !slices.Equal(names, tc.want) {
			t.Errorf("%q in place of %q", names, tc.want)
		}
	}
	if models := table.Models(); len(models) != 2 || models[0] != got || models[1].Upstream.Targets[0].Breaker != breaker.DefaultSettings() {
		t.Errorf("models = %+v", models)
	}
}

// Guarantee: a deployment that cannot be called here leaves the others to serve, and the model says why only when none is left.
func TestModelWithUnresolvedSecret(t *testing.T) {
	t.Parallel()
	locked := deployment("locked", "https://x.example")
	locked.Upstream.Headers = []*eventv1.RouteHeader{{Name: "authorization", Value: "Bearer ${secret:gone}"}}
	behind := deployment("behind", "https://y.example")
	behind.Adapter = "locked"
	both, none := modelNamed("both"), modelNamed("none")
	both.Deployments = append(both.Deployments, locked, behind)
	none.Deployments = []*eventv1.RouteDeployment{locked, behind}
	table, err := compileModels(&eventv1.RouteSnapshot{
		Endpoints: []*eventv1.RouteEndpoint{modelsEndpoint(func(m *eventv1.RouteModels) { m.Adapter = "locked" })},
		Models:    []*eventv1.RouteModel{both, none},
		Adapters:  []*eventv1.RouteAdapter{{Name: "locked", Upstream: &eventv1.RouteEndpoint{Id: "a", Targets: []string{"http://a.example"}, Headers: locked.GetUpstream().GetHeaders()}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	out := fault.New(fault.SecretUnresolved, "")
	m, _, _ := table.Model("both")
	if m.Upstream.Err != nil || m.Deployments[0].Err() != nil || !errors.Is(m.Deployments[1].Err(), out) || !errors.Is(m.Deployments[2].Err(), out) {
		t.Errorf("both: %v, %v, %v", m.Upstream.Err, m.Deployments[0].Err(), m.Deployments[1].Err())
	}
	if m, _, _ = table.Model("none"); !errors.Is(m.Upstream.Err, out) {
		t.Errorf("none: %v", m.Upstream.Err)
	}
	if e, _, _ := table.Match("POST", "/v1/anything"); e.Models.Adapter == nil || len(e.Models.Schemas) != 0 || !errors.Is(e.Err, out) {
		t.Errorf("endpoint: %+v", e)
	}
}

// Guarantee: what would leave open which model a name means, or how it is reached, is refused with its name.
func TestModelsThatAreRefused(t *testing.T) {
	t.Parallel()
	type parts struct {
		m *eventv1.RouteModel
		a *eventv1.RouteAdapter
		e *eventv1.RouteModels
	}
	for name, change := range map[string]func(p *parts){
		"no id":     func(p *parts) { p.m.Id = "" },
		"same id":   func(p *parts) { p.m.Id = "id of good" },
		"no name":   func(p *parts) { p.m.Name = "" },
		"same name": func(p *parts) { p.m.Name = "good" },
		"two stars": func(p *parts) { p.m.Name = "a*b*" },
		"alias is a name": func(p *parts) {
			p.m.Aliases = []string{"good"}
		},
		"alias is a pattern": func(p *parts) {
			p.m.Aliases = []string{"x*"}
		},
		"empty alias":   func(p *parts) { p.m.Aliases = []string{""} },
		"no deployment": func(p *parts) { p.m.Deployments = nil },
		"balance":       func(p *parts) { p.m.Balance = 99 },
		"breaker": func(p *parts) {
			p.m.Breaker = &eventv1.BreakerPolicy{FailPercent: 101}
		},
		"deployment name": func(p *parts) {
			p.m.Deployments[0].Name = ""
		},
		"schema": func(p *parts) {
			p.m.Deployments[0].Schemas[0] = 99
		},
		"no schema": func(p *parts) {
			p.m.Deployments[0].Schemas = nil
		},
		"unknown adapter": func(p *parts) {
			p.m.Deployments[0].Adapter = "x"
		},
		"no upstream": func(p *parts) {
			p.m.Deployments[0].Upstream = nil
		},
		"stars for the vendor": func(p *parts) {
			p.m.Deployments[0].Model = "**"
		},
		"two targets": func(p *parts) {
			p.m.Deployments[0].Upstream.RouteTargets = append(p.m.Deployments[0].GetUpstream().GetRouteTargets(), &eventv1.RouteTarget{Url: "http://b"})
		},
		"credentials": func(p *parts) {
			p.m.Deployments[0].Upstream.Credentials = []*eventv1.RouteCredential{{Name: "a"}}
		},
		"models below": func(p *parts) {
			p.m.Deployments[0].Upstream.Models = &eventv1.RouteModels{}
		},
		"deployment twice": func(p *parts) {
			p.m.Deployments = append(p.m.Deployments, deployment("one", "http://b"))
		},
		"many deployments": func(p *parts) {
			p.m.Deployments = slices.Repeat(p.m.GetDeployments(), 65)
		},
		"adapter name":     func(p *parts) { p.a.Name = "" },
		"adapter timeout":  func(p *parts) { p.a.TimeoutMs = -1 },
		"adapter size":     func(p *parts) { p.a.MaxBytes = -1 },
		"adapter upstream": func(p *parts) { p.a.Upstream = nil },
		"endpoint adapter": func(p *parts) { p.e.Adapter = "x" },
		"endpoint schema": func(p *parts) {
			p.e.Schemas = []controlv1.Schema{0}
		},
	} {
		p := &parts{m: modelNamed("bad"), a: &eventv1.RouteAdapter{Name: "bad", Upstream: &eventv1.RouteEndpoint{Id: "a", Targets: []string{"http://a"}}}}
		e := modelsEndpoint(func(in *eventv1.RouteModels) { p.e = in; change(p) })
		s := &eventv1.RouteSnapshot{Models: []*eventv1.RouteModel{modelNamed("good"), p.m}, Adapters: []*eventv1.RouteAdapter{p.a}, Endpoints: []*eventv1.RouteEndpoint{e}}
		if table, err := compileModels(s); err == nil {
			t.Errorf("%s: compiled to %+v", name, table.Models())
		}
	}
	both := modelsEndpoint(func(*eventv1.RouteModels) {})
	both.Targets = []string{"http://x"}
	if _, err := compileModels(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{both}}); err == nil {
		t.Error("an endpoint has models and targets")
	}
	twice := &eventv1.RouteAdapter{Name: "a", Upstream: &eventv1.RouteEndpoint{Id: "a", Targets: []string{"http://a"}}}
	if _, err := compileModels(&eventv1.RouteSnapshot{Adapters: []*eventv1.RouteAdapter{twice, twice}}); err == nil {
		t.Error("two adapters have one name")
	}
}

// Guarantee: for any names and any request, an exact name wins, then the pattern with the longest text before its "*"; what the
// "*" stood for, put back in its place, is what was asked for.
func TestModelNames(t *testing.T) {
	t.Parallel()
	text := rapid.StringOfN(rapid.SampledFrom([]rune("ab/")), 0, 4, -1)
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string {
			name := text.Draw(t, "before")
			if name == "" || rapid.Bool().Draw(t, "pattern") {
				name += "*" + text.Draw(t, "after")
			}
			return name
		}), 0, 6, rapid.ID).Draw(t, "names")
		s := &eventv1.RouteSnapshot{}
		for _, name := range names {
			m := modelNamed(name)
			m.Deployments[0].Model = "v/*"
			s.Models = append(s.Models, m)
		}
		table, err := compileModels(s)
		if err != nil {
			t.Fatal(err)
		}
		asked := text.Draw(t, "asked")
		want, longest, tail := "", -1, -1
		for _, name := range names {
			before, after, pattern := strings.Cut(name, "*")
			switch {
			case asked == "":
			case !pattern && name == asked:
				want, longest = name, 1000
			case pattern && len(asked) >= len(before)+len(after) && strings.HasPrefix(asked, before) && strings.HasSuffix(asked, after):
				if len(before) > longest || len(before) == longest && len(after) > tail {
					want, longest, tail = name, len(before), len(after)
				}
			}
		}
		m, wild, ok := table.Model(asked)
		if ok != (want != "") || ok && m.Name != want {
			t.Fatalf("%q of %q is %+v, not %q", asked, names, m, want)
		}
		if ok && m.Pattern() && strings.Replace(m.Name, "*", wild, 1) != asked {
			t.Fatalf("%q of %q: the star stands for %q", asked, m.Name, wild)
		}
		if ok && m.Deployments[0].Vendor(asked, wild) != "v/"+wild {
			t.Fatalf("vendor's name is %q", m.Deployments[0].Vendor(asked, wild))
		}
	})
}

// Guarantee: an alias of a pattern stands for itself where the vendor's name has a "*", and case matters.
func TestAliasOfAPattern(t *testing.T) {
	t.Parallel()
	m := modelNamed("openai/*", "best")
	m.Deployments[0].Model = "*"
	table, err := compileModels(&eventv1.RouteSnapshot{Models: []*eventv1.RouteModel{m}})
	if err != nil {
		t.Fatal(err)
	}
	got, wild, ok := table.Model("best")
	if !ok || got.Deployments[0].Vendor("best", wild) != "best" {
		t.Errorf("best: %+v, %q", got, wild)
	}
	if got, wild, _ = table.Model("openai/gpt"); got.Deployments[0].Vendor("openai/gpt", wild) != "gpt" {
		t.Errorf("openai/gpt: %q", wild)
	}
	if _, _, ok := table.Model("Best"); ok {
		t.Error("Best is no name of it")
	}
}
