package rpc_test

import (
	"strings"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

var _ = covers("SearchService", map[string]cases{
	"Search": {
		right: func(w *world) proto.Message { return &controlv1.SearchRequest{Query: w.newSecret()} },
		check: func(w *world, res proto.Message) {
			if got := res.(*controlv1.SearchResponse).GetResults(); len(got) == 0 || got[0].GetKind() != "secret" {
				w.t.Errorf("%v", got)
			}
		},
		wrong: []wrong{
			{violation: "query:required", request: is(&controlv1.SearchRequest{})},
			{violation: "query:invalid", request: is(&controlv1.SearchRequest{Query: strings.Repeat("x", 257)})},
			{violation: "kinds:unknown", request: is(&controlv1.SearchRequest{Query: "x", Kinds: []string{"colour"}})},
			{violation: "limit:invalid", request: is(&controlv1.SearchRequest{Query: "x", Limit: -1})},
		},
		without: map[string]string{"notFound": "what is not there is not found, and that is an answer"},
	},
})
