package rpc_test

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

var _ = covers("AuditService", map[string]cases{
	"ListAuditEntries": {
		right: func(w *world) proto.Message {
			return &controlv1.ListAuditEntriesRequest{PageSize: 1, Filter: "kind:secret action:create object:" + w.newSecret() + " actor:admin -via:cli"}
		},
		check: func(w *world, res proto.Message) {
			if got := res.(*controlv1.ListAuditEntriesResponse).GetEntries(); len(got) != 1 || got[0].GetActor() != "admin" || got[0].GetAction() != "create" || len(got[0].GetChanges()) != 0 {
				w.t.Errorf("%v", got)
			}
		},
		wrong: []wrong{
			{violation: "page_size:invalid", request: is(&controlv1.ListAuditEntriesRequest{PageSize: -1})},
			{violation: "page_token:invalid", request: is(&controlv1.ListAuditEntriesRequest{PageToken: "x"})},
			{violation: "filter:filter_field", request: is(&controlv1.ListAuditEntriesRequest{Filter: "colour:red"})},
			{violation: "filter:filter_value", request: is(&controlv1.ListAuditEntriesRequest{Filter: "via:post"})},
			{violation: "filter:invalid", request: is(&controlv1.ListAuditEntriesRequest{Filter: `"open`})},
			{violation: "to_time:out_of_range", request: is(&controlv1.ListAuditEntriesRequest{FromTime: &timestamppb.Timestamp{Seconds: 2}, ToTime: &timestamppb.Timestamp{Seconds: 1}})},
		},
	},
	"GetAuditEntry": {
		right: func(w *world) proto.Message {
			w.newSecret()
			all := must[*controlv1.ListAuditEntriesResponse](w.t)(w.audit.ListAuditEntries(w.t.Context(), &controlv1.ListAuditEntriesRequest{}))
			return &controlv1.GetAuditEntryRequest{Entry: all.GetEntries()[0].GetId()}
		},
		wrong:    []wrong{{violation: "entry:required", request: is(&controlv1.GetAuditEntryRequest{})}},
		notFound: is(&controlv1.GetAuditEntryRequest{Entry: "aud_none"}),
	},
})
