package rpc_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: an update with the settings that an endpoint has, written out or left out, makes no revision
// and nothing to publish; whoever changes one setting makes one.
func TestUnchangedEndpoint(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	wanted := &controlv1.Endpoint{
		Name: "bria", Path: "/bria/", Methods: []string{"POST", "GET"}, Price: fixed(usd(1, 0)),
		Targets: []*controlv1.Target{{Url: "https://api.example.com", Tls: &controlv1.TargetTLS{ServerName: "example.com", SkipVerify: true}}},
		Headers: []*controlv1.Header{{Name: "x-a", Value: "os.environ/A"}},
		Query:   []*controlv1.QueryParameter{{Name: "q", Value: "1"}},
		Access:  &controlv1.Access{Kind: &controlv1.Access_Public_{Public: &controlv1.Access_Public{RequestsPerMinute: 60}}},
		Retry:   &controlv1.Retry{Attempts: 1},
	}
	made := must[*controlv1.CreateEndpointResponse](t)(b.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: wanted})).GetEndpoint()
	b.dirty()
	update := func(e *controlv1.Endpoint) *controlv1.Endpoint {
		t.Helper()
		return must[*controlv1.UpdateEndpointResponse](t)(b.endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{Endpoint: e})).GetEndpoint()
	}
	for name, e := range map[string]*controlv1.Endpoint{"as it was asked for": wanted, "as it was answered": made} {
		got := update(e)
		if diff := cmp.Diff(made, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if dirty := b.dirty(); len(dirty) != 0 {
			t.Errorf("%s: dirty %v", name, dirty)
		}
	}
	next := proto.CloneOf(made)
	next.Headers[0].Mode = controlv1.Mode_MODE_DEFAULT
	if got := update(next); got.GetRevision() != made.GetRevision()+1 || got.GetEtag() == made.GetEtag() {
		t.Errorf("a changed mode: revision %d after %d", got.GetRevision(), made.GetRevision())
	}
}
