package rpc_test

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
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
