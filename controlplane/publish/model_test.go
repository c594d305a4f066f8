package publish_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"tollgate/controlplane/pricebook"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

func (b *bundle) adapter(name, header string) registry.Adapter {
	b.t.Helper()
	a, err := b.store.CreateAdapter(b.t.Context(), "test", registry.Adapter{
		Name: name, Target: registry.Target{URL: "http://adapter:8080"}, Headers: []registry.Header{{Name: "x-token", Value: header}},
	}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func (b *bundle) model(m registry.Model) registry.Model {
	b.t.Helper()
	m, err := b.store.CreateModel(b.t.Context(), "test", m, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// filled fails for fields that none of the messages has.
func filled[M proto.Message](t *testing.T, all []M) {
	t.Helper()
	fields := all[0].ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); !has(all, f) {
			t.Errorf("nothing fills %s", f.FullName())
		}
	}
}

// Guarantee: every setting of models, of the adapters that something refers to, and of endpoints that serve models reaches
// edges as it was stored, with the secrets that they refer to and no others; a field of the snapshot that nothing fills
// fails this test.
func TestModelsArePublished(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	b.secret()
	ctx := t.Context()
	for _, name := range []string{"ours", "unused"} {
		if _, err := b.store.CreateSecret(ctx, "test", registry.Secret{Name: name}, func(id string) ([]byte, error) { return b.vault.Encrypt(id, "v") }, nil); err != nil {
			t.Fatal(err)
		}
	}
	used := b.adapter("used", "${secret:ours}")
	b.adapter("unused", "${secret:unused}")
	options := &controlv1.VendorOptions{Files: true}
	m := b.model(registry.Model{
		Name: "gpt-*", Aliases: []string{"a", "b"}, Balance: registry.BalanceLeastInFlight,
		Deployments: []registry.Deployment{
			{
				Name: "one", Target: registry.Target{URL: "https://a.example.com/v1", Weight: 3, Priority: 1}, Timeout: 7 * time.Second,
				Schemas: []registry.Schema{registry.SchemaChat, registry.SchemaResponses}, APIKey: "${secret:vendor}",
				Headers: []registry.Header{{Name: "x", Value: "1"}}, Query: []registry.Query{{Name: "v", Value: "2"}},
				Price: registry.Price{PerRequest: 5}, Options: &registry.VendorOptions{Message: options},
			},
			{Target: registry.Target{URL: "https://b.example.com"}, Schemas: []registry.Schema{registry.SchemaMessages}, APIKey: "${env:B}", Price: registry.Price{Free: true}},
			{Target: registry.Target{URL: "https://c.example.com"}, Adapter: "used", Price: registry.Price{Free: true}},
		},
		Resilience: registry.Resilience{
			Retry:   &registry.Retry{Attempts: 1, Statuses: []uint32{503}, AnyMethod: true, MaxBodyBytes: 2, BudgetPercent: 3, Backoff: 4 * time.Millisecond},
			Hedge:   &registry.Hedge{After: 5 * time.Millisecond, AnyMethod: true},
			Breaker: &registry.Breaker{MinAttempts: 6, FailPercent: 7, Window: 8 * time.Second, OpenFor: 9 * time.Second},
			Outlier: &registry.Outlier{Failures: 14, EjectFor: 15 * time.Second, MaxPercent: 16},
		},
	})
	m.Deployments[1].Model, m.Deployments[1].PriceVersion = "claude", 0
	m.Aliases = []string{"b"}
	m, err := b.store.UpdateModel(ctx, "test", m, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := b.store.CreateEndpoint(ctx, "test", registry.Endpoint{
		Name: "models", Path: "/v1", Models: &registry.Models{Schemas: []registry.Schema{registry.SchemaMessages}, Default: "gpt"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.CreateEndpoint(ctx, "test", registry.Endpoint{Name: "own", Path: "/own", Models: &registry.Models{Adapter: "used"}}, nil); err != nil {
		t.Fatal(err)
	}
	hash := contract.KeyHash([]byte("k"))
	if _, err := b.store.CreateKey(ctx, "test", store.Anywhere, store.NewKey{Key: registry.Key{Name: "k", Models: []string{"gpt-4*", "a"}}, Hash: hash}, nil); err != nil {
		t.Fatal(err)
	}
	b.current()
	routes, _ := read(b, "routes", &eventv1.RouteSnapshot{})
	upstream := func(name, url string, edit func(*eventv1.RouteEndpoint)) *eventv1.RouteEndpoint {
		out := &eventv1.RouteEndpoint{
			Id: m.ID + "/" + name, Name: "gpt-*/" + name, Path: "/", Methods: []string{"POST"}, Targets: []string{url},
			RouteTargets: []*eventv1.RouteTarget{{Url: url}}, PriceVersion: m.Revision - 1, Free: true,
		}
		edit(out)
		return out
	}
	want := &eventv1.RouteModel{
		Id: m.ID, Name: "gpt-*", Aliases: []string{"b"}, Balance: eventv1.BalancePolicy_BALANCE_POLICY_LEAST_IN_FLIGHT, CreateUnix: m.Created.Unix(),
		Deployments: []*eventv1.RouteDeployment{
			{
				Name: "one", Schemas: []controlv1.Schema{controlv1.Schema_SCHEMA_OPENAI_CHAT, controlv1.Schema_SCHEMA_OPENAI_RESPONSES}, Options: options,
				Upstream: upstream("one", "https://a.example.com/v1", func(u *eventv1.RouteEndpoint) {
					u.Free, u.PriceNanos, u.TimeoutMs = false, 5, 7000
					u.RouteTargets[0].Weight, u.RouteTargets[0].Priority = 3, 1
					u.Headers = []*eventv1.RouteHeader{{Name: "x", Value: "1"}, {Name: "Authorization", Value: "Bearer ${secret:vendor}"}}
					u.Query = []*eventv1.RouteQuery{{Name: "v", Value: "2"}}
				}),
			},
			{
				Name: "b.example.com", Schemas: []controlv1.Schema{controlv1.Schema_SCHEMA_ANTHROPIC_MESSAGES}, Model: "claude",
				Upstream: upstream("b.example.com", "https://b.example.com", func(u *eventv1.RouteEndpoint) {
					u.Headers = []*eventv1.RouteHeader{{Name: "x-api-key", Value: "${env:B}"}}
				}),
			},
			{Name: "c.example.com", Adapter: "used", Upstream: upstream("c.example.com", "https://c.example.com", func(*eventv1.RouteEndpoint) {})},
		},
		Retry:   &eventv1.RetryPolicy{Attempts: 1, Statuses: []uint32{503}, AnyMethod: true, MaxBodyBytes: 2, BudgetPercent: 3, BackoffMs: 4},
		Hedge:   &eventv1.HedgePolicy{AfterMs: 5, AnyMethod: true},
		Breaker: &eventv1.BreakerPolicy{MinAttempts: 6, FailPercent: 7, WindowMs: 8000, OpenMs: 9000},
		Outlier: &eventv1.OutlierPolicy{Failures: 14, EjectMs: 15_000, MaxPercent: 16},
	}
	if diff := cmp.Diff([]*eventv1.RouteModel{want}, routes.GetModels(), protocmp.Transform()); diff != "" {
		t.Errorf("models (-want +got):\n%s", diff)
	}
	adapter := &eventv1.RouteAdapter{
		Name: "used", TimeoutMs: 10_000, MaxBytes: 16 << 20, Upstream: &eventv1.RouteEndpoint{
			Id: used.ID, Name: "used", Path: "/", Methods: []string{"POST"}, Targets: []string{"http://adapter:8080"}, Free: true, TimeoutMs: 10_000,
			RouteTargets: []*eventv1.RouteTarget{{Url: "http://adapter:8080", Http: eventv1.TargetHttp_TARGET_HTTP_2}},
			Headers:      []*eventv1.RouteHeader{{Name: "x-token", Value: "${secret:ours}"}},
		},
	}
	if diff := cmp.Diff([]*eventv1.RouteAdapter{adapter}, routes.GetAdapters(), protocmp.Transform()); diff != "" {
		t.Errorf("adapters (-want +got):\n%s", diff)
	}
	served := &eventv1.RouteEndpoint{
		Id: e.ID, Name: "models", Path: "/v1", Forward: eventv1.ForwardMode_FORWARD_MODE_SAFE_LIST, PriceVersion: e.Revision, TimeoutMs: 600_000,
		Abandoned: eventv1.AbandonedPolicy_ABANDONED_POLICY_RESERVED,
		Models:    &eventv1.RouteModels{Schemas: []controlv1.Schema{controlv1.Schema_SCHEMA_ANTHROPIC_MESSAGES}, DefaultModel: "gpt"},
	}
	if diff := cmp.Diff(served, routes.GetEndpoints()[0], protocmp.Transform()); diff != "" {
		t.Errorf("endpoint (-want +got):\n%s", diff)
	}
	var secrets []string
	for _, s := range routes.GetSecrets() {
		secrets = append(secrets, s.GetName())
	}
	if !slices.Equal(secrets, []string{"ours", "vendor"}) {
		t.Errorf("secrets %v", secrets)
	}
	shard, _ := read(b, keysOf(hash), &eventv1.KeyShard{})
	if got := shard.GetKeys()[0].GetModels(); !slices.Equal(got, []string{"a", "gpt-4*"}) {
		t.Errorf("models of the key %v", got)
	}
	filled(t, routes.GetModels())
	filled(t, routes.GetModels()[0].GetDeployments())
	filled(t, routes.GetAdapters())
	filled(t, []*eventv1.RouteModels{routes.GetEndpoints()[0].GetModels(), routes.GetEndpoints()[1].GetModels()})
}

// Guarantee: a deployment's price has a new version when it, or a list of the book that it refers to, has changed, and only
// then; edges get the lists that deployments refer to.
func TestPricesOfDeployments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	ctx := t.Context()
	if err := b.store.SeedBook(ctx, &pricebook.Book{Rows: []pricebook.Row{{List: "openai", Price: modelPrice("gpt-4o", "2.5")}}}); err != nil {
		t.Fatal(err)
	}
	listed := registry.Price{Metered: &registry.Metered{Message: &controlv1.Metered{
		Unmatched: "refuse", Fallback: "0.05", Meters: []*controlv1.Meter{{
			Name: "chat", Book: "openai", Match: &controlv1.MeterMatch{Path: "^/v1/chat/completions$"}, Hold: &controlv1.MeterHold{Amount: "0.01"},
			Model:    []*controlv1.Source{{Place: &controlv1.Source_Frame{Frame: "model"}}},
			Counters: []*controlv1.Counter{{Name: "input", Sources: []*controlv1.Source{{Place: &controlv1.Source_Frame{Frame: "usage.input"}}}}},
			Units:    []*controlv1.Unit{{Name: "input"}},
		}},
	}}}
	of := func(name string, price registry.Price) registry.Deployment {
		return registry.Deployment{Name: name, Target: registry.Target{URL: "https://x.example.com"}, Schemas: []registry.Schema{registry.SchemaChat}, Price: price}
	}
	m := b.model(registry.Model{Name: "gpt", Deployments: []registry.Deployment{of("listed", listed), of("fixed", registry.Price{PerRequest: 1}), of("free", registry.Price{Free: true})}})
	b.model(registry.Model{Name: "other", Deployments: []registry.Deployment{of("free", registry.Price{Free: true})}})
	versions := func() (out map[string]int64, at int64) {
		t.Helper()
		b.current()
		routes, v := read(b, "routes", &eventv1.RouteSnapshot{})
		if len(routes.GetBook()) != 1 || routes.GetBook()[0].GetName() != "openai" {
			t.Errorf("book %v", routes.GetBook())
		}
		out = map[string]int64{}
		for _, m := range routes.GetModels() {
			for _, d := range m.GetDeployments() {
				out[m.GetName()+"/"+d.GetName()] = d.GetUpstream().GetPriceVersion()
			}
		}
		return out, v.Revision
	}
	want, _ := versions()
	expect := func(what string, changed ...string) {
		t.Helper()
		got, at := versions()
		for _, name := range changed {
			want[name] = at
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	update := func(edit func(*registry.Model)) {
		t.Helper()
		edit(&m)
		var err error
		if m, err = b.store.UpdateModel(ctx, "test", m, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	update(func(m *registry.Model) { m.Deployments[1].Price.PerRequest = 2 })
	expect("a price", "gpt/fixed")
	update(func(m *registry.Model) {
		slices.Reverse(m.Deployments)
		m.Deployments[0].Model = "x"
	})
	expect("order and a name")
	if _, err := b.store.SetModelPrice(ctx, "test", "openai", modelPrice("gpt-4*", "1"), nil); err != nil {
		t.Fatal(err)
	}
	expect("a row of the list", "gpt/listed")
	before, err := b.store.Model(ctx, "gpt")
	if err != nil || before.ETag() != m.ETag() {
		t.Errorf("a change of the book changes the model: %v", err)
	}
}
