package rpc_test

import (
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

// tag describes one.
func (w *world) tag() string {
	w.t.Helper()
	api := controlv1connect.NewTagServiceClient(w.http, w.url, connect.WithInterceptors(withToken{}))
	return must[*controlv1.SetTagResponse](w.t)(api.SetTag(w.t.Context(), &controlv1.SetTagRequest{Tag: &controlv1.Tag{Name: w.name("t"), Description: "Runs at night."}})).GetTag().GetName()
}

var _ = covers("TagService", map[string]cases{
	"ListTags": {
		right: func(w *world) proto.Message {
			w.key(&controlv1.CreateKeyRequest{Name: w.name("tagged"), Tags: []string{"of-a-key", "too"}})
			return &controlv1.ListTagsRequest{Filter: "used:yes of-a-key"}
		},
		check: func(w *world, res proto.Message) {
			if got := res.(*controlv1.ListTagsResponse).GetTags(); len(got) != 1 || got[0].GetKeys() != 1 || got[0].GetCreateTime() != nil {
				w.t.Errorf("%v", got)
			}
		},
		wrong: []wrong{
			{violation: "filter:filter_field", request: is(&controlv1.ListTagsRequest{Filter: "team:x"})},
			{violation: "page_token:invalid", request: is(&controlv1.ListTagsRequest{PageToken: "x"})},
		},
	},
	"SetTag": {
		right: func(w *world) proto.Message {
			return &controlv1.SetTagRequest{Tag: &controlv1.Tag{Name: w.tag(), Description: "Runs by day."}}
		},
		check: func(w *world, res proto.Message) {
			if got := res.(*controlv1.SetTagResponse).GetTag(); got.GetDescription() != "Runs by day." || got.GetCreateTime() == nil {
				w.t.Errorf("%v", got)
			}
		},
		wrong: []wrong{
			{violation: "tag:required", request: is(&controlv1.SetTagRequest{})},
			{violation: "tag.name:invalid", request: is(&controlv1.SetTagRequest{Tag: &controlv1.Tag{Name: "a b"}})},
		},
	},
	"DeleteTag": {
		right:    func(w *world) proto.Message { return &controlv1.DeleteTagRequest{Tag: w.tag()} },
		wrong:    []wrong{{violation: "tag:required", request: is(&controlv1.DeleteTagRequest{})}},
		notFound: is(&controlv1.DeleteTagRequest{Tag: "nothing"}),
	},
})
