package rpc_test

import (
	"time"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
)

var _ = covers("OverviewService", map[string]cases{
	"GetOverview": {
		right: func(w *world) proto.Message {
			w.ledger.usage = &ledgerv1.QueryUsageResponse{Rows: []*ledgerv1.UsageRow{{Hour: time.Now().UTC().Format("2006-01-02T15"), Requests: 1}}}
			return &controlv1.GetOverviewRequest{}
		},
		check: func(w *world, res proto.Message) {
			got := res.(*controlv1.GetOverviewResponse)
			if got.GetMonth().GetRequests() != 1 || got.GetDay().GetRequests() != 1 || len(got.GetDay().GetHours()) != 24 || got.GetFleet() == nil || got.GetMoneyMissing() != "" {
				w.t.Errorf("%v", got)
			}
		},
		wrong: []wrong{{violation: "team:invalid", request: is(&controlv1.GetOverviewRequest{Team: string(make([]byte, 129))})}},
	},
	"ListAttention": {
		right: is(&controlv1.ListAttentionRequest{Limit: 5, Kinds: []controlv1.AttentionKind{controlv1.AttentionKind_ATTENTION_KIND_NO_PRICE}}),
		wrong: []wrong{
			{violation: "limit:invalid", request: is(&controlv1.ListAttentionRequest{Limit: -1})},
			{violation: "kinds[0]:invalid", request: is(&controlv1.ListAttentionRequest{Kinds: []controlv1.AttentionKind{99}})},
		},
	},
	"GetFirstSteps": {
		right: is(&controlv1.GetFirstStepsRequest{}),
		check: func(w *world, res proto.Message) {
			if got := res.(*controlv1.GetFirstStepsResponse); len(got.GetSteps()) != 4 || !got.GetSteps()[2].GetDone() {
				w.t.Errorf("%v", got)
			}
		},
	},
	"DismissFirstSteps": {
		right:   is(&controlv1.DismissFirstStepsRequest{Dismissed: true}),
		without: map[string]string{"wrong": "yes and no are both right"},
	},
})
