package rpc_test

import (
	"strings"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

var _ = covers("SettingsService", map[string]cases{
	"GetSettings": {right: is(&controlv1.GetSettingsRequest{})},
	"UpdateSettings": {
		right: is(&controlv1.UpdateSettingsRequest{
			Settings: &controlv1.Settings{Name: "Staging", Environment: "staging", EnvironmentColor: "orange"}, UpdateMask: mask("name", "environment", "environment_color"),
		}),
		check: func(w *world, res proto.Message) {
			if got := res.(*controlv1.UpdateSettingsResponse).GetSettings(); got.GetName() != "Staging" || got.GetEnvironment() != "staging" || got.GetEnvironmentColor() != "orange" {
				w.t.Errorf("%v", got)
			}
		},
		wrong: []wrong{
			{violation: "settings:required", request: is(&controlv1.UpdateSettingsRequest{})},
			{violation: "settings.gateway_url:invalid", request: is(&controlv1.UpdateSettingsRequest{Settings: &controlv1.Settings{GatewayUrl: "gw"}})},
			{violation: "settings.time_zone:invalid", request: is(&controlv1.UpdateSettingsRequest{Settings: &controlv1.Settings{TimeZone: "Mars"}})},
			{violation: "settings.environment_color:invalid", request: is(&controlv1.UpdateSettingsRequest{Settings: &controlv1.Settings{EnvironmentColor: "plaid"}})},
			{violation: "settings.environment:invalid", request: is(&controlv1.UpdateSettingsRequest{Settings: &controlv1.Settings{Environment: strings.Repeat("x", 33)}})},
			{violation: "update_mask:mask_path", request: is(&controlv1.UpdateSettingsRequest{Settings: &controlv1.Settings{}, UpdateMask: mask("owner")})},
		},
		stale: func(w *world) proto.Message {
			read := must[*controlv1.GetSettingsResponse](w.t)(w.settings().GetSettings(w.t.Context(), &controlv1.GetSettingsRequest{})).GetSettings()
			must[*controlv1.UpdateSettingsResponse](w.t)(w.settings().UpdateSettings(w.t.Context(), &controlv1.UpdateSettingsRequest{Settings: &controlv1.Settings{Name: w.name("s")}}))
			return &controlv1.UpdateSettingsRequest{Settings: &controlv1.Settings{Name: "mine", Etag: read.GetEtag()}}
		},
		without: map[string]string{"notFound": "there is one of them"},
	},
})
