package rpc_test

import (
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/testenv"
)

var _ = covers("SystemService", map[string]cases{
	"GetInfo": {right: is(&controlv1.GetInfoRequest{})},
	"GetSignInSettings": {
		right: is(&controlv1.GetSignInSettingsRequest{}),
		check: func(w *world, res proto.Message) {
			if got := res.(*controlv1.GetSignInSettingsResponse); got.GetSessionIdle().AsDuration() != 12*time.Hour || got.GetSingleSignOn() != nil {
				w.t.Errorf("%v", got)
			}
		},
	},
	"GetRetention": {
		right: func(w *world) proto.Message {
			w.ledger.kept = &ledgerv1.GetRetentionResponse{
				KeepRecords: true, RequestsSeconds: 1, HoursSeconds: 2, LeasesSeconds: 4, AnomaliesSeconds: 5, IncarnationsSeconds: 6,
			}
			return &controlv1.GetRetentionRequest{}
		},
		check: func(w *world, res proto.Message) {
			seconds := func(n int64) *durationpb.Duration { return &durationpb.Duration{Seconds: n} }
			want := &controlv1.GetRetentionResponse{
				KeepRecords: true, Requests: seconds(1), Hours: seconds(2), Days: seconds(0), Leases: seconds(4), Anomalies: seconds(5), Incarnations: seconds(6),
			}
			if d := cmp.Diff(want, res, protocmp.Transform()); d != "" {
				w.t.Error(d)
			}
		},
	},
	"ListNodes": {right: is(&controlv1.ListNodesRequest{})},
	"WatchChanges": {
		right: func(w *world) proto.Message {
			w.newSecret()
			w.newSecret() // after 0 means from now on
			// A first message comes at once, also where the change is not known yet.
			testenv.Eventually(w.t, 10*time.Second, func() error {
				if news, _ := w.hub.After(0); news.UpTo < w.revision() {
					return fmt.Errorf("changes are known up to %d", news.UpTo)
				}
				return nil
			})
			return &controlv1.WatchChangesRequest{AfterRevision: w.revision() - 1}
		},
		check: func(w *world, res proto.Message) {
			got := res.(*controlv1.WatchChangesResponse)
			if len(got.GetChanges()) != 1 || got.GetChanges()[0].GetKind() != "secret" || got.GetReset_() || got.GetEpoch() == 0 {
				w.t.Errorf("%v", got)
			}
		},
		wrong: []wrong{{violation: "after_revision:invalid", request: is(&controlv1.WatchChangesRequest{AfterRevision: -1})}},
	},
})
