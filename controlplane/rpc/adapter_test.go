package rpc_test

import (
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/pki"
)

// Guarantee: every field of an adapter survives being stored, read, listed and written back as it was read, which is no
// change; a new field that is forgotten anywhere on the way fails this test.
func TestEveryFieldOfAdaptersSurvives(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.secretsOf("client")
	authority := pki.New(t)
	client := authority.Issue(t, []string{"client.example.com"})
	want := &controlv1.Adapter{
		Name: "mine", Target: &controlv1.Target{
			Url: "https://adapter.example.com/base", HttpVersion: controlv1.HttpVersion_HTTP_VERSION_2,
			Tls: &controlv1.TargetTLS{
				CaPem: string(authority.PEM), ClientCertPem: string(client.Cert), ClientKey: "${secret:client}",
				ServerName: "b.example.com", MinVersion: controlv1.TlsVersion_TLS_VERSION_1_3, SkipVerify: true,
			},
		},
		Timeout: seconds(3), MaxBytes: 1 << 20, Headers: []*controlv1.Header{{Name: "x-token", Value: "${secret:client}", Mode: controlv1.Mode_MODE_SET}},
	}
	made := must[*controlv1.CreateAdapterResponse](t)(b.adapters.CreateAdapter(ctx, &controlv1.CreateAdapterRequest{Adapter: want})).GetAdapter()
	if diff := cmp.Diff(want, made, protocmp.Transform(), protocmp.IgnoreFields(want, "id", "etag", "revision", "create_time", "update_time")); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	missing := unset([]*controlv1.Adapter{made})
	// An adapter is alone: nothing is chosen.
	if missing = slices.DeleteFunc(missing, func(f string) bool { return f == ".target.weight" || f == ".target.priority" }); len(missing) > 0 {
		t.Errorf("the adapter of the test has no %s", strings.Join(missing, ", "))
	}
	plain := b.adapter("plain")
	if plain.GetTimeout().GetSeconds() != 10 || plain.GetMaxBytes() != 16<<20 || plain.GetTarget().GetHttpVersion() != controlv1.HttpVersion_HTTP_VERSION_2 {
		t.Errorf("defaults %v", plain)
	}
	b.dirty()
	for _, ref := range []string{made.GetId(), "mine"} {
		read := must[*controlv1.GetAdapterResponse](t)(b.adapters.GetAdapter(ctx, &controlv1.GetAdapterRequest{Adapter: ref})).GetAdapter()
		if diff := cmp.Diff(made, read, protocmp.Transform()); diff != "" {
			t.Errorf("%s, read (-created +read):\n%s", ref, diff)
		}
	}
	written := must[*controlv1.UpdateAdapterResponse](t)(b.adapters.UpdateAdapter(ctx, &controlv1.UpdateAdapterRequest{Adapter: made})).GetAdapter()
	if diff := cmp.Diff(made, written, protocmp.Transform()); diff != "" || len(b.dirty()) != 0 {
		t.Errorf("written back (-created +written):\n%s", diff)
	}
	first := must[*controlv1.ListAdaptersResponse](t)(b.adapters.ListAdapters(ctx, &controlv1.ListAdaptersRequest{PageSize: 1}))
	rest := must[*controlv1.ListAdaptersResponse](t)(b.adapters.ListAdapters(ctx, &controlv1.ListAdaptersRequest{PageToken: first.GetNextPageToken()}))
	if diff := cmp.Diff([]*controlv1.Adapter{made, plain}, append(first.GetAdapters(), rest.GetAdapters()...), protocmp.Transform()); diff != "" || rest.GetNextPageToken() != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	next := proto.CloneOf(made)
	next.Name, next.Headers, next.Timeout = "other", nil, seconds(4)
	got := must[*controlv1.UpdateAdapterResponse](t)(b.adapters.UpdateAdapter(ctx, &controlv1.UpdateAdapterRequest{Adapter: next})).GetAdapter()
	if diff := cmp.Diff(next, got, protocmp.Transform(), protocmp.IgnoreFields(next, "etag", "revision", "update_time")); diff != "" || got.GetEtag() == made.GetEtag() {
		t.Errorf("updated (-want +got):\n%s", diff)
	}
	must[*controlv1.DeleteAdapterResponse](t)(b.adapters.DeleteAdapter(ctx, &controlv1.DeleteAdapterRequest{Adapter: "other", Etag: got.GetEtag()}))
	if _, err := b.adapters.GetAdapter(ctx, &controlv1.GetAdapterRequest{Adapter: "other"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("deleted: %v", err)
	}
}

// Guarantee: a change of an adapter that is refused changes nothing; one that is used stays under its name until nothing
// refers to it.
func TestRefusedAdapters(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	made, by := b.adapter("mine"), b.adapter("by-endpoint")
	m := ofChat("gpt")
	m.Deployments[0].Schemas, m.Deployments[0].ApiKey, m.Deployments[0].Adapter = nil, "", "mine"
	b.model(m)
	e := plain("models")
	e.Targets, e.Price, e.Models = nil, nil, &controlv1.Models{Adapter: "by-endpoint"}
	e = b.create(e)
	create := func(edit func(*controlv1.Adapter)) func() error {
		return func() error {
			a := &controlv1.Adapter{Name: "new", Target: &controlv1.Target{Url: "http://adapter:8080"}}
			edit(a)
			_, err := b.adapters.CreateAdapter(ctx, &controlv1.CreateAdapterRequest{Adapter: a})
			return err
		}
	}
	update := func(of *controlv1.Adapter, edit func(*controlv1.Adapter)) func() error {
		return func() error {
			a := proto.CloneOf(of)
			edit(a)
			_, err := b.adapters.UpdateAdapter(ctx, &controlv1.UpdateAdapterRequest{Adapter: a})
			return err
		}
	}
	remove := func(req *controlv1.DeleteAdapterRequest) func() error {
		return func() error { _, err := b.adapters.DeleteAdapter(ctx, req); return err }
	}
	const (
		invalid = connect.CodeInvalidArgument
		missing = connect.CodeNotFound
		stale   = connect.CodeAborted
		needed  = connect.CodeFailedPrecondition
	)
	for _, c := range []struct {
		name string
		call func() error
		code connect.Code
		says string // a field and its code, or a part of the message
	}{
		{"name of another", create(func(a *controlv1.Adapter) { a.Name = "mine" }), connect.CodeAlreadyExists, "adapter.name:taken"},
		{"name in capitals", create(func(a *controlv1.Adapter) { a.Name = "Mine" }), invalid, "adapter.name:invalid"},
		{"no target", create(func(a *controlv1.Adapter) { a.Target = nil }), invalid, "adapter.target:required"},
		{"target of another kind", create(func(a *controlv1.Adapter) { a.Target.Url = "ftp://x" }), invalid, "adapter.target.url:target_scheme"},
		{"no time", create(func(a *controlv1.Adapter) { a.Timeout = seconds(0) }), invalid, "adapter.timeout:invalid"},
		{"no such secret", create(func(a *controlv1.Adapter) {
			a.Headers = []*controlv1.Header{{Name: "a", Value: "${secret:gone}"}}
		}), invalid, "adapter.headers[0].value:secret_missing"},
		{"old etag", update(made, func(a *controlv1.Adapter) { a.Etag = "old" }), stale, ""},
		{"update of none", update(made, func(a *controlv1.Adapter) { a.Id = "gone" }), missing, ""},
		{"name of one that is used", update(made, func(a *controlv1.Adapter) { a.Name = "other" }), needed, "model gpt"},
		{"name of one that is used by an endpoint", update(by, func(a *controlv1.Adapter) { a.Name = "other" }), needed, "endpoint models"},
		{"delete of one that is used", remove(&controlv1.DeleteAdapterRequest{Adapter: "mine"}), needed, "model gpt"},
		{"delete of one that is used by an endpoint", remove(&controlv1.DeleteAdapterRequest{Adapter: "by-endpoint"}), needed, "endpoint models"},
		{"delete with an old etag", remove(&controlv1.DeleteAdapterRequest{Adapter: "mine", Etag: "old"}), stale, ""},
		{"delete of none", remove(&controlv1.DeleteAdapterRequest{Adapter: "gone"}), missing, ""},
		{"get of none", func() error {
			_, err := b.adapters.GetAdapter(ctx, &controlv1.GetAdapterRequest{Adapter: "gone"})
			return err
		}, missing, ""},
		{"page of none", func() error {
			_, err := b.adapters.ListAdapters(ctx, &controlv1.ListAdaptersRequest{PageToken: "x"})
			return err
		}, invalid, "page_token:invalid"},
	} {
		b.dirty()
		before := b.dump()
		err := c.call()
		f := failureOf(err)
		if f.Code != c.code || c.says != "" && !slices.Contains(f.Violations, c.says) && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v (%v)", c.name, f, err)
		}
		if after := b.dump(); after != before {
			t.Errorf("%s changed something:\n%s", c.name, cmp.Diff(before, after))
		}
	}
	must[*controlv1.DeleteModelResponse](t)(b.models.DeleteModel(ctx, &controlv1.DeleteModelRequest{Model: "gpt"}))
	must[*controlv1.DeleteAdapterResponse](t)(b.adapters.DeleteAdapter(ctx, &controlv1.DeleteAdapterRequest{Adapter: "mine"}))
	e.Models.Adapter = ""
	b.update(e)
	must[*controlv1.DeleteAdapterResponse](t)(b.adapters.DeleteAdapter(ctx, &controlv1.DeleteAdapterRequest{Adapter: "by-endpoint"}))
}
