package rpc_test

import (
	"slices"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

var _ = covers("EndpointService", map[string]cases{
	"CreateEndpoint": {
		right: func(w *world) proto.Message {
			return &controlv1.CreateEndpointRequest{Endpoint: plain(w.name("ep"))}
		},
		wrong: wrongs{
			{violation: "endpoint:required", request: is(&controlv1.CreateEndpointRequest{})},
		}.and(createsBadEndpoint),
	},
	"GetEndpoint": {
		right: func(w *world) proto.Message {
			return &controlv1.GetEndpointRequest{Endpoint: w.newEndpoint().GetName()}
		},
		wrong:    []wrong{{violation: "endpoint:required", request: is(&controlv1.GetEndpointRequest{})}},
		notFound: is(&controlv1.GetEndpointRequest{Endpoint: "nothing"}),
	},
	"ListEndpoints": {
		right: is(&controlv1.ListEndpointsRequest{}),
		wrong: []wrong{
			{violation: "page_size:invalid", request: is(&controlv1.ListEndpointsRequest{PageSize: -1})},
			{violation: "page_token:invalid", request: is(&controlv1.ListEndpointsRequest{PageToken: "x"})},
		},
	},
	"UpdateEndpoint": {
		right: func(w *world) proto.Message {
			return &controlv1.UpdateEndpointRequest{Endpoint: &controlv1.Endpoint{Id: w.newEndpoint().GetId(), Description: "x"}, UpdateMask: mask("description")}
		},
		wrong: wrongs{
			{violation: "endpoint:required", request: is(&controlv1.UpdateEndpointRequest{})},
			{violation: "update_mask:mask_path", request: func(w *world) proto.Message {
				return &controlv1.UpdateEndpointRequest{Endpoint: &controlv1.Endpoint{Id: w.newEndpoint().GetId()}, UpdateMask: mask("etag")}
			}},
		}.and(updatesBadEndpoint),
		stale: func(w *world) proto.Message {
			return &controlv1.UpdateEndpointRequest{Endpoint: &controlv1.Endpoint{Id: w.changed(), Etag: w.etag}, UpdateMask: mask("description")}
		},
		notFound: is(&controlv1.UpdateEndpointRequest{Endpoint: plain("nothing")}),
	},
	"DeleteEndpoint": {
		right: func(w *world) proto.Message {
			return &controlv1.DeleteEndpointRequest{Endpoint: w.newEndpoint().GetName()}
		},
		wrong: []wrong{{violation: "endpoint:required", request: is(&controlv1.DeleteEndpointRequest{})}},
		stale: func(w *world) proto.Message {
			return &controlv1.DeleteEndpointRequest{Endpoint: w.changed(), Etag: w.etag}
		},
		notFound: is(&controlv1.DeleteEndpointRequest{Endpoint: "nothing"}),
	},
	"SetEndpointEnabled": {
		right: func(w *world) proto.Message {
			return &controlv1.SetEndpointEnabledRequest{Endpoint: w.newEndpoint().GetName()}
		},
		check: func(w *world, res proto.Message) {
			if !res.(*controlv1.SetEndpointEnabledResponse).GetEndpoint().GetDisabled() {
				w.t.Errorf("%v", res)
			}
		},
		wrong: []wrong{{violation: "endpoint:required", request: is(&controlv1.SetEndpointEnabledRequest{})}},
		stale: func(w *world) proto.Message {
			return &controlv1.SetEndpointEnabledRequest{Endpoint: w.changed(), Etag: w.etag}
		},
		notFound: is(&controlv1.SetEndpointEnabledRequest{Endpoint: "nothing"}),
	},
	"PreviewEndpoint": {
		right: is(&controlv1.PreviewEndpointRequest{Endpoint: plain("draft"), Tries: []*controlv1.PreviewTry{{Path: "/draft/x"}}}),
		check: func(w *world, res proto.Message) {
			got := res.(*controlv1.PreviewEndpointResponse)
			if len(got.GetViolations()) != 0 || len(got.GetTries()) != 1 || len(got.GetRoutes()) == 0 || got.GetEndpoint().GetName() != "draft" {
				w.t.Errorf("%v", got)
			}
		},
		wrong: []wrong{
			{violation: "endpoint:required", request: is(&controlv1.PreviewEndpointRequest{})},
			{violation: "tries[0].path:required", request: is(&controlv1.PreviewEndpointRequest{Endpoint: plain("a"), Tries: []*controlv1.PreviewTry{{}}})},
		},
		without: map[string]string{"stale": "nothing is written", "notFound": "a draft of nothing is one of something new"},
	},
	"ListEndpointRevisions": {
		right: func(w *world) proto.Message {
			return &controlv1.ListEndpointRevisionsRequest{Endpoint: w.newEndpoint().GetName()}
		},
		check: func(w *world, res proto.Message) {
			all := res.(*controlv1.ListEndpointRevisionsResponse).GetRevisions()
			if len(all) != 1 || all[0].GetAction() != "create" || !all[0].GetRevertible() {
				w.t.Errorf("%v", all)
			}
		},
		wrong: []wrong{
			{violation: "endpoint:required", request: is(&controlv1.ListEndpointRevisionsRequest{})},
			{violation: "page_size:invalid", request: is(&controlv1.ListEndpointRevisionsRequest{Endpoint: "a", PageSize: -1})},
			{violation: "page_token:invalid", request: is(&controlv1.ListEndpointRevisionsRequest{Endpoint: "a", PageToken: "x"})},
		},
		notFound: is(&controlv1.ListEndpointRevisionsRequest{Endpoint: "nothing"}),
	},
	"RevertEndpoint": {
		right: func(w *world) proto.Message {
			id := w.changed()
			return &controlv1.RevertEndpointRequest{Endpoint: id, Revision: slices.Min(w.revisionsOf(id))}
		},
		wrong: []wrong{
			{violation: "endpoint:required", request: is(&controlv1.RevertEndpointRequest{Revision: 1})},
			{violation: "revision:invalid", request: is(&controlv1.RevertEndpointRequest{Endpoint: "a"})},
			{violation: "revision:unknown", request: func(w *world) proto.Message {
				return &controlv1.RevertEndpointRequest{Endpoint: w.newEndpoint().GetId(), Revision: 1 << 40}
			}},
		},
		stale: func(w *world) proto.Message {
			return &controlv1.RevertEndpointRequest{Endpoint: w.changed(), Revision: 1, Etag: w.etag}
		},
		notFound: is(&controlv1.RevertEndpointRequest{Endpoint: "nothing", Revision: 1}),
	},
})

func (w *world) newEndpoint() *controlv1.Endpoint {
	w.t.Helper()
	return w.create(plain(w.name("ep")))
}

// changed makes an endpoint that has changed since its etag was read.
func (w *world) changed() string {
	w.t.Helper()
	e := w.newEndpoint()
	w.etag = e.GetEtag()
	if _, err := w.updateMasked(&controlv1.Endpoint{Id: e.GetId(), Description: "changed"}, "description"); err != nil {
		w.t.Fatal(err)
	}
	return e.GetId()
}

func (w *world) revisionsOf(id string) (all []int64) {
	w.t.Helper()
	for _, r := range w.revisions(id) {
		all = append(all, r.GetRevision())
	}
	return all
}
