package rpc_test

import (
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/fleet"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// withNode has an edge be there.
func withNode(m proto.Message) func(*world) proto.Message {
	return func(w *world) proto.Message {
		w.nodes = []fleet.Node{{Heartbeat: &eventv1.Heartbeat{Edge: "lon-1"}, Status: fleet.Live, LastSeen: time.Now()}}
		return m
	}
}

var _ = covers("EdgeService", map[string]cases{
	"GetNode": {
		right:    withNode(&controlv1.GetNodeRequest{Node: "lon-1"}),
		wrong:    []wrong{{violation: "node:required", request: is(&controlv1.GetNodeRequest{})}, {violation: "node:invalid", request: is(&controlv1.GetNodeRequest{Node: strings.Repeat("x", 64)})}},
		notFound: is(&controlv1.GetNodeRequest{Node: "nobody"}),
	},
	"WatchFleet": {
		right: withNode(&controlv1.WatchFleetRequest{}),
		check: func(w *world, res proto.Message) {
			if got := res.(*controlv1.WatchFleetResponse).GetNodes(); len(got) != 1 || got[0].GetId() != "lon-1" {
				w.t.Errorf("%v", got)
			}
		},
	},
	"GetRollout": {
		right:    is(&controlv1.GetRolloutRequest{}),
		wrong:    []wrong{{violation: "revision:invalid", request: is(&controlv1.GetRolloutRequest{Revision: -1})}},
		notFound: is(&controlv1.GetRolloutRequest{Revision: 1 << 40}),
	},
	"DrainNode": {
		right:    withNode(&controlv1.DrainNodeRequest{Node: "lon-1"}),
		wrong:    []wrong{{violation: "node:required", request: is(&controlv1.DrainNodeRequest{})}},
		notFound: is(&controlv1.DrainNodeRequest{Node: "nobody"}),
		without:  map[string]string{"stale": "edges have no etag"},
	},
	"ResetBreaker": {
		right: withNode(&controlv1.ResetBreakerRequest{Target: "https://vendor.example.com"}),
		wrong: []wrong{
			{violation: "endpoint:required", request: is(&controlv1.ResetBreakerRequest{})},
			{violation: "node:invalid", request: is(&controlv1.ResetBreakerRequest{Target: "x", Node: strings.Repeat("x", 64)})},
			{violation: "target:invalid", request: is(&controlv1.ResetBreakerRequest{Target: strings.Repeat("x", 2049)})},
		},
		notFound: is(&controlv1.ResetBreakerRequest{Endpoint: "nobody"}),
	},
	"ProbeTarget": {
		right: withNode(&controlv1.ProbeTargetRequest{Url: "https://vendor.example.com"}),
		wrong: []wrong{
			{violation: "url:required", request: is(&controlv1.ProbeTargetRequest{})},
			{violation: "url:invalid", request: is(&controlv1.ProbeTargetRequest{Url: "vendor.example.com"})},
		},
		notFound: is(&controlv1.ProbeTargetRequest{Url: "https://vendor.example.com", Node: "nobody"}),
	},
	"CreateJoinToken": {
		right: is(&controlv1.CreateJoinTokenRequest{Node: "lon-2", Region: "eu"}),
		wrong: []wrong{
			{violation: "node:invalid", request: is(&controlv1.CreateJoinTokenRequest{Node: "a b"})},
			{violation: "region:invalid", request: is(&controlv1.CreateJoinTokenRequest{Region: "a b"})},
		},
	},
	"Join": {
		right: func(w *world) proto.Message { return &controlv1.JoinRequest{Token: w.joinToken("")} },
		wrong: []wrong{
			{violation: "token:required", request: is(&controlv1.JoinRequest{})},
			{violation: "node:invalid", request: is(&controlv1.JoinRequest{Token: "x", Node: "a b"})},
			{violation: "node:forbidden", request: func(w *world) proto.Message {
				return &controlv1.JoinRequest{Token: w.joinToken("lon-9"), Node: "lon-8"}
			}},
			{violation: "node:taken", code: connect.CodeAlreadyExists, request: func(w *world) proto.Message {
				withNode(nil)(w)
				return &controlv1.JoinRequest{Token: w.joinToken("lon-1")}
			}},
		},
		without: map[string]string{"notFound": "a token that there is not is no credential"},
	},
})
