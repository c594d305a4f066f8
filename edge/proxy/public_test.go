package proxy

import (
	"context"
	"slices"
	"strings"
	"testing"

	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
)

// Guarantee: a public endpoint serves who shows no key, or a credential that is not ours, as nobody in
// particular and within the limits of the endpoint and of everything; who shows one of ours is treated as
// everywhere.
func TestPublicEndpoint(t *testing.T) {
	t.Parallel()
	const everything, ofEndpoint = eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING, eventv1.AccountScope_ACCOUNT_SCOPE_ENDPOINT
	revoked, restricted := keyOf("tgk_revoked-000000000000"), keyOf("imported-and-restricted")
	revoked.RevokeUnixMs = 1
	restricted.Restricted = true
	for name, tc := range map[string]struct {
		key     string
		headers []Header
		id      string // of the key that is charged
		code    fault.Code
		target  []Header
	}{
		"nothing":            {"", nil, "", "", nil},
		"a vendor's":         {"Bearer sk-vendor", nil, "", "", []Header{{"Authorization", "Bearer sk-vendor"}}},
		"a page's password":  {"Basic " + b64("user:password"), nil, "", "", []Header{{"Authorization", "Basic " + b64("user:password")}}},
		"ours":               {"Bearer " + testKey, nil, "key_tgk", "", nil},
		"ours and a vendor":  {"Bearer sk-vendor", []Header{{"X-Api-Key", testKey}}, "key_tgk", "", []Header{{"Authorization", "Bearer sk-vendor"}}},
		"ours, odd spelling": {"", []Header{{"X_Api_Key", testKey}, {"Xi-Api-Key", ""}}, "", "", nil},
		"ours, in a cookie":  {"Bearer sk-vendor", []Header{{"Cookie", "a=1; k=" + testKey}}, "", "", []Header{{"Authorization", "Bearer sk-vendor"}, {"Cookie", "a=1"}}},
		"ours, encoded":      {"", []Header{{"X-Other", "tgk_ tgk%5f" + testKey[4:] + "."}}, "", "", nil},
		"looks like ours":    {"", []Header{{"X-Other", "tgk_of no account"}}, "", "", []Header{{"X-Other", "tgk_of no account"}}},
		"unknown":            {"Bearer tgk_gone", nil, "", fault.KeyUnknown, nil},
		"unknown, second":    {"Bearer sk-vendor", []Header{{"Api-Key", "tgk_gone"}}, "", fault.KeyUnknown, nil},
		"unknown user name":  {"Basic " + b64("tgk_gone:password"), nil, "", fault.KeyUnknown, nil},
		"revoked":            {"Bearer tgk_revoked-000000000000", nil, "", fault.KeyRevoked, nil},
		"restricted":         {"Bearer imported-and-restricted", nil, "", fault.KeyNotAllowed, nil},
		"a customer":         {"", []Header{{"X-Tollgate-Customer", ""}, {"x-tollgate-customer", "acme"}}, "", fault.LabelInvalid, nil},
		"tags":               {"", []Header{{HeaderTags, "blue"}}, "", fault.LabelInvalid, nil},
		"no tags":            {"", []Header{{HeaderTags, " , "}}, "", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := &script{status: 200, pieces: []string{"ok"}}
			s := newStages(t, &eventv1.RouteEndpoint{PriceNanos: 5, Public: true, Forward: modeAll}, to, func(o *options) {
				o.keys = []*eventv1.ShardKey{revoked, restricted}
				endpoints := accountOf(8, ofEndpoint, "")
				endpoints.EndpointId = "ep_x"
				o.accounts = append(o.accounts, endpoints, accountOf(20, eventv1.AccountScope_ACCOUNT_SCOPE_CUSTOMER, "acme"))
				o.limits = []*eventv1.Limit{{Id: 3, Kind: eventv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: 1, Burst: 1, Scope: ofEndpoint, EndpointId: "ep_x"}}
			})
			s.key = tc.key
			headers := tc.headers
			out := s.call(context.Background(), "POST", "", 0, headers...)
			if tc.code != "" {
				if !strings.Contains(out.body.String(), string(tc.code)) || to.attempt != nil {
					t.Fatalf("got %d %s, want %s", out.status, out.body.String(), tc.code)
				}
				return
			}
			if out.status != 200 {
				t.Fatalf("got %d %s", out.status, out.body.String())
			}
			in, _, _ := s.lastIntent()
			var draws []int64
			for _, d := range in.Draws {
				draws = append(draws, d.Window.Account)
			}
			slices.Sort(draws)
			if in.KeyID != tc.id || in.Customer != "" || len(in.Tags) > 0 || !slices.Equal(draws, []int64{7, 8}) || !slices.Equal(s.gate.asked[0].limits, []int64{3}) {
				t.Errorf("intent %+v, limits %v", in, s.gate.asked)
			}
			got := slices.DeleteFunc(slices.Clone(to.attempt.Headers), func(h Header) bool { return h.Value == "" })
			if !slices.Equal(got, tc.target) {
				t.Errorf("the target got %q", got)
			}
		})
	}
}

// Guarantee: who asks for another protocol is never answered as if it had not: it gets that, or is told
// why not.
func TestUpgradeWishes(t *testing.T) {
	t.Parallel()
	wish := func(protocol string) []Header {
		return []Header{{"Connection", "keep-alive, Upgrade"}, {"Upgrade", protocol}}
	}
	for name, tc := range map[string]struct {
		headers []Header
		engine  string
		want    string // part of the refusal; empty for none
	}{
		"none":              {nil, "", ""},
		"WebSocket":         {wish("websocket"), "websocket", ""},
		"WebSocket, not so": {wish("WebSocket"), "", "a GET over HTTP/1.1"},
		"another":           {wish("irc"), "", `can't switch to "irc"`},
		"h2c":               {wish("h2c"), "", ""},
		"h2c first":         {wish("h2c, websocket"), "", "a GET over HTTP/1.1"},
		"not connected":     {[]Header{{"Upgrade", "websocket"}}, "", ""},
	} {
		c, _ := leaving(t, &routing.Endpoint{Name: "x"}, &Exchange{Headers: tc.headers, Upgrade: tc.engine})
		err := c.checkBody(context.Background())
		if tc.want == "" && err == nil {
			continue
		}
		if f := fault.From(err); f == nil || tc.want == "" || f.Code != fault.UpgradeUnsupported || !strings.Contains(f.Message, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
