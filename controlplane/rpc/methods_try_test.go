package rpc_test

import (
	"net/http"
	"strings"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

var noVersion = map[string]string{"stale": "a request has no version"}

var _ = covers("TryService", map[string]cases{
	"CreateTicket": {
		right: func(w *world) proto.Message { return &controlv1.CreateTicketRequest{Key: w.tried(), Node: "e1"} },
		check: func(w *world, res proto.Message) {
			got := res.(*controlv1.CreateTicketResponse)
			if opened, err := w.open(got.GetTicket()); err != nil || opened.GetEdge() != "e1" || opened.GetExpireUnixMs() != got.GetExpireTime().AsTime().UnixMilli() {
				w.t.Errorf("%v %v", opened, err)
			}
		},
		wrong: []wrong{
			{violation: "key:required", request: is(&controlv1.CreateTicketRequest{})},
			{violation: "node:invalid", request: is(&controlv1.CreateTicketRequest{Key: "k", Node: strings.Repeat("n", 64)})},
		},
		notFound: func(w *world) proto.Message { w.tried(); return &controlv1.CreateTicketRequest{Key: "nobody"} },
		without:  noVersion,
	},
	"Invoke": {
		right: func(w *world) proto.Message {
			return &controlv1.InvokeRequest{Method: "GET", Path: "/x", Key: w.tried(), Node: "e1"}
		},
		check: func(w *world, res proto.Message) {
			if res.(*controlv1.InvokeResponse).GetStarted().GetNode() != "e1" {
				w.t.Errorf("%v", res)
			}
		},
		wrong: []wrong{
			{violation: "method:required", request: is(&controlv1.InvokeRequest{Path: "/x"})},
			{violation: "method:invalid", request: is(&controlv1.InvokeRequest{Method: "get", Path: "/x"})},
			{violation: "path:required", request: is(&controlv1.InvokeRequest{Method: "GET"})},
			{violation: "path:invalid", request: is(&controlv1.InvokeRequest{Method: "GET", Path: "/x y"})},
			{violation: "timeout:out_of_range", request: is(&controlv1.InvokeRequest{Method: "GET", Path: "/x", Timeout: seconds(3600)})},
			{violation: "headers[0].name:invalid", request: is(tryWith("a b", "1"))},
			{violation: "headers[0].name:required", request: is(tryWith("", "1"))},
			{violation: "headers[0].name:forbidden", request: is(tryWith("Content-Length", "1"))},
			{violation: "headers[0].name:forbidden", request: is(tryWith("Authorization", "Bearer x"))},
			{violation: "headers[0].value:invalid", request: is(tryWith("x-a", "a\nb"))},
		},
		notFound: is(&controlv1.InvokeRequest{Method: "GET", Path: "/x", Key: "nobody"}),
		without:  noVersion,
	},
})

func tryWith(name, value string) *controlv1.InvokeRequest {
	return &controlv1.InvokeRequest{Method: "GET", Path: "/x", Key: "k", Headers: []*controlv1.ExplainHeader{{Name: name, Value: value}}}
}

// tried makes a key and, the first time, an edge that takes everything.
func (w *world) tried() string {
	w.t.Helper()
	if len(w.nodes) == 0 {
		w.gateway("e1", func(http.ResponseWriter, *http.Request) {})
	}
	return w.key(&controlv1.CreateKeyRequest{Name: w.name("try")}).GetName()
}
