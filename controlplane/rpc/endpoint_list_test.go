package rpc_test

import (
	"strings"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: endpoints are listed by each thing that their filter knows, and in each order.
func TestEndpointsAreFiltered(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.seed()
	free := plain("free")
	free.Description = "Costs NOTHING"
	b.create(free)
	for name, price := range map[string]*controlv1.Price{"usage": byUsage(), "meters": byMeters(), "reported": byTarget()} {
		e := plain(name)
		e.Price = price
		b.create(e)
	}
	open := plain("open")
	open.Access, open.Path, open.Disabled = public(60, 0), "/free_d", true
	b.create(open)
	models := plain("served")
	models.Targets, models.Price, models.Models = nil, nil, &controlv1.Models{DefaultModel: "gpt"}
	b.create(models)
	for _, c := range []struct{ filter, order, want string }{
		{"", "", "bria free meters open reported served usage"},
		{"", "-name", "usage served reported open meters free bria"},
		{"", "path", "bria free open meters reported served usage"},
		{"", "create_time", "bria free"},
		{"nothing", "", "free"},
		{"path:/free", "", "free open"},
		{"path:/free_", "", "open"},
		{"target:bria-api", "", "bria"},
		{"price:fixed", "", "bria"},
		{"price:free -public:yes", "", "free"},
		{"price:usage,meters,reported", "", "meters reported usage"},
		{"price:models", "", "served"},
		{"public:yes", "", "open"},
		{"disabled:yes", "", "open"},
		{"model:gpt", "", "served"},
		{"model:any", "", "served"},
		{"model:other", "", ""},
		{"secret:bria", "", "bria"},
		{"managed:yes", "", ""},
	} {
		all := must[*controlv1.ListEndpointsResponse](t)(b.endpoints.ListEndpoints(ctx, &controlv1.ListEndpointsRequest{Filter: c.filter, OrderBy: c.order})).GetEndpoints()
		var names []string
		for _, e := range all {
			names = append(names, e.GetName())
		}
		if got := strings.Join(names, " "); got != c.want && (c.order != "create_time" || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%q by %q: %s, want %s", c.filter, c.order, got, c.want)
		}
	}
	for _, bad := range []*controlv1.ListEndpointsRequest{{Filter: "colour:red"}, {OrderBy: "size"}} {
		if _, err := b.endpoints.ListEndpoints(ctx, bad); len(failureOf(err).Violations) != 1 {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// Guarantee: models and adapters are listed by what their filters know.
func TestModelsAndAdaptersAreFiltered(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.secretsOf("bria")
	b.adapter("mine")
	b.adapter("idle")
	b.model(&controlv1.Model{Name: "GPT", Aliases: []string{"best"}, Deployments: []*controlv1.Deployment{{
		Name: "d", Target: &controlv1.Target{Url: "https://api.example.com/v1"}, Adapter: "mine", ApiKey: "${secret:bria}", Price: plain("x").GetPrice(),
	}}})
	for filter, want := range map[string]int{"": 1, "gpt": 1, "alias:best": 1, "alias:GPT": 0, "target:api.example": 1, "secret:bria": 1, "secret:x": 0, "managed:yes": 0} {
		if got := must[*controlv1.ListModelsResponse](t)(b.models.ListModels(ctx, &controlv1.ListModelsRequest{Filter: filter})).GetModels(); len(got) != want {
			t.Errorf("models by %q: %d, want %d", filter, len(got), want)
		}
	}
	for filter, want := range map[string]int{"": 2, "used:yes": 1, "used:no": 1, "target:8080": 2, "idle": 1, "managed:no": 2} {
		if got := must[*controlv1.ListAdaptersResponse](t)(b.adapters.ListAdapters(ctx, &controlv1.ListAdaptersRequest{Filter: filter})).GetAdapters(); len(got) != want {
			t.Errorf("adapters by %q: %d, want %d", filter, len(got), want)
		}
	}
}
