package rpc_test

import (
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

var _ = covers("ExplainService", map[string]cases{
	"Explain": {
		right: func(w *world) proto.Message {
			return &controlv1.ExplainRequest{Method: "POST", Path: "/bria?x=1", Key: w.newKey().GetName(), Headers: []*controlv1.ExplainHeader{{Name: "a", Value: "b"}}}
		},
		check: func(w *world, res proto.Message) {
			if e := res.(*controlv1.ExplainResponse).GetExplanation(); e.GetEdge() != "edge-1" || !e.GetAdmitted() || len(w.asked.GetKeySha256()) == 0 {
				w.t.Errorf("%v, asked %v", e, w.asked)
			}
		},
		wrong: []wrong{
			{violation: "method:required", request: is(&controlv1.ExplainRequest{Path: "/"})},
			{violation: "method:invalid", request: is(&controlv1.ExplainRequest{Method: strings.Repeat("M", 65), Path: "/"})},
			{violation: "path:required", request: is(&controlv1.ExplainRequest{Method: "GET"})},
			{violation: "path:invalid", request: is(&controlv1.ExplainRequest{Method: "GET", Path: "bria"})},
			{violation: "key:invalid", request: is(&controlv1.ExplainRequest{Method: "GET", Path: "/", Key: strings.Repeat("k", 129)})},
			{violation: "headers[0].name:required", request: is(&controlv1.ExplainRequest{Method: "GET", Path: "/", Headers: []*controlv1.ExplainHeader{{}}})},
			{violation: "body_bytes:invalid", request: is(&controlv1.ExplainRequest{Method: "GET", Path: "/", BodyBytes: -1})},
			{violation: "edge:invalid", request: is(&controlv1.ExplainRequest{Method: "GET", Path: "/", Edge: strings.Repeat("e", 64)})},
			{code: connect.CodeUnavailable, request: is(&controlv1.ExplainRequest{Method: "GET", Path: "/", Edge: "edge-9"})},
		},
		notFound: is(&controlv1.ExplainRequest{Method: "GET", Path: "/", Key: "nobody"}),
	},
})
