package rpc_test

import (
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"tollgate/controlplane/templates"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/pki"
)

func ofChat(name string) *controlv1.Model {
	return &controlv1.Model{Name: name, Deployments: []*controlv1.Deployment{{
		Target:  &controlv1.Target{Url: "https://api.openai.com/v1"},
		Schemas: []controlv1.Schema{controlv1.Schema_SCHEMA_OPENAI_CHAT}, ApiKey: "${secret:bria}", Price: byMeters(),
	}}}
}

func (b *bundle) model(m *controlv1.Model) *controlv1.Model {
	b.t.Helper()
	return must[*controlv1.CreateModelResponse](b.t)(b.models.CreateModel(b.t.Context(), &controlv1.CreateModelRequest{Model: m})).GetModel()
}

func (b *bundle) adapter(name string) *controlv1.Adapter {
	b.t.Helper()
	return must[*controlv1.CreateAdapterResponse](b.t)(b.adapters.CreateAdapter(b.t.Context(), &controlv1.CreateAdapterRequest{Adapter: &controlv1.Adapter{
		Name: name, Target: &controlv1.Target{Url: "http://adapter:8080"},
	}})).GetAdapter()
}

// everyModel are models that together have every setting, in the form in which a server answers with them.
func everyModel(t *testing.T) []*controlv1.Model {
	t.Helper()
	authority := pki.New(t)
	client := authority.Issue(t, []string{"client.example.com"})
	options := &controlv1.VendorOptions{}
	if err := protojson.Unmarshal([]byte(`{"maxTokensField": 2, "developerRole": true, "stringContent": true, "files": true, "thinking": 1,
		"reasoningContent": true, "prefill": true, "topK": true, "maxStopSequences": -1, "noStreamUsage": true, "safetyIdentifier": true,
		"cacheBreakpoints": true, "webSearch": true, "defaultMaxTokens": 7, "countTokens": 4, "extraFields": 2, "jsonObjectAsSchema": true}`), options); err != nil {
		t.Fatal(err)
	}
	all := &controlv1.Model{
		Name: "all-models", Aliases: []string{"a", "vendor/b:1"}, Balance: controlv1.Balance_BALANCE_WEIGHTED,
		Deployments: []*controlv1.Deployment{
			{
				Name: "first", Target: &controlv1.Target{
					Url: "https://a.example.com/v1", Weight: 3, Priority: 1, HttpVersion: controlv1.HttpVersion_HTTP_VERSION_2,
					Tls: &controlv1.TargetTLS{
						CaPem: string(authority.PEM), ClientCertPem: string(client.Cert), ClientKey: "${secret:client}",
						ServerName: "b.example.com", MinVersion: controlv1.TlsVersion_TLS_VERSION_1_3, SkipVerify: true,
					},
				},
				Schemas: []controlv1.Schema{controlv1.Schema_SCHEMA_OPENAI_CHAT, controlv1.Schema_SCHEMA_OPENAI_RESPONSES}, Model: "gpt-4o",
				ApiKey:  "${secret:bria}",
				Headers: []*controlv1.Header{{Name: "openai-project", Value: "p", Mode: controlv1.Mode_MODE_SET}},
				Query:   []*controlv1.QueryParameter{{Name: "api-version", Value: "1", Mode: controlv1.Mode_MODE_DEFAULT}},
				Price:   byMeters(), Timeout: seconds(30), Options: options,
			},
			{Name: "second", Target: &controlv1.Target{Url: "https://b.example.com"}, Adapter: "mine", Price: byTarget()},
			{Name: "third", Target: &controlv1.Target{Url: "http://c.example.com"}, Schemas: []controlv1.Schema{controlv1.Schema_SCHEMA_ANTHROPIC_MESSAGES}, ApiKey: "${env:C}", Price: byUsage()},
			{Name: "fourth", Target: &controlv1.Target{Url: "https://d.example.com"}, Adapter: "mine", Price: fixed(usd(1, 0))},
			{
				Name: "fifth", Target: &controlv1.Target{Url: "https://d.example.com"}, Adapter: "mine",
				Price: &controlv1.Price{Kind: &controlv1.Price_Free_{Free: &controlv1.Price_Free{}}},
			},
		},
		Retry:           &controlv1.Retry{Attempts: 2, Statuses: []uint32{503}, AnyMethod: true, MaxBodyBytes: 9, BudgetPercent: 10, Backoff: seconds(1)},
		Hedge:           &controlv1.Hedge{After: seconds(2), AnyMethod: true},
		Breaker:         &controlv1.Breaker{MinAttempts: 7, FailPercent: 60, Window: seconds(20), OpenFor: seconds(3)},
		OutlierEjection: &controlv1.OutlierEjection{Failures: 6, EjectFor: seconds(40), MaxPercent: 30},
	}
	all.Deployments[3].Price.GetFixed().Charge = charge()
	wild := ofChat("wild/*")
	wild.Balance, wild.Deployments[0].Name, wild.Deployments[0].Model = controlv1.Balance_BALANCE_FAILOVER, "api.openai.com", "*"
	return []*controlv1.Model{all, wild}
}

// Guarantee: every field of a model survives being stored, read by id, name and alias, listed, and written back as it was
// read, which is no change; a new field that is forgotten anywhere on the way fails this test.
func TestEveryFieldOfModelsSurvives(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.secretsOf("bria", "client")
	b.adapter("mine")
	models := everyModel(t)
	answers := make([]*controlv1.Model, 0, len(models))
	for _, want := range models {
		b.dirty()
		got := b.model(want)
		answers = append(answers, got)
		if diff := cmp.Diff(want, got, protocmp.Transform(),
			protocmp.IgnoreFields(want, "id", "etag", "revision", "create_time", "update_time", "warnings")); diff != "" {
			t.Errorf("%s, created (-want +got):\n%s", want.GetName(), diff)
		}
		if dirty := b.dirty(); !slices.Equal(dirty, []string{"head", "routes"}) {
			t.Errorf("%s: dirty %v", want.GetName(), dirty)
		}
		for _, ref := range append([]string{got.GetId(), got.GetName()}, got.GetAliases()...) {
			read := must[*controlv1.GetModelResponse](t)(b.models.GetModel(ctx, &controlv1.GetModelRequest{Model: ref})).GetModel()
			if diff := cmp.Diff(got, read, protocmp.Transform()); diff != "" {
				t.Errorf("%s, read (-created +read):\n%s", ref, diff)
			}
		}
		written := must[*controlv1.UpdateModelResponse](t)(b.models.UpdateModel(ctx, &controlv1.UpdateModelRequest{Model: got})).GetModel()
		if diff := cmp.Diff(got, written, protocmp.Transform()); diff != "" {
			t.Errorf("%s, written back (-created +written):\n%s", want.GetName(), diff)
		}
		if dirty := b.dirty(); len(dirty) != 0 {
			t.Errorf("%s, written back: dirty %v", want.GetName(), dirty)
		}
	}
	var listed []*controlv1.Model
	for token := ""; ; {
		page := must[*controlv1.ListModelsResponse](t)(b.models.ListModels(ctx, &controlv1.ListModelsRequest{PageSize: 1, PageToken: token}))
		listed = append(listed, page.GetModels()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if diff := cmp.Diff(answers, listed, protocmp.Transform()); diff != "" {
		t.Errorf("listed (-created +listed):\n%s", diff)
	}
	if missing := unset(answers); len(missing) > 0 {
		t.Errorf("no model of the test has %s: add them to everyModel", strings.Join(missing, ", "))
	}
	// A deployment of another price, and another name.
	next := proto.CloneOf(answers[1])
	next.Name, next.Aliases, next.Deployments[0].Price, next.Etag = "renamed/*", []string{"x"}, fixed(usd(2, 0)), ""
	next.Deployments[0].Model = ""
	got := must[*controlv1.UpdateModelResponse](t)(b.models.UpdateModel(ctx, &controlv1.UpdateModelRequest{Model: next})).GetModel()
	if diff := cmp.Diff(next, got, protocmp.Transform(), protocmp.IgnoreFields(next, "etag", "revision", "update_time")); diff != "" || got.GetRevision() <= answers[1].GetRevision() {
		t.Errorf("updated (-want +got):\n%s", diff)
	}
	if _, err := b.models.GetModel(ctx, &controlv1.GetModelRequest{Model: "wild/*"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("its name of before: %v", err)
	}
	must[*controlv1.DeleteModelResponse](t)(b.models.DeleteModel(ctx, &controlv1.DeleteModelRequest{Model: "renamed/*", Etag: got.GetEtag()}))
	b.model(ofChat("x")) // the alias is free again
}

// Guarantee: a change of a model that is refused changes nothing, and its error says which field is wrong.
func TestRefusedModels(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.secretsOf("bria")
	b.adapter("mine")
	first := ofChat("first")
	first.Aliases = []string{"one"}
	made := b.model(first)
	serving := plain("serving")
	serving.Targets, serving.Price, serving.Models = nil, nil, &controlv1.Models{}
	b.create(serving)
	create := func(edit func(*controlv1.Model)) func() error {
		return func() error {
			m := ofChat("new")
			edit(m)
			_, err := b.models.CreateModel(ctx, &controlv1.CreateModelRequest{Model: m})
			return err
		}
	}
	update := func(edit func(*controlv1.Model)) func() error {
		return func() error {
			m := proto.CloneOf(made)
			edit(m)
			_, err := b.models.UpdateModel(ctx, &controlv1.UpdateModelRequest{Model: m})
			return err
		}
	}
	remove := func(req *controlv1.DeleteModelRequest) func() error {
		return func() error { _, err := b.models.DeleteModel(ctx, req); return err }
	}
	serve := func(edit func(*controlv1.Endpoint)) func() error {
		return func() error {
			e := plain("serve")
			e.Targets, e.Price, e.Models = nil, nil, &controlv1.Models{}
			edit(e)
			_, err := b.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: e})
			return err
		}
	}
	const (
		invalid = connect.CodeInvalidArgument
		exists  = connect.CodeAlreadyExists
		missing = connect.CodeNotFound
		stale   = connect.CodeAborted
		needed  = connect.CodeFailedPrecondition
	)
	for _, c := range []struct {
		name  string
		call  func() error
		code  connect.Code
		field string
	}{
		{"name of another", create(func(m *controlv1.Model) { m.Name = "first" }), exists, "model.name:taken"},
		{"alias of another", create(func(m *controlv1.Model) { m.Name = "one" }), exists, "model.name:taken"},
		{"alias that is a name", create(func(m *controlv1.Model) { m.Aliases = []string{"first"} }), exists, "model.aliases:taken"},
		{"name that is no name", create(func(m *controlv1.Model) { m.Name = "a\"b" }), invalid, "model.name:invalid"},
		{"NUL in the name", create(func(m *controlv1.Model) { m.Name = "a\x00b" }), invalid, "model.name:invalid"},
		{"no deployment", create(func(m *controlv1.Model) { m.Deployments = nil }), invalid, "model.deployments:required"},
		{"no price", create(func(m *controlv1.Model) { m.Deployments[0].Price = nil }), invalid, "model.deployments[0].price:required"},
		{"a price of nothing", create(func(m *controlv1.Model) { m.Deployments[0].Price = &controlv1.Price{} }), invalid, "model.deployments[0].price.kind:required"},
		{"no such secret", create(func(m *controlv1.Model) { m.Deployments[0].ApiKey = "${secret:gone}" }), invalid, "model.deployments[0].api_key:secret_missing"},
		{"no such adapter", create(func(m *controlv1.Model) { m.Deployments[0].Schemas, m.Deployments[0].Adapter = nil, "gone" }), invalid, "model.deployments[0].adapter:unknown"},
		{"NUL in an adapter", create(func(m *controlv1.Model) { m.Deployments[0].Schemas, m.Deployments[0].Adapter = nil, "a\x00" }), invalid, "model.deployments[0].adapter:unknown"},
		{"responses alone", update(func(m *controlv1.Model) {
			m.Deployments[0].Schemas = []controlv1.Schema{controlv1.Schema_SCHEMA_OPENAI_RESPONSES}
		}), invalid, "model.deployments[0].schemas:forbidden"},
		{"old etag", update(func(m *controlv1.Model) { m.Etag = "old" }), stale, ""},
		{"by its alias", update(func(m *controlv1.Model) { m.Id, m.Name = "", "one" }), missing, ""},
		{"update of none", update(func(m *controlv1.Model) { m.Id = "gone" }), missing, ""},
		{"get of none", func() error { _, err := b.models.GetModel(ctx, &controlv1.GetModelRequest{Model: "gone"}); return err }, missing, ""},
		{"page of none", func() error {
			_, err := b.models.ListModels(ctx, &controlv1.ListModelsRequest{PageToken: "x"})
			return err
		}, invalid, "page_token:invalid"},
		{"delete of none", remove(&controlv1.DeleteModelRequest{Model: "gone"}), missing, ""},
		{"delete by its alias", remove(&controlv1.DeleteModelRequest{Model: "one"}), missing, ""},
		{"delete with an old etag", remove(&controlv1.DeleteModelRequest{Model: "first", Etag: "old"}), stale, ""},
		{"delete of its secret", func() error {
			_, err := b.secrets.DeleteSecret(ctx, &controlv1.DeleteSecretRequest{Secret: "bria"})
			return err
		}, needed, ""},
		{"endpoint with a price", serve(func(e *controlv1.Endpoint) { e.Price = fixed(usd(1, 0)) }), invalid, "endpoint.price:forbidden"},
		{"endpoint with targets", serve(func(e *controlv1.Endpoint) { e.Targets = plain("x").GetTargets() }), invalid, "endpoint.targets:forbidden"},
		{"endpoint with neither", serve(func(e *controlv1.Endpoint) { e.Models = nil }), invalid, "endpoint.price:required"},
		{"endpoint of no adapter", serve(func(e *controlv1.Endpoint) { e.Models.Adapter = "gone" }), invalid, "endpoint.models.adapter:unknown"},
		{"price of an endpoint that has none", func() error {
			_, err := b.prices.TestPrice(ctx, &controlv1.TestPriceRequest{
				Subject: &controlv1.TestPriceRequest_Endpoint{Endpoint: "serving"}, Sample: &controlv1.Sample{Method: "POST", Path: "/v1/messages"},
			})
			return err
		}, needed, ""},
		{"key of a quote", func() error {
			_, err := b.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: "k", Models: []string{`"`}})
			return err
		}, invalid, "models[0]:invalid"},
	} {
		b.dirty()
		before := b.dump()
		err := c.call()
		f := failureOf(err)
		if f.Code != c.code || c.field != "" && !slices.Contains(f.Violations, c.field) {
			t.Errorf("%s: %+v (%v)", c.name, f, err)
		}
		if after := b.dump(); after != before {
			t.Errorf("%s changed something:\n%s", c.name, cmp.Diff(before, after))
		}
	}
}

// Guarantee: secrets say which models and adapters refer to them, and are held by them until they no longer do.
func TestSecretsOfModels(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.secretsOf("bria")
	b.model(ofChat("gpt"))
	a := b.adapter("mine")
	a.Headers = []*controlv1.Header{{Name: "x-token", Value: "${secret:bria}"}}
	must[*controlv1.UpdateAdapterResponse](t)(b.adapters.UpdateAdapter(ctx, &controlv1.UpdateAdapterRequest{Adapter: a}))
	sec := must[*controlv1.ListSecretsResponse](t)(b.secrets.ListSecrets(ctx, &controlv1.ListSecretsRequest{})).GetSecrets()[0]
	if !slices.Equal(sec.GetModels(), []string{"gpt"}) || !slices.Equal(sec.GetAdapters(), []string{"mine"}) {
		t.Errorf("users %v, %v", sec.GetModels(), sec.GetAdapters())
	}
	b.dirty()
	must[*controlv1.RotateSecretResponse](t)(b.secrets.RotateSecret(ctx, &controlv1.RotateSecretRequest{Secret: "bria", Value: vendorSecret}))
	if dirty := b.dirty(); !slices.Equal(dirty, []string{"head", "routes"}) {
		t.Errorf("rotated: dirty %v", dirty)
	}
	_, err := b.secrets.DeleteSecret(ctx, &controlv1.DeleteSecretRequest{Secret: "bria"})
	if connect.CodeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "model gpt, adapter mine") {
		t.Errorf("delete: %v", err)
	}
	must[*controlv1.DeleteModelResponse](t)(b.models.DeleteModel(ctx, &controlv1.DeleteModelRequest{Model: "gpt"}))
	must[*controlv1.DeleteAdapterResponse](t)(b.adapters.DeleteAdapter(ctx, &controlv1.DeleteAdapterRequest{Adapter: "mine"}))
	must[*controlv1.DeleteSecretResponse](t)(b.secrets.DeleteSecret(ctx, &controlv1.DeleteSecretRequest{Secret: "bria"}))
}

// Guarantee: a default that no model has is said on the endpoint, until one does, by its name, an alias or a pattern.
func TestUnknownDefaultIsSaid(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.secretsOf("bria")
	e := plain("models")
	e.Targets, e.Price, e.Models = nil, nil, &controlv1.Models{DefaultModel: "gpt-4o_mini"}
	warned := func(e *controlv1.Endpoint) bool {
		return slices.ContainsFunc(e.GetWarnings(), func(w *controlv1.Warning) bool { return w.GetCode() == "default_model_unknown" })
	}
	read := func() *controlv1.Endpoint {
		return must[*controlv1.GetEndpointResponse](t)(b.endpoints.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: "models"})).GetEndpoint()
	}
	if !warned(b.create(e)) || !warned(read()) {
		t.Error("nothing is said")
	}
	aliased := ofChat("b")
	aliased.Aliases = []string{"gpt-4o_mini"}
	for name, m := range map[string]*controlv1.Model{
		"name": ofChat("gpt-4o_mini"), "alias": aliased, "pattern": ofChat("gpt-*_mini"), "everything": ofChat("*"),
	} {
		b.model(m)
		if warned(read()) || warned(b.update(read())) {
			t.Errorf("%s: it is said still", name)
		}
		must[*controlv1.DeleteModelResponse](t)(b.models.DeleteModel(ctx, &controlv1.DeleteModelRequest{Model: m.GetName()}))
	}
	for _, name := range []string{"gpt-4o", "gpt-*x", "gpt-4o_mini*mini", "GPT-*", "gpt_*"} {
		b.model(ofChat(name))
		if !warned(read()) {
			t.Errorf("%s is taken for the default", name)
		}
	}
}

// Guarantee: a key may be limited to models from the beginning or later; an update that does not speak of models leaves them.
func TestModelsOfKeys(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	k := must[*controlv1.CreateKeyResponse](t)(b.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: "k", Models: []string{"gpt-*", "claude-*-4*"}})).GetKey()
	want := []string{"claude-*-4*", "gpt-*"}
	if !slices.Equal(k.GetModels(), want) {
		t.Errorf("created with %v", k.GetModels())
	}
	update := func(access *controlv1.ModelAccess) []string {
		t.Helper()
		b.dirty()
		k := must[*controlv1.UpdateKeyResponse](t)(b.keys.UpdateKey(ctx, &controlv1.UpdateKeyRequest{Key: "k", Models: access})).GetKey()
		read := must[*controlv1.GetKeyResponse](t)(b.keys.GetKey(ctx, &controlv1.GetKeyRequest{Key: "k"})).GetKey()
		if diff := cmp.Diff(k, read, protocmp.Transform()); diff != "" {
			t.Errorf("read (-updated +read):\n%s", diff)
		}
		if dirty := b.dirty(); len(dirty) != 2 {
			t.Errorf("dirty %v", dirty)
		}
		return k.GetModels()
	}
	if got := update(nil); !slices.Equal(got, want) {
		t.Errorf("an update of other things leaves %v", got)
	}
	if got := update(&controlv1.ModelAccess{Names: []string{"b", "a"}}); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("updated to %v", got)
	}
	if got := update(&controlv1.ModelAccess{}); len(got) != 0 {
		t.Errorf("all models: %v", got)
	}
}

// Guarantee: the deployment of every template makes a model as it is, once its parameters are said.
func TestDeploymentsOfTemplates(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	all, err := templates.All()
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{"resource": "acme", "url": "http://gpu-1:8000", "price": "2.00"}
	n := 0
	for _, e := range all {
		from := must[*controlv1.GetTemplateResponse](t)(b.templates.GetTemplate(ctx, &controlv1.GetTemplateRequest{Name: e.Template.GetName()})).GetTemplate()
		if from.GetDeployment() == nil {
			continue
		}
		n++
		raw, err := protojson.Marshal(from.GetDeployment())
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		for _, p := range from.GetParameters() {
			value := p.GetDefault()
			if value == "" {
				value = said[p.GetName()]
			}
			text = strings.ReplaceAll(text, "{"+p.GetName()+"}", value)
		}
		d := &controlv1.Deployment{}
		if err := protojson.Unmarshal([]byte(text), d); err != nil {
			t.Fatal(err)
		}
		for _, s := range from.GetSecrets() {
			b.secretsOf(s.GetName())
		}
		b.model(&controlv1.Model{Name: from.GetName() + "/*", Deployments: []*controlv1.Deployment{d}})
	}
	if n < 11 {
		t.Errorf("%d templates have a deployment", n)
	}
	if list := must[*controlv1.ListTemplatesResponse](t)(b.templates.ListTemplates(ctx, &controlv1.ListTemplatesRequest{})).GetTemplates(); list[0].GetDeployment() != nil {
		t.Error("the list has deployments")
	}
}
