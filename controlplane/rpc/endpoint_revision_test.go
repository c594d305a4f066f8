package rpc_test

import (
	"fmt"
	"slices"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (b *bundle) revisions(ref string) []*controlv1.EndpointRevision {
	b.t.Helper()
	return must[*controlv1.ListEndpointRevisionsResponse](b.t)(
		b.endpoints.ListEndpointRevisions(b.t.Context(), &controlv1.ListEndpointRevisionsRequest{Endpoint: ref})).GetRevisions()
}

func (b *bundle) revert(ref string, revision int64, etag string) (*controlv1.Endpoint, error) {
	res, err := b.endpoints.RevertEndpoint(b.t.Context(), &controlv1.RevertEndpointRequest{Endpoint: ref, Revision: revision, Etag: etag})
	return res.GetEndpoint(), err
}

func same(t *testing.T, what string, want, got *controlv1.Endpoint) {
	t.Helper()
	if diff := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(want, "etag", "revision", "update_time")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Guarantee: every change of an endpoint is a revision with what it became and what was different, and its settings of each of them
// come back, whole; what comes back is another revision. A deleted endpoint comes back under its id.
func TestRevertEndpoint(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.secretsOf("bria", "client")
	first := b.create(everySetting(t)[0])
	next := plain("renamed")
	next.Id, next.Price = first.GetId(), fixed(usd(12, 500_000_000))
	second := b.update(next)
	dearer, err := b.updateMasked(&controlv1.Endpoint{Id: first.GetId(), Price: fixed(usd(13, 0))}, "price")
	if err != nil {
		t.Fatal(err)
	}
	must[*controlv1.DeleteEndpointResponse](t)(b.endpoints.DeleteEndpoint(ctx, &controlv1.DeleteEndpointRequest{Endpoint: "renamed"}))
	all := b.revisions(first.GetId())
	var actions []string
	for _, r := range all {
		actions = append(actions, fmt.Sprintf("%s %s %v", r.GetActor(), r.GetAction(), r.GetRevertible()))
	}
	if want := []string{"admin delete false", "admin update true", "admin update true", "admin create true"}; !slices.Equal(actions, want) {
		t.Fatalf("%q", actions)
	}
	same(t, "first", first, all[3].GetEndpoint())
	same(t, "second", second, all[2].GetEndpoint())
	if c := all[1].GetChanges(); len(c) != 1 || c[0].GetPath() != "price.fixed.per_request" || c[0].GetBefore() != `"12.50"` || c[0].GetAfter() != `"13.00"` {
		t.Errorf("changes %v", c)
	}
	if all[0].GetEndpoint() != nil || len(all[0].GetChanges()) == 0 || all[0].GetRevision() <= all[1].GetRevision() || all[0].GetTime() == nil {
		t.Errorf("deleted: %v", all[0])
	}

	before := b.dump()
	for name, c := range map[string]struct {
		revision int64
		etag     string
		code     connect.Code
		want     []string
	}{
		"deletion":         {all[0].GetRevision(), "", connect.CodeInvalidArgument, []string{"revision:forbidden"}},
		"another's":        {1, "", connect.CodeInvalidArgument, []string{"revision:unknown"}},
		"none":             {0, "", connect.CodeInvalidArgument, []string{"revision:invalid"}},
		"gone and an etag": {all[1].GetRevision(), dearer.GetEtag(), connect.CodeAborted, nil},
	} {
		_, err := b.revert(first.GetId(), c.revision, c.etag)
		if f := failureOf(err); f.Code != c.code || !slices.Equal(f.Violations, c.want) {
			t.Errorf("%s: %v %v", name, err, f)
		}
	}
	for _, ref := range []string{"none", "ep_01j0000000000000000000000z"} {
		if _, err := b.revert(ref, 1, ""); failureOf(err).Reason != "not_found" {
			t.Errorf("%s: %v", ref, err)
		}
		if _, err := b.endpoints.ListEndpointRevisions(ctx, &controlv1.ListEndpointRevisionsRequest{Endpoint: ref}); failureOf(err).Reason != "not_found" {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if b.dump() != before {
		t.Error("something changed")
	}

	b.dirty()
	back, err := b.revert(first.GetId(), first.GetRevision(), "")
	if err != nil {
		t.Fatal(err, details(err))
	}
	same(t, "back", first, back)
	if got := b.dirty(); !slices.Contains(got, "routes") || len(got) < 3 { // the limit of a public endpoint comes back with it
		t.Errorf("dirty %v", got)
	}
	if again, err := b.revert("all", first.GetRevision(), back.GetEtag()); err != nil || again.GetRevision() != back.GetRevision() || len(b.dirty()) != 0 {
		t.Errorf("to what it is: %v %v", again, err)
	}
	if _, err := b.revert("all", second.GetRevision(), "old"); failureOf(err).Reason != "stale_etag" {
		t.Errorf("stale: %v", err)
	}
	must[*controlv1.SetEndpointEnabledResponse](t)(b.endpoints.SetEndpointEnabled(ctx, &controlv1.SetEndpointEnabledRequest{Endpoint: "all", Enabled: true}))
	got, err := b.revert("all", second.GetRevision(), "")
	if err != nil {
		t.Fatal(err, details(err))
	}
	second.Disabled = false // as it is
	same(t, "forth", second, got)
	if newest := b.revisions("renamed")[0]; newest.GetAction() != "revert" || !proto.Equal(newest.GetEndpoint(), got) {
		t.Errorf("newest %v", newest)
	}
}

// Guarantee: settings that cannot be any more are refused with the fields at fault.
func TestRevertToWhatIsGone(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.secretsOf("bria")
	first := b.create(bria())
	b.update(&controlv1.Endpoint{Id: first.GetId(), Name: "other", Path: "/other", Targets: plain("x").GetTargets(), Price: plain("x").GetPrice()})
	must[*controlv1.DeleteSecretResponse](t)(b.secrets.DeleteSecret(ctx, &controlv1.DeleteSecretRequest{Secret: "bria"}))
	b.create(plain("bria"))
	_, err := b.revert("other", first.GetRevision(), "")
	if f := failureOf(err); f.Code != connect.CodeInvalidArgument || len(f.Violations) != 3 {
		t.Errorf("%v %v", err, f)
	}
}

// Guarantee: pages of revisions hold each once, newest first, and a token of another list is refused.
func TestRevisionsInPages(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.create(plain("a"))
	for i := range 4 {
		if _, err := b.updateMasked(&controlv1.Endpoint{Name: "a", MaxBodyBytes: int64(i + 1)}, "max_body_bytes"); err != nil {
			t.Fatal(err)
		}
	}
	var got []int64
	token := ""
	for {
		page := must[*controlv1.ListEndpointRevisionsResponse](t)(b.endpoints.ListEndpointRevisions(ctx, &controlv1.ListEndpointRevisionsRequest{Endpoint: "a", PageSize: 2, PageToken: token}))
		for _, r := range page.GetRevisions() {
			got = append(got, r.GetRevision())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if want := []int64{5, 4, 3, 2, 1}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	for _, bad := range []string{"x", must[*controlv1.ListEndpointRevisionsResponse](t)(b.endpoints.ListEndpointRevisions(ctx, &controlv1.ListEndpointRevisionsRequest{Endpoint: "a", PageSize: 2})).GetNextPageToken() + "x"} {
		if _, err := b.endpoints.ListEndpointRevisions(ctx, &controlv1.ListEndpointRevisionsRequest{Endpoint: "a", PageToken: bad}); !slices.Equal(failureOf(err).Violations, []string{"page_token:invalid"}) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := b.endpoints.ListEndpointRevisions(ctx, &controlv1.ListEndpointRevisionsRequest{Endpoint: "a", PageSize: -1}); !slices.Equal(failureOf(err).Violations, []string{"page_size:invalid"}) {
		t.Errorf("%v", err)
	}
}
