package rpc_test

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/templates"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

var _ = covers("TemplateService", map[string]cases{
	"GetTemplate": {
		right: func(w *world) proto.Message {
			all := must[[]templates.Entry](w.t)(templates.All())
			return &controlv1.GetTemplateRequest{Name: all[0].Template.GetName()}
		},
		check: func(w *world, res proto.Message) {
			if got := res.(*controlv1.GetTemplateResponse).GetTemplate(); got.GetEndpoint() == nil && got.GetDeployment() == nil {
				w.t.Errorf("%v", got)
			}
		},
		wrong:    []wrong{{violation: "name:invalid", request: is(&controlv1.GetTemplateRequest{Name: strings.Repeat("x", 65)})}},
		notFound: is(&controlv1.GetTemplateRequest{Name: "nothing"}),
	},
	"ListTemplates": {
		right: is(&controlv1.ListTemplatesRequest{}),
		check: func(w *world, res proto.Message) {
			if all := res.(*controlv1.ListTemplatesResponse).GetTemplates(); len(all) == 0 || all[0].GetTitle() == "" || all[0].GetEndpoint() != nil {
				w.t.Errorf("%v", all)
			}
		},
	},
})
