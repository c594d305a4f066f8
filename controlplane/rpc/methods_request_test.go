package rpc_test

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/id"
)

var _ = covers("RequestService", map[string]cases{
	"GetRequest": {
		right: is(&controlv1.GetRequestRequest{RequestId: seenNow}),
		wrong: []wrong{
			{violation: "request_id:required", request: is(&controlv1.GetRequestRequest{})},
			{violation: "request_id:invalid", request: is(&controlv1.GetRequestRequest{RequestId: "req_x"})},
		},
		without: map[string]string{
			"notFound": "TestGetRequest: it needs a ledger",
		},
	},
	"TailRequests": {
		right: is(&controlv1.TailRequestsRequest{}),
		check: func(w *world, res proto.Message) {
			if res.(*controlv1.TailRequestsResponse).GetResumeToken() == "" {
				w.t.Error("the first message has no token")
			}
		},
		wrong: []wrong{
			{violation: "resume_token:invalid", request: is(&controlv1.TailRequestsRequest{ResumeToken: "x"})},
			{violation: "since:forbidden", request: is(&controlv1.TailRequestsRequest{ResumeToken: "x", Since: durationpb.New(time.Second)})},
			{violation: "since:out_of_range", request: is(&controlv1.TailRequestsRequest{Since: durationpb.New(-time.Second)})},
			{violation: "most_per_second:invalid", request: is(&controlv1.TailRequestsRequest{MostPerSecond: -1})},
			{violation: "filter.statuses[0]:invalid", request: is(&controlv1.TailRequestsRequest{Filter: &controlv1.SeenFilter{Statuses: []string{"4x"}}})},
			{violation: "filter.min_time:out_of_range", request: is(&controlv1.TailRequestsRequest{Filter: &controlv1.SeenFilter{MinTime: durationpb.New(-time.Second)}})},
		},
		notFound: is(&controlv1.TailRequestsRequest{Filter: &controlv1.SeenFilter{Keys: []string{id.New(id.Key)}}}),
	},
})
