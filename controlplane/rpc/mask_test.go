package rpc_test

import (
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func mask(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }

func (b *bundle) updateMasked(m *controlv1.Endpoint, paths ...string) (*controlv1.Endpoint, error) {
	res, err := b.endpoints.UpdateEndpoint(b.t.Context(), &controlv1.UpdateEndpointRequest{Endpoint: m, UpdateMask: mask(paths...)})
	return res.GetEndpoint(), err
}

// Guarantee: an update with a mask changes the fields that it names, also within a message, clears those that are not set, and leaves
// everything else as it was, whatever else the request says.
func TestMaskedUpdateChangesWhatItNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.secretsOf("bria", "client")
	made := b.create(everySetting(t)[0])
	want := proto.CloneOf(made)
	want.Description, want.KeyHeader, want.Timeouts.Idle, want.Timeouts.Total, want.Query, want.Retry = "Pictures.", "", seconds(7), nil, nil, nil
	got, err := b.updateMasked(&controlv1.Endpoint{
		Name: "all", Description: "Pictures.", Timeouts: &controlv1.Timeouts{Idle: seconds(7), Connect: seconds(9)}, Path: "not this one",
	}, "description", "key_header", "timeouts.idle", "timeouts.total", "query", "retry")
	if err != nil {
		t.Fatal(err, details(err))
	}
	ignored := protocmp.IgnoreFields(want, "etag", "revision", "update_time", "warnings")
	if diff := cmp.Diff(want, got, protocmp.Transform(), ignored); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// By its id it gets another name.
	want.Name = "renamed"
	if got, err = b.updateMasked(&controlv1.Endpoint{Id: made.GetId(), Name: "renamed"}, "name"); err != nil {
		t.Fatal(err, details(err))
	}
	if diff := cmp.Diff(want, got, protocmp.Transform(), ignored); diff != "" {
		t.Errorf("renamed (-want +got):\n%s", diff)
	}
	// Everything is what a mask of everything, and none, names.
	for name, paths := range map[string][]string{"all": {"*"}, "none": nil} {
		whole := plain("renamed")
		whole.Id, whole.Description = made.GetId(), name
		if got, err = b.updateMasked(whole, paths...); err != nil || got.GetDescription() != name || len(got.GetHeaders()) != 0 {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
	if got, err = b.updateMasked(&controlv1.Endpoint{Name: "renamed", Timeouts: &controlv1.Timeouts{}}, "timeouts.idle", "retry.attempts"); err != nil || got.GetTimeouts() != nil || got.GetRetry() != nil {
		t.Errorf("what was not there and is cleared: %v %v", got, err)
	}
}

// Guarantee: a mask that names what an update cannot change, an object that the fields of a mask would make wrong, and a request without
// an object are refused with the field at fault, and change nothing.
func TestMaskedUpdateIsRefusedWhole(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	e, _, _ := b.seed()
	before := b.dump()
	for name, c := range map[string]struct {
		endpoint *controlv1.Endpoint
		paths    []string
		code     connect.Code
		want     []string
	}{
		"unknown":            {&controlv1.Endpoint{Name: "bria"}, []string{"prize", "path"}, connect.CodeInvalidArgument, []string{"update_mask:mask_path"}},
		"set by the server":  {&controlv1.Endpoint{Name: "bria"}, []string{"id", "disabled", "etag"}, connect.CodeInvalidArgument, slices.Repeat([]string{"update_mask:mask_path"}, 3)},
		"in a list":          {&controlv1.Endpoint{Name: "bria"}, []string{"headers.name"}, connect.CodeInvalidArgument, []string{"update_mask:mask_path"}},
		"in a value":         {&controlv1.Endpoint{Name: "bria"}, []string{"name.first"}, connect.CodeInvalidArgument, []string{"update_mask:mask_path"}},
		"no path":            {&controlv1.Endpoint{Name: "bria"}, []string{""}, connect.CodeInvalidArgument, []string{"update_mask:mask_path"}},
		"cleared":            {&controlv1.Endpoint{Name: "bria"}, []string{"path"}, connect.CodeInvalidArgument, []string{"endpoint.path:path_required"}},
		"by the schema":      {&controlv1.Endpoint{Name: "bria", Methods: []string{"post"}}, []string{"methods"}, connect.CodeInvalidArgument, []string{"endpoint.methods[0]:invalid"}},
		"by the registry":    {&controlv1.Endpoint{Name: "bria", Path: "/-/x"}, []string{"path"}, connect.CodeInvalidArgument, []string{"endpoint.path:path_reserved"}},
		"no object":          {nil, []string{"path"}, connect.CodeInvalidArgument, []string{"endpoint:required"}},
		"not found":          {&controlv1.Endpoint{Name: "none"}, []string{"path"}, connect.CodeNotFound, nil},
		"not found for lack": {&controlv1.Endpoint{}, []string{"path"}, connect.CodeNotFound, nil},
		"stale":              {&controlv1.Endpoint{Id: e.GetId(), Etag: "old", Path: "/x"}, []string{"path"}, connect.CodeAborted, nil},
	} {
		_, err := b.endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{Endpoint: c.endpoint, UpdateMask: mask(c.paths...)})
		if f := failureOf(err); f.Code != c.code || !slices.Equal(f.Violations, c.want) {
			t.Errorf("%s: %v %v", name, err, f)
		}
	}
	if b.dump() != before {
		t.Error("something changed")
	}
}

// Guarantee: writers that change different fields at once lose nothing of one another's, with masks and without etags.
func TestMaskedUpdatesAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(plain("a"))
	change := map[string]*controlv1.Endpoint{
		"description":    {Name: "a", Description: "x"},
		"key_header":     {Name: "a", KeyHeader: "x-k"},
		"max_body_bytes": {Name: "a", MaxBodyBytes: 5},
		"methods":        {Name: "a", Methods: []string{"POST"}},
		"pass_headers":   {Name: "a", PassHeaders: true},
	}
	done := make(chan error, len(change))
	for path, m := range change {
		go func() {
			_, err := b.updateMasked(m, path)
			done <- err
		}()
	}
	for range change {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	got := must[*controlv1.GetEndpointResponse](t)(b.endpoints.GetEndpoint(t.Context(), &controlv1.GetEndpointRequest{Endpoint: "a"})).GetEndpoint()
	if got.GetDescription() != "x" || got.GetKeyHeader() != "x-k" || got.GetMaxBodyBytes() != 5 || len(got.GetMethods()) != 1 || !got.GetPassHeaders() {
		t.Errorf("%v", got)
	}
}

// Guarantee: masks work for models and adapters as they do for endpoints.
func TestMaskedUpdateOfModelsAndAdapters(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	a := b.adapter("mine")
	got := must[*controlv1.UpdateAdapterResponse](t)(b.adapters.UpdateAdapter(ctx, &controlv1.UpdateAdapterRequest{
		Adapter: &controlv1.Adapter{Name: "mine", MaxBytes: 4096}, UpdateMask: mask("max_bytes"),
	})).GetAdapter()
	if got.GetMaxBytes() != 4096 || !proto.Equal(got.GetTarget(), a.GetTarget()) {
		t.Errorf("%v", got)
	}
	b.secretsOf("bria")
	m := must[*controlv1.CreateModelResponse](t)(b.models.CreateModel(ctx, &controlv1.CreateModelRequest{Model: &controlv1.Model{Name: "gpt", Deployments: []*controlv1.Deployment{{
		Target: &controlv1.Target{Url: "https://api.example.com/v1"}, Schemas: []controlv1.Schema{controlv1.Schema_SCHEMA_OPENAI_CHAT},
		Price: &controlv1.Price{Kind: &controlv1.Price_Free_{Free: &controlv1.Price_Free{}}},
	}}}})).GetModel()
	next := must[*controlv1.UpdateModelResponse](t)(b.models.UpdateModel(ctx, &controlv1.UpdateModelRequest{
		Model: &controlv1.Model{Name: "gpt", Aliases: []string{"best"}}, UpdateMask: mask("aliases"),
	})).GetModel()
	if !slices.Equal(next.GetAliases(), []string{"best"}) || len(next.GetDeployments()) != 1 || !proto.Equal(next.GetDeployments()[0], m.GetDeployments()[0]) {
		t.Errorf("%v", next)
	}
	_, err := b.models.UpdateModel(ctx, &controlv1.UpdateModelRequest{Model: &controlv1.Model{Name: "gpt"}, UpdateMask: mask("deployments")})
	if f := failureOf(err); f.Code != connect.CodeInvalidArgument || !strings.HasPrefix(f.Violations[0], "model.deployments") {
		t.Errorf("%v", f)
	}
}

// Guarantee: an endpoint that is switched off is published, stays off whatever else of it is changed, and is on again when it is
// switched on; switching it to what it is changes nothing.
func TestSwitchEndpoint(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	e := b.create(plain("a"))
	b.dirty()
	set := func(ref string, enabled bool, etag string) (*controlv1.Endpoint, error) {
		res, err := b.endpoints.SetEndpointEnabled(ctx, &controlv1.SetEndpointEnabledRequest{Endpoint: ref, Enabled: enabled, Etag: etag})
		return res.GetEndpoint(), err
	}
	off, err := set("a", false, e.GetEtag())
	if err != nil || !off.GetDisabled() || off.GetEtag() == e.GetEtag() || off.GetRevision() <= e.GetRevision() {
		t.Fatalf("%v %v", off, err)
	}
	if got := b.dirty(); !slices.Equal(got, subjects("routes")) {
		t.Errorf("dirty %v", got)
	}
	if again, err := set(e.GetId(), false, ""); err != nil || again.GetRevision() != off.GetRevision() || len(b.dirty()) != 0 {
		t.Errorf("%v %v", again, err)
	}
	next := proto.CloneOf(e)
	next.Etag, next.Description = "", "x"
	if got := b.update(next); !got.GetDisabled() || got.GetDescription() != "x" {
		t.Errorf("an update switched it on: %v", got)
	}
	if _, err := set("a", true, off.GetEtag()); failureOf(err).Reason != "stale_etag" {
		t.Errorf("%v", err)
	}
	if _, err := set("none", true, ""); failureOf(err).Reason != "not_found" {
		t.Errorf("%v", err)
	}
	if _, err := set("", true, ""); !slices.Equal(failureOf(err).Violations, []string{"endpoint:required"}) {
		t.Errorf("%v", err)
	}
	if on, err := set("a", true, ""); err != nil || on.GetDisabled() {
		t.Errorf("%v %v", on, err)
	}
	off = b.create(&controlv1.Endpoint{Name: "b", Path: "/b", Targets: plain("b").GetTargets(), Price: plain("b").GetPrice(), Disabled: true})
	if !off.GetDisabled() {
		t.Error("a new endpoint is on that was to be off")
	}
}

// Guarantee: whoever reads an endpoint, a model or an adapter is told which file owns it.
func TestOwnersAreTold(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	e, a := b.create(plain("a")), b.adapter("mine")
	for kind, id := range map[string]string{"endpoint": e.GetId(), "adapter": a.GetId()} {
		if _, err := b.pool.Exec(ctx, `INSERT INTO control.managed VALUES ($1, $2, 'x', 'prod.yaml', '{}', 1, now())`, kind, id); err != nil {
			t.Fatal(err)
		}
	}
	read := must[*controlv1.GetEndpointResponse](t)(b.endpoints.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: "a"})).GetEndpoint()
	adapters := must[*controlv1.ListAdaptersResponse](t)(b.adapters.ListAdapters(ctx, &controlv1.ListAdaptersRequest{})).GetAdapters()
	if read.GetManagedBy() != "prod.yaml" || adapters[0].GetManagedBy() != "prod.yaml" || e.GetManagedBy() != "" {
		t.Errorf("%q %q", read.GetManagedBy(), adapters[0].GetManagedBy())
	}
	if _, err := b.updateMasked(&controlv1.Endpoint{Name: "a", Description: "x"}, "description"); failureOf(err).Reason != "managed_by_file" {
		t.Errorf("%v", err)
	}
}
